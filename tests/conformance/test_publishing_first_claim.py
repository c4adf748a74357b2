"""Who publishes: the first firing claim that is to be published; and who was notified of it hears of its end.

The set-up of docs/how-to/connect-alertmanager.md: Alertmanager's event recorder is recorded only, its receiver is
published, and either may come first.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alert_history.domain.alert import Alert
from alert_history.domain.delivery import Attempt, Leased, Routing, Settlement
from alert_history.domain.notifying import news_of, route
from alert_history.domain.occurrence import Event
from alert_history.domain.query import parse_query
from alert_history.domain.receipt import Receipt
from alert_history.domain.target import TargetSpec
from alert_history.errors import StorageUnavailable
from alert_history.ports import Router, Store
from alert_history.storage import open_store
from tests.conformance.samples import MINUTE, NOW, alert, id_of, receipt
from tests.lapsing import pass_all

Message = Literal["recorder fires", "webhook fires", "recorder resolves", "webhook resolves"]

GROUP_KEY = '{}:{alertname="DiskFull"}'
TARGETS = (
    TargetSpec("pager", "webhook", {}),
    TargetSpec("chat", "webhook", {}, match=parse_query('{severity="critical"}')),
    TargetSpec("other", "webhook", {}, match=parse_query('{severity="none"}')),
)
FIRED_ONCE = {("pager", "firing"): 1, ("chat", "firing"): 1}
RESOLVED_ONCE = {("pager", "resolved"): 1, ("chat", "resolved"): 1}

_names = count()


def _decide(alert: Alert, event: Event) -> Routing | None:
    return route(TARGETS, news_of(alert, event))


class Service:
    """Two replicas on one database, and what their targets heard."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = stores
        self._now = NOW

    async def take(self, *receipts: Receipt, replica: int = 0) -> list[Leased]:
        """Commit them as one batch; what the targets hear then."""
        await self.stores[replica].recorder.commit(receipts)
        self._now = max(self._now, *(receipt.received_at for receipt in receipts))
        return await self.heard()

    async def heard(self) -> list[Leased]:
        """What is due is delivered."""
        self._now += MINUTE
        heard = [leased for target in TARGETS for leased in await self._deliver(target.name)]
        attempt = Attempt(self._now, "delivered", "", 1)
        await self.stores[0].outbox.settle(
            [(delivery, Settlement(delivery.id, "delivered", attempt)) for delivery in heard]
        )
        return heard

    async def _deliver(self, target: str) -> list[Leased]:
        lease_for = timedelta(seconds=30)
        return (await self.stores[0].outbox.lease(target, now=self._now, limit=100, lease_for=lease_for))[0]


async def _open(database_url: str, *, router: Router) -> Store:
    store = open_store(database_url, router=router)
    await store.lifecycle.open()
    return store


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Service]:
    stores = [await _open(database_url, router=_decide) for _ in range(2)]
    yield Service(stores)
    for store in stores:
        await store.lifecycle.close()


def recorded(of: Alert, *, at: datetime = NOW) -> Receipt:
    """As the event recorder says it, to `/webhook`: it has neither a group nor a source link."""
    sent = receipt(of, source="event_recorder", at=at)
    group = msgspec.structs.replace(sent.group, receiver="", group_key="", external_url="")
    return msgspec.structs.replace(sent, group=group)


def sent_by_webhook(of: Alert, *, at: datetime = NOW) -> Receipt:
    """As Alertmanager's receiver says it, to `/webhook/proxy`."""
    linked = msgspec.structs.replace(of, generator_url="http://prometheus/graph")
    sent = receipt(linked, at=at)
    group = msgspec.structs.replace(sent.group, group_key=GROUP_KEY)
    return msgspec.structs.replace(sent, path="/webhook/proxy", publish=True, group=group)


async def _status(service: Service) -> str:
    return (await service.stores[0].history.find(id_of(FIRING))).status


def delivery_counts(*batches: Sequence[Leased]) -> Counter[tuple[str, str]]:
    """How often each target heard each status."""
    return Counter((delivery.target, delivery.alert.status) for batch in batches for delivery in batch)


FIRING = alert()
RESOLVED = alert(status="resolved")
LATER = NOW + 5 * MINUTE
"""A `group_interval` after a resolve: what fires then with the start of before fires again."""
OVER_AGAIN = alert(status="resolved", ends_at=LATER + MINUTE)


async def test_the_recorder_first_and_the_webhook_notifies(service: Service) -> None:
    assert await service.take(recorded(FIRING)) == []
    assert delivery_counts(await service.take(sent_by_webhook(FIRING))) == FIRED_ONCE


async def test_the_webhook_first_and_the_recorder_notifies_nobody_again(service: Service) -> None:
    assert delivery_counts(await service.take(sent_by_webhook(FIRING))) == FIRED_ONCE
    assert await service.take(recorded(FIRING)) == []


async def test_a_repeat_of_what_was_published_notifies_nobody_again(service: Service) -> None:
    await service.take(recorded(FIRING))
    await service.take(sent_by_webhook(FIRING))
    assert await service.take(sent_by_webhook(FIRING)) == []


async def test_a_replica_that_never_saw_the_alert_publishes_it(service: Service) -> None:
    await service.take(recorded(FIRING))
    assert delivery_counts(await service.take(sent_by_webhook(FIRING), replica=1)) == FIRED_ONCE
    assert await service.take(sent_by_webhook(FIRING)) == []


@pytest.mark.parametrize("is_recorder_first", [True, False])
async def test_both_in_one_batch_are_one_page_with_the_group_of_the_webhook(
    service: Service, *, is_recorder_first: bool
) -> None:
    both = [recorded(FIRING), sent_by_webhook(FIRING)]
    heard = await service.take(*(both if is_recorder_first else both[::-1]))
    assert delivery_counts(heard) == FIRED_ONCE
    assert {delivery.alert.group_key for delivery in heard} == {GROUP_KEY}


@pytest.mark.parametrize("is_recorder_first", [True, False])
async def test_both_in_one_batch_publish_an_alert_that_is_known(service: Service, *, is_recorder_first: bool) -> None:
    await service.take(recorded(FIRING))
    both = [recorded(FIRING), sent_by_webhook(FIRING)]
    assert delivery_counts(await service.take(*(both if is_recorder_first else both[::-1]))) == FIRED_ONCE


async def test_a_page_says_what_the_webhook_says(service: Service) -> None:
    await service.take(recorded(FIRING))
    first, *_ = await service.take(sent_by_webhook(FIRING))
    outgoing = first.alert
    assert (outgoing.group_key, outgoing.external_url, outgoing.receiver, outgoing.generator_url) == (
        GROUP_KEY,
        "http://alertmanager",
        "team-x",
        "http://prometheus/graph",
    )


async def test_who_was_notified_without_a_classification_is_told_it_later(service: Service) -> None:
    await service.take(recorded(FIRING))
    await service.take(sent_by_webhook(FIRING))
    unanswered = await service.stores[0].classifications.unanswered(since=NOW - MINUTE)
    assert sorted(each.target for each in unanswered) == ["chat", "pager"]


async def test_a_first_claim_with_other_annotations_is_one_page(service: Service) -> None:
    await service.take(recorded(FIRING))
    reworded = alert(annotations={"summary": "still no space"})
    heard = await service.take(sent_by_webhook(reworded))
    assert delivery_counts(heard) == FIRED_ONCE
    assert heard[0].alert.annotations == {"summary": "still no space"}


@pytest.mark.parametrize("is_recorder_first", [True, False])
async def test_an_end_is_told_once_whoever_says_it_first(service: Service, *, is_recorder_first: bool) -> None:
    await service.take(recorded(FIRING))
    await service.take(sent_by_webhook(FIRING))
    ends = [recorded(RESOLVED), sent_by_webhook(RESOLVED)]
    heard = [await service.take(end) for end in (ends if is_recorder_first else ends[::-1])]
    assert delivery_counts(*heard) == RESOLVED_ONCE
    assert delivery_counts(heard[0]) == RESOLVED_ONCE


@pytest.mark.parametrize("sent", [recorded, sent_by_webhook])
async def test_an_end_in_other_words_pages_nobody(service: Service, sent: Callable[[Alert], Receipt]) -> None:
    await service.take(sent_by_webhook(FIRING))
    await service.take(sent_by_webhook(RESOLVED))
    assert await service.take(sent(alert(status="resolved", annotations={"summary": "2 % are left"}))) == []


async def test_an_end_in_the_batch_of_its_firing_is_queued_for_the_same_targets(service: Service) -> None:
    outcomes = await service.stores[0].recorder.commit([sent_by_webhook(FIRING), recorded(RESOLVED)])
    assert [outcome.targets for outcome in outcomes] == [frozenset({"pager", "chat"})] * 2
    assert delivery_counts(await service.heard()) == RESOLVED_ONCE  # the newest news supersedes the older


async def test_the_end_of_an_alert_that_was_recorded_only_is_told_to_nobody(service: Service) -> None:
    assert await service.take(recorded(FIRING)) == []
    assert await service.take(recorded(RESOLVED)) == []


async def test_an_end_says_until_when_the_alert_fired(service: Service) -> None:
    await service.take(sent_by_webhook(FIRING))
    heard = await service.take(recorded(RESOLVED))
    assert {delivery.alert.ends_at for delivery in heard} == {NOW - MINUTE}


async def test_an_alert_that_fires_again_pages_at_the_next_claim_that_is_to_be_published(service: Service) -> None:
    await service.take(sent_by_webhook(FIRING))
    await service.take(recorded(RESOLVED))
    assert await service.take(recorded(FIRING, at=LATER)) == []
    assert delivery_counts(await service.take(sent_by_webhook(FIRING, at=LATER))) == FIRED_ONCE
    assert delivery_counts(await service.take(recorded(OVER_AGAIN, at=LATER + MINUTE))) == RESOLVED_ONCE


async def test_a_page_that_the_recorder_alone_closed_is_its_to_open_again(service: Service) -> None:
    """Alertmanager's receiver says nothing of a flap between two looks at the group, for a whole `repeat_interval`."""
    await service.take(recorded(FIRING), sent_by_webhook(FIRING))
    assert delivery_counts(await service.take(recorded(RESOLVED))) == RESOLVED_ONCE
    again = alert(starts_at=NOW)
    assert delivery_counts(await service.take(recorded(again, at=NOW + MINUTE), replica=1)) == FIRED_ONCE
    assert await service.take(sent_by_webhook(again, at=NOW + 2 * MINUTE)) == []
    over = alert(status="resolved", starts_at=NOW, ends_at=NOW + 3 * MINUTE)
    assert delivery_counts(await service.take(sent_by_webhook(over, at=NOW + 4 * MINUTE))) == RESOLVED_ONCE


async def test_a_page_that_the_receiver_closed_is_not_the_recorders_to_open_again(service: Service) -> None:
    await service.take(recorded(FIRING), sent_by_webhook(FIRING))
    assert delivery_counts(await service.take(sent_by_webhook(RESOLVED))) == RESOLVED_ONCE
    again = alert(starts_at=NOW)
    assert await service.take(recorded(again, at=NOW + MINUTE)) == []
    assert delivery_counts(await service.take(sent_by_webhook(again, at=NOW + 2 * MINUTE))) == FIRED_ONCE


async def test_a_firing_that_was_over_before_it_could_be_published_pages_nobody(service: Service) -> None:
    await service.take(recorded(FIRING))
    await service.take(recorded(RESOLVED))
    assert await service.take(sent_by_webhook(FIRING)) == []
    assert await service.take(sent_by_webhook(RESOLVED)) == []


async def test_who_was_told_of_the_end_is_not_told_of_the_end_of_a_firing_that_was_recorded_only(
    service: Service,
) -> None:
    await service.take(sent_by_webhook(FIRING))
    await service.take(sent_by_webhook(RESOLVED))
    assert await service.take(recorded(FIRING, at=LATER)) == []
    assert await _status(service) == "firing"
    assert await service.take(recorded(OVER_AGAIN, at=LATER + MINUTE)) == []
    assert await _status(service) == "resolved"


async def test_an_expiry_of_a_firing_that_was_recorded_only_is_told_to_nobody(service: Service) -> None:
    await service.take(sent_by_webhook(FIRING))
    await service.take(sent_by_webhook(RESOLVED))
    await service.take(receipt(alert(expires_at=LATER), source="prometheus"))
    assert await _status(service) == "firing"
    await pass_all(service.stores[0].standings, LATER + 15 * MINUTE)
    assert await _status(service) == "resolved"
    assert await service.heard() == []


async def test_two_replicas_at_once_page_once_and_resolve_once(service: Service) -> None:
    heard: list[list[Leased]] = []
    for n in range(25):
        for status in ("firing", "resolved"):
            of = alert(f"A{n}", status)
            first, other = service.stores if n % 2 else service.stores[::-1]
            await asyncio.gather(first.recorder.commit([recorded(of)]), other.recorder.commit([sent_by_webhook(of)]))
            heard.append(await service.heard())
    assert delivery_counts(*heard) == Counter(dict.fromkeys(FIRED_ONCE | RESOLVED_ONCE, 25))


async def test_an_end_that_is_recorded_only_does_not_wait_until_the_targets_are_known(
    service: Service, database_url: str
) -> None:
    def nobody_knows_yet(alert: Alert, event: Event) -> Routing | None:
        raise StorageUnavailable(f"whom to tell of {alert.fingerprint} {event.kind} is not known yet")

    await service.take(sent_by_webhook(FIRING))
    starting = await _open(database_url, router=nobody_knows_yet)
    await starting.recorder.commit([recorded(RESOLVED)])
    await starting.lifecycle.close()
    assert delivery_counts(await service.heard()) == RESOLVED_ONCE


_ORDERS: list[tuple[Message, ...]] = [
    ("recorder fires", "webhook fires", "recorder resolves", "webhook resolves"),
    ("recorder fires", "webhook fires", "webhook resolves", "recorder resolves"),
    ("recorder fires", "recorder resolves", "webhook fires", "webhook resolves"),
    ("webhook fires", "recorder fires", "recorder resolves", "webhook resolves"),
    ("webhook fires", "recorder fires", "webhook resolves", "recorder resolves"),
    ("webhook fires", "webhook resolves", "recorder fires", "recorder resolves"),
]
"""All in which each sender says that the alert fires before it says that it is over."""


@st.composite
def _stories(draw: st.DrawFn) -> list[list[Message]]:
    """An order, in which each message may come twice, cut into batches."""
    messages = [message for message in draw(st.sampled_from(_ORDERS)) for _ in range(draw(st.integers(1, 2)))]
    batches: list[list[Message]] = [[messages[0]]]
    for message in messages[1:]:
        if draw(st.booleans()):
            batches.append([])
        batches[-1].append(message)
    return batches


def _receipt(message: Message, alertname: str) -> Receipt:
    who, does = message.split()
    of = alert(alertname, "firing" if does == "fires" else "resolved")
    return recorded(of) if who == "recorder" else sent_by_webhook(of)


def _wanted(messages: Sequence[Message]) -> dict[tuple[str, str], int]:
    """One firing once the webhook said so, and one end once anybody did after it.

    What the recorder said is over by then nobody may publish any more: nobody is paged.
    """
    if "webhook fires" not in messages:
        return {}
    if "recorder resolves" in messages[: messages.index("webhook fires")]:
        return {}
    after = messages[messages.index("webhook fires") :]
    is_over = "recorder resolves" in after or "webhook resolves" in after
    return FIRED_ONCE | (RESOLVED_ONCE if is_over else {})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=_stories(), replicas=st.lists(st.integers(0, 1), min_size=8, max_size=8))
async def test_in_any_order_each_target_hears_one_firing_and_one_end(
    service: Service, story: list[list[Message]], replicas: list[int]
) -> None:
    name = f"Story{next(_names)}"
    queued: Counter[tuple[str, str]] = Counter()
    messages: list[Message] = []
    for replica, batch in zip(replicas, story, strict=False):
        outcomes = await service.stores[replica].recorder.commit([_receipt(message, name) for message in batch])
        for message, outcome in zip(batch, outcomes, strict=True):
            queued.update((target, "firing" if message.endswith("fires") else "resolved") for target in outcome.targets)
        messages += batch
        assert queued == _wanted(messages)
        await service.heard()
