"""Where Alertmanager's API v2 is served: plainly, for one of several Alertmanagers, and at a moment.

Clients that can't add a parameter to what they ask get both by the address that they are given.
"""

from datetime import datetime

import msgspec
from starlette.requests import Request

from alert_history.domain.times import parse_time
from alert_history.errors import InvalidQuery
from alert_history.ports import Clock

API = "/api/v2"
NAMED = "/am/{name}"
PAST = "/at/{moment}"
PREFIXES = ("", NAMED, PAST, f"{PAST}{NAMED}")
"""What may stand before `API`."""

_BEGINNINGS = (f"{API}/", "/am/", "/at/")


class Place(msgspec.Struct, frozen=True):
    """What a request asks about. `at` None: now. `cluster` None: all Alertmanagers together."""

    at: datetime | None = None
    cluster: str | None = None


def place_of(request: Request, *, clock: Clock) -> Place:
    """The moment and the Alertmanager that a request names, by its path or by `at`. Raises InvalidQuery."""
    name: str | None = request.path_params.get("name")
    moment: str | None = request.path_params.get("moment")
    given = [text for text in request.query_params.getlist("at") if text]
    if len({*given, *([moment] if moment is not None else [])}) > 1:
        raise InvalidQuery("at: it is given more than once, and not the same")
    text = moment if moment is not None else next(iter(given), None)
    if text is None:
        return Place(None, name)
    try:
        return Place(parse_time(text, clock()), name)
    except InvalidQuery as error:
        raise InvalidQuery(f"at: {error}") from None


def is_alertmanager_path(path: str) -> bool:
    """Whether errors at this path are told as Alertmanager tells them: as a JSON string."""
    return path.startswith(_BEGINNINGS)


def plain_path(path: str) -> str:
    """The path without slashes too many, inside or at the end: Alertmanager serves these, too."""
    if "//" not in path and not path.endswith("/"):
        return path
    plain = "/" + "/".join(filter(None, path.split("/")))
    return plain if is_alertmanager_path(plain) else path


def missing_text(path: str) -> str:
    """What is said of a path at which nothing is served."""
    return f"path {path} was not found"


def not_allowed_text(method: str, path: str, *, allowed: str) -> str:
    """What is said of a method that is not served at a path, with what to do instead."""
    if path.startswith("/at/") and method in {"POST", "DELETE"}:
        return f"{method}: the past can't be changed, it can only be asked; allowed: {allowed}"
    if path.startswith("/am/") and method == "POST" and path.endswith(f"{API}/alerts"):
        return (
            f"alerts are posted to {API}/alerts, without /am/NAME before: Alert History keeps them and passes none on "
            f"to an Alertmanager; allowed: {allowed}"
        )
    return f"method {method} is not allowed, but [{allowed}] are"
