"""Importing: rows of a file into a database, beside the bare limit: a COPY or an insert of the rows that this makes.

An import and the limit follow each other in each round, so both have the same machine. The limit puts the rows of
occurrences and events, read back from the database, into the same tables with the same partitions and indexes, in as
many transactions. It decides nothing, and finds nothing that may be there already.
"""

import asyncio
import gc
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec
import psutil
from tests.commands import command, environment

from alert_history.cli.app import YOUNG_OBJECTS
from alert_history.engine.importing import Importing, ImportNeeds, ImportPlan
from alert_history.origins.imports.registry import find_origin
from alert_history.ports.imports import ImportRecord
from alert_history.ports.past_origins import ImportRequest
from alert_history.storage import open_store
from alert_history.storage.postgres import statements as postgres_statements
from alert_history.storage.shared.importing import MOST_FIRINGS
from alert_history.storage.spool import STEP_LABEL_SETS, open_spool
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.rows import INSERT_TERMS, insert
from alert_history.storage.sqlite.terms import terms_of
from bench.databases import Database, Postgres, migrate, sqlite_path, with_connection
from bench.past import Occurrence
from bench.plan import Plan
from bench.report import Measured, at_least, at_most, grouped
from bench.watch import median
from bench.year import YEAR, year

MAX_ROWS = 200_000
"""So many rows are enough, and those of the limit fit into memory."""

_PROMISED_RATIO = 0.4
_PROMISED_MIB = 200
_PROMISED_ROWS = 60_000
_SAMPLE_SECONDS = 0.02
_RETENTION = YEAR + timedelta(days=30)
_BESIDE = ("imported_at", "import_id")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


class Round(NamedTuple):
    """Seconds of an import, of which reading, and of the limit: rows in the order of the import, and of their time."""

    imported: float
    reading: float
    bare: float
    bare_by_time: float


class Rows(NamedTuple):
    """The rows of a table that an import made."""

    table: str
    columns: Sequence[str]
    rows: list[tuple[Any, ...]]


def measure(database: Database, plan: Plan) -> list[Measured]:
    """Import a year by rounds, each beside its limit."""
    path = plan.folder / "past.jsonl"
    gc.set_threshold(YOUNG_OBJECTS)  # as the command has it
    number, label_sets = write_rows(path, year(min(plan.history, MAX_ROWS), until=datetime.now(UTC)))
    rounds = []
    for turn in range(plan.rounds):
        plan.say(f"{database.name}: importing {grouped(number)} rows, {turn + 1} of {plan.rounds}")
        rounds.append(_round(database, path, number=number, transactions=_steps(number, label_sets)))
    plan.keep(f"{database.name}: importing", rounds)
    plan.say(f"{database.name}: the memory of the command")
    return [_reading(database, path, number), *_lines(database, rounds, number), _memory(database, path)]


def write_rows(path: Path, occurrences: Iterable[Occurrence]) -> tuple[int, int]:
    """A file of JSON lines with these occurrences, as an export has them; how many rows and label sets it has."""
    label_sets: Counter[str] = Counter()
    with path.open("wb") as file:
        for each in occurrences:
            file.write(_encode(_row(each)) + b"\n")
            label_sets[each.fingerprint] += 1
    return label_sets.total(), len(label_sets)


def _row(occurrence: Occurrence) -> dict[str, Any]:
    ends_at = occurrence.ends_at
    return {
        "labels": msgspec.Raw(occurrence.labels.encode()),
        "annotations": msgspec.Raw(occurrence.annotations.encode()),
        "starts_at": _time(occurrence.starts_at),
        "ends_at": None if ends_at is None else _time(ends_at),
        "status": "firing" if ends_at is None else "resolved",
        "generator_url": "http://prometheus:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        "source": "alertmanager",
        "receiver": "team",
    }


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def _steps(number: int, label_sets: int) -> int:
    """About how many transactions an import takes."""
    return max(number // MOST_FIRINGS, label_sets // STEP_LABEL_SETS, 1)


def _reading(database: Database, path: Path, number: int) -> Measured:
    """How fast the rows are read alone, before anything is made of them."""
    seconds = asyncio.run(read_rows(path, number=number))
    note = f"{path.stat().st_size / number:.0f} bytes a row; no database is asked"
    return Measured(
        database.name, "rows read from JSON lines", number / seconds, "rows/s", at_least(_PROMISED_ROWS), note
    )


async def read_rows(path: Path, *, number: int) -> float:
    """Seconds that reading all rows takes. All must be firings."""
    begin, firings = time.perf_counter(), 0
    async for batch in find_origin("jsonl").read(ImportRequest({"file": (str(path),)}, datetime.now(UTC))):
        firings += len(batch.firings)
    seconds = time.perf_counter() - begin
    assert firings == number, firings
    return seconds


def _lines(database: Database, rounds: Sequence[Round], number: int) -> list[Measured]:
    bare = "COPY" if isinstance(database, Postgres) else "insert"
    seconds = median([each.imported for each in rounds])
    reading = median([each.reading for each in rounds])
    note = f"reading and sorting took {reading:.1f} s of {seconds:.1f} s"
    return [
        Measured(database.name, "imported rows", number / seconds, "rows/s", None, note),
        _ratio(database.name, f"import ÷ bare {bare}", [(each.bare_by_time, each.imported) for each in rounds], number),
        _ratio(
            database.name,
            f"import ÷ bare {bare} in the order of the import",
            [(each.bare, each.imported) for each in rounds],
            number,
        ),
    ]


def _ratio(name: str, what: str, seconds: Sequence[tuple[float, float]], number: int) -> Measured:
    """The median of limit ÷ import."""
    ratios = [bare / imported for bare, imported in seconds]
    of_rounds = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    note = f"bare: {grouped(number / median([bare for bare, _ in seconds]))} rows/s; rounds: {of_rounds}"
    return Measured(name, what, median(ratios), "", at_least(_PROMISED_RATIO), note)


def _round(database: Database, path: Path, *, number: int, transactions: int) -> Round:
    url = database.fresh()
    migrate(url)
    imported, reading = asyncio.run(import_rows(url, path, number=number))
    database.rest(url)
    bare = _copy_seconds if isinstance(database, Postgres) else _insert_seconds
    seconds = [bare(database, url, transactions=transactions, is_by_time=is_by_time) for is_by_time in (False, True)]
    database.drop(url)
    return Round(imported, reading, *seconds)


async def import_rows(url: str, path: Path, *, number: int) -> tuple[float, float]:
    """Seconds of an import, and those until the first row was written. It must take in all rows."""
    store = open_store(url)
    await store.lifecycle.open()
    clock = lambda: datetime.now(UTC)  # noqa: E731  # one word, used once
    needs = ImportNeeds(
        store.imports,
        store.settings,
        store.reconciling,
        open_spool,
        clock,
        _RETENTION,
        files=store.import_files,
        alone=store.archivable.alone,
    )
    request = ImportRequest({"file": (str(path),)}, datetime.now(UTC))
    phases: dict[str, float] = {}

    def observe(record: ImportRecord) -> None:
        phases.setdefault(record.phase, time.perf_counter())

    try:
        begin = time.perf_counter()
        record = await Importing(needs).run(ImportPlan(find_origin("jsonl"), request, f"jsonl {path}"), observe)
        end = time.perf_counter()
    finally:
        await store.lifecycle.close()
    counts = record.counts
    assert (counts.taken + counts.merged + counts.joined, counts.refused) == (number, 0), counts
    return end - begin, phases["writing"] - begin


def _memory(database: Database, path: Path) -> Measured:
    url = database.fresh()
    migrate(url)
    words = command("import", "jsonl", path)
    env = environment({"DATABASE_URL": url, "RETENTION_DAYS": str(_RETENTION.days), "TMPDIR": str(path.parent)})
    peak_bytes = 0
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:  # not what the system notes: that counts the moment before the program began, too
            with suppress(psutil.NoSuchProcess):
                peak_bytes = max(peak_bytes, watched.memory_info().rss)
            time.sleep(_SAMPLE_SECONDS)
    database.drop(url)
    assert process.returncode == 0
    note = "the most that the command was seen to take"
    return Measured(database.name, "memory of an import", peak_bytes / 2**20, "MiB", at_most(_PROMISED_MIB), note)


def _parts(rows: Sequence[Any], parts: int) -> Iterator[Sequence[Any]]:
    for part in range(parts):
        yield rows[len(rows) * part // parts : len(rows) * (part + 1) // parts]


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def _copy_seconds(database: Database, url: str, *, transactions: int, is_by_time: bool) -> float:
    """Empty the tables and COPY all rows back; the seconds that COPY took."""
    order = '"timestamp"' if is_by_time else "fingerprint, starts_at"
    tables: list[Rows] = with_connection(url, lambda connection: _read(connection, order))
    with_connection(url, lambda connection: connection.execute("TRUNCATE alerts, events"))
    database.rest(url)

    async def copy(connection: "asyncpg.Connection[Any]") -> float:
        begin = time.perf_counter()
        for parts in zip(*(_parts(table.rows, transactions) for table in tables), strict=True):
            async with connection.transaction():
                for table, rows in zip(tables, parts, strict=True):
                    await connection.copy_records_to_table(table.table, records=rows, columns=table.columns)
        return time.perf_counter() - begin

    seconds: float = with_connection(url, copy)
    return seconds


async def _read(connection: "asyncpg.Connection[Any]", order: str) -> list[Rows]:
    alerts = (*postgres_statements.ALERT_COLUMNS, *_BESIDE)
    events = tuple(postgres_statements.EVENT_COLUMNS)
    by_alert = f"SELECT {_names(events, 'e')} FROM events e JOIN alerts USING (fingerprint, starts_at) ORDER BY {order}"
    return [
        Rows(
            "alerts",
            alerts,
            [
                tuple(row)
                for row in await connection.fetch(f"SELECT {_names(alerts, 'alerts')} FROM alerts ORDER BY {order}")
            ],
        ),
        Rows("events", events, [tuple(row) for row in await connection.fetch(by_alert)]),
    ]


def _names(columns: Iterable[str], table: str) -> str:
    return ", ".join(f'{table}."{column}"' for column in columns)


# --- SQLite -----------------------------------------------------------------------------------------------------------


def _insert_seconds(database: Database, url: str, *, transactions: int, is_by_time: bool) -> float:
    """Insert all rows into a database of its own, as the store opens it; the seconds that inserting took."""
    return asyncio.run(_insert(database, url, transactions=transactions, is_by_time=is_by_time))


async def _insert(database: Database, url: str, *, transactions: int, is_by_time: bool) -> float:
    order = "a.id" if is_by_time else "a.fingerprint, a.starts_at"
    tables, fresh = _read_sqlite(url, order), database.fresh()
    await asyncio.to_thread(migrate, fresh)
    target = Connections(str(sqlite_path(fresh)))
    begin = time.perf_counter()
    for parts in zip(*(_parts(rows, transactions) for _, rows in tables), strict=True):
        await target.write(_insert_parts, [statement for statement, _ in tables], parts)
    seconds = time.perf_counter() - begin
    target.close()
    database.drop(fresh)
    return seconds


def _insert_parts(connection: sqlite3.Connection, statements: Sequence[str], parts: Sequence[Sequence[Any]]) -> None:
    for statement, rows in zip(statements, parts, strict=True):
        connection.executemany(statement, rows)


def _read_sqlite(url: str, order: str) -> list[tuple[str, list[Any]]]:
    """The statements of the tables, and their rows: occurrences, the index of their labels, and events."""
    with closing(sqlite3.connect(sqlite_path(url))) as connection:
        connection.row_factory = sqlite3.Row
        alerts = connection.execute(f"SELECT a.* FROM alerts a ORDER BY {order}").fetchall()
        by_alert = f"SELECT e.* FROM events e JOIN alerts a ON a.id = e.alert_id ORDER BY {order}, e.key"
        events = connection.execute(by_alert).fetchall()
    terms = [(row["id"], terms_of(row["fingerprint"], _decode(row["labels"]))) for row in alerts]
    statements = [insert("alerts", alerts[0].keys()), INSERT_TERMS, insert("events", events[0].keys())]
    return list(zip(statements, [[tuple(row) for row in alerts], terms, [tuple(row) for row in events]], strict=True))
