"""Sign-ins at an identity provider: begun, and finished by the browser that began them.

Between the two the server keeps what belongs together, under the digest of the state; the browser holds a secret of its
own, so that nobody finishes in it what somebody else began. Each is finished once.
"""

import hmac
from datetime import timedelta
from typing import NamedTuple, NoReturn

import structlog

from alert_history.domain.sign_in import SignIn, new_cookie
from alert_history.domain.token import digest_of
from alert_history.engine.sign_ins import NewSignIn, SignInDesk
from alert_history.errors import SignInRefused
from alert_history.ports import Clock, IdentityProvider, SignIns

BEGUN_LASTS = timedelta(minutes=10)

_BEGIN_ANEW = "this sign-in took too long, or was begun in another browser; begin anew"

_log = structlog.get_logger()


class Begun(NamedTuple):
    """Where the browser goes on, and what it holds meanwhile."""

    place: str
    secret: str


class Finished(NamedTuple):
    """The sign-in, and the page that was asked for before it."""

    made: NewSignIn
    back: str


class ProviderSignIns:
    """Begins and finishes them. Calls may raise ProviderUnavailable and StorageUnavailable."""

    def __init__(self, provider: IdentityProvider, sign_ins: SignIns, desk: SignInDesk, *, clock: Clock) -> None:
        self._provider = provider
        self._sign_ins = sign_ins
        self._desk = desk
        self._clock = clock

    async def begin(self, back: str) -> Begun:
        """Begin one; afterwards the person gets to the page `back`."""
        state, nonce, verifier, secret = (new_cookie() for _ in range(4))
        place = await self._provider.place(state=state, nonce=nonce, verifier=verifier)
        now = self._clock()
        begun = SignIn(
            digest=digest_of(state),
            actor="",
            key="",
            scopes=(),
            method="oidc-begun",
            detail={"nonce": nonce, "verifier": verifier, "back": back, "browser": digest_of(secret).hex()},
            created_at=now,
            expires_at=now + BEGUN_LASTS,
        )
        await self._sign_ins.add(begun)
        return Begun(place, secret)

    async def finish(self, code: str, *, state: str, secret: str, issuer: str | None = None) -> Finished:
        """Finish the one that was begun with this state, in the browser that holds its secret.

        `issuer` is who sent the browser back, where it says so (RFC 9207). Raises: SignInRefused; Forbidden for
        somebody without a role.
        """
        begun = await self._taken(state, secret)
        if issuer is not None and issuer.rstrip("/") != self._provider.issuer.rstrip("/"):
            raise SignInRefused("another provider sent you back than the one you were sent to")
        detail = {name: str(value) for name, value in begun.detail.items()}
        person = await self._provider.redeem(code, nonce=detail["nonce"], verifier=detail["verifier"])
        return Finished(await self._desk.sign_in_person(person), detail["back"])

    async def give_up(self, fault: str, *, state: str, secret: str) -> NoReturn:
        """End what was begun, as the provider refused it with this word. Raises SignInRefused."""
        await self._taken(state, secret)
        raise SignInRefused(f"the provider says: {fault}")

    async def _taken(self, state: str, secret: str) -> SignIn:
        begun = await self._sign_ins.take(digest_of(state))
        if begun is None or begun.method != "oidc-begun" or begun.expires_at <= self._clock():
            raise SignInRefused(_BEGIN_ANEW)
        if not hmac.compare_digest(str(begun.detail["browser"]), digest_of(secret).hex()):
            _log.warning("sign_in_refused", method="oidc", reason="begun in another browser")
            raise SignInRefused(_BEGIN_ANEW)
        return begun
