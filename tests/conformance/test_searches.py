"""Searches by segments find what a look at each occurrence finds, whatever was added, reworded or forgotten meanwhile.

Holds: `storage.shared.segments`, `storage.shared.searching`, `storage.shared.segment_needs`.
"""

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import asyncpg
import msgspec
import pytest

from alert_history.domain.alert import Alert
from alert_history.domain.archive_tables import ALERTS, Entry
from alert_history.domain.query import parse_query
from alert_history.ports import HistoryFilter, PageRequest, Store
from alert_history.storage.postgres import scanning as postgres_scanning
from alert_history.storage.shared import label_values, searching, segments
from alert_history.storage.shared.searching import Piece, Pieces, Scan, Search
from alert_history.storage.shared.segments import Plan, Summary
from alert_history.storage.shared.session import Session
from alert_history.storage.sqlite import scanning as sqlite_scanning
from alert_history.storage.sqlite import summarising as sqlite_summarising
from alert_history.storage.sqlite.rows import new_ids
from tests.conformance import raw
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, all_pages, everything, receipt
from tests.conformance.test_history_filter import is_wanted

LATER = NOW + 5 * DAY
_WORDS = [
    "disk",
    "full",
    "Straße",
    "Ärger",
    "ЖУК",
    "Kelvin \u212a",
    "50%",
    "café",
    "10.0.0.7",
    'say "no"',
    "back\\slash",
]
_QUERIES = [
    "disk",
    "FULL",
    "nobodywrote",
    '"straße"',
    "ÄRGER",
    "жук",
    "elvin k",
    "50%",
    '"café"',
    "é",
    "ab",
    "{zone=~'eu-.*'}",
    "{zone=~'nowhere.*'}",
    "{zone!~'eu-.*'}",
    "{zone!='eu-1'}",
    "{zone!~'(eu|us)-[0-9]|'}",
    "{zone=''}",
    "{pod=~'web-.*0.*'}",
    "{pod=~'.*zz.*'}",
    "{pod=~'(?i)WEB-0[0-7].*'}",
    "{pod!=''}",
    "{severity=~'info|fatal'} disk",
    "{alertname=~'Disk.*'} full",
    r"`say \"no\"`",
    "`back\\slash`",
]


async def summarised(store: Store, now: datetime = LATER) -> int:
    """The rows summarised until nothing is left to do; on PostgreSQL the first step may only look at the time."""
    rows = await store.upkeep.summarise(now)
    while step := await store.upkeep.summarise(now):
        rows += step
    return rows


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of few rows, so that a few alerts make many."""
    monkeypatch.setattr(segments, "ROWS", 6)
    monkeypatch.setattr(segments, "MOST_STRAYS", 4)
    monkeypatch.setattr(searching, "HOLE_ROWS", 5)
    monkeypatch.setattr(searching, "_FIRST_SEGMENTS", 1)
    monkeypatch.setattr(searching, "_NEXT_SEGMENTS", 2)
    monkeypatch.setattr(label_values, "MOST_VALUES", 30)


class Story:
    """Things that happen to a store, at random."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.now = NOW - 20 * DAY
        self.firing: list[Alert] = []
        self.archived: list[Entry] = []

    async def go_on(self) -> None:
        """One thing."""
        acts = [self.add, self.add, self.add_late, self.reword, self.reword, self.resolve, self.summarise]
        acts += [self.summarise, self.summarise] + [self.forget, self.archive, self.restore] * (
            self.random.random() < 0.4
        )
        await self.random.choice(acts)()

    async def add(self) -> None:
        self.now += self.random.randrange(4) * MINUTE + SECOND
        await self.commit([self.alert() for _ in range(self.random.randrange(1, 6))], self.now)

    async def add_late(self) -> None:
        """By a replica whose clock is late."""
        await self.commit([self.alert()], self.now - self.random.randrange(1, 60) * MINUTE)

    async def reword(self) -> None:
        if self.firing:
            self.now += MINUTE
            again = msgspec.structs.replace(self.random.choice(self.firing), annotations=self.texts())
            await self.store.recorder.commit([receipt(again, at=self.now)])

    async def resolve(self) -> None:
        if self.firing:
            self.now += MINUTE
            ended = self.firing.pop(self.random.randrange(len(self.firing)))
            over = msgspec.structs.replace(ended, status="resolved", ends_at=self.now, annotations=self.texts())
            await self.store.recorder.commit([receipt(over, at=self.now)])

    async def summarise(self) -> None:
        for _ in range(self.random.randrange(1, 4)):
            await self.store.upkeep.summarise(self.now + self.random.randrange(3) * MINUTE)

    async def forget(self) -> None:
        before = self.now - self.random.randrange(30, 600) * MINUTE
        while await self.store.upkeep.drop_history(before):
            pass

    async def archive(self) -> None:
        entries, _ = await self.store.archivable.take(ALERTS, before=self.now - 10 * MINUTE, after=None)
        await self.store.archivable.drop(ALERTS, entries)
        self.archived += entries

    async def restore(self) -> None:
        self.random.shuffle(self.archived)
        some, self.archived = self.archived[:5], self.archived[5:]
        await self.store.archivable.put(ALERTS, some)

    async def commit(self, alerts: Sequence[Alert], at: datetime) -> None:
        self.firing += alerts
        await self.store.recorder.commit([receipt(*alerts, at=at)])

    def alert(self) -> Alert:
        labels = {"pod": f"web-{self.random.randrange(4096):03x}", "n": str(self.random.random())}
        if self.random.random() < 0.7:
            labels["zone"] = self.random.choice(["eu-1", "eu-2", "us-1", ""])
        name = self.random.choice(["DiskFull", "Cpu", "STRASSE"])
        return alert(name, labels=labels, annotations=self.texts(), starts_at=self.now - self.random.randrange(9) * DAY)

    def texts(self) -> dict[str, str]:
        words = self.random.sample(_WORDS, self.random.randrange(3))
        return {"summary": " ".join(words), "n": f"{self.random.randrange(256):02x}"}


async def assert_searches_are_right(store: Store) -> None:
    stored = await everything(store)
    for text in _QUERIES:
        wanted = HistoryFilter(parse_query(text))
        expected = [occurrence for occurrence in stored if is_wanted(occurrence, wanted)]
        page = await store.history.page(wanted, PageRequest(limit=1000))
        assert (text, sorted(h.id for h in page.alerts)) == (text, sorted(h.id for h in expected))
        assert (text, page.total, page.is_total_exact) == (text, len(expected), True)
        first = await store.history.page(wanted, PageRequest(limit=3))
        newest = sorted((occurrence.timestamp for occurrence in expected), reverse=True)
        assert (text, [occurrence.timestamp for occurrence in first.alerts]) == (text, newest[:3])
        assert (text, first.total) == (text, len(expected))


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_a_search_finds_what_matches(store: Store, seed: int) -> None:
    story = Story(store, seed)
    for _ in range(4):
        for _ in range(20):
            await story.go_on()
        await assert_searches_are_right(store)
    await summarised(store, story.now + DAY)
    await assert_searches_are_right(store)


async def record_pods(store: Store, number: int = 60, *, since: datetime = NOW) -> None:
    """So many alerts, a minute apart, each with a pod of its own."""
    for n in range(number):
        labels = {"pod": f"web-{n:03}", "zone": f"eu-{n % 2}"}
        await store.recorder.commit([receipt(alert(labels=labels), at=since + n * MINUTE)])


@pytest.fixture
def read_pieces(monkeypatch: pytest.MonkeyPatch) -> list[Piece]:
    """The pieces of the last search, but those where no segment is."""
    read: list[Piece] = []

    async def noted(scan: Scan, pieces: Pieces, page: PageRequest, *, behind: datetime | None) -> Search:
        read.clear()
        while piece := await pieces.get(len(read)):
            read.append(piece)
        read[:] = [piece for piece in read if not piece.is_hole]
        return await searching.search(scan, pieces, page, behind=behind)

    for module in (postgres_scanning, sqlite_scanning):
        monkeypatch.setattr(module, "search", noted)
    return read


@pytest.mark.parametrize(
    "query, pieces",
    [
        ("nobodywrote", 0),
        ("web-044", 1),
        ("'{pod=\"web-044\"} space'", 1),
        ("{zone=~'us-.*'}", 0),
        ("{zone!~'eu-[01]'}", 0),
        ("{zone=''}", 0),
        ("{nobody_has=~'.+'}", 0),
        ("{pod=~'web-x.*'}", 0),
        ("space", 10),
    ],
)
async def test_a_search_passes_by_what_cannot_match(
    store: Store, read_pieces: list[Piece], query: str, pieces: int
) -> None:
    await record_pods(store)
    assert await summarised(store) >= 58
    await store.history.page(HistoryFilter(parse_query(query.strip("'"))), PageRequest())
    assert len(read_pieces) == pieces


async def test_a_reworded_occurrence_is_found_by_its_new_words(store: Store, read_pieces: list[Piece]) -> None:
    await record_pods(store)
    await summarised(store)
    again = alert(labels={"pod": "web-007", "zone": "eu-1"}, annotations={"summary": "brandnew"})
    await store.recorder.commit([receipt(again, at=LATER)])
    page = await store.history.page(HistoryFilter(parse_query("brandnew")), PageRequest())
    assert [occurrence.labels["pod"] for occurrence in page.alerts] == ["web-007"]
    assert [len(piece.strays) for piece in read_pieces] == [1]
    assert await summarised(store) == 0


async def test_segments_of_forgotten_history_go(store: Store, read_pieces: list[Piece]) -> None:
    await record_pods(store)
    await summarised(store)
    while await store.upkeep.drop_history(NOW + 20 * DAY):
        pass
    await record_pods(store, 3, since=NOW + 30 * DAY)
    await summarised(store)
    await store.history.page(HistoryFilter(parse_query("space")), PageRequest())
    assert len(read_pieces) < 2


async def test_a_search_that_would_take_too_long_says_how_far_it_came(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record_pods(store)
    await summarised(store)
    monkeypatch.setattr(searching, "SEARCH_SECONDS", -1)
    wanted = HistoryFilter(parse_query("{pod=~'web-0[0-9]0'} space"))
    page = await store.history.page(wanted, PageRequest(limit=50))
    assert (page.alerts, page.is_total_exact, page.searched_until is not None) == ([], False, True)
    occurrences = await all_pages(store, wanted, sort="-timestamp", limit=50)
    assert [occurrence.labels["pod"] for occurrence in occurrences] == [f"web-0{n}0" for n in range(5, -1, -1)]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_no_segment_is_built_before_older_transactions_end(store: Store, database_url: str) -> None:
    await record_pods(store)
    other = await asyncpg.connect(database_url)
    await other.execute("BEGIN; SELECT pg_current_xact_id()")
    built = [await store.upkeep.summarise(LATER) for _ in range(3)]
    await other.execute("COMMIT")
    await other.close()
    assert (built, await summarised(store)) == ([0, 0, 0], 60)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_what_is_committed_after_its_segment_was_built_is_found(store: Store, database_url: str) -> None:
    await record_pods(store)
    other = await asyncpg.connect(database_url)
    await store.upkeep.summarise(LATER)
    await other.execute("BEGIN")
    await other.execute(
        """UPDATE alerts SET annotations = '{"summary": "brandnew"}' WHERE labels ->> 'pod' = 'web-007'"""
    )
    await summarised(store)
    await other.execute("COMMIT")
    await other.close()
    for _ in range(2):
        page = await store.history.page(HistoryFilter(parse_query("brandnew")), PageRequest())
        assert [occurrence.labels["pod"] for occurrence in page.alerts] == ["web-007"]
        await summarised(store)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_added_while_its_segment_is_built_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await record_pods(store)

    async def add_late(session: Session, step: Plan, summary: Summary | None, *, row: dict[str, Any] | None) -> int:
        if not late and step.span is not None:
            late.append(alert("Late"))
            connection: sqlite3.Connection = session._connection  # type: ignore[attr-defined]  # noqa: SLF001
            [alert_id] = new_ids(connection, [step.span.first + SECOND])
            columns = "fingerprint, starts_at, timestamp, alertname, namespace, severity, status, annotations"
            rest = "labels, last_received_at, repeat_count, event_count, content_hash, generator_url, source, receiver"
            connection.execute(
                f"""INSERT INTO alerts (id, {columns}, {rest}, is_published) SELECT ?, 'late', starts_at, timestamp,
                alertname, namespace, severity, status, '{{"summary":"brandnew"}}', {rest}, is_published
                FROM alerts LIMIT 1""",
                (alert_id,),
            )
        return await segments.keep(session, step, summary, row=row)

    late: list[Alert] = []
    monkeypatch.setattr(sqlite_summarising, "keep", add_late)
    await summarised(store)
    page = await store.history.page(HistoryFilter(parse_query("brandnew")), PageRequest())
    assert len(page.alerts) == 1
    await store.rollups.count_anew(progress=lambda _: None)  # the late one was inserted past all that counts


async def test_what_an_older_release_rewords_is_found(store: Store, database_url: str) -> None:
    await record_pods(store)
    await summarised(store)
    reworded = """UPDATE alerts SET annotations = '{"summary": "brandnew"}' WHERE starts_at IS NOT NULL RETURNING 1"""
    rows = await raw.fetch(database_url, reworded)
    page = await store.history.page(HistoryFilter(parse_query("brandnew")), PageRequest(limit=1000))
    assert len(page.alerts) == len(rows) == 60


async def test_two_replicas_summarise_at_once(open_replica: OpenReplica, read_pieces: list[Piece]) -> None:
    stores = [await open_replica() for _ in range(2)]
    await record_pods(stores[0])
    for _ in range(40):
        await asyncio.gather(*(store.upkeep.summarise(LATER) for store in stores))
    await assert_searches_are_right(stores[0])
    await stores[0].history.page(HistoryFilter(parse_query("space")), PageRequest(limit=1000))
    spans = sorted((piece.first or NOW, piece.until or NOW) for piece in read_pieces)
    assert len(spans) >= 9
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
