"""`/dashboard/history`: find alerts, narrow the search by facets, see them over time, as a table, by rules or as lanes.

What is shown stands in the URL (`history_state`). How it looks is in `templates/history/`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.acts import Takers
from alert_history.domain.narrowing import only
from alert_history.domain.permission import Permission
from alert_history.domain.query import Query, parse_query
from alert_history.engine.acknowledged import Acknowledged
from alert_history.engine.analysis import Analysis, Asked
from alert_history.engine.as_of import history_as_of
from alert_history.engine.facets import FacetCounting
from alert_history.engine.rule_groups import RuleGrouping
from alert_history.engine.saved_views import SavedViews
from alert_history.engine.series import SeriesAnswer, SeriesCounting
from alert_history.engine.series_parts import SeriesWish
from alert_history.errors import AlertHistoryError, InvalidQuery
from alert_history.ports import History, HistoryFilter, StoredAlert
from alert_history.web.pages import history_rows
from alert_history.web.pages.charts.stacked import Stacked
from alert_history.web.pages.frame import Frame, Frames
from alert_history.web.pages.history_columns import KNOWN, cols_of
from alert_history.web.pages.history_facets import TOP, group_of, labels_of
from alert_history.web.pages.history_file import HistoryFile
from alert_history.web.pages.history_state import (
    DEFAULT_SPAN,
    EVERYTHING,
    FINGERPRINT,
    PATH,
    State,
    asked_of,
    read_state,
)
from alert_history.web.pages.page import Page, page_response, rendered
from alert_history.web.pages.severity_chart import severity_chart
from alert_history.web.pages.spans import Picker, absolute, picker_of, span_of
from alert_history.web.pages.streaming import Part, part_html, streamed

_LONG = timedelta(days=400)
"""Of a longer span the part is drawn that has alerts."""
_NOT_IN_PICKER = ("newer", "open")
_LANES = (FINGERPRINT, "alertname", "namespace", "severity")


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with what was asked: the text before the very character, that character, and the text behind."""

    text: str
    before: str = ""
    character: str = ""
    behind: str = ""
    has_place: bool = False


class Counts(msgspec.Struct, frozen=True):
    """What the histogram shows."""

    chart: Stacked
    series: SeriesAnswer


class HistoryCounting(msgspec.Struct, frozen=True, kw_only=True):
    """Who counts what the page shows beside the rows."""

    analysis: Analysis
    facets: FacetCounting
    series: SeriesCounting
    rules: RuleGrouping


class HistoryPage:
    """The page, and its file."""

    def __init__(
        self,
        history: History,
        counting: HistoryCounting,
        *,
        views: SavedViews,
        acknowledged: Acknowledged,
        frames: Frames,
    ) -> None:
        self._history = history
        self._counting = counting
        self._views = views
        self._acknowledged = acknowledged
        self._frames = frames
        self._file = HistoryFile(history, frames=frames)

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [
            Page(path=f"/{PATH}", handle=self.show, needs=Permission.READ, keeps_to_reach=True),
            Page(path=f"/{PATH}/export", handle=self._file.send, needs=Permission.READ, keeps_to_reach=True),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/history`. A query that can't be read is shown with its fault under the very character."""
        frame = await self._frames.of(request, PATH)
        state = read_state(request)
        try:
            asked = asked_of(state, frame)
        except InvalidQuery as error:
            values = _values(state, frame, fault=_fault(error, state.query))
            return page_response(frame, "history/history.html.jinja", status=HTTPStatus.BAD_REQUEST, **values)
        values = _values(state, frame)
        parts = self._parts(asked, state, frame, values)
        return await streamed(request, frame, "history/history.html.jinja", parts, **values)

    def _parts(self, asked: Asked, state: State, frame: Frame, values: Mapping[str, object]) -> Mapping[str, Part]:
        """The parts of the page, and all of them as one."""
        # Which fire is known of the past for single rows alone: all states are counted.
        counted = asked if frame.then is None else msgspec.structs.replace(asked, wanted=_of_all_states(asked.wanted))

        async def counts() -> str:
            answer = await self._counts(counted, frame, state)
            return rendered("history/counts.html.jinja", frame=frame, counts=answer, **values)

        async def facets() -> str:
            answer = await self._counting.facets.facets(counted, labels_of(state), top=TOP)
            query = parse_query(state.query)
            groups = [group_of(facet, state, query) for facet in answer.facets]
            return rendered("history/facets.html.jinja", frame=frame, groups=groups, covers=answer.covers, **values)

        async def rows() -> str:
            return await self._rows(asked, state, frame, values)

        async def views() -> str:
            return rendered("history/views.html.jinja", frame=frame, views=await self._views.all(), **values)

        parts: dict[str, Part] = {"counts": counts, "rows": rows, "facets": facets, "views": views}

        async def everything() -> str:
            made = await asyncio.gather(*(part_html(part, frame) for part in parts.values()))
            html = dict(zip(parts, made, strict=True))
            return rendered("history/body.html.jinja", frame=frame, part=lambda name: Markup(html[name]), **values)  # noqa: S704  # rendered just here

        return {**parts, "everything": everything}

    async def _rows(self, asked: Asked, state: State, frame: Frame, values: Mapping[str, object]) -> str:
        history = history_as_of(self._history, frame.then)
        if state.view == "lanes":
            lanes = await history_rows.read_lanes(history, asked, state=state, frame=frame)
            names = list(dict.fromkeys([*_LANES, state.lane]))
            then = 0 if lanes.shown else await self._firing_then(asked, frame)
            return rendered(
                "history/lanes.html.jinja", frame=frame, lanes=lanes, names=names, firing_then=then, **values
            )
        if state.group == "rule":
            groups, opened = await history_rows.read_rules(self._counting.rules, history, asked, state=state)
            if opened is not None:
                opened = msgspec.structs.replace(opened, takers=await self._takers(opened.alerts, frame))
            then = 0 if groups.groups else await self._firing_then(asked, frame)
            alone = partial(_rule_alone, state, asked.filter.query)
            return rendered(
                "history/rules.html.jinja",
                frame=frame,
                groups=groups,
                opened=opened,
                rule_only=alone,
                firing_then=then,
                **values,
            )
        table = await history_rows.read_table(history, asked, state)
        table = msgspec.structs.replace(table, takers=await self._takers(table.page.alerts, frame))
        then = 0 if table.page.alerts else await self._firing_then(asked, frame)
        return rendered("history/table.html.jinja", frame=frame, table=table, firing_then=then, **values)

    async def _takers(self, alerts: Sequence[StoredAlert], frame: Frame) -> Takers:
        return await self._acknowledged.takers((alert.id for alert in alerts), by=frame.then)

    async def _firing_then(self, asked: Asked, frame: Frame) -> int:
        """The most that fired at a time of the span, whenever they began; 0 where that can't be counted."""
        if asked.until - asked.since > _LONG:
            return 0
        try:
            answer = await self._counting.series.series(
                asked, SeriesWish(tz=frame.zone, tz_name=frame.tz, count="open")
            )
        except AlertHistoryError:
            return 0
        return max((max(each.total, each.peak or 0) for each in answer.buckets), default=0)

    async def _counts(self, asked: Asked, frame: Frame, state: State) -> Counts:
        known, _ = await self._counting.analysis.filled(asked) if asked.until - asked.since > _LONG else (asked, 0)
        answer = await self._counting.series.series(
            known, SeriesWish(tz=frame.zone, tz_name=frame.tz, by="severity", top=6)
        )
        return Counts(_chart(answer, frame, state), answer)


def _of_all_states(wanted: HistoryFilter) -> HistoryFilter:
    return msgspec.structs.replace(wanted, status=None)


def _values(state: State, frame: Frame, *, fault: Fault | None = None) -> dict[str, object]:
    """What all parts of the page show."""
    return {
        "state": state,
        "picker": _picker(state, frame),
        "fault": fault,
        "known_columns": list(KNOWN.values()),
        "cols_of": cols_of,
        "default_span": "" if state.until else DEFAULT_SPAN,
        "all_history": state.changed(since=EVERYTHING, until=""),
    }


def _picker(state: State, frame: Frame) -> Picker | None:
    """The picker of the span; None where the span itself can't be read."""
    try:
        span = span_of(state.since, state.until, frame, default=DEFAULT_SPAN)
    except InvalidQuery:
        return None
    return picker_of(span, frame, without=_NOT_IN_PICKER)


def _fault(error: InvalidQuery, query: str) -> Fault:
    if error.at is None:
        return Fault(str(error))
    at = error.at
    return Fault(error.reason, query[:at], query[at : at + 1], query[at + 1 :], has_place=True)


def _chart(answer: SeriesAnswer, frame: Frame, state: State) -> Stacked:
    """The histogram: each bar a link to its time."""

    def href(begin: datetime, end: datetime) -> str:
        return state.changed(**absolute(begin, end)).href

    return severity_chart(answer, frame, title="When they were first received", noun="began", href=href)


def _rule_alone(state: State, query: Query, rule: str) -> State | None:
    """The table of one rule; None where no query can say that."""
    text = only(query, "alertname", rule)
    return None if text is None else state.changed(query=text, group="")
