"""The delivery log: deliveries that wait, what became of deliveries, and dead letters that are tried again.

Each database leases and settles deliveries its own way: see `postgres.outbox` and `sqlite.outbox`.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    union_all,
)

from alert_history.domain.notifying import ACT_KEYS_BELOW
from alert_history.errors import NotFound
from alert_history.ports import DeliveryFilter, DeliveryPage, QueueDepth
from alert_history.storage.shared.rows import delivery_of
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import deliveries, delivery_queue, rollup_log

_Q, _D = delivery_queue.c, deliveries.c
_IS_DEAD = _D.state == literal_column("'dead'")  # a literal, as in the condition of the index

_WAITING_SINCE = func.min(case((_Q.attempts == 0, _Q.due_at), else_=_Q.created_at))
_DEPTH = select(_Q.target, func.count().label("waiting"), _WAITING_SINCE.label("oldest")).group_by(_Q.target)
_DEAD = select(_D.target, func.count().label("number")).where(_IS_DEAD).group_by(_D.target)

_CONDITIONS = {
    "target": lambda table: table.c.target == bindparam("target"),
    "state": lambda table: table.c.state == bindparam("state"),
    "fingerprint": lambda table: table.c.fingerprint == bindparam("fingerprint"),
    "starts_at": lambda table: table.c.starts_at == bindparam("starts_at"),
    "cursor": lambda table: table.c.id < bindparam("cursor"),
}
"""The condition of each field of `DeliveryFilter`."""


class LeaseGate(Protocol):
    """The door through which all leases of a target go, on each database another."""

    async def hold(self, session: Session, targets: Sequence[str]) -> None:
        """Keep all replicas from leasing for these targets, sorted, until the transaction ends."""
        ...


class SharedDeliveryLog:
    """See `ports.DeliveryLog`."""

    def __init__(self, database: Database, *, gate: LeaseGate) -> None:
        self._database = database
        self._gate = gate

    async def depth(self) -> dict[str, QueueDepth]:
        """See `ports.DeliveryLog.depth`."""
        return await self._database.read(_depth)

    async def dead(self) -> dict[str, int]:
        """See `ports.DeliveryLog.dead`."""
        return await self._database.read(_dead)

    async def replay(self, *, now: datetime, delivery_id: str | None = None, target: str | None = None) -> int:
        """See `ports.DeliveryLog.replay`."""
        wanted = {
            name: value for name, value in (("delivery_id", delivery_id), ("target", target)) if value is not None
        }
        replayed = await self._database.write_slowly(self._replay, wanted, now)
        if delivery_id is not None and not replayed:
            raise NotFound(f"no dead letter {delivery_id!r} of which its target knows nothing newer")
        return replayed

    async def _replay(self, session: Session, wanted: dict[str, str], now: datetime) -> int:
        """Hold the targets first: so no replica leases a newer delivery while an older one returns to the queue."""
        statements = _replay_statements(frozenset(wanted))
        targets = await session.fetch(statements.targets, **wanted)
        await self._gate.hold(session, [row.target for row in targets])
        await session.execute(statements.uncount, **wanted)
        replayed = await session.execute(statements.to_queue, now=now, **wanted)
        await session.execute(statements.from_settled, **wanted)
        return replayed

    async def deliveries(self, wanted: DeliveryFilter) -> DeliveryPage:
        """See `ports.DeliveryLog.deliveries`."""
        rows = await self._database.read(_deliveries, wanted)
        page = [delivery_of(row) for row in rows[: wanted.limit]]
        return DeliveryPage(page, page[-1].id if len(rows) > wanted.limit else None)


async def _depth(session: Session) -> dict[str, QueueDepth]:
    return {row.target: QueueDepth(row.waiting, row.oldest) for row in await session.fetch(_DEPTH)}


async def _dead(session: Session) -> dict[str, int]:
    return {row.target: row.number for row in await session.fetch(_DEAD)}


async def _deliveries(session: Session, wanted: DeliveryFilter) -> list[Row]:
    """The deliveries of the page, and the next one, if it exists."""
    conditions = {name: getattr(wanted, name) for name in _CONDITIONS if getattr(wanted, name) is not None}
    return await session.fetch(_page(frozenset(conditions)), limit=wanted.limit + 1, **conditions)


@lru_cache(maxsize=1 << len(_CONDITIONS))
def _page(conditions: frozenset[str]) -> Select[Any]:
    """The newest deliveries, waiting or settled, under some of the conditions."""

    def newest(table: Table) -> Select[Any]:
        where = [_CONDITIONS[name](table) for name in sorted(conditions)]
        rows = select(table).where(and_(True, *where)).order_by(table.c.id.desc()).limit(bindparam("limit"))
        return select(rows.subquery())

    both = union_all(newest(delivery_queue), newest(deliveries)).subquery("both_kinds")
    return select(both).order_by(both.c.id.desc()).limit(bindparam("limit"))


class _Replay:
    """The statements of a replay: find the targets, add rows to `delivery_queue`, delete them from `deliveries`."""

    def __init__(self, wanted: frozenset[str]) -> None:
        columns = {"delivery_id": _D.id, "target": _D.target}
        which = and_(_IS_DEAD, *(columns[name] == bindparam(name) for name in sorted(wanted)))
        self.targets = select(_D.target).where(which).distinct().order_by(_D.target)
        anew = select(*(_ANEW.get(column.name, column) for column in deliveries.c)).where(which, _is_newest())
        self.to_queue = insert(delivery_queue).from_select([column.name for column in deliveries.c], anew)
        uncounted = select(_D.target, _D.state, _D.settled_at, literal_column("-1", Integer)).where(which, _is_newest())
        self.uncount = insert(rollup_log).from_select(["target", "outcome", "settled_at", "number"], uncounted)
        is_queued = exists().where(_Q.id == _D.id, _Q.fingerprint == _D.fingerprint)
        self.from_settled = delete(deliveries).where(which, is_queued)


_replay_statements = lru_cache(maxsize=4)(_Replay)

_NOW = bindparam("now", type_=_D.due_at.type)
_ANEW: dict[str, ColumnElement[Any]] = {
    "state": literal_column("'pending'", Text),
    "created_at": _NOW,
    "due_at": _NOW,
    "lease_until": null(),
    "attempts": literal_column("0", Integer),
    "settled_at": null(),
}
"""The columns of a dead letter that change in the queue; the other columns stay."""


def _is_newest() -> ColumnElement[bool]:
    """Whether a delivery is the newest: its target knows, and will know, no newer event of the alert.

    What a person did is told whenever that may be.
    """

    def newer(table: FromClause) -> list[ColumnElement[bool]]:
        later = tuple_(table.c.starts_at, table.c.event_key) > tuple_(_D.starts_at, _D.event_key)
        return [table.c.fingerprint == _D.fingerprint, table.c.target == _D.target, later]

    other = deliveries.alias("n")
    is_newest = and_(
        ~exists().where(*newer(delivery_queue)), ~exists().where(*newer(other), other.c.state == "delivered")
    )
    return or_(_D.event_key < ACT_KEYS_BELOW, is_newest)
