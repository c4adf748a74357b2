"""Interruptions: how often a person was called, and whether that person slept, was off or was at work.

Whether an hour is one of sleep is a matter of the clock in a zone, so summer time moves with it. Must not ask a clock.
The parts of a day are those of PagerDuty's analytics.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from typing import Literal

import msgspec

DayPart = Literal["asleep", "off_hours", "work"]

_MINUTE_SECONDS = 60


class Hours(msgspec.Struct, frozen=True):
    """Which hours of a wall clock in `zone` are for sleep and which for work; all other hours are off hours.

    Sleep goes over midnight on every day, from `sleep_begin` until before `sleep_end`; both are hours of the day.
    Work is on `work_days` only, where Monday is 0. Sleep goes before work.
    """

    zone: tzinfo = UTC
    sleep_begin: int = 22
    sleep_end: int = 8
    work_begin: int = 8
    work_end: int = 18
    work_days: frozenset[int] = frozenset(range(5))

    def part(self, at: datetime) -> DayPart:
        """What a person in the zone does at that time."""
        local = at.astimezone(self.zone)
        if local.hour >= self.sleep_begin or local.hour < self.sleep_end:
            return "asleep"
        if local.weekday() in self.work_days and self.work_begin <= local.hour < self.work_end:
            return "work"
        return "off_hours"


class Interruptions(msgspec.Struct, frozen=True, gc=False):
    """How many interruptions there were in each part of the day.

    Those of two rules don't add up to the interruptions by both, because what comes in one minute counts once.
    """

    asleep: int = 0
    off_hours: int = 0
    work: int = 0

    @property
    def total(self) -> int:
        """All interruptions."""
        return self.asleep + self.off_hours + self.work


def count_interruptions(times: Iterable[datetime], hours: Hours) -> Interruptions:
    """Count the minutes in which a person was called; `times` are those of notifications, in any order.

    What comes within the same minute is one interruption: a person looks once.
    """
    minutes = {int(time.timestamp()) // _MINUTE_SECONDS for time in times}
    parts = [hours.part(datetime.fromtimestamp(minute * _MINUTE_SECONDS, UTC)) for minute in minutes]
    return Interruptions(parts.count("asleep"), parts.count("off_hours"), parts.count("work"))
