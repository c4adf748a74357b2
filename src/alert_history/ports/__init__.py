"""What the engine needs of the outside, as Protocols: stores, targets, enrichers, discovery, time.

Failure and order are promised in the docstrings.
"""

from alert_history.domain.accuracy import Accuracy
from alert_history.domain.classification import KeptVerdict
from alert_history.domain.notifying import Router
from alert_history.ports.acts import Acts
from alert_history.ports.analytics import Analytics, Recount, Sums
from alert_history.ports.archive import Archivable, RowFormat, Shelf
from alert_history.ports.archived import ArchivedRecords, ArchivedRows, ArchivedSearch, Position
from alert_history.ports.audit import Audit, AuditFilter, AuditPage, AuditTrail
from alert_history.ports.classifications import (
    Allowance,
    ClassificationHistory,
    Classifications,
    ClassifiedCount,
    Enricher,
    Spending,
    Spent,
    Unanswered,
)
from alert_history.ports.clock import Clock
from alert_history.ports.delivery_log import DeliveryFilter, DeliveryLog, DeliveryPage, QueueDepth, StoredDelivery
from alert_history.ports.demonstration import Demonstrations, PastDelivery, PastNews
from alert_history.ports.feed import Feed, NumberedNews
from alert_history.ports.firing import FiringGroup, FiringReads, Mute
from alert_history.ports.history import (
    ALL_REFUSED,
    History,
    HistoryFilter,
    HistoryPage,
    PageRequest,
    QuarantinedAlert,
    QuarantineFilter,
    QuarantinePage,
    StoredAlert,
    StoredEvent,
)
from alert_history.ports.identity import IdentityProvider, Person
from alert_history.ports.label_counts import LabelCounts, LabelName, LabelValue, ValuesFound
from alert_history.ports.moments import Configurations, Moments, Post, SilenceVersions, StoredConfiguration
from alert_history.ports.night import NightEvent, NightReads, NightRow
from alert_history.ports.notifications import (
    Choice,
    DecidedAlert,
    Decision,
    NotificationReads,
    NotifiedAlert,
    Place,
    Queued,
    QueuedChunk,
    SentDelivery,
    Stretch,
)
from alert_history.ports.outbox import Outbox
from alert_history.ports.receipt_urls import ReceiptUrls
from alert_history.ports.reconciling import Conflict, Reconciling
from alert_history.ports.recording import ClaimRecorder, Recorder
from alert_history.ports.rollups import Difference, RollupChecks, Rollups, RollupSize
from alert_history.ports.rule_activity import RuleActivities
from alert_history.ports.senders import AcceptedRequest, RefusedAlerts, Senders
from alert_history.ports.settings import StoredSettings
from alert_history.ports.sign_ins import SignIns
from alert_history.ports.signals import Signals
from alert_history.ports.silences import MutedAlert, MutedAlerts, SilenceCounts, SilencePage, Silences, SilenceState
from alert_history.ports.standings import Left, Standings
from alert_history.ports.statistics import LabelSet, Lasting, Statistics, ValueCounts
from alert_history.ports.store import Lifecycle, Store
from alert_history.ports.surroundings import Surroundings
from alert_history.ports.targets import Discovery, DiscoveryState, RoutesSource, RoutesState, Target, TargetsFound
from alert_history.ports.tokens import Tokens
from alert_history.ports.upkeep import Upkeep
from alert_history.ports.vendor_events import VendorEvents

__all__ = [
    "ALL_REFUSED",
    "AcceptedRequest",
    "Accuracy",
    "Acts",
    "Allowance",
    "Analytics",
    "Archivable",
    "ArchivedRecords",
    "ArchivedRows",
    "ArchivedSearch",
    "Audit",
    "AuditFilter",
    "AuditPage",
    "AuditTrail",
    "Choice",
    "ClaimRecorder",
    "ClassificationHistory",
    "Classifications",
    "ClassifiedCount",
    "Clock",
    "Configurations",
    "Conflict",
    "DecidedAlert",
    "Decision",
    "DeliveryFilter",
    "DeliveryLog",
    "DeliveryPage",
    "Demonstrations",
    "Difference",
    "Discovery",
    "DiscoveryState",
    "Enricher",
    "Feed",
    "FiringGroup",
    "FiringReads",
    "History",
    "HistoryFilter",
    "HistoryPage",
    "IdentityProvider",
    "KeptVerdict",
    "LabelCounts",
    "LabelName",
    "LabelSet",
    "LabelValue",
    "Lasting",
    "Left",
    "Lifecycle",
    "Moments",
    "Mute",
    "MutedAlert",
    "MutedAlerts",
    "NightEvent",
    "NightReads",
    "NightRow",
    "NotificationReads",
    "NotifiedAlert",
    "NumberedNews",
    "Outbox",
    "PageRequest",
    "PastDelivery",
    "PastNews",
    "Person",
    "Place",
    "Position",
    "Post",
    "QuarantineFilter",
    "QuarantinePage",
    "QuarantinedAlert",
    "QueueDepth",
    "Queued",
    "QueuedChunk",
    "ReceiptUrls",
    "Reconciling",
    "Recorder",
    "Recount",
    "RefusedAlerts",
    "RollupChecks",
    "RollupSize",
    "Rollups",
    "Router",
    "RoutesSource",
    "RoutesState",
    "RowFormat",
    "RuleActivities",
    "Senders",
    "SentDelivery",
    "Shelf",
    "SignIns",
    "Signals",
    "SilenceCounts",
    "SilencePage",
    "SilenceState",
    "SilenceVersions",
    "Silences",
    "Spending",
    "Spent",
    "Standings",
    "Statistics",
    "Store",
    "StoredAlert",
    "StoredConfiguration",
    "StoredDelivery",
    "StoredEvent",
    "StoredSettings",
    "Stretch",
    "Sums",
    "Surroundings",
    "Target",
    "TargetsFound",
    "Tokens",
    "Unanswered",
    "Upkeep",
    "ValueCounts",
    "ValuesFound",
    "VendorEvents",
]
