"""Publishing survives a crash between any two steps: what was acknowledged is told, or dead or superseded on record.

So do the numbers of the history: in the end they agree with what is recorded.

Two replicas run the real worker on the real store. Whatever a worker asks of the outside stops at a gate: hypothesis
decides what happens next, in which order, and who dies before or after it. Time is a variable.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal, TypeVar
from unittest.mock import patch

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from alert_history.domain.alert import Status
from alert_history.domain.delivery import Leased, Routing, Settlement
from alert_history.domain.target import Message, Sent, TargetSpec
from alert_history.engine import worker
from alert_history.engine.switchboard import Switchboard
from alert_history.engine.turns import Turns
from alert_history.engine.worker import TargetWorker
from alert_history.errors import Busy, Rejected, Retryable, StorageUnavailable
from alert_history.ports import DeliveryFilter, Store, StoredDelivery
from alert_history.storage import open_store
from tests.conformance.samples import NOW, SECOND, STARTS_AT, alert, receipt
from tests.leases import StoryOutbox, StoryTime
from tests.numbers import check_sums, minute_passes

T = TypeVar("T")
Answer = Literal["taken", "taken, answer lost", "busy", "refused", "no answer"]

_ANSWERS: dict[Answer, Callable[[], Exception]] = {
    "taken, answer lost": lambda: Retryable("the connection broke"),
    "busy": lambda: Retryable("503"),
    "refused": lambda: Rejected("400"),
    "no answer": TimeoutError,
}
_ALERTS = 3
_LEASE_SECONDS = 31
_SEND_SECONDS = 10
_RUNS = count()
_ROUNDS = 200
_CASES = int(os.environ.get("CRASH_CASES", "40"))
"""How many stories of crashes are told on each database; `make soak` asks for more."""


class Died(Exception):
    """What a killed process does: it simply does not go on."""


class Arrival(msgspec.Struct, frozen=True):
    """What the target was told."""

    key: str
    event: str
    status: Status
    fingerprint: str


class Flight(msgspec.Struct, eq=False):
    """A message on its way."""

    message: Message
    began: datetime
    answer: "asyncio.Future[Sent]"


class Replica:
    """One process: its worker, the gate before its database, and its messages that are under way."""

    takes_follow_ups = False
    speaks_of_groups = False
    default_rate_per_minute = 60_000_000.0

    def __init__(self, store: Store, spec: TargetSpec, *, clock: Callable[[], datetime], time: StoryTime) -> None:
        self.store = store
        self.outbox = StoryOutbox(store.outbox, time)
        self.clock = clock
        self.flights: list[Flight] = []
        self.is_dead = False
        self.asked: dict[str, asyncio.Future[bool]] = {}
        self.ended: asyncio.Event = asyncio.Event()
        self.worker = TargetWorker(
            spec,
            self,
            outbox=self,
            clock=clock,
            switchboard=Switchboard(),
            turns=Turns(),
            regroup=lambda _spec, _alert: None,
        )
        self.task = asyncio.create_task(self.worker.run())

    # --- what the worker calls ---

    async def lease(self, target: str, *, now: datetime, limit: int, lease_for: timedelta) -> tuple[list[Leased], int]:
        return await self._at_gate(
            "lease", lambda: self.outbox.lease(target, now=now, limit=limit, lease_for=lease_for)
        )

    async def reserve(self, target: str, *, every: timedelta, burst: int, within: timedelta) -> timedelta | None:
        raise AssertionError(target, every, burst, within)  # the rate is too high to be shared

    async def settle(self, settlements: Sequence[tuple[Leased, Settlement]]) -> None:
        await self._at_gate("settle", lambda: self.outbox.settle(settlements))

    async def send(self, message: Message) -> Sent:
        flight = Flight(message, self.clock(), asyncio.get_running_loop().create_future())
        self.flights.append(flight)
        return await flight.answer

    def url_shown(self) -> str:
        return "test://"

    async def _at_gate(self, what: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait to be let in; a death while the database works loses what it answers."""
        self._raise_if_dead()
        self.asked[what] = asyncio.get_running_loop().create_future()
        dies_after = await self.asked[what]
        try:
            result = await work()
        finally:
            self.ended.set()
        self.is_dead = self.is_dead or dies_after
        self._raise_if_dead()
        return result

    def _raise_if_dead(self) -> None:
        if self.is_dead:
            raise StorageUnavailable("this process is dead")

    # --- what the machine does ---

    def waits_for(self, what: str) -> bool:
        return what in self.asked and not self.asked[what].done()

    async def let_in(self, what: str, *, dies_after: bool = False) -> None:
        self.ended.clear()
        self.asked.pop(what).set_result(dies_after)
        await self.ended.wait()

    async def kill(self) -> None:
        self.is_dead = True
        for asked in self.asked.values():
            if not asked.done():
                asked.set_exception(StorageUnavailable("this process is dead"))
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Crashes(RuleBasedStateMachine):
    """Two replicas, one target, three alerts."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.now = NOW
        self.url = url
        self.run = next(_RUNS)
        self.spec = TargetSpec(f"target-{self.run}", "test", {})
        self.arrivals: list[Arrival] = []
        self.order: dict[str, list[str]] = {}  # the ids of an alert's deliveries, oldest first
        self.firing: dict[int, bool] = {}
        self.loop = asyncio.new_event_loop()
        self.stores = [open_store(url, router=lambda _, __: Routing((self.spec.name,), {})) for _ in range(2)]
        self.time = StoryTime(url, lambda: self.now)
        self.replicas: list[Replica] = self.loop.run_until_complete(self._started())

    async def _started(self) -> list[Replica]:
        replicas = [self._replica(store) for store in self.stores]
        await self._come_to_rest()
        return replicas

    def _replica(self, store: Store) -> Replica:
        return Replica(store, self.spec, clock=lambda: self.now, time=self.time)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and let every worker go as far as it gets."""

        async def and_rest() -> T:
            result = await work
            for replica in self.replicas:
                replica.worker.wake()
            await self._come_to_rest()
            return result

        return self.loop.run_until_complete(and_rest())

    async def _come_to_rest(self) -> None:
        for _ in range(40):  # turns of the loop; whatever takes longer waits at a gate
            await asyncio.sleep(0)

    # --- what may happen ---

    @rule(number=st.integers(0, _ALERTS - 1), changes=st.booleans())
    def alert_is_recorded(self, number: int, changes: bool) -> None:  # noqa: FBT001  # hypothesis' shape
        """It fires, resolves, or says something else."""
        is_firing = self.firing.get(number, False)
        self.firing[number] = is_firing if changes and is_firing else not is_firing
        self._do(self._record(number))

    async def _record(self, number: int) -> None:
        await self._pass(1, arrive=False)
        sent = alert(
            f"A{number}",
            "firing" if self.firing[number] else "resolved",
            starts_at=STARTS_AT,
            ends_at=None if self.firing[number] else self.now,
            labels={"run": str(self.run)},
            annotations={"said_at": str(self.now)},
        )
        outcomes = await self.stores[0].recorder.commit(
            [msgspec.structs.replace(receipt(sent, at=self.now), publish=True)]
        )
        known = self.order.setdefault(sent.fingerprint, [])
        page = await self.stores[0].delivery_log.deliveries(DeliveryFilter(fingerprint=sent.fingerprint, limit=1000))
        new = [delivery.id for delivery in page.deliveries if delivery.id not in known]
        assert len(new) == outcomes[0].deliveries
        known += new

    @precondition(lambda self: self._gate("lease"))
    @rule(data=st.data(), dies=st.sampled_from([*[False] * 9, True]))
    def worker_leases(self, data: st.DataObject, dies: bool) -> None:  # noqa: FBT001
        """It may die with what it leased."""
        self._let_in(data.draw(st.sampled_from(self._gate("lease"))), "lease", dies=dies)

    @precondition(lambda self: self._gate("settle"))
    @rule(data=st.data(), dies=st.sampled_from([*[False] * 9, True]))
    def worker_settles(self, data: st.DataObject, dies: bool) -> None:  # noqa: FBT001
        """It may die before it hears that it is kept."""
        self._let_in(data.draw(st.sampled_from(self._gate("settle"))), "settle", dies=dies)

    @precondition(lambda self: any(replica.flights for replica in self.replicas))
    @rule(data=st.data(), answer=st.sampled_from(["taken", "taken", *_ANSWERS]))
    def target_answers(self, data: st.DataObject, answer: Answer) -> None:
        """Any message under way."""
        busy = [replica for replica in self.replicas if replica.flights]
        replica = data.draw(st.sampled_from(busy))
        flight = data.draw(st.sampled_from(replica.flights))
        self._do(self._answer(replica, flight, answer))
        self._let_all_in()

    @rule(place=st.integers(0, 1), end=st.sampled_from([*["none"] * 6, "stopped", "killed", "killed, all arrives"]))
    def process_ends(self, place: int, end: str) -> None:
        """Mostly none does, and the database lets everybody in.

        Killed, it takes with it what it holds, and its messages may have arrived. Stopped, as by SIGTERM, it hands back
        what it holds. Another takes its place.
        """
        if end == "none":
            self._let_all_in()
        elif end == "stopped":
            self._do(self._stop(place))
        else:
            self._do(self._replace(place, arrive=end == "killed, all arrives"))

    @rule(seconds=st.sampled_from([*[0, 1, 3, 9] * 3, _SEND_SECONDS, _LEASE_SECONDS, 700]), arrive=st.booleans())
    def time_passes(self, seconds: int, arrive: bool) -> None:  # noqa: FBT001
        """A message has no answer after ten seconds."""
        self._do(self._pass(seconds, arrive=arrive))

    @rule()
    def dead_letters_are_replayed(self) -> None:
        """As by a person."""
        self._do(self.stores[1].delivery_log.replay(now=self.now, target=self.spec.name))

    @rule(place=st.integers(0, 1))
    def numbers_are_added_up(self, place: int) -> None:
        """By one of the replicas, while another may count all anew, or died of it."""
        self._do(self.stores[place].rollups.fold())

    @rule(place=st.integers(0, 1), dies=st.booleans())
    def history_is_counted_anew(self, place: int, dies: bool) -> None:  # noqa: FBT001
        """The process may die in the middle; what it has counted by then is of no use."""
        self._do(self._count(place, dies=dies))

    @rule()
    def minute_passes_without_a_word_of_who_counts(self) -> None:
        """Then another may count."""
        self._do(minute_passes(self.url))

    async def _count(self, place: int, *, dies: bool) -> None:
        def progress(_: int) -> None:
            if dies:
                raise Died

        with suppress(Died, Busy):
            await self.stores[place].rollups.count_anew(progress=progress)

    # --- how ---

    def _gate(self, what: str) -> list[int]:
        return [place for place, replica in enumerate(self.replicas) if replica.waits_for(what)]

    def _let_in(self, place: int, what: str, *, dies: bool) -> None:
        self._do(self.replicas[place].let_in(what, dies_after=dies))
        if dies:
            self._do(self._replace(place, arrive=False))

    def _let_all_in(self) -> None:
        for what in ("settle", "lease"):
            for place in self._gate(what):
                self._let_in(place, what, dies=False)

    async def _answer(self, replica: Replica, flight: Flight, answer: Answer) -> None:
        replica.flights.remove(flight)
        if answer.startswith("taken"):
            self._arrive(flight)
        if answer == "taken":
            flight.answer.set_result(Sent())
        else:
            flight.answer.set_exception(_ANSWERS[answer]())

    def _arrive(self, flight: Flight) -> None:
        (outgoing,) = flight.message.alerts
        self.arrivals.append(
            Arrival(flight.message.idempotency_key, outgoing.event, outgoing.status, outgoing.fingerprint)
        )
        self._check_order(outgoing.fingerprint)

    def _check_order(self, fingerprint: str) -> None:
        places = [
            self.order[fingerprint].index(arrival.key)
            for arrival in self.arrivals
            if arrival.fingerprint == fingerprint
        ]
        assert places == sorted(places), "the target was told an older state after a newer one"

    async def _pass(self, seconds: int, *, arrive: bool) -> None:
        self.now += seconds * SECOND
        for replica in self.replicas:
            for flight in list(replica.flights):
                if self.now - flight.began >= _SEND_SECONDS * SECOND:
                    await self._answer(replica, flight, "taken, answer lost" if arrive else "no answer")

    async def _replace(self, place: int, *, arrive: bool) -> None:
        replica = self.replicas[place]
        for flight in replica.flights if arrive else ():
            self._arrive(flight)
        await replica.kill()
        self.replicas[place] = self._replica(self.stores[place])

    async def _stop(self, place: int) -> None:
        replica = self.replicas[place]
        replica.asked.pop("settle", None)
        replica.task.cancel()
        await self._come_to_rest()
        if replica.waits_for("lease"):  # which it can't take back, and so hands back what it gets
            await replica.let_in("lease")
            await self._come_to_rest()
        if replica.waits_for("settle"):
            await replica.let_in("settle")
        await replica.kill()
        self.replicas[place] = self._replica(self.stores[place])

    # --- and what must be true in the end ---

    def teardown(self) -> None:
        """On good days all that is left is delivered; then every delivery is accounted for."""
        try:
            self._work_off()
            self._check(self.loop.run_until_complete(self._found()))
            self.loop.run_until_complete(self._check_numbers())
        finally:
            self.loop.run_until_complete(self._close())
            self.loop.close()

    def _work_off(self) -> None:
        for _ in range(_ROUNDS):
            if self.spec.name not in self.loop.run_until_complete(self.stores[0].delivery_log.depth()):
                return
            for replica in self.replicas:
                for flight in list(replica.flights):
                    self._do(self._answer(replica, flight, "taken"))
            self._let_all_in()
            if not any(replica.flights or replica.waits_for("settle") for replica in self.replicas):
                self._do(self._pass(700, arrive=False))
        raise AssertionError("what is in the queue is never delivered")

    async def _found(self) -> dict[str, StoredDelivery]:
        page = await self.stores[0].delivery_log.deliveries(DeliveryFilter(target=self.spec.name, limit=1000))
        return {delivery.id: delivery for delivery in page.deliveries}

    def _check(self, deliveries: dict[str, StoredDelivery]) -> None:
        arrived = {arrival.key for arrival in self.arrivals}
        assert sorted(deliveries) == sorted(key for keys in self.order.values() for key in keys)
        for keys in self.order.values():
            for place, key in enumerate(keys):
                self._check_one(
                    deliveries[key], newer=[deliveries[later] for later in keys[place + 1 :]], arrived=arrived
                )
        contents = {(arrival.key, arrival.event, arrival.status, arrival.fingerprint) for arrival in self.arrivals}
        assert len(contents) == len(arrived), "one key said different things"

    def _check_one(self, delivery: StoredDelivery, *, newer: Sequence[StoredDelivery], arrived: set[str]) -> None:
        if delivery.state == "delivered":
            assert delivery.id in arrived
        elif delivery.state == "superseded":
            assert any(later.state in {"delivered", "dead"} for later in newer), "superseded by nothing"
        else:
            assert delivery.state == "dead"
            assert delivery.log[-1]["reason"]

    async def _check_numbers(self) -> None:
        await minute_passes(self.url)
        await check_sums(self.stores[0])

    async def _close(self) -> None:
        await self.time.close()
        for replica in self.replicas:
            await replica.kill()
        for store in self.stores:
            await store.lifecycle.close()


def _run(url: str, *, examples: int) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with (
        patch.object(worker, "_POLL_SECONDS", 1e6),  # workers look when they are woken
        patch.object(worker, "_BREAKER_FAILURES", 10**6),  # here a target is asked again however often it failed
        patch.object(worker, "SENDS_AT_ONCE", 2),  # so that some wait for their turn
    ):
        run_state_machine_as_test(lambda: Crashes(url), settings=chosen)  # type: ignore[arg-type]  # any factory does


def test_nothing_is_lost_or_out_of_order_on_sqlite(sqlite_url: str) -> None:
    _run(sqlite_url, examples=_CASES)


def test_nothing_is_lost_or_out_of_order_on_postgres(postgres_url: str) -> None:
    _run(postgres_url, examples=_CASES)
