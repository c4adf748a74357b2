"""Rows as domain values, and domain values as rows: alike on both databases, whose sessions convert times and JSON.

The recorder's rows, which are written by the thousand a second, stand beside the statements that write them.
"""

from typing import Any

from alert_history.ports import KeptVerdict, Unanswered
from alert_history.storage.shared.session import Row


def kept_of(row: Row) -> KeptVerdict:
    """What a row of `classifications` says."""
    return KeptVerdict(row.id, row.shape, row.fingerprint, row.verdict)


def classification_row(kept: KeptVerdict) -> dict[str, Any]:
    """A row of `classifications`."""
    classification, usage = kept.verdict.classification, kept.verdict.usage
    return {
        "id": kept.id,
        "shape": kept.shape,
        "fingerprint": kept.fingerprint,
        "at": classification.at,
        "source": classification.source,
        "model": classification.model,
        "severity": classification.severity,
        "tokens": usage.prompt_tokens + usage.completion_tokens,
        "cost_usd": usage.cost_usd,
        "verdict": kept.verdict,
    }


def unanswered_of(row: Row) -> Unanswered:
    """A target that knows of an alert and not what it means; `labels` and `annotations` are the alert's."""
    return Unanswered(row.fingerprint, row.starts_at, row.target, row.labels, row.annotations)
