"""A whole store on PostgreSQL, put together."""

from sqlalchemy import and_, literal_column

from alert_history.domain.standing import DEFAULT_RULES, Rules
from alert_history.ids import process_name
from alert_history.ports import Router, Store
from alert_history.storage.archived.store import archived
from alert_history.storage.postgres.archive import PostgresArchivable
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.database import PostgresDatabase
from alert_history.storage.postgres.dialer import Dialer
from alert_history.storage.postgres.follow_ups import PostgresFollowUp
from alert_history.storage.postgres.history import PostgresHistory
from alert_history.storage.postgres.importing import PostgresImporting
from alert_history.storage.postgres.lifecycle import PostgresLifecycle
from alert_history.storage.postgres.moments import MOMENT_WAYS
from alert_history.storage.postgres.night import WAYS
from alert_history.storage.postgres.notifications import ORDERING
from alert_history.storage.postgres.outbox import PostgresOutbox
from alert_history.storage.postgres.past import PostgresPast
from alert_history.storage.postgres.reconciling import PostgresReconciling
from alert_history.storage.postgres.recorder import PostgresRecorder
from alert_history.storage.postgres.scanning import ORDER
from alert_history.storage.postgres.search import PostgresFinding
from alert_history.storage.postgres.silences import SILENCE_WAYS
from alert_history.storage.postgres.standings import PostgresStandings
from alert_history.storage.postgres.upkeep import PostgresUpkeep
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
from alert_history.urls.postgres import read_postgres_url

_IS_OF_OCCURRENCE = and_(literal_column("fingerprint") == OF_FINGERPRINT, literal_column("starts_at") == OF_START)


def postgres_store(
    database_url: str,
    *,
    read_database_url: str | None = None,
    router: Router | None = None,
    rules: Rules = DEFAULT_RULES,
) -> Store:
    """A store on PostgreSQL; connects when it is opened. `read_database_url` may name a replica."""
    reader = Dialer(read_postgres_url(read_database_url)) if read_database_url else None
    connections = Connections(Dialer(read_postgres_url(database_url)), read_dialer=reader)
    database = PostgresDatabase(connections)
    outbox = PostgresOutbox(connections)
    rollups = SharedRollups(database, ORDER)
    trail = SharedAuditTrail(database)
    settings = SharedSettings(database)
    archives = archived(settings)
    importing = PostgresImporting(connections)
    return Store(
        recorder=PostgresRecorder(connections, router=router, rules=rules),
        history=PostgresHistory(connections),
        upkeep=PostgresUpkeep(connections),
        standings=PostgresStandings(connections, router=router, rules=rules),
        reconciling=PostgresReconciling(connections, router=router, rules=rules),
        lifecycle=PostgresLifecycle(connections),
        outbox=outbox,
        delivery_log=SharedDeliveryLog(database, gate=outbox),
        demonstrations=SharedDemonstrations(database, is_of_occurrence=_IS_OF_OCCURRENCE),
        archivable=PostgresArchivable(connections),
        archived_search=archives.search,
        archived_records=archives.records,
        classifications=SharedClassifications(database, follow_up=PostgresFollowUp(connections)),
        classification_history=SharedClassificationHistory(database, look=PostgresPast(connections)),
        spending=SharedSpending(database),
        rollups=rollups,
        rollup_checks=rollups,
        analytics=SharedAnalytics(database, PostgresFinding()),
        statistics=SharedStatistics(database, PostgresFinding()),
        label_counts=SharedLabelCounts(database),
        rule_activities=SharedRuleActivities(database),
        surroundings=SharedSurroundings(database, PostgresFinding(), newest=alerts.c.starts_at),
        settings=settings,
        audit=SharedAudit(trail, replica=process_name()),
        audit_trail=trail,
        senders=SharedSenders(database),
        silences=SharedSilences(database, ways=SILENCE_WAYS),
        moments=SharedMoments(database, ways=MOMENT_WAYS),
        configurations=SharedConfigurations(database),
        silence_versions=SharedSilenceVersions(database),
        receipt_urls=SharedReceiptUrls(database),
        night=SharedNightReads(database, PostgresFinding(), ways=WAYS, moment_ways=MOMENT_WAYS),
        firing=SharedFiringReads(database, PostgresFinding(), is_event_of=WAYS.is_event_of),
        acts=SharedActs(database),
        vendor_events=SharedVendorEvents(database),
        notifications=SharedNotificationReads(database, ordering=ORDERING),
        feed=SharedFeed(database),
        tokens=SharedTokens(database),
        sign_ins=SharedSignIns(database),
        imports=SharedImports(database, importing),
        import_files=SharedImportFiles(database, importing),
    )
