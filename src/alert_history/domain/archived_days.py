"""Which days are in which archive, as a database keeps it. Pure."""

from datetime import date, datetime
from typing import Any

import msgspec

ARCHIVES = "archives"
"""The name of the setting that holds them."""


class ArchivedDays(msgspec.Struct, frozen=True):
    """The occurrences of which days, UTC, were moved to a place; `at` is when the last run ended.

    Of a day between the first and the last, occurrences may be in the database or in another archive as well.
    """

    place: str
    first_day: date
    last_day: date
    at: datetime


def archived_days(value: Any) -> list[ArchivedDays]:
    """What the setting holds; nothing where nothing was archived yet."""
    return [] if value is None else msgspec.convert(value, list[ArchivedDays])
