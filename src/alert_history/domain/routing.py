"""Which targets are told of an event, and the reason where one is not."""

from collections.abc import Iterable, Mapping

from alert_history.domain.classification import withholds
from alert_history.domain.delivery import TOLD_EVENTS, Leased, Routing
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


def reason_to_withhold(target: TargetSpec, leased: Leased) -> str | None:
    """Why a delivery is not made after all, now that it is known what the alert means; None to make it.

    What nobody classified is told: better loud. The end of an alert is told to whom its beginning was, whatever it
    means by now, and to no one else.
    """
    if target.min_confidence is None and not target.excludes_noise:
        return None
    if leased.was_told:
        return None
    told = leased.alert.classification
    return withholds(told, min_confidence=target.min_confidence, excludes_noise=target.excludes_noise)


def _reason_against(target: TargetSpec, labels: Mapping[str, str], annotations: Mapping[str, str]) -> str | None:
    if target.fault is not None:
        return f"the target is broken: {target.fault}"
    if not target.is_enabled:
        return "the target is disabled"
    if not target.match.matches(labels, annotations):
        return f"it does not match {target.match_text}"
    return None
