"""The audit: who did what, from where, in chains of digests. No statement here changes an entry."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import Select, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.audit import AuditChain, AuditEntry, cleaned, day_of, linked
from alert_history.errors import StorageUnavailable
from alert_history.ids import lowest_uuid7, new_id
from alert_history.ports import AuditFilter, AuditPage
from alert_history.storage.shared import reads
from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import audit, audit_days

_STEP_ROWS = 200
_TRIES = 5

_A, _D = audit.c, audit_days.c
_INSERT = insert(audit)
_KNOWN = select(audit).where(is_among(_A.id, "ids"))
_IS_CHAIN = and_(_D.day == bindparam("of_day"), _D.replica == bindparam("of_replica"))
_LOCK = update(audit_days).where(_IS_CHAIN).values(entries=_D.entries)
_CHAIN = select(audit_days).where(_IS_CHAIN)
_NEWEST_CHAIN = select(audit_days).order_by(_D.number.desc()).limit(1)
_BEGIN = insert(audit_days).on_conflict_do_nothing()
_GROW = (
    update(audit_days)
    .where(_IS_CHAIN)
    .values(entries=bindparam("all_entries"), first_digest=bindparam("first"), last_digest=bindparam("last"))
)
_FIRST_NUMBER = select(func.min(_D.number)).where(_D.day >= bindparam("since_day")).scalar_subquery()
_CHAINS = select(audit_days).where(_D.number >= _FIRST_NUMBER).order_by(_D.number)
_LINKS = (
    select(audit)
    .where(_A.day == bindparam("of_day"), _A.replica == bindparam("of_replica"), _A.position > bindparam("after"))
    .order_by(_A.position)
    .limit(bindparam("most"))
)
_HAS_CHAIN = (
    select(_D.number)
    .where(_D.day == _A.day, _D.replica == _A.replica, _D.dropped_at.is_(None))
    .correlate(audit)
    .exists()
)
_STRAYS = (
    select(audit)
    .where(_A.id >= bindparam("since_id"), or_(_A.position.is_(None), ~_HAS_CHAIN))
    .order_by(_A.id)
    .limit(bindparam("most"))
)
_MARK = (
    update(audit_days)
    .where(_D.dropped_at.is_(None), _D.day < bindparam("before_day"))
    .values(dropped_at=bindparam("now"))
)
_OLD = select(_A.id).where(_A.day < bindparam("before_day")).limit(_STEP_ROWS)
_DROP = delete(audit).where(_A.id.in_(_OLD.scalar_subquery()))
_UNCHAINED = select(_A.id).where(_A.day.is_(None), _A.id < bindparam("before_id")).limit(_STEP_ROWS)
_DROP_UNCHAINED = delete(audit).where(_A.id.in_(_UNCHAINED.scalar_subquery()))
_BEFORE_ALL = -(1 << 62)
"""A position before every other, those too that nobody of ours wrote."""


class SharedAuditTrail:
    """See `ports.AuditTrail`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entries: Sequence[AuditEntry], *, replica: str) -> Sequence[AuditEntry]:
        """See `ports.AuditTrail.append`."""
        return await self._database.write(_append, entries, replica)

    async def page(self, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        """See `ports.AuditTrail.page`."""
        reads.check_limit(limit)
        for name, text in (("cursor", cursor or ""), ("actor", wanted.actor), ("action", wanted.action)):
            reads.check_text(text, of=name)
        rows = await self._database.read(_fetch_anew, _page(wanted, cursor).limit(limit + 1))
        entries = [_entry(row) for row in rows[:limit]]
        return AuditPage(entries, entries[-1].id if len(rows) > limit else None)

    async def chains(self, *, since: str = "") -> Sequence[AuditChain]:
        """See `ports.AuditTrail.chains`."""
        return await self._database.read_latest(_chains, since)

    async def links(self, chain: AuditChain, *, after: int | None = None, limit: int) -> Sequence[AuditEntry]:
        """See `ports.AuditTrail.links`."""
        return await self._database.read_latest(_links, chain, _BEFORE_ALL if after is None else after, limit)

    async def strays(self, *, since: datetime, limit: int) -> Sequence[AuditEntry]:
        """See `ports.AuditTrail.strays`."""
        return await self._database.read_latest(_strays, lowest_uuid7(since), limit)

    async def drop(self, before: datetime, *, now: datetime) -> int:
        """See `ports.AuditTrail.drop`."""
        return await self._database.write_aside(_drop, before, now)


class SharedAudit:
    """See `ports.Audit`. Each has chains of its own, named by `replica`."""

    def __init__(self, trail: SharedAuditTrail, *, replica: str) -> None:
        self._trail = trail
        self._replica = replica

    async def note(self, action: str, *, actor: str, detail: dict[str, Any], now: datetime) -> None:
        """See `ports.Audit.note`."""
        entry = AuditEntry(id=new_id(now), at=now, actor=actor, action=action, detail=cleaned(detail))
        await self._trail.append([entry], replica=self._replica)


async def _append(session: Session, entries: Sequence[AuditEntry], replica: str) -> Sequence[AuditEntry]:
    known = [_entry(row) for row in await session.fetch(_KNOWN, ids=[entry.id for entry in entries])]
    known_ids = {entry.id for entry in known}
    fresh = sorted((entry for entry in entries if entry.id not in known_ids), key=lambda entry: day_of(entry.at))
    placed = list(known)
    for day, of_day in groupby(fresh, key=lambda entry: day_of(entry.at)):
        placed += await _extend(session, await _open_chain(session, day, replica), list(of_day))
    return placed


async def _open_chain(session: Session, day: str, replica: str) -> AuditChain:
    """The chain of that day, locked until the transaction ends; a new one where there is none."""
    name = {"of_day": day, "of_replica": replica}
    for _ in range(_TRIES):
        if await session.execute(_LOCK, **name):
            [row] = await session.fetch(_CHAIN, **name)
            return _chain(row)
        await session.execute(_BEGIN, **await _begun(session, day, replica))  # not if another took the number
    raise StorageUnavailable("too many processes begin their chains of the audit at once")


async def _begun(session: Session, day: str, replica: str) -> dict[str, Any]:
    newest = await session.fetch(_NEWEST_CHAIN)
    number, follows = (newest[0].number + 1, newest[0].last_digest) if newest else (1, "")
    empty = {"entries": 0, "first_digest": "", "last_digest": "", "dropped_at": None}
    return {"number": number, "day": day, "replica": replica, "follows": follows, **empty}


async def _extend(session: Session, chain: AuditChain, entries: Sequence[AuditEntry]) -> list[AuditEntry]:
    previous, links = chain.last_digest or chain.origin, []
    for position, entry in enumerate(entries, chain.entries + 1):
        links.append(linked(entry, previous, replica=chain.replica, position=position))
        previous = links[-1].digest
    await session.execute_many(_INSERT, [msgspec.structs.asdict(link) for link in links])
    await session.execute(
        _GROW,
        of_day=chain.day,
        of_replica=chain.replica,
        all_entries=chain.entries + len(links),
        first=chain.first_digest or links[0].digest,
        last=previous,
    )
    return links


def _page(wanted: AuditFilter, cursor: str | None) -> Select[Any]:
    """Ids follow the time, so that a span is a range of them."""
    statement = select(audit).order_by(_A.id.desc())
    if wanted.since is not None:
        statement = statement.where(_A.id >= lowest_uuid7(wanted.since))
    if wanted.until is not None:
        statement = statement.where(_A.id < lowest_uuid7(wanted.until))
    if cursor is not None:
        statement = statement.where(_A.id < cursor)
    if wanted.actor:
        statement = statement.where(_A.actor == wanted.actor)
    if wanted.action:
        statement = statement.where(_A.action == wanted.action)
    if wanted.outcome is not None:
        statement = statement.where(func.coalesce(_A.outcome, "done") == wanted.outcome)
    return statement


async def _fetch_anew(session: Session, statement: Select[Any]) -> list[Row]:
    return await session.fetch_anew(statement)


async def _chains(session: Session, since: str) -> list[AuditChain]:
    return [_chain(row) for row in await session.fetch(_CHAINS, since_day=since)]


async def _links(session: Session, chain: AuditChain, after: int, limit: int) -> list[AuditEntry]:
    rows = await session.fetch(_LINKS, of_day=chain.day, of_replica=chain.replica, after=after, most=limit)
    return [_entry(row) for row in rows]


async def _strays(session: Session, since_id: str, limit: int) -> list[AuditEntry]:
    return [_entry(row) for row in await session.fetch(_STRAYS, since_id=since_id, most=limit)]


async def _drop(session: Session, before: datetime, now: datetime) -> int:
    """The day is marked in the transaction that removes its first entries, so that nobody finds them missing."""
    day = day_of(before)
    await session.execute(_MARK, before_day=day, now=now)
    midnight = before.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    removed = await session.execute(_DROP, before_day=day)
    return removed + await session.execute(_DROP_UNCHAINED, before_id=lowest_uuid7(midnight))


def _chain(row: Row) -> AuditChain:
    return AuditChain(**row._asdict())


def _entry(row: Row) -> AuditEntry:
    """An entry; one of before the chains, or of an older release, lacks what they have."""
    lacking: dict[str, Any] = {"outcome": "done", "position": 0}
    return AuditEntry(
        **{name: lacking.get(name, "") if value is None else value for name, value in row._asdict().items()}
    )
