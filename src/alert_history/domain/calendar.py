"""The calendar of a place: days, hours and steps by the clocks of a time zone, right on the days when they are changed.

Holds what the analysis asks of it: the buckets of a series, the hour of the week of a moment, how much time each such
hour had in a span, and whether people sleep or work in it. Times that come in and go out are aware UTC.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from alert_history.errors import InvalidQuery

HOURS_A_WEEK = 7 * 24
MOST_POINTS = 200
"""`series_step` makes no more points than that of a span, up to 200 years."""
MOST_BUCKETS = 2_000
"""`buckets` refuses to make more."""

_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_MINUTES_A_DAY = 24 * 60
_HOUR_SECONDS = 3600
_MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001  # what clocks on the wall show
"""Steps are counted from here, so that weeks begin on Mondays."""
_ZONE = re.compile(r"(?!posix/|right/|posixrules$|localtime$)[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*", re.ASCII)
"""Not what a machine calls its own time, nor the copies that count leap seconds."""
_SHOWN_CHARACTERS = 80

STEPS = {
    "1m": _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "1h": _HOUR,
    "6h": 6 * _HOUR,
    "1d": _DAY,
    "1w": 7 * _DAY,
    "4w": 28 * _DAY,
    "52w": 364 * _DAY,
}
"""The steps of a series by their names, ascending; each is a multiple of those before it."""

DayPart = Literal["asleep", "work", "off_hours"]
_Hour = Annotated[int, Meta(ge=0, le=24)]


class Bucket(msgspec.Struct, frozen=True, gc=False):
    """A point of a series: from `begin` until before `end`. `is_whole` is False where the span cuts it."""

    begin: datetime
    end: datetime
    is_whole: bool


class HourRun(msgspec.Struct, frozen=True, gc=False):
    """Minutes of a UTC day, from `begin_minute` until before `end_minute`, that are in one local hour.

    `weekday` is that of the local day, Monday 0. An hour that clocks show twice is two runs.
    """

    begin_minute: int
    end_minute: int
    weekday: int
    hour: int


class WakingHours(msgspec.Struct, frozen=True, kw_only=True):
    """When people sleep and work: whole local hours, each from one until before the other, over midnight if need be.

    `work_days` are weekdays, Monday 0. Who sleeps does not work.
    """

    asleep_from: _Hour = 22
    asleep_until: _Hour = 8
    work_from: _Hour = 9
    work_until: _Hour = 18
    work_days: tuple[int, ...] = (0, 1, 2, 3, 4)


def zone(name: str) -> tzinfo:
    """The time zone of an IANA name. Raises: InvalidQuery that names it, and what a name looks like."""
    if name == "UTC":
        return UTC  # without a file that says what that is
    with suppress(KeyError, OSError, ValueError):  # no such zone; or a folder of zones
        if _ZONE.fullmatch(name):
            return ZoneInfo(name)
    shown = name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…"
    raise InvalidQuery(f"{shown!r} is no time zone known here; give an IANA name such as Europe/Berlin, or UTC")


def parse_zone(name: str) -> tzinfo:
    """The time zone in the parameter `tz` of a request. Raises InvalidQuery naming the parameter."""
    try:
        return zone(name)
    except InvalidQuery as error:
        raise InvalidQuery(f"tz: {error}") from None


def series_step(span: timedelta) -> timedelta:
    """The shortest step of `STEPS` that makes a span at most 200 points, not counting one that is cut at either end."""
    return next((step for step in STEPS.values() if span <= MOST_POINTS * step), STEPS["52w"])


def buckets(since: datetime, until: datetime, *, step: timedelta, tz: tzinfo) -> list[Bucket]:
    """The points of a series, oldest first: together they are the span, from `since` until before `until`.

    They begin where clocks in the zone show a multiple of `step`, weeks on Mondays. So a day on which clocks are
    changed is 23 or 25 hours long, or as many points of an hour; one of its points of six hours has five or seven.
    Where clocks go back by half an hour, a point of an hour is an hour and a half.

    Raises: InvalidQuery if the step is none of `STEPS`, or makes more than 2000 points.
    """
    if step not in STEPS.values():
        raise InvalidQuery(f"there is no such step; there are {', '.join(STEPS)}")
    if until - since > MOST_BUCKETS * step:
        raise InvalidQuery(f"the span has more than {MOST_BUCKETS} points; choose a longer step, or a shorter span")
    if since >= until:
        return []
    try:
        edges = frozenset(_edges(since, until, step=step, tz=tz))
    except OverflowError:
        raise InvalidQuery("the span is at an end of the calendar, where a time zone has no clocks") from None
    cuts = [since, *sorted(edge for edge in edges if since < edge < until), until]
    return [Bucket(begin, end, begin in edges and end in edges) for begin, end in pairwise(cuts)]


def hour_of_week(at: datetime, tz: tzinfo) -> tuple[int, int]:
    """The weekday, Monday 0, and the hour that a clock in the zone shows."""
    local = at.astimezone(tz)
    return local.weekday(), local.hour


def hour_runs(day: date, tz: tzinfo) -> tuple[HourRun, ...]:
    """The local hours of a UTC day, in order, without a gap: its 1440 minutes in about 25 runs.

    A minute is in the hour in which it begins.
    """
    midnight = datetime.combine(day, time(), UTC)
    last_minute = midnight + _DAY - _MINUTE
    before, after = _offset_seconds(midnight, tz), _offset_seconds(last_minute, tz)
    runs = _steady_runs(day.weekday(), before)
    if before == after:
        return runs
    change = -((midnight - clock_change(midnight, last_minute, tz=tz)) // _MINUTE)
    return _cut(runs, 0, change) + _cut(_steady_runs(day.weekday(), after), change, _MINUTES_A_DAY)


def hours_of_minutes(day: date, tz: tzinfo) -> bytes:
    """The same as 1440 bytes: at the place of each minute of the UTC day, weekday × 24 + hour."""
    runs = hour_runs(day, tz)
    return b"".join(bytes([run.weekday * 24 + run.hour]) * (run.end_minute - run.begin_minute) for run in runs)


def exposure_hours(since: datetime, until: datetime, *, tz: tzinfo) -> tuple[float, ...]:
    """How much time each hour of the week had in the span: 168 numbers of hours, at weekday × 24 + hour.

    An hour that clocks skip has none on that day, one that they show twice has two. Together they are the span.
    """
    seconds = [0.0] * HOURS_A_WEEK
    day = since.astimezone(UTC).date()
    while (midnight := datetime.combine(day, time(), UTC)) < until:
        first = max((since - midnight).total_seconds(), 0.0)
        end = min((until - midnight).total_seconds(), _DAY.total_seconds())
        for run in hour_runs(day, tz):
            shared = min(run.end_minute * 60, end) - max(run.begin_minute * 60, first)
            if shared > 0:
                seconds[run.weekday * 24 + run.hour] += shared
        day += _DAY
    return tuple(each / _HOUR_SECONDS for each in seconds)


def day_part(weekday: int, hour: int, *, hours: WakingHours) -> DayPart:
    """What people do in that hour of the week."""
    if _is_between(hour, hours.asleep_from, hours.asleep_until):
        return "asleep"
    is_work = weekday in hours.work_days and _is_between(hour, hours.work_from, hours.work_until)
    return "work" if is_work else "off_hours"


def day_parts(hours: WakingHours) -> tuple[DayPart, ...]:
    """The same of all 168 hours, at weekday × 24 + hour."""
    return tuple(day_part(*divmod(number, 24), hours=hours) for number in range(HOURS_A_WEEK))


def instant(wall: datetime, tz: tzinfo) -> datetime:
    """When a wall clock in that zone first shows this time, in UTC; a time that is skipped is when it is skipped.

    So periods that adjoin on the clock adjoin in time on the days when clocks are changed, too.
    """
    moment = wall.replace(tzinfo=tz, fold=0).astimezone(UTC)
    if moment.astimezone(tz).replace(tzinfo=None) == wall:
        return moment
    return clock_change(wall.replace(tzinfo=tz, fold=1).astimezone(UTC), moment, tz=tz)


def clock_change(before: datetime, after: datetime, *, tz: tzinfo) -> datetime:
    """When the clocks are changed between these two, to the second."""
    offset = before.astimezone(tz).utcoffset()
    while after - before > _SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(tz).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _edges(since: datetime, until: datetime, *, step: timedelta, tz: tzinfo) -> Iterator[datetime]:
    """Where points begin: from no later than the first of the span, ascending, until one is not before `until`."""
    if step <= _HOUR:
        edge = since - step
        while edge < until:
            edge = _next_edge(edge, step=step, tz=tz)
            yield edge
        return
    wall = _wall(since, tz)
    wall -= (wall - _MONDAY) % step
    edge = instant(wall, tz)
    yield edge
    while edge < until:
        wall += step
        edge = instant(wall, tz)  # that of a day that is skipped is the next one's, too
        yield edge


def _next_edge(at: datetime, *, step: timedelta, tz: tzinfo) -> datetime:
    """The next moment at which clocks show a multiple of the step, or are set to a time in another step."""
    after = at + step - (_wall(at, tz) - _MONDAY) % step
    if _offset_seconds(at, tz) == _offset_seconds(after, tz):
        return after
    change = clock_change(at, after, tz=tz)
    shown = _wall(change, tz) - _MONDAY
    last_shown = _wall(at, tz) + (change - at) - _MICROSECOND - _MONDAY
    if shown % step and shown // step == last_shown // step:
        return change + step - shown % step
    return change


def _wall(at: datetime, tz: tzinfo) -> datetime:
    return at.astimezone(tz).replace(tzinfo=None)


def _offset_seconds(at: datetime, tz: tzinfo) -> int:
    return int((at.astimezone(tz).utcoffset() or timedelta()).total_seconds())


@lru_cache(maxsize=1024)  # seven weekdays of a few offsets
def _steady_runs(weekday: int, offset_seconds: int) -> tuple[HourRun, ...]:
    """The local hours of a UTC day of that weekday on which clocks are not changed."""
    runs: list[HourRun] = []
    begin = 0
    while begin < _MINUTES_A_DAY:
        days, hour = divmod((begin * 60 + offset_seconds) // _HOUR_SECONDS, 24)
        next_hour_seconds = (days * 24 + hour + 1) * _HOUR_SECONDS - offset_seconds
        end = min(-(-next_hour_seconds // 60), _MINUTES_A_DAY)
        runs.append(HourRun(begin, end, (weekday + days) % 7, hour))
        begin = end
    return tuple(runs)


def _cut(runs: tuple[HourRun, ...], first: int, end: int) -> tuple[HourRun, ...]:
    """What of the runs is in these minutes."""
    return tuple(
        HourRun(max(run.begin_minute, first), min(run.end_minute, end), run.weekday, run.hour)
        for run in runs
        if run.begin_minute < end and run.end_minute > first
    )


def _is_between(hour: int, begin: int, end: int) -> bool:
    return begin <= hour < end if begin <= end else hour >= begin or hour < end
