"""A whole store, by what is asked of it."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from alert_history.ports.archive import Archivable
from alert_history.ports.audit import Audit
from alert_history.ports.classifications import ClassificationHistory, Classifications, Spending
from alert_history.ports.history import History
from alert_history.ports.outbox import Outbox
from alert_history.ports.reconciling import Reconciling
from alert_history.ports.recording import ClaimRecorder
from alert_history.ports.settings import StoredSettings
from alert_history.ports.standings import Standings
from alert_history.ports.upkeep import Upkeep


class Lifecycle(Protocol):
    """Opening, checking and closing a store."""

    async def open(self) -> None:
        """Bring the schema to head and get ready. Raises StorageUnavailable; may be called again then."""
        ...

    async def check(self) -> dict[str, str]:
        """`{"database": "ok"|fault, "schema": "ok"|fault}`; answers within 2 s and never raises."""
        ...

    def quiet(self) -> AbstractAsyncContextManager[None]:
        """Inside it nothing is asked of the database: what was has ended, or took too long; what comes waits.

        Whoever is cancelled inside is not in the middle of a statement, which a server would log as an error.
        """
        ...

    async def close(self) -> None:
        """Give connections and threads back."""
        ...


class Store(msgspec.Struct, frozen=True):
    """A whole store, by what is asked of it: PostgreSQL or SQLite."""

    recorder: ClaimRecorder
    history: History
    upkeep: Upkeep
    standings: Standings
    reconciling: Reconciling
    lifecycle: Lifecycle
    outbox: Outbox
    archivable: Archivable
    classifications: Classifications
    classification_history: ClassificationHistory
    spending: Spending
    settings: StoredSettings
    audit: Audit
