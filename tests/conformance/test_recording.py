"""Promise 2: the same notification twice is one, and every change is an event."""

import pytest

from alert_history.domain.alert import Alert, Cut, Refused
from alert_history.domain.receipt import Receipt
from alert_history.ports import Store
from tests.conformance import raw
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import (
    MINUTE,
    NOW,
    SECOND,
    alert,
    everything,
    id_of,
    kinds,
    note,
    receipt,
    silence,
)

FIRING = alert()
RESOLVED = alert(status="resolved")
AGAIN = alert(starts_at=NOW)
GROUP_INTERVAL = 5 * MINUTE
REWORDED = alert(annotations={"summary": "still no space", "runbook": "https://runbooks/disk"})


async def test_same_payload_twice_is_one_occurrence(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit([receipt(FIRING)])
    assert [occurrence.id for occurrence in await everything(store)] == [id_of(FIRING)]


async def test_same_payload_twice_is_one_event(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit([receipt(FIRING)])
    assert await kinds(store, FIRING) == ["fired"]


async def test_repeat_is_counted_and_moves_last_received_at(store: Store) -> None:
    for n in range(4):
        await store.recorder.commit([receipt(FIRING, at=NOW + n * SECOND)])
    occurrence = await store.history.find(id_of(FIRING))
    assert (occurrence.repeat_count, occurrence.timestamp, occurrence.last_received_at) == (3, NOW, NOW + 3 * SECOND)


async def test_repeat_is_counted_by_a_replica_that_never_saw_the_alert(store: Store, open_replica: OpenReplica) -> None:
    await store.recorder.commit([receipt(FIRING)])
    outcome = await (await open_replica()).recorder.commit([receipt(FIRING)])
    assert (outcome[0].repeated, (await store.history.find(id_of(FIRING))).repeat_count) == (1, 1)


async def test_same_alert_twice_in_one_receipt_is_one_event(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING, FIRING)])
    assert await kinds(store, FIRING) == ["fired"]


async def test_same_alert_in_two_receipts_of_one_batch_is_one_event(store: Store) -> None:
    outcomes = await store.recorder.commit([receipt(FIRING), receipt(FIRING)])
    assert [(o.stored, o.repeated) for o in outcomes] == [(1, 0), (0, 1)]


async def test_doubles_of_an_ha_pair_are_one_resolve(store: Store) -> None:
    late = alert(status="resolved", ends_at=NOW - MINUTE + SECOND)
    await store.recorder.commit([receipt(FIRING), receipt(FIRING), receipt(RESOLVED)])
    await store.recorder.commit([receipt(late)])
    assert await kinds(store, FIRING) == ["fired", "resolved"]


async def test_first_end_of_a_resolve_stands(store: Store) -> None:
    late = alert(status="resolved", ends_at=NOW - MINUTE + SECOND)
    await store.recorder.commit([receipt(RESOLVED)])
    await store.recorder.commit([receipt(late)])
    assert (await store.history.find(id_of(RESOLVED))).ends_at == NOW - MINUTE


async def test_changed_annotations_are_an_event_with_before_and_after(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit([receipt(REWORDED)])
    event = (await store.history.timeline(id_of(FIRING)))[-1]
    assert (event.kind, event.detail) == (
        "annotations_changed",
        {
            "before": {"summary": "no space left"},
            "after": {"summary": "still no space", "runbook": "https://runbooks/disk"},
        },
    )


async def test_changed_annotations_are_what_is_shown(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit([receipt(REWORDED)])
    assert (await store.history.find(id_of(FIRING))).annotations == REWORDED.annotations


async def test_annotations_in_another_order_are_no_change(store: Store) -> None:
    await store.recorder.commit([receipt(alert(annotations={"a": "1", "b": "2"}))])
    await store.recorder.commit([receipt(alert(annotations={"b": "2", "a": "1"}))])
    assert await kinds(store, FIRING) == ["fired"]


async def test_resolve_ends_the_occurrence(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit([receipt(RESOLVED)])
    occurrence = await store.history.find(id_of(FIRING))
    assert (occurrence.status, occurrence.ends_at) == ("resolved", NOW - MINUTE)


async def test_firing_a_group_interval_after_a_resolve_is_refired_and_open_again(store: Store) -> None:
    for n, sent in enumerate((FIRING, RESOLVED, FIRING)):
        await store.recorder.commit([receipt(sent, at=NOW + n * GROUP_INTERVAL)])
    occurrence = await store.history.find(id_of(FIRING))
    assert (await kinds(store, FIRING), occurrence.status, occurrence.ends_at) == (
        ["fired", "resolved", "refired"],
        "firing",
        None,
    )


async def test_firing_with_the_same_start_right_after_its_resolve_is_a_late_double(store: Store) -> None:
    for n, sent in enumerate((FIRING, RESOLVED, FIRING)):
        await store.recorder.commit([receipt(sent, at=NOW + n * SECOND)])
    occurrence = await store.history.find(id_of(FIRING))
    assert (await kinds(store, FIRING), occurrence.status, occurrence.repeat_count) == (
        ["fired", "resolved"],
        "resolved",
        1,
    )


async def test_resolve_of_an_alert_nobody_saw_firing_is_kept(store: Store) -> None:
    await store.recorder.commit([receipt(RESOLVED)])
    assert (await kinds(store, RESOLVED), (await store.history.find(id_of(RESOLVED))).status) == (
        ["resolved"],
        "resolved",
    )


def _in_order() -> list[Receipt]:
    """What fires, is over, fires again a while later, is over again and fires with a new start, which ends as well."""
    later = NOW + GROUP_INTERVAL
    over_again = alert(status="resolved", ends_at=later + MINUTE)
    anew = alert(starts_at=later + 2 * MINUTE)
    return [
        receipt(FIRING),
        receipt(RESOLVED),
        receipt(FIRING, at=later),
        receipt(over_again, anew, at=later + 2 * MINUTE),
        receipt(alert(status="resolved", starts_at=anew.starts_at, ends_at=later + 3 * MINUTE), at=later + 3 * MINUTE),
    ]


async def test_sightings_of_one_batch_are_taken_in_order(store: Store) -> None:
    batch = _in_order()
    await store.recorder.commit(batch)
    assert await kinds(store, FIRING) == ["fired", "resolved", "refired", "resolved"]
    assert await kinds(store, batch[-1].group.alerts[0]) == ["fired", "resolved"]


async def test_sightings_of_one_batch_are_taken_in_order_when_the_alert_is_known(store: Store) -> None:
    batch = _in_order()
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit(batch)
    assert await kinds(store, FIRING) == ["fired", "resolved", "refired", "resolved"]
    assert await kinds(store, batch[-1].group.alerts[0]) == ["fired", "resolved"]


async def test_new_start_after_the_end_is_another_occurrence(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING), receipt(RESOLVED, AGAIN)])
    assert {occurrence.id for occurrence in await everything(store)} == {id_of(FIRING), id_of(AGAIN)}


async def test_new_start_of_what_fires_is_the_same_occurrence_with_the_earliest_start(store: Store) -> None:
    earlier = alert(starts_at=FIRING.starts_at - MINUTE)
    for sent in (FIRING, AGAIN, earlier):
        await store.recorder.commit([receipt(sent)])
    (occurrence,) = await everything(store)
    assert (occurrence.id, occurrence.starts_at) == (id_of(FIRING), earlier.starts_at)
    assert await kinds(store, FIRING) == ["fired", "start_moved", "start_moved"]


async def test_new_start_a_group_interval_after_the_last_sign_ends_what_fired_before_it(store: Store) -> None:
    anew = alert(starts_at=NOW + GROUP_INTERVAL + SECOND)
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit([receipt(anew, at=anew.starts_at)])
    assert (await kinds(store, FIRING), await kinds(store, anew)) == (["fired", "inferred"], ["fired"])
    occurrence = await store.history.find(id_of(FIRING))
    assert (occurrence.status, occurrence.ended_by, occurrence.ends_at) == ("resolved", "inferred", NOW)


async def test_starts_within_one_millisecond_are_one_start(store: Store) -> None:
    again = alert(starts_at=FIRING.starts_at.replace(microsecond=999))
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit([receipt(again)])
    (occurrence,) = await everything(store)
    assert (occurrence.repeat_count, await kinds(store, FIRING)) == (1, ["fired"])


async def test_refresh_moves_when_the_alert_lapses(store: Store) -> None:
    await store.recorder.commit([receipt(alert(expires_at=NOW + MINUTE), source="prometheus")])
    later = receipt(alert(expires_at=NOW + 2 * MINUTE), source="prometheus", at=NOW + MINUTE)
    await store.recorder.commit([later])
    assert (await store.history.find(id_of(FIRING))).expires_at == NOW + 2 * MINUTE


async def test_repeat_that_promises_no_refresh_leaves_the_lapse_alone(store: Store, open_replica: OpenReplica) -> None:
    await store.recorder.commit([receipt(alert(expires_at=NOW + MINUTE), source="prometheus")])
    for replica in (store, await open_replica()):
        await replica.recorder.commit([receipt(FIRING)])
    assert (await store.history.find(id_of(FIRING))).expires_at == NOW + MINUTE


async def test_event_names_the_receipt_that_brought_it(store: Store) -> None:
    brought = receipt(FIRING)
    await store.recorder.commit([brought])
    event = (await store.history.timeline(id_of(FIRING)))[0]
    assert (event.receipt_id, event.source, event.receiver) == (brought.id, "alertmanager", "team-x")


async def test_outcomes_come_in_the_order_of_the_receipts(store: Store) -> None:
    batch = [receipt(alert(f"A{n}")) for n in range(5)]
    assert [outcome.receipt_id for outcome in await store.recorder.commit(batch)] == [request.id for request in batch]


async def test_outcome_adds_up(store: Store) -> None:
    bad = Refused(3, "labels: missing", b"{}")
    mixed = receipt(
        FIRING,
        FIRING,
        RESOLVED,
        refused=[bad],
        notes=[note(FIRING), note(FIRING), note(alert("Unknown"))],
        silences=[silence()],
    )
    outcome = (await store.recorder.commit([mixed]))[0]
    assert (outcome.received, outcome.stored, outcome.repeated, outcome.quarantined) == (8, 4, 2, 2)


def shortened(alert: Alert, *, raw: bytes = b"{}") -> Receipt:
    """A request whose one alert had to be cut; `raw` is how it came."""
    return receipt(alert, cut=[Cut(alert.fingerprint, Refused(0, "too much: cut", raw, "annotations_cut"))])


async def test_alert_that_was_cut_is_stored_and_in_quarantine_as_it_came(store: Store) -> None:
    outcome = (await store.recorder.commit([shortened(FIRING, raw=b"all of it")]))[0]
    assert (outcome.received, outcome.stored, outcome.quarantined) == (1, 1, 0)
    (entry,) = (await store.history.quarantine(limit=10, cursor=None)).quarantine
    assert (entry.receipt_id, entry.reason, entry.raw) == (outcome.receipt_id, "too much: cut", "all of it")


async def test_alert_that_was_cut_and_is_sent_again_is_in_quarantine_once(
    store: Store, database_url: str, open_replica: OpenReplica
) -> None:
    await store.recorder.commit([shortened(FIRING), shortened(FIRING)])
    await store.recorder.commit([shortened(FIRING)])
    await (await open_replica()).recorder.commit([shortened(FIRING)])
    assert await raw.count(database_url, "quarantine") == 1


async def test_alert_that_was_cut_and_says_something_new_is_in_quarantine_again(
    store: Store, database_url: str
) -> None:
    await store.recorder.commit([shortened(FIRING)])
    await store.recorder.commit([shortened(REWORDED)])
    assert await raw.count(database_url, "quarantine") == 2


async def test_events_are_numbered_without_gaps(store: Store, database_url: str) -> None:
    for n, sent in enumerate((FIRING, REWORDED, RESOLVED, FIRING)):
        await store.recorder.commit([receipt(sent, at=NOW + n * GROUP_INTERVAL) for _ in range(2)])
    assert await raw.state_keys(database_url) == {FIRING.fingerprint: [1, 2, 3, 4]}


async def test_same_body_is_kept_once_a_day(store: Store, database_url: str, open_replica: OpenReplica) -> None:
    await store.recorder.commit([receipt(FIRING, body=b"same")])
    await (await open_replica()).recorder.commit([receipt(FIRING, body=b"same"), receipt(FIRING, body=b"other")])
    assert await raw.count(database_url, "receipt_bodies") == 2


async def test_every_receipt_is_kept(store: Store, database_url: str) -> None:
    await store.recorder.commit([receipt(FIRING), receipt()])
    await store.recorder.commit([receipt(FIRING)])
    assert await raw.count(database_url, "receipts") == 3


async def test_nothing_to_keep_is_no_fault(store: Store) -> None:
    assert await store.recorder.commit([]) == []


@pytest.mark.parametrize("details", [None, {}, {"values": {"A": 1.5, "B": None}, "silenceURL": "http://g/ü"}])
async def test_details_come_back_as_sent(store: Store, details: dict[str, object] | None) -> None:
    from msgspec.structs import replace

    await store.recorder.commit([receipt(replace(FIRING, details=details))])
    assert (await store.history.find(id_of(FIRING))).details == details
