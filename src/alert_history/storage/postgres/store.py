"""A whole store on PostgreSQL, put together."""

from alert_history.domain.standing import DEFAULT_RULES, Rules
from alert_history.ports import Router, Store
from alert_history.storage.postgres.archive import PostgresArchivable
from alert_history.storage.postgres.classifications import PostgresClassifications
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.dialer import Dialer
from alert_history.storage.postgres.history import PostgresHistory
from alert_history.storage.postgres.lifecycle import PostgresLifecycle
from alert_history.storage.postgres.outbox import PostgresOutbox
from alert_history.storage.postgres.reconciling import PostgresReconciling
from alert_history.storage.postgres.recorder import PostgresRecorder
from alert_history.storage.postgres.standings import PostgresStandings
from alert_history.storage.postgres.upkeep import PostgresUpkeep
from alert_history.urls.postgres import read_postgres_url


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
    return Store(
        recorder=PostgresRecorder(connections, router=router, rules=rules),
        history=PostgresHistory(connections),
        upkeep=PostgresUpkeep(connections),
        standings=PostgresStandings(connections, router=router, rules=rules),
        reconciling=PostgresReconciling(connections, router=router, rules=rules),
        lifecycle=PostgresLifecycle(connections),
        outbox=PostgresOutbox(connections),
        archivable=PostgresArchivable(connections),
        classifications=PostgresClassifications(connections),
    )
