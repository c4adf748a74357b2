"""Silences, as they are known now. The recorders write them: see `sqlite.rows` and `postgres.statements`."""

from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, select

from alert_history.domain.alert import Silence
from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import silences

_S = silences.c
_IN_FORCE = (
    select(silences)
    .where(_S.starts_at < bindparam("until"), _S.ends_at > bindparam("since"))
    .order_by(_S.ends_at, _S.id)
    .limit(bindparam("most"))
)
_NAMED = select(silences).where(is_among(_S.id, "ids")).order_by(_S.id)

_read_matchers = msgspec.json.Decoder(list[list[dict[str, str]]]).decode


class SharedSilences:
    """See `ports.Silences`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def in_force(self, since: datetime, until: datetime, *, limit: int) -> list[Silence]:
        """See `ports.Silences.in_force`."""
        return await self._database.read(_in_force, since, until, limit)

    async def named(self, ids: Collection[str]) -> list[Silence]:
        """See `ports.Silences.named`."""
        return await self._database.read(_named, sorted(ids))


async def _in_force(session: Session, since: datetime, until: datetime, most: int) -> list[Silence]:
    return [_silence_of(row) for row in await session.fetch(_IN_FORCE, since=since, until=until, most=most)]


async def _named(session: Session, ids: list[str]) -> list[Silence]:
    return [_silence_of(row) for row in await session.fetch(_NAMED, ids=ids)]


def _silence_of(row: Row) -> Silence:
    return Silence(**row._asdict() | {"matchers": _read_matchers(row.matchers)})
