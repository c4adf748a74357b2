"""How far imports are, how fast, and for how long still: by what has changed since the page first looked.

The database says how far an import is, on every replica alike. The first look stands in the address that asks again, so
nobody has to remember it. Pure.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from alert_history.ports.imports import ImportRecord

_LEAST_SECONDS = 0.5
_LONGEST_REST_SECONDS = 30 * 86_400


class Look(msgspec.Struct, frozen=True):
    """How far an import was at a time."""

    id: str
    phase: str
    number: int
    share: float
    at: datetime

    @property
    def text(self) -> str:
        """It, as a word of an address."""
        return f"{self.id}~{self.phase}~{self.number}~{self.share:.6f}~{self.at.timestamp():.3f}"


class Progress(msgspec.Struct, frozen=True):
    """How far one import is. `rate` is rows a second, `rest_seconds` how long it takes still; None: not known yet."""

    record: ImportRecord
    words: str
    number: int
    percent: int | None
    rate: float | None
    rest_seconds: float | None
    first: Look


def progress_of(record: ImportRecord, looks: Iterable[str], *, now: datetime) -> Progress:
    """How far an import is, compared with the first look at it, if that is among `looks`."""
    current = Look(record.id, _phase(record), _number(record), record.share or 0.0, now)
    first = next((look for text in looks if (look := _read(text)) is not None and _is_of(look, current)), current)
    seconds = (now - first.at).total_seconds()
    is_known = seconds >= _LEAST_SECONDS
    gained = current.share - first.share
    rest = (1.0 - current.share) / gained * seconds if is_known and gained > 0 and record.share is not None else None
    return Progress(
        record,
        words=_WORDS[current.phase],
        number=current.number,
        percent=None if record.share is None else min(int(record.share * 100), 100),
        rate=(current.number - first.number) / seconds if is_known and current.number > first.number else None,
        rest_seconds=rest if rest is not None and rest < _LONGEST_REST_SECONDS else None,
        first=first,
    )


def are_the_same(progress: Sequence[Progress], looks: Sequence[str]) -> bool:
    """Whether the same imports are in the same phases as at the first look, so that the page is still the right one."""
    seen = {(look.id, look.phase) for text in looks if (look := _read(text)) is not None}
    return seen == {(each.record.id, each.first.phase) for each in progress}


_WORDS = {"reading": "Reading", "writing": "Writing", "undoing": "Taking back"}


def _phase(record: ImportRecord) -> str:
    return "undoing" if record.state == "undoing" else record.phase


def _number(record: ImportRecord) -> int:
    """How many rows are read or written. An import that goes on writes all of them again."""
    counts = record.counts
    return counts.read if record.phase == "reading" else round((record.share or 0.0) * (counts.read - counts.refused))


def _is_of(look: Look, current: Look) -> bool:
    return (look.id, look.phase) == (current.id, current.phase) and look.at <= current.at


def _read(text: str) -> Look | None:
    try:
        id_, phase, number, share, at = text.split("~")
        return Look(id_, phase, int(number), float(share), datetime.fromtimestamp(float(at), UTC))
    except (ValueError, OverflowError, OSError):
        return None
