"""API tokens over HTTP: listed, made, replaced and revoked by who may say who may do what."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.grant import Scope
from alert_history.domain.permission import Permission
from alert_history.domain.token import Token
from alert_history.engine.caller import signed_as
from alert_history.engine.tokens import NewToken, TokenDesk, TokenWish
from alert_history.ports import Clock
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import read_body

_TAG = "Tokens"
_PATH = "/api/v1/tokens"


class TokenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token that is wanted."""

    name: Annotated[str, Meta(min_length=1, max_length=64, description="Letters, digits and `. _ - @ : / +`")]
    scopes: Annotated[list[Scope], Meta(min_length=1, description="What it may do; admin > operate > read")]
    match: Annotated[str, Meta(max_length=8192, description="Only alerts that match exist for it")] = ""
    expires: Annotated[str, Meta(max_length=16, description="When it ends, as in `90d`; empty: never")] = ""
    ingest_scope: Annotated[str, Meta(max_length=64, description="The scope of all that it sends")] = ""


class RotateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old secret stays good."""

    overlap: Annotated[str, Meta(max_length=16, description="A span, as in `24h`")] = "24h"


class NameParameters(msgspec.Struct, frozen=True):
    """Which token."""

    name: Annotated[str, Meta(max_length=64, description="The name of a token, or its id")]


class TokenAnswer(msgspec.Struct, frozen=True):
    """A token, without its secret. `state` is good, expired or revoked; `prefix` how it begins."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    match: str
    ingest_scope: str
    state: Literal["good", "expired", "revoked"]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewTokenAnswer(msgspec.Struct, frozen=True):
    """A new token. `secret` is shown this one time."""

    token: TokenAnswer
    secret: str


class TokenList(msgspec.Struct, frozen=True):
    """All tokens, the newest first."""

    tokens: list[TokenAnswer]


class TokensApi:
    """The handlers."""

    def __init__(self, desk: TokenDesk, *, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path=_PATH,
                summary="API tokens",
                handle=self.list,
                answer=TokenList,
                tag=_TAG,
                needs=Permission.ADMIN,
                failures=(503,),
                description="Whose they are, what they may do, when they end and were used last.",
            ),
            Operation(
                method="POST",
                path=_PATH,
                summary="Make a token",
                handle=self.create,
                body=TokenBody,
                answer=NewTokenAnswer,
                tag=_TAG,
                needs=Permission.ADMIN,
                failures=(400, 413, 422, 503),
                description="The answer holds the secret, which is kept nowhere. It is good at once, everywhere.",
            ),
            Operation(
                method="POST",
                path=f"{_PATH}/{{name}}/rotate",
                summary="Give a token a new secret",
                handle=self.rotate,
                parameters=NameParameters,
                body=RotateBody,
                answer=NewTokenAnswer,
                tag=_TAG,
                needs=Permission.ADMIN,
                failures=(400, 404, 413, 422, 503),
                description="The old secret stays good for the overlap, so that senders can be changed one by one.",
            ),
            Operation(
                method="DELETE",
                path=f"{_PATH}/{{name}}",
                summary="Revoke a token",
                handle=self.revoke,
                parameters=NameParameters,
                answer=TokenList,
                tag=_TAG,
                needs=Permission.ADMIN,
                failures=(400, 404, 503),
                description="By its name or id; within two seconds every replica refuses it.",
            ),
        ]

    async def list(self, _: Request, __: None) -> TokenList:
        """`GET /api/v1/tokens`."""
        return TokenList([token_answer(each, self._clock()) for each in await self._desk.all()])

    async def create(self, request: Request, _: None) -> NewTokenAnswer:
        """`POST /api/v1/tokens`."""
        body = await read_body(request, TokenBody)
        wish = TokenWish(
            name=body.name,
            scopes=body.scopes,
            match=body.match,
            expires=body.expires,
            ingest_scope=body.ingest_scope,
        )
        return self._made(await self._desk.create(wish, by=signed_as("api")))

    async def rotate(self, request: Request, asked: NameParameters) -> NewTokenAnswer:
        """`POST /api/v1/tokens/{name}/rotate`."""
        body = await read_body(request, RotateBody)
        return self._made(await self._desk.rotate(asked.name, overlap=body.overlap, by=signed_as("api")))

    async def revoke(self, _: Request, asked: NameParameters) -> TokenList:
        """`DELETE /api/v1/tokens/{name}`."""
        revoked = await self._desk.revoke(asked.name, by=signed_as("api"))
        return TokenList([token_answer(each, self._clock()) for each in revoked])

    def _made(self, made: NewToken) -> NewTokenAnswer:
        return NewTokenAnswer(token_answer(made.token, self._clock()), made.secret)


def token_answer(token: Token, now: datetime) -> TokenAnswer:
    """A token as calls and commands show it."""
    revoked = token.revoked_at is not None
    return TokenAnswer(
        token.id,
        token.name,
        token.prefix,
        list(token.scopes),
        token.match,
        token.ingest_scope,
        "revoked" if revoked else "good" if token.is_good(now) else "expired",
        token.created_at,
        token.created_by,
        token.expires_at,
        token.last_used_at,
        token.revoked_at,
    )
