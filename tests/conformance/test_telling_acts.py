"""What people did goes out in order with the news of its alert, to targets that know the alert, on either database."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Literal

import msgspec
import pytest

from alert_history.domain.acts import Act, ToldActKind
from alert_history.domain.alert import Alert
from alert_history.domain.delivery import Attempt, Awaited, Leased, Routing, Settlement
from alert_history.domain.notifying import act_key
from alert_history.domain.occurrence import Event
from alert_history.engine.ledger import LedgerAct, ledger
from alert_history.ids import new_id
from alert_history.ports import DeliveryFilter, Store
from alert_history.storage import open_store
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, id_of, receipt
from tests.leases import time_passes

LEASE = timedelta(seconds=30)
FIRING = alert()
RESOLVED = alert(status="resolved")
REWORDED = alert(annotations={"summary": "99 %"})
KEY = (FIRING.fingerprint, FIRING.starts_at)
KINDS: tuple[ToldActKind, ...] = ("acknowledged", "noted", "noted")


class Wish:
    """What the router answers: the pager is told, until when that is held, and what it waits for."""

    held_until: datetime | None = None
    awaits: Awaited | None = None

    def __call__(self, alert: Alert, event: Event) -> Routing:
        del alert, event
        due_at = {} if self.held_until is None else {"pager": self.held_until}
        return Routing(("pager",), {}, self.awaits, due_at=due_at)


@pytest.fixture
def wish() -> Wish:
    return Wish()


@pytest.fixture
async def store(database_url: str, wish: Wish) -> AsyncIterator[Store]:
    opened = open_store(database_url, router=wish)
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


async def record(store: Store, *alerts: Alert, at: datetime = NOW) -> None:
    await store.recorder.commit([msgspec.structs.replace(receipt(*alerts, at=at), publish=True)])


async def act(
    store: Store, kind: ToldActKind = "acknowledged", *, at: datetime, by: str = "ada", text: str = "on it ✓"
) -> Act:
    """Keep an act of a person, and queue it for the pager."""
    made = Act(new_id(at), *KEY, "DiskFull", "critical", "shop", at, kind, by, text)
    assert await store.acts.keep(made, targets=["pager"])
    return made


async def lease(store: Store, *, at: datetime) -> list[Leased]:
    return (await store.outbox.lease("pager", now=at, limit=100, lease_for=LEASE))[0]


async def settle(
    store: Store,
    leased: list[Leased],
    *,
    at: datetime,
    state: Literal["delivered", "pending", "dead"] = "delivered",
    due_at: datetime | None = None,
) -> None:
    attempt = Attempt(at, state, "", 1)
    await store.outbox.settle([(each, Settlement(each.id, state, attempt, due_at=due_at)) for each in leased])


async def sent(store: Store, *, at: datetime) -> list[str]:
    """What goes out until nothing is due any more, each delivery taken by the pager."""
    events: list[str] = []
    while leased := await lease(store, at=at):
        assert len(leased) == 1, "of one alert one delivery is under way"
        events.append(leased[0].alert.event)
        await settle(store, leased, at=at)
    return events


async def states(store: Store) -> list[tuple[str, str]]:
    page = await store.delivery_log.deliveries(DeliveryFilter())
    return sorted((delivery.event, delivery.state) for delivery in page.deliveries)


async def test_an_act_reaches_who_knows_the_alert_with_who_when_and_the_words(store: Store) -> None:
    await record(store, FIRING)
    await sent(store, at=NOW)
    assert await store.acts.audience(*KEY) == ["pager"]
    made = await act(store, at=NOW + MINUTE)
    (leased,) = await lease(store, at=NOW + MINUTE)
    outgoing = leased.alert
    assert (outgoing.event, outgoing.status, outgoing.occurrence_id, outgoing.labels) == (
        "acknowledged",
        "firing",
        id_of(FIRING),
        FIRING.labels,
    )
    assert outgoing.act is not None
    assert (outgoing.act.by, outgoing.act.text, outgoing.act.at) == ("ada", made.text, made.at)
    assert leased.was_told


async def test_an_act_goes_after_the_firing_and_before_the_end_that_came_later(store: Store) -> None:
    await record(store, FIRING)
    await act(store, at=NOW + MINUTE)
    assert await sent(store, at=NOW + MINUTE) == ["fired", "acknowledged"]
    await act(store, "noted", at=NOW + 2 * MINUTE)
    await record(store, RESOLVED, at=NOW + 3 * MINUTE)
    assert await sent(store, at=NOW + 3 * MINUTE) == ["noted", "resolved"]


async def test_an_act_goes_after_news_that_came_before_it(store: Store) -> None:
    await record(store, FIRING)
    await sent(store, at=NOW)
    await record(store, REWORDED, at=NOW + MINUTE)
    await act(store, at=NOW + 2 * MINUTE)
    assert await sent(store, at=NOW + 2 * MINUTE) == ["annotations_changed", "acknowledged"]


async def test_an_act_waits_for_earlier_news_that_is_tried_again(store: Store) -> None:
    await record(store, FIRING)
    await sent(store, at=NOW)
    await record(store, REWORDED, at=NOW + MINUTE)
    due_at = NOW + 5 * MINUTE
    await settle(store, await lease(store, at=NOW + MINUTE), at=NOW + MINUTE, state="pending", due_at=due_at)
    await act(store, at=NOW + 2 * MINUTE)
    assert await lease(store, at=NOW + 2 * MINUTE) == []
    assert await sent(store, at=due_at) == ["annotations_changed", "acknowledged"]


async def test_an_act_waits_while_news_is_under_way(store: Store) -> None:
    await record(store, FIRING)
    under_way = await lease(store, at=NOW)
    await act(store, at=NOW + SECOND)
    assert await lease(store, at=NOW + SECOND) == []
    await settle(store, under_way, at=NOW + SECOND)
    assert await sent(store, at=NOW + SECOND) == ["acknowledged"]


async def test_acts_go_one_after_another_as_they_were_done(store: Store) -> None:
    await record(store, FIRING)
    await sent(store, at=NOW)
    for number, kind in enumerate(KINDS, start=1):
        await act(store, kind, at=NOW + number * SECOND, text=str(number))
    first = await lease(store, at=NOW + MINUTE)
    await settle(store, first, at=NOW + MINUTE, state="pending", due_at=NOW + 2 * MINUTE)
    assert await lease(store, at=NOW + MINUTE) == [], "a later act does not overtake one that is tried again"
    texts = []
    while leased := await lease(store, at=NOW + 2 * MINUTE):
        assert leased[0].alert.act is not None
        texts.append(leased[0].alert.act.text)
        await settle(store, leased, at=NOW + 2 * MINUTE)
    assert texts == ["1", "2", "3"]


async def test_news_never_waits_for_an_act(store: Store) -> None:
    await record(store, FIRING)
    await sent(store, at=NOW)
    await act(store, at=NOW + SECOND)
    await settle(store, await lease(store, at=NOW + MINUTE), at=NOW, state="pending", due_at=NOW + 9 * MINUTE)
    await record(store, RESOLVED, at=NOW + 2 * MINUTE)
    assert await sent(store, at=NOW + 2 * MINUTE) == ["resolved"]
    (leased,) = await lease(store, at=NOW + 9 * MINUTE)
    assert (leased.alert.event, leased.alert.status) == ("acknowledged", "resolved")
    assert leased.alert.ends_at is not None
    assert leased.alert.ended_by is None


async def test_neither_supersedes_the_other(store: Store) -> None:
    await record(store, FIRING)
    await act(store, at=NOW + SECOND)
    await record(store, REWORDED, at=NOW + MINUTE)
    await act(store, "noted", at=NOW + 2 * MINUTE)
    assert await sent(store, at=NOW + 3 * MINUTE) == ["annotations_changed", "acknowledged", "noted"]
    assert ("acknowledged", "superseded") not in await states(store)


async def test_quiet_hours_that_hold_news_hold_no_act_of_an_alert_that_is_known(store: Store, wish: Wish) -> None:
    await record(store, FIRING)
    await sent(store, at=NOW)
    wish.held_until = NOW + 60 * MINUTE
    await record(store, REWORDED, at=NOW + MINUTE)
    await act(store, at=NOW + 2 * MINUTE)
    assert await sent(store, at=NOW + 2 * MINUTE) == ["acknowledged"]
    assert await sent(store, at=NOW + 60 * MINUTE) == ["annotations_changed"]


async def test_an_act_waits_for_a_firing_that_quiet_hours_hold(store: Store, wish: Wish) -> None:
    wish.held_until = NOW + 60 * MINUTE
    await record(store, FIRING)
    await act(store, at=NOW + 2 * MINUTE)
    assert await sent(store, at=NOW + 2 * MINUTE) == []
    assert await sent(store, at=NOW + 60 * MINUTE) == ["fired", "acknowledged"]


async def test_an_act_waits_for_news_that_waits_for_its_classification(store: Store, wish: Wish) -> None:
    await record(store, FIRING)
    await sent(store, at=NOW)
    wish.awaits = Awaited("shape", NOW + 2 * MINUTE)
    await record(store, REWORDED, at=NOW + MINUTE)
    await act(store, at=NOW + MINUTE + SECOND)
    assert await sent(store, at=NOW + MINUTE + SECOND) == []
    assert await sent(store, at=NOW + 2 * MINUTE) == ["annotations_changed", "acknowledged"]


async def test_an_act_is_superseded_where_the_target_took_no_news_of_the_alert(store: Store) -> None:
    await record(store, FIRING)
    await act(store, at=NOW + SECOND)
    await settle(store, await lease(store, at=NOW), at=NOW, state="dead")
    assert await sent(store, at=NOW + MINUTE) == []
    assert await states(store) == [("acknowledged", "superseded"), ("fired", "dead")]
    (line,) = (await acts_in_ledger(store))[0].targets
    assert (line.fate, line.reason) == (
        "superseded",
        "the target took no news of the alert, so it is not told what people did",
    )


async def test_who_was_never_told_of_the_alert_is_no_audience(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    assert await store.acts.audience(*KEY) == []
    await act(store, at=NOW)
    assert await store.acts.audience(*KEY) == [], "a delivery of an act makes no audience"


async def test_the_same_act_again_is_told_once(store: Store) -> None:
    await record(store, FIRING)
    made = await act(store, at=NOW + SECOND)
    assert not await store.acts.keep(made, targets=["pager"])
    assert await sent(store, at=NOW + MINUTE) == ["fired", "acknowledged"]


async def test_an_act_that_is_dead_can_be_told_again_whatever_came_since(store: Store) -> None:
    await record(store, FIRING)
    await sent(store, at=NOW)
    made = await act(store, at=NOW + SECOND)
    await settle(store, await lease(store, at=NOW + SECOND), at=NOW + SECOND, state="dead")
    await record(store, RESOLVED, at=NOW + MINUTE)
    assert await sent(store, at=NOW + MINUTE) == ["resolved"]
    assert await store.delivery_log.replay(now=NOW + 2 * MINUTE) == 1
    (leased,) = await lease(store, at=NOW + 2 * MINUTE)
    assert leased.alert.act is not None
    assert (leased.alert.act.at, leased.alert.act.text) == (made.at, made.text)


async def test_a_lease_that_runs_out_is_taken_over(store: Store, database_url: str) -> None:
    await record(store, FIRING)
    await sent(store, at=NOW)
    await act(store, at=NOW + SECOND)
    (first,) = await lease(store, at=NOW + SECOND)
    assert await lease(store, at=NOW + 2 * SECOND) == []
    await time_passes(database_url, LEASE + SECOND)
    (second,) = await lease(store, at=NOW + 2 * SECOND)
    assert (second.id, second.attempt) == (first.id, 2)


async def test_acts_of_many_alerts_go_within_the_limit(store: Store) -> None:
    alerts = [alert(f"A{number}") for number in range(5)]
    await record(store, *alerts)
    await settle(store, await lease(store, at=NOW), at=NOW)
    for each in alerts:
        made = Act(new_id(NOW), each.fingerprint, each.starts_at, "", "", "", NOW + SECOND, "noted", "ada", "x")
        await store.acts.keep(made, targets=["pager"])
    await record(store, alert("Other"), at=NOW + SECOND)
    leased = (await store.outbox.lease("pager", now=NOW + MINUTE, limit=3, lease_for=LEASE))[0]
    assert [each.alert.event for each in leased] == ["noted"] * 3
    leased = (await store.outbox.lease("pager", now=NOW + MINUTE, limit=3, lease_for=LEASE))[0]
    assert sorted(each.alert.event for each in leased) == ["fired", "noted", "noted"]


async def test_the_ledger_says_what_became_of_an_act_at_each_target(store: Store) -> None:
    await record(store, FIRING)
    made = await act(store, at=NOW + SECOND)
    (waiting,) = await acts_in_ledger(store)
    assert [(line.target, line.fate) for line in waiting.targets] == [("pager", "pending")]
    await sent(store, at=NOW + MINUTE)
    (done,) = await acts_in_ledger(store)
    assert (done.at, done.kind, done.by, done.text) == (made.at, made.kind, made.by, made.text)
    assert [(line.target, line.fate, line.at) for line in done.targets] == [("pager", "delivered", NOW + MINUTE)]


async def acts_in_ledger(store: Store) -> list[LedgerAct]:
    """The acts in the ledger of the sample alert."""
    page = await store.delivery_log.deliveries(DeliveryFilter(fingerprint=KEY[0], starts_at=KEY[1]))
    events, acts = await store.history.timeline(id_of(FIRING)), await store.acts.of_occurrence(*KEY)
    return ledger(events, page.deliveries, acts=acts, classified=None, now=NOW + 5 * MINUTE).acts


def test_the_keys_of_acts_lie_below_those_of_news_the_oldest_highest() -> None:
    first, second = (Act("id", *KEY, "", "", "", NOW + number * SECOND, "noted", "ada") for number in range(2))
    assert act_key(second) < act_key(first) < 0
