"""The earlier service of this name, whose tables are read as they are: in SQLite, or in PostgreSQL.

It had two tables over the years, `alert_history` and `alerts`, with columns of several names. Written against
github.com/ipiton/alert-history-service: `alert_history_service.py` of June 2025 (commit c527e49), `sqlite_adapter.py`
and `postgresql_schema.sql` of August 2025, and the tables that its port to Go made (late 2025). Which columns there are
is asked of the database, and a column that is unknown here passes.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.errors import ConfigurationError, ImportFault
from alert_history.origins.imports.legacy_rows import firing_of, place_of
from alert_history.origins.imports.postgres import DATABASE, open_postgres
from alert_history.origins.imports.sqlite import open_sqlite
from alert_history.ports.past_origins import ImportRequest, Option, PastBatch, PastOrigin

FILE = Option("file", "Its SQLite file, as in alert_history.sqlite3.", kind="file")

_TABLES = ("alert_history", "alerts")
_NEEDED = (
    frozenset({"status"}),
    frozenset({"starts_at", "startsat"}),
    frozenset({"labels", "alertname", "alert_name"}),
)
_OURS = frozenset({"repeat_count", "last_received_at"})

_encode = msgspec.json.Encoder().encode


class _Database(Protocol):
    """What both readers have in common."""

    name: str

    async def columns(self, table: str) -> frozenset[str]:
        """Of a table; none where there is no such table."""
        ...

    async def count(self, table: str) -> int:
        """The rows of a table."""
        ...

    def rows(self, table: str) -> AsyncIterator[Sequence[Any]]:
        """The rows of a table, some at a time: mappings, or JSON objects."""
        ...


async def read_legacy(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """Each row of its tables, in the order of the tables."""
    if request.is_set(FILE.name) == request.is_set(DATABASE.name):
        raise ConfigurationError([f"give either the {FILE.name} of SQLite or the {DATABASE.name}, and not both"])
    if request.is_set(FILE.name):
        async with open_sqlite(request.text(FILE.name)) as file:
            async for batch in _read(file, request):
                yield batch
    else:
        async with open_postgres(request) as database:
            async for batch in _read(database, request):
                yield batch


async def _read(database: _Database, request: ImportRequest) -> AsyncIterator[PastBatch]:
    tables = [table for table in _TABLES if await _is_its_table(database, table)]
    if not tables:
        raise ImportFault(f"{database.name}: it has no table of the earlier service: {' or '.join(_TABLES)}")
    total = sum([await database.count(table) for table in tables])
    read = 0
    for table in tables:
        async for rows in database.rows(table):
            read += len(rows)
            yield _batch(rows, table, request=request, done=read / total if total else None)


async def _is_its_table(database: _Database, table: str) -> bool:
    columns = {name.lower() for name in await database.columns(table)}
    if columns >= _OURS:
        raise ConfigurationError(
            [f"{database.name}: this is a database of this service itself; bring it in by export and import jsonl"]
        )
    return all(names & columns for names in _NEEDED)


def _batch(rows: Sequence[Any], table: str, *, request: ImportRequest, done: float | None) -> PastBatch:
    firings: list[PastFiring] = []
    refused: list[RefusedRow] = []
    for row in rows:
        values: Mapping[str, Any] = {}
        try:
            decoded = msgspec.json.decode(row) if isinstance(row, str) else row
            values = {name.lower(): value for name, value in decoded.items()}
            firing = firing_of(values, table, now=request.now)
        except (ValueError, RecursionError) as error:
            refused.append(RefusedRow(place_of(values, table), str(error), _raw(row)))
            continue
        if request.wants(firing.starts_at):
            firings.append(firing)
    return PastBatch(firings, refused, done=min(done, 1.0) if done is not None else None)


def _raw(row: Any) -> bytes:
    """The row as JSON, for people to look at."""
    if isinstance(row, str):
        return row.encode()
    texts = {
        name: value if value is None or isinstance(value, int | float) else _shown(value) for name, value in row.items()
    }
    return _encode(texts)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


ORIGIN = PastOrigin(
    "legacy",
    "The earlier service",
    "Rows of the tables alert_history and alerts of the earlier service, from SQLite or PostgreSQL.",
    (FILE, DATABASE),
    read_legacy,
)
