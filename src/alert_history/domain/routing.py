"""Which targets are told of an event, and the reason where one is not."""

from collections.abc import Iterable, Mapping

from alert_history.domain.delivery import TOLD_EVENTS, Routing
from alert_history.domain.occurrence import EventKind
from alert_history.domain.target import TargetSpec


def route(
    targets: Iterable[TargetSpec], *, event: EventKind, labels: Mapping[str, str], annotations: Mapping[str, str]
) -> Routing | None:
    """Decide for all targets; None where the event is no news to any target, or there are no targets."""
    if event not in TOLD_EVENTS:
        return None
    told: list[str] = []
    not_told: dict[str, str] = {}
    for target in targets:
        reason = _reason_against(target, labels, annotations)
        if reason is None:
            told.append(target.name)
        else:
            not_told[target.name] = reason
    return Routing(tuple(told), not_told) if told or not_told else None


def _reason_against(target: TargetSpec, labels: Mapping[str, str], annotations: Mapping[str, str]) -> str | None:
    if target.fault is not None:
        return f"the target is broken: {target.fault}"
    if not target.is_enabled:
        return "the target is disabled"
    if target.min_confidence is not None:
        return f"it wants alerts classified with a confidence of {target.min_confidence:g}; this one is not classified"
    if not target.match.matches(labels, annotations):
        return f"it does not match {target.match_text}"
    return None
