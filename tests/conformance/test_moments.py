"""What fired at a past moment, on both databases."""

from datetime import datetime, timedelta

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
