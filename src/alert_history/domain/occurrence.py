"""An occurrence: one firing of one alert, and the rule by which a new sighting changes it.

Holds the decision every store takes for every alert it is given. Must not know how a store keeps it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from alert_history.domain.alert import Alert, Note, Source, Status

EventKind = Literal[
    "fired",
    "resolved",
    "refired",
    "published",
    "annotations_changed",
    "expired",
    "silenced",
    "unsilenced",
    "inhibited",
    "notified",
    "grouped",
    "classified",
]

Audience = Literal["nobody", "routed", "told_before"]
"""Whom an event is news for: nobody, whom the routes choose, or whoever was told of the occurrence before."""

_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_CONTENT_KEY_BIT = 1 << 62  # keys of notes lie above it, those of state changes (1, 2, 3, …) below


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """One alert of one accepted request; `content_hash` and `annotations_json` are of its annotations, keys sorted.

    `is_to_publish`: the request asked for its alerts to be passed on, not only kept.
    """

    alert: Alert
    content_hash: int
    annotations_json: bytes
    source: Source
    receiver: str
    receipt_id: str
    received_at: datetime
    is_to_publish: bool


class Occurrence(msgspec.Struct, gc=False):
    """What is decided about one occurrence. A store keeps it beside what the first sighting said of it.

    `event_count` is the key of its newest state change; `repeat_count` counts sightings that changed nothing.
    `is_published`: since it last began to fire, a firing sighting came that was to be published.
    """

    status: Status
    content_hash: int
    annotations: dict[str, str]
    ends_at: datetime | None
    expires_at: datetime | None
    last_received_at: datetime
    repeat_count: int
    event_count: int
    generator_url: str
    is_published: bool


class Event(msgspec.Struct, frozen=True, gc=False):
    """An immutable change. Its `key` in the occurrence is 1, 2, 3, … for state changes, a content hash for notes.

    Its `audience` is not kept: who is told is decided with it.
    """

    fingerprint: str
    starts_at: datetime
    key: int
    kind: EventKind
    at: datetime
    receipt_id: str | None
    detail: dict[str, Any] | None = None
    audience: Audience = "nobody"


def sight(
    alert: Alert, *, source: Source, receiver: str, receipt_id: str, received_at: datetime, is_to_publish: bool
) -> Sighting:
    """An alert as it stands in an accepted request, with its content hashed once."""
    content = _encode_sorted(alert.annotations)
    return Sighting(alert, content_hash(content), content, source, receiver, receipt_id, received_at, is_to_publish)


def content_hash(content: bytes) -> int:
    """A signed 64-bit hash, the same on every machine and in every release."""
    return int.from_bytes(blake2b(content, digest_size=8).digest(), signed=True)


def is_plain_repeat(occurrence: Occurrence, sighting: Sighting) -> bool:
    """Whether it says nothing new: then only `last_received_at`, `repeat_count` and `expires_at` move.

    The first firing sighting that is to be published is news, if only to the targets. The stores' fast path states
    the same rule in SQL; the conformance suite holds the two together.
    """
    status = sighting.alert.status
    if occurrence.status != status or occurrence.content_hash != sighting.content_hash:
        return False
    return status == "resolved" or occurrence.is_published or not sighting.is_to_publish


def first(sighting: Sighting) -> tuple[Occurrence, Event]:
    """An occurrence nobody knew, and the event that tells of it: `fired`, or `resolved` if its start was missed."""
    alert = sighting.alert
    occurrence = Occurrence(
        status=alert.status,
        content_hash=sighting.content_hash,
        annotations=alert.annotations,
        ends_at=alert.ends_at,
        expires_at=alert.expires_at,
        last_received_at=sighting.received_at,
        repeat_count=0,
        event_count=1,
        generator_url=alert.generator_url,
        is_published=sighting.is_to_publish and alert.status == "firing",
    )
    kind: EventKind = "fired" if alert.status == "firing" else "resolved"
    return occurrence, _event(sighting, key=1, kind=kind, audience="routed" if sighting.is_to_publish else "nobody")


def advance(occurrence: Occurrence, sighting: Sighting) -> Event | None:
    """Move a known occurrence by one sighting; the event that makes, or None for a plain repeat.

    A firing after a resolve is `refired`: Alertmanager sends the same `startsAt` again when an alert that
    timed out comes back. The first `ends_at` of a resolve stands; peers of a cluster differ by milliseconds.
    A firing that was only recorded so far is `published` by the first sighting that is to be published.
    """
    alert = sighting.alert
    occurrence.last_received_at = max(occurrence.last_received_at, sighting.received_at)
    if is_plain_repeat(occurrence, sighting):
        occurrence.repeat_count += 1
        occurrence.expires_at = alert.expires_at or occurrence.expires_at
        return None
    kind, detail = _change(occurrence, sighting)
    audience = _audience(occurrence, sighting, kind)
    if alert.status == "firing":
        occurrence.is_published = sighting.is_to_publish or (occurrence.is_published and kind != "refired")
    if occurrence.status != alert.status or alert.status == "firing":
        occurrence.ends_at = alert.ends_at
    occurrence.status = alert.status
    occurrence.expires_at = alert.expires_at
    occurrence.content_hash = sighting.content_hash
    occurrence.annotations = alert.annotations
    occurrence.generator_url = occurrence.generator_url or alert.generator_url
    occurrence.event_count += 1
    return _event(sighting, key=occurrence.event_count, kind=kind, detail=detail, audience=audience)


def follow(occurrence: Occurrence | None, sightings: Sequence[Sighting]) -> tuple[Occurrence, list[Event]]:
    """Take sightings of one occurrence in the order they came; where it stands after them, and the events they made."""
    events = []
    rest: Iterable[Sighting] = sightings
    if occurrence is None:
        occurrence, event = first(sightings[0])
        events.append(event)
        rest = sightings[1:]
    for sighting in rest:
        made = advance(occurrence, sighting)
        if made is not None:
            events.append(made)
    return occurrence, events


def expire(occurrence: Occurrence, *, fingerprint: str, starts_at: datetime, now: datetime) -> Event:
    """End a firing occurrence whose sender stopped refreshing it, at the time it had promised to."""
    lapsed_at = occurrence.expires_at or now
    occurrence.status = "resolved"
    occurrence.ends_at = lapsed_at
    occurrence.expires_at = None
    occurrence.event_count += 1
    detail = {"ends_at": lapsed_at.isoformat()}
    audience: Audience = "told_before" if occurrence.is_published else "nobody"
    return Event(fingerprint, starts_at, occurrence.event_count, "expired", now, None, detail, audience)


def note_event(note: Note, *, starts_at: datetime, receipt_id: str) -> Event:
    """A note as an event of one occurrence; the same note again has the same key, so it is stored once.

    Alertmanager says at every evaluation, and each of its peers, that an alert is still muted by the same
    silence or the same inhibition: that is one event, when it began.
    """
    is_lasting = note.kind in {"silenced", "inhibited"}
    said = _encode_sorted([note.kind, note.detail] if is_lasting else [note.kind, note.detail, note.at, note.instance])
    key = note_key(said)
    detail = {"instance": note.instance, **note.detail}
    return Event(note.fingerprint, starts_at, key, note.kind, note.at, receipt_id, detail)


def note_key(said: bytes) -> int:
    """The key of a note in its occurrence: the same content has the same, and it is above those of state changes."""
    return (content_hash(said) & (_CONTENT_KEY_BIT - 1)) | _CONTENT_KEY_BIT


def number_of(key: int) -> int | None:
    """Which change of state an event is, from 1; None for a note."""
    return key if key < _CONTENT_KEY_BIT else None


def _change(occurrence: Occurrence, sighting: Sighting) -> tuple[EventKind, dict[str, Any] | None]:
    changed = _changed_annotations(occurrence.annotations, sighting.alert.annotations)
    if occurrence.status == sighting.alert.status:
        is_same = occurrence.content_hash == sighting.content_hash
        return ("published", None) if is_same else ("annotations_changed", changed)
    if sighting.alert.status == "resolved":
        return "resolved", changed
    return "refired", changed


def _audience(occurrence: Occurrence, sighting: Sighting, kind: EventKind) -> Audience:
    """Whom a change is news for: whoever was notified of a firing hears of its end, also if that is only recorded.

    What is said of the end later in other words, by a peer of a cluster, is news for nobody.
    """
    if occurrence.status == sighting.alert.status == "resolved":
        return "nobody"
    if sighting.is_to_publish:
        return "routed"
    return "told_before" if kind == "resolved" and occurrence.is_published else "nobody"


def _changed_annotations(before: dict[str, str], after: dict[str, str]) -> dict[str, Any] | None:
    names = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
    if not names:
        return None
    return {
        "before": {n: before[n] for n in names if n in before},
        "after": {n: after[n] for n in names if n in after},
    }


def _event(
    sighting: Sighting, *, key: int, kind: EventKind, audience: Audience, detail: dict[str, Any] | None = None
) -> Event:
    alert = sighting.alert
    if alert.ends_at is not None:
        detail = {"ends_at": alert.ends_at.isoformat(), **(detail or {})}
    return Event(
        alert.fingerprint,
        alert.starts_at,
        key,
        kind,
        sighting.received_at,
        sighting.receipt_id,
        detail,
        audience,
    )
