"""A time as a number, as claims are compared by it and SQLite keeps it: microseconds since 1970, UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(time: datetime) -> int:
    """Microseconds since 1970; exact for every year a datetime can hold."""
    return (time - _EPOCH) // _MICROSECOND


def duration_us(duration: timedelta) -> int:
    """A duration in whole microseconds."""
    return duration // _MICROSECOND


def from_us(value: int) -> datetime:
    """The aware UTC time of `to_us`."""
    return _EPOCH + timedelta(microseconds=value)
