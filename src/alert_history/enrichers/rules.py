"""Classification by rules: labels, name and history, no network. Rules say only what they have evidence for.

Every piece of evidence names a severity and has a weight; the heaviest decides, those that agree make it surer, those
that contradict less sure. Annotations decide nothing: whoever can make an alert fire can write them.
For users: docs/explanation/classification.md.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from alert_history.domain.classification import (
    MAX_RECOMMENDATIONS,
    Case,
    Classification,
    Usage,
    Verdict,
    capped,
    stable_labels,
)
from alert_history.domain.severity import QUIETEST_FIRST, Severity, labelled_severity
from alert_history.domain.visible import NAMELESS, first_visible, visible
from alert_history.enrichers.families import Family
from alert_history.enrichers.known_alerts import family_of
from alert_history.enrichers.places import place_for_tests

_ENOUGH = 5  # occurrences before a habit is one
_MOSTLY = 0.8
_CHRONIC_DAYS = 20
_LONG_SECONDS = 3_600
_MANY_AROUND = 3
_MANY_AT_ONCE = 20
_LEAST_SURE, _MOST_SURE = 0.2, 0.97
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SAFE_IN_A_COMMAND = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)


class Evidence(NamedTuple):
    """What speaks for a severity, how strongly (0 to 1), and why in words."""

    severity: Severity
    weight: float
    reason: str


class RulesEnricher:
    """See `ports.Enricher`."""

    name = "rules"
    most_cases = 500
    most_of_a_rule: int | None = None

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    async def classify(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """A verdict for every case; never raises."""
        now = self._clock()
        return [Verdict(classify_by_rules(case, now=now)) for case in cases]

    async def offered(self) -> None:
        """See `ports.Enricher`: there are no others."""

    def take_unusable(self) -> Usage:
        """See `ports.Enricher`: rules use nothing."""
        return Usage()

    async def close(self) -> None:
        """There is nothing to give back."""


def classify_by_rules(case: Case, *, now: datetime) -> Classification:
    """The classification by labels, name and history. The heaviest evidence decides; all evidence is named."""
    family = family_of(case.labels.get("alertname", ""))
    evidence = sorted(_evidence(case, family), key=lambda piece: -piece.weight)
    severity = evidence[0].severity
    classification = Classification(
        severity,
        _confidence(evidence),
        family.category,
        _summary(case, family),
        family.cause,
        tuple(_advice(case, family, severity))[:MAX_RECOMMENDATIONS],
        " ".join(f"{piece.reason}." for piece in evidence),
        tuple(_tags(case, family)),
        "rules",
        "rules",
        now,
    )
    return capped(classification)


def _confidence(evidence: Sequence[Evidence]) -> float:
    """How sure the heaviest evidence is: evidence that agrees takes up to a third of the doubt, other adds some."""
    first, *others = evidence
    doubt = 1 - first.weight
    for other in others:
        doubt *= 1 - other.weight / 3 if other.severity == first.severity else 1 + other.weight / 3
    return round(min(max(1 - doubt, _LEAST_SURE), _MOST_SURE), 2)


def _evidence(case: Case, family: Family) -> Iterator[Evidence]:
    label_evidence = _by_label(case, family)
    yield label_evidence
    if family.category == "self-test":
        yield Evidence("noise", 0.95, "Alerts of this name fire on purpose")
        return
    place = place_for_tests(case.labels)
    if place is not None:
        yield Evidence("info", 0.82, f"It is in {place}, where nobody is hurt")
    yield from _by_knowledge(family, label_evidence.severity, is_elsewhere=place is None)
    yield from _by_habit(case, family._replace(is_fault=family.is_fault and place is None), label_evidence.severity)
    yield from _by_novelty(case, family, label_evidence.severity)


def _by_label(case: Case, family: Family) -> Evidence:
    label = labelled_severity(case.labels)
    if label.severity is not None:
        return Evidence(label.severity, 0.72, f"Its label says {label.word}")
    reason = f"Its label {label.word!r} is no severity we know" if label.word else "It has no severity label"
    if family.is_unknown:
        return Evidence("warning", 0.35, reason)
    return Evidence(family.usual, 0.65, f"{reason}; {family.category} alerts like it are mostly {family.usual}")


def _by_knowledge(family: Family, severity: Severity, *, is_elsewhere: bool) -> Iterator[Evidence]:
    """What is known of such alerts, whatever the label says: down by one step at most, up only outside test places."""
    level = QUIETEST_FIRST.index
    if is_elsewhere and family.at_least is not None:
        is_raised = level(family.at_least) > level(severity)
        weight = 0.9 if family.at_least == "critical" else 0.78
        if is_raised or family.at_least == "critical":
            yield Evidence(family.at_least, weight, f"It means that {family.what}")
    if family.at_most is not None and level(severity) > level(family.at_most):
        lowered = max(family.at_most, QUIETEST_FIRST[level(severity) - 1], key=level)
        yield Evidence(lowered, 0.78, f"Such an alert is rarely more than {family.at_most}: {family.what}")


def _by_habit(case: Case, family: Family, severity: Severity) -> Iterator[Evidence]:
    past = case.past
    if past.month >= _ENOUGH and past.brief >= _MOSTLY * past.month:
        yield Evidence("noise", 0.86, f"{past.brief} of the last {past.month} ended by themselves within a minute")
    for reason in _habits(case):
        if not family.is_fault:
            is_grave = family.is_unknown and severity == "critical"
            yield Evidence("warning" if is_grave else "noise", 0.83, reason)
        elif severity == "critical" and family.usual != "critical" and len(past.around) < _MANY_AROUND:
            yield Evidence("warning", 0.78, f"{reason}; it has healed by itself each time")
    if past.days_seen >= _CHRONIC_DAYS and (past.median_seconds or 0) >= _LONG_SECONDS and not family.is_fault:
        yield Evidence("info", 0.76, f"It was there on {past.days_seen} of the last 30 days, mostly for long")


def _habits(case: Case) -> Iterator[str]:
    """The habits of the alert, in words."""
    past = case.past
    if past.is_flapping:
        yield f"It flaps: {past.flaps} changes in the last hour"
    if past.month >= _ENOUGH and past.days_seen >= _ENOUGH and past.same_hour >= _MOSTLY * past.month:
        hour = case.starts_at.hour
        yield f"{past.same_hour} of the last {past.month} began between {hour} and {(hour + 1) % 24} h UTC"


def _by_novelty(case: Case, family: Family, severity: Severity) -> Iterator[Evidence]:
    past = case.past
    if past.month > 0 or not past.is_known:
        return
    if not family.is_unknown:
        yield Evidence(family.usual, 0.4, "It was not seen in the last 30 days")
    if severity == "info" and len(past.around) >= _MANY_AROUND and family.usual != "info":
        yield Evidence("warning", 0.78, f"It is new, and {len(past.around)} others began with it")


def _summary(case: Case, family: Family) -> str:
    name = first_visible(case.labels, "alertname") or f"An {NAMELESS}"
    where = first_visible(case.labels, "namespace", "job", "service")
    of = f" in {where}" if where else ""
    at_once = f", {case.waiting} at once" if case.waiting >= _MANY_AT_ONCE else ""
    habit = f"; {_habit(case)}" if case.past.is_known else ""
    return f"{name}{of}: {family.what}{at_once}{habit}."


def _habit(case: Case) -> str:
    past = case.past
    if past.month == 0:
        return "not seen in the last 30 days"
    times = "once" if past.month == 1 else f"{past.month} times"
    lasted = "" if past.median_seconds is None else f", mostly for {_duration(past.median_seconds)}"
    return f"seen {times} in 30 days{lasted}"


def _duration(seconds: float) -> str:
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _advice(case: Case, family: Family, severity: Severity) -> Iterator[str]:
    if runbook := first_visible(case.annotations, "runbook_url", "runbook"):
        yield f"Follow the runbook: {runbook}"
    if severity == "noise" and family.category != "self-test":
        yield "Lengthen the rule's `for:` or raise its threshold; nobody should be woken by this."
    if case.past.is_flapping and severity != "noise":
        yield "It comes and goes: look for what comes and goes with it, and do not wait until it stays."
    if around := list(filter(visible, case.past.around)):
        yield f"Look at what began around it: {', '.join(around[:5])}."
    yield from (_filled(text, case) for text in family.advice)


def _filled(advice: str, case: Case) -> str:
    """The advice with values of labels that all alerts of the shape share, if a value can do no harm in a command."""
    shared = stable_labels(case.labels)

    def value(name: re.Match[str]) -> str:
        text = case.labels.get(name[1], "")
        is_fit = shared.get(name[1]) == text and _SAFE_IN_A_COMMAND.fullmatch(text)
        return text if is_fit else name[1].upper()

    return _PLACEHOLDER.sub(value, advice)


def _tags(case: Case, family: Family) -> Iterator[str]:
    yield family.category
    if case.past.is_flapping:
        yield "flapping"
    if case.past.month == 0 and case.past.is_known:
        yield "first-seen"
    if case.waiting >= _MANY_AT_ONCE:
        yield "many-at-once"
