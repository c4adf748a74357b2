"""Old history moves into an archive and back: whole, once, and wherever the run was broken off.

Holds: `engine.restore`.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import duckdb
import httpx
import msgspec
import pytest

from alert_history.domain.acts import Act
from alert_history.domain.archive_tables import BODIES, SHAPES
from alert_history.engine.day_files import read_manifests
from alert_history.engine.upkeep import Retention, forget
from alert_history.errors import ArchiveFault, Busy, InvalidQuery, NotFound, WouldBeForgotten
from alert_history.ports import HistoryFilter, Shelf, Store
from alert_history.storage import open_store
from alert_history.storage.shared.parquet import ParquetFormat
from alert_history.storage.shared.shelf import FolderShelf, open_shelf
from alert_history.storage.sqlite.recorder import SqliteRecorder
from tests import servers
from tests.conformance import raw
from tests.conformance.archives import (
    DISK,
    LATER,
    LIMIT,
    NEXT_DAY,
    OLD,
    RETENTION,
    YOUNG,
    Crash,
    Fragile,
    Fuse,
    archive,
    archiver,
    as_an_earlier_release_wrote_it,
    contents,
    files,
    over,
    publish,
    record_old,
    restore,
    restorer,
)
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import DAY, MINUTE, NOW, alert, everything, id_of, kinds, note, receipt
from tests.lapsing import pass_all
from tests.servers import PostgresServer

_STEPS = 400
_OTHERS = {"receipts": (3, 3), "quarantine": (1, 1)}


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, prepared_postgres: str) -> Iterator[str]:
    """A copy of one's own, because partitions are made here."""
    url = postgres_server.create_database(template=prepared_postgres.rpartition("/")[2])
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = open_store(database_url, router=publish)
    await opened.lifecycle.open()
    await record_old(opened)
    yield opened
    await opened.lifecycle.close()


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3."""
    with servers.s3_server() as server:
        yield server.url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def shelf(folder: Path) -> Shelf:
    """An empty archive."""
    return open_shelf(str(folder), {})


@pytest.fixture(params=["folder", "s3"])
def any_shelf(request: pytest.FixtureRequest, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """An empty archive of each kind in turn."""
    return shelf if request.param == "folder" else open_bucket(request.getfixturevalue("s3"), monkeypatch)


def open_bucket(url: str, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    name = f"history-{uuid4().hex[:12]}"
    httpx.put(f"{url}/{name}", trust_env=False).raise_for_status()
    return open_shelf(f"s3://{name}/alerts/of/ours", {"AWS_ENDPOINT_URL": url})


async def names(store: Store) -> set[str]:
    return {occurrence.alertname for occurrence in await everything(store)}


# --- moving out ---


async def test_old_history_leaves_the_database(store: Store, any_shelf: Shelf) -> None:
    manifest = await archive(store, any_shelf)
    assert await names(store) == {"Young"}
    assert manifest.removed == {"alerts": 8, "deliveries": 16, "receipts": 3, "quarantine": 1}
    assert manifest.left == {"alerts": 0, "deliveries": 0, "receipts": 0, "quarantine": 0}


async def test_it_leaves_nothing_of_it_behind(store: Store, shelf: Shelf, database_url: str) -> None:
    await archive(store, shelf)
    left = {table: await raw.count(database_url, table) for table in ("events", "receipts", "deliveries", "quarantine")}
    assert left == {"events": 1, "receipts": 1, "deliveries": 0, "quarantine": 0}


async def test_what_left_is_no_longer_found_by_a_label(store: Store, shelf: Shelf) -> None:
    await archive(store, shelf)
    assert await everything(store, HistoryFilter(fingerprint=DISK.fingerprint)) == []


async def test_files_lie_in_folders_of_days(store: Store, folder: Path) -> None:
    manifest = await archive(store, FolderShelf(folder))
    paths = [name for name in files(folder) if not name.startswith("_")]
    assert {name.rpartition("/")[0] for name in paths} == {
        "alerts/year=2026/month=03/day=04",
        "alerts/year=2026/month=03/day=05",
        "deliveries/year=2026/month=03/day=04",
        "deliveries/year=2026/month=03/day=05",
        "events/year=2026/month=03/day=04",
        "events/year=2026/month=03/day=05",
        "quarantine/year=2026/month=03/day=04",
        "receipts/year=2026/month=03/day=04",
        "receipts/year=2026/month=03/day=05",
    }
    assert all(name.endswith(".parquet") for name in paths)
    assert [name for name in files(folder) if name.startswith("_")] == [f"_manifests/{manifest.run}.json"]


async def test_a_manifest_tells_every_file_truly(store: Store, any_shelf: Shelf) -> None:
    made = await archive(store, any_shelf)
    (manifest,) = await read_manifests(any_shelf)
    assert msgspec.json.encode(manifest) == msgspec.json.encode(made)
    assert (manifest.started_at, manifest.finished_at, manifest.before) == (LATER, LATER, LIMIT)
    rows: dict[str, int] = {}
    for each in manifest.files:
        data = await any_shelf.read(each.path)
        assert len(data) == each.file_bytes
        rows[each.table] = rows.get(each.table, 0) + each.rows
    assert rows == {"alerts": 8, "events": 17, "deliveries": 16, "receipts": 3, "quarantine": 1}


async def test_what_is_still_to_be_told_stays(store: Store, shelf: Shelf, database_url: str) -> None:
    waiting = alert("Waiting")
    await store.recorder.commit([msgspec.structs.replace(receipt(waiting, over(waiting), at=NOW), publish=True)])
    await archive(store, shelf)
    assert await names(store) == {"Young", "Waiting"}
    assert await raw.count(database_url, "delivery_queue") == 2


async def test_what_still_fires_stays(store: Store, shelf: Shelf) -> None:
    await store.recorder.commit([receipt(alert("Open"), at=NOW)])
    await archive(store, shelf)
    assert await names(store) == {"Young", "Open"}
    await store.recorder.commit([receipt(alert("Open", "resolved"), at=LATER)])
    assert await kinds(store, alert("Open")) == ["fired", "resolved"]


async def test_what_is_still_received_stays_with_its_events_and_deliveries(
    store: Store, shelf: Shelf, database_url: str
) -> None:
    await store.recorder.commit([receipt(over(OLD[1]), at=LATER)])
    await archive(store, shelf)
    assert await names(store) == {"Young", "Cpu"}
    assert await kinds(store, OLD[1]) == ["fired", "resolved"]
    assert await raw.fetch(database_url, "SELECT fingerprint FROM deliveries") == [(OLD[1].fingerprint,)] * 2


async def test_bodies_come_along_when_asked_for(store: Store, any_shelf: Shelf, database_url: str) -> None:
    manifest = await archive(store, any_shelf, with_bodies=True)
    (path, *_) = [each.path for each in manifest.files if each.table == "bodies"]
    rows = list(ParquetFormat().decode(BODIES, await any_shelf.read(path), only=["body"]))
    assert (b"second",) in rows
    assert await raw.count(database_url, "receipt_bodies") == 1


async def test_what_is_younger_than_a_day_is_not_archived(store: Store, shelf: Shelf) -> None:
    with pytest.raises(InvalidQuery, match="24 hours"):
        await archiver(store, shelf).run(LATER - DAY + MINUTE, database="", schema_version="", service_version="")


async def test_an_archive_of_nothing_writes_nothing(store: Store, folder: Path) -> None:
    await archive(store, FolderShelf(folder))
    before = files(folder)
    again = await archive(store, FolderShelf(folder))
    assert (again.removed, files(folder)) == ({}, before)


async def test_only_one_archives_at_a_time(store: Store, shelf: Shelf, open_replica: OpenReplica) -> None:
    other = await open_replica()
    async with other.archivable.alone():
        with pytest.raises(Busy):
            await archive(store, shelf)
    await archive(store, shelf)


class Changed:
    """A store in which an old alert is sent again just before it would be taken out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.drop_ = store.archivable.drop
        self.is_done = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._store.archivable, name)

    async def drop(self, *args: object) -> int:
        if not self.is_done:
            self.is_done = True
            await self._store.recorder.commit([receipt(over(OLD[1]), at=LATER)])
            await self._store.recorder.commit([receipt(notes=[note(OLD[2])], at=LATER)])
        return await self.drop_(*args)  # type: ignore[arg-type]


async def test_what_changes_meanwhile_stays(store: Store, folder: Path) -> None:
    changed = msgspec.structs.replace(store, archivable=Changed(store))
    manifest = await archive(changed, FolderShelf(folder))
    assert manifest.left["alerts"] == 2
    assert await names(store) == {"Young", "Cpu", "Net"}
    assert await kinds(store, OLD[2]) == ["fired", "silenced", "resolved"]


# --- moving back ---


async def test_restored_history_is_what_it_was(store: Store, any_shelf: Shelf) -> None:
    before = await contents(store)
    await archive(store, any_shelf, with_bodies=True)
    counts = await restore(store, any_shelf)
    assert await contents(store) == before
    assert counts["alerts"] == (8, 8)


async def test_restored_alert_is_found_by_a_label_and_shows_its_timeline(store: Store, shelf: Shelf) -> None:
    before = await store.history.find(id_of(DISK)), await store.history.timeline(id_of(DISK))
    await archive(store, shelf)
    await restore(store, shelf)
    (occurrence,) = await everything(store, HistoryFilter(fingerprint=DISK.fingerprint))
    assert (occurrence, await store.history.timeline(id_of(DISK))) == before


async def test_restoring_again_changes_nothing(store: Store, any_shelf: Shelf) -> None:
    await archive(store, any_shelf)
    await restore(store, any_shelf)
    before = await contents(store)
    assert {new for new, _ in (await restore(store, any_shelf)).values()} == {0}
    assert await contents(store) == before


async def test_nobody_is_told_of_what_comes_back(store: Store, shelf: Shelf, database_url: str) -> None:
    await archive(store, shelf)
    await restore(store, shelf)
    assert await raw.count(database_url, "delivery_queue") == 0


async def test_restored_history_that_is_archived_again_is_there_once(store: Store, any_shelf: Shelf) -> None:
    await archive(store, any_shelf)
    before = await any_shelf.names("alerts")
    await restore(store, any_shelf)
    again = await archive(store, any_shelf)
    assert (again.written["alerts"], again.found["alerts"], again.removed["alerts"]) == (0, 8, 8)
    assert await any_shelf.names("alerts") == before


async def test_what_the_database_knows_better_stays(store: Store, shelf: Shelf) -> None:
    await archive(store, shelf)
    await store.recorder.commit([receipt(alert("Cpu", "resolved", starts_at=OLD[1].starts_at), at=LATER)])
    counts = await restore(store, shelf)
    assert counts["alerts"] == (7, 8)
    assert (await store.history.find(id_of(OLD[1]))).status == "resolved"
    assert len(await kinds(store, OLD[1])) == 1


async def test_the_newest_copy_of_what_was_archived_twice_comes_back(store: Store, shelf: Shelf) -> None:
    await archive(store, shelf)
    await restore(store, shelf)
    await store.recorder.commit([receipt(over(OLD[1]), at=NOW + 3 * DAY)])
    await archive(store, shelf, at=LATER + MINUTE)
    await restore(store, shelf)
    assert (await store.history.find(id_of(OLD[1]))).repeat_count == 1


async def test_a_range_of_days_comes_back_alone(store: Store, shelf: Shelf) -> None:
    await archive(store, shelf)
    await restorer(store, shelf).run(start=NOW + DAY, end=NOW + 2 * DAY, retention=RETENTION, keep=None)
    assert await names(store) == {"Young", *(each.labels["alertname"] for each in NEXT_DAY)}


async def test_nothing_in_a_range_is_said(store: Store, shelf: Shelf) -> None:
    await archive(store, shelf)
    with pytest.raises(NotFound):
        await restorer(store, shelf).run(start=NOW + 9 * DAY, end=None, retention=RETENTION, keep=None)


async def test_an_archive_of_one_database_is_restored_to_the_other(
    store: Store, folder: Path, database_url: str, sqlite_url: str, postgres_url: str
) -> None:
    await archive(store, FolderShelf(folder))
    other = open_store(postgres_url if database_url == sqlite_url else sqlite_url)
    await other.lifecycle.open()
    await restore(store, FolderShelf(folder))
    await restore(other, FolderShelf(folder))
    wanted = [each for each in await everything(store) if each.alertname != "Young"]
    by_id = {each.id: each for each in await everything(other)}
    assert by_id == {each.id: each for each in wanted}
    await other.lifecycle.close()


async def test_an_archive_of_a_release_that_knew_less_comes_back(store: Store, shelf: Shelf) -> None:
    before = await everything(store)
    await archive(store, shelf)
    await as_an_earlier_release_wrote_it(shelf)
    assert await restore(store, shelf) == {"alerts": (8, 8), "deliveries": (16, 16)} | _OTHERS
    by_id = {occurrence.id: occurrence for occurrence in await everything(store)}
    assert {
        occurrence.id: (occurrence.ends_at, occurrence.ended_by)
        for occurrence in before
        if occurrence.alertname != "Cpu"
    } == {
        occurrence.id: (occurrence.ends_at, occurrence.ended_by)
        for occurrence in by_id.values()
        if occurrence.alertname != "Cpu"
    }


async def test_what_an_earlier_release_archived_while_it_fired_comes_back_as_over(store: Store, shelf: Shelf) -> None:
    await archive(store, shelf)
    await as_an_earlier_release_wrote_it(shelf, firing=OLD[1])
    await restore(store, shelf)
    occurrence = await store.history.find(id_of(OLD[1]))
    assert (occurrence.status, occurrence.ended_by, occurrence.ends_at) == ("resolved", "inferred", NOW + MINUTE)
    *_, event = await store.history.timeline(id_of(OLD[1]))
    assert (event.kind, event.at, await kinds(store, OLD[1])) == ("inferred", LATER, ["fired", "inferred"])


async def test_what_an_earlier_release_archived_while_it_fired_is_told_to_nobody_and_looked_at_no_more(
    store: Store, shelf: Shelf, database_url: str
) -> None:
    await archive(store, shelf)
    await as_an_earlier_release_wrote_it(shelf, firing=OLD[1])
    await restore(store, shelf)
    assert (await store.standings.adopt(LATER), await pass_all(store.standings, LATER)) == (0, 0)
    assert await store.standings.count() == {"firing": 1, "unconfirmed": 0, "conflict": 0}
    assert await raw.count(database_url, "delivery_queue") == 0


async def test_a_damaged_file_is_refused(store: Store, folder: Path) -> None:
    manifest = await archive(store, FolderShelf(folder))
    path = folder / next(each.path for each in manifest.files if each.table == "alerts")
    path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
    with pytest.raises(ArchiveFault, match="damaged"):
        await restore(store, FolderShelf(folder))


# --- retention ---


async def test_history_past_its_retention_is_not_restored_by_itself(store: Store, shelf: Shelf) -> None:
    await archive(store, shelf)
    with pytest.raises(WouldBeForgotten, match="RETENTION_DAYS=30"):
        await restorer(store, shelf).run(start=None, end=None, retention=30 * DAY, keep=None)
    assert await names(store) == {"Young"}


async def test_history_that_is_kept_for_days_survives_retention_until_then(store: Store, shelf: Shelf) -> None:
    await archive(store, shelf)
    await restorer(store, shelf).run(start=None, end=None, retention=30 * DAY, keep=7 * DAY)
    retention = Retention(history=30 * DAY, bodies=7 * DAY)
    await forget(store.upkeep, store.settings, retention=retention, now=LATER + 6 * DAY)
    assert len(await names(store)) == 9
    await forget(store.upkeep, store.settings, retention=retention, now=LATER + 8 * DAY)
    assert await names(store) == {"Young"}


async def test_retention_still_drops_what_is_older_than_what_was_restored(store: Store, shelf: Shelf) -> None:
    await archive(store, shelf)
    await store.recorder.commit([receipt(alert("Ancient", starts_at=NOW - 90 * DAY), at=NOW - 90 * DAY)])
    await restorer(store, shelf).run(start=None, end=None, retention=30 * DAY, keep=7 * DAY)
    await forget(store.upkeep, store.settings, retention=Retention(history=30 * DAY, bodies=7 * DAY), now=LATER)
    assert "Ancient" not in await names(store)


# --- breaking off ---


def count_in(folder: Path, table: str) -> tuple[int, int]:
    """Rows, and different rows by key, as DuckDB reads them."""
    key = "(fingerprint, starts_at, key)" if table == "events" else "(fingerprint, starts_at)"
    sql = f"SELECT count(*), count(DISTINCT {key}) FROM read_parquet('{folder}/{table}/**/*.parquet')"
    with duckdb.connect() as connection:
        row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0], row[1]


def _stride(store: Store) -> int:
    """Every step on SQLite, every seventh on PostgreSQL: the steps are the same, and connecting takes time."""
    return 1 if isinstance(store.recorder, SqliteRecorder) else 7


async def crash_at(length: int, store: Store, folder: Path) -> bool:
    """Whether a run broke off at that step; False if it came to its end before."""
    fuse = Fuse(length)
    fragile = msgspec.structs.replace(store, archivable=Fragile(store.archivable, fuse))
    try:
        await archive(fragile, Fragile(FolderShelf(folder), fuse))  # type: ignore[arg-type]
    except Crash:
        return True
    return False


async def test_a_run_that_breaks_off_anywhere_loses_nothing_and_doubles_nothing(store: Store, tmp_path: Path) -> None:
    before = await contents(store)
    for length in range(1, _STEPS, _stride(store)):
        folder = tmp_path / f"archive-{length}"
        has_crashed = await crash_at(length, store, folder)
        await archive(store, FolderShelf(folder))
        assert (count_in(folder, "alerts"), count_in(folder, "events")) == ((8, 8), (17, 17)), length
        assert not list(folder.rglob("*.partial")), length
        manifests = await read_manifests(FolderShelf(folder))
        paths = sorted(each.path for manifest in manifests for each in manifest.files)
        assert paths == [name for name in files(folder) if name.endswith(".parquet")], length
        await restore(store, FolderShelf(folder))
        after = await contents(store)
        assert {**after, "bodies": before["bodies"]} == before, length
        if not has_crashed:
            break
    assert length > 50
    assert length < _STEPS - 1


async def test_a_restore_that_breaks_off_anywhere_can_be_done_again(store: Store, tmp_path: Path) -> None:
    before = await contents(store)
    for length in range(1, _STEPS, _stride(store)):
        folder = FolderShelf(tmp_path / f"archive-{length}")
        await archive(store, folder)
        fuse = Fuse(length)
        fragile = msgspec.structs.replace(store, archivable=Fragile(store.archivable, fuse))
        try:
            await restore(fragile, Fragile(folder, fuse))  # type: ignore[arg-type]
        except Crash:
            await restore(store, folder)
            assert await contents(store) == before, length
        else:
            break
    assert 20 < length < _STEPS - 1


# --- the shapes ---


async def test_an_archive_has_every_column_of_the_database(store: Store, database_url: str) -> None:
    """So a migration that adds one must say what becomes of it.

    Whether an occurrence was published, and who claims it, matters while it fires: what comes back is over.
    """
    await store.lifecycle.check()
    own = {"alerts": {"is_published", "claim"}}
    if database_url.startswith("sqlite"):
        own = {"alerts": {"id", "is_published", "claim"}, "events": {"alert_id"}}
    for shape in (*SHAPES, BODIES):
        there = await columns(database_url, shape.table)
        assert there - own.get(shape.table, set()) == {column.name for column in shape.stored}, shape.name
        assert there, shape.name


async def columns(url: str, table: str) -> set[str]:
    if url.startswith("sqlite"):
        return {row[1] for row in await raw.fetch(url, f"PRAGMA table_info({table})")}
    sql = "SELECT column_name FROM information_schema.columns WHERE table_name = $1"
    return {row[0] for row in await raw.fetch(url, sql, table)}


async def test_what_people_did_goes_along_once_its_occurrence_is_archived_and_comes_back(
    store: Store, shelf: Shelf
) -> None:
    acts = [
        Act(f"id-{of.labels['alertname']}", of.fingerprint, of.starts_at, "Disk", "", "", NOW, "noted", "Ada", "ü")
        for of in (DISK, YOUNG)
    ]
    for act in acts:
        await store.acts.keep(act)
    manifest = await archive(store, shelf)
    assert (manifest.written["acts"], manifest.removed["acts"]) == (1, 1)
    assert await store.acts.of_occurrence(*acts[0].key) == []
    assert await store.acts.of_occurrence(*acts[1].key) == acts[1:]
    await restore(store, shelf)
    assert await store.acts.of_occurrence(*acts[0].key) == acts[:1]
