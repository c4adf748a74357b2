"""`/dashboard` and `/`: what fires now, and what was lately. Here is what fires; `lately` has the rest.

How it looks is in `templates/now/`. Each part is made by itself and sent as soon as it is known.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.noise import query_text
from alert_history.domain.permission import Permission
from alert_history.engine.acknowledged import Acknowledged
from alert_history.engine.firing_alerts import FiringAlert, of_now
from alert_history.engine.firing_now import FiringCount, FiringNow
from alert_history.engine.firing_then import FiredThen, FiringThen
from alert_history.ports import History, HistoryFilter, PageRequest
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.frame import Firing, Frame, Frames
from alert_history.web.pages.lately import ANCHOR, Lately
from alert_history.web.pages.page import Page, rendered
from alert_history.web.pages.spans import absolute, picker_of, span_of
from alert_history.web.pages.streaming import Part, streamed

PATH = "dashboard"
RULES_SHOWN = 15
_EXAMPLES_READ = 200
_EXAMPLES_SHOWN = 5
_LABELS_SHOWN = 5
_MINUTE = timedelta(minutes=1)
_TELLING = ("namespace", "service", "pod", "node", "instance", "host", "deployment", "cluster", "team")
"""Labels that tell most about where an alert is, in this order."""
_TOLD = frozenset({"alertname", "severity"})


class NowParameters(msgspec.Struct, frozen=True):
    """What the page takes: a span, the way to count over time, and which part is asked for alone."""

    since: str | None = None
    until: str | None = None
    tz: str | None = None
    count: Literal["begun", "open"] = "begun"
    part: str | None = None


class Example(msgspec.Struct, frozen=True):
    """One alert that fires, with the labels that tell it from others of its rule, and who acknowledged it."""

    alert: FiringAlert
    labels: Mapping[str, str]
    takers: Sequence[str] = ()


class FiringRule(msgspec.Struct, frozen=True):
    """A rule of which something fires, with its newest alerts, and where all of them are."""

    count: FiringCount
    examples: Sequence[Example]
    href: str


class NowPage:
    """The page."""

    def __init__(
        self,
        firing: FiringNow,
        history: History,
        *,
        then: FiringThen,
        acknowledged: Acknowledged,
        lately: Lately,
        frames: Frames,
    ) -> None:
        self._firing = firing
        self._then = then
        self._history = history
        self._acknowledged = acknowledged
        self._lately = lately
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun: the first page of the service is this one."""
        return [
            Page(path=path, handle=self.show, needs=Permission.READ, keeps_to_reach=True) for path in (f"/{PATH}", "/")
        ]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard` and `GET /`. Raises InvalidQuery."""
        asked = read_page_parameters(request, NowParameters)
        frame = await self._frames.of(request, PATH)
        span = span_of(asked.since, asked.until, frame)

        async def firing() -> str:
            return await self._firing_part(frame)

        parts: dict[str, Part] = {"firing": firing, **self._lately.parts(frame, span, asked.count)}
        picker = picker_of(span, frame, anchor=ANCHOR)
        return await streamed(request, frame, "now/now.html.jinja", parts, picker=picker, span=span, count=asked.count)

    async def _firing_part(self, frame: Frame) -> str:
        fired = await (self._now() if frame.then is None else self._then.view(frame.then))
        view, newest = fired.view, fired.alerts
        rules = [_rule_of(count, newest, frame) for count in view.rules[:RULES_SHOWN]]
        rules = await self._with_takers(rules, frame)
        return rendered(
            "now/firing.html.jinja",
            frame=frame,
            whole=view.whole,
            worst=Firing({count.name: count.number for count in view.severities}).worst,
            severities=[(count, _href(frame, _of_severity(count.name), count)) for count in view.severities],
            rules=rules,
            others=view.rules[RULES_SHOWN:],
            unknown=fired.unknown,
            is_before_all=view.whole is None and frame.then is not None and await self._is_before_all(frame.then),
            all_href=None if view.whole is None else _href(frame, "", view.whole, group="rule"),
        )

    async def _is_before_all(self, at: datetime) -> bool:
        """Whether no alert had been received by then: nobody knows what fired."""
        page = await self._history.page(HistoryFilter(until=at), PageRequest(1))
        return not page.alerts and page.searched_until is None

    async def _now(self) -> FiredThen:
        """What fires now, with the newest alerts."""
        view = await self._firing.view()
        if view.whole is None:
            return FiredThen(view, [], [])
        page = await self._history.page(HistoryFilter(status="firing"), PageRequest(_EXAMPLES_READ))
        return FiredThen(view, [of_now(alert) for alert in page.alerts], [])

    async def _with_takers(self, rules: Sequence[FiringRule], frame: Frame) -> list[FiringRule]:
        """The rules, with who acknowledged the examples of those of which something is acknowledged."""
        ids = [example.alert.id for rule in rules if rule.count.acknowledged for example in rule.examples]
        takers = await self._acknowledged.takers(ids, by=frame.then)
        return [
            msgspec.structs.replace(
                rule, examples=[msgspec.structs.replace(e, takers=takers.get(e.alert.id, ())) for e in rule.examples]
            )
            for rule in rules
        ]


def _rule_of(count: FiringCount, newest: Sequence[FiringAlert], frame: Frame) -> FiringRule:
    own = [alert for alert in newest if alert.alertname == count.name]
    shared = (
        frozenset.intersection(*(frozenset(alert.labels.items()) for alert in own)) if len(own) > 1 else frozenset()
    )
    examples = [_example(alert, shared) for alert in own[:_EXAMPLES_SHOWN]]
    return FiringRule(count, examples, _href(frame, query_text(count.name), count))


def _example(alert: FiringAlert, shared: frozenset[tuple[str, str]]) -> Example:
    """The labels that not all alerts of the rule have; all of them where it is alone."""
    own = [pair for pair in alert.labels.items() if pair[0] not in _TOLD and pair not in shared]
    own.sort(key=lambda pair: (_TELLING.index(pair[0]) if pair[0] in _TELLING else len(_TELLING), pair[0]))
    return Example(alert, dict(own[:_LABELS_SHOWN]))


def _href(frame: Frame, query: str, count: FiringCount, **more: str) -> str:
    """Where the history lists them: a span from before the first of them."""
    since = absolute(count.oldest_at - _MINUTE, frame.now)["since"]
    return frame.href("dashboard/history", query=query, status="firing", since=since, **more)


def _of_severity(severity: str) -> str:
    """The query of what has this severity, quoted as the query language wants it."""
    return f"{{severity={msgspec.json.encode(severity).decode()}}}"
