"""The quarantine: alerts that were refused inside accepted requests, newest first."""

from sqlalchemy import bindparam, func, select

from alert_history.errors import NotFound
from alert_history.ports import ALL_REFUSED, QuarantinedAlert, QuarantineFilter, QuarantinePage
from alert_history.storage.shared import reads
from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.rows import quarantined_of
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import quarantine

MOST_LOOKED_AT = 5_000
"""So many refused alerts a page looks at, at most, for those that a filter asks for."""

_Q = quarantine.c
_NEWEST = select(_Q.id, _Q.source, _Q.reason).order_by(_Q.id.desc()).limit(bindparam("most"))
_BEFORE = _NEWEST.where(_Q.id < bindparam("cursor"))
_WHOLE = select(quarantine).where(is_among(_Q.id, "ids")).order_by(_Q.id.desc())
_SOME = select(_Q.id).limit(bindparam("bound"))
_COUNT = select(func.count().label("number")).select_from(_SOME.subquery("some_rows"))
"""Its cost is bounded, whatever the quarantine holds."""


async def quarantine_page(
    database: Database, *, limit: int, cursor: str | None, wanted: QuarantineFilter
) -> QuarantinePage:
    """See `ports.History.quarantine`."""
    reads.check_limit(limit)
    if cursor is not None:
        reads.check_text(cursor, of="cursor")
    rows, counted, next_cursor = await database.read(_page, limit, cursor, wanted)
    return QuarantinePage([quarantined_of(row) for row in rows], *reads.bounded(counted), next_cursor)


async def quarantined_alert(database: Database, id_: str) -> QuarantinedAlert:
    """See `ports.History.quarantined`."""
    reads.check_text(id_, of="id")
    rows = await database.read(_whole, [id_])
    if not rows:
        raise NotFound(f"no refused alert {id_!r}")
    return quarantined_of(rows[0])


async def _page(
    session: Session, limit: int, cursor: str | None, wanted: QuarantineFilter
) -> tuple[list[Row], int, str | None]:
    """The rows of a page, how many there are in all, and the cursor of the next page."""
    most = limit + 1 if wanted == ALL_REFUSED else MOST_LOOKED_AT
    if cursor is None:
        looked_at = await session.fetch(_NEWEST, most=most)
    else:
        looked_at = await session.fetch(_BEFORE, most=most, cursor=cursor)
    ids = [row.id for row in looked_at if _is_wanted(row, wanted)]
    next_cursor = looked_at[-1].id if len(looked_at) == most else None
    if len(ids) > limit:
        next_cursor = ids[limit - 1]
    rows = await _whole(session, ids[:limit])
    (counted,) = await session.fetch(_COUNT, bound=reads.COUNT_BOUND + 1)
    return rows, counted.number, next_cursor


async def _whole(session: Session, ids: list[str]) -> list[Row]:
    return await session.fetch(_WHOLE, ids=ids) if ids else []


def _is_wanted(row: Row, wanted: QuarantineFilter) -> bool:
    return wanted.source in {None, row.source} and (wanted.reason or "") in row.reason
