"""What a routes file says: YAML text in, routes out, or every fault with its line.

The text is read as a tree of nodes rather than as values, so that each fault has a line, and so that YAML's guesses
don't matter (an unquoted 22:00 would be the number 1320). For users:
docs/how-to/routes.md and docs/reference/routes.md.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import yaml

from alert_history.domain.query import Query, parse_query
from alert_history.domain.quiet_hours import DAYS, MINUTES_A_DAY, QuietHours, end_of_quiet
from alert_history.domain.routes import Destination, Route, Routes
from alert_history.errors import ConfigurationError, InvalidQuery

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 16
MAX_NODES = 50_000  # aliases count each time they are used, so no file grows without bound while it is read
_SHOWN_CHARACTERS = 60
_LIKENESS = 0.6
_TOP_KEYS = ("time_zone", "routes")
_ROUTE_KEYS = ("name", "match", "targets", "group_by", "quiet_hours", "continue", "routes")
_QUIET_KEYS = ("days", "from", "to", "time_zone", "then", "unless")
_TARGET_KEYS = ("format",)
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*", re.ASCII)
_A_WEEK_FROM = datetime(2026, 1, 5, tzinfo=UTC)
_NOTHING = Query((), ())
_EVERY_DAY = frozenset(range(len(DAYS)))
_FAULTY = -1

T = TypeVar("T")


class _At(NamedTuple):
    """A node and how to get to it: `routes[0].quiet_hours[1].from`."""

    path: str
    node: yaml.Node

    def item(self, number: int, node: yaml.Node) -> "_At":
        return _At(f"{self.path}[{number}]", node)

    def key(self, name: str, node: yaml.Node) -> "_At":
        return _At(f"{self.path}.{name}" if self.path else name, node)


class _TooMuch(Exception):  # caught in this module
    """The tree is larger than any honest one."""


def read_routes(text: str) -> Routes:
    """The routes that a file describes.

    Raises: ConfigurationError with every fault there is, each with its line, its place and what is allowed.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise ConfigurationError([f"line {1 if mark is None else mark.line + 1}: not YAML: {error.problem}"]) from None
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split()) if isinstance(error, yaml.YAMLError) else "nested too deeply"
        raise ConfigurationError([f"not YAML: {reason}"]) from None
    if root is None:
        raise ConfigurationError(["it is empty; give routes, a list of routes"])
    reader = _Reader()
    try:
        routes = reader.document(_At("", root))
    except _TooMuch as error:
        raise ConfigurationError([str(error)]) from None
    if reader.faults:
        raise ConfigurationError([fault for _, fault in sorted(reader.faults)])
    return routes


class _Inherited(NamedTuple):
    """What a route takes from the route around it, unless the route sets its own."""

    destinations: tuple[Destination, ...] | None = None
    group_by: tuple[str, ...] | None = None
    quiet_hours: tuple[QuietHours, ...] = ()


class _Reader:
    """Reads node by node, and goes on after a fault."""

    def __init__(self) -> None:
        self.faults: list[tuple[int, str]] = []
        self._names: dict[str, int] = {}
        self._nodes = 0
        self._zone: tzinfo = UTC

    def document(self, at: _At) -> Routes:
        fields = self._fields(at, _TOP_KEYS)
        self._zone = self._optional(fields, "time_zone", self._time_zone, default=self._zone)
        if "routes" not in fields:
            if isinstance(at.node, yaml.MappingNode):
                self._fault(at, "routes is missing; give a list of routes")
            return ()
        routes = self._routes(fields["routes"], _Inherited(), depth=1)
        if not routes and not self.faults:
            self._fault(fields["routes"], "is empty; give at least one route")
        return routes

    def _routes(self, at: _At, inherited: _Inherited, *, depth: int) -> Routes:
        if depth > MAX_DEPTH:
            raise _TooMuch(f"routes are nested deeper than {MAX_DEPTH}")
        return tuple(self._route(each, inherited, depth=depth) for each in self._items(at, "a list of routes"))

    def _route(self, at: _At, inherited: _Inherited, *, depth: int) -> Route:
        fields = self._fields(at, _ROUTE_KEYS)
        name = self._name(fields.get("name"), at)
        match, match_text = self._optional(fields, "match", self._query, default=(_NOTHING, ""))
        own = _Inherited(
            self._optional(fields, "targets", self._destinations, default=inherited.destinations),
            self._optional(fields, "group_by", self._labels, default=inherited.group_by),
            self._optional(fields, "quiet_hours", self._quiet_list, default=inherited.quiet_hours),
        )
        routes: Routes = ()
        if "routes" in fields:
            routes = self._routes(fields["routes"], own, depth=depth + 1)
        if own.destinations is None and not routes:
            self._fault(at, "targets is missing; list whom to tell, or [] to tell nobody")
        return Route(
            name=name,
            match=match,
            match_text=match_text,
            destinations=own.destinations,
            group_by=own.group_by,
            quiet_hours=own.quiet_hours,
            does_continue=self._optional(fields, "continue", self._flag, default=False),
            routes=routes,
        )

    def _name(self, given: _At | None, at: _At) -> str:
        """The route's name, or its place. Two routes of one name would look the same in a reason."""
        if given is None:
            return at.path
        name = self._text(given)
        line = self._names.setdefault(name, _line(given))
        if not name or name.startswith("routes["):
            self._fault(given, f"{_shown(name)} is not allowed; give a word or some")
        elif line != _line(given):
            self._fault(given, f"{_shown(name)} is the name of the route in line {line} already")
        return name

    def _destinations(self, at: _At) -> tuple[Destination, ...]:
        return tuple(self._destination(each) for each in self._items(at, "a list of targets ([]: nobody)"))

    def _destination(self, at: _At) -> Destination:
        if isinstance(at.node, yaml.MappingNode):
            fields = self._fields(at, _TARGET_KEYS)
            if "format" in fields:
                return Destination(format=self._word(fields["format"]))
            self._fault(at, "is not allowed; give a name, a pattern such as team-*, or {format: slack}")
            return Destination(format="?")
        return Destination(name=self._word(at))

    def _labels(self, at: _At) -> tuple[str, ...]:
        return tuple(self._word(each) for each in self._items(at, "a list of labels ([]: all in one message)"))

    def _quiet_list(self, at: _At) -> tuple[QuietHours, ...]:
        """The route's quiet hours. Quiet hours that hold news must have an end."""
        faults = len(self.faults)
        quiet_hours = tuple(self._quiet(each) for each in self._items(at, "a list of quiet hours"))
        does_hold = any(each.then == "hold" for each in quiet_hours)
        if does_hold and len(self.faults) == faults and end_of_quiet(quiet_hours, _A_WEEK_FROM) is None:
            self._fault(at, "never end; leave some time free, or give the route targets: []")
        return quiet_hours

    def _quiet(self, at: _At) -> QuietHours:
        fields = self._fields(at, _QUIET_KEYS)
        zone = self._optional(fields, "time_zone", self._time_zone, default=self._zone)
        begin = self._optional(fields, "from", self._minute, default=0)
        end = self._optional(fields, "to", self._minute, default=MINUTES_A_DAY)
        if begin == end != _FAULTY:
            self._fault(at, "from and to are the same; a whole day is from 00:00 to 24:00")
        unless, unless_text = self._optional(fields, "unless", self._query, default=(_NOTHING, ""))
        then = self._optional(fields, "then", self._then, default="hold")
        return QuietHours(
            days=self._optional(fields, "days", self._days, default=_EVERY_DAY),
            begin_minute=begin,
            end_minute=end,
            zone=zone,
            zone_name=str(zone),
            then="drop" if then == "drop" else "hold",
            unless=unless if "unless" in fields else None,
            unless_text=unless_text,
        )

    def _days(self, at: _At) -> frozenset[int]:
        if isinstance(at.node, yaml.ScalarNode):
            return self._day(at)
        days = self._items(at, _A_LIST_OF_DAYS)
        if isinstance(at.node, yaml.SequenceNode) and not days:
            self._fault(at, f"is empty; give {_A_LIST_OF_DAYS}, or leave it out")
        return frozenset().union(*map(self._day, days))

    def _day(self, at: _At) -> frozenset[int]:
        """`mon`, or `fri-mon`."""
        first, _, last = self._text(at).lower().partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            self._fault(at, f"{_shown(self._text(at))} is not allowed; give {_A_LIST_OF_DAYS}")
            return frozenset()
        begin = DAYS.index(first)
        return frozenset((begin + step) % 7 for step in range((DAYS.index(last or first) - begin) % 7 + 1))

    def _minute(self, at: _At) -> int:
        """The minute of the day."""
        text = self._text(at)
        if not _TIME.fullmatch(text):
            self._fault(at, f"{_shown(text)} is not allowed; give a time from 00:00 to 24:00")
            return _FAULTY
        hours, _, minutes = text.partition(":")
        return int(hours) * 60 + int(minutes)

    def _time_zone(self, at: _At) -> tzinfo:
        text = self._text(at)
        if text == "UTC":
            return UTC  # without a file that says what that is
        with suppress(KeyError, OSError, ValueError):  # no such zone; or a folder of zones
            if _ZONE.fullmatch(text):
                return ZoneInfo(text)
        self._fault(at, f"{_shown(text)} is no time zone known here; give a name such as Europe/Berlin or UTC")
        return self._zone

    def _then(self, at: _At) -> str:
        text = self._text(at)
        if text not in {"hold", "drop"}:
            self._fault(at, f"{_shown(text)} is not allowed; give hold (told when they end) or drop (not told)")
        return text

    def _flag(self, at: _At) -> bool:
        text = self._text(at).lower()
        if text not in {"true", "false"}:
            self._fault(at, f"{_shown(text)} is not allowed; give true or false")
        return text == "true"

    def _query(self, at: _At) -> tuple[Query, str]:
        """A query and its text."""
        if isinstance(at.node, yaml.MappingNode):
            self._fault(at, """is a mapping; put the query in quotes: '{severity="critical"}'""")
            return _NOTHING, ""
        text = self._text(at)
        try:
            return parse_query(text), text
        except InvalidQuery as error:
            self._fault(at, str(error))
            return _NOTHING, text

    def _word(self, at: _At) -> str:
        text = self._text(at)
        if not text and isinstance(at.node, yaml.ScalarNode):
            self._fault(at, "is empty; give a name")
        return text

    def _text(self, at: _At) -> str:
        """A scalar as it is written, without quotes."""
        if isinstance(at.node, yaml.ScalarNode):
            return str(at.node.value)
        self._fault(at, f"is {_kind(at.node)}; give a text")
        return ""

    def _optional(self, fields: dict[str, _At], name: str, read: Callable[[_At], T], *, default: T) -> T:
        return read(fields[name]) if name in fields else default

    def _items(self, at: _At, allowed: str) -> Sequence[_At]:
        self._count(at)
        if not isinstance(at.node, yaml.SequenceNode):
            self._fault(at, f"is {_kind(at.node)}; give {allowed}")
            return []
        return [at.item(number, node) for number, node in enumerate(at.node.value)]

    def _fields(self, at: _At, allowed: Sequence[str]) -> dict[str, _At]:
        """The fields of a mapping by name; unknown ones and those given twice are faults."""
        self._count(at)
        if not isinstance(at.node, yaml.MappingNode):
            self._fault(at, f"is {_kind(at.node)}; give a mapping of {', '.join(allowed)}")
            return {}
        fields: dict[str, _At] = {}
        for key, value in at.node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else _kind(key)
            place = at.key(name, key)
            if name not in allowed:
                self._fault(place, _no_such_key(name, allowed))
            elif name in fields:
                self._fault(place, "is given twice")
            else:
                fields[name] = at.key(name, value)
        return fields

    def _count(self, at: _At) -> None:
        self._nodes += 1
        if isinstance(at.node, yaml.CollectionNode):
            self._nodes += len(at.node.value)
        if self._nodes > MAX_NODES:
            raise _TooMuch(f"it holds more than {MAX_NODES} values, aliases counted each time they are used")

    def _fault(self, at: _At, what: str) -> None:
        line = _line(at)
        self.faults.append((line, f"line {line}: {at.path} {what}" if at.path else f"line {line}: {what}"))


_A_LIST_OF_DAYS = "a list of mon, tue, wed, thu, fri, sat, sun or ranges such as mon-fri"


def _line(at: _At) -> int:
    return int(at.node.start_mark.line) + 1


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a text"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…")


def _no_such_key(name: str, allowed: Sequence[str]) -> str:
    likely = get_close_matches(name, allowed, n=1, cutoff=_LIKENESS)
    meant = f"{likely[0]} is meant?" if likely else f"there are {', '.join(allowed)}"
    return f"means nothing here; {meant}"
