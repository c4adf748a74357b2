"""Where the pages of those are who sent receipts."""

from collections.abc import Collection
from typing import Protocol


class ReceiptUrls(Protocol):
    """Reads what senders said of themselves. Every call may raise StorageUnavailable or QueryTimeout."""

    async def external_url(self, receipt_ids: Collection[str]) -> str | None:
        """The `externalURL` of the newest of these receipts that has one; None without any."""
        ...
