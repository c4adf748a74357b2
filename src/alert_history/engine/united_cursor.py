"""Where a reader is in two orders at once: that of the database, and that of the archives. Pure."""

import base64
import binascii
from typing import Any

import msgspec

from alert_history.errors import InvalidQuery
from alert_history.ports import Position

_MARK = "both"


class UnitedPlace(msgspec.Struct, frozen=True):
    """How far a reader is: a cursor of the database, and a position. None is the begin, `is_…_over` the end."""

    database: str | None = None
    archive: Position | None = None
    is_database_over: bool = False
    is_archive_over: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self.is_database_over and self.is_archive_over


def encode_place(place: UnitedPlace, sort: str) -> str:
    """A cursor; it says that it is one of both, so that nobody goes on with it in the database alone."""
    content = msgspec.json.encode([_MARK, sort, place])
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode_place(cursor: str, sort: str) -> UnitedPlace:
    """The place in a cursor. Raises InvalidQuery on a cursor of another sort, or of a search without the archive."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        content: list[Any] = msgspec.json.decode(raw, type=list[Any])
        if content[:1] != [_MARK]:
            raise InvalidQuery("cursor: it belongs to a search without the archive")
        _, made_for, place = content
        if made_for != sort:
            raise InvalidQuery(f"cursor: it belongs to sort={made_for}, not to sort={sort}")
        return msgspec.convert(place, UnitedPlace)
    except (binascii.Error, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidQuery("cursor: not a next_cursor of an earlier answer") from error
