"""Imports: what each is, how far it is, and the rows that it refused. `importing` takes in what one brings."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Protocol

import msgspec
from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.acts import Act
from alert_history.domain.importing import Brought, Correction
from alert_history.domain.microseconds import from_us
from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.errors import Busy
from alert_history.ids import new_id
from alert_history.ports.import_files import Beside, Parted
from alert_history.ports.imports import DIES_AFTER, ImportCounts, ImportRecord, TakenBack
from alert_history.storage.shared.elements import database_now, is_among
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import acts, import_corrections, import_refusals, imports, quarantine

_I = imports.c
_C = import_corrections.c
_R = import_refusals.c
_INSERT = insert(imports).values(
    {name: bindparam(f"new_{name}") for name in imports.c.keys() if name != "beat_at"} | {"beat_at": database_now()}  # noqa: SIM118  # no dict
)
_UNFINISHED = (
    select(imports, database_now().label("now"))
    .where(
        _I.origin == bindparam("of_origin"),
        _I.what == bindparam("of_what"),
        or_(_I.state == "running", _I.state == "failed", _I.state == "undoing"),
    )
    .order_by(_I.id.desc())
    .limit(1)
)
_CHANGING = ("state", "phase", "share", "finished_at", "fault", "counts", "oldest", "newest", "reasons")
_NOTE = (
    update(imports)
    .where(_I.id == bindparam("of_id"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING} | {"beat_at": database_now()})
)
_FIND = select(imports).where(_I.id == bindparam("of_id"))
_NEWEST = select(imports).order_by(_I.id.desc()).limit(bindparam("most"))
_REFUSED = insert(import_refusals).on_conflict_do_nothing()
_QUARANTINE = insert(quarantine)
_FORGET_REFUSALS = delete(import_refusals).where(_R.import_id == bindparam("of_id"))
_FORGET_QUARANTINE = delete(quarantine).where(quarantine.c.receipt_id == bindparam("of_id"))
_KEEP_CORRECTION = insert(import_corrections)
_KEEP_CORRECTION = _KEEP_CORRECTION.on_conflict_do_update(
    index_elements=["import_id", "fingerprint", "starts_at", "what"], set_={"after": _KEEP_CORRECTION.excluded.after}
)
_KEEP_ACT = insert(acts).on_conflict_do_nothing()
_CORRECTIONS = (
    select(import_corrections)
    .where(_C.import_id == bindparam("of_id"))
    .order_by(_C.fingerprint, _C.starts_at, _C.what)
    .limit(bindparam("most"))
)
_FORGET_CORRECTION = delete(import_corrections).where(
    _C.import_id == bindparam("of_id"),
    _C.fingerprint == bindparam("of_fingerprint"),
    _C.starts_at == bindparam("of_start"),
    _C.what == bindparam("of_what"),
)
_OTHER_CORRECTIONS = select(import_corrections).where(
    is_among(_C.fingerprint, "fingerprints"), _C.import_id != bindparam("of_id")
)
_PASS_ON = (
    update(import_corrections)
    .where(
        _C.import_id == bindparam("of_id"),
        _C.fingerprint == bindparam("of_fingerprint"),
        _C.starts_at == bindparam("of_start"),
        _C.what == bindparam("of_what"),
    )
    .values(before=bindparam("new_before"))
)
_DROP_ACT = delete(acts).where(
    acts.c.fingerprint == bindparam("of_fingerprint"),
    acts.c.starts_at == bindparam("of_start"),
    acts.c.id == bindparam("of_id"),
)
_MOST_REASON_CHARACTERS = 500
ACT = "act:"
"""How a correction begins that is an act: its id follows."""


class Taking(Protocol):
    """What each database does in its own way."""

    def begin(self) -> None:
        """An import begins, or goes on: what was remembered of the history for one is to be read again."""
        ...

    async def take(
        self,
        record: ImportRecord,
        groups: Sequence[Sequence[PastFiring]],
        *,
        now: datetime,
        is_dry_run: bool,
        beside: Beside | None = None,
    ) -> Parted:
        """See `ports.Imports.take`, and `ports.ImportFiles.part` where an archive is beside."""
        ...

    async def take_back(self, record: ImportRecord, *, after: datetime | None) -> TakenBack:
        """See `ports.Imports.take_back`."""
        ...


class SharedImports:
    """See `ports.Imports`."""

    def __init__(self, database: Database, taking: Taking) -> None:
        self._database = database
        self._taking = taking

    async def begin(self, record: ImportRecord) -> ImportRecord:
        """See `ports.Imports.begin`."""
        self._taking.begin()
        return await self._database.write(_begin, record)

    async def note(self, record: ImportRecord) -> None:
        """See `ports.Imports.note`."""
        await self._database.write(_note, record)

    async def take(
        self, record: ImportRecord, groups: Sequence[Sequence[PastFiring]], *, now: datetime, is_dry_run: bool = False
    ) -> ImportCounts:
        """See `ports.Imports.take`."""
        return (await self._taking.take(record, groups, now=now, is_dry_run=is_dry_run)).counts

    async def refuse(self, record: ImportRecord, rows: Sequence[RefusedRow], *, now: datetime) -> int:
        """See `ports.Imports.refuse`."""
        return await self._database.write(_refuse, record, rows, now) if rows else 0

    async def take_back(self, record: ImportRecord, *, after: datetime | None) -> TakenBack:
        """See `ports.Imports.take_back`."""
        return await self._taking.take_back(record, after=after)

    async def find(self, import_id: str) -> ImportRecord | None:
        """See `ports.Imports.find`."""
        return await self._database.read_latest(_find, import_id)

    async def newest(self, limit: int) -> list[ImportRecord]:
        """See `ports.Imports.newest`."""
        return await self._database.read_latest(_newest, limit)


def record_of(row: Row) -> ImportRecord:
    """The import in a row of `imports`."""
    values = {name: getattr(row, name) for name in ImportRecord.__struct_fields__}
    counts = msgspec.convert(row.counts, ImportCounts)
    return ImportRecord(**values | {"counts": counts, "reasons": [tuple(pair) for pair in row.reasons]})


async def _begin(session: Session, record: ImportRecord) -> ImportRecord:
    rows = await session.fetch(_UNFINISHED, of_origin=record.origin, of_what=record.what)
    if not rows:
        values = msgspec.structs.asdict(record) | {"counts": msgspec.to_builtins(record.counts)}
        values.pop("beat_at")
        await session.execute(_INSERT, **{f"new_{name}": value for name, value in values.items()})
        return record
    [row] = rows
    if row.state != "failed" and row.beat_at is not None and row.now - row.beat_at < DIES_AFTER:
        way, seconds = "under way" if row.state == "running" else "being taken back", f"{DIES_AFTER.seconds} s"
        raise Busy(f"import {row.id} of the same is {way}; if its process was killed, ask again in {seconds}")
    if row.state == "undoing":
        raise Busy(f"import {row.id} of the same was not taken back to its end; take it back again first")
    known = record_of(row)
    kept = ("corrected", "acts", "archived")  # what was taken is met again, and counted as taken
    counts = ImportCounts(**{name: getattr(known.counts, name) for name in kept})
    resumed = msgspec.structs.replace(known, state="running", phase="reading", share=None, fault=None, counts=counts)
    await _note(session, resumed)
    return resumed


async def _note(session: Session, record: ImportRecord) -> None:
    values = {f"new_{name}": getattr(record, name) for name in _CHANGING}
    values["new_counts"] = msgspec.to_builtins(record.counts)
    await session.execute(_NOTE, of_id=record.id, **values)


async def _refuse(session: Session, record: ImportRecord, rows: Sequence[RefusedRow], now: datetime) -> int:
    new = 0
    for position, row in enumerate(rows, start=record.counts.refused):
        content = b"\0".join([record.origin.encode(), row.place.encode(), row.reason.encode(), row.raw])
        digest = blake2b(content, digest_size=16).digest()
        if not await session.execute(_REFUSED, digest=digest, import_id=record.id):
            continue
        new += 1
        reason = f"{row.place}: {row.reason}" if row.place else row.reason
        await session.execute(
            _QUARANTINE,
            id=new_id(now),
            received_at=now,
            receipt_id=record.id,
            position=position,
            reason=reason[:_MOST_REASON_CHARACTERS],
            source=record.origin,
            receiver="",
            raw=row.raw,
        )
    return new


async def _find(session: Session, import_id: str) -> ImportRecord | None:
    rows = await session.fetch(_FIND, of_id=import_id)
    return record_of(rows[0]) if rows else None


async def _newest(session: Session, limit: int) -> list[ImportRecord]:
    return [record_of(row) for row in await session.fetch(_NEWEST, most=limit)]


# --- beside what is taken ---------------------------------------------------------------------------------------------


async def keep_beside(session: Session, record: ImportRecord, brought: Sequence[Brought]) -> int:
    """Keep the corrections and the acts of these label sets; how many acts are new."""
    rows = [_correction_row(record.id, each, correction) for each in brought for correction in each.corrections]
    if rows:
        await session.execute_many(_KEEP_CORRECTION, rows)
    return await keep_acts(session, record, [act for each in brought for act in each.acts])


async def keep_acts(session: Session, record: ImportRecord, acts_: Sequence[Act]) -> int:
    """Keep the acts of people; how many are new."""
    new = 0
    for act in acts_:
        if await session.execute(_KEEP_ACT, **msgspec.structs.asdict(act)):
            new += 1
            await session.execute(_KEEP_CORRECTION, **_act_row(record.id, act))
    return new


def _correction_row(import_id: str, brought: Brought, correction: Correction) -> dict[str, Any]:
    return {
        "import_id": import_id,
        "fingerprint": brought.decision.fingerprint,
        "starts_at": from_us(correction.key_us),
        "what": correction.what,
        "before": correction.before,
        "after": correction.after,
    }


def _act_row(import_id: str, act: Act) -> dict[str, Any]:
    key = {"fingerprint": act.fingerprint, "starts_at": act.starts_at}
    return {"import_id": import_id, **key, "what": f"{ACT}{act.id}", "before": None, "after": act.id}


async def corrections_of(session: Session, import_id: str, most: int) -> list[Row]:
    """Some corrections of an import, those of one occurrence together."""
    return await session.fetch(_CORRECTIONS, of_id=import_id, most=most)


async def forget_corrections(session: Session, rows: Sequence[Row]) -> None:
    """Forget corrections that were taken back, and with them the acts that they are."""
    for row in rows:
        key = {"of_fingerprint": row.fingerprint, "of_start": row.starts_at}
        if row.what.startswith(ACT):
            await session.execute(_DROP_ACT, **key, of_id=row.after)
        await session.execute(_FORGET_CORRECTION, **key, of_id=row.import_id, of_what=row.what)


async def pass_on_corrections(session: Session, rows: Sequence[Row]) -> None:
    """What another import corrected after these corrections was before, without them, what it was before these."""
    fingerprints = sorted({row.fingerprint for row in rows if not row.what.startswith(ACT)})
    others = await session.fetch(_OTHER_CORRECTIONS, of_id=rows[0].import_id, fingerprints=fingerprints)
    for row in rows:
        for other in others:
            is_of_same = (other.fingerprint, other.starts_at, other.what) == (row.fingerprint, row.starts_at, row.what)
            if is_of_same and other.before == row.after:
                key = {"of_id": other.import_id, "of_fingerprint": row.fingerprint, "of_start": row.starts_at}
                await session.execute(_PASS_ON, **key, of_what=row.what, new_before=row.before)


async def forget_refusals(session: Session, import_id: str) -> None:
    """Take the rows that an import refused out of the quarantine."""
    await session.execute(_FORGET_QUARANTINE, of_id=import_id)
    await session.execute(_FORGET_REFUSALS, of_id=import_id)


_ACTS_OF_OTHERS = select(acts.c.fingerprint, acts.c.starts_at).where(
    is_among(acts.c.fingerprint, "fingerprints"), acts.c.source != bindparam("of_origin")
)


async def acted_on(session: Session, fingerprints: Sequence[str], origin: str) -> set[tuple[str, datetime]]:
    """The occurrences of these label sets that somebody else than the origin says a person did something about."""
    rows = await session.fetch(_ACTS_OF_OTHERS, fingerprints=list(fingerprints), of_origin=origin)
    return {(row.fingerprint, row.starts_at) for row in rows}
