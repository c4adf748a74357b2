"""Which other alerts matter to what became of an occurrence: those of its groups, and what may inhibit it. Pure."""

from collections.abc import Iterator, Mapping

from alert_history.domain.alertmanager.configuration import Configuration, InhibitRule, Route
from alert_history.domain.alertmanager.groups import group_labels
from alert_history.domain.alertmanager.inhibition import Inhibition
from alert_history.domain.alertmanager.routing import Routing
from alert_history.domain.query import Matcher, Query


class Relevance:
    """Asked about label sets, for an occurrence with these labels. Raises: InvalidQuery where a regex is wrong."""

    def __init__(self, labels: Mapping[str, str], configuration: Configuration) -> None:
        self._labels = labels
        self._routing = Routing(configuration)
        self._inhibition = Inhibition(configuration.inhibit_rules)
        self._places = frozenset(self._inhibition.sides(labels).targets)
        self._rules = [configuration.inhibit_rules[rule] for rule, _ in sorted(self._places)]
        self._groups = {route.id: (route, group_labels(route, labels)) for route in self._routing.routes_of(labels)}

    @property
    def routes(self) -> list[str]:
        """The ids of the routes that the occurrence takes, in order."""
        return list(self._groups)

    def is_relevant(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is in one of its groups, or may inhibit it."""
        return self.may_inhibit(labels) or any(True for _ in self.routes_shared(labels))

    def routes_shared(self, labels: Mapping[str, str]) -> Iterator[str]:
        """The ids of the routes on which these labels are in the group of the occurrence."""
        for route in self._routing.routes_of(labels):
            _, group = self._groups.get(route.id, (route, None))
            if group is not None and group_labels(route, labels) == group:
                yield route.id

    def may_inhibit(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is a source of a rule that mutes the occurrence."""
        return bool(self._places) and not self._places.isdisjoint(self._inhibition.sides(labels).sources)

    def group_queries(self) -> list[Query]:
        """Queries that find all that is in its groups, and perhaps more."""
        return list(dict.fromkeys(_of_group(route, group, self._labels) for route, group in self._groups.values()))

    def source_queries(self) -> list[Query]:
        """Queries that find all that may inhibit it, and perhaps more."""
        return list(dict.fromkeys(_of_sources(rule, self._labels) for rule in self._rules))


def _of_group(route: Route, group: Mapping[str, str], labels: Mapping[str, str]) -> Query:
    names = sorted(labels) if route.groups_by_all else route.group_by
    return Query((*(Matcher(name, "=", group.get(name, "")) for name in names), *route.matchers), ())


def _of_sources(rule: InhibitRule, labels: Mapping[str, str]) -> Query:
    return Query((*rule.sources, *(Matcher(name, "=", labels.get(name, "")) for name in rule.equal)), ())
