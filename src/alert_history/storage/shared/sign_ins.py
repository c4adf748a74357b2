"""Sign-ins of browsers, which are found by the digest of what the browser holds."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.sign_in import SignIn
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import sign_ins

_S = sign_ins.c
_ADD = insert(sign_ins)
_FIND = select(sign_ins).where(_S.digest == bindparam("wanted"))
_END = delete(sign_ins).where(_S.digest == bindparam("wanted"))
_OF_PEOPLE = (
    select(sign_ins)
    .where(_S.expires_at > bindparam("now"), _S.method != "oidc-begun")
    .order_by(_S.created_at.desc(), _S.digest)
    .limit(bindparam("most"))
)
_END_ALL = delete(sign_ins).where(_S.key == bindparam("wanted"), _S.method != "oidc-begun")
_FORGET = delete(sign_ins).where(_S.expires_at < bindparam("before"))


class SharedSignIns:
    """See `ports.SignIns`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, sign_in: SignIn) -> None:
        """See `ports.SignIns.add`."""
        await self._database.write(_add, sign_in)

    async def find(self, digest: bytes) -> SignIn | None:
        """See `ports.SignIns.find`."""
        return await self._database.read_latest(_find, digest)

    async def take(self, digest: bytes) -> SignIn | None:
        """See `ports.SignIns.take`."""
        return await self._database.write(_take, digest)

    async def of_people(self, now: datetime, *, limit: int) -> Sequence[SignIn]:
        """See `ports.SignIns.of_people`."""
        return await self._database.read_latest(_of_people, now, limit)

    async def end_all(self, key: str) -> int:
        """See `ports.SignIns.end_all`."""
        return await self._database.write(_end_all, key)

    async def forget(self, before: datetime) -> int:
        """See `ports.SignIns.forget`."""
        return await self._database.write(_forget, before)


async def _add(session: Session, sign_in: SignIn) -> None:
    await session.execute(_ADD, **_row(sign_in))


async def _find(session: Session, digest: bytes) -> SignIn | None:
    rows = await session.fetch(_FIND, wanted=digest)
    return _sign_in(rows[0]) if rows else None


async def _take(session: Session, digest: bytes) -> SignIn | None:
    sign_in = await _find(session, digest)
    return sign_in if await session.execute(_END, wanted=digest) else None


async def _of_people(session: Session, now: datetime, limit: int) -> Sequence[SignIn]:
    return [_sign_in(row) for row in await session.fetch(_OF_PEOPLE, now=now, most=limit)]


async def _end_all(session: Session, key: str) -> int:
    return await session.execute(_END_ALL, wanted=key)


async def _forget(session: Session, before: datetime) -> int:
    return await session.execute(_FORGET, before=before)


def _row(sign_in: SignIn) -> dict[str, Any]:
    return {**msgspec.structs.asdict(sign_in), "scopes": list(sign_in.scopes), "detail": dict(sign_in.detail)}


def _sign_in(row: Row) -> SignIn:
    return SignIn(**{**row._asdict(), "digest": bytes(row.digest), "scopes": tuple(row.scopes)})
