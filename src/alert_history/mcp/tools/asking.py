"""What several tools take and do: ids, queries, times; an occurrence that was joined to another is followed."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

from msgspec import Meta

from alert_history.domain.times import parse_duration, parse_time
from alert_history.engine.analysis import Asked, asked
from alert_history.engine.history import Moved
from alert_history.errors import InvalidQuery
from alert_history.ports import HistoryFilter

T = TypeVar("T")

TIME = "RFC 3339 (2026-01-31T12:00:00Z), a date, unix seconds, or how long ago: -24h, -7d"

Id = Annotated[str, Meta(max_length=400, description="The id of an occurrence, as search_alerts shows it")]
Query = Annotated[
    str,
    Meta(
        max_length=8_000,
        description='Which alerts: Prometheus matchers, free words, or both: {severity=~"critical|warning",pod!=""} '
        "disk. Words are looked for in the values of labels and annotations. Empty: all",
    ),
]
Since = Annotated[str, Meta(description=f"First received at or after: {TIME}. Without it: 7 days before until")]
Until = Annotated[str, Meta(description=f"First received before: {TIME}. Without it: now")]
Zone = Annotated[str, Meta(description="The time zone whose clocks count, by its IANA name: Europe/Berlin")]
Rule = Annotated[str, Meta(max_length=1_000, description="The alertname of one rule, exactly")]

_MOST_MOVES = 8


async def followed(ask: Callable[[str], Awaitable[T | Moved]], id_: str) -> T:
    """The answer for an id, or for the occurrence that a double was joined to."""
    answer = await ask(id_)
    for _ in range(_MOST_MOVES):
        if not isinstance(answer, Moved):
            return answer
        answer = await ask(answer.id)
    raise InvalidQuery(f"id: {id_!r} was joined to another occurrence too often")


def time_of(name: str, text: str | None, now: datetime) -> datetime | None:
    """The time of an argument. Raises InvalidQuery naming it."""
    try:
        return None if text is None else parse_time(text, now)
    except InvalidQuery as error:
        raise InvalidQuery(f"{name}: {error}") from None


def duration_of(name: str, text: str, longest: timedelta) -> timedelta:
    """The duration of an argument, a second or longer. Raises InvalidQuery naming it."""
    try:
        duration = parse_duration(text)
    except (ValueError, OverflowError):
        duration = timedelta()
    if not timedelta(seconds=1) <= duration <= longest:
        raise InvalidQuery(f"{name}: {text[:80]!r} is no duration from 1s to {longest.total_seconds() / 3600:g}h: 15m")
    return duration


def span_of(query: str, since: str | None, until: str | None, *, rule: str | None, now: datetime) -> Asked:
    """What a tool that counts is asked for. Raises InvalidQuery naming the argument."""
    return asked(query, since, until, now=now, wanted=HistoryFilter(alertname=rule))
