"""The frame of all pages: where a page stands in the navigation, the time zone of its reader, and what fires now."""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple
from urllib.parse import unquote, urlencode

import msgspec
from starlette.requests import Request

from alert_history import __version__
from alert_history.domain.calendar import parse_zone
from alert_history.domain.grant import EVERYBODY, Grant
from alert_history.domain.permission import Permission
from alert_history.domain.severity import urgency
from alert_history.engine.caller import caller
from alert_history.engine.reach import is_narrowed
from alert_history.errors import InvalidQuery
from alert_history.ports import Clock
from alert_history.web.pages.travel import (
    Control,
    Travel,
    control_of,
    parameters_of,
    root_of,
    service_root,
    telling_of,
    travel_of,
)

ZONE_COOKIE = "alert-history-tz"
_UTC = "UTC"
_COLOURED = {4: "critical", 3: "warning"}
"""Words that have a colour, by their urgency."""


class Entry(NamedTuple):
    """An entry of the navigation, for who may do what it `needs`. `key` is the letter behind `g` that leads there."""

    path: str
    words: str
    key: str
    needs: Permission = Permission.READ


NAVIGATION: Sequence[Entry] = (
    Entry("dashboard", "Now", "n"),
    Entry("dashboard/history", "History", "h"),
    Entry("dashboard/notifications", "Notifications", "o"),
    Entry("dashboard/night", "Night", "i"),
    Entry("dashboard/rules", "Rules", "r"),
    Entry("dashboard/silences", "Silences", "s"),
    Entry("dashboard/targets", "Targets", "t"),
    Entry("dashboard/quarantine", "Quarantine", "q"),
    Entry("dashboard/sources", "Sources", "u"),
    Entry("classifications", "Classifications", "c"),
    Entry("dashboard/imports", "Imports", "m", Permission.ADMIN),
    Entry("dashboard/audit", "Audit", "a", Permission.ADMIN),
    Entry("dashboard/settings", "Settings", "e"),
    Entry("dashboard/tokens", "Tokens", "k", Permission.ADMIN),
)


_OF_ALL = frozenset(
    {
        "dashboard/silences",
        "dashboard/targets",
        "dashboard/quarantine",
        "dashboard/sources",
        "classifications",
        "dashboard/settings",
    }
)
"""Pages that are about all alerts: who sees some of them only is let to none of these."""


def navigation() -> Sequence[Entry]:
    """The pages that who calls is let to."""
    open_ = [entry for entry in NAVIGATION if caller().may(entry.needs)]
    return open_ if not is_narrowed() else [entry for entry in open_ if entry.path not in _OF_ALL]


class Firing(msgspec.Struct, frozen=True):
    """How many occurrences fire now, by severity, the worst first; unconfirmed ones are among them."""

    by_severity: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_severity.values())

    @property
    def worst(self) -> str:
        """The worst severity of an alert that fires, in a word that has a colour; `none` where nothing fires."""
        most_urgent = max((urgency(severity) for severity, number in self.by_severity.items() if number), default=None)
        return "none" if most_urgent is None else _COLOURED.get(most_urgent, "info")


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What the frame of one page shows.

    `root` leads to the root of all pages, relative to the page: of who looks at the past, to the pages of that moment.
    `service` leads to the root of the service, where its files and HTTP interface are. `tz` is the IANA name of `zone`.
    `nonce` marks the scripts and the attributes of htmx that the server wrote. `here` are the parameters of the page
    but for `tz`, and `back` the page with them, below the root; empty where it is the answer to a form.
    `firing` is None where nobody counted. `caller` is who sees it; `can_sign_out`: this browser signed in here.
    `is_unguarded`: everybody may do all, and nobody said that it is to be so. `travel` is the moment that the reader
    looks at, and None for now; `now` is that moment where the page shows things as they stood then. `control` leads to
    other moments.
    """

    root: str
    current: str
    nonce: str
    tz: str
    zone: tzinfo
    now: datetime
    service: str = "./"
    here: Sequence[tuple[str, str]] = ()
    back: str = ""
    firing: Firing | None = None
    version: str = __version__
    navigation: Sequence[Entry] = NAVIGATION
    caller: Grant = EVERYBODY
    can_sign_out: bool = False
    is_unguarded: bool = False
    travel: Travel | None = None
    control: Control | None = None

    def may(self, needs: str) -> bool:
        """Whether who sees the page may do what needs that permission: else its form or link is not shown.

        Nobody does anything in the past: what is done is done now.
        """
        if self.travel is not None and needs == Permission.OPERATE:
            return False
        return self.caller.may(Permission(needs))

    @property
    def then(self) -> datetime | None:
        """The past moment whose state the page shows; None where it shows how things are now."""
        return self.travel.at if self.travel is not None and self.travel.is_of_then else None

    def href(self, path: str, **parameters: object) -> str:
        """A link to a path below the root, with those parameters that are neither None nor empty."""
        asked = {name: str(value) for name, value in parameters.items() if value not in (None, "")}
        return f"{self.root}{path}{'?' if asked else ''}{urlencode(asked)}"

    def local(self, time: datetime) -> datetime:
        """A time on the clocks of the reader."""
        return time.astimezone(self.zone)

    def exact(self, time: datetime) -> str:
        """A time to the second, with its zone."""
        return self.local(time).strftime("%Y-%m-%d %H:%M:%S %Z")

    def short(self, time: datetime) -> str:
        """A time as short as it is clear: without the date today, without the year this year."""
        local, today = self.local(time), self.local(self.now)
        if local.date() == today.date():
            return local.strftime("%H:%M")
        return local.strftime("%d %b %H:%M" if local.year == today.year else "%d %b %Y %H:%M")

    def ago(self, time: datetime) -> str:
        """How long ago a time was, or how far ahead it is, in words."""
        seconds = (self.now - time).total_seconds()
        words = length_words(abs(seconds))
        if abs(seconds) < 1:
            return "now"
        return f"{words} ago" if seconds > 0 else f"in {words}"


class Frames:
    """Makes frames. `count_firing` counts what fires now; a page must not fail because it can't."""

    def __init__(self, *, clock: Clock, count_firing: Callable[[], Awaitable[Firing | None]]) -> None:
        self._clock = clock
        self._count_firing = count_firing

    async def of(self, request: Request, current: str, *, page: str = "") -> Frame:
        """The frame of a page; `current` is its entry of the navigation, `page` its name in `TELLINGS` if another.

        Raises InvalidQuery for an unknown `tz`, or an `at` that is no past time.
        """
        tz, zone = _zone_of(request)
        now = self._clock()
        travel = travel_of(request, zone, now=now)
        frame = msgspec.structs.replace(
            _frame(request, tz, zone), current=current, control=control_of(request, zone, now=now, travel=travel)
        )
        if travel is not None:
            travel = msgspec.structs.replace(travel, telling=telling_of(page or current))
            return msgspec.structs.replace(frame, travel=travel, now=travel.at if travel.is_of_then else now)
        firing = await self._count_firing() if frame.may("read") else None
        return msgspec.structs.replace(frame, now=now, firing=firing)


def bare_frame(request: Request) -> Frame:
    """A frame that asks nobody anything, for a page that says what went wrong.

    Where the moment itself is wrong, it leads back to now.
    """
    tz, zone = _kept_zone(request)
    frame = _frame(request, tz, zone)
    try:
        travel = travel_of(request, zone, now=frame.now)
    except InvalidQuery:
        return msgspec.structs.replace(frame, root=frame.service)
    control = control_of(request, zone, now=frame.now, travel=travel)
    return msgspec.structs.replace(frame, travel=travel, control=control)


def _frame(request: Request, tz: str, zone: tzinfo) -> Frame:
    here, grant = _here(request), caller()
    return Frame(
        root=root_of(request.url.path),
        service=service_root(request),
        current="",
        nonce=secrets.token_urlsafe(16),
        tz=tz,
        zone=zone,
        now=datetime.now(UTC),
        here=here,
        back=_back(request, here),
        navigation=navigation(),
        caller=grant,
        can_sign_out=getattr(request.state, "signed_in", None) is not None,
        is_unguarded=getattr(request.state, "is_unguarded", False),
    )


def length_words(seconds: float) -> str:
    """A length of time in its two largest units: `3 d 4 h`, `12 min`, `40 s`."""
    left = round(seconds)
    for size, unit, smaller, name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if left >= size:
            rest = left % size // smaller
            shows_rest = rest and left < 10 * size
            return f"{left // size} {unit} {rest} {name}" if shows_rest else f"{left // size} {unit}"
    return f"{left} s"


def _here(request: Request) -> list[tuple[str, str]]:
    """The parameters of the page but for `tz`, without what no form can send back."""
    return [pair for pair in parameters_of(request) if pair[0] != "tz"]


def _back(request: Request, here: Sequence[tuple[str, str]]) -> str:
    if request.method != "GET":
        return ""
    return request.url.path.lstrip("/") + (f"?{urlencode(here)}" if here else "")


def zone_of(request: Request) -> tzinfo:
    """The zone whose clocks a page shows. Raises InvalidQuery for an unknown one in the URL."""
    return _zone_of(request)[1]


def _zone_of(request: Request) -> tuple[str, tzinfo]:
    """The zone that the URL asks for, on this page alone; else the one that the reader keeps."""
    asked = request.query_params.get("tz")
    return (asked, parse_zone(asked)) if asked else _kept_zone(request)


def _kept_zone(request: Request) -> tuple[str, tzinfo]:
    tz = unquote(request.cookies.get(ZONE_COOKIE, _UTC))
    try:
        return tz, parse_zone(tz)
    except InvalidQuery:
        return _UTC, UTC
