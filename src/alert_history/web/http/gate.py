"""The gate: who calls, by what their request carries. Every request passes it before any path is looked up.

`Authorization: Bearer TOKEN`, or Basic with the token as the password, as the `http_config` of Alertmanager and
Prometheus sends them; without a token of ours the other ways to sign in, in their order. What an operation needs is
checked behind it, in `allow`.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from alert_history.domain.grant import EVERYBODY, NOBODY, Grant
from alert_history.domain.permission import Permission
from alert_history.domain.token import TOKEN_PREFIX, digest_of
from alert_history.engine.caller import caller
from alert_history.engine.reach import REFUSAL
from alert_history.engine.tokens import TokenBook
from alert_history.errors import Forbidden, NotSignedIn
from alert_history.web.http.auditing import AuditedCalls

CHALLENGE = 'Bearer realm="Alert History"'

_NO_TOKEN = "this needs a token: send it as Authorization: Bearer, or as the password of Basic"  # noqa: S105
_WRONG_TOKEN = "the token is none of ours, or it has ended or was revoked"  # noqa: S105
_MAX_CREDENTIALS = 4096
_MOST_STRANGE = 1000


class SignIn(Protocol):
    """A way to say who one is, besides a token: a browser's session, a proxy in front."""

    async def caller(self, scope: Mapping[str, Any]) -> Grant | None:
        """Who calls; None where the request says nothing of this kind. Raises NotSignedIn where it says it wrongly."""
        ...


class Gate:
    """Says who calls. `is_open`: nobody has to say who they are, and everybody may do all.

    `audited` notes who was refused, and what the others did. `is_unguarded`: it is open because nobody said that it is
    to be; pages warn of that.
    """

    def __init__(
        self,
        book: TokenBook,
        *,
        is_open: bool,
        is_unguarded: bool = False,
        is_ingest_closed: bool = False,
        ways: Sequence[SignIn] = (),
        audited: AuditedCalls | None = None,
    ) -> None:
        self._book = book
        self._ways = ways
        self._is_ingest_closed = is_ingest_closed
        self._strange: set[bytes] = set()
        self.is_open = is_open
        self.audited = audited
        self.is_unguarded = is_unguarded

    async def caller(self, scope: Mapping[str, Any]) -> Grant:
        """Who calls; `NOBODY` where the request does not say. Raises NotSignedIn, StorageUnavailable."""
        if self.is_open:
            return EVERYBODY
        if not _is_ours(scope["headers"]):
            for way in self._ways:
                grant = await way.caller(scope)
                if grant is not None:
                    return grant
        token = token_of(scope["headers"])
        return NOBODY if token is None else await self._holder(token)

    async def sender(self, scope: Mapping[str, Any]) -> Grant | None:
        """Who sends alerts; None where ingest is open to everybody. Raises NotSignedIn, Forbidden, StorageUnavailable.

        Ingest is open until there is a token for it, unless it was closed by `INGEST_AUTH`: Alertmanager drops alerts
        that are refused, so nothing but the operator's own act closes it.
        """
        await self._book.wait()
        if not self.is_ingest_closed and (strange := self._strange_token(scope)) is not None:
            await self._book.find(strange)  # it may be the first for ingest, made just now
        if not self.is_ingest_closed:
            return None
        token = token_of(scope["headers"])
        if token is None:
            raise NotSignedIn(_NO_TOKEN)
        grant = await self._holder(token)
        if not grant.may(Permission.INGEST):
            raise Forbidden("the token may not send alerts; make one with the scope ingest")
        return grant

    @property
    def is_ingest_closed(self) -> bool:
        """Whether senders need a token, as far as is known."""
        return self._is_ingest_closed or self._book.has_ingest_token

    def _strange_token(self, scope: Mapping[str, Any]) -> str | None:
        """What an open ingest is sent as a token, where nobody has looked for it yet: it may be meant for a proxy."""
        try:
            token = token_of(scope["headers"])
        except NotSignedIn:
            return None
        if token is None or self._book.known(token) is not None or (digest := digest_of(token)) in self._strange:
            return None
        if len(self._strange) >= _MOST_STRANGE:
            self._strange.clear()
        self._strange.add(digest)
        return token

    async def _holder(self, token: str) -> Grant:
        grant = await self._book.find(token)
        if grant is None:
            raise NotSignedIn(_WRONG_TOKEN)
        return grant


def allow(needs: Permission, *, keeps_to_reach: bool = False) -> None:
    """Check that who calls may do what needs that. Raises NotSignedIn, Forbidden.

    Who sees some alerts only is let to nothing but what is public, or says of itself that it keeps to their reach.
    """
    grant = caller()
    if grant.may(needs):
        if grant.reach is not None and needs is not Permission.PUBLIC and not keeps_to_reach:
            raise Forbidden(REFUSAL)
        return
    if grant == NOBODY:
        raise NotSignedIn(_NO_TOKEN)
    raise Forbidden(f"this needs the permission {needs}, which {grant.actor or 'the caller'} does not have")


def token_of(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The token that a request carries; None where it carries none."""
    for name, value in headers:
        if name == b"authorization":
            return _credentials(value)
    return None


def _is_ours(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a request carries what looks like a token of ours.

    What a proxy leaves in `Authorization` for others to read, as that of its own sign-in, does not.
    """
    try:
        token = token_of(headers)
    except NotSignedIn:
        return False
    return token is not None and token.startswith(TOKEN_PREFIX)


def _credentials(value: bytes) -> str:
    """What stands behind Bearer, or the password of Basic (its user, where there is no password)."""
    kind, _, rest = value[:_MAX_CREDENTIALS].partition(b" ")
    rest = rest.strip()
    match kind.lower():
        case b"bearer":
            return rest.decode("latin-1")
        case b"basic":
            try:
                user, _, password = b64decode(rest, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise NotSignedIn("Authorization: the part behind Basic is no base64 of user:password") from None
            return password or user
    raise NotSignedIn("Authorization: only Bearer and Basic are known here")
