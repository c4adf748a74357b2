"""What becomes of the alerts of a moment: which of them are muted, by what, and where their routes lead."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.behaviour import NEWEST, Behaviour
from alert_history.domain.alertmanager.configuration import Configuration, Route
from alert_history.domain.alertmanager.inhibition import Inhibition, Inhibitor, InhibitRules, Sides, Source
from alert_history.domain.alertmanager.moment import AlertStatus, MomentAlert
from alert_history.domain.alertmanager.posting import NEVER
from alert_history.domain.alertmanager.routing import Routing
from alert_history.domain.alertmanager.silencing import Silencing
from alert_history.domain.alertmanager.time_intervals import muting

_MOST_JUDGED = 20_000
"""So many label sets are remembered, about 1 KB each."""


def statuses(
    alerts: Sequence[MomentAlert],
    *,
    silences: Sequence[Silence],
    configuration: Configuration | None,
    at: datetime,
    behaviour: Behaviour = NEWEST,
) -> list[AlertStatus]:
    """The status of each alert, in their order, as `GET /api/v2/alerts` of an Alertmanager has it.

    `inhibited_by` names the one alert that Alertmanager names; `inhibitors_of` knows all. Time intervals mute routes,
    not alerts: `status_in_group` adds them. Without a configuration an alert is inhibited, or silenced by a silence
    that is not among these, where events say so, and its receiver is that of the webhook that told of it.

    Raises: InvalidQuery where a regex of the configuration is wrong.
    """
    if configuration is not None:
        return Statuses(configuration, behaviour=behaviour).of(alerts, silences=silences, at=at)
    silencing = Silencing(silences, behaviour=behaviour)
    known = {silence.id for silence in silences}
    return [_said_status(alert, silencing.silenced_by(alert.labels, at=at), known) for alert in alerts]


class _Judged(msgspec.Struct, frozen=True, gc=False):
    """What a configuration says of a label set, whatever the time."""

    labels: Mapping[str, str]
    sides: Sides
    receivers: tuple[str, ...]


class Statuses:
    """One configuration, prepared to say what becomes of alerts. It may be kept: what it remembers has a bound."""

    def __init__(self, configuration: Configuration, *, behaviour: Behaviour = NEWEST) -> None:
        """Raises: InvalidQuery where a regex of the configuration is wrong."""
        self._behaviour = behaviour
        self._routing = Routing(configuration)
        self._rules = InhibitRules(configuration.inhibit_rules)
        self._judged: dict[str, _Judged] = {}

    def of(self, alerts: Sequence[MomentAlert], *, silences: Sequence[Silence], at: datetime) -> list[AlertStatus]:
        """The status of each alert of a moment, in their order, as `statuses` says."""
        silencing = Silencing(silences, behaviour=self._behaviour)
        judged = [self._judge(alert) for alert in alerts]
        inhibition = Inhibition(self._rules, behaviour=self._behaviour)
        _put_sources(inhibition, alerts, [each.sides for each in judged])
        return [
            _status(
                silenced_by=silencing.silenced_by(alert.labels, at=at),
                inhibitor=inhibition.inhibitor(each.sides, at=at),
                receivers=each.receivers,
            )
            for alert, each in zip(alerts, judged, strict=True)
        ]

    def _judge(self, alert: MomentAlert) -> _Judged:
        """What the configuration says of an alert. It is remembered, because the same alerts are asked for again."""
        judged = self._judged.get(alert.fingerprint)
        if judged is None or judged.labels != alert.labels:
            receivers = tuple(route.receiver for route in self._routing.routes_of(alert.labels))
            judged = _Judged(alert.labels, self._rules.sides(alert.labels), receivers)
            if len(self._judged) >= _MOST_JUDGED:
                self._judged.clear()
            self._judged[alert.fingerprint] = judged
        return judged


def inhibitors_of(
    alert: MomentAlert, alerts: Sequence[MomentAlert], *, configuration: Configuration, at: datetime
) -> list[Inhibitor]:
    """All among the alerts of a moment that inhibit this one, by rule and fingerprint; there may be very many.

    An Alertmanager of 0.30 or newer may not heed them: `Inhibition.inhibitor` says when. Raises: as `statuses`.
    """
    inhibition = Inhibition(configuration.inhibit_rules, behaviour=NEWEST)
    _put_sources(inhibition, alerts, [inhibition.sides(each.labels) for each in alerts])
    return list(inhibition.inhibitors(inhibition.sides(alert.labels), at=at))


def status_in_group(status: AlertStatus, route: Route, *, configuration: Configuration, at: datetime) -> AlertStatus:
    """The status as `GET /api/v2/alerts/groups` has it in a group of this route (0.28 and newer).

    Alertmanager goes by what muted the group when it was last flushed. Raises: InvalidQuery where a time zone is not
    known here.
    """
    names = muting(route, configuration.time_intervals, at=at)
    return msgspec.structs.replace(status, state="suppressed", muted_by=names) if names else status


def _put_sources(inhibition: Inhibition, alerts: Sequence[MomentAlert], sides: Sequence[Sides]) -> None:
    """Have these alerts inhibit others; `sides` are what the rules say of each."""
    sources = [(alert, each) for alert, each in zip(alerts, sides, strict=True) if each.sources]
    for alert, each in sorted(sources, key=lambda source: (source[0].updated_at, source[0].fingerprint)):
        inhibition.put(Source(alert.fingerprint, alert.ends_at or NEVER), each)


def _status(*, silenced_by: tuple[str, ...], inhibitor: Inhibitor | None, receivers: tuple[str, ...]) -> AlertStatus:
    is_muted = bool(silenced_by) or inhibitor is not None
    return AlertStatus(
        state="suppressed" if is_muted else "active",
        receivers=receivers,
        silenced_by=silenced_by,
        inhibited_by=(inhibitor.fingerprint,) if inhibitor else (),
        inhibit_rules=(inhibitor.rule.position,) if inhibitor else (),
    )


def _said_status(alert: MomentAlert, silenced_by: tuple[str, ...], known: set[str]) -> AlertStatus:
    kind, names = alert.muted or ("", ())
    unknown_ids = tuple(name for name in names if name not in known) if kind == "silenced" else ()
    inhibited_by = tuple(names) if kind == "inhibited" else ()
    return AlertStatus(
        state="suppressed" if silenced_by or unknown_ids or inhibited_by else "active",
        receivers=(alert.receiver,) if alert.receiver else (),
        silenced_by=(*silenced_by, *unknown_ids),
        inhibited_by=inhibited_by,
    )
