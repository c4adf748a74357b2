"""What nobody confirms any more is found, whoever else goes on to speak of it."""

from datetime import timedelta

import msgspec

from alert_history.domain.receipt import Receipt
from alert_history.ports import Store
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, everything, receipt
from tests.lapsing import pass_all

STALE_AFTER = {"team-x": 5 * MINUTE // timedelta(microseconds=1)}


def posted(seconds: float, *, client: str, ends_at: float | None = None) -> Receipt:
    """What the Prometheus at that address posts."""
    at = NOW + seconds * SECOND
    if ends_at is None:
        posted_alert = alert(starts_at=NOW, expires_at=at + 4 * MINUTE)
    else:
        posted_alert = alert(status="resolved", starts_at=NOW, ends_at=NOW + ends_at * SECOND)
    return msgspec.structs.replace(receipt(posted_alert, at=at, source="prometheus"), client=client)


async def test_end_that_one_replica_sends_again_is_no_sign_of_what_alertmanager_listed(store: Store) -> None:
    await store.recorder.commit([posted(0, client="10.0.0.1")])
    await store.recorder.commit([posted(0, client="10.0.0.2")])
    await store.recorder.commit([receipt(alert(starts_at=NOW), at=NOW + SECOND)])
    for seconds in range(60, 600, 60):
        await store.recorder.commit([posted(seconds, client="10.0.0.1", ends_at=50)])
    await pass_all(store.standings, NOW + 10 * MINUTE, stale_after=STALE_AFTER)
    (occurrence,) = await everything(store)
    assert (occurrence.state, occurrence.confirmed_at) == ("unconfirmed", NOW + SECOND)
