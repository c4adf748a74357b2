"""A past is brought in: joined and never doubled, counted, resumed, and taken back without a trace."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest

from alert_history.domain.past_firing import PastAct, PastFiring, RefusedRow
from alert_history.engine.importing import Importing
from alert_history.errors import Busy, NotFound, OriginUnavailable, StorageUnavailable, WouldBeForgotten
from alert_history.ports import ALL_REFUSED, DeliveryFilter, HistoryFilter, PageRequest, Store, StoredAlert
from alert_history.ports.imports import ImportRecord, Imports, Spool, TakenBack
from alert_history.ports.past_origins import ImportRequest, PastBatch
from alert_history.storage.spool import open_spool
from tests.conformance import raw
from tests.conformance.pasts import importing_into, needs_of, origin_of, past, plan_of, some_past
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, everything, posted, receipt, silence
from tests.numbers import check_recount

_TABLES = ("alerts", "events", "acts", "quarantine", "import_corrections", "import_refusals")
_STATE = """SELECT fingerprint, starts_at, began_at, ends_at, ended_by, status, repeat_count, last_received_at
    FROM alerts ORDER BY fingerprint, starts_at"""


async def _dump(url: str) -> list[tuple[object, ...]]:
    return await raw.fetch(url, _STATE)


async def _counts(url: str) -> dict[str, int]:
    return {table: await raw.count(url, table) for table in _TABLES}


async def test_a_firing_is_kept_as_the_origin_remembers_it(store: Store) -> None:
    firing = past(90, 60, annotations={"summary": "full"}, generator_url="http://p/g", receiver="team-x", repeats=4)
    record = await importing_into(store).run(plan_of(origin_of([firing]), by="ada"))
    (kept,) = await everything(store)
    assert (kept.starts_at, kept.ends_at, kept.status, kept.ended_by) == (
        NOW - 90 * MINUTE, NOW - 60 * MINUTE, "resolved", "resolved",
    )  # fmt: skip
    assert (kept.timestamp, kept.imported_at, kept.import_id) == (NOW - 90 * MINUTE, NOW, record.id)
    assert (kept.source, kept.receiver, kept.generator_url, kept.repeat_count) == (
        "elsewhere",
        "team-x",
        "http://p/g",
        4,
    )
    assert kept.annotations == {"summary": "full"}
    events = await store.history.timeline(kept.id)
    assert [(event.kind, event.at) for event in events] == [("fired", kept.starts_at), ("resolved", kept.ends_at)]
    assert (record.state, record.counts.read, record.counts.taken, record.by) == ("done", 1, 1, "ada")
    assert await store.imports.newest(5) == [await store.imports.find(record.id)]


async def test_a_year_of_import_does_not_flood_the_newest_page(store: Store) -> None:
    await store.recorder.commit([receipt(alert(), at=NOW)])
    firings = [past(begins, begins - 1, name="Old") for begins in range(60, 10_000, 100)]
    await importing_into(store).run(plan_of(origin_of(firings)))
    page = await store.history.page(HistoryFilter(), PageRequest(limit=1))
    assert [each.alertname for each in page.alerts] == ["DiskFull"]


async def test_nothing_imported_is_published(replicas: list[Store]) -> None:
    store = replicas[0]
    await importing_into(store).run(plan_of(origin_of([past(90, 60), past(30, seen=0)])))
    assert not (await store.delivery_log.deliveries(DeliveryFilter(limit=5))).deliveries


@pytest.mark.parametrize("seed", range(6))
async def test_what_overlaps_is_one_whoever_said_it(store: Store, database_url: str, seed: int) -> None:
    """Whatever was sent before, and however the import is cut: no two firings of a label set overlap or touch."""
    random = Random(seed)
    await _sent_before(store, random)
    before, rows = await _dump(database_url), await _counts(database_url)
    firings = some_past(random)
    importing = importing_into(store)
    record = await importing.run(plan_of(origin_of(firings)))
    kept = await everything(store)
    _check_apart(kept)
    _check_covered(firings, kept)
    after = await _dump(database_url)
    again = await importing.run(plan_of(origin_of(random.sample(firings, len(firings)))))
    assert await _dump(database_url) == after, "running it again changes nothing"
    assert (again.counts.taken, again.counts.corrected) == (0, 0)
    await check_recount(store, database_url)
    for number in (again.id, record.id):
        await importing.undo(number)
    assert await _dump(database_url) == before
    assert await _counts(database_url) | {"events": 0} == rows | {"events": 0}
    await check_recount(store, database_url)


async def _sent_before(store: Store, random: Random) -> None:
    """Some firings that were posted, some of which are over."""
    at = 420
    while at > 40:
        at -= random.randint(5, 200)
        begun = alert(random.choice(["DiskFull", "Slow"]), starts_at=NOW - max(at, 1) * MINUTE)
        await store.recorder.commit([posted(begun, client="prom-a", at=begun.starts_at + SECOND)])
        if random.random() < 0.7:
            at -= random.randint(1, 60)
            ended = alert(
                begun.labels["alertname"],
                "resolved",
                starts_at=begun.starts_at,
                ends_at=max(NOW - max(at, 1) * MINUTE, begun.starts_at),
            )
            await store.recorder.commit([posted(ended, client="prom-a", at=ended.ends_at or NOW)])


def _check_apart(kept: list[StoredAlert]) -> None:
    ordered = sorted(kept, key=lambda each: (each.fingerprint, each.starts_at))
    for one, other in pairwise(ordered):
        if one.fingerprint == other.fingerprint:
            assert one.ends_at is not None, "what is followed by another is over"
            assert one.ends_at <= other.starts_at, "no two overlap"


def _check_covered(firings: list[PastFiring], kept: list[StoredAlert]) -> None:
    for firing in firings:
        assert any(
            each.fingerprint == firing.fingerprint
            and each.starts_at <= (firing.ends_at or firing.starts_at)
            and (each.ends_at is None or each.ends_at >= firing.starts_at)
            for each in kept
        ), "each firing that was read is part of an occurrence"


async def test_an_open_firing_is_the_one_that_its_sender_speaks_of(store: Store) -> None:
    """An import on the first day, then the first webhook of the same firing, then its end: one history."""
    await importing_into(store).run(plan_of(origin_of([past(60, seen=0)])))
    began = alert(starts_at=NOW - 60 * MINUTE)
    await store.recorder.commit([posted(began, client="prom-a", at=NOW + MINUTE)])
    over = alert("DiskFull", "resolved", starts_at=began.starts_at, ends_at=NOW + 5 * MINUTE)
    await store.recorder.commit([posted(over, client="prom-a", at=NOW + 5 * MINUTE)])
    (kept,) = await everything(store)
    assert (kept.status, kept.starts_at, kept.ends_at) == ("resolved", began.starts_at, NOW + 5 * MINUTE)


async def test_a_late_word_about_an_imported_firing_opens_nothing(store: Store) -> None:
    await importing_into(store).run(plan_of(origin_of([past(60, 10)])))
    late = alert("DiskFull", "resolved", starts_at=NOW - 60 * MINUTE, ends_at=NOW - 10 * MINUTE)
    await store.recorder.commit([posted(late, client="prom-a", at=NOW)])
    assert [each.status for each in await everything(store)] == ["resolved"]


async def test_an_earlier_start_is_taken_up_and_given_back(store: Store) -> None:
    began = alert(starts_at=NOW - 30 * MINUTE)
    await store.recorder.commit([posted(began, client="prom-a", at=NOW - 30 * MINUTE)])
    importing = importing_into(store)
    record = await importing.run(plan_of(origin_of([past(90, seen=0)])))
    (kept,) = await everything(store)
    assert (kept.starts_at, kept.status, kept.imported_at) == (NOW - 90 * MINUTE, "firing", None)
    assert record.counts.corrected == 1
    await importing.undo(record.id)
    (kept,) = await everything(store)
    assert kept.starts_at == NOW - 30 * MINUTE


async def test_what_a_sender_has_spoken_of_since_stays(store: Store) -> None:
    importing = importing_into(store)
    record = await importing.run(plan_of(origin_of([past(60, seen=0), past(300, 200)])))
    await store.recorder.commit([posted(alert(starts_at=NOW - 60 * MINUTE), client="prom-a", at=NOW + MINUTE)])
    undone = await importing.undo(record.id)
    (kept,) = await everything(store)
    assert (kept.status, kept.import_id) == ("firing", None)
    assert (undone.state, undone.counts.taken, undone.counts.joined) == ("undone", 1, 1)
    with pytest.raises(NotFound):
        await importing.undo("01")


async def test_acts_come_along_once(store: Store) -> None:
    acts = (PastAct("log-1", "acknowledged", NOW - 80 * MINUTE, "ada"), PastAct("n-1", "noted", NOW, "bob", "rebooted"))
    importing = importing_into(store)
    await importing.run(plan_of(origin_of([past(90, 60, acts=acts)])))
    record = await importing.run(plan_of(origin_of([past(90, 60, acts=acts)])))
    (kept,) = await everything(store)
    told = await store.acts.of_occurrence(kept.fingerprint, kept.starts_at)
    assert [(act.kind, act.by, act.text, act.source) for act in told] == [
        ("acknowledged", "ada", "", "elsewhere"),
        ("noted", "bob", "rebooted", "elsewhere"),
    ]
    assert record.counts.acts == 0


async def test_bad_rows_are_refused_once_and_good_ones_beside_them_kept(store: Store, database_url: str) -> None:
    bad = PastFiring({"alertname": "A\0B"}, NOW - MINUTE, NOW, place="old.jsonl, line 3")
    backwards = past(10, 20, place="old.jsonl, line 4")
    unread = RefusedRow("old.jsonl, line 9", "no JSON", b"{")
    plan = plan_of(origin_of([bad, backwards, past(90, 60)], refused=[unread]))
    importing = importing_into(store)
    record = await importing.run(plan)
    assert (record.counts.refused, record.counts.taken) == (3, 1)
    assert ("no JSON", 1) in record.reasons
    page = await store.history.quarantine(limit=10, cursor=None, wanted=ALL_REFUSED)
    assert {each.reason.partition(":")[0] for each in page.quarantine} == {f"old.jsonl, line {n}" for n in (3, 4, 9)}
    assert {each.receipt_id for each in page.quarantine} == {record.id}
    await importing.run(plan)
    assert await raw.count(database_url, "quarantine") == 3
    await importing.undo(record.id)
    assert await raw.count(database_url, "quarantine") == 0


async def test_silences_come_along(store: Store) -> None:
    record = await importing_into(store).run(plan_of(origin_of([], silences=[silence()])))
    assert record.counts.silences == 1
    assert [each.id for each in await store.silences.named(["s-1"])] == ["s-1"]


async def test_what_was_broken_off_goes_on_under_the_same_id(store: Store, database_url: str) -> None:
    firings = [past(begins, begins - 3, name=f"A{begins}") for begins in range(10, 200, 10)]
    importing = importing_into(store)

    def break_off(begin: int) -> None:
        if begin > 6:
            raise OriginUnavailable("it went away")

    with pytest.raises(OriginUnavailable):
        await importing.run(plan_of(origin_of(firings, after_batch=break_off)))
    (failed,) = await store.imports.newest(2)
    assert (failed.state, failed.fault) == ("failed", "it went away")
    record = await importing.run(plan_of(origin_of(firings)))
    assert (record.id, record.counts.taken, record.counts.read) == (failed.id, len(firings), len(firings))
    assert await raw.count(database_url, "alerts") == len(firings)


async def test_two_processes_do_not_run_the_same_import(store: Store) -> None:
    importing = importing_into(store)
    other: list[type[Exception]] = []

    async def run_beside() -> None:
        try:
            await importing.run(plan_of(origin_of([past(90, 60)])))
        except Busy:
            other.append(Busy)

    origin = origin_of([past(90, 60), past(40, 30)], batch=1)
    whole = origin.read

    async def read(request: ImportRequest) -> AsyncIterator[PastBatch]:
        async for batch in whole(request):
            yield batch
            await run_beside()

    await importing.run(plan_of(type(origin)(origin.name, origin.title, origin.about, (), read)))
    assert other


async def test_retention_is_told_before_it_eats(store: Store, database_url: str) -> None:
    importing = importing_into(store, retention=timedelta(hours=1))
    old = plan_of(origin_of([past(90, 80), past(50, 40)]))
    with pytest.raises(WouldBeForgotten, match=r"1 of 2 firings ended before .*RETENTION_DAYS"):
        await importing.run(old)
    assert await raw.count(database_url, "alerts") == 0
    await importing.run(plan_of(origin_of([past(90, 80), past(50, 40)]), keep=30 * DAY))
    assert await raw.count(database_url, "alerts") == 2


async def test_a_dry_run_writes_nothing(store: Store, database_url: str) -> None:
    await store.recorder.commit([posted(alert(), client="prom-a", at=NOW)])
    before = await _counts(database_url)
    firings = [past(90, 60), past(4, seen=0), PastFiring({}, NOW)]
    record = await importing_into(store).run(plan_of(origin_of(firings), is_dry_run=True))
    assert (record.counts.taken, record.counts.joined, record.counts.refused) == (1, 1, 1)
    assert await _counts(database_url) == before
    assert await store.imports.newest(1) == []


async def test_what_fires_still_by_an_old_file_is_over(store: Store, database_url: str) -> None:
    """Nobody has spoken of it for a month: it is over since its last sign, as nobody knows better."""
    importing, file = importing_into(store), origin_of([past(31 * 24 * 60, seen=30 * 24 * 60)])
    await importing.run(plan_of(file))
    (kept,) = await everything(store)
    assert (kept.status, kept.ended_by, kept.ends_at) == ("resolved", "inferred", NOW - 30 * DAY)
    before = await _dump(database_url)
    await importing.run(plan_of(file, what="again"))
    assert await _dump(database_url) == before


async def test_an_import_beside_live_ingest_makes_one_history(replicas: list[Store]) -> None:
    """Both write about the same label sets at the same time, from two processes."""
    live, other = replicas
    names = [f"A{number}" for number in range(12)]
    firings = [past(begins, begins - 7, name=name) for name in names for begins in range(20, 300, 10)]
    firings += [past(9, seen=0, name=name) for name in names]

    async def post() -> None:
        for minute in range(9, 0, -1):
            for name in names:
                began = alert(name, starts_at=NOW - 9 * MINUTE)
                await live.recorder.commit([posted(began, client="prom-a", at=NOW - minute * MINUTE)])

    record, _ = await asyncio.gather(importing_into(other).run(plan_of(origin_of(firings, batch=500))), post())
    kept = await everything(live)
    _check_apart(kept)
    assert len(kept) == 29 * len(names)
    assert {each.status for each in kept if each.starts_at == NOW - 9 * MINUTE} == {"firing"}
    assert record.counts.taken + record.counts.joined == len(firings)


HOSTILE: dict[str, PastFiring] = {
    "a NUL in a receiver": past(90, 60, name="Bad", receiver="a\0"),
    "half a character": past(90, 60, name="Bad\ud800"),
    "no labels": PastFiring({"alertname": ""}, NOW - MINUTE, NOW),
    "a long name": past(90, 60, name="x" * 2_000),
    "too many repeats": past(90, 60, name="Bad", repeats=2**31),
    "details with NUL": past(90, 60, name="Bad", details={"a": ["\0"]}),
    "details without end": past(90, 60, name="Bad", details={"a": "x" * 100_000}),
    "another scope": past(90, 60, name="Bad", scope="a@b"),
    "another fingerprint": past(90, 60, name="Bad", identity="x' OR 1=1"),
    "before there was time": PastFiring({"alertname": "Bad"}, datetime(1, 1, 1, tzinfo=UTC), NOW),
    "after all times": PastFiring({"alertname": "Bad"}, NOW, datetime(9999, 12, 31, tzinfo=UTC)),
    "no zone": PastFiring({"alertname": "Bad"}, datetime(2026, 1, 1)),  # noqa: DTZ001  # what is tried
    "an act at no time": past(90, 60, name="Bad", acts=(PastAct("1", "noted", datetime(1, 1, 1, tzinfo=UTC), "ada"),)),
}


async def test_no_firing_harms_its_neighbours(store: Store) -> None:
    good = past(
        90, 60, acts=(PastAct("\0", "noted", NOW, "a\0" * 100, "\ud800" * 9_000),), annotations={"a\0": "\ud800"}
    )
    record = await importing_into(store).run(plan_of(origin_of([*HOSTILE.values(), good], batch=50)))
    assert [each.alertname for each in await everything(store)] == ["DiskFull"]
    assert (record.counts.taken, record.counts.refused, record.counts.acts) == (1, len(HOSTILE), 1)


class _BreakingImports:
    """Imports of a store that break off when something is taken back for the second time."""

    def __init__(self, imports: Imports) -> None:
        self._imports = imports
        self._steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._imports, name)

    async def take_back(self, record: ImportRecord, *, after: datetime | None) -> TakenBack:
        self._steps += 1
        if self._steps == 2:
            raise StorageUnavailable("the database went away")
        return await self._imports.take_back(record, after=after)


async def test_taking_back_that_breaks_off_says_so_and_is_done_again(store: Store, database_url: str) -> None:
    before = await _counts(database_url)
    record = await importing_into(store).run(plan_of(origin_of([past(n + 1, n) for n in range(100, 4000, 3)])))
    needs = needs_of(store)
    breaking = Importing(msgspec.structs.replace(needs, imports=_BreakingImports(store.imports)))
    with pytest.raises(StorageUnavailable):
        await breaking.undo(record.id)
    broken = await store.imports.find(record.id)
    assert broken is not None
    assert (broken.state, broken.counts.taken) == ("done", record.counts.taken)
    assert broken.fault == "taking it back was broken off: the database went away; take it back again"
    undone = await Importing(needs).undo(record.id)
    assert (undone.state, undone.fault) == ("undone", None)
    assert await _counts(database_url) == before


async def test_an_import_that_rests_in_small_steps_comes_to_the_same(store: Store, database_url: str) -> None:
    firings = [past(n + 1, n, name=f"Rule{n % 7}") for n in range(100, 4000, 2)]
    resting = Importing(msgspec.structs.replace(needs_of(store), rest=0.01))
    record = await resting.run(plan_of(origin_of(firings, batch=500)))
    assert (record.state, record.counts.taken, record.share) == ("done", len(firings), 1.0)
    assert len(await _dump(database_url)) == len(firings)


async def test_a_dry_run_that_is_noted_is_seen_by_others(store: Store, database_url: str) -> None:
    plan = plan_of(origin_of([past(90, 60)]), what="elsewhere --dry-run", is_dry_run=True, is_noted=True)
    record = await importing_into(store).run(plan)
    assert (record.state, record.is_dry_run) == ("tried", True)
    assert await store.imports.find(record.id) is not None
    assert await _dump(database_url) == []


async def test_a_full_disk_is_told_as_that(store: Store) -> None:
    @contextmanager
    def open_small() -> Iterator[Spool]:
        with open_spool() as spool:
            spool._connection.execute("PRAGMA max_page_count = 10")  # noqa: SLF001  # as on a disk without room
            yield spool

    importing = Importing(msgspec.structs.replace(needs_of(store), open_spool=open_small))
    plan = plan_of(origin_of([past(n + 1, n) for n in range(100, 4000, 3)], batch=500))
    with pytest.raises(OSError, match=r"the temporary file of the import, in .+ disk is full"):
        await importing.run(plan)
    (failed,) = await store.imports.newest(1)
    assert failed.fault is not None
    assert "disk is full" in failed.fault


async def test_one_import_at_a_time_writes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another import, or a restore, adds without a standing would be looked for by nobody."""
    monkeypatch.setattr("alert_history.engine.importing._TURN_SECONDS", 0.05)
    importing = importing_into(store)
    async with store.archivable.alone():
        waiting = asyncio.create_task(importing.run(plan_of(origin_of([past(90, 60)]))))
        await asyncio.sleep(0.3)
        assert not await everything(store)
    assert (await waiting).counts.taken == 1
