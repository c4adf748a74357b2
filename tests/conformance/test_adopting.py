"""What releases before ours left, or pods of them still write: doubles are joined, ghosts are closed, with a trace."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

import msgspec
import pytest

from alert_history.domain.alert import Alert, AlertGroup
from alert_history.domain.delivery import Attempt, Routing, Settlement
from alert_history.domain.microseconds import to_us
from alert_history.domain.notifying import news_of, route
from alert_history.domain.occurrence import Event, occurrence_id
from alert_history.domain.receipt import Receipt
from alert_history.domain.target import TargetSpec
from alert_history.ports import Store
from alert_history.storage import is_sqlite, open_store
from tests.conformance.raw import fetch
from tests.conformance.samples import MINUTE, NOW, SECOND, STARTS_AT, alert, everything, id_of, posted, receipt
from tests.legacy import double, forget_claims, resolve

TARGETS = (TargetSpec("pager", "webhook", {}),)
FIRING = alert()
SECOND_START = STARTS_AT + 2 * MINUTE

OpenStore = Callable[[], Awaitable[Store]]


def _decide(alert: Alert, event: Event) -> Routing | None:
    return route(TARGETS, news_of(alert, event))


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[OpenStore]:
    """Opens a store that tells a pager; it is closed with the test."""
    stores: list[Store] = []

    async def open_one() -> Store:
        store = open_store(database_url, router=_decide)
        await store.lifecycle.open()
        stores.append(store)
        return store

    yield open_one
    for store in stores:
        await store.lifecycle.close()


def sent(*alerts: Alert, at: datetime = NOW) -> Receipt:
    return msgspec.structs.replace(receipt(*alerts, at=at), path="/webhook/proxy", publish=True)


def id_at(starts_at: datetime) -> str:
    return occurrence_id(FIRING.fingerprint, to_us(starts_at))


async def kinds_at(store: Store, starts_at: datetime) -> list[str]:
    return [event.kind for event in await store.history.timeline(id_at(starts_at))]


async def heard_statuses(store: Store) -> list[str]:
    """What the pager hears: a status, and the start that names the occurrence."""
    heard: list[str] = []
    now = NOW + timedelta(days=1)
    while leased := (await store.outbox.lease("pager", now=now, limit=99, lease_for=MINUTE))[0]:
        attempt = Attempt(now, "delivered", "", 1)
        await store.outbox.settle([(delivery, Settlement(delivery.id, "delivered", attempt)) for delivery in leased])
        heard += [delivery.alert.status for delivery in leased]
    return heard


async def _fired_before(opened: OpenStore) -> None:
    """The pager was told that it fires, before an upgrade."""
    before = await opened()
    await before.recorder.commit([sent(FIRING)])
    assert await heard_statuses(before) == ["firing"]
    await before.lifecycle.close()


@pytest.fixture
async def upgraded(database_url: str, opened: OpenStore) -> Store:
    """Two occurrences of one firing, as a release before ours kept it; the first was told."""
    await _fired_before(opened)
    await double(database_url, FIRING, starts_at=SECOND_START)
    await forget_claims(database_url)
    return await opened()


async def test_two_open_occurrences_of_one_firing_become_one(upgraded: Store) -> None:
    await upgraded.standings.adopt(NOW)
    (occurrence,) = await everything(upgraded)
    assert (occurrence.id, occurrence.state) == (id_of(FIRING), "firing")
    assert await kinds_at(upgraded, STARTS_AT) == ["fired", "joined"]
    assert await kinds_at(upgraded, SECOND_START) == ["inferred"]


async def test_the_id_of_a_joined_double_leads_to_the_one_that_goes_on(upgraded: Store) -> None:
    await upgraded.standings.adopt(NOW)
    assert (await upgraded.history.find(id_at(SECOND_START))).id == id_of(FIRING)


async def test_a_gap_between_two_starts_ends_the_first_and_tells_it(database_url: str, opened: OpenStore) -> None:
    await _fired_before(opened)
    later = NOW + timedelta(hours=2)
    await double(database_url, FIRING, starts_at=later)
    await forget_claims(database_url)
    store = await opened()
    await store.standings.adopt(later + MINUTE)
    states = {occurrence.id: (occurrence.state, occurrence.ended_by) for occurrence in await everything(store)}
    assert states == {id_of(FIRING): ("resolved", "inferred"), id_at(later): ("firing", None)}
    assert await heard_statuses(store) == ["resolved"]


async def test_who_was_told_of_the_double_alone_is_told_of_what_goes_on(database_url: str, opened: OpenStore) -> None:
    before = await opened()
    await before.recorder.commit([receipt(FIRING)])
    await before.lifecycle.close()
    await double(database_url, FIRING, starts_at=SECOND_START)
    await _publish(database_url, SECOND_START)
    await forget_claims(database_url)
    store = await opened()
    await store.standings.adopt(NOW)
    assert await kinds_at(store, STARTS_AT) == ["fired", "joined", "published"]
    assert await heard_statuses(store) == ["firing"]


async def _publish(url: str, starts_at: datetime) -> None:
    if is_sqlite(url):
        await fetch(url, "UPDATE alerts SET is_published = 1 WHERE starts_at = ?", to_us(starts_at))
    else:
        await fetch(url, "UPDATE alerts SET is_published = true WHERE starts_at = $1", starts_at)


async def test_what_a_pod_of_the_release_before_writes_leaves_the_claims_as_they_are(
    database_url: str, opened: OpenStore
) -> None:
    """It keeps another start of the same firing, which two Prometheus servers claim."""
    store = await opened()
    await store.recorder.commit([posted(FIRING, client="10.0.0.1")])
    await store.recorder.commit([posted(FIRING, client="10.0.0.2", at=NOW + SECOND)])
    await double(database_url, FIRING, starts_at=SECOND_START)
    assert await store.standings.adopt(NOW + 2 * SECOND) == 1
    assert await store.standings.adopt(NOW + 3 * SECOND) == 0
    over = alert(status="resolved", ends_at=NOW + 3 * SECOND)
    await store.recorder.commit([posted(over, client="10.0.0.1", at=NOW + 4 * SECOND)])
    assert [occurrence.state for occurrence in await everything(store)] == ["firing"]
    await store.recorder.commit([posted(over, client="10.0.0.2", at=NOW + 5 * SECOND)])
    assert [(occurrence.state, occurrence.ended_by) for occurrence in await everything(store)] == [
        ("resolved", "resolved")
    ]


async def test_what_a_pod_of_the_release_before_began_earlier_is_part_of_what_is_known(
    database_url: str, opened: OpenStore
) -> None:
    store = await opened()
    await store.recorder.commit([sent(FIRING)])
    await double(database_url, FIRING, starts_at=STARTS_AT - MINUTE)
    await store.standings.adopt(NOW)
    (occurrence,) = await everything(store)
    assert (occurrence.id, occurrence.starts_at) == (id_of(FIRING), STARTS_AT - MINUTE)


@pytest.mark.parametrize("starts_at", [STARTS_AT - SECOND, SECOND_START])
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_what_a_pod_of_the_release_before_was_told_to_be_over_is_over(
    database_url: str, opened: OpenStore, starts_at: datetime
) -> None:
    """Pods of two releases work on one PostgreSQL: one heard the firing, the other its end, with another start."""
    store = await opened()
    await store.recorder.commit([sent(FIRING)])
    assert await heard_statuses(store) == ["firing"]
    await double(database_url, FIRING, starts_at=starts_at)
    await resolve(database_url, starts_at=starts_at, ends_at=NOW + SECOND, received_at=NOW + 2 * SECOND)
    assert await store.standings.adopt(NOW + 3 * SECOND) == 1
    assert await store.standings.adopt(NOW + 4 * SECOND) == 0
    assert [(occurrence.id, occurrence.state) for occurrence in await everything(store)] == [
        (id_of(FIRING), "resolved")
    ]
    assert await heard_statuses(store) == ["resolved"]


async def test_a_clear_by_a_slow_clock_that_was_kept_apart_ends_what_it_meant(
    database_url: str, opened: OpenStore
) -> None:
    """A release before ours kept it as an occurrence without a length, before what it meant."""
    await _fired_before(opened)
    cleared = STARTS_AT - 5 * SECOND
    await double(database_url, FIRING, starts_at=cleared)
    await resolve(database_url, starts_at=cleared, ends_at=cleared, received_at=NOW + SECOND)
    await forget_claims(database_url)
    store = await opened()
    await store.standings.adopt(NOW + MINUTE)
    states = {occurrence.id: (occurrence.state, occurrence.ended_by) for occurrence in await everything(store)}
    assert states == {id_of(FIRING): ("resolved", "inferred"), id_at(cleared): ("resolved", "resolved")}
    assert await heard_statuses(store) == ["resolved"]


async def test_what_was_over_before_it_fires_again_ends_nothing(database_url: str, opened: OpenStore) -> None:
    before = await opened()
    await before.recorder.commit([sent(FIRING)])
    await before.lifecycle.close()
    earlier = STARTS_AT - 2 * MINUTE
    await double(database_url, FIRING, starts_at=earlier)
    await resolve(database_url, starts_at=earlier, ends_at=STARTS_AT - MINUTE, received_at=STARTS_AT - MINUTE)
    await forget_claims(database_url)
    store = await opened()
    await store.standings.adopt(NOW + MINUTE)
    assert {occurrence.id: occurrence.state for occurrence in await everything(store)} == {
        id_of(FIRING): "firing",
        id_at(earlier): "resolved",
    }


async def test_a_dry_run_says_what_a_repair_would_do_and_does_nothing(upgraded: Store) -> None:
    would = await upgraded.reconciling.repair(NOW, is_dry_run=True)
    assert [[event.kind for event in decision.events] for decision in would] == [["joined", "inferred"]]
    assert len(await everything(upgraded)) == 2
    did = await upgraded.reconciling.repair(NOW, is_dry_run=False)
    assert [[event.kind for event in decision.events] for decision in did] == [["joined", "inferred"]]
    assert await upgraded.reconciling.repair(NOW, is_dry_run=False) == []


async def test_a_repair_goes_on_after_the_last_one(upgraded: Store) -> None:
    assert await upgraded.reconciling.repair(NOW, after=FIRING.fingerprint, is_dry_run=True) == []


async def test_conflicts_are_listed_with_their_labels(opened: OpenStore) -> None:
    store = await opened()
    for minute in (0, 4, 8):
        at = NOW + minute * MINUTE
        for client in ("10.0.0.1", "10.0.0.2"):
            await store.recorder.commit([posted(alert(starts_at=at), client=client, at=at)])
        over = alert(status="resolved", starts_at=at, ends_at=at + SECOND)
        await store.recorder.commit([posted(over, client="10.0.0.1", at=at + 2 * SECOND)])
        goes_on = posted(alert(starts_at=at), client="10.0.0.2", at=at + 3 * MINUTE)
        await store.recorder.commit([goes_on])
    (conflict,) = await store.reconciling.conflicts(NOW, limit=10)
    assert (conflict.labels, conflict.at) == (FIRING.labels, NOW + 11 * MINUTE)
    assert await store.reconciling.conflicts(NOW + 12 * MINUTE, limit=10) == []


def _by_grafana(alert: Alert, at: datetime) -> Receipt:
    """One alert as a Grafana sends it, to be published."""
    details = {"orgId": 1}
    group = AlertGroup("grafana", "team-x", "{}:{}", "http://grafana", [alert], details=details)
    return msgspec.structs.replace(sent(at=at), group=group)


async def test_an_alert_of_a_grafana_that_was_open_before_scopes_goes_on_until_it_is_over(
    database_url: str, opened: OpenStore
) -> None:
    await _fired_before(opened)
    await forget_claims(database_url, source="grafana")
    store = await opened()
    await store.recorder.commit([_by_grafana(FIRING, NOW + MINUTE)])
    assert [occurrence.scope for occurrence in await everything(store)] == [""]
    resolved = alert(status="resolved", ends_at=NOW + MINUTE)
    await store.recorder.commit([_by_grafana(resolved, NOW + 2 * MINUTE)])
    assert await heard_statuses(store) == ["resolved"]
    await store.recorder.commit([_by_grafana(alert(starts_at=NOW + 3 * MINUTE), NOW + 4 * MINUTE)])
    assert {bool(occurrence.scope): occurrence.status for occurrence in await everything(store)} == {
        False: "resolved",
        True: "firing",
    }
