"""What the background jobs keep in order: alerts that lapse, and settings."""

import pytest

from alert_history.domain.alert import Alert
from alert_history.ports import Store
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import DAY, MINUTE, NOW, alert, id_of, kinds, receipt

LAPSING = alert(expires_at=NOW + MINUTE)


async def test_lapsed_alert_ends_when_it_had_promised_to(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING)])
    await store.upkeep.expire(NOW + 5 * MINUTE)
    held = await store.history.find(id_of(LAPSING))
    assert (held.status, held.ends_at, held.expires_at) == ("resolved", NOW + MINUTE, None)


async def test_lapse_is_an_event_of_no_receipt(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING)])
    await store.upkeep.expire(NOW + 5 * MINUTE)
    event = (await store.history.timeline(id_of(LAPSING)))[-1]
    assert (event.kind, event.at, event.receipt_id, event.receiver) == ("expired", NOW + 5 * MINUTE, None, None)


async def test_lapsed_alert_ends_once(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING)])
    assert [await store.upkeep.expire(NOW + n * MINUTE) for n in (0, 1, 2)] == [0, 1, 0]


@pytest.mark.parametrize(
    "sent", [alert(), alert(status="resolved"), alert(expires_at=NOW + DAY)], ids=["no lapse", "over", "later"]
)
async def test_what_has_not_lapsed_goes_on(store: Store, sent: Alert) -> None:
    await store.recorder.commit([receipt(sent)])
    assert (await store.upkeep.expire(NOW + 5 * MINUTE), (await store.history.find(id_of(sent))).status) == (
        0,
        sent.status,
    )


async def test_refreshed_alert_does_not_lapse(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING)])
    await store.recorder.commit([receipt(alert(expires_at=NOW + 9 * MINUTE))])
    assert await store.upkeep.expire(NOW + 5 * MINUTE) == 0


async def test_lapsed_alert_that_comes_back_is_refired(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING)])
    await store.upkeep.expire(NOW + 5 * MINUTE)
    await store.recorder.commit([receipt(alert(expires_at=NOW + 9 * MINUTE), at=NOW + 6 * MINUTE)])
    assert await kinds(store, LAPSING) == ["fired", "expired", "refired"]


async def test_lapsed_alerts_end_in_steps(store: Store) -> None:
    await store.recorder.commit([receipt(*(alert(f"A{n}", expires_at=NOW) for n in range(7)))])
    assert [await store.upkeep.expire(NOW, limit=3) for _ in range(3)] == [3, 3, 1]


async def test_setting_nobody_wrote_is_none(store: Store) -> None:
    assert await store.upkeep.read_setting("enrichment_mode") is None


@pytest.mark.parametrize("value", ["enriched", {"mode": "é\"'\\", "n": [1, 2.5, None, True]}, [], "", 0, None, "💾"])
async def test_setting_is_read_as_written(store: Store, open_replica: OpenReplica, value: object) -> None:
    await store.upkeep.write_setting("enrichment_mode", value)
    assert await (await open_replica()).upkeep.read_setting("enrichment_mode") == value


async def test_last_word_on_a_setting_stands(store: Store) -> None:
    for value in ("transparent", "enriched"):
        await store.upkeep.write_setting("enrichment_mode", value)
    await store.upkeep.write_setting("other", "x")
    assert await store.upkeep.read_setting("enrichment_mode") == "enriched"
