"""Who did what, and when."""

from datetime import datetime
from typing import Any, Protocol


class Audit(Protocol):
    """The audit: a line for each thing that a person did. Every call may raise StorageUnavailable."""

    async def note(self, action: str, *, actor: str, detail: dict[str, Any], now: datetime) -> None:
        """Write a line into the audit, durably."""
        ...
