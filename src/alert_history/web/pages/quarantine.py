"""`/dashboard/quarantine`: what was refused inside accepted requests, and why; each as it was sent.

How it looks is in `templates/quarantine/`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple, get_args
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.alert import Source
from alert_history.domain.permission import Permission
from alert_history.engine.as_of import history_as_of
from alert_history.origins.imports.registry import title_of
from alert_history.ports import History, QuarantinedAlert, QuarantineFilter
from alert_history.ports.imports import ImportRecord, Imports
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.frame import Frame, Frames
from alert_history.web.pages.page import Page, page_response

PATH = "/dashboard/quarantine"

_ONE = f"{PATH}/{{id}}"
_SHOWN = 25
_MOST_IN_LIST, _MOST_ALONE = 4_000, 200_000  # characters
_SOURCES: tuple[Source, ...] = get_args(Source)
_MOST_IMPORTS = 100


class PageParameters(msgspec.Struct, frozen=True):
    """Which refused alerts; `reason` is a part of the reason, as it is written, `source` also an origin of imports."""

    source: str | None = None
    reason: str | None = None
    cursor: Annotated[UUID, Meta(description="The last one of the page before")] | None = None
    tz: str | None = None


class Raw(NamedTuple):
    """What was sent, indented where it is JSON; `is_cut` where only its begin is shown."""

    text: str
    is_json: bool
    is_cut: bool


class QuarantinePages:
    """The list, and one refused alert by itself."""

    def __init__(self, history: History, *, imports: Imports, frames: Frames) -> None:
        self._history = history
        self._imports = imports
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [
            Page(path=PATH, handle=self.show, needs=Permission.READ),
            Page(path=_ONE, handle=self.show_one, needs=Permission.READ),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/quarantine`."""
        frame = await self._frames.of(request, PATH.strip("/"))
        asked = read_page_parameters(request, PageParameters)
        cursor = None if asked.cursor is None else str(asked.cursor)
        wanted = QuarantineFilter(asked.source, asked.reason)
        history = history_as_of(self._history, frame.then)
        page = await history.quarantine(limit=_SHOWN, cursor=cursor, wanted=wanted)
        return page_response(
            frame,
            "quarantine/quarantine.html.jinja",
            asked=asked,
            page=page,
            sources=_SOURCES if asked.source in {None, "", *_SOURCES} else (*_SOURCES, asked.source),
            imports=await self._imports_of(page.quarantine),
            title_of=title_of,
            raws=[raw_of(refused, most=_MOST_IN_LIST) for refused in page.quarantine],
            older=None if page.next_cursor is None else _href(frame, asked, cursor=page.next_cursor),
            newest=_href(frame, asked),
        )

    async def show_one(self, request: Request) -> Response:
        """`GET /dashboard/quarantine/{id}`."""
        frame = await self._frames.of(request, PATH.strip("/"))
        refused = await self._history.quarantined(request.path_params["id"])
        return page_response(
            frame,
            "quarantine/one.html.jinja",
            refused=refused,
            raw=raw_of(refused, most=_MOST_ALONE),
            imported=await self._imports.find(refused.receipt_id),
            title_of=title_of,
        )

    async def _imports_of(self, refused: Sequence[QuarantinedAlert]) -> Mapping[str, ImportRecord]:
        """The imports that refused them, by their ids."""
        if not refused:
            return {}
        ids = {each.receipt_id for each in refused}
        return {each.id: each for each in await self._imports.newest(_MOST_IMPORTS) if each.id in ids}


def raw_of(refused: QuarantinedAlert, *, most: int) -> Raw:
    """What was sent, as people read it: at most so many characters."""
    text, is_json = refused.raw, False
    if len(text) <= most:
        try:
            text = msgspec.json.format(text, indent=2)
            is_json = True
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            pass
    return Raw(text[:most], is_json, len(text) > most)


def _href(frame: Frame, asked: PageParameters, *, cursor: str | None = None) -> str:
    return frame.href(PATH.strip("/"), source=asked.source, reason=asked.reason, cursor=cursor)
