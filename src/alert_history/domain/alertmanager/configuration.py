"""The configuration of an Alertmanager as far as it decides who is notified: routes, inhibit rules, time intervals.

Holds the values alone. `reading` makes them of YAML, and what receivers are set to stays there.
Source: `config` and `dispatch/route.go` of prometheus/alertmanager.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import msgspec

from alert_history.domain.query import Matcher

DEFAULT_GROUP_WAIT = timedelta(seconds=30)
DEFAULT_GROUP_INTERVAL = timedelta(minutes=5)
DEFAULT_REPEAT_INTERVAL = timedelta(hours=4)
DEFAULT_RESOLVE_TIMEOUT = timedelta(minutes=5)

Matchers = tuple[Matcher, ...]
"""All of them must match; none matches everything."""


class Route(msgspec.Struct, frozen=True):
    """A node of the tree, with everything that it inherits filled in.

    `key` is the path of matchers that group keys begin with: `{}/{severity="critical"}`. `id` is that path with the
    place of each node among its siblings, which the webhooks of newer versions have. `group_by` names labels in order
    of name; `groups_by_all` (`...`) groups by all labels instead. `labels` (0.34 and newer) are templates, whose
    results notifications are given. Intervals of time are not inherited.
    """

    receiver: str
    key: str
    id: str
    matchers: Matchers = ()
    group_by: tuple[str, ...] = ()
    groups_by_all: bool = False
    group_wait: timedelta = DEFAULT_GROUP_WAIT
    group_interval: timedelta = DEFAULT_GROUP_INTERVAL
    repeat_interval: timedelta = DEFAULT_REPEAT_INTERVAL
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    does_continue: bool = False
    labels: Mapping[str, str] = {}
    routes: tuple["Route", ...] = ()


class Integration(msgspec.Struct, frozen=True):
    """A way in which a receiver notifies: its kind (`webhook`, `pagerduty`), and its place among those of its kind.

    It names at most `max_alerts` alerts of a group, the first by their order; 0: all.
    """

    kind: str
    index: int
    sends_resolved: bool
    max_alerts: int = 0


class Receiver(msgspec.Struct, frozen=True):
    """A receiver, by name. Without integrations it notifies nobody. `labels` (0.34 and newer) have its `name`, too."""

    name: str
    integrations: tuple[Integration, ...] = ()
    labels: Mapping[str, str] = {}


class InhibitRule(msgspec.Struct, frozen=True):
    """Alerts that match `target` are muted while another alert matches `source` and has the same `equal` labels.

    `name` is given to it in the file (0.28 and newer), else empty. `position` counts from 0.
    """

    position: int
    sources: Matchers
    targets: Matchers
    equal: tuple[str, ...] = ()
    name: str = ""


class TimeInterval(msgspec.Struct, frozen=True):
    """A set of times: all of its conditions hold; one that is empty always holds. Ranges include both bounds.

    `times` are minutes since midnight, the end excluded; `weekdays` count from Sunday, 0; `days_of_month` may be
    negative: from the end of the month. `location` is the name of a zone, UTC where it is empty.
    """

    times: tuple[tuple[int, int], ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()
    days_of_month: tuple[tuple[int, int], ...] = ()
    months: tuple[tuple[int, int], ...] = ()
    years: tuple[tuple[int, int], ...] = ()
    location: str = ""


class Configuration(msgspec.Struct, frozen=True):
    """One configuration. `time_intervals` has the sets of each name: one of them suffices."""

    route: Route
    receivers: tuple[Receiver, ...] = ()
    inhibit_rules: tuple[InhibitRule, ...] = ()
    time_intervals: Mapping[str, tuple[TimeInterval, ...]] = {}
    resolve_timeout: timedelta = DEFAULT_RESOLVE_TIMEOUT


def everywhere(route: Route) -> Iterator[Route]:
    """A route and all routes below it, each before its own."""
    yield route
    for each in route.routes:
        yield from everywhere(each)
