"""The outbox: what is recorded for publishing is delivered in order, by one replica at a time, or dead on record."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
import pytest

from alert_history.domain.alert import Alert, Source, Status
from alert_history.domain.delivery import Attempt, Leased, Routing, Settlement
from alert_history.domain.notifying import news_of, route
from alert_history.domain.occurrence import Event
from alert_history.domain.query import parse_query
from alert_history.domain.quiet_hours import QuietHours
from alert_history.domain.routes import Destination, Route, Routes
from alert_history.domain.tally import OUTCOMES
from alert_history.domain.target import TargetSpec
from alert_history.errors import NotFound
from alert_history.ports import DeliveryFilter, Router, Store, StoredDelivery
from alert_history.storage import open_store
from tests.conformance import raw
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, id_of, receipt
from tests.lapsing import pass_all
from tests.leases import aged, time_passes
from tests.numbers import check_sums, numbers_of

LEASE = timedelta(seconds=30)
ALL = TargetSpec("all", "webhook", {})


def _router(*specs: TargetSpec, routes: Routes | None = None) -> Router:
    def decide(alert: Alert, event: Event) -> Routing | None:
        return route(specs, news_of(alert, event), routes=routes)

    return decide


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = open_store(database_url, router=_router(ALL))
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


async def _record(store: Store, *alerts: Alert, at: datetime = NOW, source: Source = "alertmanager") -> int:
    sent = msgspec.structs.replace(receipt(*alerts, at=at, source=source), publish=True)
    return (await store.recorder.commit([sent]))[0].deliveries


async def _lease(store: Store, *, now: datetime = NOW, limit: int = 100) -> list[Leased]:
    return (await store.outbox.lease("all", now=now, limit=limit, lease_for=LEASE))[0]


async def _settle(
    store: Store,
    leased: list[Leased],
    state: Literal["pending", "delivered", "dead"],
    *,
    due_at: datetime | None = None,
) -> None:
    attempt = Attempt(NOW, state, "", 1)
    await store.outbox.settle(
        [(delivery, Settlement(delivery.id, state, attempt, due_at=due_at)) for delivery in leased]
    )


async def _states(store: Store) -> list[str]:
    page = await store.delivery_log.deliveries(DeliveryFilter(limit=1000))
    return sorted(f"{delivery.event} {delivery.state}" for delivery in page.deliveries)


async def test_each_event_is_one_delivery_and_a_repeat_is_none(store: Store) -> None:
    assert await _record(store, alert()) == 1
    assert await _record(store, alert()) == 0
    assert await _states(store) == ["fired pending"]


async def test_settled_deliveries_are_in_the_numbers_of_their_target(store: Store) -> None:
    await _record(store, alert("One"), alert("Two"), alert("Three"))
    first, second, third = await _lease(store)
    await _settle(store, [first, second], "dead")
    await _settle(store, [third], "delivered")
    await store.delivery_log.replay(now=NOW + MINUTE, delivery_id=first.id)
    await _record(store, alert("Two", "resolved"), at=NOW + MINUTE)
    await _lease(store, now=NOW + 2 * MINUTE)
    numbers = await numbers_of(store)
    counted = {name: sum(tally.begun for tally in numbers[name].values()) for name in OUTCOMES}
    states = [state.split()[1] for state in await _states(store)]
    assert counted == {name: states.count(name) for name in OUTCOMES}
    assert counted["dead"] == counted["delivered"] == 1
    await check_sums(store)


async def test_dead_letters_are_counted_until_they_are_replayed(store: Store) -> None:
    assert await store.delivery_log.dead() == {}
    await _record(store, alert("One"), alert("Two"), alert("Three"))
    first, second, third = await _lease(store)
    await _settle(store, [first, second], "dead")
    await _settle(store, [third], "delivered")
    assert await store.delivery_log.dead() == {"all": 2}
    await store.delivery_log.replay(now=NOW, delivery_id=first.id)
    assert await store.delivery_log.dead() == {"all": 1}


async def test_a_request_that_is_only_recorded_queues_nothing(store: Store) -> None:
    await store.recorder.commit([receipt(alert())])
    assert await _states(store) == []


async def test_what_is_leased_says_what_happened(store: Store) -> None:
    await _record(store, alert())
    (leased,) = await _lease(store)
    outgoing = leased.alert
    assert (outgoing.status, outgoing.event, outgoing.labels["alertname"], outgoing.receiver) == (
        "firing",
        "fired",
        "DiskFull",
        "team-x",
    )


async def test_a_leased_delivery_is_given_to_nobody_else(store: Store) -> None:
    await _record(store, alert())
    assert len(await _lease(store)) == 1
    assert await _lease(store) == []


async def test_a_lease_that_ran_out_is_taken_over(store: Store, database_url: str) -> None:
    await _record(store, alert())
    (first,) = await _lease(store)
    await time_passes(database_url, LEASE + SECOND)
    (second,) = await _lease(store)
    assert (second.id, second.attempt) == (first.id, 2)


async def test_a_lease_is_not_over_because_the_clock_of_another_process_is_ahead(store: Store) -> None:
    await _record(store, alert())
    await _lease(store)
    assert await _lease(store, now=NOW + DAY) == []


async def test_a_lease_from_before_the_clock_was_set_back_is_taken_over(store: Store, database_url: str) -> None:
    """As after a switch to a standby whose clock is behind: else the delivery would wait for hours."""
    await _record(store, alert())
    (first,) = await _lease(store)
    await time_passes(database_url, -9 * MINUTE)
    assert await _lease(store) == []
    await time_passes(database_url, -2 * MINUTE)
    (second,) = await _lease(store)
    assert (second.id, second.attempt) == (first.id, 2)


async def test_a_resolve_waits_while_its_firing_is_under_way(store: Store) -> None:
    await _record(store, alert())
    under_way = await _lease(store)
    await _record(store, alert(status="resolved"), at=NOW + SECOND)
    assert await _lease(store, now=NOW + 2 * SECOND) == []
    await _settle(store, under_way, "delivered")
    (resolve,) = await _lease(store, now=NOW + 2 * SECOND)
    assert resolve.alert.status == "resolved"


async def test_under_backlog_the_newest_wins_and_the_older_is_superseded_on_record(store: Store) -> None:
    await _record(store, alert())
    await _record(store, alert(status="resolved"), at=NOW + SECOND)
    leased, superseded = await store.outbox.lease("all", now=NOW + 2 * SECOND, limit=10, lease_for=LEASE)
    assert ([delivery.alert.status for delivery in leased], superseded) == (["resolved"], 1)
    assert await _states(store) == ["fired superseded", "resolved leased"]


async def test_order_is_that_of_the_alert_even_if_a_replica_s_clock_is_behind(store: Store) -> None:
    await _record(store, alert())
    await _record(store, alert(status="resolved"), at=NOW - MINUTE)
    (leased,) = await _lease(store)
    assert leased.alert.status == "resolved"


async def test_a_postponed_delivery_comes_when_it_is_due_with_its_attempts(store: Store) -> None:
    await _record(store, alert())
    await _settle(store, await _lease(store), "pending", due_at=NOW + MINUTE)
    assert await _lease(store, now=NOW + 30 * SECOND) == []
    (again,) = await _lease(store, now=NOW + MINUTE)
    assert again.attempt == 2


async def test_a_settlement_of_a_lost_lease_changes_nothing(store: Store) -> None:
    await _record(store, alert())
    first = await _lease(store)
    await _settle(store, first, "pending", due_at=NOW)
    await _settle(store, first, "delivered")
    assert await _states(store) == ["fired pending"]


@pytest.mark.parametrize("state", ["delivered", "dead", "pending"])
async def test_a_late_settlement_takes_the_delivery_from_nobody_who_took_it_over(
    store: Store, database_url: str, state: Literal["pending", "delivered", "dead"]
) -> None:
    await _record(store, alert())
    late = [aged(leased, LEASE + SECOND) for leased in await _lease(store)]
    await time_passes(database_url, LEASE + SECOND)
    current = await _lease(store)
    await _settle(store, late, state, due_at=NOW if state == "pending" else None)
    assert await _states(store) == ["fired leased"]
    await _settle(store, current, "delivered")
    assert await _states(store) == ["fired delivered"]


async def test_a_late_settlement_of_what_nobody_took_over_counts(store: Store, database_url: str) -> None:
    await _record(store, alert())
    late = [aged(leased, LEASE + SECOND) for leased in await _lease(store)]
    await time_passes(database_url, LEASE + SECOND)
    await _settle(store, late, "delivered")
    assert await _states(store) == ["fired delivered"]


async def test_an_outcome_names_the_targets_that_its_deliveries_are_for(store: Store) -> None:
    sent = [msgspec.structs.replace(receipt(alert(name)), publish=name == "A") for name in ("A", "B")]
    outcomes = await store.recorder.commit(sent)
    assert [outcome.targets for outcome in outcomes] == [{"all"}, set()]


async def test_a_dead_delivery_can_be_replayed(store: Store) -> None:
    await _record(store, alert())
    (dead,) = await _lease(store)
    await _settle(store, [dead], "dead")
    assert await store.delivery_log.replay(now=NOW, delivery_id=dead.id) == 1
    (again,) = await _lease(store)
    assert again.id == dead.id


@pytest.mark.parametrize("state", ["delivered", "leased", "pending"])
async def test_a_dead_delivery_is_not_replayed_after_newer_of_its_alert(store: Store, state: str) -> None:
    await _record(store, alert())
    (dead,) = await _lease(store)
    await _settle(store, [dead], "dead")
    await _record(store, alert(status="resolved"), at=NOW + SECOND)
    newer = await _lease(store, now=NOW + SECOND) if state != "pending" else []
    if state == "delivered":
        await _settle(store, newer, "delivered")
    assert await store.delivery_log.replay(now=NOW + SECOND) == 0
    with pytest.raises(NotFound, match="newer"):
        await store.delivery_log.replay(now=NOW + SECOND, delivery_id=dead.id)
    assert await _states(store) == ["fired dead", f"resolved {state}"]


async def test_of_two_dead_deliveries_of_an_alert_the_newer_is_told(store: Store) -> None:
    statuses: tuple[Status, ...] = ("firing", "resolved")
    for status in statuses:
        await _record(store, alert(status=status))
        await _settle(store, await _lease(store), "dead")
    assert await store.delivery_log.replay(now=NOW) == 2
    (leased,) = await _lease(store)
    assert leased.alert.status == "resolved"
    assert await _states(store) == ["fired superseded", "resolved leased"]


async def test_only_dead_deliveries_are_replayed(store: Store) -> None:
    await _record(store, alert())
    (leased,) = await _lease(store)
    await _settle(store, [leased], "delivered")
    with pytest.raises(NotFound):
        await store.delivery_log.replay(now=NOW, delivery_id=leased.id)


async def test_what_a_target_called_it_comes_with_the_next_event(store: Store) -> None:
    await _record(store, alert())
    (first,) = await _lease(store)
    attempt = Attempt(NOW, "delivered", "", 1)
    await store.outbox.settle([(first, Settlement(first.id, "delivered", attempt, external_id="rootly-7"))])
    await _record(store, alert(status="resolved"), at=NOW + SECOND)
    (resolve,) = await _lease(store, now=NOW + SECOND)
    assert resolve.alert.external_id == "rootly-7"


async def test_an_expiry_is_told_to_whom_the_firing_was(store: Store) -> None:
    await _record(store, alert(expires_at=NOW + MINUTE), source="prometheus")
    await _settle(store, await _lease(store), "delivered")
    await pass_all(store.standings, NOW + 16 * MINUTE)
    (delivery,) = await _lease(store, now=NOW + 16 * MINUTE)
    assert (delivery.alert.event, delivery.alert.status, delivery.alert.ends_at) == (
        "expired",
        "resolved",
        NOW + MINUTE,
    )
    assert (delivery.alert.reason, delivery.alert.confirmed_at) == ("its sender fell silent", NOW)


async def test_an_inferred_end_is_told_with_its_reason(store: Store) -> None:
    await _record(store, alert())
    await _settle(store, await _lease(store), "delivered")
    await pass_all(store.standings, NOW + 26 * 60 * MINUTE, stale_after={})
    await pass_all(store.standings, NOW + 9 * DAY, stale_after={})
    (delivery,) = await _lease(store, now=NOW + 9 * DAY)
    assert (delivery.alert.ended_by, delivery.alert.reason) == ("inferred", "there was no sign of it for 25 h 0 min")


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_an_inferred_end_waits_under_a_name_that_pods_of_the_release_before_know(
    store: Store, database_url: str
) -> None:
    """Pods of two releases work on one PostgreSQL; they share no file of SQLite's."""
    await _record(store, alert())
    await _settle(store, await _lease(store), "delivered")
    await pass_all(store.standings, NOW + 26 * 60 * MINUTE, stale_after={})
    await pass_all(store.standings, NOW + 9 * DAY, stale_after={})
    assert await raw.fetch(database_url, "SELECT event FROM delivery_queue") == [("resolved",)]
    (ended,) = await _lease(store, now=NOW + 9 * DAY)
    assert ended.alert.event == "inferred"
    await _settle(store, [ended], "delivered")
    newest, *_ = (await store.delivery_log.deliveries(DeliveryFilter())).deliveries
    assert newest.event == "inferred"


async def test_what_a_sender_ended_by_word_has_no_reason(store: Store) -> None:
    await _record(store, alert())
    await _settle(store, await _lease(store), "delivered")
    await _record(store, alert(status="resolved"), at=NOW + SECOND)
    (delivery,) = await _lease(store, now=NOW + SECOND)
    assert (delivery.alert.ended_by, delivery.alert.reason) == ("resolved", "")


async def test_targets_see_a_fingerprint_apart_from_its_scope(store: Store) -> None:
    scoped = receipt(alert())
    await store.recorder.commit([msgspec.structs.replace(scoped, publish=True, scope="eu-1")])
    (delivery,) = await _lease(store)
    assert (delivery.alert.fingerprint, delivery.alert.scope) == (alert().fingerprint, "eu-1")


async def test_nobody_is_told_that_an_alert_is_unconfirmed(store: Store) -> None:
    await _record(store, alert(expires_at=NOW + MINUTE), source="prometheus")
    await _settle(store, await _lease(store), "delivered")
    await pass_all(store.standings, NOW + MINUTE)
    await _record(store, alert(expires_at=NOW + 9 * MINUTE), source="prometheus", at=NOW + 2 * MINUTE)
    events = [event.kind for event in await store.history.timeline(id_of(alert()))]
    assert (events, await _states(store)) == (["fired", "unconfirmed", "confirmed"], ["fired delivered"])


async def test_the_decision_and_its_reason_are_in_the_timeline(database_url: str) -> None:
    off = msgspec.structs.replace(ALL, name="off", is_enabled=False)
    store = open_store(database_url, router=_router(ALL, off))
    await store.lifecycle.open()
    await _record(store, alert())
    (fired,) = await store.history.timeline(id_of(alert()))
    await store.lifecycle.close()
    assert fired.detail == {"routing": {"told": ["all"], "not_told": {"off": "the target is disabled"}}}


@pytest.fixture
async def quiet_store(database_url: str) -> AsyncIterator[Store]:
    """A store whose only route is quiet from five past twelve on, for an hour; nothing but the critical passes."""
    hours = QuietHours(frozenset(range(7)), 12 * 60 + 5, 13 * 60 + 5, UTC, "UTC", "hold", parse_query("urgent=yes"))
    routes = (Route("r", destinations=(Destination("all"),), quiet_hours=(hours,)),)
    opened = open_store(database_url, router=_router(ALL, routes=routes))
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


QUIET = NOW + 6 * MINUTE
LOUD = NOW + 65 * MINUTE


async def test_what_quiet_hours_hold_is_not_leased_before_they_end(quiet_store: Store) -> None:
    await _record(quiet_store, alert(), alert("Urgent", labels={"urgent": "yes"}), at=QUIET)
    (urgent,) = await _lease(quiet_store, now=LOUD - SECOND)
    assert urgent.alert.labels["alertname"] == "Urgent"
    (delivery,) = await _lease(quiet_store, now=LOUD)
    assert (delivery.alert.labels["alertname"], delivery.attempt) == ("DiskFull", 1)


async def test_the_end_of_a_hold_and_its_route_are_in_the_timeline(quiet_store: Store) -> None:
    await _record(quiet_store, alert(), at=QUIET)
    (fired,) = await quiet_store.history.timeline(id_of(alert()))
    assert fired.detail is not None
    assert fired.detail["routing"]["routes"] == {"all": "r"}
    assert msgspec.convert(fired.detail["routing"]["due_at"]["all"], datetime) == LOUD


async def test_a_retry_does_not_bring_a_held_resolve_forward(quiet_store: Store) -> None:
    await _record(quiet_store, alert())
    await _settle(quiet_store, await _lease(quiet_store), "pending", due_at=QUIET + SECOND)
    await _record(quiet_store, alert(status="resolved"), at=QUIET)
    (again,) = await _lease(quiet_store, now=QUIET + MINUTE)
    assert (again.alert.event, again.attempt) == ("fired", 2)
    await _settle(quiet_store, [again], "delivered")
    assert await _lease(quiet_store, now=LOUD - SECOND) == []
    (resolved,) = await _lease(quiet_store, now=LOUD)
    assert resolved.alert.event == "resolved"


async def test_of_what_was_held_the_newest_is_told_when_quiet_hours_end(quiet_store: Store) -> None:
    await _record(quiet_store, alert(), at=QUIET)
    await _record(quiet_store, alert(status="resolved"), at=QUIET + MINUTE)
    (delivery,) = await _lease(quiet_store, now=LOUD)
    assert delivery.alert.event == "resolved"
    assert await _states(quiet_store) == ["fired superseded", "resolved leased"]


async def test_an_expiry_in_quiet_hours_waits_for_their_end(quiet_store: Store) -> None:
    await _record(quiet_store, alert(expires_at=QUIET), source="prometheus")
    await _settle(quiet_store, await _lease(quiet_store), "delivered")
    await pass_all(quiet_store.standings, QUIET + 15 * MINUTE)
    assert await _lease(quiet_store, now=LOUD - SECOND) == []
    (delivery,) = await _lease(quiet_store, now=LOUD)
    assert delivery.alert.event == "expired"
    expired = (await quiet_store.history.timeline(id_of(alert())))[-1]
    assert expired.detail is not None
    assert expired.detail["routing"]["told"] == ["all"]


async def test_depth_counts_what_is_held_and_says_when_it_can_be_told(quiet_store: Store) -> None:
    await _record(quiet_store, alert(), at=QUIET)
    depth = (await quiet_store.delivery_log.depth())["all"]
    assert (depth.waiting, depth.oldest) == (1, LOUD)


async def test_depth_counts_the_age_of_what_failed_from_its_beginning(store: Store) -> None:
    await _record(store, alert())
    await _settle(store, await _lease(store), "pending", due_at=NOW + MINUTE)
    assert (await store.delivery_log.depth())["all"].oldest == NOW


async def test_depth_says_what_waits_and_since_when(store: Store) -> None:
    await _record(store, alert("A"), alert("B"))
    depth = await store.delivery_log.depth()
    assert (depth["all"].waiting, depth["all"].oldest) == (2, NOW)


async def test_pages_of_deliveries_visit_each_once(store: Store) -> None:
    await _record(store, *(alert(f"A{number}") for number in range(7)))
    seen: list[StoredDelivery] = []
    cursor = None
    while True:
        page = await store.delivery_log.deliveries(DeliveryFilter(limit=3, cursor=cursor))
        seen += page.deliveries
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len({delivery.id for delivery in seen}) == len(seen) == 7
