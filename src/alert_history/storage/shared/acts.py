"""Acts: what people did about occurrences, and the deliveries that tell targets of it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, Table, bindparam, select, union
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.acts import Act
from alert_history.domain.microseconds import to_us
from alert_history.domain.news import news_of_act
from alert_history.domain.notifying import ACT_KEYS_BELOW, act_key
from alert_history.domain.occurrence import Key
from alert_history.ids import new_id
from alert_history.storage.shared.elements import given_keys
from alert_history.storage.shared.feed import add_news
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import acts, deliveries, delivery_queue

_A = acts.c
_KEEP = insert(acts).on_conflict_do_nothing()
_OF_OCCURRENCE = (
    select(acts)
    .where(_A.fingerprint == bindparam("fingerprint"), _A.starts_at == bindparam("starts_at"))
    .order_by(_A.at, _A.id)
)
_KEYS = given_keys("keys")
_OF_OCCURRENCES: Any = (
    select(*acts.c)
    .join(_KEYS, (_A.fingerprint == _KEYS.c.fingerprint) & (_A.starts_at == _KEYS.c.starts_at))
    .order_by(_A.at, _A.id)
)
_BETWEEN = (
    select(acts)
    .where(_A.at >= bindparam("since"), _A.at < bindparam("until"))
    .order_by(_A.at, _A.id)
    .limit(bindparam("most"))
)
_QUEUE = insert(delivery_queue)


def _notified(table: Table) -> Select[Any]:
    """The targets with a delivery of news about the occurrence."""
    return select(table.c.target).where(
        table.c.fingerprint == bindparam("fingerprint"),
        table.c.starts_at == bindparam("starts_at"),
        table.c.event_key >= ACT_KEYS_BELOW,
    )


_AUDIENCE = union(_notified(deliveries).where(deliveries.c.state == "delivered"), _notified(delivery_queue)).order_by(
    "target"
)


class SharedActs:
    """See `ports.Acts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, act: Act, *, targets: Sequence[str] = ()) -> bool:
        """See `ports.Acts.keep`."""
        return await self._database.write(keep_act, act, targets)

    async def of_occurrence(self, fingerprint: str, starts_at: datetime) -> list[Act]:
        """See `ports.Acts.of_occurrence`."""
        return await self._database.read_latest(_of_occurrence, fingerprint, starts_at)

    async def of_occurrences(self, keys: Collection[Key]) -> list[Act]:
        """See `ports.Acts.of_occurrences`."""
        return await self._database.read_latest(_of_occurrences, keys) if keys else []

    async def between(self, since: datetime, until: datetime, *, limit: int) -> list[Act]:
        """See `ports.Acts.between`."""
        return await self._database.read(_between, since, until, limit)

    async def audience(self, fingerprint: str, starts_at: datetime) -> list[str]:
        """See `ports.Acts.audience`."""
        return await self._database.read_latest(_audience, fingerprint, starts_at)


async def keep_act(session: Session, act: Act, targets: Sequence[str] = ()) -> bool:
    """Keep an act and queue its deliveries; whether the act is new."""
    if not await session.execute(_KEEP, **msgspec.structs.asdict(act)):
        return False
    await add_news(session, [news_of_act(act)])
    if targets:
        await session.execute_many(_QUEUE, [_queue_row(act, target) for target in targets])
    return True


def _queue_row(act: Act, target: str) -> dict[str, Any]:
    """A waiting delivery of an act. Its `receipt_id` is the id of the act: an act comes without a receipt."""
    row: dict[str, Any] = dict.fromkeys(delivery_queue.c.keys())
    return row | {
        "id": new_id(act.at),
        "fingerprint": act.fingerprint,
        "starts_at": act.starts_at,
        "target": target,
        "event_key": act_key(act),
        "event": act.kind,
        "receipt_id": act.id,
        "state": "pending",
        "created_at": act.at,
        "due_at": act.at,
        "attempts": 0,
        "log": [],
    }


def _act_of(row: Row) -> Act:
    return Act(**row._asdict())


async def _of_occurrence(session: Session, fingerprint: str, starts_at: datetime) -> list[Act]:
    rows = await session.fetch(_OF_OCCURRENCE, fingerprint=fingerprint, starts_at=starts_at)
    return [_act_of(row) for row in rows]


async def _of_occurrences(session: Session, keys: Collection[Key]) -> list[Act]:
    pairs = [[fingerprint, to_us(starts_at)] for fingerprint, starts_at in keys]
    return [_act_of(row) for row in await session.fetch(_OF_OCCURRENCES, keys=pairs)]


async def _between(session: Session, since: datetime, until: datetime, limit: int) -> list[Act]:
    return [_act_of(row) for row in await session.fetch(_BETWEEN, since=since, until=until, most=limit)]


async def _audience(session: Session, fingerprint: str, starts_at: datetime) -> list[str]:
    rows = await session.fetch(_AUDIENCE, fingerprint=fingerprint, starts_at=starts_at)
    return [row.target for row in rows]
