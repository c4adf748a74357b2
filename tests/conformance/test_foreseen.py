"""A batch that a recorder foresees wrongly, because another replica wrote meanwhile, is kept as if it foresaw nothing.

Holds `alert_history.storage.shared.foreseen` and `alert_history.storage.postgres.at_once`.
"""

from collections.abc import Sequence

import pytest

from alert_history.domain.alert import Alert
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.ports import Store
from tests.conformance import raw
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import MINUTE, NOW, alert, everything, kinds, receipt

KNOWN, NEW, OTHER = alert("Known"), alert("New"), alert("Other")


@pytest.fixture
async def other(store: Store, open_replica: OpenReplica) -> Store:
    """Another replica, which writes what the first does not see."""
    await store.recorder.commit([receipt(KNOWN)])
    return await open_replica()


def counts(outcomes: Sequence[Outcome]) -> list[tuple[int, int]]:
    return [(outcome.stored, outcome.repeated) for outcome in outcomes]


def later(*alerts: Alert, minutes: int) -> Receipt:
    return receipt(*alerts, at=NOW + minutes * MINUTE)


async def test_alert_that_another_replica_began_is_a_repeat(store: Store, other: Store) -> None:
    await other.recorder.commit([later(NEW, minutes=1)])
    assert counts(await store.recorder.commit([later(NEW, OTHER, minutes=2)])) == [(1, 1)]
    assert await kinds(store, NEW) == ["fired"]
    assert await kinds(store, OTHER) == ["fired"]


async def test_repeat_of_an_alert_that_another_replica_ended_begins_anew(store: Store, other: Store) -> None:
    over = alert("Known", "resolved", ends_at=NOW + MINUTE)
    await other.recorder.commit([later(over, minutes=1)])
    again = alert("Known", starts_at=NOW + 2 * MINUTE)
    assert counts(await store.recorder.commit([later(again, minutes=3)])) == [(1, 0)]
    assert sorted(occurrence.status for occurrence in await everything(store)) == ["firing", "resolved"]


async def test_surprise_counts_no_repeat_beside_it_twice(store: Store, other: Store, database_url: str) -> None:
    await other.recorder.commit([later(NEW, minutes=1)])
    assert counts(await store.recorder.commit([later(KNOWN, NEW, OTHER, minutes=2)])) == [(1, 2)]
    repeats = {occurrence.alertname: occurrence.repeat_count for occurrence in await everything(store)}
    assert repeats == {"Known": 1, "New": 1, "Other": 0}
    assert await raw.count(database_url, "receipts") == 3


async def test_repeat_that_came_too_soon_for_its_sender_is_decided(store: Store, database_url: str) -> None:
    """A first-hand sender does not repeat itself within half a minute: the second word is decided, and counted once."""
    first, second = (receipt(alert("Fast"), at=NOW + seconds * MINUTE / 60, source="prometheus") for seconds in (0, 1))
    assert counts(await store.recorder.commit([first])) == [(1, 0)]
    assert counts(await store.recorder.commit([second])) == [(0, 1)]
    assert await raw.count(database_url, "receipts") == 2


async def test_nothing_of_a_batch_that_surprises_is_written_twice(store: Store, other: Store) -> None:
    batch = [later(*(alert(f"A{n}") for n in range(50)), minutes=2)]
    await other.recorder.commit([later(*(alert(f"A{n}") for n in range(0, 50, 2)), minutes=1)])
    assert counts(await store.recorder.commit(batch)) == [(25, 25)]
    assert counts(await store.recorder.commit([later(*(alert(f"A{n}") for n in range(50)), minutes=3)])) == [(0, 50)]
    assert sorted(occurrence.repeat_count for occurrence in await everything(store)) == [0] + [1] * 25 + [2] * 25


async def test_alerts_beside_one_that_another_replica_began_fire_once_and_end(store: Store, other: Store) -> None:
    """A surprise may leave standings behind without an occurrence: the alert begins all the same, and ends."""
    others = [alert(f"B{n}") for n in range(20)]
    await other.recorder.commit([later(others[3], minutes=1)])
    assert counts(await store.recorder.commit([later(*others, minutes=2)])) == [(19, 1)]
    over = [alert(f"B{n}", "resolved") for n in range(20)]
    assert counts(await other.recorder.commit([later(*over, minutes=3)])) == [(20, 0)]
    assert {tuple(await kinds(store, each)) for each in others} == {("fired", "resolved")}
