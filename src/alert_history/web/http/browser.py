"""Browsers that are signed in: the cookie that says so, as it is set, read and taken away."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.requests import cookie_parser
from starlette.responses import Response

from alert_history.domain.grant import Grant
from alert_history.engine.sign_ins import NewSignIn, SignInDesk
from alert_history.web.http.client import Network, came_over_tls

SESSION_COOKIE = "alert-history-session"

_MAX_COOKIE_CHARACTERS = 256


class Browsers:
    """Browsers with our cookie, as a way through the gate. What it found stands in the state as `signed_in`, too."""

    def __init__(self, desk: SignInDesk) -> None:
        self._desk = desk

    async def caller(self, scope: Mapping[str, Any]) -> Grant | None:
        """See `gate.SignIn`. A cookie that is nobody's any more says nothing. Raises StorageUnavailable."""
        cookie = session_of(scope)
        signed_in = await self._desk.find(cookie) if cookie else None
        if signed_in is None:
            return None
        scope["state"]["signed_in"] = signed_in
        return signed_in.grant


def session_of(scope: Mapping[str, Any]) -> str:
    """What a browser holds of its sign-in; empty where it holds nothing."""
    return cookie_of(scope, SESSION_COOKIE)


def cookie_of(scope: Mapping[str, Any], name: str) -> str:
    """One of our cookies; empty where there is none, or one that is too long to be ours."""
    for header, value in scope["headers"]:
        if header == b"cookie" and name.encode() in value:
            cookie = cookie_parser(value.decode("latin-1")).get(name, "")
            return cookie if len(cookie) <= _MAX_COOKIE_CHARACTERS else ""
    return ""


def keep_session(response: Response, made: NewSignIn, *, now: datetime, is_secure: bool) -> None:
    """Have the browser hold a sign-in until it ends. Scripts can't read it, and no other site's form sends it."""
    response.set_cookie(
        SESSION_COOKIE,
        made.cookie,
        max_age=max(int((made.sign_in.expires_at - now).total_seconds()), 1),
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="lax",
    )


def drop_session(response: Response) -> None:
    """Have the browser forget its sign-in."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")


def is_behind_tls(scope: Mapping[str, Any], trusted: tuple[Network, ...]) -> bool:
    """Whether the browser speaks TLS, as far as can be told: by the proxies that are trusted, or by itself.

    With a form a browser sends the `Origin` of its page, which has the scheme that the browser sees. Whoever makes it
    up makes only their own cookie one for TLS.
    """
    origin = next((value for name, value in scope["headers"] if name == b"origin"), b"")
    return came_over_tls(scope, trusted) or bool(origin.lower().startswith(b"https://"))
