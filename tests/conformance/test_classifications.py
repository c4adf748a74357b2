"""One classification serves a shape, one replica asks, and what waits goes when there is an answer or no hope."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import msgspec
import pytest

from alert_history.domain.alert import Alert
from alert_history.domain.classification import Classification, ClassifiedBy, Usage, Verdict, shape_of
from alert_history.domain.delivery import Attempt, Awaited, Leased, Routing, Settlement
from alert_history.domain.occurrence import Event
from alert_history.domain.severity import Severity
from alert_history.ids import new_id
from alert_history.ports import Accuracy, DeliveryFilter, KeptVerdict, Spent, Store
from alert_history.storage import open_store
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, id_of, receipt
from tests.leases import time_passes

LEASE = timedelta(seconds=30)
HOUR = timedelta(hours=1)
DEADLINE = timedelta(seconds=10)
SHAPE = shape_of(alert().labels)


class Wish:
    """What the router answers: who is told, and what the deliveries wait for."""

    awaits: Awaited | None = Awaited(SHAPE, NOW + DEADLINE)
    held_until: datetime | None = None

    def __call__(self, alert: Alert, event: Event) -> Routing:
        del alert, event
        due_at = {} if self.held_until is None else {"all": self.held_until}
        return Routing(("all",), {}, self.awaits, due_at=due_at)


@pytest.fixture
def wish() -> Wish:
    return Wish()


@pytest.fixture
async def store(database_url: str, wish: Wish) -> AsyncIterator[Store]:
    opened = open_store(database_url, router=wish)
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


def verdict(
    severity: Severity = "warning", *, shape: str = SHAPE, minutes_ago: int = 0, source: ClassifiedBy = "llm"
) -> KeptVerdict:
    at = NOW - minutes_ago * MINUTE
    model = {"llm": "gpt-4", "rules": "rules", "person": "ada"}[source]
    classification = Classification(
        severity, 0.9, "disk", "It fills.", "Logs.", ("Look.",), "It did.", ("disk",), source, model, at
    )
    return KeptVerdict(new_id(at), shape, alert().fingerprint, Verdict(classification, Usage(100, 20, 0.01), "{}"))


async def _record(store: Store, *alerts: Alert) -> None:
    sent = msgspec.structs.replace(receipt(*alerts, at=NOW), publish=True)
    await store.recorder.commit([sent])


async def _lease(store: Store, *, later: timedelta = timedelta()) -> list[Leased]:
    return (await store.outbox.lease("all", now=NOW + later, limit=100, lease_for=LEASE))[0]


async def _deliver(store: Store, leased: list[Leased]) -> None:
    done = [(delivery, Settlement(delivery.id, "delivered", Attempt(NOW, "delivered", "", 1))) for delivery in leased]
    await store.outbox.settle(done)


async def test_an_alert_waits_for_its_classification_until_the_deadline(store: Store) -> None:
    await _record(store, alert())
    assert await _lease(store, later=DEADLINE - SECOND) == []
    (leased,) = await _lease(store, later=DEADLINE)
    assert (leased.alert.classification, leased.alert.unenriched) == (None, "no classification came in time")


async def test_a_classification_lets_go_what_waits_for_it_and_goes_with_it(store: Store) -> None:
    await _record(store, alert())
    kept_verdict = verdict("critical")
    assert await store.classifications.keep([kept_verdict], now=NOW) == 1
    (leased,) = await _lease(store)
    assert (leased.alert.classification, leased.alert.unenriched) == (kept_verdict.verdict.classification, None)


async def test_what_waits_for_another_shape_goes_on_waiting(store: Store) -> None:
    await _record(store, alert())
    assert await store.classifications.keep([verdict(shape="another")], now=NOW) == 0
    assert await _lease(store) == []


async def test_without_hope_it_goes_at_once_and_says_why(store: Store) -> None:
    await _record(store, alert())
    assert await store.classifications.let_go([SHAPE], unenriched="the proxy is down", now=NOW) == 1
    (leased,) = await _lease(store)
    assert (leased.alert.classification, leased.alert.unenriched) == (None, "the proxy is down")


async def test_a_classification_does_not_let_go_what_quiet_hours_hold_and_goes_with_it_then(
    store: Store, wish: Wish
) -> None:
    wish.held_until = NOW + HOUR
    await _record(store, alert())
    kept_verdict = verdict("critical")
    assert await store.classifications.keep([kept_verdict], now=NOW) == 0
    assert await _lease(store, later=DEADLINE) == []
    (leased,) = await _lease(store, later=HOUR)
    assert (leased.alert.classification, leased.alert.unenriched) == (kept_verdict.verdict.classification, None)


async def test_what_quiet_hours_held_and_nobody_classified_says_so(store: Store, wish: Wish) -> None:
    wish.held_until = NOW + HOUR
    await _record(store, alert())
    (leased,) = await _lease(store, later=HOUR)
    assert leased.alert.unenriched == "no classification came in time"


async def test_an_alert_that_need_not_wait_does_not(store: Store, wish: Wish) -> None:
    wish.awaits = Awaited(SHAPE, unenriched="the proxy is down")
    await _record(store, alert())
    (leased,) = await _lease(store)
    assert leased.alert.unenriched == "the proxy is down"


async def test_a_transparent_delivery_says_nothing_of_it(store: Store, wish: Wish) -> None:
    wish.awaits = None
    await store.classifications.keep([verdict()], now=NOW)
    await _record(store, alert())
    (leased,) = await _lease(store)
    assert (leased.alert.classification, leased.alert.unenriched) == (None, None)


async def test_a_replayed_delivery_keeps_its_classification(store: Store) -> None:
    await store.classifications.keep([verdict()], now=NOW)
    await _record(store, alert())
    leased = await _lease(store, later=DEADLINE)
    dead = Attempt(NOW, "dead", "it said no", 1)
    await store.outbox.settle([(delivery, Settlement(delivery.id, "dead", dead)) for delivery in leased])
    assert await store.delivery_log.replay(now=NOW) == 1
    (again,) = await _lease(store)
    assert again.alert.classification == verdict().verdict.classification


async def test_what_is_withheld_is_superseded_with_its_reason(store: Store) -> None:
    await _record(store, alert())
    (leased,) = await _lease(store, later=DEADLINE)
    withheld = Settlement(leased.id, "superseded", Attempt(NOW, "withheld", "classified as noise", 0))
    await store.outbox.settle([(leased, withheld)])
    (delivery,) = (await store.delivery_log.deliveries(DeliveryFilter())).deliveries
    assert (delivery.state, delivery.log[-1]["reason"]) == ("superseded", "classified as noise")


async def test_a_resolve_knows_whether_its_beginning_was_told(store: Store, wish: Wish) -> None:
    wish.awaits = None
    await _record(store, alert())
    (fired,) = await _lease(store)
    assert not fired.was_told
    await _deliver(store, [fired])
    await _record(store, alert(status="resolved", ends_at=NOW))
    (resolved,) = await _lease(store)
    assert resolved.was_told


async def test_one_replica_asks_for_a_shape_until_its_claim_ends(store: Store, database_url: str) -> None:
    claim = store.classifications.claim
    assert await claim([SHAPE, "other"], owner="a", lasts=MINUTE) == [SHAPE, "other"]
    assert await claim([SHAPE], owner="b", lasts=MINUTE) == []
    await time_passes(database_url, MINUTE / 2)
    assert await claim([SHAPE], owner="b", lasts=MINUTE) == []
    assert await claim([SHAPE], owner="a", lasts=MINUTE) == [SHAPE]
    await time_passes(database_url, 0.75 * MINUTE)
    assert await claim([SHAPE, "other"], owner="b", lasts=MINUTE) == ["other"]
    await time_passes(database_url, MINUTE / 2)
    assert await claim([SHAPE], owner="b", lasts=MINUTE) == [SHAPE]


async def test_a_claim_from_before_the_clock_was_set_back_is_free(store: Store, database_url: str) -> None:
    await store.classifications.claim([SHAPE], owner="a", lasts=MINUTE)
    await time_passes(database_url, -9 * MINUTE)
    assert await store.classifications.claim([SHAPE], owner="b", lasts=MINUTE) == []
    await time_passes(database_url, -2 * MINUTE)
    assert await store.classifications.claim([SHAPE], owner="b", lasts=MINUTE) == [SHAPE]


@pytest.mark.parametrize("is_answered", [True, False])
async def test_an_answer_or_its_failure_ends_the_claim(store: Store, *, is_answered: bool) -> None:
    await store.classifications.claim([SHAPE], owner="a", lasts=MINUTE)
    if is_answered:
        await store.classifications.keep([verdict()], now=NOW)
    else:
        await store.classifications.let_go([SHAPE], unenriched="no", now=NOW)
    assert await store.classifications.claim([SHAPE], owner="b", lasts=MINUTE) == [SHAPE]


async def test_the_newest_classification_serves_and_an_old_one_does_not(store: Store) -> None:
    old, new = verdict("info", minutes_ago=90), verdict("critical", minutes_ago=5)
    await store.classifications.keep([new, old], now=NOW)
    assert await store.classifications.newest([SHAPE, "other"], since=NOW - HOUR) == {SHAPE: new}
    assert await store.classifications.newest([SHAPE], since=NOW) == {}
    assert await store.classification_history.history(SHAPE, limit=10) == [new, old]


async def test_the_newest_word_on_each_shape_is_listed_newest_first(store: Store) -> None:
    old, new = verdict("info", minutes_ago=9), verdict("critical", minutes_ago=2)
    other = verdict("info", minutes_ago=5, shape="other")
    await store.classifications.keep([old, new, other], now=NOW)
    assert await store.classification_history.recent(limit=10, severity=None) == [new, other]
    assert await store.classification_history.recent(limit=1, severity=None) == [new]
    assert await store.classification_history.recent(limit=10, severity="info") == [other]


async def test_a_persons_word_never_ages(store: Store) -> None:
    kept_verdict = verdict("noise", minutes_ago=10_000, source="person")
    await store.classifications.keep([kept_verdict], now=NOW)
    assert await store.classifications.newest([SHAPE], since=NOW) == {SHAPE: kept_verdict}


async def test_keeping_the_same_classification_twice_keeps_it_once(store: Store) -> None:
    kept_verdict = verdict()
    await store.classifications.keep([kept_verdict], now=NOW)
    await store.classifications.keep([kept_verdict], now=NOW)
    assert await store.classification_history.history(SHAPE, limit=10) == [kept_verdict]


async def test_what_was_used_is_summed_from_a_time_on(store: Store) -> None:
    await store.classifications.keep([verdict(minutes_ago=2), verdict(minutes_ago=0, shape="b")], now=NOW)
    assert await store.spending.spent(since=NOW - MINUTE) == Spent(1, 120, 0.01)
    assert (await store.spending.spent(since=NOW - HOUR)).calls == 2
    assert await store.spending.spent(since=NOW + HOUR) == Spent()


async def test_what_unusable_answers_took_is_summed_as_well(store: Store) -> None:
    await store.classifications.keep([verdict()], now=NOW)
    for minutes in (0, 2):
        usage = Usage(1000, 80, 0.02)
        await store.spending.keep_unusable(usage, model="gpt-4", now=NOW - minutes * MINUTE)
    spent = await store.spending.spent(since=NOW - MINUTE)
    assert (spent.calls, spent.tokens) == (2, 1200)
    assert spent.cost_usd == pytest.approx(0.03)
    assert (await store.spending.spent(since=NOW - HOUR)).tokens == 2280


async def test_people_agree_or_not_with_what_was_said_before(store: Store) -> None:
    await store.classifications.keep(
        [
            verdict("warning", minutes_ago=9),
            verdict("warning", minutes_ago=8, source="person"),
            verdict("noise", minutes_ago=7, source="person"),
            verdict("info", minutes_ago=6, source="person", shape="never classified"),
        ],
        now=NOW,
    )
    accuracy = await store.classification_history.accuracy(since=NOW - HOUR, until=NOW)
    assert accuracy == [Accuracy(NOW.date().isoformat(), "gpt-4", reviewed=2, right=1)]
    counts = await store.classification_history.counts(since=NOW - HOUR, until=NOW)
    assert [(figure.model, figure.severity, figure.count) for figure in counts] == [
        ("ada", "info", 1),
        ("ada", "noise", 1),
        ("ada", "warning", 1),
        ("gpt-4", "warning", 1),
    ]


async def test_a_target_that_was_told_hears_the_classification_afterwards_once(store: Store, wish: Wish) -> None:
    wish.awaits = None
    await _record(store, alert())
    await _deliver(store, await _lease(store))
    kept_verdict, targets = verdict(), [(alert().fingerprint, alert().starts_at, "all")]
    await store.classifications.keep([kept_verdict], now=NOW)
    assert await store.classifications.follow_up(kept_verdict, targets=targets, now=NOW) == 1
    assert await store.classifications.follow_up(kept_verdict, targets=targets, now=NOW) == 0
    (leased,) = await _lease(store)
    assert (leased.alert.event, leased.alert.classification) == ("classified", kept_verdict.verdict.classification)


async def test_a_target_that_heard_what_is_new_is_not_told_again_by_another_replica(store: Store, wish: Wish) -> None:
    wish.awaits = None
    await _record(store, alert())
    await _deliver(store, await _lease(store))
    kept_verdict, targets = verdict(), [(alert().fingerprint, alert().starts_at, "all")]
    await store.classifications.keep([kept_verdict], now=NOW)
    await store.classifications.follow_up(kept_verdict, targets=targets, now=NOW)
    leased = await _lease(store)
    assert await store.classifications.follow_up(kept_verdict, targets=targets, now=NOW) == 0  # it is being told
    await _deliver(store, leased)
    assert await store.classifications.follow_up(kept_verdict, targets=targets, now=NOW) == 0
    newer = msgspec.structs.replace(verdict(), verdict=verdict(minutes_ago=-1).verdict)
    assert await store.classifications.follow_up(newer, targets=targets, now=NOW + MINUTE) == 1


async def test_two_replicas_that_tell_at_once_tell_a_target_once(
    store: Store, open_replica: OpenReplica, wish: Wish
) -> None:
    wish.awaits = None
    alerts = [alert(f"A{number}") for number in range(20)]
    await _record(store, *alerts)
    await _deliver(store, await _lease(store))
    replicas = (store, await open_replica())
    for each in alerts:
        kept_verdict, targets = verdict(), [(each.fingerprint, each.starts_at, "all")]
        queued = await asyncio.gather(
            *(replica.classifications.follow_up(kept_verdict, targets=targets, now=NOW) for replica in replicas)
        )
        assert sorted(queued) == [0, 1]


async def test_a_follow_up_never_replaces_news(store: Store, wish: Wish) -> None:
    wish.awaits = None
    await _record(store, alert())
    kept_verdict, targets = verdict(), [(alert().fingerprint, alert().starts_at, "all")]
    await store.classifications.keep([kept_verdict], now=NOW)
    assert await store.classifications.follow_up(kept_verdict, targets=targets, now=NOW) == 0
    (leased,) = await _lease(store)
    assert (leased.alert.event, leased.alert.classification) == ("fired", kept_verdict.verdict.classification)


async def test_a_resolve_makes_a_waiting_follow_up_pointless(store: Store, wish: Wish) -> None:
    wish.awaits = None
    await _record(store, alert())
    await _deliver(store, await _lease(store))
    kept_verdict, targets = verdict(), [(alert().fingerprint, alert().starts_at, "all")]
    await store.classifications.follow_up(kept_verdict, targets=targets, now=NOW)
    await _record(store, alert(status="resolved", ends_at=NOW))
    assert [delivery.alert.event for delivery in await _lease(store)] == ["resolved"]
    assert await store.classifications.follow_up(verdict(), targets=targets, now=NOW) == 0


async def test_the_timeline_says_when_it_was_classified(store: Store, wish: Wish) -> None:
    wish.awaits = None
    await _record(store, alert())
    await _deliver(store, await _lease(store))
    kept_verdict = verdict()
    await store.classifications.follow_up(
        kept_verdict, targets=[(alert().fingerprint, alert().starts_at, "all")], now=NOW
    )
    events = await store.history.timeline(id_of(alert()))
    assert [event.kind for event in events] == ["fired", "classified"]
    assert events[-1].detail is not None
    assert events[-1].detail["classification"] == kept_verdict.id
