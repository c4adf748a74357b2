"""From which day on the history is whole. Whoever removes rows that were counted says so in the same transaction.

The numbers of the days before stay: a new count can't find what they were counted from.
"""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert

from alert_history.storage.shared.elements import database_now
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.settings import read_setting
from alert_history.storage.shared.tables import settings

_SETTING = "history_whole_from"
_COUNTS_FOR = timedelta(days=2)
"""So long after its last receipt an occurrence may end, and a delivery may be settled: both count on that day."""

_INSERT = insert(settings).values(name=_SETTING, value=bindparam("new_value"), updated_at=database_now())
_NOTE = _INSERT.on_conflict_do_update(
    index_elements=["name"],
    set_={"value": _INSERT.excluded.value, "updated_at": _INSERT.excluded.updated_at},
    where=settings.c.value < _INSERT.excluded.value,
)


async def note_dropped(session: Session, before: datetime) -> None:
    """Note that occurrences or deliveries are removed that were last received, or created, before this time."""
    whole_from = (before.astimezone(UTC) + _COUNTS_FOR).date() + timedelta(days=1)
    await session.execute(_NOTE, new_value=whole_from.isoformat())


async def read_whole_from(session: Session) -> date | None:
    """The first day, UTC, to whose numbers all rows are still here; None where none was ever removed."""
    value = await read_setting(session, _SETTING)
    return None if value is None else date.fromisoformat(value)
