"""Alerts whose sender does not say when they started (amtool, curl) belong to the occurrence that is firing."""

from datetime import UTC, datetime, timedelta

import msgspec

from alert_history.domain.receipt import Receipt
from alert_history.ports import HistoryFilter, PageRequest, Store
from alert_history.sources import decode_prometheus

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def _sent(minute: int, **fields: str) -> Receipt:
    received_at = NOW + timedelta(minutes=minute)
    body = msgspec.json.encode([{"labels": {"alertname": "ByHand"}, **fields}])
    group = decode_prometheus(body, received_at=received_at, max_alerts=10)
    return Receipt(
        f"00000000-0000-7000-8000-00000000{minute:04}", received_at, "/api/v2/alerts", True, group, body, b"x"
    )


async def test_an_alert_sent_again_without_a_start_is_the_same_occurrence(store: Store) -> None:
    await store.recorder.commit([_sent(0)])
    await store.recorder.commit([_sent(1), _sent(2)])
    (alert,) = (await store.history.page(HistoryFilter(), PageRequest())).alerts
    assert (alert.starts_at, alert.repeat_count) == (NOW, 2)


async def test_an_end_without_a_start_resolves_what_is_firing(store: Store) -> None:
    await store.recorder.commit([_sent(0)])
    await store.recorder.commit([_sent(4, endsAt="2026-11-24T03:03:00Z")])
    (alert,) = (await store.history.page(HistoryFilter(), PageRequest())).alerts
    assert (alert.status, alert.ends_at) == ("resolved", NOW + timedelta(minutes=3))


async def test_after_a_resolve_it_starts_anew(store: Store) -> None:
    await store.recorder.commit([_sent(0)])
    await store.recorder.commit([_sent(4, endsAt="2026-11-24T03:03:00Z")])
    await store.recorder.commit([_sent(9)])
    page = await store.history.page(HistoryFilter(), PageRequest(sort="starts_at"))
    assert [alert.status for alert in page.alerts] == ["resolved", "firing"]


async def test_after_a_resolve_of_the_same_batch_it_starts_anew(store: Store) -> None:
    await store.recorder.commit([_sent(0), _sent(4, endsAt="2026-11-24T03:03:00Z"), _sent(9)])
    page = await store.history.page(HistoryFilter(), PageRequest(sort="starts_at"))
    assert [alert.status for alert in page.alerts] == ["resolved", "firing"]


async def test_an_end_without_a_start_resolves_what_the_same_batch_started(store: Store) -> None:
    await store.recorder.commit([_sent(0, startsAt="2026-11-24T02:00:00Z"), _sent(4, endsAt="2026-11-24T03:03:00Z")])
    (alert,) = (await store.history.page(HistoryFilter(), PageRequest())).alerts
    assert (alert.status, alert.starts_at) == ("resolved", NOW - timedelta(hours=1))


async def test_sightings_with_and_without_a_start_are_taken_in_the_order_they_came(store: Store) -> None:
    await store.recorder.commit([_sent(0, startsAt="2026-11-24T02:00:00Z")])
    again = _sent(5, startsAt="2026-11-24T02:00:00Z")
    await store.recorder.commit([_sent(4, endsAt="2026-11-24T03:03:00Z"), again])
    (alert,) = (await store.history.page(HistoryFilter(), PageRequest())).alerts
    kinds = [event.kind for event in await store.history.timeline(alert.id)]
    assert kinds == ["fired", "resolved", "refired"]
