"""An import with an archive beside: old firings are in files, once, counted once, and can be taken back.

Holds: `engine.import_archive`.
"""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from alert_history.domain.archive_tables import ACTS, ALERTS, EVENTS
from alert_history.domain.past_firing import PastAct, PastFiring
from alert_history.engine.archives import Archives, note_days
from alert_history.engine.day_files import read_manifests
from alert_history.engine.import_archive import ImportArchive
from alert_history.engine.united_history import with_archive
from alert_history.errors import ArchiveFault, Busy, InvalidRequest
from alert_history.ports import HistoryFilter, Store
from alert_history.ports.imports import ImportRecord
from alert_history.storage.shared.importing import MOST_FIRINGS
from alert_history.storage.shared.shelf import FolderShelf
from alert_history.storage.sqlite.recorder import SqliteRecorder
from tests.conformance import raw
from tests.conformance.archives import Crash, Fragile, Fuse, archiver, files, restorer
from tests.conformance.import_archives import (
    KEPT_FOR,
    Left,
    archive_at,
    import_beside,
    keys_twice,
    left,
    minute_passes,
    rows_in,
    undo_beside,
    without_again,
)
from tests.conformance.pasts import importing_into, origin_of, past, plan_of, some_past
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, everything, posted
from tests.numbers import check_recount
from tests.servers import PostgresServer

_MOST_STEPS = 500
_LONG = 3650 * DAY


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, prepared_postgres: str) -> Iterator[str]:
    """A copy of one's own, because partitions are made here."""
    url = postgres_server.create_database(template=prepared_postgres.rpartition("/")[2])
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def parquet_in(folder: Path) -> list[str]:
    return [name for name in files(folder) if name.endswith(".parquet")]


async def listed_in(folder: Path) -> list[str]:
    """The files that the manifests list."""
    manifests = await read_manifests(FolderShelf(folder))
    return sorted(note.path for manifest in manifests for note in manifest.files)


async def test_old_firings_go_to_files_and_young_ones_to_the_database(store: Store, folder: Path) -> None:
    firings = [past(400, 390), past(60, 50), past(30, seen=0), past(2000, 1990, name="Slow")]
    record = await import_beside(store, folder, firings)
    assert (record.counts.taken, record.counts.archived, record.counts.joined) == (2, 2, 0)
    assert [each.starts_at for each in await everything(store)] == [NOW - 60 * MINUTE, NOW - 30 * MINUTE]
    assert {row[1] for row in await rows_in(folder, ALERTS)} == {NOW - 400 * MINUTE, NOW - 2000 * MINUTE}
    assert len(await rows_in(folder, EVENTS)) == 4
    assert await listed_in(folder) == parquet_in(folder)
    absence = await Archives(store.settings, retention=KEPT_FOR, clock=lambda: NOW).absence("0123456789abcdef-0")
    assert absence.archived == []
    assert [each["place"] for each in await store.settings.read("archives")] == [str(folder)]


async def test_a_file_has_the_rows_that_the_archiver_would_make(store: Store, folder: Path, tmp_path: Path) -> None:
    firings = [
        past(9000, 8990, annotations={"summary": "ä"}, generator_url="http://p/g", receiver="team-x", repeats=4),
        past(8000, 7000, name="Slow", ended_by="inferred", details={"a": [1]}, source="alertmanager"),
        past(6000, seen=5990, name="Lost"),
    ]
    record = await import_beside(store, folder, firings)
    assert record.counts.archived == 3
    made = {shape: await rows_in(folder, shape) for shape in (ALERTS, EVENTS)}
    await undo_beside(store, folder, record.id)
    closed = [*firings[:2], past(6000, 5990, name="Lost", ended_by="inferred")]
    await importing_into(store).run(plan_of(origin_of(closed)))
    other = tmp_path / "other"
    await archiver(store, FolderShelf(other), at=NOW).run(
        NOW - DAY, database="x", schema_version="1", service_version="2"
    )
    assert await everything(store) == []
    assert made == {shape: await rows_in(other, shape) for shape in (ALERTS, EVENTS)}


@pytest.mark.parametrize("seed", range(12))
async def test_beside_an_archive_is_the_same_history(store: Store, database_url: str, folder: Path, seed: int) -> None:
    """The same occurrences and numbers as without an archive; again, it changes nothing; undone, all is as before.

    Every second time all of it is weeks ago, when nobody speaks of it any more.
    """
    random, ago = Random(seed), seed % 2 * 20 * DAY
    when: dict[str, Any] = {"retention": KEPT_FOR + ago, "now": NOW + ago}
    firings = some_past(random, most=30)
    before = await left(store, database_url, folder)
    whole = await importing_into(store, now=NOW + ago).run(plan_of(origin_of(firings)))
    expected = await left(store, database_url, folder)
    await importing_into(store).undo(whole.id)
    record = await import_beside(store, folder, random.sample(firings, len(firings)), **when)
    state = await left(store, database_url, folder)
    assert record.counts.archived == len(state.archived["alerts"])
    assert record.counts.archived + record.counts.taken == whole.counts.taken
    assert _keys(state) == _keys(expected)
    assert without_again(state).numbers == without_again(expected).numbers
    assert state.labels == expected.labels
    names = files(folder)
    again = await import_beside(store, folder, firings, **when)
    assert (again.counts.archived, again.counts.taken, again.counts.corrected) == (0, 0, 0)
    assert (await left(store, database_url, folder), files(folder)) == (state, names)
    await check_recount(store, database_url)
    for number in (again.id, record.id):
        await undo_beside(store, folder, number)
    assert await left(store, database_url, folder) == before
    assert files(folder) == []


def _keys(state: Left) -> list[Any]:
    """All occurrences, wherever they are: label set, start, end and how that is known."""
    names = ("fingerprint", "starts_at", "ends_at", "ended_by")
    archived = [tuple(row[ALERTS.places[name]] for name in names) for row in state.archived["alerts"]]
    stored = [(row[0], _time(row[1]), _time(row[3]), row[4]) for row in state.rows]
    return sorted([*archived, *stored], key=repr)


def _time(value: Any) -> Any:
    return NOW + timedelta(microseconds=value - int(NOW.timestamp()) * 1_000_000) if isinstance(value, int) else value


async def test_what_began_again_is_counted_so(store: Store, database_url: str, folder: Path) -> None:
    firings = [past(900 - 30 * number, 890 - 30 * number) for number in range(12)]
    record = await import_beside(store, folder, firings)
    assert record.counts.archived == 12
    state = await left(store, database_url, folder)
    assert sum(tally.again for tally in state.numbers["all"].values()) == 11
    await undo_beside(store, folder, record.id)
    assert not any((await left(store, database_url, folder)).numbers.values())


async def test_a_second_import_is_joined_with_what_the_archive_holds(store: Store, folder: Path) -> None:
    await import_beside(store, folder, [past(400, 390), past(300, 290)])
    other = [past(395, 380), past(500, 450), past(300, 290)]
    record = await import_beside(store, folder, other, name="other", what="other")
    assert (record.counts.joined, record.counts.archived, record.counts.corrected) == (2, 1, 0)
    starts = [row[1] for row in await rows_in(folder, ALERTS)]
    assert sorted(starts) == [NOW - minutes * MINUTE for minutes in (500, 400, 300)]


async def test_what_the_database_holds_is_joined_there(store: Store, folder: Path) -> None:
    began = alert(starts_at=NOW - 400 * MINUTE)
    await store.recorder.commit([posted(began, client="prom-a", at=began.starts_at + SECOND)])
    record = await import_beside(store, folder, [past(420, 300), past(900, 890)])
    assert (record.counts.joined, record.counts.corrected, record.counts.archived) == (1, 1, 1)
    (kept,) = await everything(store)
    assert (kept.starts_at, kept.status) == (NOW - 420 * MINUTE, "firing")


async def test_pieces_are_one_firing_however_many(store: Store, folder: Path) -> None:
    """More pieces than a step has, cut so that the last ones touch: the step is not cut there."""
    number = MOST_FIRINGS + 200
    pieces = [past(9000 - each, 9000 - each - 1) for each in range(MOST_FIRINGS - 100, number)]
    apart = [past(60_000 - 20 * each, 60_000 - 20 * each - 10) for each in range(MOST_FIRINGS - 100)]
    record = await import_beside(store, folder, [*apart, *pieces], chunk_rows=500)
    assert (record.counts.archived, record.counts.merged) == (len(apart) + 1, len(pieces) - 1)


async def test_acts_go_along_once(store: Store, database_url: str, folder: Path) -> None:
    acts = (PastAct("log-1", "acknowledged", NOW - 5000 * MINUTE, "ada"), PastAct("n-1", "noted", NOW, "bob", "done"))
    old, young = past(5100, 4900, acts=acts), past(60, 50, name="Slow", acts=acts)
    record = await import_beside(store, folder, [old, young])
    assert record.counts.acts == 2
    assert await raw.count(database_url, "acts") == 2
    state = await left(store, database_url, folder)
    assert [(row[ACTS.places["by"]], row[1]) for row in state.archived["acts"]] == [
        ("ada", old.starts_at),
        ("bob", old.starts_at),
    ]
    await import_beside(store, folder, [old, young])
    assert await left(store, database_url, folder) == state
    await undo_beside(store, folder, record.id)
    assert files(folder) == []


async def test_a_dry_run_says_what_would_go_and_writes_nothing(store: Store, database_url: str, folder: Path) -> None:
    record = await import_beside(store, folder, [past(400, 390), past(60, 50)], is_dry_run=True)
    assert (record.counts.archived, record.counts.taken) == (1, 1)
    assert files(folder) == []
    assert await raw.count(database_url, "import_files") == 0


async def test_history_that_lies_in_another_archive_is_not_brought_in_twice(store: Store, folder: Path) -> None:
    await note_days(store.settings, [NOW.date()], place="s3://elsewhere/archive", now=NOW)
    with pytest.raises(InvalidRequest, match="s3://elsewhere/archive"):
        await import_beside(store, folder, [past(400, 390)])
    assert files(folder) == []


async def test_nobody_archives_meanwhile(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alert_history.engine.importing._TURNS", 1)
    async with store.archivable.alone():
        with pytest.raises(Busy):
            await import_beside(store, folder, [past(400, 390)])


async def test_the_history_finds_what_went_straight_to_the_archive(store: Store, folder: Path) -> None:
    record = await import_beside(store, folder, [past(4000, 3990), past(60, 50)])
    both = await everything(with_archive(store), HistoryFilter(includes_archive=True))
    assert [each.starts_at for each in both] == [NOW - 4000 * MINUTE, NOW - 60 * MINUTE]
    assert {each.import_id for each in both} == {record.id}
    old, _ = both
    events = await with_archive(store).history.timeline(old.id)
    assert [event.kind for event in events] == ["fired", "resolved"]


# --- back in the database ---


async def test_what_is_restored_is_not_counted_twice(store: Store, database_url: str, folder: Path) -> None:
    firings = [past(9000 - 100 * number, 8950 - 100 * number, repeats=3) for number in range(20)]
    record = await import_beside(store, folder, [*firings, past(60, 50)])
    before = await left(store, database_url, folder)
    restoring = restorer(store, FolderShelf(folder))
    await restoring.run(start=None, end=None, retention=KEPT_FOR, keep=30 * DAY)
    assert len(await everything(store)) == 21
    state = await left(store, database_url, folder)
    assert (state.numbers, state.labels) == (before.numbers, before.labels)
    await check_recount(store, database_url)
    again = await import_beside(store, folder, firings)
    assert (again.counts.archived, again.counts.taken, again.counts.joined) == (0, 0, 20)
    manifest = await archiver(store, FolderShelf(folder), at=NOW).run(
        NOW - DAY, database="x", schema_version="1", service_version="2"
    )
    assert (manifest.found["alerts"], manifest.written["alerts"]) == (20, 0)
    assert not keys_twice(await rows_in(folder, ALERTS))
    await restoring.run(start=None, end=None, retention=KEPT_FOR, keep=30 * DAY)
    undone = await undo_beside(store, folder, record.id)
    assert (undone.counts.archived, undone.counts.taken, undone.counts.joined) == (20, 21, 0)
    state = await left(store, database_url, folder)
    assert (state.rows, parquet_in(folder)) == ([], [])
    assert (state.numbers, state.labels) == ({name: {} for name in state.numbers}, {})


async def test_into_another_database_it_is_counted(store: Store, database_url: str, folder: Path) -> None:
    """A database that never heard of the import counts what is restored into it, as of any archive."""
    await import_beside(store, folder, [past(900, 890), past(700, 690)])
    expected = await left(store, database_url, folder)
    for table in ("rollups", "rollup_again", "rollup_log", "label_name_counts", "label_value_counts", "import_files"):
        await raw.fetch(database_url, f"DELETE FROM {table}")
    await raw.fetch(database_url, "DELETE FROM settings WHERE name = 'history_whole_from'")
    await restorer(store, FolderShelf(folder)).run(start=None, end=None, retention=KEPT_FOR, keep=30 * DAY)
    state = await left(store, database_url, folder)
    assert without_again(state).numbers == without_again(expected).numbers


# --- taken back ---


async def test_an_undo_elsewhere_says_so_before_it_changes_anything(store: Store, folder: Path, tmp_path: Path) -> None:
    record = await import_beside(store, folder, [past(400, 390), past(60, 50)])
    with pytest.raises(InvalidRequest, match=f"alert-history import undo {record.id}"):
        await importing_into(store).undo(record.id)
    with pytest.raises(ArchiveFault, match="--archive"):
        await undo_beside(store, tmp_path / "moved", record.id)
    assert len(await everything(store)) == 1
    moved = await asyncio.to_thread(folder.rename, tmp_path / "moved")
    undone = await undo_beside(store, moved, record.id)
    assert (undone.counts.archived, undone.counts.taken, undone.state) == (1, 1, "undone")
    assert files(moved) == []


async def test_an_undo_leaves_the_files_of_others(store: Store, database_url: str, folder: Path) -> None:
    await import_beside(store, folder, [past(400, 390)])
    before = await left(store, database_url, folder)
    record = await import_beside(store, folder, [past(405, 395), past(700, 690)], name="other", what="other")
    await undo_beside(store, folder, record.id)
    assert await left(store, database_url, folder) == before
    assert await listed_in(folder) == parquet_in(folder)


# --- broken off ---

_FIRINGS = [
    *(past(9000 - 300 * number, 8950 - 300 * number, repeats=2, name=f"A{number % 3}") for number in range(6)),
    past(60, 50),
    past(4000, 3000, name="Act", acts=(PastAct("n-1", "noted", NOW - 3500 * MINUTE, "ada", "looked"),)),
]


def _stride(store: Store) -> int:
    """Every fifth step on SQLite, fewer on PostgreSQL: the steps are the same, and connecting takes time."""
    return 5 if isinstance(store.recorder, SqliteRecorder) else 13


def _fragile(store: Store, folder: Path, fuse: Fuse) -> tuple[Store, ImportArchive]:
    fragile = msgspec.structs.replace(store, imports=Fragile(store.imports, fuse))
    archive = msgspec.structs.replace(
        archive_at(store, folder),
        shelf=Fragile(FolderShelf(folder), fuse),
        files=Fragile(store.import_files, fuse),
    )
    return fragile, archive


async def _import_that_breaks(store: Store, folder: Path, length: int) -> bool:
    fragile, archive = _fragile(store, folder, Fuse(length))
    try:
        await importing_into(fragile, retention=KEPT_FOR).run(plan_of(origin_of(_FIRINGS), archive=archive))
    except Crash:
        return True
    return False


async def test_an_import_that_breaks_off_anywhere_doubles_nothing(
    store: Store, database_url: str, folder: Path
) -> None:
    record = await import_beside(store, folder, _FIRINGS)
    assert record.counts.archived == len(_FIRINGS) - 1
    expected = await left(store, database_url, folder)
    await undo_beside(store, folder, record.id)
    empty = await left(store, database_url, folder)
    length = 1
    while await _import_that_breaks(store, folder, length):
        await minute_passes(database_url)
        record = await import_beside(store, folder, _FIRINGS)
        assert record.counts.archived in {0, len(_FIRINGS) - 1}, "all, or the run before was done but for its last word"
        assert await left(store, database_url, folder) == expected, length
        assert await listed_in(folder) == parquet_in(folder), length
        await _undo(store, folder)
        assert await left(store, database_url, folder) == empty, length
        assert parquet_in(folder) == [], length
        length += _stride(store)
    assert 80 < length < _MOST_STEPS


async def _undo(store: Store, folder: Path) -> None:
    """Take back what is not taken back yet."""
    for record in await store.imports.newest(10_000):
        if record.state != "undone":
            await undo_beside(store, folder, record.id)


async def test_an_undo_that_breaks_off_anywhere_is_begun_again(store: Store, database_url: str, folder: Path) -> None:
    empty = await left(store, database_url, folder)
    length = 1
    while await _undo_that_breaks(store, folder, await import_beside(store, folder, _FIRINGS), length):
        await _undo(store, folder)
        assert await left(store, database_url, folder) == empty, length
        assert parquet_in(folder) == [], length
        length += _stride(store)
    assert 40 < length < _MOST_STEPS


async def test_an_undo_that_broke_off_is_finished_by_the_next_import(
    store: Store, database_url: str, folder: Path
) -> None:
    expected = None
    length = 1
    while await _undo_that_breaks(store, folder, await import_beside(store, folder, _FIRINGS), length):
        if expected is None:
            await _undo(store, folder)
            await import_beside(store, folder, _FIRINGS)
            expected = await left(store, database_url, folder)
        await import_beside(store, folder, _FIRINGS)
        assert await left(store, database_url, folder) == expected, length
        await _undo(store, folder)
        length += 5 * _stride(store)
    assert 40 < length < _MOST_STEPS


async def _undo_that_breaks(store: Store, folder: Path, record: ImportRecord, length: int) -> bool:
    fragile, archive = _fragile(store, folder, Fuse(length))
    try:
        await importing_into(fragile, retention=KEPT_FOR).undo(record.id, open_archive=lambda _: archive)
    except Crash:
        return True
    return False


async def test_the_archivers_clearing_up_is_no_harm(store: Store, database_url: str, folder: Path) -> None:
    """A nightly `archive` runs between the death of an import and its next run."""
    record = await import_beside(store, folder, _FIRINGS)
    expected = await left(store, database_url, folder)
    await undo_beside(store, folder, record.id)
    for length in range(30, 90, 8):
        assert await _import_that_breaks(store, folder, length), length
        await archiver(store, FolderShelf(folder), at=NOW).run(
            NOW - 30 * DAY, database="x", schema_version="1", service_version="2"
        )
        await minute_passes(database_url)
        await import_beside(store, folder, _FIRINGS)
        assert await left(store, database_url, folder) == expected, length
        await _undo(store, folder)


async def test_what_fires_still_but_was_last_seen_long_ago_is_over(store: Store, folder: Path) -> None:
    record = await import_beside(store, folder, [PastFiring({"alertname": "Gone"}, NOW - 900 * MINUTE)])
    assert record.counts.archived == 1
    ((*_, row),) = [await rows_in(folder, ALERTS)]
    assert (row[ALERTS.places["status"]], row[ALERTS.places["ended_by"]]) == ("resolved", "inferred")
