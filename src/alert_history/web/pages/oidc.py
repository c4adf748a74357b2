"""`/login/oidc`: a browser is sent to the identity provider, and comes back to `/login/oidc/callback`.

Both are asked with GET: browsers hold the Content-Security-Policy of a form against the redirect that answers it.
"""

from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.permission import Permission
from alert_history.engine.provider_sign_ins import BEGUN_LASTS, ProviderSignIns
from alert_history.errors import AlertHistoryError, Forbidden, ProviderUnavailable, SignInRefused
from alert_history.ports import Clock
from alert_history.web.http.browser import cookie_of, keep_session
from alert_history.web.http.client import Network, client_address
from alert_history.web.http.throttle import Throttle
from alert_history.web.pages.page import Link, Page, message
from alert_history.web.pages.way_back import page_of

CALLBACK = "/login/oidc/callback"

_BEGIN = "/login/oidc"
_BEGUN_COOKIE = "alert-history-oidc"
_AGAIN = Link("login", "Back to the sign-in")
_SHOWN_CHARACTERS = 60

_log = structlog.get_logger()


class OidcPages:
    """Both pages. `is_secure`: browsers reach us with TLS. The throttle counts who begins."""

    def __init__(
        self,
        sign_ins: ProviderSignIns,
        throttle: Throttle,
        *,
        clock: Clock,
        trusted: tuple[Network, ...],
        is_secure: bool,
    ) -> None:
        self._sign_ins = sign_ins
        self._throttle = throttle
        self._clock = clock
        self._trusted = trusted
        self._is_secure = is_secure

    def pages(self) -> list[Page]:
        """All pages of this noun: people see them who are not signed in."""
        return [
            Page(path=_BEGIN, handle=self.begin, needs=Permission.PUBLIC),
            Page(path=CALLBACK, handle=self.finish, needs=Permission.PUBLIC),
        ]

    async def begin(self, request: Request) -> Response:
        """`GET /login/oidc`: off to the provider."""
        address = client_address(request.scope, self._trusted)
        if seconds := self._throttle.wait_seconds(address):
            text = f"Too many sign-ins were begun. Wait {seconds} s, and try again."
            return message(request, HTTPStatus.TOO_MANY_REQUESTS, "Wait a moment", text, back=_AGAIN)
        self._throttle.note_failure(address)
        back = request.query_params.get("back", "")
        try:
            begun = await self._sign_ins.begin(page_of(back) if back else "")
        except ProviderUnavailable as error:
            return _unavailable(request, error)
        response = RedirectResponse(begun.place, status_code=HTTPStatus.SEE_OTHER, headers=_ONCE)
        response.set_cookie(
            _BEGUN_COOKIE,
            begun.secret,
            max_age=int(BEGUN_LASTS.total_seconds()),
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )
        return response

    async def finish(self, request: Request) -> Response:
        """`GET /login/oidc/callback`: back from the provider, and on to the page that was asked for."""
        response = await self._finished(request)
        response.headers.update(_ONCE)
        response.delete_cookie(_BEGUN_COOKIE, path="/", httponly=True, samesite="lax")
        return response

    async def _finished(self, request: Request) -> Response:
        asked, secret = request.query_params, cookie_of(request.scope, _BEGUN_COOKIE)
        state, code, fault = asked.get("state", ""), asked.get("code", ""), asked.get("error", "")
        address = client_address(request.scope, self._trusted)
        try:
            if fault or not code:
                told = fault[:_SHOWN_CHARACTERS] or "nothing"
                await self._sign_ins.give_up(told, state=state, secret=secret)
            made, back = await self._sign_ins.finish(code, state=state, secret=secret, issuer=asked.get("iss"))
        except ProviderUnavailable as error:
            return _unavailable(request, error)
        except (SignInRefused, Forbidden) as error:
            _log.warning("sign_in_refused", client=address, method="oidc", reason=str(error))
            return _refused(request, error)
        _log.info("signed_in", actor=made.sign_in.actor, client=address, method="oidc")
        response = RedirectResponse(f"../../{page_of(back)}", status_code=HTTPStatus.SEE_OTHER)
        keep_session(response, made, now=self._clock(), is_secure=self._is_secure)
        return response


_ONCE = {"cache-control": "no-store"}


def _unavailable(request: Request, error: ProviderUnavailable) -> Response:
    text = f"{str(error).capitalize()}. Try again in a moment, or sign in with a token. Tokens go on working."
    response = message(request, HTTPStatus.SERVICE_UNAVAILABLE, "The provider can't be asked", text, back=_AGAIN)
    response.headers["retry-after"] = str(error.after_seconds)
    return response


def _refused(request: Request, error: AlertHistoryError) -> Response:
    status = HTTPStatus.FORBIDDEN
    return message(request, status, "You are not signed in", f"{str(error)[:1].upper()}{str(error)[1:]}.", back=_AGAIN)
