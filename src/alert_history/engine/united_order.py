"""The rows of the database and those of archives in one order. Pure."""

from collections.abc import Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import NamedTuple

from alert_history.domain.microseconds import to_us
from alert_history.engine.history import key_of
from alert_history.engine.united_cursor import UnitedPlace, encode_place
from alert_history.ports import ArchivedRows, HistoryPage, PageRequest, Position, StoredAlert


class Halves(NamedTuple):
    """The next rows of the database, and those of the archives that the database does not have."""

    database: HistoryPage
    archive: ArchivedRows


def merged(halves: Halves, page: PageRequest) -> list[StoredAlert]:
    """The rows of a page, from both. A half that stopped searching bounds the rows of the other."""
    database = _until(halves.database.alerts, halves.archive.stopped_at)
    archive = _until(halves.archive.alerts, halves.database.searched_until)
    is_descending = _is_descending(page.sort)
    both = (database, archive) if is_descending else (archive, database)
    rows = merge(*both, key=lambda alert: sort_value(alert, page.sort), reverse=is_descending)
    return list(islice(rows, page.limit))


def sort_value(alert: StoredAlert, sort: str) -> int | str:
    """What an occurrence is sorted by, a time in microseconds; `starts_at` is the one that names it."""
    name = sort.removeprefix("-")
    value = key_of(alert.id)[1] if name == "starts_at" else getattr(alert, name)
    return to_us(value) if isinstance(value, datetime) else value


def behind(alert: StoredAlert, sort: str) -> Position:
    """The place behind an occurrence."""
    fingerprint, starts_at = key_of(alert.id)
    return Position(sort_value(alert, sort), (fingerprint, to_us(starts_at)))


def further(position: Position | None, other: Position, sort: str) -> Position:
    """The one of two places that is further on; the first if they have the same value."""
    if position is None:
        return other
    mine, others = (position.value, other.value)
    is_further = others < mine if _is_descending(sort) else others > mine  # type: ignore[operator]  # of one sort
    return other if is_further else position


def stopped_at(halves: Halves) -> datetime | None:
    """From when on both halves were searched; None where both came to their end."""
    times = [time for time in (halves.database.searched_until, halves.archive.stopped_at) if time is not None]
    return max(times, default=None)


def previous(halves: Halves, page: PageRequest, place: UnitedPlace) -> str | None:
    """The cursor to what is before these rows, for the opposite order; None where a half does not know it.

    Of a half that is over, all rows are before: the opposite order begins at its begin.
    """
    database, archive = halves.database.alerts, halves.archive.alerts
    is_database_over = place.is_database_over or halves.database.next_cursor is None
    if not (database or is_database_over) or not (archive or halves.archive.is_last):
        return None
    opposite = page.sort.removeprefix("-") if _is_descending(page.sort) else f"-{page.sort}"
    position = behind(archive[0], page.sort) if archive else None
    return encode_place(UnitedPlace(halves.database.previous_cursor, position), opposite)


def _until(alerts: Sequence[StoredAlert], time: datetime | None) -> Sequence[StoredAlert]:
    return alerts if time is None else [alert for alert in alerts if alert.timestamp >= time]


def _is_descending(sort: str) -> bool:
    return sort.startswith("-")
