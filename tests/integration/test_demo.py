"""`serve --demo`: there is something to see, on every page, and only once.

Holds: `cli.serve`.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

import httpx
import msgspec
import pytest

from alert_history.demo.scenes import scenes
from tests import servers
from tests.conformance.raw import sqlite_path
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


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('demo') / 'alert_history.db'}"


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    """A service with the demo, which was killed half-way, and then started again and waited for."""
    with servers.service({"DATABASE_URL": url}, ["--demo"]) as server:
        wait_until(lambda: _get(server, "/history?limit=1")["total"] > 0, "some of the demo is recorded")
        server.kill()
        assert not _fetch(url, "SELECT 1 FROM settings WHERE name = 'demo_replayed_at'")
        server.start()
        _wait_for_the_demo(server)
        yield server


@pytest.mark.usefixtures("server")
def test_a_demo_that_is_killed_half_way_is_whole_after_the_next_start(url: str) -> None:
    ((begun,),) = _fetch(url, "SELECT value FROM settings WHERE name = 'demo_begun_at'")
    made = scenes(datetime.fromisoformat(msgspec.json.decode(begun)))
    receipt_counts = Counter(id_ for (id_,) in _fetch(url, "SELECT id FROM receipts"))
    assert receipt_counts == Counter(message.id for message in [*made.past, *made.incident])
    assert _fetch(url, "SELECT count(*) FROM alerts WHERE ended_by <> 'resolved'") == [(0,)]
    ((delivered,),) = _fetch(url, "SELECT count(*) FROM deliveries")
    assert delivered == sum(len(news.deliveries) for news in made.news)


def test_the_demo_is_recorded_and_explained_once(server: Server) -> None:
    history = _get(server, "/history?limit=1000")
    names = {alert["alertname"] for alert in history["alerts"]}
    page = httpx.get(f"{server.url}/classifications", trust_env=False, timeout=10).text
    assert page.count("<article") >= 10
    assert (classified := _classified(server)) >= len(names)
    server.terminate()
    server.start()
    assert _get(server, "/history?limit=1000")["total"] == history["total"]
    assert _classified(server) == classified
