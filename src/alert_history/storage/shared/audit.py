"""The audit: who did what, and when."""

from datetime import datetime
from typing import Any

from sqlalchemy import insert

from alert_history.ids import new_id
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.tables import audit

_INSERT = insert(audit)


class SharedAudit:
    """See `ports.Audit`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, action: str, *, actor: str, detail: dict[str, Any], now: datetime) -> None:
        """See `ports.Audit.note`."""
        line = {"id": new_id(now), "at": now, "actor": actor, "action": action, "detail": detail}
        await self._database.write(_note, line)


async def _note(session: Session, line: dict[str, Any]) -> None:
    await session.execute(_INSERT, **line)
