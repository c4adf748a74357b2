"""A classification: what an alert means and what to do about it, and the shape of alerts that share one.

Its text comes from a model or a person and is data: pages escape the text, and no code obeys it.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Literal, Self

import msgspec

from alert_history.domain.severity import Severity, is_severity, labelled_severity

Mode = Literal["transparent", "enriched", "transparent_with_recommendations"]
ClassifiedBy = Literal["llm", "rules", "person"]

MODES: tuple[Mode, ...] = ("transparent", "enriched", "transparent_with_recommendations")
"""In the order of the numbers of `alert_history_enrichment_mode_status`."""

MAX_SUMMARY = 300
MAX_TEXT = 1_000
MAX_RECOMMENDATIONS = 5
MAX_TAGS = 10
MAX_WORD = 60
NO_KNOWN_CAUSE = "No public rule set has it, so only its author can say."
"""The `probable_cause` that rules give an alert of a kind that they don't know."""

_VOLATILE = frozenset(
    {"pod", "pod_name", "pod_ip", "container_id", "image_id", "id", "uid", "instance", "ip", "address", "host_ip"}
    | {"node", "nodename", "node_name", "host", "hostname", "replica", "replicaset", "endpoint"}
    | {"prometheus_replica", "device", "mountpoint"}
)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_POD_SUFFIX = re.compile(r"-[a-z0-9]{8,10}-[a-z0-9]{5}$|-(?=[a-z0-9]*\d)[a-z0-9]{5}$")
_NUMBERS = re.compile(r"\d+(?:[.:]\d+)*")
_HEX = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE)


class Classification(msgspec.Struct, frozen=True):
    """What an alert means. `confidence` is from 0 to 1; `model` is the LLM's name, `rules`, or who corrected it.

    `is_noise_by_history`: the history alone showed at that time that no person needs to know of such alerts.
    """

    severity: Severity
    confidence: float
    category: str
    summary: str
    probable_cause: str
    recommendations: tuple[str, ...]
    reasoning: str
    tags: tuple[str, ...]
    source: ClassifiedBy
    model: str
    at: datetime
    is_noise_by_history: bool = False


class Similar(msgspec.Struct, frozen=True):
    """A past occurrence of the same alert: how long it lasted, and what was recommended then."""

    starts_at: datetime
    lasted_seconds: float | None
    severity: Severity | None = None
    recommendations: tuple[str, ...] = ()


class Past(msgspec.Struct, frozen=True):
    """What the history knows of an alert at the time it is classified, and no one else does.

    Counts are of occurrences of the same alertname and namespace in the 30 days before this one, at most 1 000, found
    among the newest 2 000 of the alertname: where that fires more often, they are a sample of the last days.
    `brief` are those that ended by themselves within a minute; `same_hour` those that began in the same hour
    of the day (UTC). `flaps` counts its own changes in the last hour. `around` names what else began within
    five minutes of it, at most ten. If the history was not asked, `is_known` is false and the rest is empty.
    """

    day: int = 0
    week: int = 0
    month: int = 0
    brief: int = 0
    same_hour: int = 0
    days_seen: int = 0
    median_seconds: float | None = None
    flaps: int = 0
    is_flapping: bool = False
    around: tuple[str, ...] = ()
    similar: tuple[Similar, ...] = ()
    is_known: bool = True


class Case(msgspec.Struct, frozen=True):
    """One shape to be classified: an alert of it, how many wait for the answer, and what the history knows."""

    shape: str
    fingerprint: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    waiting: int = 1
    past: Past = Past()


class Usage(msgspec.Struct, frozen=True):
    """What a call used, by the proxy's own count."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost_usd + other.cost_usd,
        )


class Verdict(msgspec.Struct, frozen=True):
    """A classification with what it took. `sent` is what left this house for it, redacted; None if nothing did."""

    classification: Classification
    usage: Usage = Usage()
    sent: str | None = None


class KeptVerdict(msgspec.Struct, frozen=True):
    """A classification as it is kept: for which shape, asked for by which alert, with what it took."""

    id: str
    shape: str
    fingerprint: str
    verdict: Verdict

    @property
    def severity_and_advice(self) -> tuple[Severity, tuple[str, ...]]:
        """What an enricher is shown of it when it is asked about the same shape again."""
        classification = self.verdict.classification
        return classification.severity, classification.recommendations


def stable_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that alerts of one shape share: none that names a single pod or host, and no counting numbers.

    How serious a label says it is counts as it stands: p1 and p4 are two shapes. So does the alertname, which names a
    rule: a person who calls Http404 noise has said nothing of Http500.
    """
    return {name: _stable(name, value) for name, value in sorted(labels.items()) if name.lower() not in _VOLATILE}


def _stable(name: str, value: str) -> str:
    if name == "alertname" or is_severity(name, value):
        return value
    value = _POD_SUFFIX.sub("", _UUID.sub("#", value))
    return _NUMBERS.sub("#", _HEX.sub("#", value))


def shape_of(labels: Mapping[str, str]) -> str:
    """Sixteen hex digits, the same for alerts that one classification serves, on every replica and in every release."""
    return blake2b(msgspec.json.encode(stable_labels(labels)), digest_size=8).hexdigest()


def withholds(
    classification: Classification | None,
    labels: Mapping[str, str],
    *,
    min_confidence: float | None,
    excludes_noise: bool,
) -> str | None:
    """Why a target with these wishes is not notified; None to notify it, as of each unclassified alert: better loud.

    An attacker may write an alert, while the owner of the rule writes its labels. So an alert with the label of a
    critical one is never withheld for a doubt, and as noise only if a person said so or the history showed it.
    """
    if classification is None:
        return None
    is_critical = labelled_severity(labels).severity == "critical"
    is_sound = not is_critical or classification.source == "person" or classification.is_noise_by_history
    sure = f"with a confidence of {classification.confidence:.2f} by {classification.model}"
    if excludes_noise and classification.severity == "noise" and is_sound:
        return f"classified as noise {sure}"
    if min_confidence is not None and classification.confidence < min_confidence and not is_critical:
        return f"classified {sure}, under the {min_confidence:g} it asks for"
    return None


def capped(classification: Classification) -> Classification:
    """The same, no text longer and no list longer than we keep."""
    return msgspec.structs.replace(
        classification,
        confidence=min(max(classification.confidence, 0.0), 1.0),
        category=_cut(classification.category, MAX_WORD),
        summary=_cut(classification.summary, MAX_SUMMARY),
        probable_cause=_cut(classification.probable_cause, MAX_TEXT),
        recommendations=tuple(_cut(text, MAX_SUMMARY) for text in classification.recommendations[:MAX_RECOMMENDATIONS]),
        reasoning=_cut(classification.reasoning, MAX_TEXT),
        tags=tuple(_cut(tag, MAX_WORD) for tag in classification.tags[:MAX_TAGS]),
    )


def _cut(text: str, length: int) -> str:
    text = text.replace("\0", "").strip()
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
