"""Routes over HTTP: the routes in force, which targets would be notified of an alert, and why or why not."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.delivery import Routing
from alert_history.domain.notifying import News, reason_for, route
from alert_history.domain.permission import Permission
from alert_history.domain.query import parse_query
from alert_history.domain.routes import Route, Routes, everywhere, taking
from alert_history.domain.times import parse_time
from alert_history.engine.router import Router
from alert_history.errors import InvalidQuery
from alert_history.ports import Clock, RoutesSource
from alert_history.web.http.operation import Operation

_TAG = "Publishing"
_PAIRS = 'As in a query: `alertname=DiskFull severity=critical`, or `{alertname="DiskFull",team="my team"}`'


class QuietHoursAnswer(msgspec.Struct, frozen=True):
    """Some quiet hours of a route, such as `mon-fri 22:00-07:00 Europe/Berlin`."""

    hours: str
    then: Literal["hold", "drop"]
    unless: str


class RouteAnswer(msgspec.Struct, frozen=True, rename={"does_continue": "continue"}):
    """A route with what it takes from the one it is in. `targets` null: it takes only what its own routes take."""

    name: str
    match: str
    targets: list[str] | None
    group_by: list[str] | None
    quiet_hours: list[QuietHoursAnswer]
    does_continue: bool
    routes: list["RouteAnswer"]


class RoutesAnswer(msgspec.Struct, frozen=True):
    """The routes in force, null where each target's own `match` decides alone.

    `faults` are those of what the file says now; as long as there are some, what was read at `read_at` stays in force.
    `unknown_targets` are names that routes send to and no target has.
    """

    file: str | None
    read_at: datetime | None
    faults: list[str]
    routes: list[RouteAnswer] | None
    unknown_targets: list[str]


class ExplainParameters(msgspec.Struct, frozen=True):
    """An alert that there may be."""

    labels: Annotated[str, Meta(description=f"The alert's labels. {_PAIRS}")]
    annotations: Annotated[str, Meta(description="Its annotations, in the same way")] = ""
    event: Annotated[
        Literal[
            "fired", "resolved", "refired", "published", "annotations_changed", "expired", "inferred", "reconciled"
        ],
        Meta(description="What happens to it"),
    ] = "fired"
    at: Annotated[str, Meta(description="When: RFC 3339, unix seconds, or relative to now")] = "now"
    starts_at: Annotated[str, Meta(description="When it began; without it, at that time too")] | None = None


class TargetExplained(msgspec.Struct, frozen=True):
    """Whether a target would be notified, from when on (null: at once), by which route, and why or why not."""

    target: str
    is_told: bool
    route: str | None
    due_at: datetime | None
    reason: str


class ExplainAnswer(msgspec.Struct, frozen=True):
    """Which targets would be notified. `routes` take the alert; `reason` says why no target can be notified at all."""

    labels: dict[str, str]
    annotations: dict[str, str]
    event: str
    at: datetime
    routes: list[str]
    targets: list[TargetExplained]
    reason: str | None


class RoutingApi:
    """The handlers. `source` is None without `ROUTES_FILE`."""

    def __init__(self, router: Router, source: RoutesSource | None, *, clock: Clock) -> None:
        self._router = router
        self._source = source
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/publishing/routes",
                summary="The routes in force",
                handle=self.routes,
                answer=RoutesAnswer,
                tag=_TAG,
                needs=Permission.READ,
                description="What `ROUTES_FILE` says, and what is wrong with it.",
            ),
            Operation(
                path="/publishing/explain",
                summary="Which targets would be notified of an alert, and why or why not",
                handle=self.explain,
                answer=ExplainAnswer,
                tag=_TAG,
                needs=Permission.READ,
                parameters=ExplainParameters,
                failures=(400,),
                description="Nothing is recorded or sent. What a target wants of an alert's classification "
                "(min-confidence, exclude-noise) is decided when it is sent, and is not foreseen here.",
            ),
        ]

    async def routes(self, _: Request, __: None) -> RoutesAnswer:
        """`GET /publishing/routes`."""
        if self._source is None:
            return RoutesAnswer(None, None, [], None, [])
        state = self._source.state()
        shown = [_route(each) for each in state.routes]
        return RoutesAnswer(state.path, state.read_at, list(state.faults), shown, self._unknown(state.routes))

    async def explain(self, _: Request, asked: ExplainParameters) -> ExplainAnswer:
        """`GET /publishing/explain`."""
        now = self._clock()
        at = _time(asked.at, now, of="at")
        starts_at = at if asked.starts_at is None else _time(asked.starts_at, now, of="starts_at")
        labels, annotations = _pairs(asked.labels, of="labels"), _pairs(asked.annotations, of="annotations")
        news = News(asked.event, labels, annotations, at, starts_at)
        routing, taken = Routing((), {}, reason=self._router.nobody), []
        if self._router.nobody is None:
            routes = self._router.routes
            routing = route(self._router.targets, news, routes=routes) or routing
            taken = [each.name for each in taking(routes or (), labels, annotations)]
        return ExplainAnswer(
            labels, annotations, asked.event, at, taken, targets=_explained(routing), reason=routing.reason
        )

    def _unknown(self, routes: Routes) -> list[str]:
        known = {target.name for target in self._router.targets}
        named = {each.name for node in everywhere(routes) for each in node.destinations or () if each.is_one_name}
        return sorted(named - known)


def _explained(routing: Routing) -> list[TargetExplained]:
    notified = [
        TargetExplained(
            name,
            is_told=True,
            route=routing.routes.get(name),
            due_at=routing.due_at.get(name),
            reason=reason_for(routing, name),
        )
        for name in routing.targets
    ]
    others = [
        TargetExplained(name, is_told=False, route=None, due_at=None, reason=reason)
        for name, reason in routing.left_out.items()
    ]
    return [*notified, *others]


def _route(node: Route) -> RouteAnswer:
    return RouteAnswer(
        name=node.name,
        match=node.match_text,
        targets=None if node.destinations is None else [str(each) for each in node.destinations],
        group_by=None if node.group_by is None else list(node.group_by),
        quiet_hours=[QuietHoursAnswer(str(each), each.then, each.unless_text) for each in node.quiet_hours],
        does_continue=node.does_continue,
        routes=[_route(each) for each in node.routes],
    )


def _pairs(text: str, *, of: str) -> dict[str, str]:
    """Names and values. Raises InvalidQuery naming the parameter."""
    try:
        query = parse_query(text)
    except InvalidQuery as error:
        raise InvalidQuery(f"{of}: {error}") from None
    if query.words or any(matcher.op != "=" for matcher in query.matchers):
        raise InvalidQuery(f"{of}: give names and values, as in alertname=DiskFull; nothing else has a meaning here")
    return {matcher.name: matcher.value for matcher in query.matchers if matcher.value}


def _time(text: str, now: datetime, *, of: str) -> datetime:
    try:
        return parse_time(text, now)
    except InvalidQuery as error:
        raise InvalidQuery(f"{of}: {error}") from None
