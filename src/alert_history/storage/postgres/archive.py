"""PostgreSQL: old history as rows, for an archive. Each statement finds rows by key, in a bounded step."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from alert_history.domain.archive_tables import ALERTS, BODIES, EVENTS, Column, Entry, Kind, Row, Shape
from alert_history.errors import Busy, QueryTimeout
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.database import PostgresSession
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.postgres.upkeep import PARTITIONED, create_partitions
from alert_history.storage.shared.json_text import encode_json
from alert_history.storage.shared.restored import count_restored, note_taken_out
from alert_history.zstd import compress, decompress

_LOCK = 0x6172636869  # "archi"
_LOCK_SETTINGS = "SET lock_timeout = '2s'; SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10"
_UNLOCK_SECONDS = 5
_COUNT_TIMEOUT_MS = 5_000
_BODY_LEVEL = 1
_TYPES: dict[Kind, str] = {
    "text": "text",
    "time": "timestamptz",
    "integer": "bigint",
    "truth": "bool",
    "json": "text",
    "texts": "text",
    "bytes": "bytea",
}
_LOWEST: dict[Kind, Any] = {"text": "", "time": datetime.min.replace(tzinfo=UTC), "bytes": b""}
_ALIVE = "SELECT FROM alerts a WHERE a.fingerprint = t.fingerprint AND a.starts_at = t.starts_at"
_QUEUED = "SELECT FROM delivery_queue q WHERE q.fingerprint = t.fingerprint AND q.starts_at = t.starts_at"
_EVENT_COUNT = "(SELECT count(*) FROM events e WHERE e.fingerprint = t.fingerprint AND e.starts_at = t.starts_at)"
_AGE = {
    "alerts": f"""t."timestamp" < $1 AND t.last_received_at < $1 AND t.status <> 'firing' AND NOT EXISTS ({_QUEUED})""",
    "deliveries": f"t.created_at < $1 AND NOT EXISTS ({_ALIVE})",
    "acts": f"t.at < $1 AND NOT EXISTS ({_ALIVE})",
}

_read_texts = msgspec.json.Decoder(dict[str, str]).decode


class PostgresArchivable:
    """See `ports.Archivable`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """An advisory lock, which the server takes back if this process dies.

        The server notices that a moment later, so a run after a killed run waits for the lock a little.
        """
        async with AsyncExitStack() as stack:
            with storage_errors():
                connection = await stack.enter_async_context(self._connections.single())
                await _lock(connection)
            try:
                yield
            finally:  # at once, rather than when the server notices that we are gone
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await connection.execute(f"SELECT pg_advisory_unlock({_LOCK})", timeout=_UNLOCK_SECONDS)

    async def count(self, shape: Shape, *, before: datetime) -> int | None:
        """See `ports.Archivable.count`."""
        sql = f"SELECT count(*) FROM {shape.table} t WHERE {_age(shape)}"
        try:
            with storage_errors():
                async with self._connections.single() as connection:
                    await connection.execute(f"SET statement_timeout = {_COUNT_TIMEOUT_MS}")
                    return int(await connection.fetchval(sql, before))
        except QueryTimeout:
            return None

    async def take(self, shape: Shape, *, before: datetime, after: Row | None) -> tuple[list[Entry], Row | None]:
        """See `ports.Archivable.take`. One snapshot gives rows and events."""
        after = after or tuple(_LOWEST[_kind(shape, name)] for name in shape.order)
        with storage_errors():
            async with self._connections.single() as connection:
                await _probe_by_key(connection)
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    rows = await connection.fetch(_take(shape), before, *after)
                    events = await _events_of(connection, rows) if shape is ALERTS else {}
        entries = [_entry(shape, row, events) for row in rows]
        is_last = len(entries) < shape.page_rows
        return entries, None if is_last else shape.values(entries[-1].row, shape.order)

    async def drop(self, shape: Shape, entries: Sequence[Entry]) -> int:
        """See `ports.Archivable.drop`."""
        names = (*shape.key, *shape.version)
        columns = _arrays(shape, names, [entry.row for entry in entries])
        with storage_errors():
            async with self._connections.single() as connection:
                await _probe_by_key(connection)
                async with connection.transaction():
                    gone = await connection.fetch(_drop(shape), *columns)
                    if gone and shape is ALERTS:
                        await connection.execute(_DROP_EVENTS, *zip(*gone, strict=True))
                    if gone:
                        await note_taken_out(PostgresSession(connection), shape, entries)
        return len(gone)

    async def put(self, shape: Shape, entries: Sequence[Entry]) -> int:
        """See `ports.Archivable.put`."""
        with storage_errors():
            async with self._connections.single() as connection, connection.transaction():
                rows = [entry.row for entry in entries]
                made = {tuple(row) for row in await connection.fetch(_put(shape), *_columns(shape, rows))}
                events = [
                    event for entry in entries if shape.values(entry.row, shape.key) in made for event in entry.events
                ]
                if events:
                    await connection.fetch(_put(EVENTS), *_columns(EVENTS, events))
                new = {shape.values(entry.row, shape.key): entry for entry in reversed(entries)}
                await count_restored(PostgresSession(connection), shape, [new[key] for key in made])
        return len(made)

    async def make_room(self, shape: Shape, day: date) -> None:
        """Partitions for that day, so that a restored year does not pile up in the default partition.

        The start of an occurrence decides its partition, so the week before gets a partition, too.
        """
        until = datetime(day.year, day.month, day.day, tzinfo=UTC)
        tables = [shape.table, EVENTS.table] if shape is ALERTS else [shape.table]
        with storage_errors():
            async with self._connections.single() as connection:
                for table in tables:
                    if table in PARTITIONED:
                        since = max(until, _LOWEST["time"] + timedelta(days=7)) - PARTITIONED[table].length
                        await create_partitions(connection, table, since=since, until=until)


async def _lock(connection: Connection) -> None:
    await connection.execute(_LOCK_SETTINGS)
    try:
        await connection.execute(f"SELECT pg_advisory_lock({_LOCK})")
    except asyncpg.LockNotAvailableError:
        raise Busy("another process archives, restores or imports into this database") from None


async def _probe_by_key(connection: Connection) -> None:
    """Keep the planner from scans of all partitions, however stale its statistics are."""
    for way in ("seqscan", "hashjoin", "mergejoin"):
        await connection.execute(f"SET enable_{way} = off")


def _kind(shape: Shape, name: str) -> Kind:
    return shape.columns[shape.places[name]].kind


def _age(shape: Shape) -> str:
    return _AGE.get(shape.name, f"t.{shape.time} < $1")


def _listed(names: Sequence[str], *, of: str) -> str:
    return ", ".join(f'{of}."{name}"' for name in names)


def _take(shape: Shape) -> str:
    order = _listed(shape.order, of="t")
    place = ", ".join(f"${number}" for number in range(2, 2 + len(shape.order)))
    columns = _listed([column.name for column in shape.stored], of="t")
    return f"""SELECT {columns} FROM {shape.table} t WHERE {_age(shape)} AND ({order}) > ({place})
        ORDER BY {order} LIMIT {shape.page_rows}"""


def _drop(shape: Shape) -> str:
    names = [*shape.key, *shape.version]
    arrays = ", ".join(f"${number}::{_TYPES[_kind(shape, name)]}[]" for number, name in enumerate(names, 1))
    stored = {column.name for column in shape.stored}
    same = [f't."{name}" = u."{name}"' if name in stored else f'{_EVENT_COUNT} = u."{name}"' for name in names]
    return f"""DELETE FROM {shape.table} t USING unnest({arrays}) AS u({", ".join(f'"{name}"' for name in names)})
        WHERE {" AND ".join(same)} RETURNING {_listed(shape.key, of="t")}"""


_DROP_EVENTS = """DELETE FROM events e USING unnest($1::text[], $2::timestamptz[]) AS u(fingerprint, starts_at)
    WHERE e.fingerprint = u.fingerprint AND e.starts_at = u.starts_at"""


def _put(shape: Shape) -> str:
    arrays = ", ".join(f"${number}::{_TYPES[column.kind]}[]" for number, column in enumerate(shape.stored, 1))
    names = ", ".join(f'"{column.name}"' for column in shape.stored)
    picked = ", ".join(
        f'u."{column.name}"::jsonb' if column.kind in {"json", "texts"} else f'u."{column.name}"'
        for column in shape.stored
    )
    return f"""INSERT INTO {shape.table} ({names}) SELECT {picked} FROM unnest({arrays}) AS u({names})
        ON CONFLICT DO NOTHING RETURNING {", ".join(f'"{name}"' for name in shape.key)}"""


def _arrays(shape: Shape, names: Sequence[str], rows: Sequence[Row]) -> list[list[Any]]:
    """A list for each column, as the server takes columns."""
    return [[_to_server(row[shape.places[name]], _kind(shape, name)) for row in rows] for name in names]


def _columns(shape: Shape, rows: Sequence[Row]) -> list[list[Any]]:
    columns = _arrays(shape, [column.name for column in shape.stored], rows)
    if shape is BODIES:
        columns[-1] = [compress(body, _BODY_LEVEL) for body in columns[-1]]
    return columns


def _to_server(value: Any, kind: Kind) -> Any:
    return encode_json(value).decode() if kind == "texts" else value


async def _events_of(connection: Connection, rows: Sequence[Any]) -> dict[Row, list[Row]]:
    """The events of occurrences, by the key of the occurrence, in order."""
    keys = [(row["fingerprint"], row["starts_at"]) for row in rows]
    if not keys:
        return {}
    sql = f"""SELECT {_listed([column.name for column in EVENTS.columns], of="e")}
        FROM unnest($1::text[], $2::timestamptz[]) AS u(fingerprint, starts_at)
        JOIN events e ON e.fingerprint = u.fingerprint AND e.starts_at = u.starts_at ORDER BY e.key"""
    events: dict[Row, list[Row]] = {key: [] for key in keys}
    for row in await connection.fetch(sql, *zip(*keys, strict=True)):
        events[row["fingerprint"], row["starts_at"]].append(tuple(row))
    return events


def _entry(shape: Shape, row: Any, events: dict[Row, list[Row]]) -> Entry:
    values = tuple(_from_server(row[column.name], column) for column in shape.stored)
    if shape is BODIES:
        values = (*values[:-1], decompress(values[-1]))
    if shape is not ALERTS:
        return Entry(values)
    own = events[values[:2]]
    return Entry((*values, len(own)), tuple(own))


def _from_server(value: Any, column: Column) -> Any:
    return _read_texts(value) if column.kind == "texts" else value
