"""What senders of receipts say of themselves: where their own pages are."""

from collections.abc import Collection

from sqlalchemy import select

from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.tables import receipts

_R = receipts.c
_NEWEST = (
    select(_R.external_url)
    .where(is_among(_R.id, "ids"), _R.external_url != "")
    .order_by(_R.id.desc())  # ids sort by time
    .limit(1)
)


class SharedReceiptUrls:
    """See `ports.ReceiptUrls`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def external_url(self, receipt_ids: Collection[str]) -> str | None:
        """See `ports.ReceiptUrls.external_url`."""
        return await self._database.read(_external_url, sorted(receipt_ids))


async def _external_url(session: Session, ids: list[str]) -> str | None:
    rows = await session.fetch(_NEWEST, ids=ids)
    return rows[0].external_url if rows else None
