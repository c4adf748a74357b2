"""Classification by rules: labels, name and history, no network. What they say is what they can show evidence for."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from alert_history.domain.classification import Case, Classification, Severity, Verdict, capped
from alert_history.enrichers.known_alerts import UNKNOWN, Family, family_of

_CRITICAL = frozenset(
    {"critical", "crit", "page", "fatal", "emergency", "emerg", "high", "p1", "p2", "sev1", "sev2", "1"}
)
_WARNING = frozenset({"warning", "warn", "medium", "moderate", "average", "minor", "major", "error", "p3", "sev3", "2"})
_INFO = frozenset({"info", "information", "informational", "notice", "low", "debug", "ok", "p4", "p5", "sev4", "3"})
_NOISE = frozenset({"none", "noise"})
_TEST_PLACES = frozenset({"dev", "development", "test", "testing", "sandbox", "qa", "ci", "staging", "stage", "demo"})
_PLACES = ("environment", "env", "stage", "tier", "namespace", "cluster")

_ENOUGH = 5  # occurrences before a habit is one
_MOSTLY = 0.8


class Evidence(NamedTuple):
    """What speaks for a severity, how strongly (0 to 1), and why in words."""

    severity: Severity
    weight: float
    reason: str


class RulesEnricher:
    """See `ports.Enricher`."""

    name = "rules"
    most_cases = 500

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    async def classify(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """A verdict for every case; never raises."""
        now = self._clock()
        return [Verdict(classify_by_rules(case, now=now)) for case in cases]

    async def close(self) -> None:
        """There is nothing to give back."""


def classify_by_rules(case: Case, *, now: datetime) -> Classification:
    """What labels, name and history say. The strongest evidence decides; the others are named."""
    family = family_of(case.labels.get("alertname", ""))
    evidence = sorted(_evidence(case, family), key=lambda one: -one.weight)
    severity = evidence[0].severity
    agreeing = [one for one in evidence if one.severity == severity]
    doubt = sum(one.weight for one in evidence if one.severity != severity) / 10
    confidence = min(evidence[0].weight + 0.05 * (len(agreeing) - 1), 0.95) - doubt
    told = Classification(
        severity,
        round(min(max(confidence, 0.2), 0.95), 2),
        family.category,
        _summary(case, family),
        family.cause,
        tuple(_advice(case, family, severity)),
        " ".join(f"{one.reason}." for one in evidence),
        tuple(_tags(case, family)),
        "rules",
        "rules",
        now,
    )
    return capped(told)


def _evidence(case: Case, family: Family) -> list[Evidence]:
    found = [_by_label(case, family), *_by_place(case), *_by_history(case)]
    if family.category == "self-test":
        found.append(Evidence("noise", 0.95, "It is an alert that always fires, to test alerting"))
    return found


def _by_label(case: Case, family: Family) -> Evidence:
    word = case.labels.get("severity", case.labels.get("priority", "")).strip().lower()
    known: tuple[tuple[Severity, frozenset[str]], ...] = (
        ("critical", _CRITICAL), ("warning", _WARNING), ("info", _INFO), ("noise", _NOISE),
    )  # fmt: skip
    for severity, words in known:
        if word in words:
            return Evidence(severity, 0.7, f"Its label says {word}")
    said = f"Its label {word!r} is no severity we know" if word else "It has no severity label"
    weight = 0.35 if family is UNKNOWN else 0.55
    return Evidence(family.usual, weight, f"{said}; {family.category} alerts are mostly {family.usual}")


def _by_place(case: Case) -> list[Evidence]:
    for label in _PLACES:
        words = case.labels.get(label, "").lower().replace("_", "-").split("-")
        place = next((word for word in words if word in _TEST_PLACES), None)
        if place is not None:
            return [Evidence("info", 0.75, f"It is in {label} {case.labels[label]!r}, where nobody is hurt")]
    return []


def _by_history(case: Case) -> list[Evidence]:
    past = case.past
    found = []
    if past.is_flapping:
        found.append(Evidence("noise", 0.8, f"It flaps: {past.flaps} changes in the last hour"))
    if past.month >= _ENOUGH and past.brief >= _MOSTLY * past.month:
        share = f"{past.brief} of the last {past.month} ended by themselves within a minute"
        found.append(Evidence("noise", 0.85, share[0].upper() + share[1:]))
    if past.month >= _ENOUGH and past.days_seen >= _ENOUGH and past.same_hour >= _MOSTLY * past.month:
        hour = case.starts_at.hour
        found.append(
            Evidence("noise", 0.78, f"{past.same_hour} of {past.month} began between {hour} and {hour + 1} h UTC")
        )
    if past.month == 0:
        found.append(Evidence(_usual(case), 0.4, "It was not seen in the last 30 days"))
    return found


def _usual(case: Case) -> Severity:
    return family_of(case.labels.get("alertname", "")).usual


def _summary(case: Case, family: Family) -> str:
    name = case.labels.get("alertname", "An alert without a name")
    where = case.labels.get("namespace") or case.labels.get("job") or case.labels.get("service")
    of = f" in {where}" if where else ""
    past = case.past
    if past.month == 0:
        habit = "not seen in the last 30 days"
    else:
        habit = f"seen {past.month} times in 30 days"
        if past.median_seconds is not None:
            habit += f", mostly for {_duration(past.median_seconds)}"
    return f"{name}{of}: {family.category}, {habit}."


def _duration(seconds: float) -> str:
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _advice(case: Case, family: Family, severity: Severity) -> list[str]:
    advice = []
    if runbook := case.annotations.get("runbook_url") or case.annotations.get("runbook"):
        advice.append(f"Follow the runbook: {runbook}")
    if severity == "noise" and family.category != "self-test":
        advice.append("Lengthen the rule's `for:` or raise its threshold; nobody should be woken by this.")
    if case.past.around:
        advice.append(f"Look at what began around it: {', '.join(case.past.around[:5])}.")
    return [*advice, *family.advice]


def _tags(case: Case, family: Family) -> list[str]:
    habits = [("flapping", case.past.is_flapping), ("first-seen", case.past.month == 0)]
    return [family.category, *(tag for tag, is_so in habits if is_so)]
