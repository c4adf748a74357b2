"""What a message says of a classification: how sure it is, by whom, what it means and what to do.

Plain text, nothing escaped: markup is each target's own. The text comes from a model or a person and is only shown.
Must not know any vendor.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from alert_history.domain.classification import Classification, capped
from alert_history.domain.target import Outgoing
from alert_history.targets.fitting import clipped
from alert_history.targets.wording import name_words

_LINE_CHARACTERS = 1000


def explained(alerts: Iterable[Outgoing]) -> dict[Classification, list[Outgoing]]:
    """The alerts of each classification, in their order: a classification that alerts share comes once."""
    alerts_by_classification: dict[Classification, list[Outgoing]] = {}
    for alert in alerts:
        if alert.classification is not None:
            alerts_by_classification.setdefault(capped(alert.classification), []).append(alert)
    return alerts_by_classification


def unexplained(alerts: Iterable[Outgoing]) -> list[str]:
    """Why alerts that should have a classification lack one, each reason once."""
    reasons = [alert.unenriched for alert in alerts if alert.classification is None and alert.unenriched]
    return list(dict.fromkeys(f"not classified: {clipped(reason, _LINE_CHARACTERS)}" for reason in reasons))


def by_words(classification: Classification) -> str:
    """Who classified: `by gpt-4`, `by rules`, `corrected by anna`."""
    if classification.source == "person":
        return f"corrected by {classification.model}"
    return f"by {classification.model}"


def sure_words(classification: Classification) -> str:
    """How bad the alert is, of what kind, and how sure who is: `warning · capacity · 92 % sure · by gpt-4`."""
    parts = [classification.severity, classification.category, _percent(classification), by_words(classification)]
    return " · ".join(filter(None, parts))


def plain_lines(classification: Classification) -> list[str]:
    """All that people want to read of a classification, a line each."""
    cause, advice = classification.probable_cause, classification.recommendations
    lines = [f"Classified: {sure_words(classification)}", classification.summary]
    lines += [f"Probable cause: {cause}"] if cause else []
    lines += ["Recommended:", *(f"• {text}" for text in advice)] if advice else []
    return [clipped(line, _LINE_CHARACTERS) for line in lines if line]


def plain_text(alerts: Sequence[Outgoing]) -> str:
    """The classifications of `alerts` as text, or why there are none; empty in the mode `transparent`."""
    classifications = explained(alerts)
    is_of_all = len(classifications) == 1 and not unexplained(alerts)
    parts = [
        "\n".join([*([] if is_of_all else [f"{name_words(those)}:"]), *plain_lines(classification)])
        for classification, those in classifications.items()
    ]
    return "\n\n".join([*parts, *unexplained(alerts)])


def fields(classification: Classification) -> dict[str, Any]:
    """A classification as names and values, for a vendor that shows such."""
    whole = capped(classification)
    pairs = {
        "severity": whole.severity,
        "confidence": round(whole.confidence, 2),
        "category": whole.category,
        "summary": whole.summary,
        "probable_cause": whole.probable_cause,
        "recommendations": list(whole.recommendations),
        "reasoning": whole.reasoning,
        "tags": list(whole.tags),
        "by": by_words(whole),
        "at": whole.at,
    }
    return {name: value for name, value in pairs.items() if value not in ("", [])}


def labels(alert: Outgoing) -> dict[str, str]:
    """An alert's classification as labels, but for names that are the alert's own."""
    if alert.classification is None:
        return {}
    whole = capped(alert.classification)
    made = {"classification_severity": whole.severity, "classification_category": whole.category}
    return {name: value for name, value in made.items() if value and name not in alert.labels}


def annotations(alert: Outgoing) -> dict[str, str]:
    """An alert's classification as annotations, or why it has none; but for names that are the alert's own."""
    made = _annotations(alert)
    return {name: value for name, value in made.items() if value and name not in alert.annotations}


def _annotations(alert: Outgoing) -> dict[str, str]:
    if alert.classification is None:
        return {"classification_missing": clipped(alert.unenriched or "", _LINE_CHARACTERS)}
    whole = capped(alert.classification)
    return {
        "classification_summary": whole.summary,
        "classification_probable_cause": whole.probable_cause,
        "classification_recommendations": "\n".join(f"{n}. {text}" for n, text in enumerate(whole.recommendations, 1)),
        "classification_confidence": f"{whole.confidence:.2f}",
        "classification_by": by_words(whole),
    }


def _percent(classification: Classification) -> str:
    return "" if classification.source == "person" else f"{classification.confidence:.0%} sure".replace("%", " %")
