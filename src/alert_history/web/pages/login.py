"""`/login` takes a token and makes a sign-in for a browser; `/logout` ends it. Its looks are in `templates/login/`."""

from http import HTTPStatus
from urllib.parse import urlencode

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.permission import Permission
from alert_history.domain.sign_in import SignIn
from alert_history.engine.caller import caller
from alert_history.engine.sign_ins import SignInDesk
from alert_history.errors import Forbidden, ProviderUnavailable
from alert_history.ports import Clock, IdentityProvider
from alert_history.web.http.browser import drop_session, is_behind_tls, keep_session, session_of
from alert_history.web.http.client import Network, client_address
from alert_history.web.http.gate import CHALLENGE
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.http.throttle import Throttle
from alert_history.web.pages.frame import bare_frame
from alert_history.web.pages.page import HOME, Link, Page, message, page_response
from alert_history.web.pages.posted import fields_of, refusal
from alert_history.web.pages.way_back import page_of

PATH = "/login"
_AGAIN = Link("login", "Sign in")

_log = structlog.get_logger()


class LoginParameters(msgspec.Struct, frozen=True):
    """`back` is the page that was asked for; `out`: the reader has just signed out."""

    back: str = ""
    out: str | None = None


class LoginPages:
    """The page, and its forms. `is_open`: nobody has to sign in; `provider` is who else can say who a reader is."""

    def __init__(
        self,
        desk: SignInDesk,
        throttle: Throttle,
        *,
        clock: Clock,
        trusted: tuple[Network, ...],
        is_open: bool,
        provider: IdentityProvider | None = None,
    ) -> None:
        self._desk = desk
        self._throttle = throttle
        self._clock = clock
        self._trusted = trusted
        self._is_open = is_open
        self._provider = provider

    def pages(self) -> list[Page]:
        """All pages of this noun: people see them who are not signed in."""
        return [
            Page(path=PATH, handle=self.show, needs=Permission.PUBLIC),
            Page(path=PATH, method="POST", handle=self.sign_in, needs=Permission.PUBLIC),
            Page(path="/logout", method="POST", handle=self.sign_out, needs=Permission.PUBLIC),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /login`."""
        asked = read_page_parameters(request, LoginParameters)
        return self._form(request, back=asked.back, is_out=asked.out is not None)

    async def sign_in(self, request: Request) -> Response:
        """`POST /login`: a form of our own page. Each failure costs the same, whatever was wrong."""
        if (refused := refusal(request, back=_AGAIN)) is not None:
            return refused
        fields = await fields_of(request)
        back = fields.get("back", "")
        address = client_address(request.scope, self._trusted)
        if seconds := self._throttle.wait_seconds(address):
            _log.warning("sign_in_throttled", client=address)
            return _wait(request, seconds)
        try:
            made = await self._desk.sign_in_by_token(fields.get("token", "").strip())
        except Forbidden as error:
            return self._form(request, back=back, fault=str(error), status=HTTPStatus.FORBIDDEN)
        if made is None:
            self._throttle.note_failure(address)
            _log.warning("sign_in_refused", client=address, method="token")
            fault = "This is no token of ours, or it has ended or was revoked."
            return self._form(request, back=back, fault=fault, status=HTTPStatus.UNAUTHORIZED)
        if earlier := session_of(request.scope):
            await self._desk.end(earlier)  # the browser forgets it now, so nobody else shall use it
        _log.info("signed_in", actor=made.sign_in.actor, client=address, method="token")
        response = RedirectResponse(page_of(back), status_code=HTTPStatus.SEE_OTHER)
        keep_session(response, made, now=self._clock(), is_secure=is_behind_tls(request.scope, self._trusted))
        return response

    async def sign_out(self, request: Request) -> Response:
        """`POST /logout`: the sign-in ends here, and at the provider where it is from there."""
        if (refused := refusal(request, back=HOME)) is not None:
            return refused
        cookie = session_of(request.scope)
        ended = await self._desk.end(cookie) if cookie else None
        place = None
        if ended is not None:
            _log.info("signed_out", actor=ended.actor, method=ended.method)
            place = await self._farewell(ended)
        response = (
            RedirectResponse("login?out=yes", status_code=HTTPStatus.SEE_OTHER)
            if place is None
            else (page_response(bare_frame(request), "login/farewell.html.jinja", place=place, provider=self._provider))
        )
        if place is not None:
            # Not a redirect: browsers hold the Content-Security-Policy of the form against one to another site.
            response.headers["refresh"] = f"0; url={place}"
        drop_session(response)
        return response

    async def _farewell(self, ended: SignIn) -> str | None:
        """Where the browser signs out of the provider, too; None where it did not sign in there, or it is away."""
        if self._provider is None or ended.method != "oidc":
            return None
        try:
            return await self._provider.farewell(str(ended.detail.get("id_token", "")))
        except ProviderUnavailable:
            return None

    def _form(
        self,
        request: Request,
        *,
        back: str,
        fault: str = "",
        is_out: bool = False,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        if self._is_open:
            text = "AUTH_MODE asks nobody who they are: everybody who can connect may do all."
            return message(request, HTTPStatus.OK, "Nobody has to sign in here", text)
        response = page_response(
            bare_frame(request),
            "login/login.html.jinja",
            status=status,
            fault=fault,
            back=back,
            page=page_of(back),
            is_out=is_out,
            actor=caller().actor,
            provider=self._provider,
            ask=urlencode({"back": back}) if back else "",
        )
        if status is HTTPStatus.UNAUTHORIZED:
            response.headers["www-authenticate"] = CHALLENGE
        return response


def _wait(request: Request, seconds: int) -> Response:
    text = f"Too many tries to sign in failed. Wait {seconds} s, and try again. Programs with a token go on working."
    response = message(request, HTTPStatus.TOO_MANY_REQUESTS, "Wait a moment", text, back=_AGAIN)
    response.headers["retry-after"] = str(seconds)
    return response
