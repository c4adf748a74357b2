"""Settings that all replicas share: switches of operators, the turn to ask, what was seen last."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from alert_history.storage.shared.elements import database_now
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.tables import settings

_READ = select(settings.c.value).where(settings.c.name == bindparam("wanted"))
_LOCKED = _READ.with_for_update()
_INSERT = insert(settings).values(name=bindparam("setting"), value=bindparam("new_value"), updated_at=database_now())
_WRITE = _INSERT.on_conflict_do_update(
    index_elements=["name"], set_={"value": _INSERT.excluded.value, "updated_at": _INSERT.excluded.updated_at}
)
_BEGIN = _INSERT.on_conflict_do_nothing(index_elements=["name"])

TURN_SETTING = "reconcile_turn"
"""The setting by which replicas take turns to ask what fires: which replica has the turn, and until when."""


class SharedSettings:
    """See `ports.StoredSettings`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, name: str) -> Any:
        """See `ports.StoredSettings.read`."""
        return await self._database.read_latest(read_setting, name)

    async def write(self, name: str, value: Any) -> None:
        """See `ports.StoredSettings.write`."""
        await self._database.write(write_setting, name, value)

    async def change(self, name: str, make: Callable[[Any], Any]) -> Any:
        """See `ports.StoredSettings.change`."""
        return await self._database.write(_change, name, make)


async def read_setting(session: Session, name: str) -> Any:
    """The value of a setting, or None."""
    rows = await session.fetch(_READ, wanted=name)
    return rows[0].value if rows else None


async def write_setting(session: Session, name: str, value: Any) -> None:
    """Keep a setting (any JSON value)."""
    await session.execute(_WRITE, setting=name, new_value=value)


async def _change(session: Session, name: str, make: Callable[[Any], Any]) -> Any:
    """The first statement makes a row that the second locks, so that the first two changes wait for each other, too."""
    await session.execute(_BEGIN, setting=name, new_value=None)
    rows = await session.fetch(_LOCKED, wanted=name)
    value = make(rows[0].value)
    await write_setting(session, name, value)
    return value
