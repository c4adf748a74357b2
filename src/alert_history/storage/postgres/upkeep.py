"""PostgreSQL: what the background jobs do. Every step is short, and gives way where it would have to wait."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from alert_history.ids import lowest_uuid7
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.database import PostgresSession
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.postgres.summarising import Summariser
from alert_history.storage.shared.dropped import note_dropped

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_AHEAD = timedelta(days=14)
_LOOK_EVERY = timedelta(hours=1)
_PENDING_BYTES = 64 * 1024
_MERGE_TIMEOUT_SECONDS = 60  # far more than it takes; a server that vanished without a word is noticed by then
_STEP_ROWS = 5_000
_STEP_WORDS = 500
OLD_WORDS = """SELECT c.id, replaced.id IS NOT NULL OR (c.source <> 'person' AND known.fingerprint IS NULL) AS is_gone
    FROM classifications c
    LEFT JOIN LATERAL (SELECT n.id FROM classifications n WHERE n.shape = c.shape AND n.id > c.id
        AND (c.source <> 'person' OR n.source = 'person') LIMIT 1) replaced ON true
    LEFT JOIN LATERAL (SELECT a.fingerprint FROM alerts a
        WHERE a.fingerprint = c.fingerprint AND replaced.id IS NULL LIMIT 1) known ON true
    WHERE c.id > $1 AND c.id < $2 ORDER BY c.id LIMIT $3"""
_IS_OLD_ACT = """at < $1 AND NOT EXISTS (
    SELECT FROM alerts a WHERE a.fingerprint = acts.fingerprint AND a.starts_at = acts.starts_at)"""
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '200ms'"

# One replica at a time makes and drops partitions. The second replica looks again, so that the log of PostgreSQL holds
# no error of normal work.
_PARTITIONS = "hashtextextended('alert-history partitions', 0)"
_LOCK_PARTITIONS = f"SELECT pg_advisory_xact_lock({_PARTITIONS})"
_TRY_PARTITIONS = f"SELECT pg_try_advisory_xact_lock({_PARTITIONS})"
_IS_LOCKED_LONG = """SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.relation = ANY($1::text[]::regclass[]) AND l.granted AND a.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND a.xact_start < clock_timestamp() - interval '200 ms')"""
"""Whether another session has locked a table for longer than `_LOCK_TIMEOUT`: a wait would end in an error."""


class Partitioning(msgspec.Struct, frozen=True):
    """How a table is partitioned: its time column, the length of a partition, how far back new rows may lie."""

    column: str
    length: timedelta
    behind: timedelta


PARTITIONED = {
    "alerts": Partitioning("starts_at", _WEEK, behind=2 * _WEEK),
    "events": Partitioning("starts_at", _WEEK, behind=2 * _WEEK),
    "receipts": Partitioning("received_at", _WEEK, behind=_DAY),
    "receipt_bodies": Partitioning("received_on", _DAY, behind=_DAY),
    "deliveries": Partitioning("created_at", _WEEK, behind=_DAY),
}


class PostgresUpkeep:
    """See `ports.Upkeep`."""

    prepare_every = timedelta(seconds=1)
    forgetting_share = 0.02
    summarising_share = 0.1

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._look_again_at: datetime | None = None
        self._read_words_up_to = ""
        self._summariser = Summariser(connections)

    async def prepare(self, now: datetime) -> None:
        """Make partitions ahead (looks once an hour), and merge the pending lists of the label indexes."""
        with storage_errors():
            if self._look_again_at is None or now >= self._look_again_at:
                async with self._connections.upkeep() as connection:
                    if await _create_due_partitions(connection, now):
                        self._look_again_at = now + _LOOK_EVERY
            async with self._connections.upkeep(within_seconds=_MERGE_TIMEOUT_SECONDS) as connection:
                await _merge_pending_lists(connection)

    async def summarise(self, now: datetime) -> int:  # noqa: ARG002  # the clock of the database decides
        """See `ports.Upkeep.summarise`."""
        return await self._summariser.step()

    async def drop_history(self, before: datetime) -> int:
        """Drop whole partitions first; then old rows in other partitions, by small deletes."""
        with storage_errors():
            async with self._connections.upkeep() as connection:
                for partition in await _partitions(connection, "alerts", older_than=before):
                    return await _drop_occurrences(connection, partition, before=before)
                for table in ("receipts", "deliveries"):
                    for partition in await _partitions(connection, table, older_than=before):
                        return await _drop_partition(connection, table, partition)
                return await _delete_strays(connection, before)

    async def drop_bodies(self, before: datetime) -> int:
        """See `ports.Upkeep.drop_bodies`."""
        with storage_errors():
            async with self._connections.upkeep() as connection:
                for partition in await _partitions(connection, "receipt_bodies", older_than=before):
                    return await _drop_partition(connection, "receipt_bodies", partition)
                return await _delete(connection, "receipt_bodies_default", "received_on < $1", before)

    async def drop_classifications(self, before: datetime) -> int:
        """See `ports.Upkeep.drop_classifications`. Ids follow the time, so the key finds what is old."""
        limit = lowest_uuid7(before)
        with storage_errors():
            async with self._connections.upkeep() as connection:
                if removed := await _delete(connection, "unusable_answers", "id < $1", limit):
                    return removed
                old = await connection.fetch(OLD_WORDS, self._read_words_up_to, limit, _STEP_WORDS)
                gone = [row["id"] for row in old if row["is_gone"]]
                await connection.execute("DELETE FROM classifications WHERE id = ANY($1::text[])", gone)
                self._read_words_up_to = old[-1]["id"] if old else ""
                return len(old)


def _starts(since: datetime, until: datetime, *, length: timedelta) -> Iterator[datetime]:
    """The starts of the partitions that cover a span; weeks begin on Monday, UTC."""
    epoch = datetime(1970, 1, 5, tzinfo=UTC)
    start = epoch + (since - epoch) // length * length
    while start <= until:
        yield start
        start += length


async def _create_due_partitions(connection: Connection, now: datetime) -> bool:
    """Create missing partitions; returns whether all exist now."""
    are_there = [
        await create_partitions(connection, table, since=now - cut.behind, until=now + _AHEAD)
        for table, cut in PARTITIONED.items()
    ]
    return all(are_there)


async def create_partitions(connection: Connection, table: str, *, since: datetime, until: datetime) -> bool:
    """Create the missing partitions of a table for a span; returns whether all exist now."""
    starts = _starts(since, until, length=PARTITIONED[table].length)
    return all([await _create_partition(connection, table, start=start) for start in starts])


async def _create_partition(connection: Connection, table: str, *, start: datetime) -> bool:
    """Create a partition if it is missing, and move the rows of its span from the default partition into it.

    The rows move before the partition is attached. False if ingest holds the lock for long, so that this gave up.
    """
    name = f"{table}_p{start:%Y%m%d}"
    if await _exists(connection, name):
        return True
    column, end = PARTITIONED[table].column, start + PARTITIONED[table].length
    span = f"{column} >= '{start.isoformat()}' AND {column} < '{end.isoformat()}'"
    try:
        async with connection.transaction():
            await connection.execute(_LOCK_PARTITIONS)
            if await _exists(connection, name):  # another replica made it
                return True
            if await connection.fetchval(_IS_LOCKED_LONG, [f"{table}_default"]):
                return False
            await connection.execute(_LOCK_TIMEOUT)
            await connection.execute(f"LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE")
            await connection.execute(
                f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)"
            )
            await connection.execute(
                f"WITH moved AS (DELETE FROM {table}_default WHERE {span} RETURNING *) "
                f"INSERT INTO {name} SELECT * FROM moved"
            )
            await connection.execute(
                f"ALTER TABLE {table} ATTACH PARTITION {name} "
                f"FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
            )
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        return False
    return True


async def _exists(connection: Connection, table: str) -> bool:
    """Whether a table exists now. `to_regclass` may remember an earlier answer, even behind an advisory lock."""
    find = "SELECT 1 FROM pg_class WHERE relname = $1 AND relnamespace = current_schema()::regnamespace"
    return await connection.fetchval(find, table) is not None


async def _may_drop(connection: Connection, partitions: Mapping[str, str]) -> bool:
    """Whether partitions, by their tables, exist, and no other session changes partitions or locks these for long.

    The answer holds until the end of the transaction.
    """
    names = [name for table, partition in partitions.items() for name in (table, f"{table}_default", partition)]
    return (
        await connection.fetchval(_TRY_PARTITIONS)
        and all([await _exists(connection, partition) for partition in partitions.values()])
        and not await connection.fetchval(_IS_LOCKED_LONG, names)
    )


async def _merge_pending_lists(connection: Connection) -> None:
    """Merge the pending lists of the label indexes, so that no commit of ingest has to."""
    indexes = await connection.fetch(
        """SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'idx_alerts_labels'::regclass AND pg_relation_size(c.oid) > $1""",
        _PENDING_BYTES,
    )
    for (index,) in indexes:  # NULL for an index whose partition was dropped meanwhile
        await connection.execute("SELECT gin_clean_pending_list(i) FROM to_regclass($1) i WHERE i IS NOT NULL", index)


async def _partitions(connection: Connection, table: str, *, older_than: datetime) -> list[str]:
    """The partitions of a table that end before a time, oldest first."""
    length = PARTITIONED[table].length
    rows = await connection.fetch(
        """SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = $1::text::regclass AND c.relname ~ '_p[0-9]{8}$' ORDER BY c.relname""",
        table,
    )
    names = [str(row[0]) for row in rows]
    return [name for name in names if _start_of(name) + length <= older_than]


def _start_of(partition: str) -> datetime:
    return datetime.strptime(partition.rsplit("_p", 1)[1], "%Y%m%d").replace(tzinfo=UTC)


async def _drop_partition(connection: Connection, table: str, partition: str) -> int:
    """Detach a partition (locks for a moment), then drop it (locks nothing); estimated rows removed, 0 when busy."""
    rows = await _estimated_rows(connection, partition)
    try:
        async with connection.transaction():
            if not await _may_drop(connection, {table: partition}):
                return 0
            await connection.execute(_LOCK_TIMEOUT)
            await connection.execute(f"ALTER TABLE {table} DETACH PARTITION {partition}")
            await connection.execute(f"DROP TABLE {partition}")
            if table == "deliveries":
                await note_dropped(PostgresSession(connection), _start_of(partition) + PARTITIONED[table].length)
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        return 0
    return max(rows, 1)


async def _estimated_rows(connection: Connection, partition: str) -> int:
    query = "SELECT n_live_tup FROM pg_stat_user_tables WHERE relname = $1"
    return int(await connection.fetchval(query, partition) or 0)


async def _drop_occurrences(connection: Connection, partition: str, *, before: datetime) -> int:
    """Drop a week of occurrences and events; occurrences received after `before` move to the default partition.

    This reads the week before it locks the whole table. Meanwhile only writes to that week have to wait.
    """
    events = partition.replace("alerts", "events", 1)
    if not await _create_partition(connection, "events", start=_start_of(partition)):  # it may be missing
        return 0
    rows = await _estimated_rows(connection, partition)
    keep = f"SELECT fingerprint, starts_at FROM {partition} WHERE last_received_at >= $1"
    try:
        async with connection.transaction():
            if not await _may_drop(connection, {"alerts": partition, "events": events}):
                return 0
            await connection.execute(_LOCK_TIMEOUT)
            await connection.execute(f"LOCK TABLE {partition}, {events} IN EXCLUSIVE MODE")
            has_survivors = await connection.fetchval(f"SELECT EXISTS ({keep})", before)
            await connection.execute(f"ALTER TABLE alerts DETACH PARTITION {partition}")
            await connection.execute(f"ALTER TABLE events DETACH PARTITION {events}")
            if has_survivors:
                await connection.execute(
                    f"INSERT INTO alerts SELECT * FROM {partition} WHERE last_received_at >= $1", before
                )
                await connection.execute(
                    f"INSERT INTO events SELECT e.* FROM {events} e WHERE (e.fingerprint, e.starts_at) IN ({keep})",
                    before,
                )
            await connection.execute(f"DROP TABLE {partition}, {events}")
            await note_dropped(PostgresSession(connection), before)
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        return 0
    return max(rows, 1)


async def _delete_strays(connection: Connection, before: datetime) -> int:
    """Delete a bounded step of the old rows in default partitions."""
    async with connection.transaction():
        gone = await connection.fetch(
            f"""DELETE FROM alerts_default WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM alerts_default WHERE last_received_at < $1 LIMIT {_STEP_ROWS}))
            RETURNING fingerprint, starts_at""",
            before,
        )
        if gone:
            await connection.execute(
                """DELETE FROM events e USING unnest($1::text[], $2::timestamptz[]) AS u(fingerprint, starts_at)
                WHERE e.fingerprint = u.fingerprint AND e.starts_at = u.starts_at""",
                *zip(*gone, strict=True),
            )
        settled = await _delete(connection, "deliveries_default", "created_at < $1", before)
        if gone or settled:
            await note_dropped(PostgresSession(connection), before)
    removed = len(gone) + settled
    removed += await _delete(connection, "receipts_default", "received_at < $1", before)
    removed += await _delete(connection, "acts", _IS_OLD_ACT, before)
    removed += await _delete(connection, "incidents_seen", "seen_at < $1", before)
    return removed + await _delete(connection, "quarantine", "received_at < $1", before)


async def _delete(connection: Connection, table: str, condition: str, before: datetime | str) -> int:
    done = await connection.execute(
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {condition} LIMIT {_STEP_ROWS}))",
        before,
    )
    return int(done.rsplit(" ", 1)[1])
