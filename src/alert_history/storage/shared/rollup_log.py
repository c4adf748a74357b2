"""The log of what transactions change in the numbers, until it is added up."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CompoundSelect,
    Integer,
    Select,
    bindparam,
    cast,
    delete,
    insert,
    literal_column,
    null,
    select,
    union_all,
)

from alert_history.domain.counting import read_changes
from alert_history.domain.microseconds import to_us
from alert_history.domain.tally import Tallies
from alert_history.storage.shared.elements import given
from alert_history.storage.shared.session import Row, Session
from alert_history.storage.shared.tables import rollup_log

_OLDEST = select(rollup_log).order_by(rollup_log.c.id).limit(bindparam("limit", type_=Integer()))
_ADD_CHANGES = insert(rollup_log).values(entry=bindparam("new_entry"))
_ADD_SETTLED = insert(rollup_log).values(
    target=bindparam("of_target"),
    outcome=bindparam("with_outcome"),
    settled_at=bindparam("at_time"),
    number=bindparam("so_many"),
)
_IDS = select(rollup_log.c.id)
_REMOVE = (
    delete(rollup_log)
    .where(rollup_log.c.id.in_(select(cast(given("ids").c.value, BigInteger))))
    .returning(*rollup_log.c)
)


_OF_LOG = [rollup_log.c[name] for name in ("entry", "target", "outcome", "settled_at", "number")]


def with_log(rows: Select[Any], *more: Select[Any]) -> CompoundSelect[Any]:
    """The rows, more rows with the same columns, and those of the log, of which alone `is_waiting` holds.

    One statement reads all of them, and so in one snapshot.
    """
    nothing = [cast(null(), column.type).label(column.name) for column in rows.selected_columns]
    no_log = [cast(null(), column.type).label(column.name) for column in _OF_LOG]
    log = select(*nothing, *_OF_LOG, literal_column("1", Integer).label("is_waiting"))
    is_no_log = literal_column("0", Integer).label("is_waiting")
    return union_all(*(each.add_columns(*no_log, is_no_log) for each in (rows, *more)), log)


async def add_changes(session: Session, changes: bytes | None) -> None:
    """Add what a transaction changes of occurrences; see `domain.counting`."""
    if changes is not None:
        await session.execute(_ADD_CHANGES, new_entry=changes)


async def add_settled(session: Session, counts: Mapping[tuple[str, str, datetime], int]) -> None:
    """Add settled deliveries, by target, outcome and time."""
    rows = [
        {"of_target": target, "with_outcome": outcome, "at_time": at, "so_many": number}
        for (target, outcome, at), number in counts.items()
    ]
    if rows:
        await session.execute_many(_ADD_SETTLED, rows)


async def oldest_entries(session: Session, limit: int) -> list[Row]:
    """The oldest entries."""
    return await session.fetch(_OLDEST, limit=limit)


async def entry_ids(session: Session) -> list[int]:
    """The ids of all entries."""
    return [row.id for row in await session.fetch(_IDS)]


async def remove_entries(session: Session, ids: Sequence[int]) -> list[Row]:
    """Remove entries; those of them that were still there."""
    return await session.fetch(_REMOVE, ids=[str(number) for number in ids])


def waiting_labels(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """How many occurrences the entries among these rows add, by the name and the value of a label."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for name, value, number in [] if row.entry is None else read_changes(row.entry).labels:
            values = counts.setdefault(name, {})
            values[value] = values.get(value, 0) + number
    return counts


def tallies_of(entries: Iterable[Row]) -> Tallies:
    """The sums of entries. It takes some microseconds for each occurrence."""
    tallies = Tallies()
    for row in entries:
        if row.entry is not None:
            tallies.take(read_changes(row.entry))
        else:
            tallies.settle(row.target, row.outcome, to_us(row.settled_at), number=row.number)
    return tallies
