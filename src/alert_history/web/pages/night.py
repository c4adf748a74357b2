"""`/dashboard/night/{date}`: the hand-over of a night, at an address that stays, on one or two sheets, as Markdown.

`engine.night` makes the report, and `domain.night_text` its words. Here are only the addresses: one that leaves
something open, such as the zone or "until now", leads to the one that names it. Without a date it is the night that
goes on, "tonight, so far"; by day the one that is over, "last night".
"""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, tzinfo
from http import HTTPStatus
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.calendar import instant
from alert_history.domain.night import Night
from alert_history.domain.night_span import NightSpan, finished_night, night_of, running_night
from alert_history.domain.night_text import ACT_WORDS, PageAddress, markdown_of, reason_text
from alert_history.domain.noise import query_text
from alert_history.domain.permission import Permission
from alert_history.engine.analysis import Asked
from alert_history.engine.night import NOTHING_KNOWN, NightRequest, Nights, span_of
from alert_history.engine.series import SeriesAnswer, SeriesCounting
from alert_history.engine.series_parts import SeriesWish
from alert_history.errors import AlertHistoryError, InvalidQuery
from alert_history.ports import HistoryFilter
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.charts.stacked import Stacked
from alert_history.web.pages.frame import Frame, Frames, length_words
from alert_history.web.pages.page import Link, Page, apology, message, rendered
from alert_history.web.pages.severity_chart import severity_chart
from alert_history.web.pages.spans import absolute
from alert_history.web.pages.streaming import streamed

PATH = "/dashboard/night"

_CURRENT = "dashboard/night"
_BACK = Link(_CURRENT, "Go to the newest night")
_DAY = timedelta(days=1)
_FORMATS = {None: "", "markdown": "&format=markdown"}
_MINUTE = timedelta(minutes=1)
_QUARTER = timedelta(minutes=15)
_MOST_QUARTERS = timedelta(days=1)
_MINUTES = "%Y-%m-%dT%H:%MZ"
_WALL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.ASCII)

_Evening: TypeAlias = date


class NightChoice(msgspec.Struct, frozen=True):
    """Which night, as the address or a form says it; `part` is that of `streaming`."""

    date: _Evening | None = None
    tz: str | None = None
    since: str | None = None
    until: str | None = None
    format: Literal["markdown"] | None = None
    part: str | None = None


class NightLink(NamedTuple):
    """A link to a night that has a name."""

    words: str
    href: str
    is_current: bool


class NightPage:
    """The pages of nights."""

    def __init__(self, nights: Nights, *, series: SeriesCounting, frames: Frames) -> None:
        self._nights = nights
        self._series = series
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [
            Page(path=PATH, handle=self.choose, needs=Permission.READ, keeps_to_reach=True),
            Page(path=f"{PATH}/{{date}}", handle=self.show, needs=Permission.READ, keeps_to_reach=True),
        ]

    async def choose(self, request: Request) -> Response:
        """`GET /dashboard/night`: leads to the newest night, or to the night of a form."""
        try:
            asked = read_page_parameters(request, NightChoice)
            frame = await self._frames.of(request, _CURRENT)
            if begins_at := self._ahead(asked, frame):
                return _not_begun(request, frame, begins_at)
            return _moved(f"night/{self._address(asked, frame)}{_FORMATS[asked.format]}")
        except AlertHistoryError as error:
            return apology(request, error, back=_BACK)

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/night/{date}`."""
        try:
            asked = read_page_parameters(request, NightChoice)
            frame = await self._frames.of(request, _CURRENT)
            if begins_at := self._ahead(asked, frame):
                return _not_begun(request, frame, begins_at)
            address = self._address(asked, frame)
            if address != _address_asked(asked):
                return _moved(address + _FORMATS[asked.format])
            return await self._shown(request, frame, asked)
        except AlertHistoryError as error:
            return apology(request, error, back=_BACK)

    def _ahead(self, asked: NightChoice, frame: Frame) -> datetime | None:
        """When the night of a date begins, where that is still ahead."""
        if asked.date is None or asked.since is not None or asked.until is not None:
            return None
        begins_at = night_of(asked.date, frame.zone).since
        return begins_at if begins_at > frame.now else None

    def _address(self, asked: NightChoice, frame: Frame) -> str:
        """The address of the same night that leaves nothing open. Raises InvalidQuery."""
        if asked.since is None and asked.until is None:
            return _address(asked.date or _newest(frame.now, frame.zone), tz=frame.tz)
        span = span_of(_request_of(asked, frame), frame.now)
        return _address(span.evening, since=_minute(span.since), until=_minute(span.until), tz=frame.tz)

    async def _shown(self, request: Request, frame: Frame, asked: NightChoice) -> Response:
        wanted = _request_of(asked, frame)
        address = _page_address(request, asked)
        if asked.format:
            night = await self._nights.report(wanted, at=frame.then)
            headers = {"cache-control": "no-store"}
            return Response(markdown_of(night, address), media_type="text/markdown; charset=utf-8", headers=headers)

        async def report() -> str:
            return _report(await self._nights.report(wanted, at=frame.then), frame, address)

        async def clock() -> str:
            return await self._chart(span, frame)

        span = span_of(wanted, frame.now)
        return await streamed(
            request,
            frame,
            "night/night.html.jinja",
            {"clock": clock, "report": report},
            span=span,
            is_named=asked.since is not None,
            before=_address(span.evening - _DAY, tz=frame.tz),
            after=_next(span, frame),
            choices=_choices(None if asked.since is not None else span.evening, frame),
            markdown=_address_asked(asked) + _FORMATS["markdown"],
        )

    async def _chart(self, span: NightSpan, frame: Frame) -> str:
        """When it began, in quarters of an hour; in longer steps where the span is longer than a day."""
        asked = Asked(HistoryFilter(), span.since, min(span.until, frame.now), frame.now)
        step = _QUARTER if asked.until - asked.since <= _MOST_QUARTERS else None
        wish = SeriesWish(frame.zone, frame.tz, by="severity", step=step)
        chart = _stacked(await self._series.series(asked, wish), frame)
        return rendered("night/clock.html.jinja", frame=frame, chart=chart) if chart.highest else ""


def _newest(now: datetime, zone: tzinfo) -> date:
    """The date of the night that goes on, or else of the one that is over."""
    return running_night(now, zone) or finished_night(now, zone)


def _choices(shown: date | None, frame: Frame) -> list[NightLink]:
    """Links to the night that goes on and to the one that is over, by their names."""
    named = (
        ("Tonight, so far", running_night(frame.now, frame.zone)),
        ("Last night", finished_night(frame.now, frame.zone)),
    )
    return [
        NightLink(words, _address(evening, tz=frame.tz), evening == shown)
        for words, evening in named
        if evening is not None
    ]


def _stacked(answer: SeriesAnswer, frame: Frame) -> Stacked:
    """The worst severity at the foot; each bar leads to the history of its time."""
    return severity_chart(
        answer,
        frame,
        title="When they were first received",
        noun="began",
        href=lambda begin, end: frame.href("dashboard/history", **absolute(begin, end)),
    )


def _page_address(request: Request, asked: NightChoice) -> PageAddress:
    """Where this page is, as its reader called it."""
    root = quote(str(request.base_url), safe=":/[]")
    return PageAddress(root, f"{_CURRENT}/{_address_asked(asked)}")


def _request_of(asked: NightChoice, frame: Frame) -> NightRequest:
    """What the engine is asked: times without a zone are on the clocks of the reader."""
    if asked.since is None and asked.until is None:
        return NightRequest(asked.date, frame.tz)
    since, until = (None if text is None else _aware(text, frame.zone) for text in (asked.since, asked.until))
    return NightRequest(None, frame.tz, since, until)


def _aware(text: str, zone: tzinfo) -> str:
    if not _WALL.fullmatch(text):
        return text
    try:
        return f"{instant(datetime.fromisoformat(text), zone):{_MINUTES}}"
    except (ValueError, OverflowError):
        raise InvalidQuery(f"{text!r} is no time on a clock") from None


def _next(span: NightSpan, frame: Frame) -> str | None:
    """The address of the next night; None while it has not begun."""
    following = night_of(span.evening + _DAY, frame.zone)
    return _address(following.evening, tz=frame.tz) if following.since <= frame.now else None


def _minute(time: datetime) -> str:
    """A time as an address names it: the next whole minute, so that a span until now has what came just now."""
    return f"{time + (-(time - datetime.min.replace(tzinfo=time.tzinfo)) % _MINUTE):{_MINUTES}}"


def _address(evening: date, **parameters: str) -> str:
    return f"{evening.isoformat()}?{urlencode(parameters)}"


def _address_asked(asked: NightChoice) -> str:
    named = {"since": asked.since, "until": asked.until, "tz": asked.tz}
    return _address(asked.date or date.min, **{name: text for name, text in named.items() if text is not None})


def _not_begun(request: Request, frame: Frame, begins_at: datetime) -> Response:
    text = f"It begins on {frame.local(begins_at):%d %B %Y, %H:%M}, {frame.tz}. This address will show it then."
    return message(request, HTTPStatus.NOT_FOUND, "This night has not begun", text, back=_BACK)


def _moved(address: str) -> Response:
    """Relative, as a proxy may serve us below a path of its own."""
    return RedirectResponse(address, status_code=HTTPStatus.SEE_OTHER)


def _clock_of(night: Night, frame: Frame) -> Callable[[datetime], str]:
    """Writes a time on the clocks of the reader; with its date where it is not of the night or the day after it."""

    def clock(at: datetime) -> str:
        if night.since <= at < night.next_night_at:
            return f"{frame.local(at):%H:%M}"
        try:
            local = frame.local(at)
        except OverflowError:  # a silence for ever
            return f"{at:%d %b %Y}"
        return f"{local:%d %b %H:%M}" if local.year == night.date.year else f"{local:%d %b %Y %H:%M}"

    return clock


def _report(night: Night, frame: Frame, address: PageAddress) -> str:
    known_until = min(night.until, night.covers.fresh_as_of)
    return rendered(
        "night/report.html.jinja",
        frame=frame,
        night=night,
        clock=_clock_of(night, frame),
        reason_text=reason_text,
        act_words=ACT_WORDS,
        query_text=query_text,
        length=length_words,
        span=absolute(night.since, night.until),
        known_span=absolute(night.since, known_until),
        text=markdown_of(night, address),
        is_before_all=NOTHING_KNOWN in night.covers.left_out,
        root=address.root,
    )
