"""The groups of a moment: alerts by the routes that lead them to receivers, as Alertmanager would list them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.alertmanager.alert_order import alert_order, label_order
from alert_history.domain.alertmanager.configuration import Route
from alert_history.domain.alertmanager.groups import group_labels
from alert_history.domain.alertmanager.time_intervals import muting
from alert_history.engine.moment_state import ClusterMoment, Held, MomentState
from alert_history.errors import InvalidQuery

_TEMPLATE = "{{"

Receivers = Mapping[str, Sequence[str]]
"""The receivers of alerts, by the id of the occurrence, in order of name; one that two routes name is there twice."""


class MomentGroup(msgspec.Struct, frozen=True):
    """One group. `route_labels` are those of its route (0.34) that are no templates.

    `muted_by` are the time intervals that mute its route then.
    """

    labels: Mapping[str, str]
    receiver: str
    route_labels: Mapping[str, str]
    alerts: Sequence[Held]
    muted_by: tuple[str, ...] = ()


class _Groups:
    """Gathers the groups of one cluster."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._alerts: dict[tuple[str, tuple[tuple[str, str], ...]], list[Held]] = defaultdict(list)
        self._routes: dict[str, Route] = {}

    def add(self, route: Route, held: Held) -> None:
        self._routes[route.id] = route
        self._alerts[route.id, tuple(sorted(group_labels(route, held[0].labels).items()))].append(held)

    def made(self, part: ClusterMoment) -> Iterator[MomentGroup]:
        muted = {name: _muting(route, part, at=self._at) for name, route in self._routes.items()}
        for (name, labels), alerts in self._alerts.items():
            route = self._routes[name]
            yield MomentGroup(dict(labels), route.receiver, _plain(route.labels), alerts, muted[name])


def groups_of(
    state: MomentState, *, wants_receiver: Callable[[str], bool], wants_alert: Callable[[Held], bool]
) -> tuple[list[MomentGroup], Receivers]:
    """The groups, by labels and receiver, and the receivers of each alert among those that are wanted.

    Where an Alertmanager's configuration is not known, the alerts of one receiver are one group.
    """
    receivers: dict[str, list[str]] = defaultdict(list)
    groups: list[MomentGroup] = []
    for part in state.parts:
        alerts = [held for held in part.alerts if wants_alert(held)]
        for alert, status in alerts:
            receivers[alert.occurrence_id] += filter(wants_receiver, status.receivers)
        groups = _merged(groups, _groups(part, alerts, wants_receiver, at=state.at))
    ordered = sorted(groups, key=lambda group: (label_order(group.labels), group.receiver))
    return [_ordered(group) for group in ordered], {name: sorted(own) for name, own in receivers.items()}


def _groups(
    part: ClusterMoment, alerts: Iterable[Held], wants: Callable[[str], bool], *, at: datetime
) -> list[MomentGroup]:
    if part.routing is None:
        return _by_receiver(alerts, wants)
    groups = _Groups(at)
    for held in alerts:
        for route in part.routing.routes_of(held[0].labels):
            if wants(route.receiver):
                groups.add(route, held)
    return list(groups.made(part))


def _by_receiver(alerts: Iterable[Held], wants: Callable[[str], bool]) -> list[MomentGroup]:
    own: dict[str, list[Held]] = defaultdict(list)
    for held in alerts:
        for name in filter(wants, held[1].receivers):
            own[name].append(held)
    return [MomentGroup({}, name, {}, each) for name, each in own.items()]


def _plain(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if _TEMPLATE not in value}


def _muting(route: Route, part: ClusterMoment, *, at: datetime) -> tuple[str, ...]:
    configuration = None if part.version is None else part.version.configuration
    if configuration is None or not (route.mute_time_intervals or route.active_time_intervals):
        return ()
    try:
        return muting(route, configuration.time_intervals, at=at)
    except InvalidQuery:  # a zone that is not known here
        return ()


def _merged(groups: list[MomentGroup], others: list[MomentGroup]) -> list[MomentGroup]:
    """Groups of two clusters: what has the same labels and receiver in both is one group."""
    if not groups:
        return others
    known = {(frozenset(group.labels.items()), group.receiver): position for position, group in enumerate(groups)}
    merged = list(groups)
    for group in others:
        position = known.get((frozenset(group.labels.items()), group.receiver))
        if position is None:
            merged.append(group)
        else:
            merged[position] = _joined(merged[position], group)
    return merged


def _joined(group: MomentGroup, other: MomentGroup) -> MomentGroup:
    alerts = {held[0].occurrence_id: held for held in (*other.alerts, *group.alerts)}
    muted_by = tuple(dict.fromkeys((*group.muted_by, *other.muted_by))) if group.muted_by and other.muted_by else ()
    return msgspec.structs.replace(group, alerts=list(alerts.values()), muted_by=muted_by)


def _ordered(group: MomentGroup) -> MomentGroup:
    return msgspec.structs.replace(group, alerts=sorted(group.alerts, key=lambda held: alert_order(held[0].labels)))
