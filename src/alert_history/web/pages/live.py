"""`/dashboard/history/live`: what happens, as it happens: a page, and the rows that follow it.

A browser that asks for `text/event-stream` gets rows as server-sent events, which htmx puts on top of a table. Rows are
written once for all who follow the same query with the same clock. Other pages have live rows, too, by the macros in
`templates/live/live.html.jinja`.
"""

import re
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.permission import Permission
from alert_history.domain.query import Query, parse_query
from alert_history.engine.live import Follower, Happening, Live
from alert_history.engine.live import Frame as LiveFrame
from alert_history.errors import AlertHistoryError, InvalidQuery
from alert_history.ports import Clock
from alert_history.web.api.stream import place_of
from alert_history.web.http.event_stream import BEGIN, MEDIA_TYPE, EventStream, message
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.frame import Frame, Frames
from alert_history.web.pages.page import Link, Page, page_response, rendered
from alert_history.web.pages.page import message as message_page
from alert_history.web.pages.spans import absolute

PATH = "/dashboard/history/live"

_CURRENT = "dashboard/history"
_NO_PAST = (
    "This page follows what happens as it happens. You look at the past: the history of then lists what happened."
)
_BACK = Link(_CURRENT, "Go to the history of then")
_SHOWN = 50
_MOST_ROWS = 30
_MOST_GROUPS = 15
_MOST_UP = 8
_MOMENT = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)
_UNKNOWN = timedelta(hours=1)
"""What is older is forgotten in the feed."""

_KINDS: Mapping[str, str] = {
    "refired": "fired again",
    "published": "published",
    "expired": "ended: not heard again",
    "inferred": "ended: inferred",
    "reconciled": "ended: reconciled",
    "left": "left its group",
    "conflict": "senders disagree",
    "joined": "joined to another",
    "unsilenced": "no longer silenced",
    "unacknowledged": "acknowledgement taken back",
    "noted": "note added",
    "resolved_elsewhere": "resolved at a vendor",
}
"""What happened, in words, where the kind is not yet that."""


class LiveParameters(msgspec.Struct, frozen=True):
    """Which occurrences, behind which number, and for a page how many folders below the root."""

    query: str = ""
    after: str = ""
    tz: str = ""
    up: Annotated[int, Meta(ge=0, le=_MOST_UP)] = 2


class Group(msgspec.Struct, frozen=True):
    """So many things of one kind that happened to one rule at once. `query` finds its occurrences."""

    alertname: str
    kind: str
    number: int
    query: str


class Row(msgspec.Struct, frozen=True):
    """A happening, and when it was received, as far as its alert and the rows below it tell."""

    happening: Happening
    received_at: datetime

    @property
    def is_past(self) -> bool:
        """Whether the alert is in another state by now."""
        return self.happening.state != self.happening.alert.state


class Rows(msgspec.Struct, frozen=True):
    """What happened, the newest first; of much at once the largest groups. `others` is how many things are not shown.

    `skipped` more things happened, and nobody looked which of them match; `href` is the history of their time.
    """

    happenings: Sequence[Row] = ()
    groups: Sequence[Group] = ()
    others: int = 0
    skipped: int = 0
    href: str = ""
    gap: str = ""


class LivePage:
    """The page, and its rows."""

    def __init__(self, live: Live, *, frames: Frames, clock: Clock) -> None:
        self._live = live
        self._frames = frames
        self._clock = clock

    def pages(self) -> list[Page]:
        """All pages of this module."""
        return [Page(path=PATH, handle=self.show, needs=Permission.READ, keeps_to_reach=True)]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/history/live`."""
        asked = read_page_parameters(request, LiveParameters)
        frame = await self._frames.of(request, _CURRENT, page="dashboard/history/live")
        if frame.travel is not None:
            return message_page(request, HTTPStatus.CONFLICT, "Live is now", _NO_PAST, back=_BACK)
        if MEDIA_TYPE in request.headers.get("accept", ""):
            return await self._follow(request, asked, frame)
        try:
            query, fault = parse_query(asked.query), ""
        except InvalidQuery as error:
            query, fault = Query((), ()), str(error)
        after, happenings = await self._live.recent(query, most=_SHOWN)
        rows = Rows([] if fault else rows_of(happenings, frame.now))
        return page_response(
            frame, "live/page.html.jinja", query=asked.query, fault=fault, rows=rows, after=after, words=words
        )

    async def _follow(self, request: Request, asked: LiveParameters, frame: Frame) -> Response:
        frame = msgspec.structs.replace(frame, root="../" * asked.up or "./", nonce="")
        query = parse_query(asked.query)
        follower = await self._live.follow(query, after=place_of(request, asked.after), is_whole=False)
        return EventStream(self._chunks(follower, frame, asked.query), end=follower.end)

    async def _chunks(self, follower: Follower, frame: Frame, query: str) -> AsyncGenerator[bytes]:
        yield BEGIN
        try:
            async with aclosing(follower.frames()) as live_frames:
                async for live_frame in live_frames:
                    yield live_frame.once((frame.root, frame.tz), lambda: self._written(live_frame, frame, query))  # noqa: B023  # called at once
        except AlertHistoryError as error:
            yield f": {error}\n\n".encode()  # the end; htmx comes again by itself

    def _written(self, live_frame: LiveFrame, frame: Frame, query: str) -> bytes:
        if live_frame.is_empty:
            return message(live_frame.last, kind="beat", data="")
        now = msgspec.structs.replace(frame, now=self._clock())
        html = rendered("live/rows.html.jinja", frame=now, rows=frame_rows(live_frame, now, query), words=words)
        return message(live_frame.last, data=re.sub(r"\n+", "\n", html).strip())


def words(kind: str) -> str:
    """What happened, in words."""
    return _KINDS.get(kind) or kind.replace("_", " ")


def rows_of(happenings: Sequence[Happening], now: datetime, *, received_at: datetime | None = None) -> list[Row]:
    """Rows, the newest on top, of happenings in their order.

    News keeps no time of its receipt: nothing is received before it happened, before its alert was, or before the news
    below it. So the times of the rows are in order. `received_at` is the time of all where it is known.
    """
    rows: list[Row] = []
    last: datetime | None = None
    for each in happenings:
        earliest = min(max(each.at, each.alert.timestamp), now)
        last = received_at or (earliest if last is None else max(last, earliest))
        rows.append(Row(each, last))
    return rows[::-1]


def frame_rows(live_frame: LiveFrame, frame: Frame, query: str) -> Rows:
    """What the page shows of what its follower is told."""
    if live_frame.gap is not None:
        return Rows(gap=live_frame.gap.reason)
    now, skipped = frame.now, live_frame.skipped
    href = _skipped_href(live_frame, frame, query) if skipped else ""
    if len(live_frame.happenings) <= _MOST_ROWS:
        is_just_now = live_frame.made is not None
        rows = rows_of(live_frame.happenings, now, received_at=now if is_just_now else None)
        return Rows(rows, skipped=skipped, href=href)
    counts = Counter((each.alert.alertname, each.kind) for each in live_frame.happenings)
    largest = counts.most_common(_MOST_GROUPS)
    groups = [Group(name, kind, number, _query_of(name)) for (name, kind), number in largest]
    others = counts.total() - sum(group.number for group in groups)
    return Rows(groups=groups, others=others, skipped=skipped, href=href)


def _skipped_href(live_frame: LiveFrame, frame: Frame, query: str) -> str:
    """The history of the time in which things were skipped. They were received up to a moment before their numbers."""
    since = (live_frame.skipped_since or frame.now - _UNKNOWN) - _MOMENT
    return frame.href("dashboard/history", query=query, **absolute(since, frame.now + _SECOND))


def _query_of(alertname: str) -> str:
    """The query for all occurrences of a rule."""
    return f"{{alertname={msgspec.json.encode(alertname).decode()}}}"
