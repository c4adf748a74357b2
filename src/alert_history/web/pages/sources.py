"""`/dashboard/sources`: who sends, how fresh each sender is, what was lost or missed, and how to send to us.

How it looks is in `templates/sources/`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.alert import Source
from alert_history.domain.permission import Permission
from alert_history.engine.origins import OriginState
from alert_history.engine.sender_overview import A_HOUR, ENDED_DAYS, REFUSED, Losses, SenderFacts, SenderOverview
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.charts.sparkline import Sparkline, sparkline
from alert_history.web.pages.frame import Frame, Frames, length_words
from alert_history.web.pages.page import Page, rendered
from alert_history.web.pages.silences import Heard, Polled
from alert_history.web.pages.streaming import streamed

PATH = "dashboard/sources"
_REASONS = 6
_POSTERS = 12

NAMES: Mapping[str, str] = {
    "alertmanager": "Alertmanager",
    "grafana": "Grafana",
    "prometheus": "Prometheus",
    "event_recorder": "Event recorder",
}
"""The sources, as people call them."""

ENDINGS: Mapping[str, tuple[str, str]] = {
    "resolved": ("told by a sender", "A sender said so."),
    "expired": ("expired", "Who had to repeat it fell silent."),
    "inferred": ("inferred", "Later words of senders imply it."),
    "reconciled": ("found by a poll", "An Alertmanager or Prometheus that was asked did not list it any more."),
}
"""How the end of an alert is known, in words, and what that means."""


class SourcesParameters(msgspec.Struct, frozen=True):
    """It takes what all pages take."""

    tz: str | None = None
    part: str | None = None


class SourceFreshness(NamedTuple):
    """A kind of source, and when it was last heard; None: never."""

    name: str
    words: str
    heard_at: datetime | None


class Row(NamedTuple):
    """A sender, with its requests of the last day as a line."""

    facts: SenderFacts
    line: Sparkline


class SourcesPage:
    """The page. `polled` is None where nobody is polled."""

    def __init__(
        self, overview: SenderOverview, losses: Losses, *, heard: Heard, polled: Polled | None, frames: Frames
    ) -> None:
        self._overview = overview
        self._losses = losses
        self._heard = heard
        self._polled = polled
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [Page(path=f"/{PATH}", handle=self.show, needs=Permission.READ)]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/sources`."""
        read_page_parameters(request, SourcesParameters)
        frame = await self._frames.of(request, PATH)

        async def senders() -> str:
            return await self._senders(frame)

        async def lost() -> str:
            return await self._lost(frame)

        heard = self._heard.times()
        return await streamed(
            request,
            frame,
            "sources/sources.html.jinja",
            {"senders": senders, "lost": lost},
            sources=[SourceFreshness(name, NAMES[name], heard.get(name)) for name in get_args(Source)],
            is_empty=not heard,
            polled=self._polls(),
            ours=f"{request.url.scheme}://{request.headers.get('host', 'alert-history:8080')}",
        )

    async def _senders(self, frame: Frame) -> str:
        report = await self._overview.report()
        return rendered(
            "sources/senders.html.jinja",
            frame=frame,
            report=report,
            rows=[Row(each, sparkline(each.hours, noun="requests", unit="hour")) for each in report.senders],
            posters=report.posters[:_POSTERS],
            more_posters=max(len(report.posters) - _POSTERS, 0),
            names=NAMES,
            a_hour=A_HOUR,
            length=_length,
        )

    async def _lost(self, frame: Frame) -> str:
        report = await self._losses.report()
        return rendered(
            "sources/lost.html.jinja",
            frame=frame,
            report=report,
            refused=sum(each.number for each in report.refused),
            most_refused=REFUSED,
            reasons=report.refused[:_REASONS],
            ended=sum(report.ended.values()),
            endings=ENDINGS,
            days=ENDED_DAYS,
            names=NAMES,
        )

    def _polls(self) -> Mapping[str, OriginState]:
        return {} if self._polled is None else self._polled.state


def _length(span: timedelta | None) -> str:
    return "unknown" if span is None else length_words(span.total_seconds())
