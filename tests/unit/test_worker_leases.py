"""A worker sends nothing whose lease may be over, whatever became of its own clocks while it waited."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from alert_history.domain.delivery import Leased, Settlement
from alert_history.domain.target import Message, Outgoing, Sent, TargetSpec
from alert_history.engine import worker
from alert_history.engine.switchboard import Switchboard
from alert_history.engine.turns import Turns
from alert_history.engine.worker import TargetWorker

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
ALERT = Outgoing("id", "0" * 16, "firing", "fired", {"alertname": "DiskFull"}, {}, NOW, None, NOW)


class Machine:
    """The two clocks of a process, and an outbox whose only delivery comes after a while; also its target."""

    takes_follow_ups = False
    speaks_of_groups = False
    default_rate_per_minute = 60_000.0

    def __init__(self, *, set_by: timedelta, passed: timedelta, database_is_ahead: timedelta) -> None:
        self.now, self.seconds = NOW, 1000.0
        self.messages: list[Message] = []
        self.settled: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        self._set_by, self._passed, self._database_is_ahead = set_by, passed, database_is_ahead
        self._has_work = True

    async def lease(self, target: str, *, now: datetime, limit: int, lease_for: timedelta) -> tuple[list[Leased], int]:
        if not self._has_work or limit < 1:
            return [], 0
        self._has_work = False
        self.now += self._set_by
        self.seconds += self._passed.total_seconds()
        return [Leased("1", target, 1, NOW, now + self._database_is_ahead + lease_for, ALERT)], 0

    async def reserve(self, target: str, *, every: timedelta, burst: int, within: timedelta) -> timedelta | None:
        raise AssertionError(target, every, burst, within)  # the rate is too high to be shared

    async def settle(self, settlements: Sequence[tuple[Leased, Settlement]]) -> None:
        if not self.settled.done():
            self.settled.set_result(settlements[0][1])

    async def send(self, message: Message) -> Sent:
        self.messages.append(message)
        return Sent()

    def url_shown(self) -> str:
        return "test://"


async def _outcome(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> str:
    """What became of the delivery: the worker, which has these clocks, made or handed back it."""
    monkeypatch.setattr(worker, "monotonic", lambda: machine.seconds)
    made = TargetWorker(
        TargetSpec("one", "test", {}),
        machine,
        outbox=machine,
        clock=lambda: machine.now,
        switchboard=Switchboard(),
        turns=Turns(),
        regroup=lambda _spec, _alert: None,
    )
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(10):
        settlement = await machine.settled
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(machine.messages) == (settlement.state == "delivered")
    return settlement.attempt.outcome


@pytest.mark.parametrize("ahead", [timedelta(), 60 * SECOND, -60 * SECOND, 3 * HOUR, -3 * HOUR], ids=str)
async def test_a_worker_sends_whatever_the_clock_of_the_database_says(
    monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    machine = Machine(set_by=SECOND, passed=SECOND, database_is_ahead=ahead)
    assert await _outcome(machine, monkeypatch) == "delivered"


@pytest.mark.parametrize("ahead", [timedelta(), 3 * HOUR, -3 * HOUR], ids=str)
@pytest.mark.parametrize(
    "set_by,passed",
    [(20 * SECOND, 20 * SECOND), (-HOUR, 20 * SECOND), (20 * SECOND, timedelta())],
    ids=["it waited", "it waited, and its clock was set back", "the machine slept"],
)
async def test_a_worker_hands_back_what_it_has_had_for_too_long(
    monkeypatch: pytest.MonkeyPatch, set_by: timedelta, passed: timedelta, ahead: timedelta
) -> None:
    machine = Machine(set_by=set_by, passed=passed, database_is_ahead=ahead)
    assert await _outcome(machine, monkeypatch) == "handed_back"
