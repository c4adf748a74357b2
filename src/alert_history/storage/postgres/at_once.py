"""PostgreSQL: a batch without surprises, as one statement.

Each round trip costs a turn of a busy event loop, in which the database idles. So what was foreseen goes to the
database in one statement, which checks it first. It takes its locks in the order of all writers: standings, then
occurrences. Two replicas that begin the same label set meet at its standing, where the second waits and then sees that
it was late; so they leave no error in the log of PostgreSQL.

New label sets need no transaction around the statement, which saves two round trips. If one of them was begun by
somebody else meanwhile, the statement leaves standings of the others without an occurrence. That is nothing new to the
rules: they take it for a firing that the history has forgotten, and begin one. Plain repeats do need a transaction,
because some may count and others not.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import lru_cache
from typing import Any

from alert_history.domain.occurrence import Sighting
from alert_history.domain.receipt import Receipt
from alert_history.storage.postgres import statements as sql
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.rows import (
    alert_row,
    event_row,
    queue_row,
    receipt_row,
    repeat_row,
    standing_row,
)
from alert_history.storage.shared.foreseen import Foreseen
from alert_history.storage.shared.rows import news_rows

_REPEATS = "repeats"
_COLUMNS = {
    "standings": sql.NEW_STANDING_COLUMNS,
    "alerts": sql.ALERT_COLUMNS,
    "events": sql.EVENT_COLUMNS,
    "delivery_queue": sql.QUEUE_COLUMNS,
    _REPEATS: sql.REPEAT_COLUMNS,
    "rollup_log": sql.ROLLUP_COLUMNS,
    "news_log": sql.NEWS_COLUMNS,
    "receipt_bodies": sql.BODY_COLUMNS,
    "receipts": sql.RECEIPT_COLUMNS,
}
_RECEIVED = frozenset({"receipt_bodies", "receipts"})
"""The parts that each statement has."""

_KNOWN = "known AS MATERIALIZED (SELECT FROM standings WHERE fingerprint = ANY($1::text[]) LIMIT 1)"
_IS_UNKNOWN = "WHERE NOT EXISTS (SELECT FROM known) ON CONFLICT DO NOTHING RETURNING 1"
_IS_NEW = "(SELECT count(*) FROM to_standings) = cardinality($1::text[])"


class _Surprise(Exception):
    """The database holds something else than was foreseen. Never leaves the storage."""


async def record_at_once(
    connection: Connection,
    foreseen: Foreseen,
    groups: Mapping[str, Sequence[Sighting]],
    *,
    receipts: Sequence[Receipt],
    bodies: Mapping[tuple[bytes, datetime], bytes],
) -> bool:
    """Write a batch as foreseen; whether it was as foreseen. If not, nothing is written but standings."""
    try:
        async with connection.transaction() if foreseen.plain else nullcontext():
            await _record(connection, foreseen, groups, receipts=receipts, bodies=bodies)
    except _Surprise:
        return False
    return True


async def _record(
    connection: Connection,
    foreseen: Foreseen,
    groups: Mapping[str, Sequence[Sighting]],
    *,
    receipts: Sequence[Receipt],
    bodies: Mapping[tuple[bytes, datetime], bytes],
) -> None:
    parts = _parts(foreseen, groups, receipts=receipts, bodies=bodies)
    statement = _statement(tuple(name for name, rows in parts.items() if rows or name in _RECEIVED))
    columns = [column for name, rows in parts.items() for column in _columns(name, rows)]
    (row,) = await connection.fetch(statement, *columns)
    if (row["begun"], row["counted"]) != (len(foreseen.begun), len(foreseen.plain)):
        raise _Surprise


def _parts(
    foreseen: Foreseen,
    groups: Mapping[str, Sequence[Sighting]],
    *,
    receipts: Sequence[Receipt],
    bodies: Mapping[tuple[bytes, datetime], bytes],
) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each part of the statement, in the order of its parameters."""
    entries = [(entry.first, entry) for d in foreseen.begun for entry in d.entries.values()]
    changes = foreseen.changes(groups)
    return {
        "standings": [standing_row(d.fingerprint, d.standing)[:3] for d in foreseen.begun],
        "alerts": [alert_row(first, entry) for first, entry in entries if first is not None],
        "events": list(map(event_row, foreseen.events)),
        "delivery_queue": list(map(queue_row, foreseen.queue)),
        _REPEATS: [repeat_row(seen, groups[f]) for f, seen in sorted(foreseen.plain.items())],
        "rollup_log": [] if changes is None else [(changes,)],
        "news_log": news_rows(foreseen.events),
        "receipt_bodies": [(day, sha256, body) for (sha256, day), body in sorted(bodies.items())],
        "receipts": [receipt_row(*pair) for pair in zip(receipts, foreseen.outcomes, strict=True)],
    }


def _columns(name: str, rows: Sequence[tuple[Any, ...]]) -> list[Sequence[Any]]:
    if rows:  # a column of nothing but NULL is as good as empty to `unnest`, and costs nothing to send
        return [() if column.count(None) == len(column) else column for column in zip(*rows, strict=True)]
    return [()] * len(_COLUMNS[name]) if name in _RECEIVED else []


@lru_cache
def _statement(names: tuple[str, ...]) -> str:
    """The statement with these parts. It returns how many label sets were `begun`, and how many repeats `counted`."""
    begins, counts = "standings" in names, _REPEATS in names
    parts = [_KNOWN] if begins else []
    is_ready: list[str] = []
    first = 1
    for name in names:
        where = " AND ".join(is_ready)
        if name == _REPEATS:
            parts.append(f"counted AS ({sql.count_repeats(first=first, where=where and f'AND {where}')})")
            is_ready.append(f"(SELECT count(*) FROM counted) = cardinality(${first}::text[])")
        else:
            end = "ON CONFLICT DO NOTHING" if name == "receipt_bodies" else "RETURNING 1"
            condition = _IS_UNKNOWN if name == "standings" else f"{where and f'WHERE {where}'} {end}"
            parts.append(f"to_{name} AS ({sql.insert(name, _COLUMNS[name], condition, first=first)})")
        if name == "standings":
            is_ready.append(_IS_NEW)
        first += len(_COLUMNS[name])
    begun = "(SELECT count(*) FROM to_standings)" if begins else "0"
    counted = "(SELECT count(*) FROM counted)" if counts else "0"
    return f"WITH {', '.join(parts)} SELECT {begun} AS begun, {counted} AS counted"
