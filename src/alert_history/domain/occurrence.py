"""An occurrence: one firing of one alert, the sightings of it, and the events that change it.

Which sighting is of which firing, and what it changes, is decided in `hearing`; what that makes of an occurrence stands
in `decision`. Must not know how a store keeps it.
"""

import re
from datetime import datetime
from hashlib import blake2b
from sys import intern
from typing import Any, Literal

import msgspec

from alert_history.domain.alert import Alert, Note, Source, Status
from alert_history.domain.claim import Word, claim_hash
from alert_history.domain.microseconds import to_us
from alert_history.domain.speaker import Speaker, scoped
from alert_history.domain.standing import EndedBy

EventKind = Literal[
    "fired",
    "resolved",
    "refired",
    "published",
    "annotations_changed",
    "expired",
    "inferred",
    "reconciled",
    "start_moved",
    "left",
    "unconfirmed",
    "confirmed",
    "conflict",
    "joined",
    "silenced",
    "unsilenced",
    "inhibited",
    "notified",
    "grouped",
    "classified",
]

Telling = Literal["routed", "notified"]

Key = tuple[str, datetime]
"""What names an occurrence: its fingerprint, with the scope, and its key as a time."""

ENDED_BY: dict[EventKind, EndedBy] = {
    "resolved": "resolved",
    "expired": "expired",
    "inferred": "inferred",
    "reconciled": "reconciled",
}
"""Events after which an occurrence is over, and how its end is known."""

ENDINGS = frozenset(ENDED_BY)

_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_id = re.compile(r"([0-9a-f]{16}(?:@[\w.-]{1,96})?)-(0|-?[1-9][0-9]{0,18})", re.ASCII)
_CONTENT_KEY_BIT = 1 << 62  # keys of notes lie above it, those of state changes (1, 2, 3, …) below


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """One alert of one accepted request; `content_hash` and `annotations_json` are of its annotations, keys sorted.

    `alert.fingerprint` is that of its scope. `word` is what it claims, and `claim` names that claim in a number.
    """

    alert: Alert
    content_hash: int
    annotations_json: bytes
    source: Source
    receiver: str
    receipt_id: str
    received_at: datetime
    word: Word
    claim: int
    speaker: Speaker | None = None


class About(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What an occurrence is about, as it is counted; it never changes. `received_us` is its `timestamp`."""

    alertname: str
    severity: str
    namespace: str
    source: str
    received_us: int


class Occurrence(msgspec.Struct, gc=False):
    """What is decided about one occurrence. A store keeps it beside what the first sighting said of it.

    `event_count` is the key of its newest state change; `repeat_count` counts sightings that changed nothing.
    `began_at` is the shown start, where it is not the key. `confirmed_at` is when a sender last said that it
    fires, None where that is `last_received_at`; `unconfirmed` why no sender says so now. `claim` names the claim that
    alone holds it open, or the word that ended it; 0 where each word needs a decision. `expires_at` is when to look at
    it again. `about` is what it is counted by; None where it does not count, because it is known as a double.
    """

    status: Status
    content_hash: int
    annotations: dict[str, str]
    ends_at: datetime | None
    expires_at: datetime | None
    last_received_at: datetime
    repeat_count: int
    event_count: int
    began_at: datetime | None = None
    ended_by: EndedBy | None = None
    confirmed_at: datetime | None = None
    unconfirmed: str | None = None
    is_published: bool = False
    claim: int = 0
    receiver: str = ""
    generator_url: str = ""
    about: About | None = None


class Event(msgspec.Struct, frozen=True, gc=False):
    """An immutable change. Its `key` in the occurrence is 1, 2, 3, … for state changes, a content hash for notes.

    `telling` says which targets may be notified: those that routing names, or those `notified` of the firing, or none.
    """

    fingerprint: str
    starts_at: datetime
    key: int
    kind: EventKind
    at: datetime
    receipt_id: str | None
    detail: dict[str, Any] | None = None
    telling: Telling | None = None


def about_of(sighting: Sighting) -> About:
    """What the occurrence that a sighting begins is about. The texts are shared, because recorders remember many."""
    labels = sighting.alert.labels
    return About(
        intern(labels.get("alertname", "")),
        intern(labels.get("severity", "")),
        intern(labels.get("namespace", "")),
        sighting.source,
        to_us(sighting.received_at),
    )


def sight(
    alert: Alert,
    *,
    source: Source,
    receiver: str,
    receipt_id: str,
    received_at: datetime,
    speaker: Speaker,
    at_us: int | None = None,
) -> Sighting:
    """An alert as it stands in an accepted request, with its content and its claim hashed once."""
    content = _encode_sorted(alert.annotations)
    hashed = content_hash(content)
    word = speaker.word(alert, at_us=to_us(received_at) if at_us is None else at_us, content=hashed)
    if speaker.scope:
        alert = msgspec.structs.replace(alert, fingerprint=scoped(alert.fingerprint, speaker.scope))
    return Sighting(
        alert,
        hashed,
        content,
        source,
        receiver,
        receipt_id,
        received_at,
        word,
        claim_hash(word.sender, word.start_us, word.end_us),
        speaker,
    )


def content_hash(content: bytes) -> int:
    """A signed 64-bit hash, the same on every machine and in every release."""
    return int.from_bytes(blake2b(content, digest_size=8).digest(), signed=True)


def note_event(note: Note, *, starts_at: datetime, receipt_id: str) -> Event:
    """A note as an event of one occurrence; the same note again has the same key, so it is stored once.

    Alertmanager says at every evaluation, and each of its peers, that an alert is still muted by the same
    silence or the same inhibition: that is one event, when it began.
    """
    is_lasting = note.kind in {"silenced", "inhibited"}
    content = _encode_sorted(
        [note.kind, note.detail] if is_lasting else [note.kind, note.detail, note.at, note.instance]
    )
    key = note_key(content)
    detail = {"instance": note.instance, **note.detail}
    return Event(note.fingerprint, starts_at, key, note.kind, note.at, receipt_id, detail)


def note_key(content: bytes) -> int:
    """The key of a note in its occurrence: the same content has the same, and it is above those of state changes."""
    return (content_hash(content) & (_CONTENT_KEY_BIT - 1)) | _CONTENT_KEY_BIT


def number_of(key: int) -> int | None:
    """Which change of state an event is, from 1; None for a note."""
    return key if key < _CONTENT_KEY_BIT else None


def changed_annotations(before: dict[str, str], after: dict[str, str]) -> dict[str, Any] | None:
    """What is different, as it was and as it is; None if nothing is."""
    names = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
    if not names:
        return None
    return {
        "before": {n: before[n] for n in names if n in before},
        "after": {n: after[n] for n in names if n in after},
    }


def occurrence_id(fingerprint: str, key_us: int) -> str:
    """The id of an occurrence in the API; opaque to callers."""
    return f"{fingerprint}-{key_us}"


def split_occurrence_id(text: str) -> tuple[str, int] | None:
    """The fingerprint, with its scope, and the key in microseconds that an id names; None if it is not one."""
    parts = _id.fullmatch(text)
    return (parts[1], int(parts[2])) if parts else None
