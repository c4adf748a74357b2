"""What an archive answers is what the database answered of the same rows: each filter, each order, each place in it.

Holds: `storage.archived.search`, `storage.archived.conditions`, `engine.united_order`.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from alert_history.domain.alert import Alert, Source
from alert_history.domain.archive_tables import Entry, Shape
from alert_history.domain.query import Matcher, Operator, Query
from alert_history.engine.archive import Archiver
from alert_history.engine.archives import note_archived
from alert_history.engine.history import key_of
from alert_history.engine.united_order import behind
from alert_history.ports import HistoryFilter, PageRequest, Position, Store, StoredAlert
from alert_history.storage.shared.parquet import ParquetFormat
from alert_history.storage.shared.shelf import FolderShelf
from tests.conformance.archives import LATER, LIMIT, over
from tests.conformance.samples import DAY, MINUTE, NOW, alert, everything, receipt

_DAYS = 4
_TEXTS = [
    "",
    "web-0",
    "WEB-0",
    "web-1",
    "a\nb",
    "a.b",
    "wêb",
    "'quoted'",
    '"',
    "db\\0",
    "%",
    "Straße",
    "K",
    "\u212aelvin",
]
_TEXTS += ["x" * 300, "line\n", "ЖУК", "🔥", "i", "eu-1,eu-2"]
_NAMES = ["alertname", "namespace", "severity", "pod", "dotted.name", "quo'te", 'quo"te', "ünï", "a\nb", "]", "missing"]
_WORDS = [
    "web",
    "WEB-0",
    "ê",
    "ß",
    "'",
    "%",
    "\\",
    "жук",
    "k",
    "elvin",
    "a\nb",
    "0",
    "🔥",
    "nothing",
    "eu-1,eu",
    "x" * 99,
]


class Keeping:
    """A database from which an archiver removes nothing, so that both have the same rows."""

    def __init__(self, store: Store) -> None:
        self.alone = store.archivable.alone
        self.count = store.archivable.count
        self.take = store.archivable.take
        self.put = store.archivable.put
        self.make_room = store.archivable.make_room

    async def drop(self, shape: Shape, entries: Sequence[Entry]) -> int:
        del shape
        return len(entries)


def population(size: int = 90) -> list[Alert]:
    """Alerts with any of the labels, of any text."""
    rng = random.Random(7)
    alerts = []
    for number in range(size):
        labels = {name: rng.choice(_TEXTS) for name in _NAMES[:-1] if rng.random() < 0.6}
        labels = {name: value for name, value in labels.items() if value} | {"n": str(number)}
        annotations = {"summary": rng.choice(_TEXTS), "why": f"{rng.choice(_TEXTS)} {rng.choice(_TEXTS)}"}
        made = alert(starts_at=NOW - number * MINUTE, annotations=annotations)
        alerts.append(msgspec.structs.replace(made, labels=labels, fingerprint=f"{number:016x}"))
    return alerts


@pytest.fixture
async def both(store: Store, tmp_path: Path) -> Store:
    """A store whose whole history is in the database, and in an archive of several runs as well."""
    alerts = population()
    for day in range(_DAYS):
        at = NOW + day * DAY
        await store.upkeep.prepare(at)
        for part in range(3):
            sent = alerts[day + part * _DAYS :: 3 * _DAYS]
            source: Source = "grafana" if day % 2 else "alertmanager"
            await store.recorder.commit([receipt(*sent, at=at + part * MINUTE, source=source)])
            await store.recorder.commit([receipt(*map(over, sent), at=at + 5 * MINUTE, source=source)])
    await archive_all(store, tmp_path / "an archive")
    return store


async def archive_all(store: Store, folder: Path) -> None:
    """Archive all and remove nothing; in two runs, so that days have files of both."""
    for limit in (NOW + 2 * DAY + MINUTE, LIMIT):
        shelf = FolderShelf(folder)
        archiver = Archiver(
            Keeping(store), shelf, format_=ParquetFormat(), clock=lambda: LATER, chunk_rows=9, rest_seconds=0
        )
        manifest = await archiver.run(limit, database="x", schema_version="1", service_version="2")
        await note_archived(store.settings, manifest, place=str(folder), now=LATER)


def _label(op: Operator, values: list[str]) -> st.SearchStrategy[Matcher]:
    return st.builds(Matcher, name=st.sampled_from(_NAMES), op=st.just(op), value=st.sampled_from(values))


_regexes = [
    "",
    ".*",
    ".+",
    "web-[01]",
    "(?i)WEB-0",
    "a.b",
    "(?-s:a.b)",
    "a\\nb",
    "|web-0",
    "x{300}",
    "\\Qdb\\0\\E",
    "$^",
]
_matchers = st.one_of(_label("=", _TEXTS), _label("!=", _TEXTS), _label("=~", _regexes), _label("!~", _regexes))
_queries = st.builds(
    Query, st.lists(_matchers, max_size=3).map(tuple), st.lists(st.sampled_from(_WORDS), max_size=2).map(tuple)
)
_times = st.one_of(st.none(), st.integers(-1, 8 * _DAYS).map(lambda number: NOW + number * DAY / 8))
_filters = st.builds(
    HistoryFilter,
    query=_queries,
    alertname=st.sampled_from([None, None, None, *_TEXTS]),
    status=st.sampled_from([None, None, "firing", "resolved"]),
    severity=st.sampled_from([None, None, None, "web-0", ""]),
    namespace=st.sampled_from([None, None, None, "web-1", ""]),
    fingerprint=st.sampled_from([None, None, None, f"{7:016x}", "nothing"]),
    since=_times,
    until=_times,
    came_by=st.sampled_from([(), (), (Matcher("source", "=", "grafana"),), (Matcher("receiver", "!=", "team-x"),)]),
)
_sorts = st.sampled_from(
    [
        *("-timestamp", "timestamp", "starts_at", "-starts_at", "-last_received_at", "alertname", "-alertname"),
        *("namespace", "-severity", "status", "repeat_count"),
    ]
)


def as_archived(alerts: list[StoredAlert]) -> list[StoredAlert]:
    return [msgspec.structs.replace(each, is_archived=True) for each in alerts]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=_filters, sort=_sorts)
@example(HistoryFilter(Query((), ("k",))), "-timestamp")
@example(HistoryFilter(Query((Matcher("pod", "=~", "a.b"),), ())), "-timestamp")
async def test_an_archive_answers_as_the_database(both: Store, wanted: HistoryFilter, sort: str) -> None:
    page = await both.history.page(wanted, PageRequest(limit=1000, sort=sort))
    rows = await both.archived_search.rows(wanted, sort=sort, limit=1000)
    assert rows.is_last
    assert sorted(rows.alerts, key=_id) == sorted(as_archived(page.alerts), key=_id)
    assert await both.archived_search.count(wanted, seconds=9) == page.total
    values = [behind(each, sort).value for each in rows.alerts]
    assert values == sorted(values, reverse=sort.startswith("-"))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sort=_sorts, limit=st.integers(20, 80))
async def test_pages_of_an_archive_have_each_occurrence_once(both: Store, sort: str, limit: int) -> None:
    whole = await both.archived_search.rows(HistoryFilter(), sort=sort, limit=1000)
    pages: list[StoredAlert] = []
    after: Position | None = None
    while True:
        rows = await both.archived_search.rows(HistoryFilter(), sort=sort, limit=limit, after=after)
        pages += rows.alerts
        if rows.is_last:
            break
        after = behind(rows.alerts[-1], sort)
    assert pages == whole.alerts
    assert len(pages) == 90


async def test_an_archive_has_the_order_of_postgresql(both: Store) -> None:
    rows = await both.archived_search.rows(HistoryFilter(), sort="-timestamp", limit=1000)
    keys = [(each.timestamp, each.id) for each in rows.alerts]
    assert keys == sorted(keys, reverse=True)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=_filters)
async def test_an_export_of_an_archive_is_that_of_the_database(both: Store, wanted: HistoryFilter) -> None:
    batches = [batch async for batch in both.archived_search.export(wanted, batch_size=7)]
    archived = [each for batch in batches for each in batch]
    assert sorted(archived, key=_id) == sorted(as_archived(await everything(both, wanted)), key=_id)
    assert [each.timestamp for each in archived] == sorted(each.timestamp for each in archived)
    assert {len(batch) for batch in batches[:-1]} <= {7}


async def test_a_count_of_some_keys_counts_those_that_match(both: Store) -> None:
    rows = await both.archived_search.rows(HistoryFilter(), sort="-timestamp", limit=9)
    keys = [key_of(each.id) for each in rows.alerts]
    wanted = HistoryFilter(since=rows.alerts[4].timestamp)
    expected = sum(each.timestamp >= rows.alerts[4].timestamp for each in rows.alerts)
    assert await both.archived_search.count(HistoryFilter(), seconds=9, among=keys) == 9
    assert await both.archived_search.count(wanted, seconds=9, among=keys) == expected


def _id(alert_: StoredAlert) -> str:
    return alert_.id
