"""Two replicas on one database are as good as one: nothing is lost, nothing is counted twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from time import perf_counter

import pytest

from alert_history.domain.alert import Alert
from alert_history.domain.receipt import Receipt
from alert_history.ports import Store
from tests.conformance import raw
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, everything, kinds, note, receipt, silence
from tests.lapsing import pass_all

_ROUNDS = 25


@pytest.fixture
async def pair(store: Store, open_replica: OpenReplica) -> list[Store]:
    return [store, await open_replica()]


async def commit_at_once(pair: Sequence[Store], batches: Sequence[Sequence[Receipt]]) -> tuple[int, int]:
    """Each replica commits its batch, at the same time; how much was stored and repeated in all."""
    done = await asyncio.gather(*(s.recorder.commit(b) for s, b in zip(pair, batches, strict=True)))
    outcomes = [outcome for outcomes in done for outcome in outcomes]
    return sum(o.stored for o in outcomes), sum(o.repeated for o in outcomes)


def random_alert(rng: random.Random, names: int) -> Alert:
    annotations = {"summary": rng.choice(["one", "one", "one", "two"])}
    return alert(f"A{rng.randrange(names)}", rng.choice(["firing", "firing", "resolved"]), annotations=annotations)


def random_batch(rng: random.Random, at: int) -> list[Receipt]:
    when = NOW + at * SECOND
    return [receipt(*(random_alert(rng, 12) for _ in range(rng.randint(1, 6))), at=when) for _ in range(3)]


async def test_same_alert_committed_at_once_is_one_occurrence(pair: list[Store]) -> None:
    for n in range(_ROUNDS):
        await commit_at_once(pair, [[receipt(alert(f"A{n}"))], [receipt(alert(f"A{n}"))]])
    assert len(await everything(pair[0])) == _ROUNDS


async def test_same_alert_committed_at_once_fires_once(pair: list[Store]) -> None:
    counts = [
        await commit_at_once(pair, [[receipt(alert(f"A{n}"))], [receipt(alert(f"A{n}"))]]) for n in range(_ROUNDS)
    ]
    assert counts == [(1, 1)] * _ROUNDS


async def test_same_large_groups_in_opposite_order_are_kept_once(pair: list[Store]) -> None:
    for n in range(8):
        group = [alert(f"A{n}-{m}") for m in range(100)]
        assert await commit_at_once(pair, [[receipt(*group)], [receipt(*reversed(group))]]) == (100, 100)


async def test_same_resolve_committed_at_once_is_one_event(pair: list[Store]) -> None:
    firing, resolved = alert(), alert(status="resolved")
    await pair[0].recorder.commit([receipt(firing)])
    await commit_at_once(pair, [[receipt(resolved)], [receipt(resolved)]])
    assert await kinds(pair[0], firing) == ["fired", "resolved"]


async def test_every_sighting_of_two_replicas_is_an_event_or_a_repeat(pair: list[Store], database_url: str) -> None:
    rng = random.Random(7)
    sent: Counter[str] = Counter()
    for n in range(_ROUNDS):
        batches = [random_batch(rng, n), random_batch(rng, n)]
        sent.update(a.fingerprint for batch in batches for request in batch for a in request.group.alerts)
        await commit_at_once(pair, batches)
    keys = await raw.state_keys(database_url)
    counted = {
        occurrence.fingerprint: occurrence.repeat_count + len(keys[occurrence.fingerprint])
        for occurrence in await everything(pair[0])
    }
    assert counted == dict(sent)


async def test_events_of_two_replicas_are_numbered_without_gaps(pair: list[Store], database_url: str) -> None:
    rng = random.Random(11)
    for n in range(_ROUNDS):
        await commit_at_once(pair, [random_batch(rng, n), random_batch(rng, n)])
    keys = await raw.state_keys(database_url)
    assert keys == {fingerprint: list(range(1, len(numbers) + 1)) for fingerprint, numbers in keys.items()}


async def test_outcomes_of_two_replicas_add_up_to_what_is_stored(pair: list[Store], database_url: str) -> None:
    rng = random.Random(13)
    stored = 0
    for n in range(_ROUNDS):
        stored += (await commit_at_once(pair, [random_batch(rng, n), random_batch(rng, n)]))[0]
    assert stored == await raw.count(database_url, "events")


async def test_repeats_and_changes_of_the_same_alerts_at_once_lock_nobody_out(pair: list[Store]) -> None:
    low, high = sorted(("A", "B"), key=lambda name: alert(name).fingerprint)
    begin = perf_counter()
    for n in range(_ROUNDS):
        unchanged, changed = {"summary": "as ever"}, {"summary": str(n)}
        await pair[0].recorder.commit([receipt(alert(low, annotations=unchanged), alert(high, annotations=unchanged))])
        await commit_at_once(
            pair,
            [
                [receipt(alert(low, annotations=changed), alert(high, annotations=unchanged))],
                [receipt(alert(low, annotations=unchanged), alert(high, annotations=changed))],
            ],
        )
    assert perf_counter() - begin < _ROUNDS / 2  # each deadlock costs a second before PostgreSQL sees it


async def test_same_notes_in_opposite_order_are_kept_once(pair: list[Store], database_url: str) -> None:
    group = [alert(f"A{n}") for n in range(30)]
    await pair[0].recorder.commit([receipt(*group)])
    notes = [note(each) for each in group]
    async with asyncio.timeout(60):
        await commit_at_once(pair, [[receipt(notes=notes)], [receipt(notes=notes[::-1])]])
    assert await raw.count(database_url, "events") == 60


async def test_silences_of_two_replicas_end_at_the_newest(pair: list[Store], database_url: str) -> None:
    for n in range(_ROUNDS):
        words = [silence(updated_at=NOW + (2 * n + m) * MINUTE, comment=str(2 * n + m)) for m in (0, 1)]
        await commit_at_once(pair, [[receipt(silences=[word])] for word in words])
    assert await raw.fetch(database_url, "SELECT comment FROM silences") == [(str(2 * _ROUNDS - 1),)]


async def test_lapsed_alerts_are_unconfirmed_and_end_once_whoever_looks(pair: list[Store], database_url: str) -> None:
    group = [alert(f"A{n}", expires_at=NOW) for n in range(50)]
    await pair[0].recorder.commit([receipt(*group, source="prometheus")])
    for kind, now in (("unconfirmed", NOW + SECOND), ("expired", NOW + 16 * MINUTE)):
        await asyncio.gather(*(pass_all(replica.standings, now) for replica in (*pair, *pair)))
        assert {(await kinds(pair[0], each))[-1] for each in group} == {kind}
    assert await raw.count(database_url, "events") == 150
