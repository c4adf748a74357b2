"""A whole store on SQLite, put together."""

from sqlalchemy import literal_column, select

from alert_history.domain.standing import DEFAULT_RULES, Rules
from alert_history.ids import process_name
from alert_history.ports import Router, Store
from alert_history.storage.archived.store import archived
from alert_history.storage.shared.acts import SharedActs
from alert_history.storage.shared.analytics import SharedAnalytics
from alert_history.storage.shared.audit import SharedAudit, SharedAuditTrail
from alert_history.storage.shared.classification_history import SharedClassificationHistory
from alert_history.storage.shared.classifications import SharedClassifications
from alert_history.storage.shared.configurations import SharedConfigurations
from alert_history.storage.shared.delivery_log import SharedDeliveryLog
from alert_history.storage.shared.demonstrations import OF_FINGERPRINT, OF_START, SharedDemonstrations
from alert_history.storage.shared.feed import SharedFeed
from alert_history.storage.shared.firing import SharedFiringReads
from alert_history.storage.shared.import_files import SharedImportFiles
from alert_history.storage.shared.imports import SharedImports
from alert_history.storage.shared.label_reads import SharedLabelCounts
from alert_history.storage.shared.moments import SharedMoments
from alert_history.storage.shared.night_reads import SharedNightReads
from alert_history.storage.shared.notifications import SharedNotificationReads
from alert_history.storage.shared.receipt_urls import SharedReceiptUrls
from alert_history.storage.shared.rollups import SharedRollups
from alert_history.storage.shared.rule_activity import SharedRuleActivities
from alert_history.storage.shared.senders import SharedSenders
from alert_history.storage.shared.settings import SharedSettings
from alert_history.storage.shared.sign_ins import SharedSignIns
from alert_history.storage.shared.silence_versions import SharedSilenceVersions
from alert_history.storage.shared.silences import SharedSilences
from alert_history.storage.shared.spending import SharedSpending
from alert_history.storage.shared.statistics import SharedStatistics
from alert_history.storage.shared.surroundings import SharedSurroundings
from alert_history.storage.shared.tables import alerts
from alert_history.storage.shared.tokens import SharedTokens
from alert_history.storage.shared.vendor_events import SharedVendorEvents
from alert_history.storage.sqlite.archive import SqliteArchivable
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.database import SqliteDatabase
from alert_history.storage.sqlite.follow_ups import SqliteFollowUp
from alert_history.storage.sqlite.history import SqliteHistory
from alert_history.storage.sqlite.importing import SqliteImporting
from alert_history.storage.sqlite.lifecycle import SqliteLifecycle
from alert_history.storage.sqlite.moments import MOMENT_WAYS
from alert_history.storage.sqlite.night import WAYS
from alert_history.storage.sqlite.notifications import ORDERING
from alert_history.storage.sqlite.outbox import SqliteOutbox
from alert_history.storage.sqlite.past import SqlitePast
from alert_history.storage.sqlite.reconciling import SqliteReconciling
from alert_history.storage.sqlite.recorder import SqliteRecorder
from alert_history.storage.sqlite.scanning import ORDER
from alert_history.storage.sqlite.search import TERMS, SqliteFinding
from alert_history.storage.sqlite.silences import SILENCE_WAYS
from alert_history.storage.sqlite.standing_log import StandingLog
from alert_history.storage.sqlite.standings import SqliteStandings
from alert_history.storage.sqlite.upkeep import SqliteUpkeep
from alert_history.storage.sqlite.writer_process import WriterProcess

_IS_OF_OCCURRENCE = literal_column("alert_id") == (
    select(literal_column("id"))
    .where(alerts.c.starts_at == OF_START, alerts.c.fingerprint == OF_FINGERPRINT)
    .scalar_subquery()
)


def sqlite_store(database_url: str, *, router: Router | None = None, rules: Rules = DEFAULT_RULES) -> Store:
    """A store in the file a `sqlite:///path` URL names (four slashes for an absolute path)."""
    path = database_url.partition("://")[2].removeprefix("/").partition("?")[0]
    connections = Connections(path)
    log = StandingLog()
    process = WriterProcess(connections, log)
    database = SqliteDatabase(connections)
    outbox = SqliteOutbox(connections)
    rollups = SharedRollups(database, ORDER)
    trail = SharedAuditTrail(database)
    settings = SharedSettings(database)
    archives = archived(settings)
    importing = SqliteImporting(connections, log)
    return Store(
        recorder=SqliteRecorder(connections, log, process=process, router=router, rules=rules),
        history=SqliteHistory(connections),
        upkeep=SqliteUpkeep(connections, log, process=process),
        standings=SqliteStandings(connections, log, router=router, rules=rules),
        reconciling=SqliteReconciling(connections, log, router=router, rules=rules),
        lifecycle=SqliteLifecycle(connections, process),
        outbox=outbox,
        delivery_log=SharedDeliveryLog(database, gate=outbox),
        demonstrations=SharedDemonstrations(database, is_of_occurrence=_IS_OF_OCCURRENCE),
        archivable=SqliteArchivable(connections),
        archived_search=archives.search,
        archived_records=archives.records,
        classifications=SharedClassifications(database, follow_up=SqliteFollowUp(connections)),
        classification_history=SharedClassificationHistory(database, look=SqlitePast(connections)),
        spending=SharedSpending(database),
        rollups=rollups,
        rollup_checks=rollups,
        analytics=SharedAnalytics(database, SqliteFinding()),
        statistics=SharedStatistics(database, SqliteFinding()),
        label_counts=SharedLabelCounts(database),
        rule_activities=SharedRuleActivities(database),
        surroundings=SharedSurroundings(database, SqliteFinding(), newest=TERMS.c.rowid),
        settings=settings,
        audit=SharedAudit(trail, replica=process_name()),
        audit_trail=trail,
        senders=SharedSenders(database),
        silences=SharedSilences(database, ways=SILENCE_WAYS),
        moments=SharedMoments(database, ways=MOMENT_WAYS),
        configurations=SharedConfigurations(database),
        silence_versions=SharedSilenceVersions(database),
        receipt_urls=SharedReceiptUrls(database),
        night=SharedNightReads(database, SqliteFinding(), ways=WAYS, moment_ways=MOMENT_WAYS),
        firing=SharedFiringReads(database, SqliteFinding(), is_event_of=WAYS.is_event_of),
        acts=SharedActs(database),
        vendor_events=SharedVendorEvents(database),
        notifications=SharedNotificationReads(database, ordering=ORDERING),
        feed=SharedFeed(database),
        tokens=SharedTokens(database),
        sign_ins=SharedSignIns(database),
        imports=SharedImports(database, importing),
        import_files=SharedImportFiles(database, importing),
    )
