"""The demo on a real store: whole and once, however often it is broken off, and each delivery with its event.

Holds: `engine.demonstration`, `storage.shared.demonstrations`, `ports.demonstration`.
"""

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import cast

import pytest

from alert_history.demo.deliveries import CHAT, PAGER
from alert_history.demo.scenes import Scenes, scenes
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import occurrence_id
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.engine import demonstration as engine
from alert_history.engine.classify import Classifying
from alert_history.engine.demonstration import Demonstration
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import Intake
from alert_history.engine.ledger import Ledger, ledger
from alert_history.engine.switchboard import Switchboard
from alert_history.errors import StorageUnavailable
from alert_history.ports import DeliveryFilter, HistoryFilter, PastNews, Recorder, Store, StoredAlert
from alert_history.storage import is_sqlite, open_store
from tests.conformance import raw
from tests.conformance.samples import NOW
from tests.lapsing import pass_all
from tests.numbers import check_recount
from tests.servers import PostgresServer

pytestmark = pytest.mark.timeout(180)

_DAYS = 22
"""So many that the partition and the afternoon without a chat are among them."""

_OF_SQLITE = """JOIN alerts a ON a.starts_at = d.starts_at AND a.fingerprint = d.fingerprint
    JOIN events e ON e.alert_id = a.id"""
_OF_POSTGRES = "JOIN events e ON e.starts_at = d.starts_at AND e.fingerprint = d.fingerprint"
_IS_ITS_EVENT = """AND e.key = d.event_key AND e.kind = d.event AND e.at = d.created_at AND e.receipt_id = d.receipt_id
    WHERE e.detail IS NOT NULL AND d.settled_at > d.created_at"""


@cache
def _make(now: datetime) -> Scenes:
    return scenes(now, days=_DAYS)


@pytest.fixture
def made() -> Scenes:
    return _make(NOW)


class _Explaining:
    """Notes which alerts it was asked to classify."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def classify(self, fingerprint: str, *, force: bool) -> None:
        assert not force
        self.asked.append(fingerprint)


class _Watched:
    """A recorder that calls `before` with the number of each commit, from 1."""

    def __init__(self, recorder: Recorder, before: Callable[[int], None]) -> None:
        self._recorder = recorder
        self._before = before
        self._commits = 0

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        self._commits += 1
        self._before(self._commits)
        return await self._recorder.commit(receipts)


@asynccontextmanager
async def _stage(
    store: Store, *, before: Callable[[int], None] = lambda _: None, explaining: _Explaining | None = None
) -> AsyncIterator[Demonstration]:
    """A demonstration on a store."""
    ingest = Ingest(_Watched(store.recorder, before), max_pending_bytes=1_000_000, switchboard=Switchboard())
    committing = asyncio.create_task(ingest.run())
    yield Demonstration(
        store,
        intake=Intake(max_alerts=10_000),
        ingest=ingest,
        classifying=cast("Classifying", explaining or _Explaining()),
        clock=lambda: NOW,
    )
    ingest.stop()
    await committing


async def _play(store: Store) -> None:
    async with _stage(store) as demonstration:
        await demonstration.play(_make)


async def _play_at(url: str) -> None:
    store = open_store(url)
    await store.lifecycle.open()
    await _play(store)
    await store.lifecycle.close()


@pytest.fixture(scope="module")
def played_sqlite(prepared_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that has the demo; tests take copies, because to play it takes seconds."""
    path = Path(shutil.copy(prepared_sqlite, tmp_path_factory.mktemp("played")))
    asyncio.run(_play_at(f"sqlite:///{path}"))
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what is copied is the file alone
    return path


@pytest.fixture(scope="module")
def played_postgres(postgres_server: PostgresServer, prepared_postgres: str) -> Iterator[str]:
    """The name of a database that has the demo; tests take copies."""
    url = postgres_server.create_database(template=_name(prepared_postgres))
    asyncio.run(_play_at(url))
    yield _name(url)
    postgres_server.drop_database(url)


@pytest.fixture(params=["sqlite", "postgres"])
def played_url(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[str]:
    """A database of one's own, of both kinds in turn, that has the demo."""
    if request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(request.getfixturevalue('played_sqlite'), tmp_path)}"
        return
    url = postgres_server.create_database(template=request.getfixturevalue("played_postgres"))
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
async def played(played_url: str) -> AsyncIterator[Store]:
    """A store that has the demo."""
    store = open_store(played_url)
    await store.lifecycle.open()
    yield store
    await store.lifecycle.close()


def _name(url: str) -> str:
    return url.rpartition("/")[2]


async def _alerts(store: Store) -> list[StoredAlert]:
    return [alert async for batch in store.history.export(HistoryFilter()) for alert in batch]


async def _ledger(store: Store, news: PastNews) -> Ledger:
    events = await store.history.timeline(occurrence_id(news.fingerprint, to_us(news.starts_at)))
    of = DeliveryFilter(fingerprint=news.fingerprint, starts_at=news.starts_at)
    page = await store.delivery_log.deliveries(of)
    return ledger(events, page.deliveries, classified=None, now=NOW)


async def _assert_kept_once(database_url: str, made: Scenes) -> None:
    """Each message and each delivery is there, and there once."""
    ids = [id_ for (id_,) in await raw.fetch(database_url, "SELECT id FROM receipts")]
    assert Counter(ids) == Counter(message.id for message in [*made.past, *made.incident])
    assert await raw.count(database_url, "deliveries") == sum(len(news.deliveries) for news in made.news)


async def _assert_whole(store: Store, database_url: str, made: Scenes) -> None:
    """All is there once, and each firing is an occurrence."""
    await _assert_kept_once(database_url, made)
    begun = {(alert.fingerprint, alert.starts_at) for alert in await _alerts(store)}
    assert {(news.fingerprint, news.starts_at) for news in made.news} <= begun


# --- what is there ----------------------------------------------------------------------------------------------------


async def test_the_demo_is_taken_in_whole_and_then_over(store: Store, database_url: str, made: Scenes) -> None:
    explaining = _Explaining()
    async with _stage(store, explaining=explaining) as demonstration:
        assert not await demonstration.is_over()
        await demonstration.play(_make)
        assert await demonstration.is_over()
    await _assert_whole(store, database_url, made)
    await check_recount(store, database_url)
    assert explaining.asked == made.explained
    assert await raw.count(database_url, "quarantine") == 0


async def test_every_delivery_is_of_an_event_of_its_time(played_url: str) -> None:
    number = await raw.count(played_url, "deliveries")
    occurrence = _OF_SQLITE if is_sqlite(played_url) else _OF_POSTGRES
    matched = await raw.fetch(played_url, f"SELECT count(*) FROM deliveries d {occurrence} {_IS_ITS_EVENT}")
    assert number > 0
    assert matched == [(number,)]


async def test_the_ledger_explains_a_dead_letter(played: Store, made: Scenes) -> None:
    dead = next(n for n in made.news if len(n.deliveries) == 2 and n.deliveries[1].state == "dead" and n.key == 1)
    alert_ledger = await _ledger(played, dead)
    fired = alert_ledger.events[0]
    lines = {line.target: (line.fate, line.reason) for line in fired.targets}
    assert lines == {
        PAGER: ("delivered", "it matches, and there are no routes"),
        CHAT: ("dead", "answered 403: action_prohibited"),
    }
    assert [step.step for step in fired.steps] == ["received", "recorded", "routed", "delivered"]
    assert fired.steps[2].reason == f"to be told: {PAGER}, {CHAT}"
    assert [line.newest_event for line in alert_ledger.targets] == ["resolved", "resolved"]
    assert await played.delivery_log.dead() == {
        CHAT: sum(delivery.state == "dead" for news in made.news for delivery in news.deliveries)
    }


async def test_the_ledger_says_why_nobody_was_told_of_what_only_informs(played: Store, made: Scenes) -> None:
    alert_ledger = await _ledger(played, next(news for news in made.news if not news.deliveries))
    for event in alert_ledger.events:
        assert {(line.target, line.fate) for line in event.targets} == {(PAGER, "not_told"), (CHAT, "not_told")}


async def test_an_end_keeps_when_it_was_beside_whom_it_went_to(played: Store, made: Scenes) -> None:
    ended = next(news for news in made.news if news.event == "resolved")
    events = await played.history.timeline(occurrence_id(ended.fingerprint, to_us(ended.starts_at)))
    assert set(events[-1].detail or {}) == {"ends_at", "sender", "routing"}


async def test_what_a_silence_hides_is_told_as_silenced_and_went_to_nobody(played: Store) -> None:
    hidden = [alert for alert in await _alerts(played) if alert.source == "event_recorder"]
    assert hidden
    for alert in hidden:
        events = await played.history.timeline(alert.id)
        assert sorted(event.kind for event in events) == ["fired", "resolved", "silenced"]
        assert all("routing" not in (event.detail or {}) for event in events)


async def test_time_that_passes_afterwards_ends_nothing_of_the_past(played: Store, made: Scenes) -> None:
    past_ids = {occurrence_id(news.fingerprint, to_us(news.starts_at)) for news in made.news}
    before = {alert.id: alert.ended_by for alert in await _alerts(played) if alert.id in past_ids}
    assert set(before.values()) == {None, "resolved"}
    await pass_all(played.standings, NOW + timedelta(seconds=30))
    assert {alert.id: alert.ended_by for alert in await _alerts(played) if alert.id in past_ids} == before


# --- broken off -------------------------------------------------------------------------------------------------------


async def test_a_demo_that_was_killed_goes_on_at_the_next_start(store: Store, database_url: str, made: Scenes) -> None:
    half_way = asyncio.Event()

    def before(commit: int) -> None:
        if commit == 3:  # of a dozen
            half_way.set()

    async with _stage(store, before=before) as demonstration:
        playing = asyncio.create_task(demonstration.play(_make))
        await half_way.wait()
        playing.cancel()
        with suppress(asyncio.CancelledError):
            await playing
    receipt_count = await raw.count(database_url, "receipts")
    assert 0 < receipt_count < len(made.past)
    async with _stage(store) as demonstration:
        assert not await demonstration.is_over()
        await demonstration.play(_make)
    await _assert_whole(store, database_url, made)
    assert Counter(alert.ended_by for alert in await _alerts(store))["inferred"] == 0


async def test_a_database_that_fails_for_a_while_is_asked_again(
    store: Store, database_url: str, made: Scenes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_REST_SECONDS", 0)

    def before(commit: int) -> None:
        if commit in {2, 3, 6}:
            raise StorageUnavailable("gone for a moment")

    async with _stage(store, before=before) as demonstration:
        await demonstration.play(_make)
    await _assert_kept_once(database_url, made)


async def test_the_same_news_again_changes_nothing(played: Store, played_url: str, made: Scenes) -> None:
    news = [news for news in made.news if news.deliveries][:50]
    before = [await _ledger(played, each) for each in news]
    await played.demonstrations.add_news(news)
    assert [await _ledger(played, each) for each in news] == before
    await _assert_whole(played, played_url, made)
