"""Routing: how many distinct label sets a second through 200 routes of an Alertmanager, half of them with regexes.

No database is asked. Caches are cold: each round prepares the routes anew, and each label set is new in its `pod` and
`instance`, and in labels that regexes look at. One thread; its own seconds on the processor count, of the best round,
as the others tell of what else the machine did. The routes are checked against the plain walk before.
"""

import gc
import time
from collections.abc import Mapping, Sequence
from random import Random

from alert_history.domain.alertmanager.configuration import Configuration, Route, everywhere
from alert_history.domain.alertmanager.matchers import matching
from alert_history.domain.alertmanager.routing import Routing
from alert_history.domain.query import Matcher, Operator
from bench.databases import Database
from bench.plan import Plan
from bench.report import Measured, at_least

ROUTES = 200
_TEAMS = 20
_LABEL_SETS = 50_000
_ROUNDS = 7
_LEAST = 50_000


def measure(database: Database, plan: Plan) -> list[Measured]:
    """A tree by team, and all routes as siblings: once, for no database is asked."""
    if database.name != "SQLite":
        return []
    lines = []
    for shape, configuration in (("by team", by_team()), ("flat", flat(by_team()))):
        plan.say(f"routing: {ROUTES} routes, {shape}")
        label_sets = alerts(_LABEL_SETS)
        _check(configuration, label_sets[:500])
        best = max(_rate(configuration, label_sets) for _ in range(_ROUNDS))
        regexes = sum(any("~" in each.op for each in route.matchers) for route in everywhere(configuration.route))
        note = f"{regexes} routes with regexes; best of {_ROUNDS} rounds of {_LABEL_SETS}, caches cold"
        lines.append(Measured("", f"routes, {shape}", best, "label sets a second of a core", at_least(_LEAST), note))
    return lines


def by_team() -> Configuration:
    """Each team has nine routes below its own; every second route looks by a regex."""
    return Configuration(Route("all", "{}", "{}", routes=tuple(map(_of_team, range(_TEAMS)))))


def flat(configuration: Configuration) -> Configuration:
    """The same routes as siblings, each with the matchers of the way to it; a third of them continue."""
    routes: list[Route] = []
    for team in configuration.route.routes:
        routes += [_route((*team.matchers, *each.matchers), does_continue=len(routes) % 3 == 0) for each in team.routes]
        routes.append(_route(team.matchers, does_continue=False))
    return Configuration(Route("all", "{}", "{}", routes=tuple(routes)))


def _of_team(team: int) -> Route:
    own = [Matcher("namespace", "=~", f"(prod|stage)-team{team}-.*")]
    if team % 2:
        own.append(Matcher("team", "=", f"team{team}"))
    return _route(
        tuple(own),
        does_continue=False,
        routes=tuple(_route((_matcher(team, place),), does_continue=place == 0) for place in range(9)),
    )


def _matcher(team: int, place: int) -> Matcher:
    name, op, value = _KINDS[place % len(_KINDS)]
    return Matcher(name, op, value.format(team=team, place=place))


_KINDS: Sequence[tuple[str, Operator, str]] = (
    ("severity", "=", "critical"),
    ("alertname", "=~", "Kube{place}.*|.*Node{team}x"),
    ("service", "=", "service-{team}-{place}"),
    ("pod", "=~", "api-{team}-[0-9a-f]+-{place}.*"),
    ("severity", "=", "info"),
    ("service", "=~", "(?:web|job)-{team}-.+"),
)


def _route(matchers: tuple[Matcher, ...], *, does_continue: bool, routes: tuple[Route, ...] = ()) -> Route:
    return Route("receiver", "", "", matchers=matchers, does_continue=does_continue, routes=routes)


def alerts(count: int) -> list[dict[str, str]]:
    """Distinct label sets, as clusters of many teams send them."""
    random = Random(17)
    return [_alert(random, number) for number in range(count)]


def _alert(random: Random, number: int) -> dict[str, str]:
    team = random.randrange(_TEAMS + 4)
    kind = random.choice(["service", "web", "job", "api"])
    return {
        "alertname": random.choice(
            [f"Kube{number % 12}Pods{number % 97}", f"Disk{number % 89}Node{team}x", f"Slow{number % 500}"]
        ),
        "namespace": f"{random.choice(['prod', 'stage', 'dev'])}-team{team}-{number % 300}",
        "team": f"team{team}",
        "severity": random.choice(["critical", "warning", "info", "none"]),
        "service": f"{kind}-{team}-{random.randrange(40)}",
        "pod": f"{kind}-{team}-{random.getrandbits(40):010x}-{number % 10}{number:05x}",
        "instance": f"10.{number % 250}.{number // 250}.7:9100",
        "cluster": f"eu-{number % 7}",
    }


def _rate(configuration: Configuration, label_sets: Sequence[Mapping[str, str]]) -> float:
    gc.collect()
    gc.disable()
    try:
        routes_of = Routing(configuration).routes_of
        begin = time.thread_time()
        for labels in label_sets:
            routes_of(labels)
        return len(label_sets) / (time.thread_time() - begin)
    finally:
        gc.enable()


def _check(configuration: Configuration, label_sets: Sequence[Mapping[str, str]]) -> None:
    prepared = Routing(configuration)
    for labels in label_sets:
        assert [id(route) for route in prepared.routes_of(labels)] == [
            id(route) for route in _walked(configuration.route, labels)
        ]


def _walked(route: Route, labels: Mapping[str, str]) -> list[Route]:
    if not matching(route.matchers)(labels):
        return []
    taken: list[Route] = []
    for each in route.routes:
        more = _walked(each, labels)
        taken += more
        if more and not each.does_continue:
            break
    return taken or [route]
