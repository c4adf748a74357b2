"""Times as other programs write them: ISO 8601 with or without an offset, as Go prints them, or as a number. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR = 1970
_MAX_SECONDS, _MAX_MILLISECONDS, _MAX_MICROSECONDS = 1e11, 1e14, 1e17

_text = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,6})\d*)?\s?"
    r"(Z|[+-]\d\d(?::?\d\d)?)?(?:\s[A-Z][A-Za-z0-9+-]*)?(?:\sm=[+-][0-9.]+)?",
    re.ASCII,
)
_number = re.compile(r"\d{9,19}(?:\.\d+)?", re.ASCII)


def read_past_time(value: Any) -> datetime | None:
    """An aware UTC time, cut to the microsecond; None for what means no time: nothing, or a year before 1970.

    A time without an offset is UTC. A number counts from 1970, in seconds, or in parts of them where it is that large.
    Raises: ValueError.
    """
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_number(value)
    if isinstance(value, str) and _number.fullmatch(value):
        return _from_number(float(value) if "." in value else int(value))
    return _from_text(value)


def cut_to_milliseconds(time: datetime) -> datetime:
    """The time without what is smaller than a millisecond."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _from_text(value: Any) -> datetime | None:
    match = _text.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r:.60} is no time")
    day, clock, fraction, offset = match.groups()
    if int(day[:4]) < _FIRST_YEAR:
        return None
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{fraction or 0:0<6}{offset or 'Z'}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r:.60} is no time") from None


def _from_number(number: float) -> datetime | None:
    """Which unit it has shows in its size: as seconds, a millisecond of our days would be 50 000 years away."""
    if number <= 0:
        return None
    if number < _MAX_SECONDS:
        microseconds = number * 1_000_000
    elif number < _MAX_MILLISECONDS:
        microseconds = number * 1_000
    else:
        microseconds = number if number < _MAX_MICROSECONDS else number // 1_000
    try:
        return _EPOCH + timedelta(microseconds=int(microseconds))
    except (OverflowError, ValueError):
        raise ValueError(f"{number} is no time") from None
