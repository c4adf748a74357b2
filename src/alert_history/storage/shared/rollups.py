"""Rollups: adds up what transactions changed, and removes it from the log.

A step reads some entries of the log, and then writes their sums and removes these entries in one transaction. If
another replica was faster, fewer entries are left to remove: then the step is undone. So nothing is lost or counted
twice, whenever a process dies. The tallies of a day are read, added to and written back by one replica at a time.
`counting_anew` counts a whole history.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Integer, bindparam, func, literal_column, select

from alert_history.domain.tally import LONGEST_VALUE, Tallies, by_value
from alert_history.ports.rollups import Difference, RollupSize
from alert_history.storage.shared import reads
from alert_history.storage.shared.counting_anew import count_anew
from alert_history.storage.shared.dropped import read_whole_from
from alert_history.storage.shared.label_counts import add_labels
from alert_history.storage.shared.rollup_log import oldest_entries, remove_entries, tallies_of
from alert_history.storage.shared.rollup_state import has_turn, in_turn, need_turn, read_state
from alert_history.storage.shared.segments import Order
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.tables import alerts, rollup_log, rollups
from alert_history.storage.shared.tallies import STORED, add_tallies, day_number, day_of_number
from alert_history.storage.shared.tally_blocks import follow_days, open_blocks, seal_next

_STEP_ENTRIES = 200

_COUNT_LOG = select(func.count().label("number")).select_from(rollup_log)
_COUNT_SOME = select(func.count().label("number")).select_from(
    select(rollup_log.c.id).limit(reads.COUNT_BOUND + 1).subquery()
)
_COUNT_ROWS = select(func.count().label("number")).select_from(rollups)
_SPAN = select(func.min(rollups.c.day).label("first"), func.max(rollups.c.day).label("last")).where(
    rollups.c.dimension == literal_column("'all'")
)
_BEGUN = select(rollups.c.value, rollups.c.begun).where(
    rollups.c.dimension == literal_column("'alertname'"), rollups.c.day == bindparam("on_day", type_=Integer())
)
_LOG = select(rollup_log)


class _Late(Exception):
    """Another replica removed some of these entries. Never leaves the storage."""


class SharedRollups:
    """See `ports.Rollups` and `ports.RollupChecks`."""

    share = 0.1

    def __init__(self, database: Database, order: Order) -> None:
        self._database = database
        self._order = order

    async def fold(self) -> int:
        """See `ports.Rollups.fold`."""
        entries = await self._database.read_latest(oldest_entries, _STEP_ENTRIES)
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

    async def count_anew(self, *, progress: Callable[[int], None]) -> int:
        """See `ports.Rollups.count_anew`."""
        number = await count_anew(self._database, self._order, progress=progress)
        while await self.seal():
            pass
        return number

    async def seal(self) -> int:
        """See `ports.Rollups.seal`."""
        return await self._database.write_aside(_seal)

    async def log_length(self) -> int:
        """See `ports.RollupChecks.log_length`."""
        return await self._database.read_latest(_log_length)

    async def size(self) -> RollupSize:
        """See `ports.RollupChecks.size`."""
        return await self._database.read_latest(_size)

    async def differences(self, day: date) -> Sequence[Difference]:
        """See `ports.RollupChecks.differences`. One snapshot holds both sides."""
        async with self._database.snapshot() as snapshot:
            by_history = await snapshot.read(_begun_in_history, self._order, day)
            by_numbers = await snapshot.read(_begun_by_numbers, day_number(day))
        names = {name for name in {*by_history, *by_numbers} if by_history[name] != by_numbers[name]}
        differences = [Difference(name, by_numbers[name], by_history[name]) for name in sorted(names)]
        return sorted(differences, key=lambda each: -abs(each.by_numbers - each.by_history))

    async def forget(self, before: date) -> int:
        """See `ports.Rollups.forget`."""
        return await in_turn(lambda: self._database.write_aside(_forget, day_number(before)))


async def _add_up(session: Session, ids: Sequence[int], tallies: Tallies) -> bool:
    """Add tallies and remove their entries. False while another replica adds up, or a process counts anew."""
    if not await has_turn(session) or (await read_state(session)).holder is not None:
        return False
    if len(await remove_entries(session, ids)) != len(ids):
        raise _Late
    await follow_days(session, await add_tallies(session, tallies, STORED))
    await add_labels(session, tallies.labels)
    return True


async def _seal(session: Session) -> int:
    """Seal a block; 0 as in `_add_up`, too."""
    if not await has_turn(session) or (await read_state(session)).holder is not None:
        return 0
    return await seal_next(session)


async def _begun_in_history(session: Session, order: Order, day: date) -> Counter[str]:
    """How many occurrences of each rule began on a day."""
    midnight = datetime.combine(day, time(), UTC)
    begun = select(alerts.c.alertname, func.count().label("number")).where(order.inside, alerts.c.joined_into.is_(None))
    rows = await session.fetch(begun.group_by(alerts.c.alertname), first=midnight, until=midnight + timedelta(days=1))
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row.alertname[:LONGEST_VALUE]] += row.number
    return counts


async def _begun_by_numbers(session: Session, day: int) -> Counter[str]:
    """The same, as the numbers tell, with what waits to be added up."""
    counts = Counter({row.value: row.begun for row in await session.fetch(_BEGUN, on_day=day)})
    waiting = tallies_of(await session.fetch(_LOG))
    for on_day, name, tally in by_value(waiting.by_place(), "alertname"):
        counts[name] += tally.begun if on_day == day else 0
    return counts


async def _log_length(session: Session) -> int:
    [counted] = await session.fetch(_COUNT_SOME)
    number: int = counted.number
    return number


async def _size(session: Session) -> RollupSize:
    state, whole_from = await read_state(session), await read_whole_from(session)
    [waiting], [rows], [span] = [await session.fetch(query) for query in (_COUNT_LOG, _COUNT_ROWS, _SPAN)]
    first_day, last_day = (None if day is None else day_of_number(day) for day in (span.first, span.last))
    is_counting = state.holder is not None
    return RollupSize(state.is_counted, is_counting, waiting.number, rows.number, first_day, last_day, whole_from)


async def _forget(session: Session, before_day: int) -> int:
    await need_turn(session)
    await open_blocks(session, before_day=before_day)
    return sum([await session.execute(statement, before=before_day) for statement in STORED.forget])
