"""What vendors told of their incidents: of which occurrence an incident is, and the events that fit none."""

from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.acts import ActSource
from alert_history.domain.occurrence import Key
from alert_history.domain.vendor_event import RefusedEvent
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.tables import incidents_seen, quarantine

_I = incidents_seen.c
_REMEMBER = insert(incidents_seen).on_conflict_do_nothing()
_OCCURRENCE = select(_I.fingerprint, _I.starts_at).where(
    _I.source == bindparam("source"), _I.id == bindparam("incident")
)
_REFUSE = insert(quarantine).on_conflict_do_nothing()


class SharedVendorEvents:
    """See `ports.VendorEvents`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remember(self, source: ActSource, incident: str, *, key: Key, now: datetime) -> None:
        """See `ports.VendorEvents.remember`."""
        await self._database.write(_remember, source, incident, key, now)

    async def occurrence_of(self, source: ActSource, incident: str) -> Key | None:
        """See `ports.VendorEvents.occurrence_of`."""
        return await self._database.read_latest(_occurrence_of, source, incident)

    async def refuse(self, refused: RefusedEvent) -> bool:
        """See `ports.VendorEvents.refuse`."""
        return await self._database.write(_refuse, refused)


async def _remember(session: Session, source: ActSource, incident: str, key: Key, now: datetime) -> None:
    fingerprint, starts_at = key
    await session.execute(
        _REMEMBER, source=source, id=incident, fingerprint=fingerprint, starts_at=starts_at, seen_at=now
    )


async def _occurrence_of(session: Session, source: ActSource, incident: str) -> Key | None:
    rows = await session.fetch(_OCCURRENCE, source=source, incident=incident)
    return (rows[0].fingerprint, rows[0].starts_at) if rows else None


async def _refuse(session: Session, refused: RefusedEvent) -> bool:
    """A quarantined event has no receipt, so its own id stands there."""
    changed = await session.execute(
        _REFUSE,
        id=refused.id,
        received_at=refused.received_at,
        receipt_id=refused.id,
        position=0,
        reason=refused.reason,
        source=refused.source,
        receiver="",
        raw=refused.raw,
    )
    return changed > 0
