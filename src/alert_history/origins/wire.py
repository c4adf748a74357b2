"""What the answers of Alertmanager and Prometheus are made of. Must not know who got them, or how."""

from collections.abc import Mapping
from datetime import UTC, datetime

_LAST = datetime.max.replace(tzinfo=UTC)
_FIRST = datetime.min.replace(tzinfo=UTC)


def read_time(text: str) -> datetime:
    """An aware UTC time, cut to the microsecond; the first or last there is where its offset carries it beyond.

    Raises: ValueError.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without an offset")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return _FIRST if time.year == _FIRST.year else _LAST


def without_empty(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that have a value: an empty one is the same as none."""
    return {name: value for name, value in labels.items() if value}
