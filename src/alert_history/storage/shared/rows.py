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
from alert_history.domain.occurrence import ENDINGS, number_of, occurrence_id
from alert_history.domain.speaker import split_scope
from alert_history.domain.target import Outgoing
from alert_history.ports import KeptVerdict, QuarantinedAlert, StoredAlert, StoredDelivery, StoredEvent, Unanswered
from alert_history.storage.shared.batch import meaning
from alert_history.storage.shared.reads import confirmed_of, ended_by_of, state_of
from alert_history.storage.shared.session import Row

_decode = msgspec.json.Decoder().decode
_decode_texts = msgspec.json.Decoder(dict[str, str]).decode


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


def alert_of(row: Mapping[str, Any]) -> StoredAlert:
    """A row of `alerts`, its times aware, its JSON as text."""
    fingerprint, scope = split_scope(row["fingerprint"])
    return StoredAlert(
        id=occurrence_id(row["fingerprint"], to_us(row["starts_at"])),
        fingerprint=fingerprint,
        alertname=row["alertname"],
        namespace=row["namespace"],
        severity=row["severity"],
        status=row["status"],
        labels=_decode_texts(row["labels"]),
        annotations=_decode_texts(row["annotations"]),
        starts_at=row["began_at"] or row["starts_at"],
        ends_at=row["ends_at"],
        expires_at=row["expires_at"],
        timestamp=row["timestamp"],
        last_received_at=row["last_received_at"],
        repeat_count=row["repeat_count"],
        generator_url=row["generator_url"],
        source=row["source"],
        receiver=row["receiver"],
        details=None if row["details"] is None else _decode(row["details"]),
        scope=scope,
        state=state_of(row["status"], row["unconfirmed"]),
        state_reason=row["unconfirmed"],
        ended_by=ended_by_of(row["status"], row["ended_by"]),
        confirmed_at=confirmed_of(row["status"], row["confirmed_at"], row["last_received_at"]),
    )


def event_of(row: Mapping[str, Any]) -> StoredEvent:
    """An event with its receipt, if one brought it; its time aware, its detail as text."""
    return StoredEvent(
        kind=row["kind"],
        at=row["at"],
        receipt_id=row["receipt_id"],
        source=row["source"],
        receiver=row["receiver"],
        detail=None if row["detail"] is None else _decode(row["detail"]),
        number=number_of(row["key"]),
        is_published=None if row["publish"] is None else bool(row["publish"]),
    )


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


def quarantined_of(row: Row) -> QuarantinedAlert:
    """A row of `quarantine`."""
    return QuarantinedAlert(**row._asdict() | {"raw": row.raw.decode("utf-8", "replace")})  # public there
