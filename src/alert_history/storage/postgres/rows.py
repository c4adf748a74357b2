"""PostgreSQL: domain values as rows, and back."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.adopting import StoredOccurrence, stored_sighting
from alert_history.domain.alert import Refused, Silence
from alert_history.domain.claim import shortest_wait_us
from alert_history.domain.decision import Entry
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.notifying import Enqueued
from alert_history.domain.occurrence import ENDINGS, Event, Key, Occurrence, Sighting
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.standing import Standing, closed_us
from alert_history.storage.postgres import statements as sql
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.shared.ids import new_id
from alert_history.storage.shared.json_text import encode_json, json_or_none
from alert_history.storage.shared.standing_text import standing_json


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
        began_at=row["began_at"],
        ended_by=row["ended_by"],
        confirmed_at=row["confirmed_at"],
        unconfirmed=row["unconfirmed"],
        is_published=row["is_published"],
        claim=row["claim"] or 0,
        receiver=row["receiver"],
        generator_url=row["generator_url"],
    )


def first_sighting(row: Any, *, received_at: datetime) -> Sighting:
    """What was first said of an occurrence, as a sighting, from a whole row of `alerts`."""
    return stored_sighting(
        row["fingerprint"],
        row["starts_at"],
        labels=msgspec.json.decode(row["labels"], type=dict[str, str]),
        occurrence=read_occurrence(row),
        generator_url=row["generator_url"],
        source=row["source"],
        received_at=received_at,
    )


def read_kept(row: Any, *, notified: list[str]) -> StoredOccurrence:
    """An occurrence from a whole row of `alerts`."""
    first = first_sighting(row, received_at=row["timestamp"])
    return StoredOccurrence(to_us(row["starts_at"]), read_occurrence(row), first, notified)


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
            now.is_published,
            now.began_at,
            now.ended_by,
            now.confirmed_at,
            now.unconfirmed,
            now.claim,
            now.receiver,
            now.generator_url,
        )
        for key, now in occurrences.items()
    ]
    await connection.execute(sql.UPDATE_ALERTS, *zip(*rows, strict=True))


def event_row(event: Event) -> tuple[Any, ...]:
    """A row of `statements.EVENT_COLUMNS`."""
    return (
        event.fingerprint,
        event.starts_at,
        event.key,
        event.kind,
        event.at,
        event.receipt_id,
        json_or_none(event.detail),
    )


def standing_row(fingerprint: str, standing: Standing) -> tuple[Any, ...]:
    """A row of `statements.STANDING_COLUMNS`."""
    closed, conflict = closed_us(standing), standing.conflict_us
    return (
        fingerprint,
        standing_json(standing),
        None if closed is None else from_us(closed),
        None if conflict is None else from_us(conflict),
    )


def alert_row(sighting: Sighting, entry: Entry) -> tuple[Any, ...]:
    """A row of `statements.ALERT_COLUMNS`; `sighting` began it."""
    now = entry.occurrence
    alert = sighting.alert
    labels = alert.labels
    annotations = (
        sighting.annotations_json if now.content_hash == sighting.content_hash else encode_json(now.annotations)
    )
    return (
        alert.fingerprint,
        entry.starts_at,
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
        now.receiver,
        json_or_none(alert.details),
        now.is_published,
        now.began_at,
        now.ended_by,
        now.confirmed_at,
        now.unconfirmed,
        now.claim,
    )


def queue_row(enqueued: Enqueued) -> tuple[Any, ...]:
    """A row of `statements.QUEUE_COLUMNS`.

    Whatever ended it, an end waits as `resolved`: a pod of the release before may deliver it, and knows no other.
    """
    event = enqueued.event
    return (
        new_id(event.at),
        event.fingerprint,
        event.starts_at,
        enqueued.target,
        event.key,
        "resolved" if event.kind in ENDINGS else event.kind,
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
    word = last.word
    received_at = max(sighting.received_at for sighting in sightings)
    return (
        *key,
        last.alert.status,
        last.claim,
        last.content_hash,
        received_at,
        None if word.until_us is None else from_us(word.until_us),
        len(sightings),
        word.is_firing and word.is_to_publish,
        from_us(to_us(received_at) - shortest_wait_us(word)),
    )


def receipt_row(receipt: Receipt, outcome: Outcome) -> tuple[Any, ...]:
    """A row of `statements.RECEIPT_COLUMNS`."""
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
    """A row of `statements.QUARANTINE_COLUMNS`."""
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
    """A row of `statements.SILENCE_COLUMNS`."""
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
