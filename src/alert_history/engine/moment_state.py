"""What was held at a moment: by each Alertmanager cluster, and by all of them together."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.alertmanager.moment import AlertStatus, ClusterVersion, MomentAlert, SilenceVersion
from alert_history.domain.alertmanager.routing import Routing

NOT_KNOWN = "not-known"
"""The receiver of an alert of which nobody knows where it went: each alert of an Alertmanager has a receiver."""

Held = tuple[MomentAlert, AlertStatus]
"""An alert, and what becomes of it."""


class ClusterMoment(msgspec.Struct, frozen=True):
    """What one Alertmanager cluster held, alerts by fingerprint. Without a name: what none that is known holds.

    `version` is None where its configuration is not known for then, and `routing` where it can't be read either.
    """

    name: str
    version: ClusterVersion | None
    routing: Routing | None
    alerts: Sequence[Held]


class MomentState(msgspec.Struct, frozen=True):
    """What was held at `at`, of all clusters together or of the one that was asked for.

    `alerts` are in the order of their fingerprints, `silences` in that of their ids. `names` are all clusters that are
    known, `parts` those that were asked for. `unknown` says in sentences what can't be known for the moment.
    `is_narrowed`: who calls sees some alerts only; then no version has its configuration.
    """

    at: datetime
    is_now: bool
    alerts: Sequence[Held]
    silences: Sequence[SilenceVersion]
    clusters: Sequence[ClusterVersion]
    parts: Sequence[ClusterMoment]
    names: Sequence[str]
    unknown: Sequence[str]
    is_narrowed: bool = False


def united(parts: Sequence[ClusterMoment]) -> list[Held]:
    """The alerts of all parts, each once, by fingerprint.

    An alert that several clusters hold is muted only where each of them mutes it: else somebody is notified of it. A
    cluster whose configuration is not known has no say where another one has.
    """
    if len(parts) == 1:
        return list(parts[0].alerts)
    together = {
        **_together(part for part in parts if part.routing is None),
        **_together(part for part in parts if part.routing is not None),
    }
    alerts = sorted(together.values(), key=lambda each: (each[0].fingerprint, each[0].scope))
    return [(alert, msgspec.structs.replace(status, receivers=_once(status.receivers))) for alert, status in alerts]


def _together(parts: Iterable[ClusterMoment]) -> dict[str, Held]:
    """The alerts of these parts, each once, by occurrence."""
    together: dict[str, Held] = {}
    for part in parts:
        for alert, status in part.alerts:
            before = together.get(alert.occurrence_id)
            together[alert.occurrence_id] = (alert, status if before is None else _both(before[1], status))
    return together


def _once(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _both(one: AlertStatus, other: AlertStatus) -> AlertStatus:
    receivers = _once((*one.receivers, *other.receivers))
    if one.state != "suppressed" or other.state != "suppressed":
        loud = other if one.state == "suppressed" else one
        return msgspec.structs.replace(loud, receivers=receivers)
    rules = dict(
        zip((*one.inhibited_by, *other.inhibited_by), (*one.inhibit_rules, *other.inhibit_rules), strict=False)
    )
    return AlertStatus(
        state="suppressed",
        receivers=receivers,
        silenced_by=tuple(sorted({*one.silenced_by, *other.silenced_by})),
        inhibited_by=tuple(rules),
        inhibit_rules=tuple(rules.values()),
        muted_by=_once((*one.muted_by, *other.muted_by)),
    )
