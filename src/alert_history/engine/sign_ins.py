"""Sign-ins of browsers: made, found again by what the browser holds, ended.

Each process remembers for a second what it found, so that one that was ended is refused everywhere within two. A
sign-in by a token ends with the token.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
import structlog

from alert_history.domain.grant import Grant
from alert_history.domain.permission import Permission
from alert_history.domain.roles import RoleMap
from alert_history.domain.sign_in import Method, SignIn, new_cookie
from alert_history.domain.token import digest_of
from alert_history.engine.tokens import TokenBook
from alert_history.errors import AlertHistoryError, Forbidden, InvalidQuery
from alert_history.ports import Audit, Clock, Person, SignIns

_REMEMBERED_SECONDS = 1.0
_MOST_REMEMBERED = 10_000
_FORGET_SECONDS = 600.0
_SHOWN = 500
_NEVER = datetime.max.replace(tzinfo=UTC)

_log = structlog.get_logger()


class People(NamedTuple):
    """Who the people of an identity provider are here."""

    issuer: str
    roles: RoleMap


class SignedIn(NamedTuple):
    """A browser's user: what they may do, and how they said who they are."""

    grant: Grant
    method: Method


class NewSignIn(NamedTuple):
    """A sign-in that was made, and what the browser holds of it."""

    cookie: str
    sign_in: SignIn


class SignInDesk:
    """Makes, finds and ends sign-ins. Every call may raise StorageUnavailable.

    Without `people` nobody signs in at a provider, and who did is not signed in any more.
    """

    def __init__(
        self,
        sign_ins: SignIns,
        book: TokenBook,
        *,
        audit: Audit,
        clock: Clock,
        lasts: timedelta,
        people: People | None = None,
    ) -> None:
        self._audit = audit
        self._people = people
        self._sign_ins = sign_ins
        self._book = book
        self._clock = clock
        self._lasts = lasts
        self._remembered: OrderedDict[bytes, tuple[float, SignIn | None]] = OrderedDict()

    async def sign_in_by_token(self, secret: str) -> NewSignIn | None:
        """A sign-in for whoever holds this token, until the token ends at the latest; None where it is no good one.

        Raises: Forbidden for a token that sees nothing.
        """
        token = await self._book.find_token(secret)
        if token is None:
            return None
        if not token.grant().may(Permission.READ):
            raise Forbidden("With this token one can send alerts, and see nothing. Make one with the scope read.")
        now = self._clock()
        sign_in = SignIn(
            digest=b"",
            actor=token.name,
            key=token.id,
            scopes=token.scopes,
            match=token.match,
            method="token",
            created_at=now,
            expires_at=min(now + self._lasts, token.expires_at or _NEVER),
        )
        return await self._keep(sign_in)

    async def sign_in_person(self, person: Person) -> NewSignIn:
        """A sign-in for somebody whom the provider of the people vouches for. Raises Forbidden without a role."""
        people, now = self._people, self._clock()
        role = None if people is None else people.roles.role_of(person.groups)
        if people is None or role is None:
            _log.warning("sign_in_without_role", actor=person.name, groups=list(person.groups))
            raise Forbidden(f"You are {person.name}, and no group of yours has a role here: OIDC_ROLE_MAP gives roles")
        sign_in = SignIn(
            digest=b"",
            actor=person.name,
            key=f"oidc:{person.subject}",
            scopes=(role.scope,),
            match=role.match,
            method="oidc",
            detail={"issuer": people.issuer, "groups": list(person.groups), "id_token": person.id_token},
            created_at=now,
            expires_at=now + self._lasts,
        )
        return await self._keep(sign_in)

    async def find(self, cookie: str) -> SignedIn | None:
        """The user of the browser that holds this; None where that is nobody any more."""
        digest = digest_of(cookie)
        sign_in = await self._look_up(digest)
        if sign_in is None or not sign_in.is_good(self._clock()):
            return None
        if sign_in.method == "token" and not await self._book.check(sign_in.key):
            return None
        try:
            grant = self._person_grant(sign_in) if sign_in.method == "oidc" else sign_in.grant()
        except InvalidQuery as error:
            _log.error("sign_in_unusable", actor=sign_in.actor, reason=str(error))
            return None
        return None if grant is None else SignedIn(grant, sign_in.method)

    async def end(self, cookie: str) -> SignIn | None:
        """End the sign-in of the browser that holds this; returns what ended."""
        digest = digest_of(cookie)
        self._remembered.pop(digest, None)
        ended = await self._sign_ins.take(digest)
        if ended is not None:
            await self._note("signed_out", ended)
        return ended

    async def all(self) -> Sequence[SignIn]:
        """Those that are good, the newest first."""
        return await self._sign_ins.of_people(self._clock(), limit=_SHOWN)

    async def end_all(self, key: str) -> int:
        """End all of one user, by the key; how many."""
        self._remembered.clear()
        return await self._sign_ins.end_all(key)

    async def run(self) -> None:
        """Forget those that expired, until cancelled."""
        while True:
            try:
                await self._sign_ins.forget(self._clock())
            except AlertHistoryError as error:
                _log.debug("sign_ins_not_forgotten", reason=str(error))
            await asyncio.sleep(_FORGET_SECONDS)

    def _person_grant(self, sign_in: SignIn) -> Grant | None:
        """What the roles that are in force now give to the groups that somebody signed in with."""
        if self._people is None or sign_in.detail.get("issuer") != self._people.issuer:
            return None
        groups = msgspec.convert(sign_in.detail.get("groups"), list[str])
        return self._people.roles.grant(sign_in.actor, groups, key=sign_in.key)

    async def _look_up(self, digest: bytes) -> SignIn | None:
        time = asyncio.get_running_loop().time()
        known = self._remembered.get(digest)
        if known is not None and time - known[0] < _REMEMBERED_SECONDS:
            return known[1]
        sign_in = await self._sign_ins.find(digest)
        self._remembered[digest] = (time, sign_in)
        self._remembered.move_to_end(digest)
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return sign_in

    async def _keep(self, sign_in: SignIn) -> NewSignIn:
        cookie = new_cookie()
        kept = msgspec.structs.replace(sign_in, digest=digest_of(cookie))
        await self._sign_ins.add(kept)
        await self._note("signed_in", kept)
        return NewSignIn(cookie, kept)

    async def _note(self, action: str, sign_in: SignIn) -> None:
        detail = {"method": sign_in.method, "scopes": list(sign_in.scopes), "match": sign_in.match}
        shown = {name: value for name, value in detail.items() if value}
        await self._audit.note(action, actor=sign_in.actor, detail=shown, now=self._clock())
