"""Replicas whose clocks differ, by a minute or by hours, lease as one would: by the clock of the database.

What is under way is taken by nobody else, and what a dead replica held is taken when its lease is over. Whether a
delivery is due is judged by the clock of a replica; nothing is promised here about that.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alert_history.domain.delivery import Attempt, Leased, Routing, Settlement
from alert_history.domain.target import Message, Sent, TargetSpec
from alert_history.engine.switchboard import Switchboard
from alert_history.engine.turns import Turns
from alert_history.engine.worker import TargetWorker
from alert_history.ports import DeliveryFilter, Store
from alert_history.storage import open_store
from tests.conformance.samples import NOW, SECOND, alert, receipt
from tests.leases import aged, time_passes

HOUR = timedelta(hours=1)
LEASE = 40 * SECOND
SLACK = 12 * SECOND  # the test itself takes time, and the database's clock goes on
SKEWS = [-3 * HOUR, *(seconds * SECOND for seconds in (-60, -30, -5, 0, 5, 30, 60)), 3 * HOUR]
_names = count()


class Holding(msgspec.Struct):
    """A lease, and the time of the story at which it began."""

    leased: Leased
    since: timedelta


class Cluster:
    """Two replicas on one database, each with a clock of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.target = ""
        self.stores = [open_store(url, router=lambda _, __: Routing((self.target,), {})) for _ in range(2)]
        self.begin(SKEWS[:2])

    def begin(self, skews: Sequence[timedelta]) -> None:
        """A story of its own, about a target of its own."""
        self.target = f"target-{next(_names)}"
        self.skews = skews
        self.passed = timedelta()
        self.under_way: dict[str, Holding] = {}
        self.held: list[list[Holding]] = [[], []]

    def clock(self, replica: int) -> datetime:
        """What the replica believes."""
        return NOW + self.passed + self.skews[replica]

    async def do(self, step: str, number: int) -> None:
        """A step of a story, by the replica of that number; time passes by so many seconds."""
        match step:
            case "fire":
                await self.fire(number)
            case "lease":
                await self.lease(number)
            case "settle":
                await self.settle(number)
            case "die":
                self.die(number)
            case _:
                await self.pass_time(number * SECOND)

    async def fire(self, replica: int) -> None:
        """A new alert comes in."""
        sent = receipt(alert(f"A{next(_names)}"), at=self.clock(replica))
        await self.stores[replica].recorder.commit([msgspec.structs.replace(sent, publish=True)])

    async def lease(self, replica: int) -> None:
        """A replica looks for work: it gets nothing that is under way, and all whose lease is over."""
        leased, _ = await self.stores[replica].outbox.lease(
            self.target, now=self.clock(replica), limit=1000, lease_for=LEASE
        )
        taken = {delivery.id: delivery for delivery in leased}
        for delivery_id, holding in self.under_way.items():
            since = self.passed - holding.since
            assert not (delivery_id in taken and since < LEASE - SLACK), f"taken after {since} of {LEASE}"
            assert delivery_id in taken or since <= LEASE, f"not taken after {since}, long after {LEASE}"
        for delivery in leased:
            holding = Holding(delivery, self.passed)
            self.under_way[delivery.id] = holding
            self.held[replica].append(holding)

    async def settle(self, replica: int) -> None:
        """A replica says that it delivered all that it believes to hold, however long ago it took it."""
        settled = []
        for holding in self.held[replica]:
            delivery = aged(holding.leased, self.passed - holding.since)
            attempt = Attempt(self.clock(replica), "delivered", "", 1)
            settled.append((delivery, Settlement(delivery.id, "delivered", attempt)))
            if self.under_way.get(delivery.id) is holding:
                del self.under_way[delivery.id]
        self.held[replica] = []
        await self.stores[replica].outbox.settle(settled)
        assert await self._leased() == set(self.under_way)

    def die(self, replica: int) -> None:
        """A replica forgets what it held, and says nothing."""
        self.held[replica] = []

    async def pass_time(self, by: timedelta) -> None:
        """Time passes for all, whatever their clocks say."""
        await time_passes(self.url, by)
        self.passed += by

    async def _leased(self) -> set[str]:
        page = await self.stores[0].delivery_log.deliveries(DeliveryFilter(target=self.target, limit=1000))
        return {delivery.id for delivery in page.deliveries if delivery.state == "leased"}


@pytest.fixture
async def cluster(database_url: str) -> AsyncIterator[Cluster]:
    cluster = Cluster(database_url)
    for store in cluster.stores:
        await store.lifecycle.open()
    yield cluster
    for store in cluster.stores:
        await store.lifecycle.close()


_replicas = st.integers(0, 1)
_steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["fire", "lease", "lease", "settle", "die"]), _replicas),
        st.tuples(st.just("pass"), st.sampled_from([1, 20, 45])),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(skews=st.tuples(st.sampled_from(SKEWS), st.sampled_from(SKEWS)), steps=_steps, last=_replicas)
async def test_what_is_under_way_is_taken_by_nobody_until_its_lease_is_over_and_then_by_anybody(
    cluster: Cluster, skews: tuple[timedelta, timedelta], steps: list[tuple[str, int]], last: int
) -> None:
    cluster.begin(skews)
    await cluster.fire(0)
    await cluster.lease(0)
    for step, number in steps:
        await cluster.do(step, number)
    await cluster.pass_time(45 * SECOND)
    await cluster.lease(last)


@pytest.mark.parametrize("skew", [60 * SECOND, -60 * SECOND, 3 * HOUR, -3 * HOUR], ids=str)
async def test_a_slow_target_is_told_once_by_workers_whose_clocks_differ(cluster: Cluster, skew: timedelta) -> None:
    cluster.begin([timedelta(), skew])
    number = 5
    target = SlowTarget(number)
    behind = min(range(2), key=lambda replica: cluster.skews[replica])
    ahead = 1 - behind
    for _ in range(number):
        await cluster.fire(behind)  # so that all is due for both
    looks = Looks(cluster.stores[ahead], looks=2)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_worker(cluster, behind, target).run())]
        await target.is_full.wait()
        running.append(tasks.create_task(_worker(cluster, ahead, target, looks=looks).run()))
        await looks.are_done.wait()
        target.may_answer.set()
        while await cluster.stores[0].delivery_log.depth():
            await asyncio.sleep(0.01)
        for task in running:
            task.cancel()
    assert len(target.messages) == len(set(target.messages)) == number


@pytest.mark.parametrize("skew", [60 * SECOND, 3 * HOUR], ids=str)
async def test_what_a_replica_whose_clock_is_ahead_hands_back_is_due_for_others_at_once(
    cluster: Cluster, skew: timedelta
) -> None:
    cluster.begin([timedelta(), skew])
    await cluster.fire(0)
    target = SlowTarget(1)
    async with asyncio.timeout(30):
        running = asyncio.create_task(_worker(cluster, 1, target).run())
        await target.is_full.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    leased, _ = await cluster.stores[0].outbox.lease(cluster.target, now=datetime.now(UTC), limit=9, lease_for=LEASE)
    assert [delivery.attempt for delivery in leased] == [2]


class SlowTarget:
    """Answers when it may, and notes what it was told."""

    takes_follow_ups = False
    speaks_of_groups = False
    default_rate_per_minute = 60_000.0

    def __init__(self, full: int) -> None:
        self.messages: list[str] = []
        self.is_full = asyncio.Event()
        self.may_answer = asyncio.Event()
        self._full = full

    async def send(self, message: Message) -> Sent:
        self.messages.append(message.idempotency_key)
        if len(self.messages) >= self._full:
            self.is_full.set()
        await self.may_answer.wait()
        return Sent()

    def url_shown(self) -> str:
        return "test://"


class Looks:
    """The outbox of a store; it says when a worker has looked into it so often."""

    def __init__(self, store: Store, *, looks: int) -> None:
        self._outbox = store.outbox
        self._left = looks
        self.are_done = asyncio.Event()
        self.settle = store.outbox.settle
        self.reserve = store.outbox.reserve

    async def lease(self, target: str, *, now: datetime, limit: int, lease_for: timedelta) -> tuple[list[Leased], int]:
        answer = await self._outbox.lease(target, now=now, limit=limit, lease_for=lease_for)
        self._left -= 1
        if self._left <= 0:
            self.are_done.set()
        return answer


def _worker(cluster: Cluster, replica: int, target: SlowTarget, *, looks: Looks | None = None) -> TargetWorker:
    return TargetWorker(
        TargetSpec(cluster.target, "test", {}),
        target,
        outbox=looks or cluster.stores[replica].outbox,
        clock=lambda: datetime.now(UTC) + cluster.skews[replica],
        switchboard=Switchboard(),
        turns=Turns(),
        regroup=lambda _spec, _alert: None,
    )
