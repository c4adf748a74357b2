"""Which pieces of a span are read, where its occurrences are too many to read them all."""

from datetime import datetime, timedelta

import msgspec

from alert_history.domain.microseconds import to_us

SAMPLE_SECONDS = 1.5
"""Nobody begins to read another piece after that time."""

BRIEF = timedelta(minutes=1)
"""In a span that is not longer, such as an end of a longer one, few occurrences were received."""

_SLICES = 60
_SPREAD = 0.6180339887498949


class Piece(msgspec.Struct, frozen=True):
    """A piece of a span that is read, and which share of the span it stands for."""

    since: datetime
    until: datetime
    share: float


def pieces(since: datetime, until: datetime, *, share: float) -> list[Piece]:
    """The whole span, or a piece of each of its parts, each at another place; in an order without a direction."""
    if share >= 1:
        return [Piece(since, until, 1.0)]
    part = (until - since) / _SLICES
    length = max(part * share, timedelta(microseconds=1))
    chosen = []
    for number in range(_SLICES):
        begin = since + part * number + (part - length) * (number * _SPREAD % 1)
        chosen.append(Piece(begin, begin + length, length / (until - since)))
    return sorted(chosen, key=lambda piece: to_us(piece.since) * _SPREAD % 1)
