"""API tokens: which one a secret is, without asking the database; making, replacing and revoking them.

Each process holds the digests of all tokens and reads them anew each second, so that a revoked one is refused
everywhere within two. A secret that it does not know makes it read at once, a few times a second at most: a new token
is good on every replica as soon as it is made, and guessing is slow. Where the database is away, what was read last
counts.
"""

import asyncio
import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

import msgspec
import structlog

from alert_history.domain.grant import Grant, check_reach, check_scopes
from alert_history.domain.speaker import MAX_SCOPE_CHARACTERS, is_scope
from alert_history.domain.token import SHOWN_CHARACTERS, Token, check_name, digest_of, new_secret, parse_span
from alert_history.errors import AlertHistoryError, InvalidBody, InvalidQuery, NotFound, StorageUnavailable
from alert_history.ports import Audit, Clock, Tokens

_READ_SECONDS = 1.0
_READ_APART_SECONDS = 0.2
_FIRST_READ_SECONDS = 1.0
_USE_KEPT_EVERY = timedelta(minutes=1)

_log = structlog.get_logger()


class TokenWish(msgspec.Struct, frozen=True, kw_only=True):
    """A token that somebody wants. `expires` is a span as in `90d`; empty: never."""

    name: str
    scopes: Collection[str]
    match: str = ""
    ingest_scope: str = ""
    expires: str = ""


class NewToken(NamedTuple):
    """A token that was made, and its secret, which nobody can show again."""

    token: Token
    secret: str


class TokenDesk:
    """Makes, replaces and revokes tokens. Every call may raise StorageUnavailable."""

    def __init__(self, tokens: Tokens, *, clock: Clock, audit: Audit | None = None) -> None:
        self._tokens = tokens
        self._clock = clock
        self._audit = audit

    async def all(self) -> Sequence[Token]:
        """All tokens, the newest first."""
        return await self._tokens.all()

    async def create(self, wish: TokenWish, *, by: str) -> NewToken:
        """Make one. Raises InvalidBody saying what of the wish can't be."""
        made = _made(wish, self._clock(), by=by)
        if not await self._tokens.add(made.token):
            raise InvalidBody(
                f"name: there is a token {wish.name} already; rotate or revoke it, or choose another name"
            )
        await self._note("token_created", made.token, by=by, was=None, now=_shown(made.token))
        return made

    async def rotate(self, name: str, *, overlap: str, by: str) -> NewToken:
        """A new secret for a token; the old one is good until the overlap (a span as in `24h`) is over.

        Raises: InvalidBody, NotFound.
        """
        now = self._clock()
        old = await self._living(name)
        ends_at = now + parse_span(overlap, of="overlap")
        secret = new_secret()
        lasts = None if old.expires_at is None else now + (old.expires_at - old.created_at)
        fresh = {"id": _new_id(), "digest": digest_of(secret), "prefix": secret[:SHOWN_CHARACTERS]}
        token = msgspec.structs.replace(
            old, **fresh, created_at=now, created_by=by, expires_at=lasts, last_used_at=None
        )
        if not await self._tokens.replace(token, until=ends_at):
            raise NotFound(f"there is no token {name} any more")
        detail = {"was": _shown(old), "now": _shown(token)}
        await self._note("token_rotated", token, by=by, **detail)
        return NewToken(token, secret)

    async def revoke(self, name_or_id: str, *, by: str = "") -> Sequence[Token]:
        """Revoke a token by its id, or all that are good and have a name. Raises NotFound. Returns what was revoked."""
        now = self._clock()
        named = [each for each in await self._tokens.all() if name_or_id in (each.name, each.id)]
        revoked = [each for each in named if each.is_good(now) and await self._tokens.revoke(each.id, now=now)]
        if not revoked:
            raise NotFound(f"there is no token {name_or_id} that is good")
        for token in revoked:
            await self._note("token_revoked", token, by=by, was=_shown(token), now=None)
        return [msgspec.structs.replace(each, revoked_at=now) for each in revoked]

    async def _note(self, action: str, token: Token, *, by: str, was: object, now: object) -> None:
        if self._audit is not None:
            detail = {"token": token.name, "from": was, "to": now}
            await self._audit.note(action, actor=by, detail=detail, now=self._clock())

    async def _living(self, name: str) -> Token:
        now = self._clock()
        for each in await self._tokens.all():  # the newest first
            if each.name == name and each.is_good(now):
                return each
        raise NotFound(f"there is no token {name} that is good")


class TokenBook:
    """The tokens as this process knows them. Whoever asks waits a little until they were read once, by `run`.

    Before the store is open there may be no table, so nobody but `run` and `begin` reads them for the first time.
    `known` are those that were read already; `own` those of the settings, which are in no database, and good while that
    is away.
    """

    def __init__(
        self, tokens: Tokens, *, clock: Clock, known: Sequence[Token] | None = None, own: Sequence[Token] = ()
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        self._own = own
        self._by_digest = _granted(own, before={})
        self._uses: dict[str, datetime] = {}
        self._kept_uses: dict[str, datetime] = {}
        self._reading: asyncio.Task[None] | None = None
        self._read_at = 0.0
        self._known = asyncio.Event()
        self.has_ingest_token = False
        if known is not None:
            self._take(known)

    def known(self, secret: str) -> Grant | None:
        """What the holder of this secret may do; None where it is no good token, as far as is known."""
        entry = self._by_digest.get(digest_of(secret))
        if entry is None:
            return None
        token, grant = entry
        now = self._clock()
        if not token.is_good(now):
            return None
        if grant is not None and token not in self._own:
            self._uses[token.id] = now
        return grant

    async def find(self, secret: str) -> Grant | None:
        """The same, after a look into the database where it is not known. Raises StorageUnavailable."""
        grant = self.known(secret)
        if grant is None:
            await self.wait()
            grant = self.known(secret)
        if grant is None:
            await self._read_soon()
            grant = self.known(secret)
        return grant

    async def find_token(self, secret: str) -> Token | None:
        """The token itself, where `find` finds one. Raises StorageUnavailable."""
        entry = None if await self.find(secret) is None else self._by_digest.get(digest_of(secret))
        return None if entry is None else entry[0]

    async def check(self, id_: str) -> bool:
        """As `is_good`, after a look into the database where it is not known to be. Raises StorageUnavailable."""
        if not self.is_good(id_):
            await self._read_soon()
        return self.is_good(id_)

    def is_good(self, id_: str) -> bool:
        """Whether the token with that id opens anything now."""
        now = self._clock()
        granted = self._by_digest.values()
        return any(token.id == id_ and grant is not None and token.is_good(now) for token, grant in granted)

    async def run(self) -> None:
        """Read the tokens each second, and keep when each was used, until cancelled."""
        while True:
            try:
                await self._read()
                await self._keep_uses()
            except AlertHistoryError as error:
                _log.debug("tokens_not_read", reason=str(error))
            await asyncio.sleep(_READ_SECONDS)

    async def begin(self) -> None:
        """Read them now. Raises StorageUnavailable."""
        await self._read()

    @property
    def is_known(self) -> bool:
        """Whether they were read once."""
        return self._known.is_set()

    async def wait(self) -> None:
        """Until they were read once. Raises StorageUnavailable where that takes longer than a caller should wait."""
        if self.is_known:
            return
        try:
            async with asyncio.timeout(_FIRST_READ_SECONDS):
                await self._known.wait()
        except TimeoutError:
            raise StorageUnavailable("the service has just started: who may call is not known yet") from None

    async def _read_soon(self) -> None:
        """Read them, together with all who want that now."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_apart(), name="tokens")
        with suppress(StorageUnavailable):
            await asyncio.shield(self._reading)

    async def _read_apart(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(self._read_at + _READ_APART_SECONDS - loop.time(), 0))
        await self._read()

    async def _read(self) -> None:
        tokens = await self._tokens.all()
        self._read_at = asyncio.get_running_loop().time()
        self._take(tokens)

    def _take(self, tokens: Sequence[Token]) -> None:
        living = [each for each in tokens if each.revoked_at is None]
        self._by_digest = _granted([*living, *self._own], before=self._by_digest)
        self.has_ingest_token = any("ingest" in token.scopes for token in living)
        self._known.set()

    async def _keep_uses(self) -> None:
        fresh = {
            id_: used_at
            for id_, used_at in self._uses.items()
            if id_ not in self._kept_uses or used_at - self._kept_uses[id_] >= _USE_KEPT_EVERY
        }
        if fresh:
            await self._tokens.note_uses(fresh)
            self._kept_uses |= fresh


_Granted: TypeAlias = Mapping[bytes, tuple[Token, Grant | None]]


def _granted(tokens: Sequence[Token], *, before: _Granted) -> _Granted:
    """The tokens and what their holders may do, by digest; None where nobody can tell.

    What a token grants never changes, so it is read from its texts once, however often the tokens are read.
    """
    return {
        token.digest: (token, before[token.digest][1] if token.digest in before else _grant_of(token))
        for token in tokens
    }


def _grant_of(token: Token) -> Grant | None:
    try:
        return token.grant()
    except InvalidQuery as error:
        _log.error("token_unusable", name=token.name, reason=str(error))
        return None


def _made(wish: TokenWish, now: datetime, *, by: str) -> NewToken:
    scopes = check_scopes(wish.scopes)
    secret = new_secret()
    token = Token(
        id=_new_id(),
        name=check_name(wish.name),
        digest=digest_of(secret),
        prefix=secret[:SHOWN_CHARACTERS],
        scopes=scopes,
        match=check_reach(wish.match, scopes),
        ingest_scope=_check_ingest_scope(wish.ingest_scope, scopes),
        created_at=now,
        created_by=by,
        expires_at=now + parse_span(wish.expires, of="expires") if wish.expires else None,
    )
    return NewToken(token, secret)


def _shown(token: Token) -> dict[str, Any]:
    """A token as the audit shows it: never its secret, nor what is kept of that."""
    ends = None if token.expires_at is None else token.expires_at.isoformat(timespec="seconds")
    return {
        "id": token.id,
        "prefix": token.prefix,
        "scopes": list(token.scopes),
        "match": token.match,
        "ingest_scope": token.ingest_scope,
        "ends": ends,
    }


def _new_id() -> str:
    return secrets.token_hex(8)


def _check_ingest_scope(text: str, scopes: Collection[str]) -> str:
    if text and "ingest" not in scopes:
        raise InvalidBody("ingest_scope: it marks what is sent; give the token the scope ingest, too")
    if text and not is_scope(text):
        raise InvalidBody(f"ingest_scope: up to {MAX_SCOPE_CHARACTERS} letters, digits, '.', '_' and '-'")
    return text
