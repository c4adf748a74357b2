"""PostgreSQL: domain values as rows, and back."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from alert_history.domain.alert import Refused, Silence
from alert_history.domain.occurrence import Event, Occurrence, Sighting
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.storage import postgres_statements as sql
from alert_history.storage.batch import Decision, Enqueued, Key, encode_json, json_or_none, new_id
from alert_history.storage.postgres_dialer import Connection


def read_occurrence(row: Any) -> Occurrence:
    """An occurrence from a row of LOCK_ALERTS."""
    return Occurrence(
        status=row["status"],
        content_hash=row["content_hash"],
        annotations=msgspec.json.decode(row["annotations"], type=dict[str, str]),
        ends_at=row["ends_at"],
        expires_at=row["expires_at"],
        last_received_at=row["last_received_at"],
        repeat_count=row["repeat_count"],
        event_count=row["event_count"],
        generator_url=row["generator_url"],
        is_published=row["is_published"],
    )


async def update_occurrences(connection: Connection, occurrences: dict[Key, Occurrence]) -> None:
    """Write decided occurrences back."""
    if not occurrences:
        return
    rows = [
        (
            *key,
            now.status,
            now.content_hash,
            encode_json(now.annotations).decode(),
            now.ends_at,
            now.expires_at,
            now.last_received_at,
            now.repeat_count,
            now.event_count,
            now.generator_url,
            now.is_published,
        )
        for key, now in occurrences.items()
    ]
    await connection.execute(sql.UPDATE_ALERTS, *zip(*rows, strict=True))


async def told_targets(connection: Connection, keys: Sequence[Key]) -> dict[Key, list[str]]:
    """The targets that have deliveries of each of these occurrences, whatever became of them."""
    told: dict[Key, list[str]] = {key: [] for key in keys}
    if keys:
        for fingerprint, starts_at, target in await connection.fetch(sql.TOLD_TARGETS, *zip(*keys, strict=True)):
            told[fingerprint, starts_at].append(target)
    return told


def event_row(event: Event) -> tuple[Any, ...]:
    """A row of `postgres_statements.EVENT_COLUMNS`."""
    return (
        event.fingerprint,
        event.starts_at,
        event.key,
        event.kind,
        event.at,
        event.receipt_id,
        json_or_none(event.detail),
    )


def alert_row(decision: Decision) -> tuple[Any, ...]:
    """A row of `postgres_statements.ALERT_COLUMNS`."""
    sighting, now = decision.first, decision.occurrence
    alert = sighting.alert
    labels = alert.labels
    annotations = (
        sighting.annotations_json if now.content_hash == sighting.content_hash else encode_json(now.annotations)
    )
    return (
        alert.fingerprint,
        alert.starts_at,
        sighting.received_at,
        labels.get("alertname", ""),
        labels.get("namespace", ""),
        labels.get("severity", ""),
        now.status,
        encode_json(labels).decode(),
        annotations.decode(),
        now.ends_at,
        now.expires_at,
        now.last_received_at,
        now.repeat_count,
        now.event_count,
        now.content_hash,
        now.generator_url,
        sighting.source,
        sighting.receiver,
        json_or_none(alert.details),
        now.is_published,
    )


def queue_row(enqueued: Enqueued) -> tuple[Any, ...]:
    """A row of `postgres_statements.QUEUE_COLUMNS`."""
    event = enqueued.event
    return (
        enqueued.id,
        event.fingerprint,
        event.starts_at,
        enqueued.target,
        event.key,
        event.kind,
        event.receipt_id,
        "pending",
        event.at,
        enqueued.due_at or event.at,
        enqueued.shape,
        enqueued.enrichment,
    )


def repeat_row(key: Key, sightings: Sequence[Sighting]) -> tuple[Any, ...]:
    """A row for COUNT_REPEATS: sightings of one occurrence that all say the same."""
    last = sightings[-1]
    expires_at = next((s.alert.expires_at for s in reversed(sightings) if s.alert.expires_at), None)
    received_at = max(s.received_at for s in sightings)
    is_to_publish = any(s.is_to_publish for s in sightings)
    return (*key, last.alert.status, last.content_hash, received_at, expires_at, len(sightings), is_to_publish)


def receipt_row(receipt: Receipt, outcome: Outcome) -> tuple[Any, ...]:
    """A row of `postgres_statements.RECEIPT_COLUMNS`."""
    group = receipt.group
    return (
        receipt.id,
        receipt.received_at,
        receipt.path,
        receipt.publish,
        group.source,
        group.receiver,
        group.group_key,
        group.external_url,
        outcome.received,
        outcome.quarantined,
        group.truncated_alerts,
        encode_json(group.details).decode(),
        receipt.body_sha256,
        len(receipt.body),
    )


def quarantine_row(receipt: Receipt, refused: Refused) -> tuple[Any, ...]:
    """A row of `postgres_statements.QUARANTINE_COLUMNS`."""
    return (
        new_id(receipt.received_at),
        receipt.received_at,
        receipt.id,
        refused.position,
        refused.reason,
        receipt.group.source,
        receipt.group.receiver,
        refused.raw,
    )


def silence_row(silence: Silence) -> tuple[Any, ...]:
    """A row of `postgres_statements.SILENCE_COLUMNS`."""
    return (
        silence.id,
        encode_json(silence.matchers).decode(),
        silence.starts_at,
        silence.ends_at,
        silence.updated_at,
        silence.created_by,
        silence.comment,
    )


async def copy(connection: Connection, table: str, rows: Iterable[tuple[Any, ...]], *, columns: Iterable[str]) -> None:
    """Add rows by COPY. Raises asyncpg.UniqueViolationError, and then nothing of them is there."""
    await connection.copy_records_to_table(table, records=rows, columns=list(columns))
