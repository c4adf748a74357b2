"""`/dashboard/audit`: who did what, from where, what was before and after; and where its chain of digests stands.

How it looks is in `templates/audit/`, how an entry is told in `audit_words`.
"""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.audit import OUTCOMES, AuditChain
from alert_history.domain.permission import Permission
from alert_history.ports import AuditFilter, AuditTrail
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.audit_words import WORDS, name_of, tell
from alert_history.web.pages.frame import Frame, Frames
from alert_history.web.pages.page import Page, page_response

PATH = "/dashboard/audit"

_SHOWN = 50


class PageParameters(msgspec.Struct, frozen=True):
    """Which entries; `since` and `until` are whole days of the reader, both shown."""

    actor: Annotated[str, Meta(max_length=1000)] | None = None
    action: Annotated[str, Meta(max_length=1000)] | None = None
    outcome: Literal["done", "refused", "failed"] | None = None
    since: date | None = None
    until: date | None = None
    cursor: Annotated[UUID, Meta(description="The last one of the page before")] | None = None
    tz: str | None = None


class AuditPages:
    """The list."""

    def __init__(self, trail: AuditTrail, *, frames: Frames) -> None:
        self._trail = trail
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [Page(path=PATH, handle=self.show, needs=Permission.ADMIN)]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/audit`."""
        frame = await self._frames.of(request, PATH.strip("/"))
        asked = read_page_parameters(request, PageParameters)
        cursor = None if asked.cursor is None else str(asked.cursor)
        page = await self._trail.page(_filter(asked, frame), limit=_SHOWN, cursor=cursor)
        return page_response(
            frame,
            "audit/audit.html.jinja",
            asked=asked,
            entries=[(entry, tell(entry)) for entry in page.entries],
            outcomes=OUTCOMES,
            actions=_actions(asked.action),
            heads=await self._heads(frame),
            older=None if page.next_cursor is None else _href(frame, asked, cursor=page.next_cursor),
            newest=_href(frame, asked),
            is_filtered=asked != PageParameters(cursor=asked.cursor, tz=asked.tz),
        )

    async def _heads(self, frame: Frame) -> list[AuditChain]:
        """The chains of today and yesterday, the newest first."""
        since = (frame.now - timedelta(days=1)).date().isoformat()
        return list(await self._trail.chains(since=since))[::-1]


def _filter(asked: PageParameters, frame: Frame) -> AuditFilter:
    return AuditFilter(
        since=_begin(asked.since, frame),
        until=_until(_end(asked.until, frame), frame),
        actor=asked.actor or "",
        action=asked.action or "",
        outcome=asked.outcome,
    )


def _begin(day: date | None, frame: Frame) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), tzinfo=frame.zone)


def _end(day: date | None, frame: Frame) -> datetime | None:
    return None if day is None or day == date.max else _begin(day + timedelta(days=1), frame)


def _until(end: datetime | None, frame: Frame) -> datetime | None:
    """The end of the entries, for who looks at the past no later than the moment."""
    return end if frame.then is None else min(end or frame.then, frame.then)


def _actions(chosen: str | None) -> list[tuple[str, str]]:
    """The actions to choose from, with their words; the one that is chosen is among them."""
    actions = {*WORDS, *([chosen] if chosen else [])}
    return sorted(((action, name_of(action)) for action in actions), key=lambda pair: pair[1])


def _href(frame: Frame, asked: PageParameters, *, cursor: str | None = None) -> str:
    return frame.href(
        PATH.strip("/"),
        actor=asked.actor,
        action=asked.action,
        outcome=asked.outcome,
        since=asked.since,
        until=asked.until,
        cursor=cursor,
    )
