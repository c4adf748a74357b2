"""The publisher: each target has a worker of its own, and nothing it could not say is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
import pytest

from alert_history.domain.alert import Alert
from alert_history.domain.delivery import Leased
from alert_history.domain.routes import Destination, Route
from alert_history.domain.target import Message, Sent, TargetSpec
from alert_history.engine import worker
from alert_history.engine.publish import Publisher
from alert_history.engine.router import Router
from alert_history.engine.switchboard import AttemptEnded, Switchboard
from alert_history.errors import Rejected, Retryable
from alert_history.ports import DeliveryFilter, Outbox, Store
from alert_history.storage import open_store
from tests.conformance.samples import alert, receipt

_FAST = 60_000.0  # messages a minute

Answer = Callable[[Message], Awaitable[Sent]]

pytestmark = pytest.mark.migrated


class FakeTarget:
    """Takes messages and answers as told."""

    default_rate_per_minute = _FAST
    takes_follow_ups = False

    def __init__(self, answer: Answer, *, speaks_of_groups: bool = False) -> None:
        self.speaks_of_groups = speaks_of_groups
        self.messages: list[Message] = []
        self.arrived = asyncio.Event()
        self.answer = answer

    async def send(self, message: Message) -> Sent:
        self.messages.append(message)
        self.arrived.set()
        return await self.answer(message)

    def url_shown(self) -> str:
        return "fake://"


async def takes(_: Message) -> Sent:
    return Sent()


async def hangs(_: Message) -> Sent:
    await asyncio.Event().wait()
    raise AssertionError


class Counts:
    """Counts outcomes, and lets a test wait for one."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self._changed = asyncio.Condition()

    def attempted(self, event: AttemptEnded) -> None:
        self.seen.append((event.target, event.status))


class Scene:
    """A store, a publisher and its fake targets."""

    def __init__(self, database_url: str) -> None:
        self.ahead = timedelta()  # how far the clock of this scene is ahead
        self.targets: dict[str, FakeTarget] = {}
        self.counts = Counts()
        self.switchboard = Switchboard()
        self.switchboard.join(AttemptEnded, self.counts.attempted)
        self.router = Router()
        self.store: Store = open_store(database_url, router=self.router)
        self.publisher = Publisher(
            self.store.outbox,
            router=self.router,
            make=lambda spec: self.targets[spec.name],
            clock=self.now,
            switchboard=self.switchboard,
        )

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def with_targets(self, **targets: FakeTarget) -> None:
        self.targets.update(targets)
        self.publisher.take_up([TargetSpec(name, "fake", {}) for name in self.targets])

    async def record(self, *alerts: Alert) -> None:
        sent = receipt(*alerts, at=self.now())
        await self.store.recorder.commit([msgspec.structs.replace(sent, publish=True)])
        self.publisher.wake()

    async def states(self, target: str) -> list[str]:
        page = await self.store.delivery_log.deliveries(DeliveryFilter(target=target, limit=100))
        return sorted(delivery.state for delivery in page.deliveries)

    async def until_sent(self, target: str, number: int) -> None:
        async with asyncio.timeout(60):
            while len(self.targets[target].messages) < number:
                await asyncio.sleep(0.01)

    async def until(self, target: str, states: list[str]) -> None:
        async with asyncio.timeout(60):
            while await self.states(target) != states:
                await asyncio.sleep(0.01)


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    made = Scene(database_url)
    await made.store.lifecycle.open()
    yield made
    await made.publisher.stop()
    await made.store.lifecycle.close()


async def test_what_is_recorded_reaches_every_target(scene: Scene) -> None:
    scene.with_targets(one=FakeTarget(takes), two=FakeTarget(takes))
    await scene.record(alert("A"), alert("B"))
    for name in ("one", "two"):
        await scene.until(name, ["delivered", "delivered"])
        alertnames = {message.alerts[0].labels["alertname"] for message in scene.targets[name].messages}
        assert alertnames == {"A", "B"}


async def _refuses(error: Retryable | Rejected) -> Sent:
    raise error


async def test_a_target_that_fails_again_and_again_is_left_alone_for_a_while(scene: Scene) -> None:
    broken = FakeTarget(lambda _: _refuses(Retryable("no answer")))
    scene.with_targets(broken=broken)
    for number in range(5):
        await scene.record(alert(f"A{number}"))
        await scene.until_sent("broken", number + 1)
    await scene.record(alert("B"))
    while "the circuit breaker is open after repeated failures" not in await _reasons(scene):
        await asyncio.sleep(0.01)
    assert len(broken.messages) == 5
    broken.answer = takes
    scene.ahead = timedelta(minutes=1)
    scene.publisher.wake()
    await scene.until("broken", ["delivered"] * 6)


async def test_a_pause_of_a_target_is_shown_with_its_reason(scene: Scene) -> None:
    failing = FakeTarget(lambda _: _refuses(Retryable("answered 503")))
    busy = FakeTarget(lambda _: _refuses(Retryable("answered 429", after_seconds=900)))
    scene.with_targets(failing=failing, busy=busy)
    assert (scene.publisher.pause("failing"), scene.publisher.rate_per_minute("failing")) == (None, _FAST)
    await scene.record(*(alert(labels={"n": str(number)}) for number in range(6)))
    async with asyncio.timeout(60):
        while scene.publisher.pause("failing") is None or scene.publisher.pause("busy") is None:
            await asyncio.sleep(0.01)
    pauses = [scene.publisher.pause(name) for name in ("failing", "busy")]
    reasons = [pause.reason for pause in pauses if pause is not None]
    assert reasons == ["the circuit breaker is open after repeated failures", "the target asked to wait"]
    assert all(pause.until > scene.now() for pause in pauses if pause is not None)


async def test_a_target_that_rejects_messages_is_there_and_is_sent_the_next(scene: Scene) -> None:
    strict = FakeTarget(lambda _: _refuses(Rejected("too long")))
    scene.with_targets(strict=strict)
    for number in range(7):
        await scene.record(alert(f"A{number}"))
        await scene.until_sent("strict", number + 1)
    await scene.until("strict", ["dead"] * 7)


async def _reasons(scene: Scene) -> set[str]:
    page = await scene.store.delivery_log.deliveries(DeliveryFilter(target="broken", limit=100))
    return {attempt["reason"] for delivery in page.deliveries for attempt in delivery.log}


async def test_a_group_is_one_message_to_a_target_that_speaks_of_groups(scene: Scene) -> None:
    scene.with_targets(slack=FakeTarget(takes, speaks_of_groups=True))
    await scene.record(alert("A"), alert("B"), alert("C"))
    await scene.until("slack", ["delivered"] * 3)
    assert [len(message.alerts) for message in scene.targets["slack"].messages] == [3]


async def test_a_group_is_one_message_however_slow_the_target_and_large_the_group(scene: Scene) -> None:
    slack = FakeTarget(takes, speaks_of_groups=True)
    slack.default_rate_per_minute = 60.0
    scene.with_targets(slack=slack)
    await scene.record(*(alert(f"A{number}") for number in range(75)))
    await scene.record(*(alert(f"B{number}") for number in range(25)))
    await scene.until("slack", ["delivered"] * 100)
    assert [len(message.alerts) for message in slack.messages] == [75, 25]


async def test_alerts_that_are_leased_later_join_their_group_while_it_waits(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_BATCH_SECONDS", 1)
    slack = FakeTarget(takes, speaks_of_groups=True)
    slack.default_rate_per_minute = 600.0
    scene.with_targets(slack=slack)
    for name in "ABCDEFGH":  # more groups than may wait, so that the last of them is leased in parts
        await scene.record(*(alert(f"{name}{number}") for number in range(12)))
    await scene.until("slack", ["delivered"] * 96)
    assert [len(message.alerts) for message in slack.messages] == [12] * 8


async def test_a_group_larger_than_what_may_be_held_does_not_wait_for_room_that_it_takes_itself(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_MAX_DELIVERIES_OF_GROUPS", 16)
    slack = FakeTarget(takes, speaks_of_groups=True)
    scene.with_targets(slack=slack)
    await scene.record(alert("Before"))
    await scene.record(*(alert(f"A{number}") for number in range(99)))
    await scene.until("slack", ["delivered"] * 100)
    assert sum(len(message.alerts) for message in slack.messages) == 100


async def test_replicas_keep_the_rate_of_a_target_together(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_BATCH_SECONDS", 1)  # so that neither takes all there is
    pair = [Scene(postgres_url), Scene(postgres_url)]
    for scene in pair:
        await scene.store.lifecycle.open()
        pager = FakeTarget(takes)
        pager.default_rate_per_minute = 240.0  # four at once, then four a second
        scene.with_targets(pager=pager)
    begin = asyncio.get_running_loop().time()
    await pair[0].record(*(alert(f"A{number}") for number in range(16)))
    pair[1].publisher.wake()
    await pair[0].until("pager", ["delivered"] * 16)
    seconds = asyncio.get_running_loop().time() - begin
    for scene in pair:
        await scene.publisher.stop()
        await scene.store.lifecycle.close()
    assert all(scene.targets["pager"].messages for scene in pair)
    assert (
        seconds >= 3 - 0.25
    )  # what one replica alone would take; two without a common rate take two thirds of it at most


async def test_a_group_that_failed_is_one_message_again_under_the_same_key(scene: Scene) -> None:
    answers = iter([Retryable("busy")])

    async def fails_once(_: Message) -> Sent:
        for error in answers:
            raise error
        return Sent()

    slack = FakeTarget(fails_once, speaks_of_groups=True)
    scene.with_targets(slack=slack)
    await scene.record(*(alert(f"A{number}") for number in range(20)))
    await scene.until("slack", ["delivered"] * 20)
    assert [len(message.alerts) for message in slack.messages] == [20, 20]
    assert slack.messages[0].idempotency_key == slack.messages[1].idempotency_key


async def test_a_group_of_the_routes_is_one_message_whatever_receipts_it_came_in(scene: Scene) -> None:
    scene.with_targets(slack=FakeTarget(hangs, speaks_of_groups=True))
    scene.router.take_up_routes((Route("ops", destinations=(Destination("*"),), group_by=("namespace",)),))
    await scene.record(alert("A"), alert("Elsewhere", labels={"namespace": "other"}))
    await scene.targets["slack"].arrived.wait()
    await scene.record(alert("B"))
    await scene.record(alert("C"))
    await scene.publisher.stop()
    scene.targets.clear()
    scene.publisher.take_up([])
    scene.with_targets(slack=FakeTarget(takes, speaks_of_groups=True))
    await scene.until("slack", ["delivered"] * 4)
    names_by_group = {
        message.alerts[0].group_key: sorted(each.labels["alertname"] for each in message.alerts)
        for message in scene.targets["slack"].messages
    }
    assert names_by_group == {'ops:{namespace="shop"}': ["A", "B", "C"], 'ops:{namespace="other"}': ["Elsewhere"]}
    assert scene.targets["slack"].messages[0].alerts[0].details["groupLabels"].keys() == {"namespace"}


async def test_a_target_that_speaks_of_no_groups_gets_a_message_an_alert(scene: Scene) -> None:
    scene.with_targets(one=FakeTarget(takes))
    scene.router.take_up_routes((Route("ops", destinations=(Destination("*"),), group_by=()),))
    await scene.record(alert("A"), alert("B"))
    await scene.until("one", ["delivered", "delivered"])
    assert [len(message.alerts) for message in scene.targets["one"].messages] == [1, 1]


async def test_what_was_held_for_days_is_not_given_up_at_its_first_failure(scene: Scene) -> None:
    async def fails(_: Message) -> Sent:
        raise Retryable("503")

    scene.with_targets(one=FakeTarget(fails))
    sent = receipt(alert(), at=datetime.now(UTC) - timedelta(days=2))
    await scene.store.recorder.commit([msgspec.structs.replace(sent, publish=True)])
    scene.publisher.wake()
    await scene.targets["one"].arrived.wait()
    await scene.until("one", ["pending"])


async def test_a_target_that_hangs_delays_no_other(scene: Scene) -> None:
    scene.with_targets(hangs=FakeTarget(hangs), takes=FakeTarget(takes))
    await scene.record(alert())
    await scene.targets["hangs"].arrived.wait()
    await scene.record(alert("Another"))
    await scene.until("takes", ["delivered", "delivered"])


async def test_a_target_that_is_gone_is_sent_no_more_until_it_is_changed(scene: Scene) -> None:
    async def is_gone(_: Message) -> Sent:
        raise Rejected("410 Gone", is_gone=True)

    target = FakeTarget(is_gone)
    scene.with_targets(one=target)
    await scene.record(alert("A"))
    await scene.until("one", ["dead"])
    await scene.record(alert("B"))
    await scene.until("one", ["dead", "dead"])
    assert len(target.messages) == 1
    page = await scene.store.delivery_log.deliveries(DeliveryFilter(target="one", limit=1))
    assert page.deliveries[0].log[-1]["reason"] == "the target wants no more messages: 410 Gone"
    assert scene.publisher.health("one").gone == "410 Gone"
    scene.publisher.take_up([TargetSpec("one", "fake", {"url": "another"})])
    assert scene.publisher.health("one").gone is None
    await scene.record(alert("C"))
    async with asyncio.timeout(60):
        while len(target.messages) < 2:
            await asyncio.sleep(0.01)


async def test_a_refused_message_is_dead_at_once_with_its_reason(scene: Scene) -> None:
    async def refuses(_: Message) -> Sent:
        raise Rejected("wrong key")

    scene.with_targets(one=FakeTarget(refuses))
    await scene.record(alert())
    await scene.until("one", ["dead"])
    page = await scene.store.delivery_log.deliveries(DeliveryFilter(target="one"))
    assert page.deliveries[0].log[-1]["reason"] == "wrong key"


async def test_a_failed_message_is_sent_again_under_the_same_key(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr("random.random", lambda: 0.0)
    fails = iter([True, True, False])

    async def fails_twice(_: Message) -> Sent:
        if next(fails):
            raise Retryable("503")
        return Sent()

    scene.with_targets(one=FakeTarget(fails_twice))
    await scene.record(alert())
    await scene.until("one", ["delivered"])
    keys = [message.idempotency_key for message in scene.targets["one"].messages]
    assert (len(keys), len(set(keys))) == (3, 1)


async def test_retry_after_pauses_the_whole_target(scene: Scene) -> None:
    async def limited(_: Message) -> Sent:
        raise Retryable("429", after_seconds=3600)

    scene.with_targets(one=FakeTarget(limited))
    await scene.record(alert("A"))
    await scene.targets["one"].arrived.wait()
    await scene.until("one", ["pending"])
    await scene.record(alert("B"))
    health = scene.publisher.health("one")
    assert health.is_paused_until is not None
    assert len(scene.targets["one"].messages) == 1


async def test_a_stopped_worker_hands_its_leases_back(scene: Scene) -> None:
    scene.with_targets(one=FakeTarget(hangs))
    await scene.record(alert())
    await scene.targets["one"].arrived.wait()
    await scene.publisher.stop()
    assert await scene.states("one") == ["pending"]


async def test_messages_of_different_alerts_are_under_way_together_but_only_so_many(scene: Scene) -> None:
    release = asyncio.Event()

    async def waits(_: Message) -> Sent:
        await release.wait()
        return Sent()

    target = FakeTarget(waits)
    scene.with_targets(one=target)
    await scene.record(*(alert(f"A{number}") for number in range(worker.SENDS_AT_ONCE + 4)))
    await scene.until_sent("one", worker.SENDS_AT_ONCE)
    assert len(target.messages) == worker.SENDS_AT_ONCE
    release.set()
    await scene.until("one", ["delivered"] * (worker.SENDS_AT_ONCE + 4))


async def test_a_resolve_is_not_sent_while_its_firing_is_under_way(scene: Scene) -> None:
    release = asyncio.Event()

    async def waits(_: Message) -> Sent:
        await release.wait()
        return Sent()

    target = FakeTarget(waits)
    scene.with_targets(one=target)
    await scene.record(alert("A"))
    await scene.until_sent("one", 1)
    await scene.record(alert("A", "resolved"), alert("B"))
    await scene.until_sent("one", 2)
    assert [message.alerts[0].labels["alertname"] for message in target.messages] == ["A", "B"]
    release.set()
    await scene.until("one", ["delivered"] * 3)
    assert target.messages[-1].alerts[0].status == "resolved"


async def test_what_was_leased_when_the_target_asks_to_wait_goes_back_unsent(scene: Scene) -> None:
    async def limited(_: Message) -> Sent:
        raise Retryable("429", after_seconds=3600)

    scene.with_targets(one=FakeTarget(limited))
    number = worker.SENDS_AT_ONCE + 10
    await scene.record(*(alert(f"A{place}") for place in range(number)))
    reasons: list[str] = []
    async with asyncio.timeout(60):
        while len(reasons) < number:
            page = await scene.store.delivery_log.deliveries(DeliveryFilter(target="one", limit=100))
            reasons = [delivery.log[-1]["reason"] for delivery in page.deliveries if delivery.log]
    assert set(reasons) == {"429", "the target asked to wait"}
    assert len(scene.targets["one"].messages) <= worker.SENDS_AT_ONCE


async def test_what_would_outlive_its_lease_is_not_sent(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LEASE", timedelta(seconds=1))
    target = FakeTarget(takes)
    scene.with_targets(one=target)
    await scene.record(alert())
    async with asyncio.timeout(60):
        while not (page := await scene.store.delivery_log.deliveries(DeliveryFilter(target="one"))).deliveries[0].log:
            await asyncio.sleep(0.01)
    assert page.deliveries[0].log[0]["outcome"] == "handed_back"
    assert target.messages == []


class Asked:
    """An outbox without deliveries, that knows who asked for some. Everybody waits until it is open."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.opened = asyncio.Event()

    async def lease(self, target: str, **_: object) -> tuple[list[Leased], int]:
        self.names.append(target)
        await self.opened.wait()
        return [], 0

    async def settle(self, _: object) -> None:
        raise AssertionError

    async def until(self, number: int) -> list[str]:
        async with asyncio.timeout(60):
            while len(self.names) < number:
                await asyncio.sleep(0.01)
        return self.names


async def _asking(monkeypatch: pytest.MonkeyPatch, *specs: TargetSpec) -> tuple[Asked, Publisher]:
    monkeypatch.setattr(worker, "_POLL_SECONDS", 3600)  # nobody looks without being woken
    asked = Asked()
    publisher = Publisher(
        cast("Outbox", asked),
        router=Router(),
        make=lambda _: FakeTarget(takes),
        clock=lambda: datetime.now(UTC),
        switchboard=Switchboard(),
    )
    publisher.take_up(specs)
    return asked, publisher


async def test_only_targets_that_are_told_are_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, publisher = await _asking(monkeypatch, TargetSpec("one", "fake", {}), TargetSpec("two", "fake", {}))
    asked.opened.set()
    await asked.until(2)
    publisher.wake({"two"})
    assert (await asked.until(3))[2:] == ["two"]
    publisher.wake()
    assert sorted((await asked.until(5))[3:]) == ["one", "two"]
    await publisher.stop()


async def test_targets_of_higher_priority_take_their_deliveries_first(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [TargetSpec(f"p{priority}", "fake", {}, priority=priority) for priority in (0, 2, 1, 3)]
    asked, publisher = await _asking(monkeypatch, *specs)
    assert await asked.until(1) == ["p0"]  # came first; now the others wait for the database
    asked.opened.set()
    assert await asked.until(4) == ["p0", "p3", "p2", "p1"]
    await publisher.stop()


async def test_a_target_that_is_taken_away_is_told_no_more(scene: Scene) -> None:
    scene.with_targets(one=FakeTarget(takes))
    scene.publisher.take_up([])
    await scene.record(alert())
    assert await scene.states("one") == []
