"""What all pages share: their paths, the answer that carries one, its Content-Security-Policy, the page for an error.

A page is written on the server from a template in `templates/<noun>/`, in the frame of all pages (`frame`). Its styles
and scripts are files of ours (`assets`), nothing stands inline, and it works without script; every text of others is
escaped.
"""

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from alert_history.domain.permission import Permission
from alert_history.domain.visible import visible
from alert_history.errors import AlertHistoryError, InvalidQuery
from alert_history.web.http.gate import allow
from alert_history.web.http.problem import problem_of, retry_after
from alert_history.web.pages.assets import asset_path
from alert_history.web.pages.charts.scale import mark_of
from alert_history.web.pages.frame import Frame, bare_frame, length_words, zone_of
from alert_history.web.pages.markup import breakable, code, prose
from alert_history.web.pages.plain_fault import plain_fault
from alert_history.web.pages.travel import departure, is_refused

_PACKAGE = "alert_history.web.pages"
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_ALONE = (
    "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_FRAMED = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path that people see, or that a form of theirs is sent to.

    `needs` is what its caller must be allowed to do, and has no default; `keeps_to_reach` is as in `Operation`. Unless
    `is_measured`, the metrics count it under `unknown`. An error of ours that `handle` raises becomes a page that says
    it.
    """

    path: str
    handle: Callable[[Request], Awaitable[Response]]
    needs: Permission
    keeps_to_reach: bool = False
    method: str = "GET"
    is_measured: bool = True

    def for_router(self) -> Route:
        """It as Starlette's router takes it."""

        async def endpoint(request: Request) -> Response:
            if self.is_measured:
                request.state.endpoint = self.path
            try:
                allow(self.needs, keeps_to_reach=self.keeps_to_reach)
                if self.needs is not Permission.PUBLIC and (elsewhere := _elsewhere(request)) is not None:
                    return elsewhere
                return await self.handle(request)
            except AlertHistoryError as error:
                return apology(request, error)

        return Route(self.path, endpoint, methods=[self.method], name=f"{self.method.lower()} {self.path}")


class Link(NamedTuple):
    """Where a link leads, below the root of the service, and its words."""

    href: str
    words: str


HOME = Link("dashboard", "Go to what fires now")


def rendered(template: str, **values: object) -> str:
    """The HTML of a template, by its path below `templates/`."""
    return environment().get_template(template).render(**values)


def headers_of(frame: Frame) -> dict[str, str]:
    """The headers of a page in the frame: its policy, and that nobody may keep it."""
    return {"content-security-policy": _FRAMED.format(nonce=frame.nonce), "cache-control": "no-store"}


def page_response(frame: Frame, template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: object) -> Response:
    """A page as it stands now, which nobody may keep."""
    return HTMLResponse(rendered(template, frame=frame, **values), status_code=status, headers=headers_of(frame))


def message(
    request: Request, status: HTTPStatus, title: str, text: str, *, back: Link = HOME, tagline: str = ""
) -> Response:
    """A page that says one thing, and where to go from it."""
    frame = bare_frame(request)
    return page_response(
        frame, "page/message.html.jinja", status=status, title=title, text=text, back=back, tagline=tagline
    )


def apology(request: Request, error: AlertHistoryError, *, back: Link = HOME) -> Response:
    """What people see when something went wrong; an error that is not theirs says when to come back."""
    answer = problem_of(error)
    tagline = "Nothing was changed." if request.method != "GET" else ""
    text = plain_fault(answer.detail) if isinstance(error, InvalidQuery) else answer.detail
    response = message(request, HTTPStatus(answer.status), answer.title, text, back=back, tagline=tagline)
    if (seconds := retry_after(error)) is not None:
        response.headers["retry-after"] = str(seconds)
    return response


def _elsewhere(request: Request) -> Response | None:
    """The answer to who goes to another moment, or would act in the past; None for all others. Raises InvalidQuery."""
    if is_refused(request):
        text = "Nothing can be done there: what you do is done now. Go back to now first."
        title = "You look at the past"
        return message(request, HTTPStatus.CONFLICT, title, text, tagline="Nothing was changed.")
    return departure(request, zone_of(request), now=datetime.now(UTC))


def policy_of(html: str) -> str:
    """The Content-Security-Policy of a page that stands alone: its own style sheet, and nothing else."""
    style = _STYLE.search(html)
    text = "" if style is None else style.group(1)
    return _ALONE.format(hash=b64encode(sha256(text.encode()).digest()).decode())


@cache
def environment() -> Environment:
    """The templates, with the filters that they use."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(_PACKAGE), PackageLoader(_PACKAGE, package_path="static")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Callable[..., object]] = {
        "visible": visible,
        "prose": prose,
        "code": code,
        "breakable": breakable,
        "mark": mark_of,
        "spell": length_words,
    }
    made.filters.update(filters)
    made.globals["asset"] = asset_path
    return made
