"""`serve --demo`: there is something to see, on every page, and only once.

Holds: `cli.serve`.
"""

from typing import Any

import httpx

from tests.conftest import StartService
from tests.processes import Server, wait_until


def _get(server: Server, path: str) -> Any:
    return httpx.get(f"{server.url}{path}", trust_env=False, timeout=10).raise_for_status().json()


def _classified(server: Server) -> int:
    total: int = _get(server, "/classification/stats")["total"]
    return total


def test_the_demo_is_recorded_and_explained_once(sqlite_url: str, service: StartService) -> None:
    server = service({"DATABASE_URL": sqlite_url}, ["--demo"])
    wait_until(lambda: "demo_replayed" in server.log(), "the demo is replayed")
    history = _get(server, "/history?limit=1000")
    names = {alert["alertname"] for alert in history["alerts"]}
    page = httpx.get(f"{server.url}/classifications", trust_env=False, timeout=10).text
    assert page.count("<article") >= 10
    assert (classified := _classified(server)) >= len(names)
    server.terminate()
    server.start()
    assert _get(server, "/history?limit=1000")["total"] == history["total"]
    assert _classified(server) == classified
