"""What is seen of Alertmanager's groups is kept, and what one replica has seen counts with another."""

from datetime import timedelta

from alert_history.domain.receipt import Receipt
from alert_history.ports import Store
from tests.conformance.conftest import OpenReplica
from tests.conformance.replaying import Replica
from tests.conformance.samples import NOW, SECOND, alert, receipt


def listed(seconds: float, *names: str) -> Receipt:
    """A group's payload that lists these as firing."""
    return receipt(*(alert(name) for name in names), at=NOW + timedelta(seconds=seconds))


async def test_payloads_that_two_replicas_hear_by_turns_are_those_of_one_group(
    store: Store, open_replica: OpenReplica
) -> None:
    replicas = [Replica(store, lambda: NOW), Replica(await open_replica(), lambda: NOW)]
    for number, heard in enumerate([listed(0, "A", "B"), listed(20, "B"), listed(40, "B")]):
        await replicas[number % 2].commit([heard])
        for replica in [*replicas, replicas[0]]:
            await replica.exchange()
    assert [left.fingerprint for left in replicas[0].groups.take_left(9)] == [alert("A").fingerprint]


async def test_what_was_heard_later_is_not_forgotten_for_what_is_kept(store: Store) -> None:
    replica = Replica(store, lambda: NOW)
    await replica.commit([listed(0, "A")])
    await replica.exchange()
    await replica.commit([listed(60, "A")])
    replica.groups.load(await store.standings.load_groups())
    assert replica.groups.stale_after() == {"team-x": 120 * SECOND // timedelta(microseconds=1)}


async def test_only_groups_that_had_a_later_payload_are_loaded(store: Store) -> None:
    replica = Replica(store, lambda: NOW)
    await replica.commit([listed(0, "A")])
    await replica.exchange()
    assert await store.standings.load_groups(NOW) == []
    assert len(await store.standings.load_groups(NOW - SECOND)) == 1
