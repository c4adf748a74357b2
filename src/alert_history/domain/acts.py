"""Acts: what people did about an occurrence: acknowledged it, took that back, noted something, resolved it elsewhere.

An act is no event: it changes nothing of the occurrence, and it never ends one. A note of Alertmanager's event recorder
is another thing (`domain.notes`). Must not know how a store keeps acts, and must not know any vendor.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

import msgspec

from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import EventKind, Key, occurrence_id

if TYPE_CHECKING:
    from typing_extensions import TypeIs

ActKind = Literal["acknowledged", "noted", "unacknowledged", "resolved"]
"""`resolved` is a resolve at a vendor. The occurrence goes on until its senders say that it is over."""

ToldActKind = Literal["acknowledged", "noted"]
"""The acts that targets are told of, if a person did them here. What a vendor tells us goes to no other vendor."""

TellableKind = Literal[EventKind, ToldActKind]
"""What a delivery may be about: an event or an act."""

ActSource = str
"""Who told us: `person`, the vendor at whom the person did it, or the origin of the import that brought it."""

TOLD_ACTS: frozenset[ToldActKind] = frozenset({"acknowledged", "noted"})

MAX_BY_CHARACTERS = 100
MAX_TEXT_CHARACTERS = 4_000

_encode = msgspec.json.Encoder().encode
_unstorable = re.compile("[\0\ud800-\udfff]")


class Act(msgspec.Struct, frozen=True):
    """One act. `fingerprint`, with its scope, and `starts_at` are the key of the occurrence.

    `alertname`, `severity` and `namespace` are labels of the alert, empty where it has none. `by` is who did it, as the
    source names them. `external_id` is the incident or alert of the vendor, None for a person. The same act has the
    same `id`, however often it is told.
    """

    id: str
    fingerprint: str
    starts_at: datetime
    alertname: str
    severity: str
    namespace: str
    at: datetime
    kind: ActKind
    by: str
    text: str = ""
    source: ActSource = "person"
    external_id: str | None = None

    @property
    def key(self) -> Key:
        """The key of its occurrence."""
        return self.fingerprint, self.starts_at

    @property
    def occurrence_id(self) -> str:
        """The id of its occurrence."""
        return occurrence_id(self.fingerprint, to_us(self.starts_at))


Takers = dict[str, list[str]]
"""Who took each occurrence, by its id, the first to take it first."""


def acknowledgement_id(key: Key, *, by: str, acts: Iterable[Act]) -> str:
    """The id of a person's acknowledgement: one for each person, until an acknowledgement is taken back.

    `acts` are the acts of the occurrence so far.
    """
    taken_back = [act for act in acts if act.kind == "unacknowledged"]
    newest = max(taken_back, key=lambda act: (act.at, act.id), default=None)
    return _digest(key, "acknowledged", by, "" if newest is None else newest.id)


def takers_of(acts: Iterable[Act]) -> Takers:
    """Who acknowledged each occurrence; nobody, once an acknowledgement of it was taken back."""
    takers: Takers = defaultdict(list)
    for act in sorted(acts, key=lambda act: (act.at, act.id)):
        own = takers[act.occurrence_id]
        if act.kind == "unacknowledged":
            own.clear()
        elif act.kind == "acknowledged" and act.by not in own:
            own.append(act.by)
    return dict(takers)


def vendor_act_id(key: Key, *, source: ActSource, event_id: str) -> str:
    """The id of an act that a vendor tells: one for each event of the vendor."""
    return _digest(key, source, event_id)


def is_act(kind: TellableKind) -> "TypeIs[ToldActKind]":
    """Whether a delivery of that kind is about an act."""
    return kind in TOLD_ACTS


def is_storable(text: str) -> bool:
    """Whether a database can hold the text: it has no NUL character and no lone surrogate."""
    return _unstorable.search(text) is None


def clean(text: str, *, max_characters: int) -> str:
    """A vendor's text as it is kept: what no database can hold is replaced, and a long text is cut."""
    storable = _unstorable.sub("\ufffd", text).strip()
    return storable if len(storable) <= max_characters else f"{storable[: max_characters - 1]}…"


def _digest(key: Key, *parts: str) -> str:
    return blake2b(_encode([*key, *parts]), digest_size=16).hexdigest()
