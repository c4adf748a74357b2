"""Activity of a rule: in which minutes its alerts began, and for how long at least one of them fired.

What fires at a time is reckoned backwards from what fires now. Both come from the maps of tallies, whose days and
quarters of an hour are UTC, numbered since 1970. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

import msgspec

from alert_history.domain.calendar import WakingHours, day_parts, hours_of_minutes
from alert_history.domain.interruptions import Hours, Interruptions
from alert_history.domain.tally import DAY_US, MINUTE_US, QUARTER_US, SECOND_US

_MINUTES_A_DAY = DAY_US // MINUTE_US
_QUARTERS_A_DAY = DAY_US // QUARTER_US
_EPOCH = date(1970, 1, 1)
_PARTS = ("asleep", "off_hours", "work")

DayParts = Mapping[int, bytes]
"""For each day the part of the day that each of its 1440 minutes is in, by its place in `asleep, off_hours, work`."""


class Activity(msgspec.Struct, frozen=True, gc=False):
    """One rule: how many of its alerts fire now, and the `minutes` and `moves` of its tallies by their days."""

    firing: int
    minutes: Mapping[int, Mapping[int, int]]
    moves: Mapping[int, Mapping[int, tuple[int, int]]]


def parts_of_days(days: Iterable[int], hours: Hours) -> dict[int, bytes]:
    """In which part of the day the minutes of these days are, by the clocks of a place."""
    waking = WakingHours(
        asleep_from=hours.sleep_begin,
        asleep_until=hours.sleep_end,
        work_from=hours.work_begin,
        work_until=hours.work_end,
        work_days=tuple(sorted(hours.work_days)),
    )
    parts = bytes(_PARTS.index(part) for part in day_parts(waking)).ljust(256, b"\0")
    return {
        day: hours_of_minutes(_EPOCH + timedelta(days=day), hours.zone).translate(parts) for day in dict.fromkeys(days)
    }


def interruptions_of(activity: Activity, parts: DayParts) -> Interruptions:
    """The minutes in which an alert of the rule began, by the part of the day, on the days that are given."""
    counts = [0, 0, 0]
    for day, of_day in parts.items():
        begun = bytes(map(of_day.__getitem__, activity.minutes.get(day, ())))
        for part in range(len(_PARTS)):
            counts[part] += begun.count(part)
    return Interruptions(*counts)


def last_begun(minutes: Mapping[int, Mapping[int, int]], *, until: datetime) -> datetime | None:
    """The last of the minutes before `until` in which alerts began, which are by their days; None of none."""
    end = int(until.timestamp()) // 60
    before = (
        day * _MINUTES_A_DAY + max(earlier)
        for day, of_day in minutes.items()
        if (earlier := [minute for minute in of_day if day * _MINUTES_A_DAY + minute <= end])
    )
    last = max(before, default=None)
    return None if last is None else datetime.fromtimestamp(last * 60, UTC)


def most_firing_seconds(activity: Activity, *, since_us: int, until_us: int) -> float:
    """For how long at least one alert of the rule fired, at most; both times begin a quarter, or are the present.

    In a quarter of an hour it is never more than the quarter, or than all its alerts fired together in it.
    """
    first, end = since_us // QUARTER_US, -(-until_us // QUARTER_US)
    moves = [move for move in _moves(activity) if move[0] >= first]
    firing = activity.firing - sum(more for _, more, _ in moves)
    seen, lasted_us = first, 0
    for quarter, more, left_us in moves:
        if quarter >= end:
            break
        if firing > 0:
            lasted_us += (quarter - seen) * QUARTER_US
        in_quarter_us = firing * QUARTER_US + left_us
        if in_quarter_us > 0:
            lasted_us += min(QUARTER_US, in_quarter_us)
        firing += more
        seen = quarter + 1
    if firing > 0:
        lasted_us += (end - seen) * QUARTER_US
    return min(lasted_us, until_us - since_us) / SECOND_US


def _moves(activity: Activity) -> Iterator[tuple[int, int, int]]:
    """The moves in the order of time: the quarter, how many more fired after it, and the microseconds left."""
    for day, of_day in sorted(activity.moves.items()):
        first = day * _QUARTERS_A_DAY
        for quarter, (more, left_us) in sorted(of_day.items()):
            yield first + quarter, more, left_us
