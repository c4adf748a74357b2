"""Classifications by shape, and the deliveries that wait for them."""

from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import (
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    literal,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.notifying import AWAITED
from alert_history.ids import lowest_uuid7
from alert_history.ports import KeptVerdict, Unanswered
from alert_history.storage.shared.elements import TOO_FAR_AHEAD, database_now_and, given, is_among, is_over
from alert_history.storage.shared.rows import classification_row, unanswered_of, verdict_of
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.tables import (
    alert_texts,
    alerts,
    classification_claims,
    classifications,
    deliveries,
    delivery_queue,
)

VERDICT_COLUMNS = (
    classifications.c.id,
    classifications.c.shape,
    classifications.c.fingerprint,
    classifications.c.verdict,
)
"""The columns that `rows.verdict_of` reads."""

_MOST_UNANSWERED = 5_000
_SHAPES = given("shapes")
_NEWER = classifications.alias("newer")
_NEWEST = select(*VERDICT_COLUMNS).select_from(
    _SHAPES.join(
        classifications,
        classifications.c.id
        == select(_NEWER.c.id)
        .where(
            _NEWER.c.shape == _SHAPES.c.value,
            or_(_NEWER.c.at >= bindparam("since"), _NEWER.c.source == "person"),
        )
        .order_by(_NEWER.c.id.desc())
        .limit(literal_column("1"))
        .scalar_subquery(),
    )
)

_CLAIM = insert(classification_claims).from_select(
    ["shape", "owner", "until"],
    select(
        _SHAPES.c.value,
        bindparam("holder", type_=Text()),
        database_now_and("lasts"),
    ).order_by(_SHAPES.c.value),
)
_CLAIM_FREE = _CLAIM.on_conflict_do_update(
    index_elements=["shape"],
    set_={"owner": _CLAIM.excluded.owner, "until": _CLAIM.excluded.until},
    where=or_(
        is_over(classification_claims.c.until, "longest"), classification_claims.c.owner == _CLAIM.excluded.owner
    ),
).returning(classification_claims.c.shape)
_UNCLAIM = delete(classification_claims).where(is_among(classification_claims.c.shape, "shapes"))

_KEEP = insert(classifications).on_conflict_do_nothing()

_AWAITS = and_(
    is_among(delivery_queue.c.shape, "shapes"),
    delivery_queue.c.enrichment == literal_column(f"'{AWAITED}'"),  # as in the condition of the index
)
_IS_ANY_AWAITED = select(
    exists().where(is_among(classification_claims.c.shape, "shapes")) | exists().where(_AWAITS),
)
_DUE_AT = bindparam("now", type_=delivery_queue.c.due_at.type)
_LET_GO = (
    update(delivery_queue)
    .where(_AWAITS)
    .values(
        enrichment=bindparam("unenriched", type_=Text()),
        due_at=case((delivery_queue.c.due_at > _DUE_AT, _DUE_AT), else_=delivery_queue.c.due_at),
    )
)

_NOT_JOINED = literal_column("0", Integer)
"""An OFFSET keeps PostgreSQL from making a join of a look-up. So PostgreSQL looks up by the alert, whatever sizes the
tables seem to have."""


def _newest_deliveries(table: Any, *conditions: Any) -> Select[Any]:
    """The newest deliveries of one table, within a bound."""
    columns = [table.c[name] for name in ("fingerprint", "starts_at", "target", "event", "state", "shape")]
    newest = select(*columns).where(table.c.id >= bindparam("lowest_id"), *conditions).order_by(table.c.id.desc())
    return select(newest.limit(bindparam("most")).subquery())


def _has_follow_up(table: Any, delivery: Any) -> Any:
    """Whether the target of a delivery gets, or got, a follow-up that says what the alert means."""
    same = [table.c[name] == delivery.c[name] for name in ("starts_at", "fingerprint", "target")]
    return select(literal(1)).where(*same, table.c.event == "classified").limit(1).offset(_NOT_JOINED).exists()


_D = union_all(
    _newest_deliveries(deliveries, deliveries.c.created_at >= bindparam("since")), _newest_deliveries(delivery_queue)
).subquery("d")
_UNANSWERED = (
    select(_D.c.fingerprint, _D.c.starts_at, _D.c.target, *alert_texts)
    .select_from(
        _D.join(alerts, and_(alerts.c.starts_at == _D.c.starts_at, alerts.c.fingerprint == _D.c.fingerprint)),
    )
    .where(
        alerts.c.status == literal_column("'firing'"),
        _D.c.shape.is_(None),
        _D.c.event.in_([literal_column(f"'{e}'") for e in ("fired", "refired", "published", "annotations_changed")]),
        _D.c.state.in_([literal_column(f"'{state}'") for state in ("pending", "leased", "delivered")]),
        ~_has_follow_up(deliveries.alias("c"), _D),
        ~_has_follow_up(delivery_queue.alias("c"), _D),
    )
    .distinct()
)


class FollowUp(Protocol):
    """The part of `Classifications.follow_up` that is different on each database: it adds an event to a timeline."""

    def __call__(
        self, verdict: KeptVerdict, *, targets: Sequence[tuple[str, datetime, str]], now: datetime
    ) -> Awaitable[int]:
        """See `ports.Classifications.follow_up`."""
        ...


class SharedClassifications:
    """See `ports.Classifications`."""

    def __init__(self, database: Database, *, follow_up: FollowUp) -> None:
        self._database = database
        self._follow_up = follow_up

    async def newest(self, shapes: Sequence[str], *, since: datetime) -> dict[str, KeptVerdict]:
        """See `ports.Classifications.newest`."""
        return await self._database.read_latest(_newest, shapes, since)

    async def claim(self, shapes: Sequence[str], *, owner: str, lasts: timedelta) -> list[str]:
        """See `ports.Classifications.claim`."""
        return await self._database.write(_claim, shapes, owner=owner, lasts=lasts)

    async def keep(self, verdicts: Sequence[KeptVerdict], *, now: datetime) -> int:
        """See `ports.Classifications.keep`."""
        if not verdicts:
            return 0
        return await self._database.write(_keep, verdicts, now=now)

    async def let_go(self, shapes: Sequence[str], *, unenriched: str | None, now: datetime) -> int:
        """See `ports.Classifications.let_go`. Looks before it takes a lock, because mostly nothing waits."""
        if not await self._database.read_latest(_is_any_awaited, shapes):
            return 0
        return await self._database.write(_let_go, shapes, unenriched=unenriched, now=now)

    async def follow_up(
        self, verdict: KeptVerdict, *, targets: Sequence[tuple[str, datetime, str]], now: datetime
    ) -> int:
        """See `ports.Classifications.follow_up`."""
        if not targets:
            return 0
        return await self._follow_up(verdict, targets=targets, now=now)

    async def unanswered(self, *, since: datetime) -> list[Unanswered]:
        """See `ports.Classifications.unanswered`."""
        return await self._database.read_latest(_unanswered, since)


async def _newest(session: Session, shapes: Sequence[str], since: datetime) -> dict[str, KeptVerdict]:
    rows = await session.fetch(_NEWEST, shapes=list(shapes), since=since)
    return {row.shape: verdict_of(row) for row in rows}


async def _claim(session: Session, shapes: Sequence[str], *, owner: str, lasts: timedelta) -> list[str]:
    longest = lasts + TOO_FAR_AHEAD
    rows = await session.fetch(_CLAIM_FREE, shapes=list(shapes), holder=owner, lasts=lasts, longest=longest)
    return [row.shape for row in rows]


async def _keep(session: Session, verdicts: Sequence[KeptVerdict], *, now: datetime) -> int:
    await session.execute_many(_KEEP, [classification_row(verdict) for verdict in verdicts])
    return await _let_go(session, [verdict.shape for verdict in verdicts], unenriched=None, now=now)


async def _is_any_awaited(session: Session, shapes: Sequence[str]) -> bool:
    """Whether a shape is claimed, or a delivery waits for a shape."""
    ((is_awaited,),) = await session.fetch(_IS_ANY_AWAITED, shapes=list(shapes))
    return bool(is_awaited)


async def _let_go(session: Session, shapes: Sequence[str], *, unenriched: str | None, now: datetime) -> int:
    await session.execute(_UNCLAIM, shapes=list(shapes))
    return await session.execute(_LET_GO, shapes=list(shapes), unenriched=unenriched, now=now)


async def _unanswered(session: Session, since: datetime) -> list[Unanswered]:
    rows = await session.fetch(_UNANSWERED, since=since, lowest_id=lowest_uuid7(since), most=_MOST_UNANSWERED)
    return [unanswered_of(row) for row in rows]
