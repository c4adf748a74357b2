"""`/dashboard/rules`: all rules of a span as a table; with `rule=NAME` the page of one rule, which is in `rule`.

`engine.rule_table` answers. Here is how the table is sorted by links, and what it says where it is empty.
"""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import ClassVar, NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.calendar import STEPS
from alert_history.domain.interruptions import Hours
from alert_history.domain.permission import Permission
from alert_history.engine.analysis import Asked
from alert_history.engine.rule_table import RulesAnswer, RuleSort, RuleTable
from alert_history.engine.series import SeriesCounting
from alert_history.engine.series_parts import SeriesWish
from alert_history.errors import AlertHistoryError, InvalidQuery
from alert_history.ports import HistoryFilter
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.charts.sparkline import Sparkline, sparkline
from alert_history.web.pages.frame import Frame, Frames, length_words
from alert_history.web.pages.page import Link, Page, apology, page_response, rendered
from alert_history.web.pages.rule import RulePage
from alert_history.web.pages.spans import Span, picker_of, span_of
from alert_history.web.pages.streaming import streamed

PATH = "/dashboard/rules"
DEFAULT_SPAN = "-7d"

_CURRENT = "dashboard/rules"
_BACK = Link(_CURRENT, "Back to all rules")
_SHOWN, _MOST_SHOWN = 50, 1000
_POINTS = 90
_UNITS = {"1m": "minute", "1h": "hour", "1d": "day", "1w": "week"}


class RulesChoice(msgspec.Struct, frozen=True):
    """What the address asks for; with `rule`, the page of that rule. `part` is that of `streaming`."""

    query: str = ""
    since: str | None = None
    until: str | None = None
    tz: str | None = None
    sort: RuleSort = "-begun"
    all: bool = False
    rule: str | None = None
    part: str | None = None

    EMPTY_MEANS_EMPTY: ClassVar[frozenset[str]] = frozenset({"rule"})


class Column(NamedTuple):
    """A column: its words, what they mean, and the orders that it is sorted in; the first is that of a first click."""

    words: str
    hint: str
    sorts: tuple[RuleSort, ...]


COLUMNS = (
    Column("Rule", "its alertname", ("rule",)),
    Column("Began", "occurrences that began in the span, and their share of all", ("-begun", "begun")),
    Column("Over time", "how many began, from the begin of the span to its end", ()),
    Column("Firing now", "how many fire now, also of those that began before the span", ("-firing", "firing")),
    Column("Noise", "0 to 100, with what it surely is at least and at most; sorted by the least", ("-score",)),
    Column("Again", "began again within an hour of the last end of the same alert", ("-again", "again")),
    Column("Median", "half of those that ended had fired no longer than that", ("-median_seconds", "median_seconds")),
    Column(
        "Asleep",
        "minutes in which an alert of it began while people sleep, 22:00 to 08:00 on the clocks of {tz}",
        ("-asleep", "asleep"),
    ),
    Column("Last began", "when the newest occurrence of the span began", ("-last_begun_at", "last_begun_at")),
)


class Heading(NamedTuple):
    """A column as the page shows it: `order` is how the table is sorted by it now, empty if it is not.

    `href` is empty where nothing can be sorted by it.
    """

    words: str
    hint: str
    href: str
    order: str


class RulesPage:
    """The page of all rules."""

    def __init__(self, rules: RuleTable, series: SeriesCounting, rule: RulePage, *, frames: Frames) -> None:
        self._rules = rules
        self._series = series
        self._rule = rule
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [Page(path=PATH, handle=self.show, needs=Permission.READ, keeps_to_reach=True)]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/rules`."""
        try:
            asked = read_page_parameters(request, RulesChoice)
            frame = await self._frames.of(request, _CURRENT)
            span = span_of(asked.since, asked.until, frame, default=DEFAULT_SPAN)
            if asked.rule is not None:
                return await self._rule.show(request, frame, span, rule=asked.rule, query=asked.query)
        except AlertHistoryError as error:
            return apology(request, error, back=_BACK)
        return await self._shown(request, frame, span, asked)

    async def _shown(self, request: Request, frame: Frame, span: Span, asked: RulesChoice) -> Response:
        values = {
            "asked": asked,
            "span": span,
            "picker": picker_of(span, frame),
            "kept": [pair for pair in frame.here if pair[0] not in {"query", "part", "all"}],
        }
        try:
            counted = span.asked(asked.query)
        except InvalidQuery as error:
            values |= {"fault": str(error), "part": lambda _: ""}
            return page_response(frame, "rules/rules.html.jinja", status=HTTPStatus.BAD_REQUEST, **values)

        async def table() -> str:
            return await self._table(counted, frame, span, asked)

        return await streamed(request, frame, "rules/rules.html.jinja", {"table": table}, fault="", **values)

    async def _table(self, counted: Asked, frame: Frame, span: Span, asked: RulesChoice) -> str:
        top = _MOST_SHOWN if asked.all else _SHOWN
        answer = await self._rules.table(counted, Hours(frame.zone), tz=frame.tz, sort=asked.sort, top=top)
        return rendered(
            "rules/table.html.jinja",
            frame=frame,
            answer=answer,
            asked=asked,
            span=span,
            lines=await self._lines(counted, frame, answer),
            headings=[heading(column, asked.sort, frame) for column in COLUMNS],
            everything=_href(frame, all="true"),
            rule_href=lambda name: rule_href(frame, name, span, query=asked.query),
            length=length_words,
        )

    async def _lines(self, counted: Asked, frame: Frame, answer: RulesAnswer) -> Mapping[str, Sparkline]:
        """How the rules of the table went, by their names; none with a filter, which would be counted once more."""
        if counted.wanted != HistoryFilter():
            return {}
        step = line_step(counted.until - counted.since)
        values = [row.rule for row in answer.rules if row.begun][:_SHOWN]
        wish = SeriesWish(frame.zone, frame.tz, by="alertname", step=step, values=values)
        series = await self._series.series(counted, wish)
        unit = _UNITS.get(series.step, f"step of {series.step}")
        return {each.value: sparkline(each.counts, noun="began", unit=unit) for each in series.series}


def line_step(span: timedelta) -> timedelta:
    """The shortest step that makes a line of at most ninety points."""
    return next((step for step in STEPS.values() if span <= _POINTS * step), STEPS["52w"])


def heading(column: Column, sort: RuleSort, frame: Frame) -> Heading:
    """A column whose link sorts by it, or turns the order where the table is sorted by it."""
    hint = column.hint.format(tz=frame.tz)
    if not column.sorts:
        return Heading(column.words, hint, "", "")
    is_sorted = sort in column.sorts
    following = column.sorts[(column.sorts.index(sort) + 1) % len(column.sorts)] if is_sorted else column.sorts[0]
    order = ("descending" if sort.startswith("-") else "ascending") if is_sorted else ""
    return Heading(column.words, hint, _href(frame, sort=following), order)


def rule_href(frame: Frame, name: str, span: Span, *, query: str = "") -> str:
    """The page of a rule, of the same span; also of what has no name."""
    parameters = {"rule": name, **({"query": query} if query else {}), **span.parameters}
    return f"{frame.root}{_CURRENT}?{urlencode(parameters)}"


def _href(frame: Frame, **changed: str) -> str:
    """The same page with some parameters changed."""
    parameters = {name: value for name, value in frame.here if name != "part"}
    return "?" + urlencode({**parameters, **changed})
