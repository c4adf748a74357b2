"""PostgreSQL: domain values as rows, and back."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from alert_history.domain.claim import shortest_wait_us
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.notifying import Enqueued
from alert_history.domain.occurrence import ENDINGS, Event, Key, Occurrence, Sighting
from alert_history.domain.standing import Standing, closed_us
from alert_history.ids import new_id
from alert_history.storage.postgres import statements as sql
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.shared import rows as rows_of
from alert_history.storage.shared.foreseen import Seen
from alert_history.storage.shared.json_text import json_or_none
from alert_history.storage.shared.standing_text import standing_json


def _same(time: datetime | None) -> datetime | None:
    """A time itself, which the driver takes."""
    return time


alert_row = partial(rows_of.alert_row, stored=_same)
"""Makes a row of `statements.ALERT_COLUMNS`."""

receipt_row = partial(rows_of.receipt_row, stored=_same)
"""Makes a row of `statements.RECEIPT_COLUMNS`."""

quarantine_row = partial(rows_of.quarantine_row, stored=_same)
"""Makes a row of `statements.QUARANTINE_COLUMNS`."""

silence_row = partial(rows_of.silence_row, stored=_same)
"""Makes a row of `statements.SILENCE_COLUMNS`."""


async def update_occurrences(connection: Connection, occurrences: dict[Key, Occurrence]) -> None:
    """Write decided occurrences back."""
    if not occurrences:
        return
    rows = [(*key, *rows_of.occurrence_values(now, stored=_same)) for key, now in occurrences.items()]
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


def queue_row(enqueued: Enqueued) -> tuple[Any, ...]:
    """A row of `statements.QUEUE_COLUMNS`.

    An end of any kind waits as `resolved`, because a pod of an older release may deliver it, and knows no other name.
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


def repeat_row(seen: Seen, sightings: Sequence[Sighting]) -> tuple[Any, ...]:
    """A row for COUNT_REPEATS, from equal sightings of what was seen."""
    last = sightings[-1]
    word = last.word
    received_at = max(sighting.received_at for sighting in sightings)
    return (
        last.alert.fingerprint,
        seen.starts_at,
        last.alert.status,
        last.claim,
        last.content_hash,
        received_at,
        None if word.until_us is None else from_us(word.until_us),
        len(sightings),
        word.is_firing and word.is_to_publish,
        from_us(to_us(received_at) - shortest_wait_us(word)),
        seen.receiver,
    )


async def copy(connection: Connection, table: str, rows: Iterable[tuple[Any, ...]], *, columns: Iterable[str]) -> None:
    """Add rows by COPY. Raises asyncpg.UniqueViolationError, and then adds no row."""
    await connection.copy_records_to_table(table, records=rows, columns=list(columns))
