"""Configurations of Alertmanager with label sets, made of a seed: trees of any shape, and shapes as people write them.

The shapes (by team, by cluster, as operators of clusters bring them) are described, not copied.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import yaml

from alert_history.domain.alertmanager.go_text import go_quoted
from alert_history.domain.alertmanager.matchers import parse_matchers
from alert_history.domain.query import Matcher

NAMES = ["alertname", "severity", "team", "namespace", "cluster", "_x1"]
NEWER_NAMES = [*NAMES, "größe", "app.kubernetes.io/name", "two words", 'q"uote']
VALUES = [
    "a",
    "b",
    "db",
    "critical",
    "warning",
    "Down",
    "kube-system",
    "10.0.0.1:9100",
    "x,y",
    "=b",
    "é ü",
    'q"u',
    "a\\d",
    "l\nm",
]
REGEXES: Mapping[str, Sequence[str]] = {
    "a|b": ["a", "b"],
    "critical|warning": ["critical", "warning"],
    "(db|cache)-?[0-9]*": ["db", "cache-7", "db12"],
    "kube-.*": ["kube-system", "kube-"],
    ".*": ["", "anything", "l\nm"],
    ".+": ["anything", "l\nm"],
    "": [""],
    "a|": ["", "a"],
    "^(?:Down|Up)$": ["Down", "Up"],
    "(?i)down": ["DOWN", "down"],
    "(?s)l.m": ["l\nm"],
    "[^a-c]+": ["xyz", "Down"],
    r"10\.0\.0\.\d+:91[0-9]{2}": ["10.0.0.1:9100", "10.0.0.12:9199"],
    r"\w+(-\w+)*": ["kube-system", "db"],
    "x,y|é.*": ["x,y", "é ü"],
    "(a|b)(c|d)?": ["a", "bd"],
    ".*Down.*": ["NodeDown", "Downstream"],
    "team-(?:[a-f]|x{2,3})": ["team-a", "team-xxx"],
    r'q"u|\\d': ['q"u', "\\d"],
}


class Case(NamedTuple):
    """A configuration, and labels of an alert."""

    text: str
    labels: dict[str, str]


def cases(count: int, *, seed: str, is_newer: bool = False, a_configuration: int = 4) -> Iterator[Case]:
    """So many cases, some for each configuration. `is_newer`: with what only the UTF-8 language can say."""
    for number in range(-(-count // a_configuration)):
        random = Random(f"{seed}-{number}")
        maker = _Maker(random, is_newer=is_newer)
        tree = random.choice(SHAPES)(random) if random.random() < 0.25 else maker.tree()
        text = yaml.safe_dump(_whole(tree), allow_unicode=True, sort_keys=False)
        ways = list(_ways(tree, ()))
        for _ in range(min(a_configuration, count - number * a_configuration)):
            yield Case(text, _labels(random, ways, NEWER_NAMES if is_newer else NAMES))


def as_arguments(labels: Mapping[str, str], *, is_newer: bool = False) -> list[str]:
    """The labels as `amtool` takes them."""
    return [f"{go_quoted(name) if is_newer else name}={_quoted(value)}" for name, value in labels.items()]


class _Maker:
    """Makes trees."""

    def __init__(self, random: Random, *, is_newer: bool) -> None:
        self._random = random
        self._is_newer = is_newer
        self._names = NEWER_NAMES if is_newer else NAMES
        self._receivers = 0

    def tree(self) -> dict[str, Any]:
        return {"receiver": "r0", "group_by": ["alertname"], "routes": self._routes(1)}

    def _routes(self, depth: int) -> list[dict[str, Any]]:
        return [self._route(depth) for _ in range(self._random.randint(1, 5 - depth))]

    def _route(self, depth: int) -> dict[str, Any]:
        random = self._random
        route: dict[str, Any] = {}
        if random.random() < 0.8:
            self._receivers += 1
            route["receiver"] = f"r{self._receivers}"
        for _ in range(random.choice([0, 1, 1, 1, 2, 2, 3])):
            self._add_matcher(route)
        if random.random() < 0.35:
            route["continue"] = True
        if random.random() < 0.3:
            route["group_by"] = random.choice([["..."], ["alertname", "team"], ["namespace"], []])
        if random.random() < 0.3:
            route[random.choice(["group_wait", "group_interval", "repeat_interval"])] = random.choice(
                ["10s", "1h30m", "1d"]
            )
        if self._is_newer and random.random() < 0.2:
            route["labels"] = {random.choice(["owner", "runbook"]): random.choice("abc")}
        if depth < 4 and random.random() < 0.5:
            route["routes"] = self._routes(depth + 1)
        return route

    def _add_matcher(self, route: dict[str, Any]) -> None:
        random = self._random
        name = random.choice(self._names)
        is_regex = random.random() < 0.45
        value = random.choice(list(REGEXES)) if is_regex else random.choice([*VALUES, ""])
        if name in NAMES and random.random() < 0.3:
            route.setdefault("match_re" if is_regex else "match", {})[name] = value
            return
        op = random.choice(["=~", "=~", "!~"] if is_regex else ["=", "=", "!="])
        route.setdefault("matchers", []).append(self._written(name, op, value))

    def _written(self, name: str, op: str, value: str) -> str:
        """In one of the ways in which people write it."""
        random = self._random
        gap = random.choice(["", " "])
        text = go_quoted(name) if name not in NAMES else name
        bare = not set(value) & set("{}!=~,\\\"'`\n ") and value
        written = value if bare and random.random() < 0.5 else _quoted(value)
        text = f"{text}{gap}{op}{gap}{written}"
        return f"{{{text}}}" if random.random() < 0.15 else text


def _ways(route: dict[str, Any], above: tuple[Matcher, ...]) -> Iterator[tuple[Matcher, ...]]:
    """The matchers of each way through a tree."""
    own = [Matcher(name, "=", value) for name, value in route.get("match", {}).items()]
    own += [Matcher(name, "=~", value) for name, value in route.get("match_re", {}).items()]
    own += [matcher for text in route.get("matchers", []) for matcher in parse_matchers(text)]
    way = (*above, *own)
    yield way
    for each in route.get("routes", []):
        yield from _ways(each, way)


def _labels(random: Random, ways: Sequence[Sequence[Matcher]], names: Sequence[str]) -> dict[str, str]:
    """Values that some matcher speaks of, mostly those of one way; some labels lack, are empty, or are nearly right."""
    likely: dict[str, list[str]] = {}
    for matcher in (each for way in ways for each in way):
        likely.setdefault(matcher.name, []).extend(_values(matcher))
    labels = {name: random.choice(likely.get(name) or VALUES) for name in names if random.random() < 0.5}
    for matcher in random.choice(ways):
        if matcher.op in {"=", "=~"} and random.random() < 0.9:
            labels[matcher.name] = random.choice(_values(matcher))
    for name in random.sample(list(labels), k=min(len(labels), random.choice([0, 0, 1]))):
        labels[name] = random.choice(["", labels[name] + "x", labels[name].upper()])
    return labels


def _values(matcher: Matcher) -> Sequence[str]:
    if matcher.op in {"=", "!="}:
        return [matcher.value]
    return REGEXES.get(matcher.value) or [each.replace(".*", "y") for each in matcher.value.split("|")]


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _whole(tree: dict[str, Any]) -> dict[str, Any]:
    names = dict.fromkeys(_receivers_of(tree))
    return {"route": tree, "receivers": [{"name": name} for name in names]}


def _receivers_of(route: dict[str, Any]) -> Iterator[str]:
    if "receiver" in route:
        yield route["receiver"]
    for each in route.get("routes", []):
        yield from _receivers_of(each)


def _by_team(random: Random) -> dict[str, Any]:
    """Teams by the services that they own, each with its pages apart."""
    teams = [f"team-{letter}" for letter in "abcx"]
    below = [
        {
            "matchers": [f'team=~"{team}|{team}-.*"'],
            "receiver": f"{team}-mails",
            "routes": [{"match": {"severity": "critical"}, "receiver": f"{team}-pager"}],
        }
        for team in random.sample(teams, k=3)
    ]
    databases = {
        "matchers": ['namespace=~"db|kube-.*"'],
        "receiver": "db-mails",
        "group_by": ["alertname", "cluster", "namespace"],
        "routes": [{"matchers": ['team="db"'], "receiver": "db-pager", "continue": True}, {"match": {"team": "a"}}],
    }
    return {"receiver": "r0", "group_by": ["alertname", "cluster"], "group_wait": "30s", "routes": [*below, databases]}


def _of_operator(random: Random) -> dict[str, Any]:
    """The heartbeat to a receiver that does nothing, the inhibitor beside it, pages by severity, and the rest."""
    quiet = [
        {"matchers": [f'alertname="{name}"'], "receiver": "nothing"} for name in ("Watchdog", "InfoInhibitor", "Down")
    ]
    pages = {"matchers": ["severity = critical"], "receiver": "pager", "continue": random.random() < 0.5}
    return {
        "receiver": "r0",
        "group_by": ["namespace"],
        "repeat_interval": "12h",
        "routes": [*random.sample(quiet, k=3), pages, {"match_re": {"severity": "warning|info"}, "receiver": "chat"}],
    }


def _by_cluster(random: Random) -> dict[str, Any]:
    """An archive that hears everything first, then clusters, then severities, with what is dropped at the end."""
    severities = [
        {"matchers": ["severity=critical"], "receiver": "page", "group_wait": "10s"},
        {"matchers": ['severity!~"critical|warning"'], "receiver": "drop"},
        {"receiver": "tickets", "group_by": ["..."]},
    ]
    clusters = [{"matchers": [f"cluster={name}"], "routes": severities} for name in ("a", "b")]
    lacking = {"matchers": ['cluster=""'], "receiver": "lost"}
    return {
        "receiver": "r0",
        "routes": [{"receiver": "archive", "continue": True}, *random.sample([*clusters, lacking], k=3)],
    }


SHAPES: Sequence[Callable[[Random], dict[str, Any]]] = (_by_team, _of_operator, _by_cluster)
