"""An entry of the audit, and the chain that it is a link of: what is digested, and where a chain is broken. Pure.

Each process writes a chain a day. The digest of a link is the SHA-256 of the digest before it and of the entry, so
nobody can change, remove or insert an entry unless they write all later digests anew. A chain begins with the digest of
its name and of the last link of the chain that began before it, so none can be removed as a whole.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal, get_args

import msgspec

Outcome = Literal["done", "refused", "failed"]
"""`refused`: the caller may not do it, or not so often. `failed`: the call was wrong, or we could not serve it."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_MOST_CHARACTERS = 1_000
_MOST_FIELDS = 100
_MOST_DEPTH = 6


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what, from where. `detail` has `from` and `to` where something was changed, and never a secret.

    `day`, `replica`, `position` (from 1) and `digest` are its place in a chain; entries from before there were chains
    have none.
    """

    id: str
    at: datetime
    actor: str
    action: str
    outcome: Outcome = "done"
    from_address: str = ""
    detail: Mapping[str, Any] = {}
    day: str = ""
    replica: str = ""
    position: int = 0
    digest: str = ""


class AuditChain(msgspec.Struct, frozen=True, kw_only=True):
    """The chain of one process on one day (UTC). `number` counts all chains in the order in which they began.

    `follows` is the digest of the last link that the chain before it had by then. This is kept when the day is dropped.
    """

    number: int
    day: str
    replica: str
    follows: str
    entries: int
    first_digest: str
    last_digest: str
    dropped_at: datetime | None = None

    @property
    def origin(self) -> str:
        """What stands before the first link."""
        return _digest("", [self.number, self.day, self.replica, self.follows])


def day_of(time: datetime) -> str:
    """The day of an entry, in UTC."""
    return time.astimezone(UTC).date().isoformat()


def linked(entry: AuditEntry, previous: str, *, replica: str, position: int) -> AuditEntry:
    """The entry as a link behind that digest."""
    placed = msgspec.structs.replace(entry, day=day_of(entry.at), replica=replica, position=position)
    return msgspec.structs.replace(placed, digest=digest_of(placed, previous))


def digest_of(entry: AuditEntry, previous: str) -> str:
    """The digest that an entry must have behind that one: of all it says, as JSON with sorted keys."""
    return _digest(
        previous,
        [
            entry.id,
            entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
            entry.day,
            entry.replica,
            entry.position,
            entry.actor,
            entry.from_address,
            entry.action,
            entry.outcome,
            entry.detail,
        ],
    )


def fault_of(entry: AuditEntry, previous: str, *, position: int) -> str:
    """Why an entry can't be the link of that position behind that digest; empty where it is."""
    if entry.position > position:
        return f"the entries before it are missing, from position {position} on"
    if entry.position < position:
        return "it was inserted: its position is none of the chain"
    if entry.digest != digest_of(entry, previous):
        return "it was changed, or the entry before it was"
    return ""


def cleaned(value: Any, *, depth: int = 0) -> Any:
    """A value as both databases give it back: texts that can be stored, cut where long; no fractions, no deep nests."""
    if value is None or isinstance(value, bool | int):
        return value
    if depth >= _MOST_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        pairs = list(value.items())[:_MOST_FIELDS]
        return {clean_text(str(name)): cleaned(each, depth=depth + 1) for name, each in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [cleaned(each, depth=depth + 1) for each in list(value)[:_MOST_FIELDS]]
    return clean_text(str(value))


def clean_text(text: str) -> str:
    """A text that can be stored, cut where it is long."""
    short = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
    return short.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _digest(previous: str, values: list[Any]) -> str:
    return sha256(previous.encode() + b"\n" + msgspec.json.encode(values, order="sorted")).hexdigest()
