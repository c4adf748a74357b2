"""The span of a night: which hours the report of a night is about, by the clock on the wall of a time zone.

The night of a date begins in the evening of this date, at 20:00, and ends the next morning, at 08:00: two shifts of
twelve hours. Where the clocks change in between, a night has eleven or thirteen hours. Must not ask a clock.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

import msgspec

from alert_history.errors import InvalidQuery

EVENING = time(20)
MORNING = time(8)
LONGEST = timedelta(days=7)
"""The longest span that a caller may name: a long weekend, and more."""

_DAY = timedelta(days=1)
_EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)
_NIGHT = ((timedelta(), EVENING), (_DAY, MORNING), (_DAY, EVENING))


class NightSpan(msgspec.Struct, frozen=True):
    """A night: `since` ≤ t < `until`, aware UTC. `evening` is the date on which it begins, by the clock of `zone`.

    `next_night_at` is when the next night begins: a silence that ends before ends while the night is handed over.
    """

    evening: date
    zone: tzinfo
    since: datetime
    until: datetime
    next_night_at: datetime


def last_night(now: datetime, zone: tzinfo) -> date:
    """The date of the night that ends, or ended, on the morning of today."""
    return now.astimezone(zone).date() - _DAY


def running_night(now: datetime, zone: tzinfo) -> date | None:
    """The date of the night that goes on; None by day."""
    yesterday = last_night(now, zone)
    for evening in (yesterday, yesterday + _DAY):
        span = night_of(evening, zone)
        if span.since <= now < span.until:
            return evening
    return None


def finished_night(now: datetime, zone: tzinfo) -> date:
    """The date of the newest night that is over."""
    yesterday = last_night(now, zone)
    return yesterday if night_of(yesterday, zone).until <= now else yesterday - _DAY


def night_of(evening: date, zone: tzinfo) -> NightSpan:
    """The night that begins in the evening of this date. Raises InvalidQuery at the edge of the calendar."""
    try:
        since, until, next_at = (_at(evening + day, clock, zone) for day, clock in _NIGHT)
    except OverflowError:
        raise InvalidQuery(f"date: {evening} is at the edge of the calendar") from None
    return _checked(NightSpan(evening, zone, since, until, next_at))


def night_between(since: datetime, until: datetime, zone: tzinfo) -> NightSpan:
    """A span that a caller names instead. Raises InvalidQuery for an empty or a long one."""
    if not since < until:
        raise InvalidQuery("until: it is not after since")
    if until - since > LONGEST:
        raise InvalidQuery(f"since: more than {LONGEST.days} days before until; a report of a night has no room for it")
    try:
        morning = until.astimezone(zone).date()
        evenings = (_at(morning + n * _DAY, EVENING, zone) for n in range(2))
        next_at = next(at for at in evenings if at > until)
        span = NightSpan(since.astimezone(zone).date(), zone, since, until, next_at)
    except OverflowError:
        raise InvalidQuery("since, until: they are at the edge of the calendar") from None
    return _checked(span)


def _checked(span: NightSpan) -> NightSpan:
    """A span that leaves room to look back. Raises InvalidQuery for one before 1971."""
    if span.since < _EARLIEST:
        raise InvalidQuery(f"{span.evening} is at the edge of the calendar")
    return span


def _at(day: date, clock: time, zone: tzinfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)
