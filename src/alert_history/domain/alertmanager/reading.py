"""Reads the YAML of an Alertmanager's configuration: what its `/api/v2/status` gives, or the file itself.

What decides who is notified is read strictly, with all faults at once; of receivers only of which kinds they are.
Fields that are not known are passed over: they come with newer versions. `masking` makes the text that may be stored.
Sources: `config/config.go`, `config/common` and `dispatch/route.go` of prometheus/alertmanager 0.34.
"""

import re
from datetime import timedelta
from typing import NamedTuple

import msgspec

from alert_history.domain.alertmanager.configuration import (
    DEFAULT_RESOLVE_TIMEOUT,
    Configuration,
    InhibitRule,
    Integration,
    Matchers,
    Receiver,
    Route,
    TimeInterval,
)
from alert_history.domain.alertmanager.interval_text import read_interval
from alert_history.domain.alertmanager.masking import masked
from alert_history.domain.alertmanager.matchers import (
    Dialect,
    in_order,
    made_matcher,
    matchers_text,
    parse_matchers,
)
from alert_history.domain.alertmanager.yaml_fields import Fields, Place, Reader, shown
from alert_history.domain.alertmanager.yaml_tree import read_yaml
from alert_history.domain.query import Matcher, Operator
from alert_history.errors import InvalidConfiguration, InvalidQuery

__all__ = ["masked", "read_configuration"]

_ALL_LABELS = "..."
_CLASSIC_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)

_KINDS = (
    *("webhook", "email", "pagerduty", "opsgenie", "wechat", "slack", "victorops", "pushover", "sns", "telegram"),
    *("discord", "webex", "msteams", "msteamsv2", "jira", "incidentio", "rocketchat", "mattermost"),
)
"""The order in which Alertmanager notifies; kinds that are not known come last."""

_SILENT_ON_RESOLVE = frozenset({"email", "slack", "rocketchat", "wechat"})
"""Kinds that say nothing of an end unless `send_resolved` is set. Alertmanager's status always says it."""

_SUFFIX = "_configs"


def read_configuration(text: str, dialect: Dialect = "fallback") -> Configuration:
    """The configuration. `dialect` is the language of its matchers: that of 0.27 and newer reads the older one, too.

    Raises: InvalidConfiguration with every fault, each with its line and its place.
    """
    root = read_yaml(text).root
    if root is None:
        raise InvalidConfiguration("it is empty; a route and its receiver are needed")
    reader = _Reader(dialect)
    configuration = reader.configuration(Place("", root))
    reader.check()
    if configuration is None:
        raise InvalidConfiguration("there is no route")
    return configuration


class _Names(NamedTuple):
    """What routes may name."""

    receivers: frozenset[str]
    intervals: frozenset[str]


class _Reader(Reader):
    """Reads what routes, receivers and rules are made of."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__()
        self._dialect = dialect

    def configuration(self, place: Place) -> Configuration | None:
        """All of it; None without a route."""
        fields = self.fields(place)
        receivers = self._receivers(self.at(fields, "receivers"))
        intervals: dict[str, tuple[TimeInterval, ...]] = {}
        for name in ("mute_time_intervals", "time_intervals"):
            self._named_intervals(self.at(fields, name), intervals)
        top = self.fields(self.at(fields, "global"))
        if "route" not in fields:
            return None
        names = _Names(frozenset(each.name for each in receivers), frozenset(intervals))
        return Configuration(
            route=self._root(fields["route"], names),
            receivers=receivers,
            inhibit_rules=self._inhibit_rules(self.at(fields, "inhibit_rules")),
            time_intervals=intervals,
            resolve_timeout=self.optional(top, "resolve_timeout", self.duration, default=DEFAULT_RESOLVE_TIMEOUT),
        )

    def _root(self, place: Place, names: _Names) -> Route:
        fields = self.fields(place)
        if not self.text(self.at(fields, "receiver")):
            self.fault(place, "names no receiver; the first route must")
        for name in ("match", "match_re", "matchers", "mute_time_intervals", "active_time_intervals"):
            if name in fields and (self.items if name.endswith("s") else self.fields)(fields[name]):
                self.fault(fields[name], "is not allowed in the first route, which takes every alert")
        if self.flag(self.at(fields, "continue")):
            self.fault(fields["continue"], "is not allowed in the first route")
        return self._route(place, None, names=names)

    def _route(self, place: Place, parent: Route | None, *, names: _Names, number: int = 0) -> Route:
        fields = self.fields(place)
        around = parent or Route("", "", "")
        matchers = in_order(self._matchers(fields, ""))
        own = matchers_text(matchers)
        group_by, groups_by_all = self._grouping(fields, around)
        route = Route(
            receiver=self._receiver_of(fields, around, names),
            key=own if parent is None else f"{around.key}/{own}",
            id=own if parent is None else f"{around.id}/{own}/{number}",
            matchers=matchers,
            group_by=group_by,
            groups_by_all=groups_by_all,
            group_wait=self.optional(fields, "group_wait", self.duration, default=around.group_wait),
            group_interval=self._interval(fields, "group_interval", around.group_interval),
            repeat_interval=self._interval(fields, "repeat_interval", around.repeat_interval),
            mute_time_intervals=self._interval_names(fields, "mute_time_intervals", names),
            active_time_intervals=self._interval_names(fields, "active_time_intervals", names),
            does_continue=self.flag(self.at(fields, "continue")),
            labels={**around.labels, **self.mapping(self.at(fields, "labels"))},
        )
        below = self.items(self.at(fields, "routes"))
        routes = tuple(self._route(each, route, names=names, number=place) for place, each in enumerate(below))
        return msgspec.structs.replace(route, routes=routes)

    def _receiver_of(self, fields: Fields, around: Route, names: _Names) -> str:
        receiver = self.text(self.at(fields, "receiver"))
        if receiver and receiver not in names.receivers:
            self.fault(fields["receiver"], f"{shown(receiver)} is not among the receivers")
        return receiver or around.receiver

    def _grouping(self, fields: Fields, around: Route) -> tuple[tuple[str, ...], bool]:
        """The labels to group by, and whether by all. An empty list groups by none, one that lacks is inherited."""
        names = self.optional(fields, "group_by", self.texts, default=None)
        if names is None:
            return around.group_by, around.groups_by_all
        place = fields["group_by"]
        if _ALL_LABELS in names and set(names) != {_ALL_LABELS}:
            self.fault(place, "has `...`, which stands alone, beside other labels")
        if len(set(names)) < len(names) and _ALL_LABELS not in names:
            self.fault(place, "names a label twice")
        if "" in names:
            self.fault(place, "has a label without a name")
        return ((), True) if _ALL_LABELS in names else (tuple(sorted(names)), False)

    def _interval(self, fields: Fields, name: str, inherited: timedelta) -> timedelta:
        duration = self.optional(fields, name, self.duration, default=inherited)
        if not duration:
            self.fault(fields[name], "must be longer than 0")
        return duration

    def _interval_names(self, fields: Fields, field: str, names: _Names) -> tuple[str, ...]:
        given = self.texts(self.at(fields, field))
        for name in given:
            if name not in names.intervals:
                self.fault(fields[field], f"names {shown(name)}, which is not among the time intervals")
        return given

    def _matchers(self, fields: Fields, prefix: str) -> list[Matcher]:
        """The matchers of a route, or of a side of an inhibit rule, old and new. Old regexes are shown anchored."""
        matchers: list[Matcher] = []
        operators: tuple[tuple[str, Operator], ...] = (("match", "="), ("match_re", "=~"))
        for name, op in operators:
            for label, place in self.fields(self.at(fields, prefix + name)).items():
                if not _CLASSIC_NAME.fullmatch(label):
                    self.fault(place, f"{shown(label)} is no name that this old field takes; use {prefix}matchers")
                matchers += self._made(place, label, op)
        for place in self.items(self.at(fields, f"{prefix}matchers")):
            matchers += self._parsed(place)
        return matchers

    def _made(self, place: Place, label: str, op: Operator) -> Matchers:
        value = self.text(place)
        try:
            matcher = made_matcher(label, op, value)
            return (msgspec.structs.replace(matcher, value=f"^(?:{value})$") if op == "=~" else matcher,)
        except InvalidQuery as error:
            self.fault(place, str(error))
            return ()

    def _parsed(self, place: Place) -> Matchers:
        try:
            return parse_matchers(self.text(place), self._dialect)
        except InvalidQuery as error:
            self.fault(place, str(error))
            return ()

    def _receivers(self, place: Place) -> tuple[Receiver, ...]:
        receivers: dict[str, Receiver] = {}
        for each in self.items(place):
            receiver = self._a_receiver(each)
            if not receiver.name:
                self.fault(each, "has no name")
            elif receiver.name in receivers:
                self.fault(each, f"has the name {shown(receiver.name)}, which another receiver has already")
            receivers.setdefault(receiver.name, receiver)
        return tuple(receivers.values())

    def _a_receiver(self, place: Place) -> Receiver:
        fields = self.fields(place)
        kinds = [name.removesuffix(_SUFFIX) for name in fields if name.endswith(_SUFFIX)]
        name = self.text(self.at(fields, "name"))
        return Receiver(
            name=name,
            integrations=tuple(
                self._integration(each, kind, index)
                for kind in sorted(kinds, key=_rank)
                for index, each in enumerate(self.items(fields[kind + _SUFFIX]))
            ),
            labels={**self.mapping(self.at(fields, "labels")), "name": name},
        )

    def _integration(self, place: Place, kind: str, index: int) -> Integration:
        fields = self.fields(place)
        default = kind not in _SILENT_ON_RESOLVE
        most = self.text(self.at(fields, "max_alerts"))
        return Integration(
            kind,
            index,
            self.optional(fields, "send_resolved", self.flag, default=default),
            int(most) if most.isascii() and most.isdecimal() else 0,
        )

    def _inhibit_rules(self, place: Place) -> tuple[InhibitRule, ...]:
        return tuple(self._inhibit_rule(each, number) for number, each in enumerate(self.items(place)))

    def _inhibit_rule(self, place: Place, position: int) -> InhibitRule:
        fields = self.fields(place)
        return InhibitRule(
            position=position,
            sources=in_order(self._matchers(fields, "source_")),
            targets=in_order(self._matchers(fields, "target_")),
            equal=tuple(dict.fromkeys(self.texts(self.at(fields, "equal")))),
            name=self.text(self.at(fields, "name")),
        )

    def _named_intervals(self, place: Place, intervals: dict[str, tuple[TimeInterval, ...]]) -> None:
        for each in self.items(place):
            fields = self.fields(each)
            name = self.text(self.at(fields, "name"))
            if not name:
                self.fault(each, "has no name")
            elif name in intervals:
                self.fault(each, f"has the name {shown(name)}, which another time interval has already")
            parts = self.items(self.at(fields, "time_intervals"))
            intervals[name] = tuple(read_interval(self, part) for part in parts)


def _rank(kind: str) -> int:
    return _KINDS.index(kind) if kind in _KINDS else len(_KINDS)
