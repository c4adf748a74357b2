"""What the background jobs keep in order: alerts whose sender fell silent, and settings."""

import asyncio
from functools import partial

import pytest

from alert_history.domain.alert import Alert, Source
from alert_history.errors import InvalidBody
from alert_history.ports import Store
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, id_of, kinds, receipt
from tests.lapsing import pass_all

LAPSING = alert(expires_at=NOW + MINUTE)
LAPSE = NOW + MINUTE
EXPIRY = LAPSE + 15 * MINUTE


async def test_lapsed_alert_is_unconfirmed_and_says_why(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING, source="prometheus")])
    await pass_all(store.standings, LAPSE)
    occurrence = await store.history.find(id_of(LAPSING))
    assert (
        occurrence.status,
        occurrence.state,
        occurrence.state_reason,
        occurrence.ends_at,
        occurrence.confirmed_at,
    ) == (
        "firing",
        "unconfirmed",
        "its sender fell silent",
        None,
        NOW,
    )


async def test_lapsed_alert_ends_a_quarter_of_an_hour_later_when_it_had_promised_to(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING, source="prometheus")])
    await pass_all(store.standings, EXPIRY - SECOND)
    assert (await store.history.find(id_of(LAPSING))).status == "firing"
    await pass_all(store.standings, EXPIRY)
    occurrence = await store.history.find(id_of(LAPSING))
    assert (occurrence.status, occurrence.ended_by, occurrence.ends_at, occurrence.expires_at) == (
        "resolved",
        "expired",
        LAPSE,
        None,
    )


async def test_lapse_is_an_event_of_no_receipt(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING, source="prometheus")])
    for now in (LAPSE + SECOND, EXPIRY + SECOND):
        await pass_all(store.standings, now)
    _, *events = await store.history.timeline(id_of(LAPSING))
    assert [(event.kind, event.at, event.receipt_id, event.receiver) for event in events] == [
        ("unconfirmed", LAPSE + SECOND, None, None),
        ("expired", EXPIRY + SECOND, None, None),
    ]


async def test_lapsed_alert_is_looked_at_when_it_lapses_and_when_it_ends(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING, source="prometheus")])
    assert [await pass_all(store.standings, NOW + n * MINUTE) for n in (0, 1, 2, 15, 16, 17)] == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    "sent, source",
    [(alert(), "alertmanager"), (alert(status="resolved"), "prometheus"), (alert(expires_at=NOW + DAY), "prometheus")],
    ids=["no lapse", "over", "later"],
)
async def test_what_has_not_lapsed_goes_on(store: Store, sent: Alert, source: Source) -> None:
    await store.recorder.commit([receipt(sent, source=source)])
    looks = await pass_all(store.standings, NOW + 20 * MINUTE)
    occurrence = await store.history.find(id_of(sent))
    assert (looks, occurrence.status, occurrence.state) == (0, sent.status, sent.status)


async def test_refreshed_alert_does_not_lapse(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING, source="prometheus")])
    await store.recorder.commit([receipt(alert(expires_at=NOW + 9 * MINUTE), source="prometheus", at=LAPSE)])
    assert await pass_all(store.standings, NOW + 5 * MINUTE) == 0


async def test_lapsed_alert_that_comes_back_in_time_is_confirmed(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING, source="prometheus")])
    await pass_all(store.standings, EXPIRY - MINUTE)
    again = alert(expires_at=EXPIRY + MINUTE)
    await store.recorder.commit([receipt(again, source="prometheus", at=EXPIRY - MINUTE)])
    assert await kinds(store, LAPSING) == ["fired", "unconfirmed", "confirmed"]
    assert (await store.history.find(id_of(LAPSING))).state == "firing"


async def test_expired_alert_that_comes_back_is_refired(store: Store) -> None:
    await store.recorder.commit([receipt(LAPSING, source="prometheus")])
    await pass_all(store.standings, EXPIRY)
    again = alert(expires_at=EXPIRY + 9 * MINUTE)
    await store.recorder.commit([receipt(again, source="prometheus", at=EXPIRY + MINUTE)])
    assert await kinds(store, LAPSING) == ["fired", "unconfirmed", "expired", "refired"]


async def test_lapsed_alerts_are_looked_at_in_steps(store: Store) -> None:
    lapsing = [alert(f"A{n}", expires_at=NOW) for n in range(7)]
    await store.recorder.commit([receipt(*lapsing, source="prometheus")])
    looks = [await store.standings.let_pass(NOW, stale_after={}, limit=3) for _ in range(4)]
    assert looks == [3, 3, 1, 0]
    assert [(await store.history.find(id_of(each))).state for each in lapsing] == ["unconfirmed"] * 7


async def test_setting_nobody_wrote_is_none(store: Store) -> None:
    assert await store.settings.read("enrichment_mode") is None


@pytest.mark.parametrize("value", ["enriched", {"mode": "é\"'\\", "n": [1, 2.5, None, True]}, [], "", 0, None, "💾"])
async def test_setting_is_read_as_written(store: Store, open_replica: OpenReplica, value: object) -> None:
    await store.settings.write("enrichment_mode", value)
    assert await (await open_replica()).settings.read("enrichment_mode") == value


def _with(name: str, views: list[str] | None) -> list[str]:
    return [*(views or []), name]


async def test_changes_of_a_setting_at_once_are_all_kept(store: Store, open_replica: OpenReplica) -> None:
    stores = [store, await open_replica()]
    names = [f"view {number}" for number in range(12)]
    added = [stores[number % 2].settings.change("views", partial(_with, name)) for number, name in enumerate(names)]
    assert len(await asyncio.gather(*added)) == 12
    assert sorted(await store.settings.read("views")) == sorted(names)


async def test_a_change_of_a_setting_that_fails_changes_nothing(store: Store) -> None:
    def refuse(views: object) -> object:
        raise InvalidBody(f"not to {views}")

    for value in (None, ["a view"]):
        if value is not None:
            await store.settings.write("views", value)
        with pytest.raises(InvalidBody, match="not to "):
            await store.settings.change("views", refuse)
        assert await store.settings.read("views") == value


async def test_last_word_on_a_setting_stands(store: Store) -> None:
    for value in ("transparent", "enriched"):
        await store.settings.write("enrichment_mode", value)
    await store.settings.write("other", "x")
    assert await store.settings.read("enrichment_mode") == "enriched"
