"""The history and its archives as one: each occurrence once, in order, from both ends, whatever was restored.

Holds: `engine.united_history`, `engine.united_total`, `engine.united_cursor`, `engine.reaching.archived`,
`storage.archived.records`, `storage.archived.files`, `storage.archived.doubles`.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import msgspec
import pytest

from alert_history.bootstrap_statistics import make_tracing
from alert_history.domain.acts import Act
from alert_history.domain.grant import EVERYBODY, Grant, permissions_of, reach_of
from alert_history.domain.query import parse_query
from alert_history.engine.acts import Acting
from alert_history.engine.archives import note_archived
from alert_history.engine.caller import set_caller
from alert_history.engine.history import Moved
from alert_history.engine.reaching.store import store_within_reach
from alert_history.engine.united_history import with_archive
from alert_history.errors import ArchiveFault, InvalidQuery, NotFound, QueryTimeout, SettingLacking
from alert_history.ports import HistoryFilter, HistoryPage, PageRequest, Store, StoredAlert
from alert_history.storage import open_store
from alert_history.storage.archived import files, search
from alert_history.storage.shared.shelf import open_shelf
from tests import servers
from tests.conformance.archives import (
    DISK,
    LATER,
    NEXT_DAY,
    OLD,
    RETENTION,
    YOUNG,
    archive,
    as_an_earlier_release_wrote_it,
    over,
    publish,
    record_old,
    restore,
    restorer,
)
from tests.conformance.samples import DAY, MINUTE, NOW, alert, all_pages, everything, id_of, receipt
from tests.servers import PostgresServer

BOTH = HistoryFilter(includes_archive=True)
_SORTS = ["-timestamp", "timestamp", "alertname", "-status"]


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, prepared_postgres: str) -> Iterator[str]:
    """A copy of one's own, because partitions are made here."""
    url = postgres_server.create_database(template=prepared_postgres.rpartition("/")[2])
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """Two days of old history, and a young alert; callers see what is archived of it, too."""
    opened = open_store(database_url, router=publish)
    await opened.lifecycle.open()
    await record_old(opened)
    yield with_archive(opened)
    await opened.lifecycle.close()


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "an archive")


async def archive_to(store: Store, place: str, *, environ: dict[str, str] | None = None) -> None:
    """Archive what is old, as the command does."""
    manifest = await archive(store, open_shelf(place, environ or {}))
    await note_archived(store.settings, manifest, place=place, now=LATER)


def occurrence_files(place: str) -> list[str]:
    return sorted(str(path) for path in Path(place).glob("alerts/**/*.parquet"))


def damage(place: str, part: str = "") -> None:
    """Make what lies under such a path no Parquet any more."""
    for path in occurrence_files(place):
        if part in path:
            Path(path).write_bytes(b"PAR1 is what it begins with")


def as_archived(alert_: StoredAlert) -> StoredAlert:
    return msgspec.structs.replace(alert_, is_archived=True)


# --- pages ---


@pytest.mark.parametrize("sort", _SORTS)
async def test_pages_have_each_occurrence_once_and_in_order(store: Store, place: str, sort: str) -> None:
    await store.recorder.commit([receipt(*NEXT_DAY[:2], at=LATER)])  # so that both have some of each value
    before = await all_pages(store, BOTH, sort=sort, limit=1000)
    await archive_to(store, place)
    after = await all_pages(store, BOTH, sort=sort, limit=4)
    assert sorted(each.id for each in after) == sorted(each.id for each in before)
    assert {each.alertname for each in after if not each.is_archived} == {"Young", "Next0", "Next1"}
    name = sort.removeprefix("-")
    values = [getattr(each, name) for each in after]
    assert values == sorted(values, reverse=sort.startswith("-"))


@pytest.mark.parametrize("sort", ["-timestamp", "severity"])
async def test_pages_lead_back_to_where_they_came_from(store: Store, place: str, sort: str) -> None:
    await archive_to(store, place)
    pages = await all_of(store, sort)
    forth = [page.alerts for page in pages]
    assert len(forth) == 3
    back, cursor = [forth[-1]], pages[-1].previous_cursor
    opposite = sort[1:] if sort.startswith("-") else f"-{sort}"
    while cursor is not None:
        page = await store.history.page(BOTH, PageRequest(limit=3, sort=opposite, cursor=cursor))
        back.append(page.alerts[::-1])
        cursor = page.next_cursor
    assert back[::-1] == forth


async def all_of(store: Store, sort: str) -> list[HistoryPage]:
    pages = [await store.history.page(BOTH, PageRequest(limit=3, sort=sort))]
    while (cursor := pages[-1].next_cursor) is not None:
        pages.append(await store.history.page(BOTH, PageRequest(limit=3, sort=sort, cursor=cursor)))
    return pages


async def test_without_being_asked_the_database_answers_alone(store: Store, place: str) -> None:
    await archive_to(store, place)
    page = await store.history.page(HistoryFilter(), PageRequest())
    assert ([each.alertname for each in page.alerts], page.total) == (["Young"], 1)


async def test_the_total_counts_each_once(store: Store, place: str) -> None:
    await archive_to(store, place)
    for cursor in (None, (await store.history.page(BOTH, PageRequest(limit=4))).next_cursor):
        page = await store.history.page(BOTH, PageRequest(limit=4, cursor=cursor))
        assert (page.total, page.is_total_exact) == (9, True)


async def test_what_was_restored_is_the_databases(store: Store, place: str) -> None:
    await archive_to(store, place)
    await restore(store, open_shelf(place, {}))
    page = await store.history.page(BOTH, PageRequest(limit=50))
    assert (len(page.alerts), page.total, page.is_total_exact) == (9, 9, True)
    assert not any(each.is_archived for each in page.alerts)


async def test_what_the_database_knows_better_does_not_match_by_what_the_archive_says(store: Store, place: str) -> None:
    await archive_to(store, place)
    await store.recorder.commit(
        [receipt(msgspec.structs.replace(DISK, annotations={"summary": "new words"}), at=LATER)]
    )
    old = await store.history.page(
        msgspec.structs.replace(BOTH, query=parse_query('{alertname="Disk"} ok')), PageRequest()
    )
    new = await store.history.page(msgspec.structs.replace(BOTH, query=parse_query('"new words"')), PageRequest())
    assert (old.alerts, old.total) == ([], 0)
    assert ([each.is_archived for each in new.alerts], new.total) == ([False], 1)


async def test_where_both_have_many_the_total_is_a_lower_bound(
    store: Store, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alert_history.engine.united_total._PAGE", 1)
    await archive_to(store, place)
    until = NOW.replace(hour=0) + DAY
    await restorer(store, open_shelf(place, {})).run(start=None, end=until, retention=RETENTION, keep=None)
    page = await store.history.page(BOTH, PageRequest(limit=2))
    exact = await store.history.page(BOTH, PageRequest(limit=2, wants_exact_total=True))
    assert (page.total, page.is_total_exact) == (8, False)
    assert (exact.total, exact.is_total_exact) == (9, True)


async def test_what_can_not_be_counted_in_time_is_a_lower_bound(
    store: Store, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alert_history.engine.united_total._COUNT_SECONDS", 0.0)
    monkeypatch.setattr("alert_history.engine.united_total._EXACT_SECONDS", 0.0)
    await archive_to(store, place)
    page = await store.history.page(BOTH, PageRequest(limit=3))
    assert (len(page.alerts), page.total, page.is_total_exact) == (3, 3, False)
    with pytest.raises(QueryTimeout, match="counted"):
        await store.history.page(BOTH, PageRequest(limit=3, wants_exact_total=True))


async def test_two_questions_at_once_wait_for_each_other(store: Store, place: str) -> None:
    await archive_to(store, place)
    pages = await asyncio.gather(*(store.history.page(BOTH, PageRequest(limit=number + 1)) for number in range(4)))
    assert [len(page.alerts) for page in pages] == [1, 2, 3, 4]


async def test_a_search_that_stops_goes_on_from_there(
    store: Store, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive_to(store, place)
    monkeypatch.setattr(search, "SEARCH_SECONDS", -1.0)
    first = await store.history.page(BOTH, PageRequest(limit=50))
    assert first.searched_until == NOW.replace(hour=0) + 2 * DAY
    assert [each.alertname for each in first.alerts] == ["Young"]
    monkeypatch.undo()
    rest = await store.history.page(BOTH, PageRequest(limit=50, cursor=first.next_cursor))
    assert (len(rest.alerts), rest.searched_until, rest.next_cursor) == (8, None, None)


@pytest.mark.parametrize("cursor", ["x", "WyJib3RoIl0", "WyJib3RoIiwiLXRpbWVzdGFtcCIsMV0"])
async def test_a_wrong_cursor_is_refused(store: Store, place: str, cursor: str) -> None:
    await archive_to(store, place)
    own = (await store.history.page(HistoryFilter(), PageRequest(limit=1, sort="alertname"))).next_cursor
    united = (await store.history.page(BOTH, PageRequest(limit=1))).next_cursor
    for wanted, page in (
        (BOTH, PageRequest(cursor=cursor)),
        (BOTH, PageRequest(cursor=own or cursor)),
        (BOTH, PageRequest(cursor=united, sort="timestamp")),
        (HistoryFilter(), PageRequest(cursor=united)),
        (BOTH, PageRequest(offset=1)),
    ):
        with pytest.raises(InvalidQuery):
            await store.history.page(wanted, page)


async def test_an_export_is_oldest_first_with_what_was_archived(store: Store, place: str) -> None:
    before = await everything(store)
    await archive_to(store, place)
    after = await everything(store, BOTH)
    assert sorted(each.id for each in after) == sorted(each.id for each in before)
    assert [each.timestamp for each in after] == sorted(each.timestamp for each in before)
    assert [each.alertname for each in await everything(store)] == ["Young"]
    await restore(store, open_shelf(place, {}))
    assert [each.is_archived for each in await everything(store, BOTH)] == [False] * 9


# --- one occurrence ---


async def test_an_archived_occurrence_is_what_it_was(store: Store, place: str) -> None:
    act = Act("id", DISK.fingerprint, DISK.starts_at, "Disk", "", "", NOW, "noted", "Ada", "ü")
    await store.acts.keep(act)
    tracing = make_tracing(store, clock=lambda: LATER)
    before = await tracing.records(id_of(DISK))
    await archive_to(store, place)
    after = await tracing.records(id_of(DISK))
    assert not isinstance(before, Moved)
    assert not isinstance(after, Moved)
    assert after == msgspec.structs.replace(before, alert=as_archived(before.alert))
    assert [len(part) for part in (after.events, after.deliveries, after.acts)] == [3, 2, 1]
    assert (await tracing.timeline(id_of(DISK))) is not None


async def test_an_occurrence_that_was_received_late_is_found(store: Store, place: str) -> None:
    late = alert("Late", starts_at=NOW - 20 * DAY)
    await store.recorder.commit([receipt(late, at=NOW + MINUTE), receipt(over(late), at=NOW + 2 * MINUTE)])
    await archive_to(store, place)
    assert (await store.history.find(id_of(late))).is_archived


async def test_what_nobody_has_is_not_found(store: Store, place: str) -> None:
    await archive_to(store, place)
    for wrong in (id_of(alert("Nobody")), "0123456789abcdef-9999999999999999999999", "x"):
        with pytest.raises(NotFound):
            await store.history.find(wrong)
    assert await store.history.timeline(id_of(alert("Nobody"))) == []
    assert await store.archived_records.deliveries(id_of(alert("Nobody")), limit=9) == []
    assert await store.archived_records.acts(id_of(alert("Nobody"))) == []


async def test_nothing_of_an_archived_occurrence_can_be_changed(store: Store, place: str) -> None:
    await archive_to(store, place)
    acting = Acting(store.history, store.acts, targets=None, clock=lambda: LATER, make_id=str)  # type: ignore[arg-type]
    for call in (acting.acknowledge, acting.note):
        with pytest.raises(NotFound, match="restore"):
            await call(id_of(DISK), by="Ada", text="x")


async def test_what_was_archived_twice_shows_its_newest_state_once(store: Store, place: str) -> None:
    shelf = open_shelf(place, {})
    await archive_to(store, place)
    await restore(store, shelf)
    await store.recorder.commit([receipt(over(OLD[1]), at=NOW + 3 * DAY)])
    await archive(store, shelf, at=LATER + MINUTE)
    page = await store.history.page(BOTH, PageRequest())
    assert (len(page.alerts), page.total) == (9, 9)
    newest = await store.history.find(id_of(OLD[1]))
    assert [newest] == [each for each in page.alerts if each.id == newest.id]
    assert (newest.last_received_at, newest.is_archived) == (NOW + 3 * DAY, True)


async def test_archives_of_an_earlier_release_are_read_as_they_are_restored(store: Store, place: str) -> None:
    shelf = open_shelf(place, {})
    await archive_to(store, place)
    await as_an_earlier_release_wrote_it(shelf, firing=OLD[1])
    archived = {each.id: each for each in (await store.history.page(BOTH, PageRequest())).alerts if each.is_archived}
    found = await store.history.find(id_of(OLD[1]))
    assert await store.archived_search.count(HistoryFilter(status="firing"), seconds=9) == 0
    await restore(store, shelf)
    restored = {each.id: as_archived(each) for each in await everything(store) if each.id != id_of(YOUNG)}
    assert archived == restored
    assert found == archived[found.id]
    assert (found.status, found.ended_by) == ("resolved", "inferred")


# --- who calls ---


@pytest.fixture
def as_info() -> Iterator[None]:
    """Somebody whose alerts are those of severity info."""
    set_caller(Grant(permissions=permissions_of(["read"]), reach=reach_of('{severity="info"}')))
    yield
    set_caller(EVERYBODY)


async def test_who_sees_some_alerts_sees_those_in_the_archive(store: Store, place: str, as_info: None) -> None:
    del as_info
    await archive_to(store, place)
    shown = store_within_reach(store)
    page = await shown.history.page(BOTH, PageRequest())
    assert ([each.alertname for each in page.alerts], page.total) == (["Net"], 1)
    assert [each.alertname for each in await everything(shown, BOTH)] == ["Net"]
    [own, other] = id_of(OLD[2]), id_of(DISK)
    assert (await shown.history.find(own)).is_archived
    assert len(await shown.archived_records.deliveries(own, limit=9)) == len(await shown.history.timeline(own)) == 2
    for port in (shown.history, shown.archived_records):
        with pytest.raises(NotFound):
            await port.find(other)
        assert await port.timeline(other) == []
    assert await shown.archived_records.deliveries(other, limit=9) == []
    assert await shown.archived_records.acts(other) == []


# --- what can't be read ---


async def test_without_the_packages_it_says_what_to_install(
    store: Store, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive_to(store, place)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(SettingLacking, match=r"pip install 'duckdb>=1\.4' 'pyarrow>=22'"):
        await store.history.page(BOTH, PageRequest())
    with pytest.raises(NotFound, match=r"pip install 'duckdb>=1\.4' 'pyarrow>=22'"):
        await store.history.find(id_of(DISK))


async def test_where_nothing_was_archived_the_packages_are_not_needed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert (await store.history.page(BOTH, PageRequest())).total == 9


async def test_an_archive_that_is_not_here_is_a_fault(store: Store, place: str) -> None:
    await archive_to(store, place)
    shutil.move(place, f"{place} moved away")
    with pytest.raises(ArchiveFault, match="not here"):
        await store.history.page(BOTH, PageRequest())
    with pytest.raises(NotFound):
        await store.history.find(id_of(DISK))


async def test_a_damaged_file_is_a_fault(store: Store, place: str) -> None:
    await archive_to(store, place)
    damage(place)
    with pytest.raises(ArchiveFault, match="can't be read"):
        await store.history.page(BOTH, PageRequest())


async def test_days_that_were_not_asked_for_are_not_opened(store: Store, place: str) -> None:
    await archive_to(store, place)
    damage(place, "day=05")
    page = await store.history.page(msgspec.structs.replace(BOTH, until=NOW.replace(hour=0) + DAY), PageRequest())
    assert sorted(each.alertname for each in page.alerts) == ["Cpu", "Disk", "Net"]


# --- buckets ---


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3."""
    with servers.s3_server() as server:
        yield server.url


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty archive in a bucket."""
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("ENDPOINT_URL", s3)):
        monkeypatch.setenv(f"AWS_{name}", value)
    name = f"history-{uuid4().hex[:12]}"
    httpx.put(f"{s3}/{name}", trust_env=False).raise_for_status()
    return f"s3://{name}/alerts/of/ours"


async def test_an_archive_in_a_bucket_answers_alike(store: Store, bucket: str, s3: str) -> None:
    before = await everything(store)
    await archive_to(store, bucket, environ={"AWS_ENDPOINT_URL": s3})
    after = await all_pages(store, BOTH, sort="-timestamp", limit=3)
    assert sorted(each.id for each in after) == sorted(each.id for each in before)
    assert len(await store.history.timeline(id_of(DISK))) == 3


async def test_of_a_bucket_no_more_than_has_room_is_brought(
    store: Store, bucket: str, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive_to(store, bucket, environ={"AWS_ENDPOINT_URL": s3})
    monkeypatch.setattr(files, "MOST_BROUGHT_BYTES", 30_000)
    for day in (4, 5, 4, 5):
        since = NOW.replace(day=day, hour=0)
        page = await store.history.page(msgspec.structs.replace(BOTH, since=since, until=since + DAY), PageRequest())
        assert page.total == {4: 3, 5: 5}[day]
    monkeypatch.setattr(files, "MOST_BROUGHT_BYTES", 10)
    with pytest.raises(QueryTimeout, match="MiB"):
        await store.history.page(msgspec.structs.replace(BOTH, until=NOW + timedelta(days=9)), PageRequest())


async def test_a_folder_whose_name_is_a_pattern_is_read_all_the_same(store: Store, tmp_path: Path) -> None:
    await archive_to(store, str(tmp_path / "old [2026]*"))
    assert (await store.history.page(BOTH, PageRequest())).total == 9
