"""What an alert of Opsgenie is as past firings: its time, its end, its repeats, and what people did about it. Pure."""

from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from alert_history.domain.acts import MAX_BY_CHARACTERS, MAX_TEXT_CHARACTERS, ActKind, clean
from alert_history.domain.past_firing import PastAct, PastFiring
from alert_history.domain.standing import EndedBy
from alert_history.origins.imports.opsgenie_labels import LabelSet, label_sets, receiver_of
from alert_history.origins.imports.opsgenie_wire import Alert, Note, read_time

_ACKNOWLEDGED = ("alert acknowledged", "acknowledged")
_UNACKNOWLEDGED = ("alert unacknowledged", "alert un-acknowledged", "unacknowledged")
_CLOSED = ("alert closed", "closed")


def firings_of(alert: Alert, *, place: str) -> list[PastFiring]:
    """The firings of an alert: one for each label set. Raises: BadAlert."""
    labels_from, sets = label_sets(alert)
    starts_at = alert.starts_at
    ends_at, ended_by = _end(alert, starts_at)
    details = _details(alert) | {"labelsFrom": labels_from}
    acts = list(_acts(alert))
    return [
        PastFiring(
            labels=each.labels,
            starts_at=starts_at,
            ends_at=ends_at,
            last_seen_at=None if ends_at else read_time(alert.last_occurred_at, of="lastOccurredAt") or starts_at,
            ended_by=ended_by,
            annotations=each.annotations,
            generator_url=each.generator_url,
            receiver=receiver_of(alert),
            repeats=max((alert.count or 1) - 1, 0),
            details=details,
            acts=tuple(_act(alert, each, did=did) for did in acts),
            place=place,
        )
        for each in sets
    ]


def _end(alert: Alert, starts_at: datetime) -> tuple[datetime | None, EndedBy]:
    """When it was closed. Where only its status tells, it ended when it last changed."""
    if not alert.is_closed:
        return None, "resolved"
    report = alert.report
    if report is not None and report.close_time is not None:
        return max(alert.after(report.close_time), starts_at), "resolved"
    closes = [read_time(entry.created_at, of="createdAt") for entry in alert.logs or () if _kind(entry) == "resolved"]
    closed_at = read_time(alert.closed_at, of="closedAt") or max((time for time in closes if time), default=None)
    if closed_at is not None:
        return max(closed_at, starts_at), "resolved"
    last = read_time(alert.updated_at, of="updatedAt") or read_time(alert.last_occurred_at, of="lastOccurredAt")
    return max(last or starts_at, starts_at), "inferred"


def _details(alert: Alert) -> dict[str, Any]:
    """What is kept of Opsgenie's own, under its names."""
    integration = alert.integration
    texts = {
        "id": alert.id,
        "tinyId": alert.tiny_id,
        "alias": alert.alias,
        "message": alert.message,
        "priority": alert.priority,
        "owner": alert.owner,
        "source": alert.source,
        "integration": (integration.name or integration.type) if integration else None,
    }
    return {name: text for name, text in texts.items() if text}


Did = tuple[ActKind, datetime, str, str]
"""What was done, when, by whom, and the text."""


def _acts(alert: Alert) -> Iterator[Did]:
    """What people did: the log's entries, the report where the log has none, and the notes. Raises: BadAlert.

    A close counts where a person closed it: Opsgenie names people by their e-mail address, and integrations otherwise.
    """
    logged = list(_logged(alert))
    yield from logged
    kinds = {kind for kind, *_ in logged}
    yield from (did for did in _reported(alert) if did[0] not in kinds)
    for note in alert.notes or ():
        at = read_time(note.created_at, of="createdAt")
        if at is not None and note.text.strip():
            yield "noted", at, note.owner or "", note.text


def _reported(alert: Alert) -> Iterator[Did]:
    report = alert.report
    if report is None:
        return
    if report.acknowledged_by and report.ack_time is not None:
        yield "acknowledged", alert.after(report.ack_time), report.acknowledged_by, ""
    if report.closed_by and "@" in report.closed_by and report.close_time is not None:
        yield "resolved", alert.after(report.close_time), report.closed_by, ""


def _logged(alert: Alert) -> Iterator[Did]:
    for entry in alert.logs or ():
        kind, at = _kind(entry), read_time(entry.created_at, of="createdAt")
        if kind is None or at is None or (kind == "resolved" and "@" not in (entry.owner or "")):
            continue
        yield kind, at, entry.owner or "", ""


def _kind(entry: Note) -> ActKind | None:
    """What an entry of the log says that somebody did; None for all other entries."""
    text = entry.text.strip().lower()
    if text.startswith(_UNACKNOWLEDGED):
        return "unacknowledged"
    if text.startswith(_ACKNOWLEDGED):
        return "acknowledged"
    return "resolved" if text.startswith(_CLOSED) else None


def _act(alert: Alert, firing: LabelSet, *, did: Did) -> PastAct:
    """One act at one firing. Its id is the same however often, and from wherever, it is read."""
    kind, at, by, text = did
    name = msgspec.json.encode([alert.id, sorted(firing.labels.items()), kind, at, by, text])
    return PastAct(
        id=blake2b(name, digest_size=16).hexdigest(),
        kind=kind,
        at=at,
        by=clean(by, max_characters=MAX_BY_CHARACTERS) or "unknown",
        text=clean(text, max_characters=MAX_TEXT_CHARACTERS),
    )
