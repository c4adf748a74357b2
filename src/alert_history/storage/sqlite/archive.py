"""SQLite: old history as rows, for an archive. It runs beside the service, so each step is as short as a commit."""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from alert_history.domain.archive_tables import ACTS, ALERTS, BODIES, EVENTS, Entry, Kind, Row, Shape
from alert_history.domain.microseconds import from_us, to_us
from alert_history.errors import Busy, QueryTimeout
from alert_history.ids import lowest_uuid7
from alert_history.storage.shared.json_text import encode_json
from alert_history.storage.shared.restored import count_restored, note_taken_out
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.database import run_work
from alert_history.storage.sqlite.terms import terms_of
from alert_history.storage.sqlite.upkeep import remove_occurrences
from alert_history.zstd import compress, decompress

_BODY_LEVEL = 1
_LOWEST: dict[Kind, Any] = {"text": "", "time": -(2**63), "bytes": b""}
_QUEUED = "SELECT 1 FROM delivery_queue q WHERE q.starts_at = t.starts_at AND q.fingerprint = t.fingerprint"
_ALIVE = "SELECT 1 FROM alerts a WHERE a.starts_at = t.starts_at AND a.fingerprint = t.fingerprint"
_EVENTS = ", ".join(f'"{column.name}"' for column in EVENTS.columns[2:])

_read_texts = msgspec.json.Decoder(dict[str, str]).decode


class SqliteArchivable:
    """See `ports.Archivable`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """A lock on a file beside the database, which the system takes back if this process dies."""
        with _lock(Path(f"{self._connections.path}-archive-lock")):
            yield

    async def count(self, shape: Shape, *, before: datetime) -> int | None:
        """See `ports.Archivable.count`."""
        try:
            return await self._connections.read(_count, shape, before=before)
        except QueryTimeout:
            return None

    async def take(self, shape: Shape, *, before: datetime, after: Row | None) -> tuple[list[Entry], Row | None]:
        """See `ports.Archivable.take`."""
        return await self._connections.read(_take, shape, before=before, after=after)

    async def drop(self, shape: Shape, entries: Sequence[Entry]) -> int:
        """See `ports.Archivable.drop`."""
        return await self._connections.write(_drop_and_note, shape, entries=entries)

    async def put(self, shape: Shape, entries: Sequence[Entry]) -> int:
        """See `ports.Archivable.put`."""
        return await self._connections.write(_put, shape, entries=entries)

    async def make_room(self, shape: Shape, day: date) -> None:  # noqa: ARG002  # the port's shape
        """Do nothing: a file has no partitions."""
        await asyncio.sleep(0)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Lock a file. The file stays, because a process that removed it might take it from the next process."""
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("another process archives, restores or imports into this database") from None
        yield


def _age(shape: Shape, before: datetime) -> tuple[str, list[Any]]:
    """The condition for old rows, and its arguments; the order of the key bounds how many rows are looked at."""
    limit = to_us(before)
    if shape is ALERTS:
        age = f"t.id < ? AND t.last_received_at < ? AND t.status <> 'firing' AND NOT EXISTS ({_QUEUED})"
        return age, [limit * sql.IDS_A_MICROSECOND, limit]
    if shape is BODIES:
        return "t.received_on < ?", [limit]
    if shape is ACTS:
        return f"t.at < ? AND NOT EXISTS ({_ALIVE})", [limit]
    age = f"t.id < ? AND t.{shape.time} < ?"
    if shape.name == "deliveries":
        age += f" AND NOT EXISTS ({_ALIVE})"
    return age, [lowest_uuid7(before), limit]


def _count(connection: sqlite3.Connection, shape: Shape, *, before: datetime) -> int:
    age, arguments = _age(shape, before)
    return int(connection.execute(f"SELECT count(*) FROM {shape.table} t WHERE {age}", arguments).fetchone()[0])


def _take(
    connection: sqlite3.Connection, shape: Shape, *, before: datetime, after: Row | None
) -> tuple[list[Entry], Row | None]:
    order = ("id",) if shape is ALERTS else shape.order
    after = after or ((-1,) if shape is ALERTS else tuple(_LOWEST[_kind(shape, name)] for name in order))
    age, arguments = _age(shape, before)
    listed = ", ".join(f"t.{name}" for name in order)
    rows = connection.execute(
        f"""SELECT t.* FROM {shape.table} t WHERE {age} AND ({listed}) > ({", ".join("?" * len(order))})
        ORDER BY {listed} LIMIT {shape.page_rows}""",
        [*arguments, *after],
    ).fetchall()
    entries = [_entry(connection, shape, row) for row in rows]
    return entries, None if len(rows) < shape.page_rows else tuple(rows[-1][name] for name in order)


def _kind(shape: Shape, name: str) -> Kind:
    return shape.columns[shape.places[name]].kind


def _entry(connection: sqlite3.Connection, shape: Shape, row: sqlite3.Row) -> Entry:
    values = tuple(_from_file(row[column.name], column.kind) for column in shape.stored)
    if shape is BODIES:
        values = (*values[:-1], decompress(values[-1]))
    if shape is not ALERTS:
        return Entry(values)
    event_rows = connection.execute(f"SELECT {_EVENTS} FROM events WHERE alert_id = ? ORDER BY key", (row["id"],))
    kinds = [column.kind for column in EVENTS.columns[2:]]
    events = tuple((*values[:2], *map(_from_file, event, kinds)) for event in event_rows)
    return Entry((*values, len(events)), events)


def _from_file(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind == "time":
        return from_us(value)
    if kind == "texts":
        return _read_texts(value)
    return bool(value) if kind == "truth" else value


def _to_file(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind == "time":
        return to_us(value)
    return encode_json(value).decode() if kind == "texts" else value


def _drop_and_note(connection: sqlite3.Connection, shape: Shape, *, entries: Sequence[Entry]) -> int:
    removed = _drop(connection, shape, entries=entries)
    if removed:
        run_work(connection, note_taken_out, shape, entries)
    return removed


def _drop(connection: sqlite3.Connection, shape: Shape, *, entries: Sequence[Entry]) -> int:
    if shape is ALERTS:
        return sum(_drop_occurrence(connection, entry) for entry in entries)
    names = (*shape.key, *shape.version)
    same = " AND ".join(f"{name} = ?" for name in names)
    rows = [[_to_file(entry.row[shape.places[name]], _kind(shape, name)) for name in names] for entry in entries]
    return sum(connection.execute(f"DELETE FROM {shape.table} WHERE {same}", row).rowcount for row in rows)


def _drop_occurrence(connection: sqlite3.Connection, entry: Entry) -> bool:
    """Delete an occurrence that is still as its entry; returns whether it was."""
    key = ALERTS.values(entry.row, ("starts_at", "fingerprint"))
    row = connection.execute(
        """SELECT t.*, (SELECT count(*) FROM events e WHERE e.alert_id = t.id) AS events
        FROM alerts t WHERE t.starts_at = ? AND t.fingerprint = ?""",
        (to_us(key[0]), key[1]),
    ).fetchone()
    if row is None or _version_in(row) != ALERTS.values(entry.row, ALERTS.version):
        return False
    remove_occurrences(connection, [row])
    return True


def _version_in(row: sqlite3.Row) -> Row:
    return tuple(_from_file(row[name], _kind(ALERTS, name)) for name in ALERTS.version)


def _put(connection: sqlite3.Connection, shape: Shape, *, entries: Sequence[Entry]) -> int:
    if shape is ALERTS:
        return _put_occurrences(connection, entries)
    new = [entry for entry in entries if _insert(connection, shape, entry.row)]
    run_work(connection, count_restored, shape, new)
    return len(new)


def _insert(connection: sqlite3.Connection, shape: Shape, row: Row) -> int:
    """Insert a row; returns 1 for a new row."""
    values = [_to_file(value, column.kind) for value, column in zip(row, shape.stored, strict=True)]
    if shape is BODIES:
        values[-1] = compress(values[-1], _BODY_LEVEL)
    names = ", ".join(f'"{column.name}"' for column in shape.stored)
    places = ", ".join("?" * len(values))
    return connection.execute(
        f"INSERT INTO {shape.table} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING", values
    ).rowcount


def _put_occurrences(connection: sqlite3.Connection, entries: Sequence[Entry]) -> int:
    find = "SELECT 1 FROM alerts WHERE starts_at = ? AND fingerprint = ?"
    new: dict[Row, Entry] = {}
    for entry in entries:
        fingerprint, starts_at = ALERTS.values(entry.row, ALERTS.key)
        if connection.execute(find, (to_us(starts_at), fingerprint)).fetchone() is None:
            new.setdefault((fingerprint, starts_at), entry)
    ids = sql.new_ids(connection, [entry.row[ALERTS.places["timestamp"]] for entry in new.values()])
    for alert_id, entry in zip(ids, new.values(), strict=True):
        _insert_occurrence(connection, alert_id, entry)
    run_work(connection, count_restored, ALERTS, list(new.values()))
    return len(new)


def _insert_occurrence(connection: sqlite3.Connection, alert_id: int, entry: Entry) -> None:
    values = [
        _to_file(value, column.kind)
        for value, column in zip(entry.row, ALERTS.columns, strict=True)
        if not column.is_counted
    ]
    names = ", ".join(f'"{column.name}"' for column in ALERTS.stored)
    places = ", ".join("?" * (len(values) + 1))
    connection.execute(f"INSERT INTO alerts (id, {names}) VALUES ({places})", [alert_id, *values])
    fingerprint, labels = ALERTS.values(entry.row, ("fingerprint", "labels"))
    connection.execute(sql.INSERT_TERMS, (alert_id, terms_of(fingerprint, labels)))
    kinds = [column.kind for column in EVENTS.columns[2:]]
    connection.executemany(
        f"INSERT INTO events (alert_id, {_EVENTS}) VALUES (?, ?, ?, ?, ?, ?)",
        [(alert_id, *map(_to_file, event[2:], kinds)) for event in entry.events],
    )
