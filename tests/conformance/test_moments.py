"""What fired at a past moment, on both databases.

Holds: `storage.shared.moments`, `storage.shared.late_ends`, `domain.firing_spans`, `domain.alertmanager.recorded`.
"""

from datetime import datetime, timedelta

from alert_history.domain.alert import Note
from alert_history.domain.speaker import witness_id
from alert_history.ports import Store
from tests.conformance.samples import MINUTE, NOW, SECOND, STARTS_AT, alert, posted, receipt

HOUR = timedelta(hours=1)


async def _names(store: Store, at: datetime) -> list[str]:
    return sorted(each.labels["alertname"] for each in await store.moments.alerts(at, limit=100))


async def test_what_was_posted_fires_from_its_receipt_to_the_receipt_of_its_end(store: Store) -> None:
    firing = alert("Posted", expires_at=NOW + 4 * MINUTE)
    await store.recorder.commit([posted(firing, client="p", at=NOW)])
    over = alert("Posted", "resolved", ends_at=NOW + MINUTE)
    await store.recorder.commit([posted(over, client="p", at=NOW + 2 * MINUTE)])
    assert await _names(store, NOW - SECOND) == []
    assert await _names(store, NOW) == ["Posted"]
    assert await _names(store, NOW + 2 * MINUTE - SECOND) == ["Posted"]
    assert await _names(store, NOW + 2 * MINUTE) == []


async def test_what_a_webhook_told_fires_from_its_start_to_its_end(store: Store) -> None:
    await store.recorder.commit([receipt(alert("Told"))])
    await store.recorder.commit(
        [receipt(alert("Told", "resolved", ends_at=NOW + 3 * HOUR), at=NOW + 3 * HOUR + MINUTE)]
    )
    assert await _names(store, STARTS_AT - SECOND) == []
    assert await _names(store, STARTS_AT) == ["Told"]
    assert await _names(store, NOW + 3 * HOUR - SECOND) == ["Told"]
    assert await _names(store, NOW + 3 * HOUR) == []


async def test_an_end_that_was_learnt_of_late_leaves_the_alert_listed_until_then(store: Store) -> None:
    firing = alert("Late", expires_at=NOW + 4 * MINUTE)
    await store.recorder.commit([posted(firing, client="p", at=NOW)])
    over = alert("Late", "resolved", ends_at=NOW + MINUTE)
    await store.recorder.commit([posted(over, client="p", at=NOW + 5 * HOUR)])
    assert await _names(store, NOW + 5 * HOUR - SECOND) == ["Late"]
    assert await _names(store, NOW + 5 * HOUR) == []


async def test_the_alertmanager_that_told_of_an_alert_is_its_witness(store: Store) -> None:
    await store.recorder.commit([receipt(alert("Told"))])
    await store.recorder.commit([posted(alert("Posted"), client="p", at=NOW)])
    found = {each.labels["alertname"]: each for each in await store.moments.alerts(NOW + SECOND, limit=9)}
    assert found["Told"].witnesses == (witness_id("http://alertmanager"),)
    assert found["Posted"].witnesses == ()
    [told] = await store.moments.alerts(NOW - SECOND, limit=9, names_witnesses=False)
    assert told.witnesses == ()


async def test_what_muted_an_alert_is_what_events_say(store: Store) -> None:
    of = alert("Told")
    until = NOW + HOUR
    notes = [
        Note(of.fingerprint, None, "silenced", NOW + MINUTE, "am-0", {"silence_id": "s-1", "ends_at": str(until)}),
        Note(of.fingerprint, None, "inhibited", NOW + 2 * HOUR, "am-0", {"inhibited_by": ["00000000000000aa"]}),
        Note(of.fingerprint, None, "unsilenced", NOW + 3 * HOUR, "am-0", {}),
    ]
    await store.recorder.commit([receipt(of)])
    await store.recorder.commit([receipt(notes=notes, at=NOW + 3 * HOUR, source="event_recorder")])

    async def muted(after: timedelta) -> object:
        [found] = await store.moments.alerts(NOW + after, limit=9)
        return found.muted

    assert await muted(SECOND) is None
    assert await muted(2 * MINUTE) == ("silenced", ("s-1",))
    assert await muted(HOUR + MINUTE) is None
    assert await muted(2 * HOUR) == ("inhibited", ("00000000000000aa",))
    assert await muted(3 * HOUR) is None


async def test_annotations_and_start_are_as_they_were(store: Store) -> None:
    first = alert("Told", annotations={"summary": "one", "gone": "x"})
    then = alert("Told", annotations={"summary": "two"}, starts_at=STARTS_AT - MINUTE)
    await store.recorder.commit([receipt(first)])
    await store.recorder.commit([receipt(then, at=NOW + MINUTE)])
    [before] = await store.moments.alerts(NOW, limit=9)
    assert (dict(before.annotations), before.starts_at) == ({"summary": "one", "gone": "x"}, STARTS_AT)
    [after] = await store.moments.alerts(NOW + MINUTE, limit=9)
    assert (dict(after.annotations), after.starts_at) == ({"summary": "two"}, STARTS_AT - MINUTE)


async def test_one_more_than_the_limit_says_that_there_are_more(store: Store) -> None:
    await store.recorder.commit([receipt(*(alert(f"A{number}") for number in range(5)))])
    found = await store.moments.alerts(NOW, limit=3)
    assert len(found) == 4
    assert [each.fingerprint for each in found] == sorted(each.fingerprint for each in found)


async def test_an_end_that_nobody_sent_lies_within_its_bounds(store: Store) -> None:
    """A webhook tells of a later firing: the end of the first one lies between its last sign and the new start."""
    await store.recorder.commit([receipt(alert("Told"))])
    anew = NOW + 9 * HOUR
    await store.recorder.commit([receipt(alert("Told", starts_at=anew), at=anew + MINUTE)])

    async def at(moment: datetime) -> list[tuple[datetime, bool, bool]]:
        found = await store.moments.alerts(moment, limit=9)
        return [(each.starts_at, each.is_unconfirmed, "status" in each.unknown) for each in found]

    assert await at(NOW - SECOND) == [(STARTS_AT, False, False)]
    assert await at(NOW + 5 * HOUR) == [(STARTS_AT, True, True)]
    assert await at(anew) == [(anew, False, False)]
