"""What can't be known for a moment, in sentences: an answer about the past says what it does not know."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from alert_history.domain.alertmanager.moment import MomentAlert
from alert_history.engine.moment_clusters import GRAFANA, Attribution
from alert_history.engine.moment_state import ClusterMoment

_STATUS = "status"
"""Of an alert that is unconfirmed."""

SILENT = timedelta(minutes=5)
"""An Alertmanager that did not answer for so long is silent: what it knows since is not known here."""


def unknown_of(alerts: Sequence[MomentAlert], parts: Sequence[ClusterMoment], *, names: Sequence[str]) -> list[str]:
    """Sentences on configurations that are not known, and on times of the alerts of these parts that are bounds."""
    return [*_configurations(parts, names), *_fields(alerts)]


def silent(parts: Sequence[ClusterMoment], at: datetime) -> list[str]:
    """Sentences on Alertmanagers that had not answered for long at that time."""
    return [
        f"{part.name} last answered at {part.version.seen_at:%Y-%m-%dT%H:%M:%SZ}: its configuration and silences are "
        "those of then"
        for part in parts
        if part.version is not None and at - part.version.seen_at > SILENT
    ]


def unattributed(
    alerts: Sequence[MomentAlert],
    parts: Sequence[ClusterMoment],
    *,
    attribution: Attribution,
    names: Sequence[str],
) -> list[str]:
    """Sentences on alerts, of all clusters, of which nobody can say whether these parts held them."""
    return list(_attributed(alerts, parts, attribution)) if len(names) > 1 else []


def beyond(at: datetime, *, oldest: datetime) -> list[str]:
    """A sentence where history is not kept from as far back as that."""
    if at >= oldest:
        return []
    return [f"history from before {oldest:%Y-%m-%d} is not kept (RETENTION_DAYS), so alerts of then may be missing"]


def cut(number: int, *, most: int) -> list[str]:
    """A sentence where more alerts fired than an answer holds."""
    return [f"more than {most} alerts fired, and the others are left out"] if number > most else []


def _configurations(parts: Sequence[ClusterMoment], names: Sequence[str]) -> Iterator[str]:
    if not names:
        yield (
            "no Alertmanager is asked (ALERTMANAGER_URLS), so routes, groups and inhibitions are not known, and "
            "silences only as far as events told of them"
        )
    for part in parts:
        if not part.name:
            continue
        if part.version is None:
            yield (
                f"the configuration of {part.name} is not known for then, nor are its routes, groups and inhibitions, "
                "and its silences only as far as it told of them later"
            )
        elif part.version.fault:
            yield f"the configuration of {part.name} can't be read: {part.version.fault}"


def _attributed(
    alerts: Sequence[MomentAlert], parts: Sequence[ClusterMoment], attribution: Attribution
) -> Iterator[str]:
    number = sum(alert.source != GRAFANA and not attribution.sure(alert) for alert in alerts)
    if number:
        yield f"nobody can say which Alertmanager held {_alerts(number)}, so each lists {_them(number)}"
    if len(parts) == 1 and (others := sum(_is_of_others(alert, parts[0].name, attribution) for alert in alerts)):
        yield f"whether {parts[0].name} held {_alerts(others)}, too, of which another told, is not known"


def _is_of_others(alert: MomentAlert, name: str, attribution: Attribution) -> bool:
    sure = attribution.sure(alert)
    return bool(sure) and name not in sure


def _fields(alerts: Sequence[MomentAlert]) -> Iterator[str]:
    counted = Counter(name for alert in alerts for name in alert.unknown)
    if number := counted.pop(_STATUS, 0):
        yield f"an Alertmanager may have dropped {_alerts(number)}, because nobody sent {_them(number)} for too long"
    for name, number in sorted(counted.items()):
        yield f"{name} of {_alerts(number)} is the nearest that is known"


def _alerts(number: int) -> str:
    return "1 alert" if number == 1 else f"{number} alerts"


def _them(number: int) -> str:
    return "it" if number == 1 else "them"
