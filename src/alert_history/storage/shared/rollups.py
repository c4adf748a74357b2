"""Rollups: adds up what transactions changed, and removes it from the log.

A step reads some entries of the log, and then writes their sums and removes these entries in one transaction. If
another replica was faster, fewer entries are left to remove: then the step is undone. So nothing is lost or counted
twice, whenever a process dies. The tallies of a day are read, added to and written back by one replica at a time.
`counting_anew` counts a whole history.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from sqlalchemy import BigInteger, Integer, bindparam, cast, delete, select

from alert_history.domain.counting import read_changes
from alert_history.domain.microseconds import to_us
from alert_history.domain.tally import Tallies
from alert_history.storage.shared.counting_anew import count_anew
from alert_history.storage.shared.elements import given, take_turn
from alert_history.storage.shared.label_counts import add_labels
from alert_history.storage.shared.rollup_state import read_state
from alert_history.storage.shared.segments import Order
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import rollup_log
from alert_history.storage.shared.tallies import STORED, add_tallies, day_number

_STEP_ENTRIES = 200

_TURN = select(take_turn("rollups").label("is_ours"))
_LOG = select(rollup_log).order_by(rollup_log.c.id).limit(bindparam("limit", type_=Integer()))
_REMOVE = (
    delete(rollup_log)
    .where(rollup_log.c.id.in_(select(cast(given("ids").c.value, BigInteger))))
    .returning(rollup_log.c.id)
)


class _Late(Exception):
    """Another replica removed some of these entries. Never leaves the storage."""


class SharedRollups:
    """See `ports.Rollups`."""

    share = 0.1

    def __init__(self, database: Database, order: Order) -> None:
        self._database = database
        self._order = order

    async def fold(self) -> int:
        """See `ports.Rollups.fold`."""
        entries = await self._database.read_latest(_read_log, _STEP_ENTRIES)
        if not entries:
            return 0
        ids = [entry.id for entry in entries]
        tallies = await asyncio.to_thread(tallies_of, entries)
        try:
            return len(ids) if await self._database.write_aside(_add_up, ids, tallies) else 0
        except _Late:
            return 0

    async def is_counted(self) -> bool:
        """See `ports.Rollups.is_counted`."""
        return (await self._database.read_latest(read_state)).is_counted

    async def count_anew(self, *, keep_before: date | None, progress: Callable[[int], None]) -> int:
        """See `ports.Rollups.count_anew`."""
        return await count_anew(self._database, self._order, keep_before=keep_before, progress=progress)

    async def forget(self, before: date) -> int:
        """See `ports.Rollups.forget`."""
        return await self._database.write_aside(_forget, day_number(before))


def tallies_of(entries: Iterable[Row]) -> Tallies:
    """The sums of rows of `rollup_log`. It takes some microseconds for each occurrence."""
    tallies = Tallies()
    for row in entries:
        if row.entry is not None:
            tallies.take(read_changes(row.entry))
        else:
            tallies.settle(row.target, row.outcome, to_us(row.settled_at), number=row.number)
    return tallies


async def _read_log(session: Session, limit: int) -> list[Row]:
    """The oldest entries of the log."""
    return await session.fetch(_LOG, limit=limit)


async def _add_up(session: Session, ids: Sequence[int], tallies: Tallies) -> bool:
    """Add tallies and remove their entries. False while another replica adds up, or a process counts anew."""
    [(is_ours,)] = await session.fetch(_TURN)
    if not is_ours or (await read_state(session)).holder is not None:
        return False
    removed = await session.fetch(_REMOVE, ids=[str(number) for number in ids])
    if len(removed) != len(ids):
        raise _Late
    await add_tallies(session, tallies, STORED)
    await add_labels(session, tallies.labels)
    return True


async def _forget(session: Session, before_day: int) -> int:
    return sum([await session.execute(statement, before=before_day) for statement in STORED.forget])
