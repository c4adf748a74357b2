"""A whole store: the ports that it answers."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from alert_history.ports.acts import Acts
from alert_history.ports.analytics import Analytics
from alert_history.ports.archive import Archivable
from alert_history.ports.archived import ArchivedRecords, ArchivedSearch
from alert_history.ports.audit import Audit, AuditTrail
from alert_history.ports.classifications import ClassificationHistory, Classifications, Spending
from alert_history.ports.delivery_log import DeliveryLog
from alert_history.ports.demonstration import Demonstrations
from alert_history.ports.feed import Feed
from alert_history.ports.firing import FiringReads
from alert_history.ports.history import History
from alert_history.ports.import_files import ImportFiles
from alert_history.ports.imports import Imports
from alert_history.ports.label_counts import LabelCounts
from alert_history.ports.moments import Configurations, Moments, SilenceVersions
from alert_history.ports.night import NightReads
from alert_history.ports.notifications import NotificationReads
from alert_history.ports.outbox import Outbox
from alert_history.ports.receipt_urls import ReceiptUrls
from alert_history.ports.reconciling import Reconciling
from alert_history.ports.recording import ClaimRecorder
from alert_history.ports.rollups import RollupChecks, Rollups
from alert_history.ports.rule_activity import RuleActivities
from alert_history.ports.senders import Senders
from alert_history.ports.settings import StoredSettings
from alert_history.ports.sign_ins import SignIns
from alert_history.ports.silences import Silences
from alert_history.ports.standings import Standings
from alert_history.ports.statistics import Statistics
from alert_history.ports.surroundings import Surroundings
from alert_history.ports.tokens import Tokens
from alert_history.ports.upkeep import Upkeep
from alert_history.ports.vendor_events import VendorEvents


class Lifecycle(Protocol):
    """Opening, checking and closing a store."""

    async def open(self) -> None:
        """Bring the schema to head and get ready. Raises StorageUnavailable; then a caller may call again."""
        ...

    async def check(self) -> dict[str, str]:
        """`{"database": "ok"|fault, "schema": "ok"|fault}`; answers within 2 s and never raises."""
        ...

    def quiet(self) -> AbstractAsyncContextManager[None]:
        """Inside it no statement runs: earlier statements have ended, or took too long; new statements wait.

        So a task that is cancelled inside breaks off no statement, which a server would log as an error.
        """
        ...

    async def close(self) -> None:
        """Close connections and threads."""
        ...


class Store(msgspec.Struct, frozen=True):
    """A whole store on PostgreSQL or SQLite, one field for each port."""

    recorder: ClaimRecorder
    history: History
    upkeep: Upkeep
    standings: Standings
    reconciling: Reconciling
    lifecycle: Lifecycle
    outbox: Outbox
    delivery_log: DeliveryLog
    demonstrations: Demonstrations
    archivable: Archivable
    archived_search: ArchivedSearch
    archived_records: ArchivedRecords
    classifications: Classifications
    classification_history: ClassificationHistory
    spending: Spending
    rollups: Rollups
    rollup_checks: RollupChecks
    analytics: Analytics
    statistics: Statistics
    label_counts: LabelCounts
    rule_activities: RuleActivities
    surroundings: Surroundings
    settings: StoredSettings
    audit: Audit
    audit_trail: AuditTrail
    senders: Senders
    silences: Silences
    moments: Moments
    configurations: Configurations
    silence_versions: SilenceVersions
    receipt_urls: ReceiptUrls
    night: NightReads
    firing: FiringReads
    acts: Acts
    vendor_events: VendorEvents
    notifications: NotificationReads
    feed: Feed
    tokens: Tokens
    sign_ins: SignIns
    imports: Imports
    import_files: ImportFiles
