"""What was sent and what was not: each delivery and each reason exactly once over the pages, newest first."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import Alert
from alert_history.domain.delivery import Attempt, Routing, Settlement
from alert_history.domain.notifying import news_of, route
from alert_history.domain.occurrence import Event
from alert_history.domain.query import parse_query
from alert_history.domain.target import TargetSpec
from alert_history.engine import notifications
from alert_history.engine.notifications import Notifications, Wanted
from alert_history.engine.notified_entries import Notification
from alert_history.errors import InvalidQuery
from alert_history.ports import DeliveryFilter, Store
from alert_history.storage import open_store
from tests.conformance import raw
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, id_of, note, receipt

_QUERY = '{n=~"[02468]"}'
TARGETS = (
    TargetSpec("all", "webhook", {}),
    TargetSpec("even", "webhook", {}, match=parse_query(_QUERY), match_text=_QUERY),
    TargetSpec("off", "webhook", {}, is_enabled=False),
)
LEASE = timedelta(seconds=30)


def _route(alert: Alert, event: Event) -> Routing | None:
    return route(TARGETS, news_of(alert, event))


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = open_store(database_url, router=_route)
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


async def _record(store: Store, *alerts: Alert, at: datetime = NOW, publish: bool = True, **more: Any) -> None:
    await store.recorder.commit([msgspec.structs.replace(receipt(*alerts, at=at, **more), publish=publish)])


async def _settle_some(store: Store, rng: random.Random, *, now: datetime) -> None:
    for target in ("all", "even"):
        leased, _ = await store.outbox.lease(target, now=now, limit=9, lease_for=LEASE)
        for delivery in leased:
            state = rng.choice(["delivered", "delivered", "dead"])
            answer = Attempt(now, state, "answered 403" if state == "dead" else "", 7)
            done = Settlement(delivery.id, state, answer, external_id="x-1")  # type: ignore[arg-type]  # one of two
            await store.outbox.settle([(delivery, done)])


@pytest.fixture
async def populated(store: Store) -> Store:
    """Some batches of alerts, many of one time; some resolved, some only recorded; some delivered, some dead."""
    rng = random.Random(7)
    names = [f"Rule{n % 3}" for n in range(24)]
    alerts = [alert(name, labels={"n": str(n)}) for n, name in enumerate(names)]
    for batch in range(4):
        await _record(store, *alerts[batch::4], at=NOW + batch // 2 * SECOND, publish=batch != 3)
        await _settle_some(store, rng, now=NOW + 5 * SECOND)
    ended = [alert(each.labels["alertname"], "resolved", labels=each.labels) for each in alerts[:6]]
    await _record(store, *ended, at=NOW + MINUTE)
    await _settle_some(store, rng, now=NOW + MINUTE)
    await _record(store, alert("Late", labels={"n": "1"}), at=NOW + 2 * MINUTE)
    return store


def _made(store: Store) -> Notifications:
    return Notifications(store.notifications, store.history, clock=lambda: NOW + 5 * MINUTE)


async def _all_pages(store: Store, **wanted: Any) -> list[Notification]:
    entries: list[Notification] = []
    cursor = None
    while True:
        page = await _made(store).page(Wanted(**wanted, cursor=cursor))
        entries += page.notifications
        cursor = page.next_cursor
        if cursor is None:
            return entries


def _name(entry: Notification) -> tuple[str, ...]:
    return entry.alert.id, entry.event, entry.target or "", entry.delivery_id or "", entry.reason


async def _delivery_ids(store: Store) -> list[str]:
    page = await store.delivery_log.deliveries(DeliveryFilter(limit=1000))
    return sorted(delivery.id for delivery in page.deliveries)


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
async def test_each_delivery_and_each_reason_is_there_exactly_once(populated: Store, limit: int) -> None:
    entries = await _all_pages(populated, limit=limit)
    assert sorted(entry.delivery_id for entry in entries if entry.delivery_id) == await _delivery_ids(populated)
    assert Counter(map(_name, entries)).most_common(1)[0][1] == 1
    not_sent = Counter(entry.reason for entry in entries if entry.outcome == "not_told")
    only_recorded = "it was sent to be recorded only, so nobody is told"
    assert not_sent["the target is disabled"] == 19
    assert (not_sent[only_recorded], not_sent[f"it does not match {_QUERY}"]) == (6, 14)
    assert sum(not_sent.values()) == 19 + 6 + 14


async def test_what_goes_on_between_two_pages_hides_no_delivery_and_doubles_none(populated: Store) -> None:
    rng, known = random.Random(3), await _delivery_ids(populated)
    ids: list[str] = []
    cursor = None
    for step in range(1_000):
        page = await _made(populated).page(Wanted(limit=3, cursor=cursor))
        ids += [entry.delivery_id for entry in page.notifications if entry.delivery_id]
        cursor = page.next_cursor
        if cursor is None:
            break
        later = NOW + 3 * MINUTE + step * SECOND
        await _record(populated, alert(labels={"n": f"new-{step}"}), at=later)
        await _settle_some(populated, rng, now=later)
        await populated.delivery_log.replay(now=later)
    assert sorted(ids) == known


@pytest.mark.parametrize("limit", [1, 3])
async def test_they_come_newest_first(populated: Store, limit: int) -> None:
    times = [entry.at for entry in await _all_pages(populated, limit=limit)]
    assert times == sorted(times, reverse=True)


_FILTERS: list[dict[str, Any]] = [
    {"target": "even"},
    {"outcome": "dead"},
    {"outcome": "dead", "target": "all"},
    {"outcome": "not_told"},
    {"outcome": "not_told", "target": "off"},
    {"outcome": "pending"},
    {"query": parse_query('{alertname="Rule1"}')},
    {"query": parse_query("no space"), "outcome": "delivered"},
    {"query": parse_query('{n="4"}'), "target": "even"},
    {"fingerprint": alert("Rule1", labels={"n": "1"}).fingerprint},
    {"fingerprint": alert("Rule1", labels={"n": "1"}).fingerprint, "outcome": "not_told"},
    {"since": NOW + SECOND},
    {"since": NOW, "until": NOW + MINUTE},
]


def _has(entry: Notification, wanted: dict[str, Any]) -> bool:
    query = wanted.get("query", parse_query(""))
    return (
        entry.target in {None, wanted.get("target", entry.target)}
        and entry.outcome == wanted.get("outcome", entry.outcome)
        and query.matches(entry.alert.labels, entry.alert.annotations)
        and entry.alert.fingerprint == wanted.get("fingerprint", entry.alert.fingerprint)
        and wanted.get("since", entry.at) <= entry.at
        and entry.at < wanted.get("until", entry.at + SECOND)
    )


@pytest.mark.parametrize("few", [200, 1], ids=["few", "many"])
@pytest.mark.parametrize("wanted", _FILTERS, ids=str)
async def test_a_filter_finds_what_a_look_at_everything_finds(
    populated: Store, wanted: dict[str, Any], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "FEW_OCCURRENCES", few)
    monkeypatch.setattr(notifications, "_FILTERED_CHUNK", 5)
    monkeypatch.setattr(notifications, "_DECIDED_CHUNK", 4)
    expected = [_name(entry) for entry in await _all_pages(populated, limit=1000) if _has(entry, wanted)]
    assert expected
    assert sorted(_name(entry) for entry in await _all_pages(populated, limit=3, **wanted)) == sorted(expected)


async def test_a_page_stops_in_time_and_goes_on_from_there(populated: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "SEARCH_SECONDS", -1.0)
    monkeypatch.setattr(notifications, "_FILTERED_CHUNK", 5)
    page = await _made(populated).page(Wanted(query=parse_query("nowhere"), outcome="delivered"))
    assert (page.notifications, page.next_cursor, page.searched_until) == ([], None, None)  # no occurrence matches
    monkeypatch.setattr(notifications, "FEW_OCCURRENCES", 0 + 1)
    page = await _made(populated).page(Wanted(query=parse_query("space"), outcome="held"))
    assert page.notifications == []
    assert page.searched_until is not None
    assert await _all_pages(populated, query=parse_query("space"), outcome="held") == []


async def test_an_entry_says_what_became_of_it_and_why(store: Store) -> None:
    muted = alert("Muted", labels={"n": "1"})
    await _record(store, alert(labels={"n": "1"}), muted, notes=[note(muted, "silenced")])
    (delivery, other), _ = await store.outbox.lease("all", now=NOW, limit=9, lease_for=LEASE)
    answered = Attempt(NOW + SECOND, "dead", "answered 403", 7)
    await store.outbox.settle([(delivery, Settlement(delivery.id, "dead", answered, external_id="x-1"))])
    entries = {(entry.alert.alertname, entry.target): entry for entry in await _all_pages(store)}
    dead = entries[delivery.alert.labels["alertname"], "all"]
    assert (dead.outcome, dead.reason, dead.log, dead.external_id) == ("dead", "answered 403", [answered], "x-1")
    assert (dead.settled_at, dead.attempts, dead.alert.id) == (NOW + SECOND, 1, delivery.alert.occurrence_id)
    assert entries[other.alert.labels["alertname"], "all"].outcome == "leased"
    assert entries["DiskFull", "even"].reason == f"it does not match {_QUERY}"
    assert entries["DiskFull", "off"].reason == "the target is disabled"
    assert entries["Muted", None].reason.startswith("Alertmanager am-0 did not notify: silence")


async def test_a_target_alone_has_no_reasons_that_concern_all(store: Store) -> None:
    muted = alert("Muted", labels={"n": "1"})
    await _record(store, muted, notes=[note(muted, "silenced")])
    assert {entry.target for entry in await _all_pages(store, target="all")} == {"all", None}
    assert {entry.target for entry in await _all_pages(store, target="all", is_of_target_alone=True)} == {"all"}


async def test_a_replayed_delivery_keeps_its_place_and_says_that_it_was_replayed(store: Store) -> None:
    await _record(store, alert("First"))
    leased, _ = await store.outbox.lease("all", now=NOW, limit=9, lease_for=LEASE)
    await store.outbox.settle([(leased[0], Settlement(leased[0].id, "dead", Attempt(NOW, "dead", "answered 403", 1)))])
    await _record(store, alert("Second"), at=NOW + MINUTE)
    await store.delivery_log.replay(now=NOW + 2 * MINUTE, delivery_id=leased[0].id)
    second, first = await _all_pages(store, target="all")
    assert (second.alert.alertname, first.alert.alertname, first.outcome) == ("Second", "First", "pending")
    assert (first.at, first.replayed_at, second.replayed_at) == (NOW, NOW + 2 * MINUTE, None)


async def test_a_delivery_whose_occurrence_is_gone_is_still_there(store: Store, database_url: str) -> None:
    await _record(store, alert())
    await raw.fetch(database_url, "DELETE FROM alerts")
    (entry,) = await _all_pages(store)
    assert (entry.target, entry.outcome, entry.alert.alertname) == ("all", "pending", "")
    assert entry.alert.id == id_of(alert())


@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsIngi", "WzEsbnVsbCxbMSwyLDNdLDBd", "WzEsbnVsbCxbImEiXSwwXQ", "é"])
async def test_a_cursor_that_is_none_is_refused_or_leads_somewhere(populated: Store, cursor: str) -> None:
    try:
        await _made(populated).page(Wanted(cursor=cursor))
    except InvalidQuery as error:
        assert "cursor" in str(error)  # noqa: PT017  # a cursor that somebody made up may name a place
