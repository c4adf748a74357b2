"""Routes: the tree that says which alerts go to which targets, grouped how, and when not.

Holds what a route is and which routes take an alert. Who is notified in the end is decided in `notifying`;
how the tree is written in a file is the matter of `discovery.routes_document`.
"""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec

from alert_history.domain.query import Query
from alert_history.domain.quiet_hours import QuietHours
from alert_history.domain.target import TargetSpec

_WILD = frozenset("*?")


class Destination(msgspec.Struct, frozen=True):
    """Whom a route sends to: targets of this name (`*` and `?` stand for others), or all of a format."""

    name: str = ""
    format: str = ""

    def __str__(self) -> str:
        return self.name or f"format {self.format}"

    @property
    def is_one_name(self) -> bool:
        """Whether it means exactly one target."""
        return bool(self.name) and not _WILD & set(self.name)

    def means(self, target: TargetSpec) -> bool:
        """Whether that target is meant."""
        if self.format:
            return target.format == self.format
        return fnmatchcase(target.name, self.name.replace("[", "[[]"))


class Route(msgspec.Struct, frozen=True):
    """Alerts that match go to the destinations, unless one of its own `routes` takes them.

    `name` is its own or its place in the file. `destinations` None: it takes only what one of its routes takes;
    empty: it takes alerts and notifies no target. `group_by` None: Alertmanager's groups stay.
    """

    name: str
    match: Query = Query((), ())
    match_text: str = ""
    destinations: tuple[Destination, ...] | None = None
    group_by: tuple[str, ...] | None = None
    quiet_hours: tuple[QuietHours, ...] = ()
    does_continue: bool = False
    routes: tuple["Route", ...] = ()

    def sends_to(self, target: TargetSpec) -> bool:
        """Whether that target is among its destinations."""
        return any(destination.means(target) for destination in self.destinations or ())


Routes = tuple[Route, ...]


def taking(routes: Sequence[Route], labels: Mapping[str, str], annotations: Mapping[str, str]) -> Iterator[Route]:
    """The routes that take an alert, in order: of a route and its own routes the innermost that match.

    The first that takes it is the last, unless it says `continue`.
    """
    for route in routes:
        if not route.match.matches(labels, annotations):
            continue
        taken = list(taking(route.routes, labels, annotations))
        if not taken and route.destinations is not None:
            taken = [route]
        yield from taken
        if taken and not route.does_continue:
            return


def everywhere(routes: Sequence[Route]) -> Iterator[Route]:
    """All routes of the tree, each before its own."""
    for route in routes:
        yield route
        yield from everywhere(route.routes)
