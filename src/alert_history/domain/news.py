"""News: what happened to an occurrence, in the few bytes that a live stream needs of it.

A store keeps the news of a transaction with the transaction, and numbers them later, in the order of commits. Pure.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import ENDINGS, Event

if TYPE_CHECKING:
    from alert_history.domain.acts import Act

State = Literal["firing", "unconfirmed", "resolved"]

_STATES: dict[str, State] = {
    "fired": "firing",
    "refired": "firing",
    "confirmed": "firing",
    "unconfirmed": "unconfirmed",
}
_ACT_KINDS = {"resolved": "resolved_elsewhere"}


class News(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One thing that happened. `fingerprint`, with its scope, and `key_us` name the occurrence; `at_us` says when.

    `kind` is that of the event, or of the act; a resolve at a vendor, which ends nothing here, is `resolved_elsewhere`.
    """

    fingerprint: str
    key_us: int
    kind: str
    at_us: int


_Run = tuple[str, int, list[Any], list[int]]
"""Things of one kind and one time that follow each other: kind, time, fingerprints, and how long before each began."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Run]).decode
_FINGERPRINT_LETTERS = 16


def news_of(events: Iterable[Event]) -> list[News]:
    """The news that events are."""
    return [News(event.fingerprint, to_us(event.starts_at), event.kind, to_us(event.at)) for event in events]


def news_of_act(act: "Act") -> News:
    """The news that an act is."""
    return News(act.fingerprint, to_us(act.starts_at), _ACT_KINDS.get(act.kind, act.kind), to_us(act.at))


def written_news(news: Iterable[News]) -> bytes:
    """The news of one transaction, as a store keeps them: some 15 bytes for each of many that happen at once."""
    runs: list[_Run] = []
    kind, at_us = "", 0
    for each in news:
        if not runs or each.kind != kind or each.at_us != at_us:
            kind, at_us = each.kind, each.at_us
            runs.append((kind, at_us, [], []))
        _, _, fingerprints, ages_us = runs[-1]
        fingerprints.append(_packed(each.fingerprint))
        ages_us.append(at_us - each.key_us)
    return _encode(runs)


def read_news(content: bytes) -> list[News]:
    """The news that `written_news` wrote, in its order."""
    return [
        News(fingerprint if isinstance(fingerprint, str) else fingerprint.hex(), at_us - age_us, kind, at_us)
        for kind, at_us, fingerprints, ages_us in _decode(content)
        for fingerprint, age_us in zip(fingerprints, ages_us, strict=True)
    ]


def _packed(fingerprint: str) -> bytes | str:
    """A fingerprint without a scope as its 8 bytes; any other text as it is."""
    if len(fingerprint) != _FINGERPRINT_LETTERS:
        return fingerprint
    try:
        packed = bytes.fromhex(fingerprint)
    except ValueError:
        return fingerprint
    return packed if packed.hex() == fingerprint else fingerprint


def state_after(kind: str, now: State) -> State:
    """The state of an occurrence after something of that kind; `now` where the kind does not tell."""
    if kind in ENDINGS:
        return "resolved"
    return _STATES.get(kind, now)
