"""Rows as domain values, and domain values as rows, for both databases.

A row of a session has attributes, with times and JSON converted. A row of a driver, which the recorder and the searches
read, has columns by name, with times as the database keeps them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from sys import intern
from typing import Any

import msgspec

from alert_history.domain.acts import is_act
from alert_history.domain.adopting import StoredOccurrence, stored_sighting
from alert_history.domain.alert import Refused, Silence
from alert_history.domain.change_text import end_reason
from alert_history.domain.classification import Verdict
from alert_history.domain.decision import Entry
from alert_history.domain.delivery import Leased
from alert_history.domain.importing_new import NewFiring
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.news import news_of, written_news
from alert_history.domain.notifying import AWAITED, NOT_IN_TIME
from alert_history.domain.occurrence import ENDINGS, About, Event, Occurrence, Sighting, number_of, occurrence_id
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.speaker import split_scope
from alert_history.domain.target import Outgoing, OutgoingAct
from alert_history.ids import new_id
from alert_history.ports import KeptVerdict, QuarantinedAlert, StoredAlert, StoredDelivery, StoredEvent, Unanswered
from alert_history.storage.shared.json_text import encode_json, json_or_none
from alert_history.storage.shared.reads import confirmed_of, ended_by_of, state_of
from alert_history.storage.shared.session import Row

_decode = msgspec.json.Decoder().decode
_decode_texts = msgspec.json.Decoder(dict[str, str]).decode

Stored = Callable[[datetime | None], Any]
"""Turns a time into the value that the database keeps."""


def time_of(value: Any) -> Any:
    """The time in a column of either database, or None."""
    return from_us(value) if isinstance(value, int) else value


def verdict_of(row: Row) -> KeptVerdict:
    """The verdict in a row of `classifications`."""
    return KeptVerdict(row.id, row.shape, row.fingerprint, row.verdict)


def classification_row(verdict: KeptVerdict) -> dict[str, Any]:
    """A row of `classifications`."""
    classification, usage = verdict.verdict.classification, verdict.verdict.usage
    return {
        "id": verdict.id,
        "shape": verdict.shape,
        "fingerprint": verdict.fingerprint,
        "at": classification.at,
        "source": classification.source,
        "model": classification.model,
        "severity": classification.severity,
        "tokens": usage.prompt_tokens + usage.completion_tokens,
        "cost_usd": usage.cost_usd,
        "verdict": verdict.verdict,
    }


def unanswered_of(row: Row) -> Unanswered:
    """A target that was notified without a classification; `labels` and `annotations` are those of the alert."""
    return Unanswered(row.fingerprint, row.starts_at, row.target, row.labels, row.annotations)


def news_rows(events: Sequence[Event]) -> list[tuple[int, bytes]]:
    """The row of `news_log`, without its id, for the events of a transaction; none without an event."""
    return [(len(events), written_news(news_of(events)))] if events else []


def alert_of(row: Any) -> StoredAlert:
    """The alert in a driver's row of `alerts`."""
    fingerprint, scope = split_scope(row["fingerprint"])
    return StoredAlert(
        id=occurrence_id(row["fingerprint"], microseconds_of(row["starts_at"])),
        fingerprint=fingerprint,
        alertname=row["alertname"],
        namespace=row["namespace"],
        severity=row["severity"],
        status=row["status"],
        labels=_decode_texts(row["labels"]),
        annotations=_decode_texts(row["annotations"]),
        starts_at=time_of(row["began_at"]) or time_of(row["starts_at"]),
        ends_at=time_of(row["ends_at"]),
        expires_at=time_of(row["expires_at"]),
        timestamp=time_of(row["timestamp"]),
        last_received_at=time_of(row["last_received_at"]),
        repeat_count=row["repeat_count"],
        generator_url=row["generator_url"],
        source=row["source"],
        receiver=row["receiver"],
        details=None if row["details"] is None else _decode(row["details"]),
        scope=scope,
        state=state_of(row["status"], row["unconfirmed"]),
        state_reason=row["unconfirmed"],
        ended_by=ended_by_of(row["status"], row["ended_by"]),
        confirmed_at=confirmed_of(row["status"], time_of(row["confirmed_at"]), time_of(row["last_received_at"])),
        imported_at=time_of(row["imported_at"]),
        import_id=row["import_id"],
    )


def event_of(row: Any) -> StoredEvent:
    """The event in a driver's row of `events`, with the columns of its receipt, if it has one."""
    return StoredEvent(
        kind=row["kind"],
        at=time_of(row["at"]),
        receipt_id=row["receipt_id"],
        source=row["source"],
        receiver=row["receiver"],
        detail=None if row["detail"] is None else _decode(row["detail"]),
        number=number_of(row["key"]),
        is_published=None if row["publish"] is None else bool(row["publish"]),
    )


def leased_of(row: Any, *, target: str) -> Leased:
    """A delivery for the worker that sends it, from the row of a lease on either database."""
    act = _act_of(row) if is_act(row["event"]) else None
    is_resolved = row["event"] in ENDINGS or (act is not None and row["alert_status"] == "resolved")
    fingerprint, scope = split_scope(row["fingerprint"])
    created_at = time_of(row["created_at"])
    alert = Outgoing(
        occurrence_id=occurrence_id(row["fingerprint"], microseconds_of(row["starts_at"])),
        fingerprint=fingerprint,
        status="resolved" if is_resolved else "firing",
        event=row["event"],
        labels=_decode(row["labels"] or "{}"),
        annotations=_decode(row["annotations"] or "{}"),
        starts_at=time_of(row["began_at"]) or time_of(row["starts_at"]),
        ends_at=time_of(row["ends_at"]) if is_resolved else None,
        at=created_at,
        generator_url=row["generator_url"] or "",
        receiver=row["receiver"] or "",
        group_key=row["group_key"] or "",
        external_url=row["external_url"] or "",
        details=_decode(row["details"] or "{}"),
        external_id=row["known_as"],
        scope=scope,
        confirmed_at=time_of(row["confirmed_at"]) if is_resolved else None,
        reason=end_reason(row["event"], row["reason"]),
        act=act,
        **_meaning(row["verdict"], row["enrichment"]),
    )
    until = time_of(row["lease_until"])
    return Leased(row["id"], target, row["attempts"], created_at, until, alert, bool(row["was_told"]))


def _act_of(row: Any) -> OutgoingAct:
    """The act of a leased delivery; without words where the act itself is gone."""
    at = row["created_at"] if row["act_at"] is None else row["act_at"]
    return OutgoingAct(row["act_by"] or "", row["act_text"] or "", time_of(at))


def _meaning(verdict: str | None, enrichment: str | None) -> dict[str, Any]:
    """The fields of `Outgoing` that the classification of a leased delivery fills."""
    if verdict is not None:
        return {"classification": msgspec.json.decode(verdict, type=Verdict).classification}
    if enrichment == AWAITED:
        return {"unenriched": NOT_IN_TIME}
    return {"unenriched": enrichment}


def delivery_of(row: Row) -> StoredDelivery:
    """The delivery in a row of `delivery_queue` or `deliveries`."""
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
        external_id=row.external_id,
    )


def quarantined_of(row: Row) -> QuarantinedAlert:
    """The refused alert in a row of `quarantine`."""
    return QuarantinedAlert(**row._asdict() | {"raw": row.raw.decode("utf-8", "replace")})


def microseconds_of(time: Any) -> int:
    """The time in a column of either database, as microseconds."""
    return time if isinstance(time, int) else to_us(time)


def occurrence_of(row: Any) -> Occurrence:
    """An occurrence from a driver's row of `alerts`."""
    return Occurrence(
        status=row["status"],
        content_hash=row["content_hash"],
        annotations=_decode_texts(row["annotations"]),
        ends_at=time_of(row["ends_at"]),
        expires_at=time_of(row["expires_at"]),
        last_received_at=time_of(row["last_received_at"]),
        repeat_count=row["repeat_count"],
        event_count=row["event_count"],
        began_at=time_of(row["began_at"]),
        ended_by=row["ended_by"],
        confirmed_at=time_of(row["confirmed_at"]),
        unconfirmed=row["unconfirmed"],
        is_published=bool(row["is_published"]),
        claim=row["claim"] or 0,
        receiver=row["receiver"],
        generator_url=row["generator_url"],
        about=_about_of(row),
    )


def _about_of(row: Any) -> About | None:
    """What an occurrence is counted by; None of one that is known as a double, which does not count."""
    if row["joined_into"] is not None:
        return None
    alertname, severity, namespace = intern(row["alertname"]), intern(row["severity"]), intern(row["namespace"])
    return About(alertname, severity, namespace, row["source"], microseconds_of(row["timestamp"]))


def first_sighting(row: Any, *, received_at: datetime) -> Sighting:
    """The first sighting of an occurrence, from a driver's whole row of `alerts`."""
    return _sighting_of(row, occurrence_of(row), received_at=received_at)


def _sighting_of(row: Any, occurrence: Occurrence, *, received_at: datetime) -> Sighting:
    return stored_sighting(
        row["fingerprint"],
        time_of(row["starts_at"]),
        labels=_decode_texts(row["labels"]),
        occurrence=occurrence,
        generator_url=row["generator_url"],
        source=row["source"],
        received_at=received_at,
    )


def known_of(row: Any, *, notified: list[str]) -> StoredOccurrence:
    """An occurrence and its notified targets, from a driver's whole row of `alerts`."""
    occurrence = occurrence_of(row)
    first = _sighting_of(row, occurrence, received_at=time_of(row["timestamp"]))
    return StoredOccurrence(microseconds_of(row["starts_at"]), occurrence, first, notified)


def alert_row(sighting: Sighting, entry: Entry, *, stored: Stored) -> tuple[Any, ...]:
    """A row of `alerts`; `sighting` began the occurrence. A later release may add columns behind these."""
    now = entry.occurrence
    alert, labels = sighting.alert, sighting.alert.labels
    annotations = (
        sighting.annotations_json if now.content_hash == sighting.content_hash else encode_json(now.annotations)
    )
    return (
        alert.fingerprint,
        stored(entry.starts_at),
        stored(sighting.received_at),
        labels.get("alertname", ""),
        labels.get("namespace", ""),
        labels.get("severity", ""),
        now.status,
        encode_json(labels).decode(),
        annotations.decode(),
        stored(now.ends_at),
        stored(now.expires_at),
        stored(now.last_received_at),
        now.repeat_count,
        now.event_count,
        now.content_hash,
        now.generator_url,
        sighting.source,
        now.receiver,
        json_or_none(alert.details),
        now.is_published,
        stored(now.began_at),
        now.ended_by,
        stored(now.confirmed_at),
        now.unconfirmed,
        now.claim,
    )


def new_alert_row(
    new: NewFiring, start: Any, end: Any, confirmed: Any, imported: Any, import_id: str
) -> tuple[Any, ...]:
    """A row of `alerts` for a firing that an import brings in, with the columns of the import; times as kept."""
    about = new.about
    return (
        new.fingerprint,
        start,
        start,
        about.alertname,
        about.namespace,
        about.severity,
        "resolved",
        new.labels,
        new.annotations,
        end,
        None,
        end,
        new.repeats,
        2,
        new.content_hash,
        new.generator_url,
        about.source,
        new.receiver,
        json_or_none(new.details),
        False,
        None,
        new.ended_by,
        confirmed,
        None,
        0,
        imported,
        import_id,
    )


def occurrence_values(now: Occurrence, *, stored: Stored) -> tuple[Any, ...]:
    """The columns of `alerts` that change with an occurrence, in the order of the statements that update them."""
    return (
        now.status,
        now.content_hash,
        encode_json(now.annotations).decode(),
        stored(now.ends_at),
        stored(now.expires_at),
        stored(now.last_received_at),
        now.repeat_count,
        now.event_count,
        now.is_published,
        stored(now.began_at),
        now.ended_by,
        stored(now.confirmed_at),
        now.unconfirmed,
        now.claim,
        now.receiver,
        now.generator_url,
    )


def receipt_row(receipt: Receipt, outcome: Outcome, *, stored: Stored) -> tuple[Any, ...]:
    """A row of `receipts`."""
    group = receipt.group
    return (
        receipt.id,
        stored(receipt.received_at),
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


def quarantine_row(receipt: Receipt, refused: Refused, *, stored: Stored) -> tuple[Any, ...]:
    """A row of `quarantine`."""
    return (
        new_id(receipt.received_at),
        stored(receipt.received_at),
        receipt.id,
        refused.position,
        refused.reason,
        receipt.group.source,
        receipt.group.receiver,
        refused.raw,
    )


def silence_row(silence: Silence, *, stored: Stored) -> tuple[Any, ...]:
    """A row of `silences`."""
    return (
        silence.id,
        encode_json(silence.matchers).decode(),
        stored(silence.starts_at),
        stored(silence.ends_at),
        stored(silence.updated_at),
        silence.created_by,
        silence.comment,
    )
