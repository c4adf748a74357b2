"""Who did what, and when."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from alert_history.domain.audit import AuditChain, AuditEntry, Outcome


class Audit(Protocol):
    """The audit: a line for each thing that a person did. Every call may raise StorageUnavailable."""

    async def note(self, action: str, *, actor: str, detail: dict[str, Any], now: datetime) -> None:
        """Write a line into the audit, durably."""
        ...


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; what is None or empty bounds nothing. `until` itself is not in."""

    since: datetime | None = None
    until: datetime | None = None
    actor: str = ""
    action: str = ""
    outcome: Outcome | None = None


class AuditPage(msgspec.Struct, frozen=True):
    """Entries, the newest first, and the cursor of those before them; None where there are none."""

    entries: list[AuditEntry]
    next_cursor: str | None


class AuditTrail(Protocol):
    """The entries in their chains. Every call may raise StorageUnavailable, the reads QueryTimeout, too."""

    async def append(self, entries: Sequence[AuditEntry], *, replica: str) -> Sequence[AuditEntry]:
        """Keep entries durably, all or none, at the end of that replica's chains of their days; as they are kept.

        An entry whose id is there already is not kept again, so a call that failed may be made again.
        """
        ...

    async def page(self, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        """A page of entries, the newest first. Raises InvalidQuery for a cursor that can't be one."""
        ...

    async def chains(self, *, since: str = "") -> Sequence[AuditChain]:
        """The first chain of that day or later, and all that began after it, in this order.

        One that began late may be of an earlier day: its entries waited for the database.
        """
        ...

    async def links(self, chain: AuditChain, *, after: int | None = None, limit: int) -> Sequence[AuditEntry]:
        """The entries of a chain behind that position (None: from its begin), in their order."""
        ...

    async def strays(self, *, since: datetime, limit: int) -> Sequence[AuditEntry]:
        """Entries made since then, by their ids, that are in no chain, the oldest first."""
        ...

    async def drop(self, before: datetime, *, now: datetime) -> int:
        """Forget one bounded step of the days before that one; entries removed, 0 when done. Their chains stay."""
        ...
