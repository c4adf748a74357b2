"""The worker of one target: takes its deliveries from the outbox, makes them within its limits, and settles them.

Three things go on side by side: the worker leases the next deliveries while it sends the last, sends several at once,
and settles all that have ended together, in one transaction each time. Of one alert at most one delivery is under way,
because the outbox leases one at a time.

The outbox begins and ends leases by the database's clock. A worker counts how long ago it asked for a lease, and
compares no time of its own with one of the database, because their clocks differ.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic, perf_counter

import msgspec
import structlog
from aiolimiter import AsyncLimiter

from alert_history.domain.acts import ActKind, is_act
from alert_history.domain.delivery import Attempt, Leased, Settlement, is_given_up, retry_at
from alert_history.domain.notifying import reason_to_hide, reason_to_withhold
from alert_history.domain.target import Message, Outgoing, Sent, TargetSpec
from alert_history.engine.breaker import Breaker
from alert_history.engine.switchboard import AttemptEnded, Switchboard
from alert_history.engine.turns import Turns
from alert_history.errors import AlertHistoryError, Rejected, Retryable
from alert_history.ports import Clock, Outbox, Target

LEASE = timedelta(seconds=25)
"""How long the deliveries of a killed replica wait before another, which looks every second, takes them over: by 30 s.

Long enough for a wait by the rate limit, and then for an answer.
"""

SENDS_AT_ONCE = 16
"""How many messages to one target are under way at a time."""

_SEND_SECONDS = 10.0  # one attempt
_BATCH_SECONDS = 10  # a worker holds what the rate allows in this time, so that leases outlive it
_MAX_BATCH = 64  # messages
_MAX_DELIVERIES = 4 * _MAX_BATCH  # with those that are still to be settled
_MAX_DELIVERIES_OF_GROUPS = 16 * _MAX_BATCH  # so many alerts can be one message
_GATHER_SECONDS = 2.0  # for all of a group, so that its first delivery waits only so long for its last
_SHARED_PER_MINUTE = 600  # up to here all replicas together keep a rate; above, asking for each turn costs too much
_TURN_WITHIN = timedelta(seconds=5)
_POLL_SECONDS = 1.0  # for what other replicas queued, and what becomes due
_BREAKER_FAILURES = 5
_BREAKER_SECONDS = 15.0
_BREAKER_REASON = "the circuit breaker is open after repeated failures"
_LONGEST_PAUSE_SECONDS = 3600.0

_log = structlog.get_logger()


GroupKey = tuple[str, str, datetime | None]

Regroup = Callable[[TargetSpec, Outgoing], Outgoing | None]
"""An alert in the group that the routes put it into for a target; None where its own group stays."""


class Asked(msgspec.Struct, frozen=True):
    """When this process asked for a lease, by two clocks: `at` may be set meanwhile, `seconds` may stop in a sleep."""

    at: datetime
    seconds: float


class Waiting(msgspec.Struct):
    """A message that waits to be sent. Until then, deliveries of the group `key` may join it; none where it is None.

    `asked` is when the first of its deliveries was asked for.
    """

    key: GroupKey | None
    leased: list[Leased]
    asked: Asked


class TargetHealth(msgspec.Struct):
    """What this process knows of a target since it started, or since it was changed.

    `gone` is what the target said when it wanted no more messages: then it gets none, until it is changed.
    """

    succeeded: int = 0
    failed: int = 0
    last_success_at: datetime | None = None
    last_failure: str | None = None
    last_failure_at: datetime | None = None
    is_paused_until: datetime | None = None
    consecutive_failures: int = 0
    gone: str | None = None


class Pause(msgspec.Struct, frozen=True):
    """Why a worker sends nothing for a while, and until when."""

    reason: str
    until: datetime


class TargetWorker:
    """Makes the deliveries of one target. All workers share `turns`, which say who may lease next."""

    def __init__(
        self,
        spec: TargetSpec,
        target: Target,
        *,
        outbox: Outbox,
        clock: Clock,
        switchboard: Switchboard,
        turns: Turns,
        regroup: Regroup,
    ) -> None:
        self.target = target
        self.health = TargetHealth()
        self._spec = spec
        self._name = spec.name
        self._outbox = outbox
        self._clock = clock
        self._switchboard = switchboard
        self._turns = turns
        self._regroup = regroup
        self.rate_per_minute = rate = spec.rate_limit_per_minute or target.default_rate_per_minute
        self._limiter = _limiter(rate)
        self._turn_every = timedelta(minutes=1) / rate if rate <= _SHARED_PER_MINUTE else None
        self._turns_at_once = max(1, int(rate / 60))
        self._batch = max(1, min(_MAX_BATCH, int(rate / 60 * _BATCH_SECONDS)))
        self._breaker = Breaker(failures=_BREAKER_FAILURES, pause=timedelta(seconds=_BREAKER_SECONDS), clock=clock)
        self._wake = asyncio.Event()
        self._deliveries: dict[str, Leased] = {}
        self._taking: asyncio.Task[tuple[list[Leased], int]] | None = None
        self._max_deliveries = _MAX_DELIVERIES_OF_GROUPS if target.speaks_of_groups else _MAX_DELIVERIES
        self._unsent = 0
        self._messages: asyncio.Queue[Waiting] = asyncio.Queue()
        self._groups: dict[GroupKey, Waiting] = {}
        self._unfinished: list[Waiting] = []
        self._settlements: list[tuple[Leased, Settlement]] = []
        self._has_settlements = asyncio.Event()

    @property
    def shown_acts(self) -> frozenset[ActKind]:
        """The acts of people that the target can show; none of a format that does not know acts."""
        return getattr(self.target, "shown_acts", frozenset())

    @property
    def pause(self) -> Pause | None:
        """Why it sends nothing just now, and until when; None while it sends."""
        now, until = self._clock(), self.health.is_paused_until
        if self._breaker.reason is not None:
            return Pause(self._breaker.reason, now + timedelta(seconds=self._breaker.seconds_left))
        return None if until is None or until <= now else Pause("the target asked to wait", until)

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled; deliveries that are left then are settled or go back to the outbox."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_leasing())
                tasks.create_task(self._keep_settling())
                for _ in range(SENDS_AT_ONCE):
                    tasks.create_task(self._keep_sending())
        finally:
            await asyncio.shield(self._hand_back())

    # --- Leasing ------------------------------------------------------------------------------------------------------

    async def _keep_leasing(self) -> None:
        while True:
            self._wake.clear()
            try:
                may_have_more = await self._lease()
            except AlertHistoryError as error:
                _log.warning("outbox_unavailable", target=self._name, reason=str(error))
                may_have_more = False
            if not may_have_more:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()

    async def _lease(self) -> bool:
        """Lease deliveries while there is room; whether there may be more, and room for them."""
        if not self._room():
            return False
        messages, self._unfinished = self._unfinished, []
        may_have_more = True
        loop = asyncio.get_running_loop()
        gathered_at = loop.time() + _GATHER_SECONDS
        try:
            may_have_more = await self._lease_into(messages)
            # A group is one message: none of it is sent before all of it is here.
            while self.target.speaks_of_groups and may_have_more and self._room() and loop.time() <= gathered_at:
                may_have_more = await self._lease_into(messages)
        finally:
            # Its turn comes after the others, and then there is room again, unless it takes all of that itself.
            if may_have_more and len(messages) > 1 and self._may_grow(messages[-1]):
                self._unfinished = [messages.pop()]
            for message in messages:
                self._messages.put_nowait(message)
        return may_have_more and self._room() > 0

    async def _lease_into(self, messages: list[Waiting]) -> bool:
        """Lease some deliveries, and add the messages that they begin; whether there may be more."""
        room = self._room()
        async with self._turns.turn(self._spec.priority):
            asked = Asked(self._clock(), monotonic())  # before the outbox begins the lease
            leased, superseded = await self._take(room)
        for _ in range(superseded):
            self._switchboard.say(AttemptEnded(self._name, "superseded", None, None))
        further = self._in_messages(self._wanted(leased), asked)
        self._unsent += len(further)
        messages += further
        return len(leased) + superseded >= room

    async def _take(self, room: int) -> tuple[list[Leased], int]:
        """Lease, and hold the deliveries even if this worker is stopped meanwhile: the store goes on without it."""

        async def take() -> tuple[list[Leased], int]:
            leased, superseded = await self._outbox.lease(self._name, now=self._clock(), limit=room, lease_for=LEASE)
            self._deliveries.update((delivery.id, delivery) for delivery in leased)
            return leased, superseded

        self._taking = asyncio.create_task(take())
        return await asyncio.shield(self._taking)

    def _room(self) -> int:
        """How many messages to begin: none until half of those that may wait are sent, so that they come in batches."""
        if self.health.is_paused_until is not None and self._clock() < self.health.is_paused_until:
            return 0
        if self._unsent > self._batch // 2 or len(self._deliveries) > self._max_deliveries:
            return 0
        return self._batch - self._unsent

    def _may_grow(self, message: Waiting) -> bool:
        return self.target.speaks_of_groups and len(message.leased) < self._max_deliveries

    def _wanted(self, leased: Sequence[Leased]) -> list[Leased]:
        """The deliveries that the target wants, now that they are classified; others are settled with the reason."""
        wanted = []
        for delivery in leased:
            reason = reason_to_hide(delivery.alert, shown_acts=self.shown_acts)
            reason = reason or reason_to_withhold(self._spec, delivery)
            if reason is None:
                wanted.append(delivery)
            else:
                attempt = Attempt(self._clock(), "withheld", reason, 0)
                self._settle(delivery, Settlement(delivery.id, "superseded", attempt))
                self._switchboard.say(AttemptEnded(self._name, "superseded", None, None))
        return wanted

    def _in_messages(self, leased: Sequence[Leased], asked: Asked) -> list[Waiting]:
        """The new messages for these deliveries: one a group where the target speaks of groups, else one a delivery.

        Alertmanager's group is what one receipt has of it; a group of the routes is all of it that is due. An act of a
        person is a message of its own.
        """
        is_alone = [is_act(delivery.alert.event) or not self.target.speaks_of_groups for delivery in leased]
        begun = [Waiting(None, [delivery], asked) for delivery, alone in zip(leased, is_alone, strict=True) if alone]
        for ungrouped in (delivery for delivery, alone in zip(leased, is_alone, strict=True) if not alone):
            key, delivery = self._grouped(ungrouped)
            if (message := self._groups.get(key)) is None:
                message = self._groups[key] = Waiting(key, [], asked)
                begun.append(message)
            message.leased.append(delivery)
        return begun

    def _grouped(self, delivery: Leased) -> tuple[GroupKey, Leased]:
        alert = self._regroup(self._spec, delivery.alert)
        if alert is None:
            return (delivery.alert.group_key, delivery.alert.receiver, delivery.created_at), delivery
        return (alert.group_key, alert.receiver, None), msgspec.structs.replace(delivery, alert=alert)

    def _close(self, message: Waiting) -> list[Leased]:
        """Close a message; its deliveries, in an order that gives the same alerts the same key again."""
        if message.key is not None:
            del self._groups[message.key]
        return sorted(message.leased, key=lambda delivery: delivery.id)

    # --- Sending ------------------------------------------------------------------------------------------------------

    async def _keep_sending(self) -> None:
        while True:
            message = await self._messages.get()
            await self._deliver(message)

    async def _deliver(self, message: Waiting) -> None:
        async with self._limiter:
            await self._wait_for_turn(message)
            leased = self._close(message)
            self._unsent -= 1
            if self._unsent <= self._batch // 2:
                self._wake.set()
            if self._is_put_off(leased, message.asked):
                return
            begin = perf_counter()
            result = await self._attempt(Message(leased[0].id, tuple(delivery.alert for delivery in leased)))
            seconds = perf_counter() - begin
        now = self._clock()
        self._note(result, now=now)
        due_at = _retry_at(leased, result, now=now)
        for delivery in leased:
            settlement = _settlement(delivery, result, now=now, milliseconds=round(seconds * 1000), due_at=due_at)
            self._settle(delivery, settlement)
            status = {"delivered": "success", "dead": "dead", "pending": "failure"}[settlement.state]
            news = None if is_act(delivery.alert.event) else delivery.alert
            self._switchboard.say(AttemptEnded(self._name, status, seconds, news))

    async def _wait_for_turn(self, message: Waiting) -> None:
        """Wait until the rate that all replicas share allows the message, or its lease ends."""
        if self._turn_every is None:
            return
        while not self._is_late(message.asked):
            try:
                wait = await self._outbox.reserve(
                    self._name, every=self._turn_every, burst=self._turns_at_once, within=_TURN_WITHIN
                )
            except AlertHistoryError:
                return  # the rate of this process holds all the same
            if wait is not None:
                await asyncio.sleep(wait.total_seconds())
                return
            await asyncio.sleep(random.uniform(0, _TURN_WITHIN.total_seconds()))  # noqa: S311  # jitter

    def _is_late(self, asked: Asked) -> bool:
        """Whether the lease might end before an answer. Of two clocks the one counts that more time has passed by."""
        passed = max(self._clock() - asked.at, timedelta(seconds=monotonic() - asked.seconds))
        return passed + timedelta(seconds=_SEND_SECONDS) > LEASE

    def _is_put_off(self, leased: Sequence[Leased], asked: Asked) -> bool:
        """Give back deliveries that must wait: the target asked for time, or the lease might end before the answer."""
        now, until = self._clock(), self.health.is_paused_until
        if until is not None and now < until:
            due_at, reason = until, "the target asked to wait"
        elif self._is_late(asked):
            due_at, reason = None, "it waited for its turn as long as it was ours"
        else:
            return False
        for delivery in leased:
            attempt = Attempt(now, "handed_back", reason, 0)
            self._settle(delivery, Settlement(delivery.id, "pending", attempt, due_at=due_at or _due_at_once(delivery)))
        return True

    async def _attempt(self, message: Message) -> Sent | Retryable | Rejected:
        if self.health.gone is not None:
            return Rejected(f"the target wants no more messages: {self.health.gone}", is_gone=True)
        if self._breaker.reason is not None:
            return Retryable(_BREAKER_REASON, after_seconds=_BREAKER_SECONDS)
        result = await self._send(message)
        if self._breaker.reason is None:  # it may have opened meanwhile; then only later attempts count
            self._weigh(result)
        return result

    async def _send(self, message: Message) -> Sent | Retryable | Rejected:
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                return await self.target.send(message)
        except TimeoutError:
            return Retryable(f"no answer within {_SEND_SECONDS:.0f} s")
        except (Retryable, Rejected) as error:
            return error
        except Exception as error:  # noqa: BLE001  # a target's bug must not end its worker
            _log.exception("target_failed", target=self._name)
            return Retryable(f"unexpected {type(error).__name__}")

    def _weigh(self, result: Sent | Retryable | Rejected) -> None:
        """Tell the breaker the result. A target that rejects a message is there; `health` has when to come back."""
        if isinstance(result, Retryable):
            self._breaker.failed(_BREAKER_REASON, after_seconds=None)
        else:
            self._breaker.succeeded()

    def _note(self, result: Sent | Exception, *, now: datetime) -> None:
        health = self.health
        if isinstance(result, Sent):
            health.succeeded += 1
            health.last_success_at = now
            health.consecutive_failures = 0
            return
        health.failed += 1
        health.consecutive_failures += 1
        health.last_failure = str(result)
        health.last_failure_at = now
        if isinstance(result, Rejected) and result.is_gone and health.gone is None:
            health.gone = str(result)
            _log.warning("target_gone", target=self._name, reason=health.gone)
        if isinstance(result, Retryable) and result.after_seconds is not None:
            until = now + timedelta(seconds=min(result.after_seconds, _LONGEST_PAUSE_SECONDS))
            health.is_paused_until = max(until, health.is_paused_until or until)

    # --- Settling -----------------------------------------------------------------------------------------------------

    def _settle(self, delivery: Leased, settlement: Settlement) -> None:
        """Have the end of a delivery stored, together with others that have ended by then."""
        self._settlements.append((delivery, settlement))
        self._has_settlements.set()

    async def _keep_settling(self) -> None:
        while True:
            await self._has_settlements.wait()
            self._has_settlements.clear()
            try:
                await self._settle_all()
            except AlertHistoryError as error:
                _log.warning("outbox_unavailable", target=self._name, reason=str(error))
                await asyncio.sleep(_POLL_SECONDS)
                self._has_settlements.set()

    async def _settle_all(self) -> None:
        settled = list(self._settlements)  # they stay until they are stored, also where this is cancelled
        await self._outbox.settle(settled)
        del self._settlements[: len(settled)]
        for delivery, _ in settled:
            self._deliveries.pop(delivery.id, None)
        self._wake.set()  # the next delivery of an alert may have waited for this

    async def _hand_back(self) -> None:
        """Store the ends of deliveries that were tried; those that were not tried go back at once."""
        if self._taking is not None:
            await asyncio.gather(self._taking, return_exceptions=True)
        tried = {settlement.id for _, settlement in self._settlements}
        handed_back = Attempt(self._clock(), "handed_back", "the worker was stopped", 0)
        untried = [
            (delivery, Settlement(delivery.id, "pending", handed_back, due_at=_due_at_once(delivery)))
            for delivery in self._deliveries.values()
            if delivery.id not in tried
        ]
        if self._settlements or untried:
            await self._outbox.settle([*self._settlements, *untried])


def _due_at_once(delivery: Leased) -> datetime:
    """A time at which a delivery that was due is due for other replicas, too, also where our clock is ahead."""
    return delivery.created_at


def _limiter(rate_per_minute: float) -> AsyncLimiter:
    """No burst above a second's worth (or a single message, where the rate is below one a second)."""
    a_second = rate_per_minute / 60
    return AsyncLimiter(max(a_second, 1), max(1.0, 1 / a_second))


def _retry_at(leased: Sequence[Leased], result: Sent | Exception, *, now: datetime) -> datetime:
    """When to try again: all of a message at one time, so that it is one message again."""
    after = result.after_seconds if isinstance(result, Retryable) else None
    attempt = max(delivery.attempt for delivery in leased)
    return retry_at(now, attempt=attempt, randomness=random.random(), at_least=after)  # noqa: S311  # jitter


def _settlement(
    delivery: Leased, result: Sent | Exception, *, now: datetime, milliseconds: int, due_at: datetime
) -> Settlement:
    if isinstance(result, Sent):
        attempt = Attempt(now, "delivered", "", milliseconds)
        return Settlement(delivery.id, "delivered", attempt, external_id=result.external_id)
    if isinstance(result, Rejected) or is_given_up(now, created_at=delivery.created_at, attempt=delivery.attempt):
        return Settlement(delivery.id, "dead", Attempt(now, "dead", str(result), milliseconds))
    return Settlement(delivery.id, "pending", Attempt(now, "retried", str(result), milliseconds), due_at=due_at)
