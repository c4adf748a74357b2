"""Rows as domain values, and domain values as rows: alike on both databases, whose sessions convert times and JSON.

The recorder's rows, which are written by the thousand a second, stand beside the statements that write them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.change_text import end_reason
from alert_history.domain.delivery import Leased
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import ENDINGS, occurrence_id
from alert_history.domain.speaker import split_scope
from alert_history.domain.target import Outgoing
from alert_history.ports import KeptVerdict, StoredDelivery, Unanswered
from alert_history.storage.shared.batch import meaning
from alert_history.storage.shared.session import Row

_decode = msgspec.json.decode


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


def leased_of(row: Mapping[str, Any], *, target: str, until: datetime) -> Leased:
    """A delivery as its sender takes it, from a row of each database's own lease, its times aware."""
    is_resolved = row["event"] in ENDINGS
    fingerprint, scope = split_scope(row["fingerprint"])
    alert = Outgoing(
        occurrence_id=occurrence_id(row["fingerprint"], to_us(row["starts_at"])),
        fingerprint=fingerprint,
        status="resolved" if is_resolved else "firing",
        event=row["event"],
        labels=_decode(row["labels"] or "{}"),
        annotations=_decode(row["annotations"] or "{}"),
        starts_at=row["began_at"] or row["starts_at"],
        ends_at=row["ends_at"] if is_resolved else None,
        at=row["created_at"],
        generator_url=row["generator_url"] or "",
        receiver=row["receiver"] or "",
        group_key=row["group_key"] or "",
        external_url=row["external_url"] or "",
        details=_decode(row["details"] or "{}"),
        external_id=row["known_as"],
        scope=scope,
        confirmed_at=row["confirmed_at"] if is_resolved else None,
        reason=end_reason(row["event"], row["reason"]),
        **meaning(row["verdict"], row["enrichment"]),
    )
    return Leased(row["id"], target, row["attempts"], row["created_at"], until, alert, bool(row["was_told"]))


def delivery_of(row: Row) -> StoredDelivery:
    """A row of `delivery_queue` or `deliveries`."""
    return StoredDelivery(
        id=row.id,
        occurrence_id=occurrence_id(row.fingerprint, to_us(row.starts_at)),
        fingerprint=split_scope(row.fingerprint)[0],
        target=row.target,
        event=row.event,
        state=row.state,
        created_at=row.created_at,
        due_at=row.due_at if row.state in {"pending", "leased"} else None,
        settled_at=row.settled_at,
        attempts=row.attempts,
        log=row.log,
        event_number=row.event_key,
        shape=row.shape,
        enrichment=row.enrichment,
    )
