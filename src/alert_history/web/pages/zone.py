"""`POST /dashboard/zone`: the time zone that a reader keeps for all pages. A link that names another leaves it so."""

from http import HTTPStatus
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.calendar import parse_zone
from alert_history.domain.permission import Permission
from alert_history.web.pages.frame import ZONE_COOKIE
from alert_history.web.pages.page import HOME, Page
from alert_history.web.pages.posted import fields_of, refusal
from alert_history.web.pages.way_back import page_of

PATH = "/dashboard/zone"
_YEAR_SECONDS = 365 * 86_400


def zone_page() -> Page:
    """The page that the form above all pages is sent to."""
    return Page(path=PATH, method="POST", handle=keep_zone, needs=Permission.READ, keeps_to_reach=True)


async def keep_zone(request: Request) -> Response:
    """Keep `tz` in a cookie, and go back to the page `back`. Raises InvalidQuery for an unknown zone."""
    if (refused := refusal(request, back=HOME)) is not None:
        return refused
    fields = await fields_of(request)
    tz = fields.get("tz", "UTC")
    parse_zone(tz)
    response = RedirectResponse(f"../{page_of(fields.get('back', ''))}", status_code=HTTPStatus.SEE_OTHER)
    response.set_cookie(ZONE_COOKIE, quote(tz), max_age=_YEAR_SECONDS, httponly=True, samesite="lax")
    return response
