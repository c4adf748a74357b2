"""`serve --demo`: there is something to see, on every page, and only once.

Holds: `cli.serve`.
"""

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime
from typing import Any

import httpx
import msgspec

from alert_history.demo.scenes import scenes
from tests.conformance.raw import sqlite_path
from tests.conftest import StartService
from tests.processes import Server, wait_until

_DEMO_SECONDS = 120


def _get(server: Server, path: str) -> Any:
    return httpx.get(f"{server.url}{path}", trust_env=False, timeout=10).raise_for_status().json()


def _fetch(url: str, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(sqlite_path(url))) as file:
        return file.execute(statement).fetchall()


def _wait_for_the_demo(server: Server) -> None:
    wait_until(lambda: "demo_replayed" in server.log(), "the demo is replayed", timeout_seconds=_DEMO_SECONDS)


def _classified(server: Server) -> int:
    total: int = _get(server, "/classification/stats")["total"]
    return total


def test_the_demo_is_recorded_and_explained_once(sqlite_url: str, service: StartService) -> None:
    server = service({"DATABASE_URL": sqlite_url}, ["--demo"])
    _wait_for_the_demo(server)
    history = _get(server, "/history?limit=1000")
    names = {alert["alertname"] for alert in history["alerts"]}
    page = httpx.get(f"{server.url}/classifications", trust_env=False, timeout=10).text
    assert page.count("<article") >= 10
    assert (classified := _classified(server)) >= len(names)
    server.terminate()
    server.start()
    assert _get(server, "/history?limit=1000")["total"] == history["total"]
    assert _classified(server) == classified


def test_a_demo_that_is_killed_half_way_is_whole_after_the_next_start(sqlite_url: str, service: StartService) -> None:
    server = service({"DATABASE_URL": sqlite_url}, ["--demo"])
    wait_until(lambda: _get(server, "/history?limit=1")["total"] > 0, "some of the demo is recorded")
    server.kill()
    assert not _fetch(sqlite_url, "SELECT 1 FROM settings WHERE name = 'demo_replayed_at'")
    server.start()
    _wait_for_the_demo(server)
    ((begun,),) = _fetch(sqlite_url, "SELECT value FROM settings WHERE name = 'demo_begun_at'")
    made = scenes(datetime.fromisoformat(msgspec.json.decode(begun)))
    receipt_counts = Counter(id_ for (id_,) in _fetch(sqlite_url, "SELECT id FROM receipts"))
    assert receipt_counts == Counter(message.id for message in [*made.past, *made.incident])
    assert _fetch(sqlite_url, "SELECT count(*) FROM alerts WHERE ended_by <> 'resolved'") == [(0,)]
    ((delivered,),) = _fetch(sqlite_url, "SELECT count(*) FROM deliveries")
    assert delivered == sum(len(news.deliveries) for news in made.news)
