"""A moment as far as it exists for who calls: alerts within their reach, silences that match one of those."""

from collections.abc import Collection, Sequence

import msgspec

from alert_history.domain.alertmanager.matcher_sets import MatcherSets
from alert_history.domain.alertmanager.moment import AlertStatus, ClusterVersion, SilenceVersion
from alert_history.domain.alertmanager.silencing import right_sets
from alert_history.engine.moment_state import Held, MomentState
from alert_history.engine.reach import is_narrowed, is_within


def within_reach(state: MomentState) -> MomentState:
    """The state without what is out of reach: alerts, inhibitors, silences, configurations."""
    if not is_narrowed():
        return state
    alerts = [held for held in state.alerts if is_within(held[0].labels, held[0].annotations)]
    ids = {alert.occurrence_id for alert, _ in alerts}
    fingerprints = {alert.fingerprint for alert, _ in alerts}
    return msgspec.structs.replace(
        state,
        alerts=_shown(alerts, ids, fingerprints),
        silences=_matching(state.silences, alerts),
        clusters=[_without_configuration(version) for version in state.clusters],
        parts=[
            msgspec.structs.replace(
                part,
                alerts=_shown(part.alerts, ids, fingerprints),
                version=None if part.version is None else _without_configuration(part.version),
            )
            for part in state.parts
        ],
        is_narrowed=True,
    )


def _shown(alerts: Sequence[Held], ids: Collection[str], fingerprints: Collection[str]) -> list[Held]:
    """The alerts with these ids. An inhibitor that is out of reach is not named; its alert stays suppressed."""
    shown = []
    for alert, status in alerts:
        if alert.occurrence_id not in ids:
            continue
        shown.append((alert, _without_hidden(status, fingerprints) if status.inhibited_by else status))
    return shown


def _without_hidden(status: AlertStatus, fingerprints: Collection[str]) -> AlertStatus:
    pairs = [pair for pair in zip(status.inhibited_by, status.inhibit_rules, strict=False) if pair[0] in fingerprints]
    return msgspec.structs.replace(
        status,
        inhibited_by=tuple(name for name in status.inhibited_by if name in fingerprints),
        inhibit_rules=tuple(rule for _, rule in pairs),
    )


def _matching(versions: Sequence[SilenceVersion], alerts: Sequence[Held]) -> list[SilenceVersion]:
    """The silences that match one of the alerts, whenever they are in force."""
    sets = MatcherSets(
        [(matchers, place) for place, version in enumerate(versions) for matchers in right_sets(version.silence)]
    )
    places = {place for alert, _ in alerts for place in sets.matching(alert.labels)}
    return [version for place, version in enumerate(versions) if place in places]


def _without_configuration(version: ClusterVersion) -> ClusterVersion:
    return msgspec.structs.replace(version, original="", configuration=None, fault="")
