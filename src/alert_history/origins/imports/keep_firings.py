"""What the events of one alert of Keep tell of its firings, and its audit of what people did. Pure.

Keep knows an alert by a fingerprint that its provider makes, and keeps each event of it. Prometheus' provider keeps the
fingerprint of Alertmanager, with the names of labels in lower case, and takes the label `environment` out of them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.acts import ActKind
from alert_history.domain.alert import fingerprint
from alert_history.domain.past_firing import PastAct, PastFiring
from alert_history.domain.standing import EndedBy
from alert_history.origins.imports.times import read_past_time

_FIRING = frozenset({"firing", "acknowledged", "suppressed", "maintenance"})
_RESOLVED = "resolved"
_NO_DATA = "pending"
_NO_ENVIRONMENT = frozenset({"", "unknown", "undefined"})

_ACTS: dict[str, ActKind] = {
    "alert acknowledged": "acknowledged",
    "alert manually resolved": "resolved",
    "alert status undone": "unacknowledged",
    "a comment was added to the alert": "noted",
    "alert was assigned with ticket": "noted",
}
_CHANGED_BY_HAND = "alert status manually changed"
_CHANGES: dict[str, ActKind] = {"acknowledged": "acknowledged", "firing": "unacknowledged"}
_COMMENTED = "Comment added by "


class Event(msgspec.Struct, rename="camel"):
    """One event of an alert, as `AlertDto` has it. What a provider adds is of any type."""

    name: str
    status: str
    last_received: str
    id: str | None = None
    event_id: str | None = msgspec.field(default=None, name="event_id")
    fingerprint: str | None = None
    severity: str | None = None
    environment: str | None = None
    service: str | None = None
    source: list[str] | None = None
    message: str | None = None
    description: str | None = None
    url: str | None = None
    firing_start_time: str | None = None
    enriched_fields: list[Any] = msgspec.field(default_factory=list, name="enriched_fields")
    labels: dict[str, Any] | None = None
    annotations: Any = None
    starts_at: Any = None
    ends_at: Any = None
    generator_url: Any = msgspec.field(default=None, name="generatorURL")


class Audited(msgspec.Struct):
    """One entry of an alert's audit, as `AlertAuditDto` has it."""

    id: str
    timestamp: str
    action: str
    user_id: str = ""
    description: str = ""


class _Firing(msgspec.Struct):
    labels: dict[str, str]
    starts_at: datetime
    last_seen_at: datetime
    newest: Event
    repeats: int = 0
    ends_at: datetime | None = None
    ended_by: EndedBy = "resolved"
    acts: list[PastAct] = []


class Story:
    """The events of one alert, told in the order of time: it gathers firings."""

    def __init__(self) -> None:
        self._firings: list[_Firing] = []
        self._open: dict[str, _Firing] = {}

    def tell(self, event: Event) -> None:
        """The next event. Raises: ValueError, with the reason why it can't be kept; it changes nothing then."""
        received_at = read_past_time(event.last_received)
        if received_at is None:
            raise ValueError("it has no time")
        labels = _labels(event)
        if not labels:
            raise ValueError("it has neither a name nor labels")
        starts_at = read_past_time(event.starts_at)
        if event.status in _FIRING:
            self._fire(event, labels, received_at=received_at, starts_at=starts_at)
        elif event.status == _RESOLVED:
            self._resolve(event, labels, received_at=received_at, starts_at=starts_at)
        elif event.status != _NO_DATA:
            raise ValueError(f"its status is {event.status[:60]!r}")

    def firings(self, acts: Iterable[PastAct], *, place: str) -> list[PastFiring]:
        """All firings, in the order of their starts; an act belongs to the latest that had begun, else to the first."""
        firings = sorted(self._firings, key=lambda firing: firing.starts_at)
        if not firings:
            return []
        for act in sorted(acts, key=lambda act: act.at):
            begun = [firing for firing in firings if firing.starts_at <= act.at]
            (begun[-1] if begun else firings[0]).acts.append(act)
        return [_past_firing(firing, place) for firing in firings]

    def _fire(self, event: Event, labels: dict[str, str], *, received_at: datetime, starts_at: datetime | None) -> None:
        identity = fingerprint(labels)
        firing = self._open.get(identity)
        if firing is not None and (starts_at is None or starts_at <= firing.last_seen_at):
            firing.starts_at = min(firing.starts_at, starts_at or firing.starts_at)
            firing.last_seen_at = max(firing.last_seen_at, received_at)
            firing.newest, firing.repeats = event, firing.repeats + 1
            return
        if firing is not None:
            firing.ends_at, firing.ended_by = firing.last_seen_at, "inferred"
        self._begin(event, labels, starts_at=starts_at or received_at, last_seen_at=received_at)

    def _resolve(
        self, event: Event, labels: dict[str, str], *, received_at: datetime, starts_at: datetime | None
    ) -> None:
        identity = fingerprint(labels)
        firing = self._open.pop(identity, None)
        begun_at = starts_at or read_past_time(event.firing_start_time)
        if firing is None:
            if begun_at is None:
                raise ValueError("it ends a firing of which Keep does not tell the beginning")
            firing = self._begin(event, labels, starts_at=begun_at, last_seen_at=begun_at)
            del self._open[identity]
        is_by_hand = "status" in event.enriched_fields
        ends_at = None if is_by_hand else read_past_time(event.ends_at)
        firing.starts_at = min(firing.starts_at, starts_at or firing.starts_at)
        firing.ends_at = max(ends_at or received_at, firing.starts_at)
        firing.ended_by = "inferred" if is_by_hand else "resolved"
        firing.newest = event

    def _begin(self, event: Event, labels: dict[str, str], *, starts_at: datetime, last_seen_at: datetime) -> _Firing:
        firing = _Firing(labels, starts_at, max(starts_at, last_seen_at), event)
        self._firings.append(firing)
        self._open[fingerprint(labels)] = firing
        return firing


def act_of(entry: Audited) -> PastAct | None:
    """What a person did; None where it was Keep itself. Raises: ValueError."""
    kind, text = _ACTS.get(entry.action), entry.description
    if entry.action == _CHANGED_BY_HAND:
        status = text.partition("changed to ")[2].partition(" ")[0]
        kind = _CHANGES.get(status, "noted")
    if kind is None:
        return None
    at = read_past_time(entry.timestamp)
    if at is None:
        raise ValueError("it has no time")
    if text.startswith(_COMMENTED):
        text = text.partition(" - ")[2]
    return PastAct(entry.id, kind, at, entry.user_id or "unknown", text)


def _past_firing(firing: _Firing, place: str) -> PastFiring:
    newest = firing.newest
    return PastFiring(
        labels=firing.labels,
        starts_at=firing.starts_at,
        ends_at=firing.ends_at,
        last_seen_at=firing.last_seen_at if firing.ends_at is None else None,
        ended_by=firing.ended_by,
        annotations=_annotations(newest),
        generator_url=newest.generator_url if isinstance(newest.generator_url, str) else newest.url or "",
        repeats=firing.repeats,
        acts=tuple(firing.acts),
        place=place,
    )


def _labels(event: Event) -> dict[str, str]:
    """Alertmanager's where the event has them: with or without the environment, as its fingerprint tells."""
    labels = _texts(event.labels)
    environment = event.environment or ""
    with_environment = labels if environment in _NO_ENVIRONMENT else {"environment": environment, **labels}
    if "alertname" in labels:
        return labels if fingerprint(labels) == event.fingerprint else with_environment
    own = {
        "alertname": event.name,
        "severity": event.severity,
        "service": event.service,
        "source": _first(event.source),
    }
    return {**{name: value for name, value in own.items() if value}, **with_environment}


def _annotations(event: Event) -> dict[str, str]:
    annotations = _texts(event.annotations)
    for name, text in (("description", event.description), ("message", event.message)):
        if text and text not in annotations.values():
            annotations.setdefault(name, text)
    return annotations


def _texts(values: Any) -> dict[str, str]:
    """The texts of an object, and its numbers and truths as JSON; what is empty or nested is left out."""
    if not isinstance(values, dict):
        return {}
    plain = {name: value for name, value in values.items() if isinstance(value, str | int | float)}
    texts = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in plain.items()
    }
    return {name: text for name, text in texts.items() if name and text}


def _first(sources: Sequence[str] | None) -> str:
    return sources[0] if sources else ""
