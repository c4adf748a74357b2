"""What a source says: alerts, groups of them, and what had to be refused.

Holds the values that every source decodes into and that everything behind it reads.
Must not know any wire format (that is `sources/`) or any table (that is `storage/`).
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec

Source = Literal["alertmanager", "grafana", "prometheus", "event_recorder"]
Status = Literal["firing", "resolved"]
NoteKind = Literal["silenced", "unsilenced", "inhibited", "notified", "grouped"]

_HEX = "0123456789abcdef"
_FINGERPRINT_DIGITS = 16
Cause = Literal["labels", "annotations", "annotations_cut", "times", "shape", "unknown_occurrence"]
"""What was wrong with what went to quarantine, in one word."""

_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_FNV_MASK = 0xFFFFFFFFFFFFFFFF


class Alert(msgspec.Struct, frozen=True, gc=False):
    """One alert as one message reports it.

    `fingerprint` is 16 lower-case hex digits. All times are aware UTC, to the microsecond.
    `ends_at` is set when it is resolved and only then; `expires_at` is set on a firing alert
    that its sender must refresh (Prometheus) and is when it lapses without a refresh.
    `details` holds what one source alone says (Grafana's values and links), or None. Where `is_start_given` is
    false, `starts_at` is when it was received, and it belongs to the occurrence that is firing, if one is. `reporter`
    is who says it, where one request holds what several say (the event recorder's instances).
    """

    fingerprint: str
    status: Status
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None = None
    expires_at: datetime | None = None
    generator_url: str = ""
    details: dict[str, Any] | None = None
    is_start_given: bool = True
    reporter: str = ""


class Refused(msgspec.Struct, frozen=True, gc=False):
    """An alert that can't be kept as it is, why, and its JSON as it came (position from 0 in its request)."""

    position: int
    reason: str
    raw: bytes
    cause: Cause = "shape"


class Cut(msgspec.Struct, frozen=True, gc=False):
    """An alert that is kept with less than was sent. `whole` is how it came, and goes to quarantine once."""

    fingerprint: str
    whole: Refused


class Note(msgspec.Struct, frozen=True, gc=False):
    """Something that happened to an alert without changing its state: it was silenced, notified, and so on.

    `starts_at` is None where the sender does not say which occurrence it means: then it is the newest one
    of the fingerprint. `instance` is the sender's own name. Two notes with equal fields are the same note.
    """

    fingerprint: str
    starts_at: datetime | None
    kind: NoteKind
    at: datetime
    instance: str
    detail: dict[str, Any]
    position: int = 0


class Silence(msgspec.Struct, frozen=True, gc=False):
    """A copy of an Alertmanager silence. `matchers` is a list of sets: all of a set must match, any set suffices."""

    id: str
    matchers: list[list[dict[str, str]]]
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    created_by: str
    comment: str


class AlertGroup(msgspec.Struct, frozen=True, gc=False):
    """All that one request says. `details` holds its group-level fields (groupLabels, version, orgId, …) as sent.

    Those of `cut` are among `alerts` too.
    """

    source: Source
    receiver: str
    group_key: str
    external_url: str
    alerts: list[Alert]
    refused: list[Refused] = []
    notes: list[Note] = []
    silences: list[Silence] = []
    truncated_alerts: int = 0
    details: dict[str, Any] = {}
    cut: list[Cut] = []

    @property
    def received(self) -> int:
        """How many things the request held, kept or not."""
        return len(self.alerts) + len(self.refused) + len(self.notes) + len(self.silences)


def fingerprint(labels: dict[str, str]) -> str:
    """The fingerprint Prometheus and Alertmanager give this label set: FNV-1a 64 over the sorted labels.

    Source: `LabelSet.Fingerprint` of prometheus/common. Empty values count here: remove them first.
    """
    return _fnv1a(tuple(sorted(labels.items(), key=_by_bytes)))


def is_fingerprint(text: str) -> bool:
    """Whether it is 16 lower-case hex digits."""
    return len(text) == _FINGERPRINT_DIGITS and not text.strip(_HEX)


def _by_bytes(pair: tuple[str, str]) -> bytes:
    return pair[0].encode("utf-8", "surrogatepass")


@lru_cache(maxsize=8192)  # Prometheus sends the same label sets every minute; hashing one costs 20 µs
def _fnv1a(pairs: tuple[tuple[str, str], ...]) -> str:
    value = _FNV_OFFSET
    for pair in pairs:
        for text in pair:
            for byte in text.encode("utf-8", "surrogatepass"):
                value = ((value ^ byte) * _FNV_PRIME) & _FNV_MASK
            value = ((value ^ 0xFF) * _FNV_PRIME) & _FNV_MASK
    return f"{value:016x}"
