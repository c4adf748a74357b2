"""Puts a year of history into a database, as if the service had recorded it: occurrences and their two events each.

Those that fire have no claim yet: the service takes them up when it starts, as it does after an upgrade.
On PostgreSQL by COPY, week by week into partitions that are indexed when they are full; on SQLite by the store's own
statements in large transactions. Neither waits for the disk meanwhile: what is measured comes later.
"""

import asyncio
import sqlite3
from binascii import crc32
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import Any

import asyncpg
from rich.progress import track

from alert_history.storage import open_store
from alert_history.storage.postgres import statements as postgres_statements
from alert_history.storage.sqlite import rows as sqlite_rows
from alert_history.storage.sqlite.terms import fingerprint_term
from bench.databases import Database, Postgres, migrate, sqlite_path
from bench.past import Occurrence

_WEEK = timedelta(days=7)
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK = 10_000


def fill(database: Database, url: str, occurrences: Iterable[Occurrence], *, number: int) -> None:
    """Make the tables and fill them; `number` is how many there are, for the progress bar."""
    migrate(url)
    followed = track(occurrences, f"filling {database.name}", total=number, transient=True)
    if isinstance(database, Postgres):
        asyncio.run(_fill_postgres(url, followed))
    else:
        _fill_sqlite(url, followed)
    asyncio.run(_summarise(url))
    database.rest(url)


async def _summarise(url: str) -> None:
    """Build the segments of searches, as the service does in the background."""
    store = open_store(url)
    await store.lifecycle.open()
    try:
        now = datetime.now(UTC)
        await store.upkeep.summarise(now)  # PostgreSQL may only look at the time
        while await store.upkeep.summarise(now):
            pass
    finally:
        await store.lifecycle.close()


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


async def _fill_postgres(url: str, occurrences: Iterable[Occurrence]) -> None:
    connection = await asyncpg.connect(url, server_settings={"synchronous_commit": "off", "timezone": "UTC"})
    try:
        await connection.execute("SET maintenance_work_mem = '512MB'")
        for week, of_week in groupby(occurrences, _week_of):
            await _fill_week(connection, week, of_week)
        await connection.execute("VACUUM (ANALYZE) alerts, events")
    finally:
        await connection.close()


def _week_of(occurrence: Occurrence) -> datetime:
    return _MONDAY + (_time(occurrence.starts_at) - _MONDAY) // _WEEK * _WEEK


async def _fill_week(connection: "asyncpg.Connection[Any]", week: datetime, occurrences: Iterator[Occurrence]) -> None:
    """Fill the partitions of a week; attach, and so index, them if they are new."""
    names = {table: f"{table}_p{week:%Y%m%d}" for table in ("alerts", "events")}
    are_new = await connection.fetchval("SELECT to_regclass($1) IS NULL", names["alerts"])
    if are_new:
        for table, name in names.items():
            options = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE"
            await connection.execute(f"CREATE TABLE {name} (LIKE {table} {options})")
    while chunk := list(islice(occurrences, _CHUNK)):
        alert_lines, event_lines = (
            map(_alert_line, chunk),
            (line for occurrence in chunk for line in _event_lines(occurrence)),
        )
        await _copy(connection, names["alerts"], postgres_statements.ALERT_COLUMNS, alert_lines)
        await _copy(connection, names["events"], postgres_statements.EVENT_COLUMNS, event_lines)
    if are_new:
        for table, name in names.items():
            span = f"FROM ('{week.isoformat()}') TO ('{(week + _WEEK).isoformat()}')"
            await connection.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {span}")


async def _copy(
    connection: "asyncpg.Connection[Any]", table: str, columns: Iterable[str], lines: Iterable[str]
) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield "".join(lines).encode()

    await connection.copy_to_table(table, columns=list(columns), source=source(), format="text")


def _alert_line(occurrence: Occurrence) -> str:
    """A line of COPY's text format, in the order of ALERT_COLUMNS."""
    ends_at = "\\N" if occurrence.ends_at is None else _text(occurrence.ends_at)
    received_at = _text(occurrence.received_at)
    fields = (
        occurrence.fingerprint,
        _text(occurrence.starts_at),
        received_at,
        occurrence.alertname,
        occurrence.namespace,
        occurrence.severity,
        "firing" if occurrence.ends_at is None else "resolved",
        occurrence.labels,
        occurrence.annotations,
        ends_at,
        "\\N",
        received_at if occurrence.ends_at is None else ends_at,
        "3",
        "1" if occurrence.ends_at is None else "2",
        "1",
        "http://prometheus.example.com:9090/graph",
        "alertmanager",
        "alert-history",
        "\\N",
        "true",
        "\\N",
        "\\N" if occurrence.ends_at is None else "resolved",
        ends_at,
        "\\N",
        "\\N" if occurrence.ends_at is None else "0",
    )
    return "\t".join(fields) + "\n"


def _event_lines(occurrence: Occurrence) -> Iterator[str]:
    key = f"{occurrence.fingerprint}\t{_text(occurrence.starts_at)}"
    yield f"{key}\t1\tfired\t{_text(occurrence.received_at)}\t\\N\t\\N\n"
    if occurrence.ends_at is not None:
        yield f"{key}\t2\tresolved\t{_text(occurrence.ends_at)}\t\\N\t\\N\n"


def _text(microseconds: int) -> str:
    return _time(microseconds).isoformat(" ")


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(0, 0, microseconds)


# --- SQLite -----------------------------------------------------------------------------------------------------------


def _fill_sqlite(url: str, occurrences: Iterable[Occurrence]) -> None:
    connection = sqlite3.connect(sqlite_path(url), isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -262144")
        followed = iter(occurrences)
        while chunk := list(islice(followed, _CHUNK)):
            connection.execute("BEGIN IMMEDIATE")
            _insert(connection, chunk)
            connection.execute("COMMIT")
    finally:
        connection.close()


def _insert(connection: sqlite3.Connection, chunk: Sequence[Occurrence]) -> None:
    connection.executemany(sqlite_rows.INSERT_ALERT, map(_alert_row, chunk))
    connection.executemany(sqlite_rows.INSERT_TERMS, map(_terms_row, chunk))
    connection.executemany(sqlite_rows.INSERT_EVENT, [row for occurrence in chunk for row in _event_rows(occurrence)])


def _alert_row(occurrence: Occurrence) -> tuple[Any, ...]:
    return (
        _id(occurrence),
        occurrence.fingerprint,
        occurrence.starts_at,
        occurrence.received_at,
        occurrence.alertname,
        occurrence.namespace,
        occurrence.severity,
        "firing" if occurrence.ends_at is None else "resolved",
        occurrence.labels,
        occurrence.annotations,
        occurrence.ends_at,
        None,
        occurrence.ends_at or occurrence.received_at,
        3,
        1 if occurrence.ends_at is None else 2,
        1,
        "http://prometheus.example.com:9090/graph",
        "alertmanager",
        "alert-history",
        None,
        True,
        None,
        None if occurrence.ends_at is None else "resolved",
        occurrence.ends_at,
        None,
        None if occurrence.ends_at is None else 0,
    )


def _terms_row(occurrence: Occurrence) -> tuple[int, str]:
    """As `terms.terms_of`, from labels that are joined already."""
    return _id(occurrence), " ".join([fingerprint_term(occurrence.fingerprint), *map(_term, occurrence.words)])


def _event_rows(occurrence: Occurrence) -> Iterator[tuple[Any, ...]]:
    yield (_id(occurrence), 1, "fired", occurrence.received_at, None, None)
    if occurrence.ends_at is not None:
        yield (_id(occurrence), 2, "resolved", occurrence.ends_at, None, None)


def _id(occurrence: Occurrence) -> int:
    return occurrence.received_at * sqlite_rows.IDS_A_MICROSECOND


def _term(word: str) -> str:
    return f"l{crc32(word.encode()):x}"
