"""Looking at the past: the moment that a page is of, how each page tells of it, and how a reader goes there and back.

`?at=TIME` on any page leads to the same page below `/at/TIME/`. All links of pages are relative, so who is there stays
there, and no page has to carry the moment along. `without_prefix` takes the moment off a path before anything else sees
it; `travel_of` reads the moment; `control_of` makes what the frame shows. What a page may show of a past moment is in
`TELLINGS`, in one table, and stands in its banner.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.calendar import instant
from alert_history.errors import InvalidQuery
from alert_history.web.pages.reader_time import read_time

PREFIX = "/at/"
PARAMETER = "at"
PAGES = frozenset({"", "dashboard", "classifications", "login", "logout"})
"""The first parts of the paths of pages."""

_MOMENT = "travel"
_EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)
_NOT_KEPT = frozenset({PARAMETER, "part", "cursor", "newer"})
"""Parameters that say where on a page a reader is: they mean nothing at another moment."""
_UNCHANGING = frozenset({"/login", "/logout", "/dashboard/zone"})
"""Forms that change nothing but a cookie: they work in the past, too."""
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_NIGHT_HOUR = 3


class Telling(NamedTuple):
    """What a page can say of a past moment: as things stood then, or nothing, so that it says how they are now."""

    is_of_then: bool
    words: str


TELLINGS: Mapping[str, Telling] = {
    "dashboard": Telling(True, "What fired then is shown, and what had begun by then."),
    "dashboard/history": Telling(True, "Alerts that had been received by then are shown, each as it stood then."),
    "dashboard/alerts": Telling(True, "What happened later is left out."),
    "dashboard/notifications": Telling(
        True, "News of until then is listed, with what became of each in the end: it may have been sent later."
    ),
    "dashboard/night": Telling(True, "The night is told as far as it had gone by then."),
    "dashboard/rules": Telling(
        True, "Counted is what had begun by then; how long it lasted is known from now on, looking back."
    ),
    "dashboard/silences": Telling(True, "Silences are shown as they stood then."),
    "dashboard/quarantine": Telling(True, "What had been refused by then is listed."),
    "dashboard/audit": Telling(True, "Entries of until then are listed."),
}
"""By the page: a path below the root. A page that is not here says how things are now."""

_OF_NOW = Telling(False, "This page can't be told of a past moment: it shows what is so now.")


class Travel(msgspec.Struct, frozen=True, kw_only=True):
    """A reader looks at the moment `at`; `now` is what the clock says. `text` is the moment as the address has it."""

    at: datetime
    now: datetime
    text: str
    telling: Telling = Telling(True, "")

    @property
    def is_of_then(self) -> bool:
        """Whether the page shows things as they stood at the moment."""
        return self.telling.is_of_then


class Step(NamedTuple):
    """A link to another moment."""

    words: str
    href: str


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """What leads a reader to another moment: links, and a form for any time.

    `action` and `hidden` are the page itself; `value` fills the field. `back` leads to now; empty for who is there.
    """

    action: str
    hidden: Sequence[tuple[str, str]]
    value: str
    steps: Sequence[Step]
    back: str = ""


def without_prefix(scope: dict[str, Any]) -> dict[str, Any]:
    """The scope of a page below the prefix as that of the page itself, with the moment in its state; others as is."""
    path = scope.get("path", "")
    if scope["type"] != "http" or not path.startswith(PREFIX):
        return scope
    text, slash, rest = path.removeprefix(PREFIX).partition("/")
    first = rest.partition("/")[0]
    if not slash or first not in PAGES or (rest and not first):
        return scope
    return {**scope, "path": f"/{rest}", "state": {**scope.get("state", {}), _MOMENT: text}}


def telling_of(page: str) -> Telling:
    """How a page tells of the past."""
    return TELLINGS.get(page, _OF_NOW)


def moment_text(request: Request) -> str | None:
    """The moment as the address has it, read or not; None for who looks at now."""
    text: str | None = request.scope.get("state", {}).get(_MOMENT)
    return text


def travel_of(request: Request, zone: tzinfo, *, now: datetime) -> Travel | None:
    """The moment that a request is about; None for now. Raises InvalidQuery naming `at`."""
    text = moment_text(request)
    if text is None:
        return None
    return Travel(at=_moment(text, zone, now=now), now=now, text=text)


def departure(request: Request, zone: tzinfo, *, now: datetime) -> Response | None:
    """Where a page with `at` among its parameters leads; None without. Raises InvalidQuery naming `at`.

    A time that counts from now is made a moment here: whoever goes on from page to page stays at that one.
    """
    if not _is_read(request) or PARAMETER not in request.query_params:
        return None
    query = urlencode([pair for pair in parameters_of(request) if pair[0] != PARAMETER])
    text = request.query_params[PARAMETER]
    path = _path(request) + ("?" if query else "") + query
    place = "" if text in {"", "now"} else f"at/{_written(_moment(text, zone, now=now))}/"
    return RedirectResponse(f"{service_root(request)}{place}{path}", HTTPStatus.SEE_OTHER)


def is_refused(request: Request) -> bool:
    """Whether a request would change something, from a page of the past."""
    return not _is_read(request) and moment_text(request) is not None and request.url.path not in _UNCHANGING


def control_of(request: Request, zone: tzinfo, *, now: datetime, travel: Travel | None) -> Control:
    """The control of a page, or of the first one where the page is the answer to a form."""
    is_asked = _is_read(request)
    pairs = [pair for pair in parameters_of(request) if pair[0] not in _NOT_KEPT] if is_asked else []
    path = _path(request) if is_asked else "dashboard"
    home = service_root(request)

    def here(text: str) -> str:
        return f"{home}{path}?{urlencode([*pairs, (PARAMETER, text)])}"

    def to(moment: datetime | None) -> str:
        place = "" if moment is None else f"at/{_written(moment)}/"
        return f"{home}{place}{path}{'?' if pairs else ''}{urlencode(pairs)}"

    ago = [] if travel else [Step(f"{text[1:-1]} h ago", here(text)) for text in ("-1h", "-24h")]
    return Control(
        action=f"{home}{path}",
        hidden=pairs,
        value=(_last_night(zone, now) if travel is None else travel.at).astimezone(zone).strftime("%Y-%m-%dT%H:%M"),
        steps=[*ago, *(Step(words, to(moment)) for words, moment in _steps(zone, now=now, travel=travel))],
        back="" if travel is None else to(None),
    )


def root_of(path: str) -> str:
    """The way from a page to the root: relative, because a proxy may serve us below a path of its own."""
    return "../" * (path.count("/") - 1) or "./"


def service_root(request: Request) -> str:
    """The way from a page to the root of now, also from a page of the past."""
    up = "" if moment_text(request) is None else "../../"
    return root_of(request.url.path) + up


def _steps(zone: tzinfo, *, now: datetime, travel: Travel | None) -> list[tuple[str, datetime]]:
    """Moments that people ask for: of who looks at one, those around it first."""
    now = now.replace(microsecond=0)
    night = ("last night, 03:00", _last_night(zone, now))
    if travel is None:
        return [night]
    around = [
        ("1 h earlier", travel.at - _HOUR),
        ("1 h later", travel.at + _HOUR),
        ("24 h earlier", travel.at - _DAY),
        ("24 h later", travel.at + _DAY),
        night,
    ]
    return [(words, moment) for words, moment in around if _EARLIEST < moment < now]


def _last_night(zone: tzinfo, now: datetime) -> datetime:
    """The newest three o'clock at night on the clocks of a reader."""
    today = now.astimezone(zone).replace(hour=_NIGHT_HOUR, minute=0, second=0, microsecond=0, tzinfo=None)
    moment = instant(today, zone)
    return moment if moment < now else instant(today - _DAY, zone)


def _moment(text: str, zone: tzinfo, *, now: datetime) -> datetime:
    moment = read_time(text, zone, now=now.replace(microsecond=0), of=PARAMETER)
    if moment > now:
        raise InvalidQuery(f"{PARAMETER}: {_written(moment)} has not come yet")
    if moment < _EARLIEST:
        raise InvalidQuery(f"{PARAMETER}: there is no history from before {_EARLIEST.year}")
    return moment


def _written(moment: datetime) -> str:
    """A moment as an address has it: without a fraction where it has none."""
    utc = moment.astimezone(UTC)
    return quote(f"{utc:%Y-%m-%dT%H:%M:%S}{f'.{utc.microsecond:06}' if utc.microsecond else ''}Z", safe=":.")


def _is_read(request: Request) -> bool:
    return request.method in {"GET", "HEAD"}


def _path(request: Request) -> str:
    return quote(request.scope["path"].lstrip("/"))


def parameters_of(request: Request) -> list[tuple[str, str]]:
    """The parameters of a page, in order, without what no form can send back."""
    pairs = parse_qsl(request.url.query, keep_blank_values=True)
    return [(name, value) for name, value in pairs if "\0" not in name + value]
