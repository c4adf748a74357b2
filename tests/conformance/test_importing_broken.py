"""Imports that were broken once: each test is a fault that was found."""

import asyncio
from datetime import datetime
from random import Random
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import Status
from alert_history.domain.past_firing import PastAct, PastFiring
from alert_history.domain.receipt import Receipt
from alert_history.domain.standing import EndedBy
from alert_history.engine.importing import Importing
from alert_history.errors import Busy, StorageUnavailable
from alert_history.ports import Store
from alert_history.ports.past_origins import PastOrigin
from alert_history.storage import is_sqlite, spool
from alert_history.storage.shared import importing as shared
from tests.conformance import raw
from tests.conformance.pasts import LABELS, importing_into, needs_of, origin_of, past, plan_of, some_past
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, everything, posted, receipt
from tests.conformance.test_importing import _check_apart, _counts, _dump, _sent_before
from tests.numbers import check_recount, fold_all, labels_of, numbers_of

WEEKS = 30 * 24 * 60
"""So many minutes ago nobody speaks of a firing any more."""

SEEDS = range(12)


class _Breaking:
    def __init__(self, imports: Any, at: int) -> None:
        self._imports, self._at, self._steps = imports, at, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._imports, name)

    async def take(self, *args: Any, **kw: Any) -> Any:
        self._steps += 1
        if self._steps == self._at:
            raise StorageUnavailable("the database went away")
        return await self._imports.take(*args, **kw)


async def test_what_broke_off_while_writing_goes_on_in_the_same_process(store: Store, database_url: str) -> None:
    firings = [past(WEEKS + n + 1, WEEKS + n, name=f"Rule{n % 7}") for n in range(100, 4000, 2)]
    needs = needs_of(store)
    breaking = Importing(msgspec.structs.replace(needs, rest=0.001, imports=_Breaking(store.imports, 3)))
    with pytest.raises(StorageUnavailable):
        await breaking.run(plan_of(origin_of(firings, batch=500)))
    assert await raw.count(database_url, "alerts") > 0
    record = await Importing(needs).run(plan_of(origin_of(firings, batch=500)))
    assert record.state == "done"
    assert await raw.count(database_url, "alerts") == len(firings)
    await check_recount(store, database_url)


async def test_two_imports_at_once_double_nothing(replicas: list[Store], database_url: str) -> None:
    one, other = replicas
    names = [f"Rule{n}" for n in range(8)]
    firings = [past(WEEKS + n + 5, WEEKS + n, name=name) for name in names for n in range(10, 1000, 10)]
    moved = [past(WEEKS + n + 3, WEEKS + n - 2, name=name) for name in names for n in range(10, 1000, 10)]
    a = Importing(msgspec.structs.replace(needs_of(one), rest=0.001))
    b = Importing(msgspec.structs.replace(needs_of(other), rest=0.001))
    await asyncio.gather(
        a.run(plan_of(origin_of(firings, batch=500), what="a")),
        b.run(plan_of(origin_of(moved, batch=500), what="b")),
    )
    kept = await everything(one)
    _check_apart(kept)
    await check_recount(one, database_url)


@pytest.mark.parametrize("seed", range(12))
async def test_a_label_set_in_several_steps_comes_to_the_same(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    ago = random.choice([0, WEEKS])
    firings = [
        msgspec.structs.replace(
            f,
            starts_at=f.starts_at - ago * MINUTE,
            ends_at=None if f.ends_at is None else f.ends_at - ago * MINUTE,
            last_seen_at=None if f.last_seen_at is None else f.last_seen_at - ago * MINUTE,
        )
        for f in some_past(random, most=20)
    ]
    importing = importing_into(store)
    record = await importing.run(plan_of(origin_of(firings), what="whole"))
    whole = await _dump(database_url)
    await importing.undo(record.id)
    assert await _dump(database_url) == []
    monkeypatch.setattr(spool, "MOST_FIRINGS", 3)
    monkeypatch.setattr(shared, "MOST_FIRINGS", 3)
    await importing.run(plan_of(origin_of(firings), what="cut"))
    assert await _dump(database_url) == whole
    await check_recount(store, database_url)


async def test_corrections_of_two_imports_in_the_order_of_the_imports(store: Store) -> None:
    began = alert(starts_at=NOW - 30 * MINUTE)
    await store.recorder.commit([posted(began, client="prom-a", at=NOW - 30 * MINUTE)])
    importing = importing_into(store)
    one = await importing.run(plan_of(origin_of([past(60, seen=0)]), what="one"))
    two = await importing.run(plan_of(origin_of([past(90, seen=0)]), what="two"))
    await importing.undo(one.id)
    await importing.undo(two.id)
    (kept,) = await everything(store)
    assert kept.starts_at == NOW - 30 * MINUTE


async def test_undo_never_opens_a_second(store: Store) -> None:
    importing = importing_into(store)
    await importing.run(plan_of(origin_of([past(60, seen=40)]), what="one"))
    two = await importing.run(plan_of(origin_of([past(60, 30)]), what="two"))
    await store.recorder.commit([posted(alert(starts_at=NOW - 10 * MINUTE), client="prom-a", at=NOW - 9 * MINUTE)])
    await importing.undo(two.id)
    kept = await everything(store)
    _check_apart(kept)


async def test_what_ends_in_the_future_is_taken_back(store: Store, database_url: str) -> None:
    importing = importing_into(store)
    record = await importing.run(plan_of(origin_of([past(60, -60), past(50, seen=-1, name="Slow")])))
    await importing.undo(record.id)
    assert await _dump(database_url) == []


@pytest.mark.parametrize("ends", [-60, None])
@pytest.mark.parametrize("begins", [60, -30])
async def test_the_future_hides_nothing(store: Store, begins: int, ends: int | None) -> None:
    importing = importing_into(store)
    await importing.run(plan_of(origin_of([past(begins, ends, seen=-40 if ends is None else None)])))
    await store.recorder.commit([posted(alert(starts_at=NOW + MINUTE), client="prom-a", at=NOW + MINUTE)])
    kept = await everything(store)
    assert "firing" in {each.status for each in kept}
    over = alert("DiskFull", "resolved", starts_at=NOW + MINUTE, ends_at=NOW + 5 * MINUTE)
    await store.recorder.commit([posted(over, client="prom-a", at=NOW + 5 * MINUTE)])
    assert "firing" not in {each.status for each in await everything(store)}


async def test_label_numbers_where_an_identity_has_several_label_sets(store: Store, database_url: str) -> None:
    rows = [
        PastFiring(
            {"alertname": "A", "pod": f"p{n}"},
            NOW - 60 * DAY + n * DAY,
            NOW - 60 * DAY + n * DAY + MINUTE,
            identity="00000000000000aa",
        )
        for n in range(3)
    ]
    await importing_into(store).run(plan_of(origin_of(rows)))
    await check_recount(store, database_url)


async def test_a_word_about_an_old_inferred_one(store: Store, database_url: str) -> None:
    """A live sender knows it since 30 days; a file of long ago saw it until 20 days ago."""
    await importing_into(store).run(plan_of(origin_of([past(WEEKS, seen=20 * 24 * 60)])))
    for _ in range(2):
        await store.recorder.commit([posted(alert(starts_at=NOW - WEEKS * MINUTE), client="prom-a", at=NOW)])
    kept = await everything(store)
    _check_apart(kept)
    assert [each.status for each in kept][-1] == "firing"
    await check_recount(store, database_url)


def _shifted(firings: list[PastFiring], minutes: int) -> list[PastFiring]:
    by = minutes * MINUTE
    return [
        msgspec.structs.replace(
            f,
            starts_at=f.starts_at - by,
            ends_at=None if f.ends_at is None else f.ends_at - by,
            last_seen_at=None if f.last_seen_at is None else f.last_seen_at - by,
        )
        for f in firings
    ]


@pytest.mark.parametrize("seed", SEEDS)
async def test_imports_are_taken_back_in_any_order(store: Store, database_url: str, seed: int) -> None:
    random = Random(seed)
    if random.random() < 0.7:
        await _sent_before(store, random)
    before, rows = await _dump(database_url), await _counts(database_url)
    importing = importing_into(store)
    records = []
    for number in range(3):
        firings = some_past(random)
        origin = origin_of(firings, name=f"origin{number}")
        records.append(await importing.run(plan_of(origin, what=f"what {number}")))
        _check_apart(await everything(store))
    random.shuffle(records)
    for record in records:
        await importing.undo(record.id)
        _check_apart(await everything(store))
        await check_recount(store, database_url)
    assert await _dump(database_url) == before, [r.origin for r in records]
    assert await _counts(database_url) | {"events": 0} == rows | {"events": 0}


@pytest.mark.parametrize("seed", SEEDS)
async def test_both_ways_come_to_the_same(store: Store, database_url: str, seed: int) -> None:
    """A label set that nobody knows is brought in the short way; with one unrelated old firing, in the long way."""
    random = Random(seed)
    firings = _shifted(some_past(random, most=20), WEEKS)
    firings = [
        msgspec.structs.replace(
            f,
            annotations=random.choice([{}, {"summary": "a"}, {"summary": "b"}]),
            generator_url=random.choice(["", "http://x"]),
            receiver=random.choice(["", "r"]),
            source=random.choice(["", "s"]),
            repeats=random.choice([0, 3]),
            details=random.choice([None, {"a": 1}]),
            acts=random.choice([(), (PastAct(f"a{n}", "noted", NOW, "ada", "x"),)]),
            last_seen_at=random.choice([f.last_seen_at, f.starts_at]) if f.ends_at is None else None,
        )
        for n, f in enumerate(firings)
    ]
    importing = importing_into(store)
    columns = """fingerprint, starts_at, began_at, ends_at, ended_by, status, repeat_count, last_received_at,
        event_count, content_hash, annotations, generator_url, receiver, source, details, confirmed_at, is_published,
        claim, expires_at, labels, alertname, "timestamp\""""
    sql = f"SELECT {columns} FROM alerts ORDER BY fingerprint, starts_at"  # ours
    one = await importing.run(plan_of(origin_of(firings), what="short"))
    short = await raw.fetch(database_url, sql)
    await fold_all(store)
    numbers, labels = await numbers_of(store), await labels_of(store)
    tables = await _counts(database_url)
    await importing.undo(one.id)
    await fold_all(store)
    assert not any((await numbers_of(store)).values())
    if not is_sqlite(database_url):  # what has a standing goes the long way
        for f in {each.fingerprint for each in firings}:
            await raw.fetch(database_url, "INSERT INTO standings (fingerprint, standing) VALUES ($1, '[]')", f)
    two = await importing.run(plan_of(origin_of(firings), what="long"))
    assert two.counts == one.counts
    assert await raw.fetch(database_url, sql) == short
    await fold_all(store)
    assert await numbers_of(store) == numbers
    assert await labels_of(store) == labels
    assert await _counts(database_url) == tables


_BEGIN = NOW - 700 * MINUTE
_Told = tuple[str, int, int]
"""What fired, from which minute after _BEGIN to which."""


def _truth(random: Random) -> list[_Told]:
    told: list[_Told] = []
    for name in ("DiskFull", "Slow"):
        at = 0
        while at < 600:
            begin = at + random.randint(2, 90)
            end = begin + random.choice([1, 3, 20, 100])
            told.append((name, begin, end))
            at = end + 1
    return told


def _words(random: Random, truth: list[_Told]) -> list[tuple[int, Receipt]]:
    """What one sender says, from some minute on: with a few ends left out."""
    since, is_witness = random.choice([0, 200, 400]), random.random() < 0.5
    words = []
    for name, begin, end in truth:
        minutes = [*range(max(begin, since), end, 7)]
        if end >= since and random.random() < 0.8:
            minutes.append(end)
        for minute in minutes:
            at, is_over = _BEGIN + minute * MINUTE, minute == end
            status: Status = "resolved" if is_over else "firing"
            word = alert(name, status, starts_at=_BEGIN + begin * MINUTE, ends_at=at if is_over else None)
            later = at + SECOND
            words.append((minute, receipt(word, at=later) if is_witness else posted(word, client="prom-a", at=later)))
    return words


def _remembered(random: Random, truth: list[_Told], minute: int) -> list[PastFiring]:
    """What an origin knows in that minute, but for a few."""
    firings = []
    for name, begin, end in truth:
        if begin < minute and random.random() < 0.8:
            seen = None if end <= minute else max(minute - random.choice([0, 1, 4]), begin)
            how: EndedBy = random.choice(["resolved", "inferred"])
            starts_at, ends_at = _BEGIN + begin * MINUTE, None if seen is not None else _BEGIN + end * MINUTE
            seen_at = None if seen is None else _BEGIN + seen * MINUTE
            firings.append(PastFiring({**LABELS, "alertname": name}, starts_at, ends_at, seen_at, how))
    return firings


async def _import_twice(store: Store, url: str, origin: PastOrigin, now: datetime) -> None:
    importing = importing_into(store, now=now)
    await importing.run(plan_of(origin, what=origin.name))
    state = await _dump(url)
    await importing.run(plan_of(origin, what=f"{origin.name} again"))
    assert await _dump(url) == state
    _check_apart(await everything(store))
    await check_recount(store, url)


@pytest.mark.parametrize("seed", SEEDS)
async def test_imports_at_several_times_beside_senders(store: Store, database_url: str, seed: int) -> None:
    """Senders tell of firings as they happen, origins of some of them at some times; then all imports are undone."""
    random = Random(seed)
    truth = _truth(random)
    words = _words(random, truth) if random.random() < 0.7 else []
    happenings: list[tuple[int, Receipt | None]] = [*words, *((random.randint(50, 700), None) for _ in range(3))]
    for number, (minute, word) in enumerate(sorted(happenings, key=lambda each: each[0])):
        if word is not None:
            await store.recorder.commit([word])
            continue
        origin = origin_of(_remembered(random, truth, minute), name=f"origin{number}")
        await _import_twice(store, database_url, origin, _BEGIN + minute * MINUTE + 2 * SECOND)
    starts = {(name, _BEGIN + begin * MINUTE) for name, begin, _ in truth}
    assert {(each.alertname, each.starts_at) for each in await everything(store)} <= starts
    records = await store.imports.newest(20)
    random.shuffle(records)
    for record in records:
        await importing_into(store, now=NOW + MINUTE).undo(record.id)
        _check_apart(await everything(store))
    if not words:
        assert await _dump(database_url) == []


@pytest.mark.xfail(strict=True, reason="nobody knows that it was an import that spoke of it since")
async def test_reopened_by_another_import_then_both_taken_back(store: Store, database_url: str) -> None:
    hour = 60 * MINUTE
    one = await importing_into(store, now=NOW - hour).run(
        plan_of(origin_of([past(180, 90, ended_by="inferred")]), what="one")
    )
    two = await importing_into(store).run(plan_of(origin_of([past(180, seen=0)]), what="two"))
    await importing_into(store).undo(one.id)
    await importing_into(store).undo(two.id)
    assert await _dump(database_url) == []


@pytest.mark.xfail(strict=True, reason="an import does not keep what it joined")
async def test_what_another_import_brought_too_stays(store: Store, database_url: str) -> None:
    importing = importing_into(store)
    one = await importing.run(plan_of(origin_of([past(60, 30)]), what="one"))
    await importing.run(plan_of(origin_of([past(60, 30)], name="other"), what="two"))
    await importing.undo(one.id)
    assert len(await _dump(database_url)) == 1


@pytest.mark.parametrize("client", ["prom-a", ""])
async def test_an_end_of_one_that_the_standing_forgot(store: Store, client: str) -> None:
    importing = importing_into(store)
    await importing.run(plan_of(origin_of([past(n + 1, n) for n in range(10, 1000, 30)])))
    began = NOW - 971 * MINUTE
    word = alert("DiskFull", "resolved", starts_at=began, ends_at=began + MINUTE)
    other = alert("Fresh", starts_at=NOW)
    await store.recorder.commit(
        [posted(word, client="prom-a") if client else receipt(word), posted(other, client="prom-a")]
    )
    kept = await everything(store)
    _check_apart(kept)
    assert "Fresh" in {each.alertname for each in kept}


async def test_undo_with_a_forgotten_past_of_a_sender(store: Store) -> None:
    began = alert(starts_at=NOW - 200 * MINUTE)
    await store.recorder.commit([posted(began, client="prom-a", at=NOW - 200 * MINUTE)])
    over = alert("DiskFull", "resolved", starts_at=began.starts_at, ends_at=NOW - 190 * MINUTE)
    await store.recorder.commit([posted(over, client="prom-a", at=NOW - 190 * MINUTE)])
    importing = importing_into(store)
    record = await importing.run(plan_of(origin_of([past(n + 1, n) for n in range(10, 180, 10)])))
    await importing.undo(record.id)
    await store.recorder.commit([posted(over, client="prom-a", at=NOW - MINUTE)])
    await store.recorder.commit([posted(began, client="prom-a", at=NOW)])
    kept = await everything(store)
    _check_apart(kept)
    assert len(kept) == 1


async def test_undo_while_it_runs(store: Store, database_url: str) -> None:
    firings = [past(WEEKS + n + 1, WEEKS + n, name=f"Rule{n % 7}") for n in range(100, 4000, 2)]
    importing = Importing(msgspec.structs.replace(needs_of(store), rest=0.01))
    running = asyncio.create_task(importing.run(plan_of(origin_of(firings, batch=500))))
    while not await raw.count(database_url, "alerts"):
        await asyncio.sleep(0.01)
    (record,) = await store.imports.newest(1)
    try:
        await importing.undo(record.id)
    except Busy:
        pass
    else:
        await running
        assert await raw.count(database_url, "alerts") == 0, (await store.imports.newest(1))[0].state
    await running


async def test_import_while_its_undo_runs(store: Store, database_url: str) -> None:
    firings = [past(WEEKS + n + 1, WEEKS + n, name=f"Rule{n % 700}") for n in range(100, 8000, 2)]
    importing = Importing(msgspec.structs.replace(needs_of(store), rest=0.05))
    record = await importing.run(plan_of(origin_of(firings, batch=500)))
    undoing = asyncio.create_task(importing.undo(record.id))
    whole = len(firings)
    while await raw.count(database_url, "alerts") == whole:
        await asyncio.sleep(0.001)
    assert not undoing.done()
    try:
        again = await importing.run(plan_of(origin_of(firings, batch=500)))
    except Busy:
        await undoing
    else:
        await undoing
        assert again.state == "done"
        assert await raw.count(database_url, "alerts") == whole


async def test_undo_steps_are_bounded(store: Store) -> None:
    firings = [past(WEEKS + n + 1, WEEKS + n, name=f"Rule{n % 400}") for n in range(0, 400 * 2 * 40, 2)]
    importing = importing_into(store)
    record = await importing.run(plan_of(origin_of(firings, batch=2000)))
    step = await store.imports.take_back(record, after=None)
    assert step.removed < 3000, step


async def test_a_firing_of_long_ago_is_no_neighbour_of_the_future(store: Store) -> None:
    await importing_into(store).run(plan_of(origin_of([past(60, -60 * 24 * 365 * 100)])))
    await store.recorder.commit([posted(alert(starts_at=NOW - MINUTE), client="prom-a", at=NOW + MINUTE)])
    _check_apart(await everything(store))


async def test_what_begins_in_the_future_is_refused(store: Store, database_url: str) -> None:
    await importing_into(store).run(plan_of(origin_of([past(-60 * 24 * 365, -60 * 24 * 366)])))
    assert await _dump(database_url) == []


async def test_a_history_too_large_to_remember_is_joined_as_well(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.Present, "most", 2)
    importing = importing_into(store)
    firings = [past(WEEKS + n + 1, WEEKS + n, name=f"Rule{n % 7}") for n in range(100, 400, 2)]
    await importing.run(plan_of(origin_of(firings), what="one"))
    before = await _dump(database_url)
    await importing.run(plan_of(origin_of(firings), what="two"))
    assert await _dump(database_url) == before
