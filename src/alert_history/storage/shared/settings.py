"""Settings that all replicas share: switches of operators, the turn to ask, what was seen last."""

from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from alert_history.storage.shared.elements import database_now
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.tables import settings

_READ = select(settings.c.value).where(settings.c.name == bindparam("wanted"))
_INSERT = insert(settings).values(name=bindparam("setting"), value=bindparam("new_value"), updated_at=database_now())
_WRITE = _INSERT.on_conflict_do_update(
    index_elements=["name"], set_={"value": _INSERT.excluded.value, "updated_at": _INSERT.excluded.updated_at}
)


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


async def read_setting(session: Session, name: str) -> Any:
    """The value of a setting, or None."""
    rows = await session.fetch(_READ, wanted=name)
    return rows[0].value if rows else None


async def write_setting(session: Session, name: str, value: Any) -> None:
    """Keep a setting (any JSON value)."""
    await session.execute(_WRITE, setting=name, new_value=value)
