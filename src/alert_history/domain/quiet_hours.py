"""Quiet hours: when a route keeps quiet, until when, and what becomes of the news meanwhile.

Times are those of a wall clock in a time zone, so that 07:00 is 07:00 in summer and in winter. Holds the reckoning;
how it is written in a file is the matter of `discovery.routes_document`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Literal

import msgspec

from alert_history.domain.calendar import instant
from alert_history.domain.occurrence import ENDINGS, EventKind
from alert_history.domain.query import Query

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60

_DAY = timedelta(days=1)
_LONGEST = timedelta(days=8)  # what is quiet for longer than a week is quiet for ever


class Period(msgspec.Struct, frozen=True):
    """One stretch of quiet, aware UTC: from `begin` until before `end`."""

    begin: datetime
    end: datetime


class QuietHours(msgspec.Struct, frozen=True):
    """Quiet on these `days` (Monday is 0) from one minute of the day to another; past midnight if that is no later.

    A period belongs to the day on which it begins. Targets are notified of alerts that `unless` matches all the same.
    """

    days: frozenset[int]
    begin_minute: int
    end_minute: int
    zone: tzinfo
    zone_name: str
    then: Literal["hold", "drop"] = "hold"
    unless: Query | None = None
    unless_text: str = ""

    def __str__(self) -> str:
        """As a reason tells it: `mon-fri 22:00-07:00 Europe/Berlin`."""
        return f"{_days_text(self.days)} {_clock(self.begin_minute)}-{_clock(self.end_minute)} {self.zone_name}"

    def is_meant(self, labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
        """Whether such an alert has to wait."""
        return self.unless is None or not self.unless.matches(labels, annotations)

    def period(self, at: datetime) -> Period | None:
        """The period that this moment is in."""
        return next((period for period in self._near(at) if period.begin <= at < period.end), None)

    def _near(self, at: datetime) -> Iterator[Period]:
        """Those that began today or yesterday, by this zone's calendar."""
        today = datetime.combine(at.astimezone(self.zone).date(), time())
        for day in (today - _DAY, today):
            if day.weekday() in self.days:
                yield _period(day, self.begin_minute, self.end_minute, self.zone)


@lru_cache(maxsize=1024)  # every alert of a day asks for the same two
def _period(day: datetime, begin_minute: int, end_minute: int, zone: tzinfo) -> Period:
    last = day if end_minute > begin_minute else day + _DAY
    begin, end = day + timedelta(minutes=begin_minute), last + timedelta(minutes=end_minute)
    return Period(instant(begin, zone), instant(end, zone))


class Quiet(msgspec.Struct, frozen=True):
    """What quiet hours do to news: hold the news until `due_at`, or drop the news where that is None."""

    hours: QuietHours
    due_at: datetime | None


def quieten(hours: Sequence[QuietHours], *, event: EventKind, at: datetime, starts_at: datetime) -> Quiet | None:
    """What quiet hours, which all apply, do to news that came `at`; None if targets may be notified at once.

    One of the hours that drops is enough to drop the news. But the end of an alert that began before the quiet is held,
    because a target that was notified of its start would wait for its end for ever.
    """
    now = [(each, period) for each in hours if (period := each.period(at)) is not None]
    if not now:
        return None
    for each, period in now:
        if each.then == "drop" and (event not in ENDINGS or starts_at >= period.begin):
            return Quiet(each, None)
    return Quiet(now[0][0], end_of_quiet(hours, at) or at + _LONGEST)


def end_of_quiet(hours: Sequence[QuietHours], at: datetime) -> datetime | None:
    """The first moment from then on at which none of them is in force; None if there is none within a week."""
    moment = at
    while moment - at < _LONGEST:
        ends = [period.end for each in hours if (period := each.period(moment)) is not None]
        if not ends:
            return moment
        moment = max(ends)
    return None


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _days_text(days: frozenset[int]) -> str:
    """`mon-fri`, `sat,sun`, `mon,wed-fri`; every day is `daily`."""
    if len(days) == len(DAYS):
        return "daily"
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}" for run in runs)
