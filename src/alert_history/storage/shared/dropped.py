"""From which day on the history is whole. Whoever removes occurrences says so in the transaction that removes them.

The numbers of the days before stay: a new count can't find what they were counted from.
"""

from datetime import date, datetime, timedelta

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert

from alert_history.storage.shared.elements import database_now
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.settings import read_setting
from alert_history.storage.shared.tables import settings

_SETTING = "history_whole_from"
_LATEST_END = timedelta(days=1)
"""So long after its last receipt an occurrence may end, which its sender or a lapse decides: its end counts then."""

_INSERT = insert(settings).values(name=_SETTING, value=bindparam("new_value"), updated_at=database_now())
_NOTE = _INSERT.on_conflict_do_update(
    index_elements=["name"],
    set_={"value": _INSERT.excluded.value, "updated_at": _INSERT.excluded.updated_at},
    where=settings.c.value < _INSERT.excluded.value,
)


async def note_dropped(session: Session, before: datetime) -> None:
    """Note that occurrences are removed that were last received before this time."""
    whole_from = (before + _LATEST_END).date() + timedelta(days=1)
    await session.execute(_NOTE, new_value=whole_from.isoformat())


async def read_whole_from(session: Session) -> date | None:
    """The first day, UTC, of which no occurrence was removed, nor the end of one; None where none ever was."""
    value = await read_setting(session, _SETTING)
    return None if value is None else date.fromisoformat(value)
