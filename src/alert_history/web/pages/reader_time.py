"""A time that a reader names: as programs write it, or without a zone, as on the clocks of the reader."""

import re
from datetime import datetime, tzinfo

from alert_history.domain.calendar import instant
from alert_history.domain.times import parse_time
from alert_history.errors import InvalidQuery

_WALL = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?", re.ASCII)


def read_time(text: str, zone: tzinfo, *, now: datetime, of: str) -> datetime:
    """The time, aware. Raises InvalidQuery that names the parameter `of`."""
    try:
        if _WALL.fullmatch(text):
            return instant(datetime.fromisoformat(text), zone)
        return parse_time(text, now)
    except (InvalidQuery, ValueError, OverflowError) as error:
        raise InvalidQuery(f"{of}: {error}") from None
