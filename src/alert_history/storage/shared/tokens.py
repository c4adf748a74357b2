"""API tokens. There are few, so that each replica reads all of them each second."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.token import Token
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import tokens

_T = tokens.c
_ALL = select(tokens).order_by(_T.created_at.desc(), _T.id.desc())
_ADD = insert(tokens)
_LIVING = (
    select(_T.id)
    .where(_T.name == bindparam("wanted"), _T.revoked_at.is_(None))
    .where(or_(_T.expires_at.is_(None), _T.expires_at > bindparam("now")))
)
_SHORTEN = (
    update(tokens)
    .where(_T.id == bindparam("wanted"))
    .where(or_(_T.expires_at.is_(None), _T.expires_at > bindparam("until")))
    .values(expires_at=bindparam("until"))
)
_REVOKE = (
    update(tokens).where(_T.id == bindparam("wanted"), _T.revoked_at.is_(None)).values(revoked_at=bindparam("now"))
)
_USE = (
    update(tokens)
    .where(_T.id == bindparam("wanted"))
    .where(or_(_T.last_used_at.is_(None), _T.last_used_at < bindparam("used_at")))
    .values(last_used_at=bindparam("used_at"))
)


class SharedTokens:
    """See `ports.Tokens`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[Token]:
        """See `ports.Tokens.all`."""
        return await self._database.read_latest(_all)

    async def add(self, token: Token) -> bool:
        """See `ports.Tokens.add`."""
        return await self._database.write(_add, token)

    async def replace(self, token: Token, *, until: datetime) -> bool:
        """See `ports.Tokens.replace`."""
        return await self._database.write(_replace, token, until)

    async def revoke(self, id_: str, *, now: datetime) -> bool:
        """See `ports.Tokens.revoke`."""
        return await self._database.write(_revoke, id_, now)

    async def note_uses(self, uses: Mapping[str, datetime]) -> None:
        """See `ports.Tokens.note_uses`."""
        await self._database.write(_note_uses, uses)


async def _all(session: Session) -> Sequence[Token]:
    return [_token(row) for row in await session.fetch(_ALL)]


async def _add(session: Session, token: Token) -> bool:
    if await session.fetch(_LIVING, wanted=token.name, now=token.created_at):
        return False
    await session.execute(_ADD, **_row(token))
    return True


async def _replace(session: Session, token: Token, until: datetime) -> bool:
    living = await session.fetch(_LIVING, wanted=token.name, now=token.created_at)
    for row in living:
        await session.execute(_SHORTEN, wanted=row.id, until=until)
    if living:
        await session.execute(_ADD, **_row(token))
    return bool(living)


async def _revoke(session: Session, id_: str, now: datetime) -> bool:
    return await session.execute(_REVOKE, wanted=id_, now=now) > 0


async def _note_uses(session: Session, uses: Mapping[str, datetime]) -> None:
    for id_, used_at in sorted(uses.items()):
        await session.execute(_USE, wanted=id_, used_at=used_at)


def _row(token: Token) -> dict[str, Any]:
    return {**msgspec.structs.asdict(token), "scopes": list(token.scopes)}


def _token(row: Row) -> Token:
    return Token(**{**row._asdict(), "digest": bytes(row.digest), "scopes": tuple(row.scopes)})
