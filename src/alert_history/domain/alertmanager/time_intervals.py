"""When time intervals hold, by the clocks of their zones, and which of them mute a route.

Source: `timeinterval` and the time stages of `notify` in prometheus/alertmanager.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo

from alert_history.domain.alertmanager.configuration import Route, TimeInterval
from alert_history.domain.calendar import clock_change, instant, zone

Intervals = Mapping[str, Sequence[TimeInterval]]
"""The sets of times of each name; one of them suffices."""

_DAY = timedelta(days=1)
_DECEMBER = 12


def contains(interval: TimeInterval, at: datetime) -> bool:
    """Whether the moment is in the interval. Raises: InvalidQuery where its zone is not known here."""
    tz = _zone(interval)
    local = at.astimezone(tz)
    return (
        _is_within(local.hour * 60 + local.minute, ((first, end - 1) for first, end in interval.times))
        and _is_within(local.isoweekday() % 7, interval.weekdays)
        and _is_within(local.month, interval.months)
        and _is_within(local.year, interval.years)
        and (not interval.days_of_month or _is_day_of_month(local, interval.days_of_month, tz=tz))
    )


def muting(route: Route, intervals: Intervals, *, at: datetime) -> tuple[str, ...]:
    """The names of the intervals that mute the route at that moment; none where it is not muted.

    All of its active intervals, where it has some and is in none of them; else the mute intervals that it is in, one
    as often as sets of its times hold. Raises: InvalidQuery where a zone is not known here.
    """
    if route.active_time_intervals and not _holding(route.active_time_intervals, intervals, at=at):
        return route.active_time_intervals
    return _holding(route.mute_time_intervals, intervals, at=at)


def changes_after(route: Route, intervals: Intervals, *, at: datetime) -> datetime | None:
    """A moment before which the answer of `muting` stays; None where the route has no intervals.

    Whether it changes then is not sure: it is the next midnight, bound of times or change of clocks.
    """
    names = (*route.active_time_intervals, *route.mute_time_intervals)
    return min((_edge_after(each, at) for name in names for each in intervals.get(name, ())), default=None)


def _holding(names: Iterable[str], intervals: Intervals, *, at: datetime) -> tuple[str, ...]:
    return tuple(name for name in names for each in intervals.get(name, ()) if contains(each, at))


def _is_within(value: int, ranges: Iterable[tuple[int, int]]) -> bool:
    """Whether a range includes the value; without ranges everything is included."""
    has_ranges = False
    for first, last in ranges:
        if first <= value <= last:
            return True
        has_ranges = True
    return not has_ranges


def _is_day_of_month(local: datetime, ranges: Sequence[tuple[int, int]], *, tz: tzinfo) -> bool:
    """Negative days count from the end of the month, -1 is the last; a range may reach past the end."""
    days = _days_of_month(local, tz)
    for first, last in ranges:
        begin = days + first + 1 if first < 0 else first
        end = days + last + 1 if last < 0 else last
        if begin <= days and begin <= local.day <= min(end, days):
            return True
    return False


def _days_of_month(local: datetime, tz: tzinfo) -> int:
    """Alertmanager counts whole 24 hours: a month in which clocks go forward has a day less for it."""
    first = datetime(local.year, local.month, 1)  # noqa: DTZ001  # what a clock on the wall shows
    is_december = local.month == _DECEMBER
    following = first.replace(year=local.year + is_december, month=1 if is_december else local.month + 1)
    return (instant(following, tz) - instant(first, tz)) // _DAY


def _zone(interval: TimeInterval) -> tzinfo:
    return zone(interval.location or "UTC")


def _edge_after(interval: TimeInterval, at: datetime) -> datetime:
    tz = _zone(interval)
    edge = min(each for each in _edges(interval, at.astimezone(tz)) if each > at)
    is_shifted = edge.astimezone(tz).utcoffset() != at.astimezone(tz).utcoffset()
    return clock_change(at, edge, tz=tz) if is_shifted else edge


def _edges(interval: TimeInterval, local: datetime) -> Iterator[datetime]:
    """The bounds of its times on the day of `local`, and the midnight after: a time shown twice at both moments."""
    midnight = datetime.combine(local.date(), time())
    minutes = {minute for span in interval.times for minute in span} | {24 * 60}
    for wall in (midnight + timedelta(minutes=minute) for minute in minutes):
        for fold in (0, 1):
            yield wall.replace(tzinfo=local.tzinfo, fold=fold).astimezone(UTC)
