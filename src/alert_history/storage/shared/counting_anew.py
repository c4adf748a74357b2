"""Counts a whole history anew, while ingest goes on.

One snapshot holds all occurrences, and the entries of the log that they have brought. The new numbers are put together
in tables of their own, in short transactions. Then one transaction puts them in the place of the old ones, and removes
those entries of the log. Meanwhile nobody adds up, so later entries wait in the log. Whoever dies in between leaves the
old numbers as they were.
"""

import asyncio
import functools
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import Select, Table, Text, bindparam, delete, insert, select

from alert_history.domain.counting import AGAIN_WITHIN_US, Counted, Repeated, label_counts
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import About
from alert_history.domain.tally import Tallies
from alert_history.errors import Busy
from alert_history.storage.shared.dropped import read_whole_from
from alert_history.storage.shared.label_counts import add_labels
from alert_history.storage.shared.rollup_log import entry_ids, remove_entries, tallies_of
from alert_history.storage.shared.rollup_state import RollupState, in_turn, need_turn, read_state, write_state
from alert_history.storage.shared.segments import Order
from alert_history.storage.shared.session import Database, Row, Session, Snapshot
from alert_history.storage.shared.tables import (
    alerts,
    deliveries,
    label_name_counts,
    label_value_counts,
    rollup_again,
    rollup_again_new,
    rollups,
    rollups_new,
)
from alert_history.storage.shared.tallies import STAGED, STORED, add_tallies, day_number
from alert_history.storage.shared.tally_blocks import open_blocks

_STEP_ROWS = 10_000
_TICK = timedelta(microseconds=1)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)

_read_labels = msgspec.json.Decoder(dict[str, str]).decode

COUNTED_COLUMNS = [
    alerts.c[name]
    for name in (
        "fingerprint",
        "starts_at",
        "timestamp",
        "alertname",
        "namespace",
        "severity",
        "status",
        "ends_at",
        "last_received_at",
        "repeat_count",
        "source",
        "receiver",
        "began_at",
        "ended_by",
    )
]
_SETTLED = (
    select(*(deliveries.c[name] for name in ("id", "target", "state", "settled_at", "created_at")))
    .where(deliveries.c.id > bindparam("after", type_=Text()))
    .order_by(deliveries.c.id)
    .limit(_STEP_ROWS)
)
_EMPTY_STAGED = [delete(rollups_new), delete(rollup_again_new)]
_EMPTY_LABELS = [delete(label_name_counts), delete(label_value_counts)]


class Recount:
    """What a new count carries from step to step: labels, and the last ends of label sets."""

    def __init__(self) -> None:
        self.labels: dict[str, dict[str, int]] = {}
        self._ends: dict[str, int] = {}
        self._pruned_at_us = 0

    def tallies(self, rows: Sequence[Row]) -> Tallies:
        """The tallies of occurrences, which come in the order of `timestamp`."""
        tallies = Tallies()
        for row in rows:
            counted = self._counted(row)
            tallies.count(counted, 1)
            if row.repeat_count:
                tallies.repeat(Repeated(counted.about, counted.receiver, row.repeat_count))
        self._take_labels(rows)
        return tallies

    def _counted(self, row: Row) -> Counted:
        counted = counted_of(row)
        key_us = to_us(row.starts_at)
        last_us = self._ends.get(row.fingerprint)
        is_again = last_us is not None and key_us - last_us < AGAIN_WITHIN_US
        if counted.end_us is not None:
            self._ends[row.fingerprint] = max(counted.end_us, last_us or counted.end_us)
        self._prune(counted.about.received_us)
        return msgspec.structs.replace(counted, is_again=True) if is_again else counted

    def _prune(self, now_us: int) -> None:
        """Forget ends that nothing begins again after, once in a while."""
        if now_us - self._pruned_at_us > AGAIN_WITHIN_US:
            self._ends = {name: end_us for name, end_us in self._ends.items() if now_us - end_us < 2 * AGAIN_WITHIN_US}
            self._pruned_at_us = now_us

    def _take_labels(self, rows: Iterable[Row]) -> None:
        for name, value, number in label_counts(_read_labels(row.labels) for row in rows):
            values = self.labels.setdefault(name, {})
            values[value] = values.get(value, 0) + number


def counted_of(row: Row) -> Counted:
    """An occurrence as it is counted, from the columns of `alerts`."""
    about = About(row.alertname, row.severity, row.namespace, row.source, to_us(row.timestamp))
    start_us = to_us(row.began_at or row.starts_at)
    if row.status == "firing":
        return Counted(about, row.receiver, row.fingerprint, start_us, None, None)
    end_us = max(to_us(row.ends_at or row.last_received_at), start_us)
    return Counted(about, row.receiver, row.fingerprint, start_us, end_us, row.ended_by or "resolved")


async def count_anew(database: Database, order: Order, *, progress: Callable[[int], None]) -> int:
    """See `ports.Rollups.count_anew`."""
    holder = uuid4().hex
    was_counted = await in_turn(lambda: database.write_aside(_begin, holder))
    recount = Recount()
    total = 0
    async with database.snapshot() as snapshot:
        whole_from = await snapshot.read(read_whole_from) if was_counted else None
        log_ids = await snapshot.read(entry_ids)
        first: datetime | None = await snapshot.read(_oldest, order)
        while first is not None:
            until = await snapshot.read(_next, order, first)
            rows = await snapshot.read(_rows, order, first, until)
            tallies = await asyncio.to_thread(recount.tallies, rows)
            await database.write_aside(_stage, holder, tallies)
            total += len(rows)
            progress(len(rows))
            first = None if until == _LATEST else until
        await _count_deliveries(database, snapshot, holder)
    place = functools.partial(_put_in_place, whole_from=whole_from)
    await in_turn(lambda: database.write_slowly(place, holder, log_ids, recount.labels))
    return total


async def _count_deliveries(database: Database, snapshot: Snapshot, holder: str) -> None:
    after = ""
    while rows := await snapshot.read(_settled, after):
        tallies = Tallies()
        for row in rows:
            tallies.settle(row.target, row.state, to_us(row.settled_at or row.created_at), number=1)
        await database.write_aside(_stage, holder, tallies)
        after = rows[-1].id


async def _settled(session: Session, after: str) -> list[Row]:
    return await session.fetch(_SETTLED, after=after)


async def _begin(session: Session, holder: str) -> bool:
    """Take the count up, so that nobody adds up meanwhile; whether the history was counted before."""
    await need_turn(session)
    state = await read_state(session)
    if state.holder is not None:
        raise Busy("another process counts the history anew; it is done, or has died, when a minute passes without it")
    await write_state(session, RollupState(state.is_counted, holder))
    for statement in _EMPTY_STAGED:
        await session.execute(statement)
    return state.is_counted


async def _oldest(session: Session, order: Order) -> datetime | None:
    rows = await session.fetch(order.oldest)
    return rows[0].at if rows else None


async def _next(session: Session, order: Order, first: datetime) -> datetime:
    """Where the occurrences of the next step end."""
    rows = await session.fetch(order.from_oldest, first=first, until=_LATEST, rows=_STEP_ROWS)
    return max(rows[0].at, first + _TICK) if rows else _LATEST


async def _rows(session: Session, order: Order, first: datetime, until: datetime) -> list[Row]:
    return await session.fetch(_of_span(order), first=first, until=until)


def _of_span(order: Order) -> Select[Any]:
    counting = select(*COUNTED_COLUMNS, alerts.c.labels).where(order.inside, alerts.c.joined_into.is_(None))
    return counting.order_by(order.at)


async def _stage(session: Session, holder: str, tallies: Tallies) -> None:
    await _go_on(session, holder)
    await add_tallies(session, tallies, STAGED)


async def _go_on(session: Session, holder: str) -> None:
    """Say that the count goes on. Raises Busy where another process has taken over."""
    state = await read_state(session)
    if state.holder != holder:
        raise Busy("another process has begun to count the history anew, because this one was silent for a minute")
    await write_state(session, state)


async def _put_in_place(
    session: Session,
    holder: str,
    log_ids: Sequence[int],
    labels: dict[str, dict[str, int]],
    *,
    whole_from: date | None,
) -> None:
    """Days before `whole_from` keep their numbers, and get those of the log that are about them."""
    await need_turn(session)
    await _go_on(session, holder)
    await open_blocks(session)
    first_day = None if whole_from is None else day_number(whole_from)
    for old, new in ((rollups, rollups_new), (rollup_again, rollup_again_new)):
        for statement in _replace(old, new, first_day):
            await session.fetch_anew(statement)
    waiting = await remove_entries(session, log_ids)
    if first_day is None:
        for emptying in _EMPTY_LABELS:
            await session.execute(emptying)
    else:
        tallies = tallies_of(waiting)
        labels = tallies.labels
        await add_tallies(session, tallies.before(first_day), STORED)
    await add_labels(session, labels)
    await write_state(session, RollupState(is_counted=True))


def _replace(old: Table, new: Table, first_day: int | None) -> list[Any]:
    """The statements that put the days from `first_day` on of one table in the place of those of another."""
    since = -(2**31) if first_day is None else first_day
    return [
        delete(old).where(old.c.day >= since),
        insert(old).from_select(list(old.c.keys()), select(*new.c).where(new.c.day >= since)),
        delete(new),
    ]
