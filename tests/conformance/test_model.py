"""Both stores, by every path through them, decide as `domain.occurrence` does.

The model keeps occurrences in a dict and follows the pure rules; the stores are given the same receipts, split
into the same batches, by replicas that know different alerts.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import count

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alert_history.domain.alert import Alert, Status
from alert_history.domain.occurrence import Event, Occurrence, Sighting, expire, follow
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.ports import Store, StoredAlert, StoredEvent
from tests.conformance import raw
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, STARTS_AT, alert, id_of, receipt

_Key = tuple[str, datetime]
_RUNS = count()


class Sent(msgspec.Struct, frozen=True):
    """One alert of a receipt, to be drawn: which, and what is said of it."""

    name: int
    status: Status
    wording: int
    seconds: int
    lapses: int | None


class Step(msgspec.Struct, frozen=True):
    """What happens next: a replica (2 is always a fresh one) commits receipts, or, at a time, what lapsed is ended."""

    replica: int
    receipts: list[tuple[int, list[Sent]]]
    expires_at_second: int | None


_sent = st.builds(
    Sent,
    name=st.integers(0, 2),
    status=st.sampled_from(["firing", "firing", "resolved"]),
    wording=st.sampled_from([0, 0, 0, 1]),
    seconds=st.integers(0, 2),
    lapses=st.sampled_from([None, None, 10, 20]),
)
_receipts = st.lists(st.tuples(st.integers(0, 30), st.lists(_sent, min_size=1, max_size=4)), min_size=1, max_size=3)
_steps = st.builds(Step, replica=st.integers(0, 2), receipts=_receipts, expires_at_second=st.none()) | st.builds(
    Step, replica=st.integers(0, 1), receipts=st.just([]), expires_at_second=st.integers(0, 30)
)


class Model:
    """What the domain's rules make of all that was sent."""

    def __init__(self) -> None:
        self.occurrences: dict[_Key, Occurrence] = {}
        self.events: dict[_Key, list[Event]] = {}

    def commit(self, receipts: Sequence[Receipt]) -> list[tuple[int, int]]:
        """How many each receipt stored and repeated."""
        made: Counter[str | None] = Counter()
        for sighting in (sighting for one in receipts for sighting in one.sightings):
            made.update(event.receipt_id for event in self._see(sighting))
        return [(made[one.id], len(one.group.alerts) - made[one.id]) for one in receipts]

    def expire(self, now: datetime) -> int:
        """How many it ended."""
        ended = 0
        for key, held in self.occurrences.items():
            if held.status == "firing" and held.expires_at is not None and held.expires_at <= now:
                self.events[key].append(expire(held, fingerprint=key[0], starts_at=key[1], now=now))
                ended += 1
        return ended

    def _see(self, sighting: Sighting) -> list[Event]:
        key = sighting.alert.key
        self.occurrences[key], events = follow(self.occurrences.get(key), [sighting])
        self.events.setdefault(key, []).extend(events)
        return events


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(_steps, min_size=1, max_size=6))
async def test_store_decides_as_the_domain_does(
    steps: list[Step], store: Store, open_replica: OpenReplica, database_url: str
) -> None:
    run, model = next(_RUNS), Model()
    await store.upkeep.expire(NOW + DAY)  # what earlier examples left to lapse is none of this one's
    known = [store, await open_replica()]
    for step in steps:
        if step.expires_at_second is not None:
            now = NOW + step.expires_at_second * SECOND
            assert await known[step.replica].upkeep.expire(now) == model.expire(now)
        else:
            replica = known[step.replica] if step.replica < 2 else await open_replica()
            batch = [_receipt(run, *drawn) for drawn in step.receipts]
            assert _counts(await replica.recorder.commit(batch)) == model.commit(batch)
    keys = await raw.state_keys(database_url)
    for key, occurrence in model.occurrences.items():
        one = _alert(run, Sent(_name_of(run, key), "firing", 0, 0, None))
        assert _kept(await store.history.find(id_of(one))) == _decided(occurrence)
        assert _told(await store.history.timeline(id_of(one))) == _made(model.events[key])
        assert keys[key[0]] == list(range(1, occurrence.event_count + 1))


def _receipt(run: int, second: int, sent: Sequence[Sent]) -> Receipt:
    return receipt(*(_alert(run, one) for one in sent), at=NOW + second * SECOND)


def _alert(run: int, sent: Sent) -> Alert:
    is_over = sent.status == "resolved"
    return alert(
        f"A{sent.name}",
        sent.status,
        starts_at=STARTS_AT,
        ends_at=NOW - MINUTE + sent.seconds * SECOND if is_over else None,
        expires_at=None if is_over or sent.lapses is None else NOW + sent.lapses * SECOND,
        labels={"run": str(run)},
        annotations={"summary": "one", "gone": "soon"} if sent.wording == 0 else {"summary": "two", "new": "here"},
    )


def _name_of(run: int, key: _Key) -> int:
    return next(n for n in range(3) if _alert(run, Sent(n, "firing", 0, 0, None)).key == key)


def _counts(outcomes: Sequence[Outcome]) -> list[tuple[int, int]]:
    return [(outcome.stored, outcome.repeated) for outcome in outcomes]


def _kept(found: StoredAlert) -> tuple[object, ...]:
    return (
        found.status,
        found.annotations,
        found.ends_at,
        found.expires_at,
        found.last_received_at,
        found.repeat_count,
    )


def _decided(held: Occurrence) -> tuple[object, ...]:
    return (
        held.status,
        held.annotations,
        held.ends_at,
        held.expires_at,
        held.last_received_at,
        held.repeat_count,
    )


def _told(events: Sequence[StoredEvent]) -> list[tuple[object, ...]]:
    return [(event.kind, event.at, event.receipt_id, event.detail) for event in events]


def _made(events: Sequence[Event]) -> list[tuple[object, ...]]:
    in_time = sorted(events, key=lambda event: (event.at, event.key))
    return [(event.kind, event.at, event.receipt_id, event.detail) for event in in_time]
