"""`/dashboard/notifications`: everything that was sent, and what was not, with the reason; dead letters go out again.

How it looks is in `templates/notifications/`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.permission import Permission
from alert_history.domain.query import parse_query
from alert_history.engine.delivery_counts import DeliveryCounting, DeliveryCounts
from alert_history.engine.notifications import NotificationPage, Notifications, Wanted
from alert_history.engine.reach import is_narrowed
from alert_history.engine.targets import Targets
from alert_history.web.api.notifications import Outcome
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.done import done_of, note_done, said
from alert_history.web.pages.frame import Frame, Frames, length_words
from alert_history.web.pages.notices import groups_of
from alert_history.web.pages.page import Link, Page, rendered
from alert_history.web.pages.posted import fields_of, refusal
from alert_history.web.pages.replayed import Replayed, replay_all
from alert_history.web.pages.spans import Span, absolute, picker_of, span_of
from alert_history.web.pages.streaming import streamed

PATH = "/dashboard/notifications"

_REPLAY = f"{PATH}/replay"
_BACK = Link(PATH.strip("/"), "Back to the notifications")
_ENTRIES = 50
_MINUTE = timedelta(minutes=1)
_FILTERS = ("query", "target", "outcome", "fingerprint", "since", "until")
_CHOICES: Mapping[Outcome | None, str] = {
    None: "all",
    "not_told": "not sent",
    "delivered": "delivered",
    "pending": "waiting",
    "dead": "not delivered (dead letters)",
    "superseded": "superseded",
    "withheld": "withheld",
}
_WORDS: Mapping[str, str] = {
    "not_told": "not sent",
    "pending": "waiting",
    "leased": "under way",
    "dead": "not delivered (dead letter)",
}


class PageParameters(msgspec.Struct, frozen=True):
    """What the page shows."""

    query: str = ""
    target: str | None = None
    outcome: Outcome | None = None
    fingerprint: str | None = None
    since: str | None = None
    until: str | None = None
    cursor: str | None = None
    part: str | None = None
    tz: str | None = None


class Chip(NamedTuple):
    """A choice of an outcome; `number` is None where nobody counts."""

    words: str
    href: str
    is_current: bool
    number: int | None
    mark: str


class OlderDead(NamedTuple):
    """Dead letters from before the span; `is_cut` where there are more. `href` shows them."""

    number: int
    is_cut: bool
    newest_at: datetime
    href: str


class NotificationsPage:
    """The page, and the forms on it."""

    def __init__(
        self, notifications: Notifications, targets: Targets, *, counting: DeliveryCounting, frames: Frames
    ) -> None:
        self._notifications = notifications
        self._targets = targets
        self._counting = counting
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [
            Page(path=PATH, handle=self.show, needs=Permission.READ, keeps_to_reach=True),
            Page(path=_REPLAY, method="POST", handle=self.replay, needs=Permission.OPERATE, keeps_to_reach=True),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/notifications`."""
        frame = await self._frames.of(request, PATH.strip("/"))
        asked = read_page_parameters(request, PageParameters)
        span = span_of(asked.since, asked.until, frame)
        done = done_of(request, Replayed)
        page = await streamed(
            request,
            frame,
            "notifications/notifications.html.jinja",
            {
                "numbers": lambda: self._numbers(frame, asked, span),
                "entries": lambda: self._entries(frame, asked, span),
            },
            asked=asked,
            span=span,
            picker=picker_of(span, frame),
            targets=self._targets.names,
            readiness=self._targets.readiness(),
            replayed=done,
        )
        return said(page) if done else page

    async def replay(self, request: Request) -> Response:
        """`POST /dashboard/notifications/replay`: one dead letter, or all of a target."""
        refused = refusal(request, back=_BACK)
        if refused is not None:
            return refused
        fields = await fields_of(request)
        if "of_target" in fields:
            done = await replay_all(self._targets, fields["of_target"])
        else:
            done = Replayed(await self._targets.replay(fields.get("delivery", "")), 1, "")
        shown = urlencode([(name, fields[name]) for name in _FILTERS if name in fields])
        href = f"../notifications{'?' if shown else ''}{shown}"  # below whatever path of a proxy
        response = RedirectResponse(href, status_code=HTTPStatus.SEE_OTHER)
        note_done(response, msgspec.structs.asdict(done))
        return response

    async def _numbers(self, frame: Frame, asked: PageParameters, span: Span) -> str:
        """How much there is of each outcome: for all alerts, so nothing for who sees some of them only."""
        if is_narrowed():
            return ""
        counts = await self._counting.by_target(span.asked())
        return rendered(
            "notifications/numbers.html.jinja",
            frame=frame,
            asked=asked,
            counts=counts,
            chips=_chips(frame, asked, counts),
            link=lambda **wanted: _href(frame, asked, wanted),
            dead=await self._targets.dead_letters(),
            older_dead=await self._older_dead(frame, asked, span),
            names=self._targets.names,
            filters=_filters(asked),
        )

    async def _entries(self, frame: Frame, asked: PageParameters, span: Span) -> str:
        wanted = Wanted(
            query=parse_query(asked.query),
            fingerprint=asked.fingerprint,
            target=asked.target,
            outcome=asked.outcome,
            since=span.since,
            until=span.until,
            limit=_ENTRIES,
            cursor=asked.cursor,
        )
        page, concerns_all = await self._page(wanted)
        return rendered(
            "notifications/entries.html.jinja",
            frame=frame,
            asked=asked,
            span=span,
            groups=groups_of(page.notifications),
            page=page,
            concerns_all=concerns_all,
            names=self._targets.names,
            older=None if page.next_cursor is None else _href(frame, asked, {"cursor": page.next_cursor}),
            newest=_href(frame, asked, {}),
            link=lambda **wanted: _href(frame, asked, wanted),
            outcome_words=_WORDS,
            length=length_words,
            filters=_filters(asked),
            readiness=self._targets.readiness(),
        )

    async def _page(self, wanted: Wanted) -> tuple[NotificationPage, bool]:
        """The page. With a target it is of that target alone; where nothing can be said of it, of all targets: True."""
        if wanted.target is None:
            return await self._notifications.page(wanted), False
        page = await self._notifications.page(msgspec.structs.replace(wanted, is_of_target_alone=True))
        if page.notifications or page.next_cursor or wanted.cursor or wanted.outcome not in {None, "not_told"}:
            return page, False
        page = await self._notifications.page(wanted)
        return page, bool(page.notifications)

    async def _older_dead(self, frame: Frame, asked: PageParameters, span: Span) -> OlderDead | None:
        """Dead letters that are too old for the span; None where there are none, or a query picks some."""
        if frame.then or asked.query or asked.fingerprint or not await self._targets.dead_letters():
            return None
        wanted = Wanted(target=asked.target, outcome="dead", until=span.since, limit=_ENTRIES)
        page = await self._notifications.page(wanted)
        if not page.notifications:
            return None
        newest, oldest = page.notifications[0].at, page.notifications[-1].at
        shown = {"outcome": "dead", **absolute(oldest - _MINUTE, frame.now), "until": None}
        return OlderDead(len(page.notifications), page.next_cursor is not None, newest, _href(frame, asked, shown))


def _filters(asked: PageParameters) -> Sequence[tuple[str, str]]:
    """What a form sends along, so that the reader comes back to the same list."""
    return [(name, value) for name in _FILTERS if (value := getattr(asked, name))]


def _href(frame: Frame, asked: PageParameters, wanted: Mapping[str, object]) -> str:
    """A link to this page with the same filters, but for those that are wanted; None or empty leaves one out."""
    return frame.href(PATH.strip("/"), **{**dict(_filters(asked)), **wanted})


def _chips(frame: Frame, asked: PageParameters, counts: DeliveryCounts) -> list[Chip]:
    """The outcomes to choose from. What was settled in the span is counted where no query picks some of it."""
    of = [each for each in counts.targets if asked.target in {None, each.target}]
    is_counted = not asked.query and not asked.fingerprint
    numbers = {} if frame.then else {"pending": sum(each.waiting for each in of)}
    if is_counted:
        for name in ("delivered", "superseded", "dead"):
            numbers[name] = sum(getattr(each, name) for each in of)
    return [
        Chip(
            words,
            _href(frame, asked, {"outcome": outcome}),
            outcome == asked.outcome,
            numbers.get(outcome or "") if is_counted else None,
            "" if outcome is None else outcome,
        )
        for outcome, words in _CHOICES.items()
    ]
