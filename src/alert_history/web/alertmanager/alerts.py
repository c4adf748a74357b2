"""`GET /api/v2/alerts` and `/api/v2/alerts/groups`: what fires at a moment, and how it is grouped."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache

import msgspec

from alert_history.domain.alertmanager.matchers import matching
from alert_history.engine.moment_groups import Receivers, groups_of
from alert_history.engine.moment_state import Held, MomentState
from alert_history.web.alertmanager.forms import GettableAlert, GettableGroup, ReceiverReference, alert_form
from alert_history.web.alertmanager.parameters import read_matchers, receiver_filter
from alert_history.web.alertmanager.receivers import receiver_labels


class AlertsParameters(msgspec.Struct, frozen=True):
    """Which alerts. A flag leaves out: `active=false` those that nothing mutes, `silenced=false` silenced ones.

    `filter` is one matcher, and may be given more than once; `receiver` a regular expression for the whole name.
    `receiver_matchers` are matchers for the labels of receivers. `at` is a time, or how long ago: `-6h`.
    """

    active: bool = True
    silenced: bool = True
    inhibited: bool = True
    unprocessed: bool = True
    filter: list[str] = []
    receiver: str = ""
    receiver_matchers: list[str] = []
    at: str = ""


class GroupsParameters(msgspec.Struct, frozen=True):
    """Which alerts, as for `alerts`. `muted=false` leaves out groups whose route is muted by a time interval."""

    active: bool = True
    silenced: bool = True
    inhibited: bool = True
    muted: bool = True
    filter: list[str] = []
    receiver: str = ""
    receiver_matchers: list[str] = []
    at: str = ""


class Wanted(msgspec.Struct, frozen=True):
    """What a request wants, as functions."""

    alert: Callable[[Held], bool]
    receiver: Callable[[str], bool] | None


def check_parameters(asked: AlertsParameters | GroupsParameters) -> None:
    """Raises InvalidQuery where a filter can't be read: before anything is looked up."""
    read_matchers(asked.filter)
    receiver_filter(asked.receiver)
    read_matchers(asked.receiver_matchers, name="receiver_matchers")


def alerts_answer(state: MomentState, asked: AlertsParameters) -> list[GettableAlert]:
    """The alerts, by fingerprint, each with all its receivers in the order of its routes."""
    wanted = _wanted(state, asked)
    return [
        alert_form(alert, status, _references(status.receivers), at=state.at)
        for alert, status in state.alerts
        if (wanted.receiver is None or any(map(wanted.receiver, status.receivers))) and wanted.alert((alert, status))
    ]


def groups_answer(state: MomentState, asked: GroupsParameters) -> list[GettableGroup]:
    """The groups, each alert with those of its receivers that are wanted, in order of name."""
    wanted = _wanted(state, asked)
    wants_receiver = wanted.receiver or (lambda _: True)
    groups, receivers = groups_of(state, wants_receiver=wants_receiver, wants_alert=wanted.alert)
    form = _forms(receivers, at=state.at)
    return [
        GettableGroup(
            alerts=[form(held, group.muted_by) for held in group.alerts],
            labels=group.labels,
            receiver=ReceiverReference(group.receiver),
            route_labels=group.route_labels,
        )
        for group in groups
        if asked.muted or not group.muted_by
    ]


def _forms(receivers: Receivers, *, at: datetime) -> Callable[[Held, tuple[str, ...]], GettableAlert]:
    """The form of an alert that is muted by these intervals, made once: it may be in many groups."""
    made: dict[tuple[int, tuple[str, ...]], GettableAlert] = {}

    def form(held: Held, muted_by: tuple[str, ...]) -> GettableAlert:
        alert, status = held
        key = (id(status), muted_by)  # each alert of each Alertmanager has a status of its own
        if key not in made:
            names = _references(tuple(receivers[alert.occurrence_id]))
            made[key] = alert_form(alert, status, names, at=at, muted_by=muted_by)
        return made[key]

    return form


def _wanted(state: MomentState, asked: AlertsParameters | GroupsParameters) -> Wanted:
    return Wanted(_alert_filter(asked), _receiver_filter(state, asked))


def _alert_filter(asked: AlertsParameters | GroupsParameters) -> Callable[[Held], bool]:
    is_match = matching(read_matchers(asked.filter)) if asked.filter else None

    def wants(held: Held) -> bool:
        alert, status = held
        if is_match is not None and not is_match(alert.labels):
            return False
        is_silenced = bool(status.silenced_by)
        is_inhibited = bool(status.inhibited_by) or (status.state == "suppressed" and not is_silenced)
        if not (is_silenced or is_inhibited):
            return asked.active
        return (asked.silenced or not is_silenced) and (asked.inhibited or not is_inhibited)

    return wants


def _receiver_filter(state: MomentState, asked: AlertsParameters | GroupsParameters) -> Callable[[str], bool] | None:
    by_name = receiver_filter(asked.receiver)
    matchers = read_matchers(asked.receiver_matchers, name="receiver_matchers")
    if not matchers:
        return by_name
    is_match, labels = matching(matchers), receiver_labels(state)
    names = {name for name, own in labels.items() if is_match(own)}
    return lambda name: name in names and (by_name is None or by_name(name))


@lru_cache(maxsize=4096)
def _references(names: tuple[str, ...]) -> Sequence[ReceiverReference]:
    return tuple(map(ReceiverReference, names))
