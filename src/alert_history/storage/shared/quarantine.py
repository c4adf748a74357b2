"""The quarantine: alerts that were refused inside accepted requests, newest first."""

from sqlalchemy import bindparam, func, select

from alert_history.ports import QuarantinePage
from alert_history.storage.shared import reads
from alert_history.storage.shared.rows import quarantined_of
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import quarantine

_NEWEST = select(quarantine).order_by(quarantine.c.id.desc()).limit(bindparam("most"))
_BEFORE = _NEWEST.where(quarantine.c.id < bindparam("cursor"))
_SOME = select(quarantine.c.id).limit(bindparam("bound"))
_COUNT = select(func.count().label("number")).select_from(_SOME.subquery("some_rows"))
"""Its cost is bounded, whatever the quarantine holds."""


async def quarantine_page(database: Database, *, limit: int, cursor: str | None) -> QuarantinePage:
    """See `ports.History.quarantine`."""
    reads.check_limit(limit)
    if cursor is not None:
        reads.check_text(cursor, of="cursor")
    rows, counted = await database.read(_page, limit + 1, cursor)
    page = [quarantined_of(row) for row in rows[:limit]]
    return QuarantinePage(page, *reads.bounded(counted), page[-1].id if len(rows) > limit else None)


async def _page(session: Session, most: int, cursor: str | None) -> tuple[list[Row], int]:
    if cursor is None:
        rows = await session.fetch(_NEWEST, most=most)
    else:
        rows = await session.fetch(_BEFORE, most=most, cursor=cursor)
    (counted,) = await session.fetch(_COUNT, bound=reads.COUNT_BOUND + 1)
    return rows, counted.number
