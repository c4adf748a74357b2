"""`/dashboard/tokens`: who has a token, and who is signed in; for who may say who may do what.

The answer to the form that makes a token shows its secret, this one time: it stands in no address, and no cache keeps
it. Its looks are in `templates/tokens/`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.grant import SCOPES, Scope
from alert_history.domain.permission import Permission
from alert_history.engine.caller import caller, signed_as
from alert_history.engine.sign_ins import SignInDesk
from alert_history.engine.tokens import NewToken, TokenDesk, TokenWish
from alert_history.errors import InvalidBody
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.frame import Frames
from alert_history.web.pages.page import Link, Page, page_response
from alert_history.web.pages.posted import fields_of, lists_of, refusal

PATH = "dashboard/tokens"
SCOPE_WORDS: Mapping[Scope, str] = {
    "ingest": "send alerts",
    "read": "see the history, the pages, the targets",
    "operate": "the same, and acknowledge, note, correct, replay, switch modes",
    "admin": "the same, and import pasts, make and revoke tokens",
}

_BACK = Link(PATH, "Back to the tokens")


class TokensParameters(msgspec.Struct, frozen=True):
    """What the page says of the form that was just sent: a token that was revoked, sign-ins that ended."""

    revoked: str = ""
    ended: str = ""


class TokensPage:
    """The page, and its forms. `is_ingest_open`: senders need no token before there is one for them."""

    def __init__(self, desk: TokenDesk, sign_ins: SignInDesk, *, is_ingest_open: bool, frames: Frames) -> None:
        self._desk = desk
        self._sign_ins = sign_ins
        self._is_ingest_open = is_ingest_open
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [
            Page(path=f"/{PATH}", handle=self.show, needs=Permission.ADMIN),
            Page(path=f"/{PATH}", method="POST", handle=self.create, needs=Permission.ADMIN),
            Page(path=f"/{PATH}/rotate", method="POST", handle=self.rotate, needs=Permission.ADMIN),
            Page(path=f"/{PATH}/revoke", method="POST", handle=self.revoke, needs=Permission.ADMIN),
            Page(path=f"/{PATH}/sign-out", method="POST", handle=self.sign_out, needs=Permission.ADMIN),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/tokens`."""
        return await self._page(request, asked=read_page_parameters(request, TokensParameters))

    async def create(self, request: Request) -> Response:
        """`POST /dashboard/tokens`: the page with the secret on it."""
        if (refused := refusal(request, back=_BACK)) is not None:
            return refused
        given = await lists_of(request)
        wish = TokenWish(scopes=given.get("scopes", []), **{name: given.get(name, [""])[-1].strip() for name in _TEXTS})
        try:
            made = await self._desk.create(wish, by=signed_as("page"))
        except InvalidBody as error:
            return await self._page(request, wish=wish, fault=str(error))
        return await self._page(request, made=made)

    async def rotate(self, request: Request) -> Response:
        """`POST /dashboard/tokens/rotate`: the page with the new secret on it."""
        if (refused := refusal(request, back=_BACK)) is not None:
            return refused
        fields = await fields_of(request)
        try:
            made = await self._desk.rotate(
                fields.get("name", ""), overlap=fields.get("overlap", ""), by=signed_as("page")
            )
        except InvalidBody as error:
            return await self._page(request, fault=str(error))
        return await self._page(request, made=made, overlap=fields.get("overlap", ""))

    async def revoke(self, request: Request) -> Response:
        """`POST /dashboard/tokens/revoke`: by its id. Raises NotFound."""
        if (refused := refusal(request, back=_BACK)) is not None:
            return refused
        revoked = await self._desk.revoke((await fields_of(request)).get("id", ""))
        return _back(revoked=revoked[0].name)

    async def sign_out(self, request: Request) -> Response:
        """`POST /dashboard/tokens/sign-out`: end all sign-ins of one user."""
        if (refused := refusal(request, back=_BACK)) is not None:
            return refused
        fields = await fields_of(request)
        await self._sign_ins.end_all(fields.get("key", ""))
        return _back(ended=fields.get("actor", ""))

    async def _page(
        self,
        request: Request,
        *,
        asked: TokensParameters | None = None,
        wish: TokenWish | None = None,
        made: NewToken | None = None,
        overlap: str = "",
        fault: str = "",
    ) -> Response:
        tokens = await self._desk.all()
        now = (frame := await self._frames.of(request, PATH)).now
        return page_response(
            frame,
            "tokens/tokens.html.jinja",
            status=HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK,
            tokens=[each for each in tokens if each.is_good(now)],
            ended=[each for each in tokens if not each.is_good(now)],
            sign_ins=await self._sign_ins.all(),
            own_key=caller().key,
            closes_ingest=self._is_ingest_open and not any("ingest" in each.scopes for each in tokens),
            scopes={name: SCOPE_WORDS[name] for name in SCOPES},
            asked=asked or TokensParameters(),
            wish=wish or TokenWish(name="", scopes=["read"]),
            made=made,
            overlap=overlap,
            fault=fault,
            home=f"{frame.root}{PATH}",
        )


_TEXTS = ("name", "match", "ingest_scope", "expires")
"""The fields of a wish that are texts."""


def _back(**parameters: str) -> Response:
    """Relative, as a proxy may serve us below a path of its own."""
    return RedirectResponse(f"../tokens?{urlencode(parameters)}", status_code=HTTPStatus.SEE_OTHER)
