"""When the stories of the demo happen: on the same days of the week, whichever day it is now. Pure."""

from datetime import datetime, timedelta

import msgspec

DAYS = 90
"""How many whole days the history has, before the day that has begun."""

FLAPS_FROM, FLAPS_TO = 60, 46
"""The days between which the disk flaps, counted back from the day that has begun."""

_TUESDAY, _WEDNESDAY, _FRIDAY, _SUNDAY = 1, 2, 4, 6
_WEEK = 7


class Span(msgspec.Struct, frozen=True):
    """A span of time, from `begin` up to `end`."""

    begin: datetime
    end: datetime

    def holds(self, time: datetime) -> bool:
        """Whether the time lies in it."""
        return self.begin <= time < self.end


def midnight(time: datetime) -> datetime:
    """The midnight, UTC, at which the day of this time began."""
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def outage(today: datetime) -> Span:
    """The outage of the checkout database: a Tuesday afternoon five or six weeks before `today`, a midnight."""
    begin = _last(_TUESDAY, today, days_ago=36) + timedelta(hours=14, minutes=7)
    return Span(begin, begin + timedelta(minutes=110))


def partition(today: datetime) -> Span:
    """The partition of the network in America: a Sunday night one or two weeks before `today`."""
    begin = _last(_SUNDAY, today, days_ago=9) + timedelta(hours=3, minutes=18)
    return Span(begin, begin + timedelta(minutes=47))


def chat_failure(today: datetime) -> Span:
    """When the chat refused all messages: a Wednesday afternoon two or three weeks before `today`."""
    day = _last(_WEDNESDAY, today, days_ago=16)
    return Span(day + timedelta(hours=12, minutes=40), day + timedelta(hours=16, minutes=50))


def silence(today: datetime) -> Span:
    """The silence over the settlement: from a Friday afternoon to the Monday after, three or four weeks ago."""
    day = _last(_FRIDAY, today, days_ago=23)
    return Span(day + timedelta(hours=15, minutes=42), day + timedelta(days=3, hours=9))


def _last(weekday: int, today: datetime, *, days_ago: int) -> datetime:
    """The midnight of the last such day of the week that is at least so many days before `today`."""
    day = today - timedelta(days=days_ago)
    return day - timedelta(days=(day.weekday() - weekday) % _WEEK)
