"""What all pages share: the frame they stand in, their Content-Security-Policy, and the page for an error.

A page is written on the server from a template in `templates/<noun>/`. It needs no script, no other host and no file
beside it, so it opens anywhere and under the strictest policy; every text of others is escaped.
"""

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from alert_history import __version__
from alert_history.domain.permission import Permission
from alert_history.domain.visible import visible
from alert_history.errors import AlertHistoryError
from alert_history.web.http.problem import problem_of, retry_after
from alert_history.web.pages.markup import breakable, code, prose

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_POLICY = (
    "default-src 'none'; style-src 'sha256-{hash}'; "
    "img-src data:; base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path that people see, or that a form of theirs is sent to.

    `needs` is what its caller must be allowed to do, and has no default. Unless `is_measured`, the metrics count it
    under `unknown`.
    """

    path: str
    handle: Callable[[Request], Awaitable[Response]]
    needs: Permission
    method: str = "GET"
    is_measured: bool = True

    def for_router(self) -> Route:
        """It as Starlette's router takes it."""

        async def endpoint(request: Request) -> Response:
            if self.is_measured:
                request.state.endpoint = self.path
            return await self.handle(request)

        return Route(self.path, endpoint, methods=[self.method], name=f"{self.method.lower()} {self.path}")


class Link(NamedTuple):
    """Where a link leads, relative to the page it is on, because a proxy may serve us below a path of its own."""

    href: str
    words: str


def rendered(template: str, **values: object) -> str:
    """The HTML of a template, by its path below `templates/`."""
    return _environment().get_template(template).render(**values)


def page_response(template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: object) -> Response:
    """A page as it stands now, which nobody may keep; its forms lead to us alone."""
    html = rendered(template, version=__version__, **values)
    headers = {"content-security-policy": policy_of(html, forms="'self'"), "cache-control": "no-store"}
    return HTMLResponse(html, status_code=status, headers=headers)


def message(status: HTTPStatus, title: str, text: str, *, back: Link) -> Response:
    """A page that says one thing, that nothing was changed, and where to go from it."""
    return page_response("page/message.html.jinja", status=status, title=title, text=text, back=back)


def apology(error: AlertHistoryError, *, back: Link) -> Response:
    """What people see when something went wrong; an error that is not theirs says when to come back."""
    answer = problem_of(error)
    response = message(HTTPStatus(answer.status), answer.title, answer.detail, back=back)
    if (seconds := retry_after(error)) is not None:
        response.headers["retry-after"] = str(seconds)
    return response


def policy_of(html: str, *, forms: str = "'none'") -> str:
    """The Content-Security-Policy of a page: its own style sheet, and nothing else. `forms` is where its forms lead."""
    style = _STYLE.search(html)
    text = "" if style is None else style.group(1)
    return _POLICY.format(hash=b64encode(sha256(text.encode()).digest()).decode(), forms=forms)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("alert_history.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(visible=visible, prose=prose, code=code, breakable=breakable)
    return environment
