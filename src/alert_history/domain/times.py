"""How people and programs write a time: the texts `since`, `until`, `--start` and `--end` take.

Holds the reading of them, given what now is, and of durations. Must not ask a clock.
"""

import re
from datetime import UTC, datetime, timedelta

from alert_history.errors import InvalidQuery

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN_CHARACTERS = 80
_MICROSECOND_DIGITS = 6

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# A space may stand for the plus of an offset: that is what an unescaped + in a URL becomes.
_DATE_TIME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt ](?P<time>\d\d:\d\d(?::\d\d)?)(?:\.(?P<fraction>\d+))?"
    r"(?:[Zz]|(?P<sign>[-+ ])(?P<offset>\d\d:\d\d))?",
    re.ASCII,
)
_UNIX_SECONDS = re.compile(r"(?P<whole>\d+)(?:\.(?P<fraction>\d+))?", re.ASCII)
# Units as Prometheus writes durations: each at most once, the largest first.
_DURATION = re.compile(
    r"(?=\d)(?:(?P<years>\d+)y)?(?:(?P<weeks>\d+)w)?(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?"
    r"(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?(?:(?P<milliseconds>\d+)ms)?",
    re.ASCII,
)
_AGO = re.compile(rf"(?:now)?-?{_DURATION.pattern}", re.ASCII)
_DAYS_A_YEAR = 365


def parse_time(text: str, now: datetime) -> datetime:
    """The time it names, aware UTC, cut to the microsecond.

    RFC 3339 with any offset (none: UTC), a date (midnight UTC), unix seconds with or without a fraction, `now`,
    or a duration ago: `-24h`, `1h30m`, `now-7d`; a year is 365 days. A bare number is never a duration.

    Raises: InvalidQuery on anything else, and on a time outside the years 1 to 9999.
    """
    try:
        time = _read(text, now)
    except (ValueError, OverflowError):
        time = None
    if time is None:
        shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
        raise InvalidQuery(
            f"{shown!r} is no time; write RFC 3339 (2026-01-31T12:00:00Z), a date, unix seconds, "
            f"now, or how long ago (-24h, -1h30m)"
        )
    return time


def parse_duration(text: str) -> timedelta:
    """How long it is: `1h30m`, `15s`; a year is 365 days. Raises: ValueError on anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("no duration as Prometheus writes it")
    return _duration(match)


def _read(text: str, now: datetime) -> datetime | None:
    if text == "now":
        return now
    if _DATE.fullmatch(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    if match := _DATE_TIME.fullmatch(text):
        return _date_time(match)
    if match := _UNIX_SECONDS.fullmatch(text):
        return _EPOCH + timedelta(seconds=int(match["whole"]), microseconds=_microseconds(match["fraction"]))
    if match := _AGO.fullmatch(text):
        return now - _duration(match)
    return None


def _date_time(match: re.Match[str]) -> datetime:
    sign = "-" if match["sign"] == "-" else "+"
    offset = f"{sign}{match['offset']}" if match["offset"] else "+00:00"
    time = datetime.fromisoformat(f"{match['date']}T{match['time']}{offset}")
    return time.astimezone(UTC).replace(microsecond=_microseconds(match["fraction"]))


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "")[:_MICROSECOND_DIGITS].ljust(_MICROSECOND_DIGITS, "0"))


def _duration(match: re.Match[str]) -> timedelta:
    amounts = {unit: int(amount) for unit, amount in match.groupdict("0").items()}
    years = amounts.pop("years")
    return timedelta(days=years * _DAYS_A_YEAR) + timedelta(**amounts)
