"""The background job of the numbers: what it asks of a store, and when.

Holds: `engine.rollups`.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from alert_history.engine.rollups import keep_rollups
from alert_history.errors import Busy, StorageUnavailable
from alert_history.ports import Difference, RollupSize

pytestmark = pytest.mark.timeout(20)

NOW = datetime(2026, 3, 4, 0, 30, tzinfo=UTC)
RETENTION = timedelta(days=10)


class Numbers:
    """What a store is asked, and when each job has had its turn."""

    share = 1.0

    def __init__(self, *, waiting: int = 0, is_counted: bool = True, fault: Exception | None = None) -> None:
        self.waiting = waiting
        self.forgot: list[date] = []
        self.counts = 0
        self.is_all_added_up, self.is_forgotten, self.is_asked = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.is_sealed = asyncio.Event()
        self._is_counted = is_counted
        self._fault = fault

    async def fold(self) -> int:
        added = min(self.waiting, 200)
        self.waiting -= added
        if not added:
            self.is_all_added_up.set()
        return added

    async def seal(self) -> int:
        self.is_sealed.set()
        return 0

    async def is_counted(self) -> bool:
        if self._is_counted:
            self.is_asked.set()
        return self._is_counted

    async def count_anew(self, *, progress: Callable[[int], None]) -> int:
        progress(7)
        self.counts += 1
        self.is_asked.set()
        if self._fault is not None:
            raise self._fault
        return 7

    async def size(self) -> RollupSize:
        raise AssertionError("no job asks for it")

    async def log_length(self) -> int:
        raise AssertionError("no job asks for it")

    async def differences(self, day: date) -> Sequence[Difference]:
        raise AssertionError(day)

    async def forget(self, before: date) -> int:
        self.forgot.append(before)
        self.is_forgotten.set()
        return 1


async def run_once(numbers: Numbers) -> None:
    """Run the jobs until each has had its turn."""
    task = asyncio.create_task(keep_rollups(numbers, retention=RETENTION, clock=lambda: NOW))
    for event in (numbers.is_all_added_up, numbers.is_sealed, numbers.is_forgotten, numbers.is_asked):
        await event.wait()
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_all_that_waits_is_added_up_step_by_step() -> None:
    numbers = Numbers(waiting=450)
    await run_once(numbers)
    assert numbers.waiting == 0


async def test_numbers_of_days_past_their_retention_are_forgotten() -> None:
    numbers = Numbers()
    await run_once(numbers)
    assert numbers.forgot == [date(2026, 2, 22)]


@pytest.mark.parametrize("is_counted, counts", [(True, 0), (False, 1)])
async def test_history_is_counted_once(is_counted: bool, counts: int) -> None:  # noqa: FBT001  # a case
    numbers = Numbers(is_counted=is_counted)
    await run_once(numbers)
    assert numbers.counts == counts


@pytest.mark.parametrize("fault", [Busy("another counts"), StorageUnavailable("away")])
async def test_count_that_fails_ends_no_job(fault: Exception) -> None:
    numbers = Numbers(is_counted=False, fault=fault)
    await run_once(numbers)
    assert numbers.counts == 1
