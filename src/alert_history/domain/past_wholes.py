"""Whole firings of an import: an origin may cut one into pieces, and pieces that overlap or touch are one. Pure."""

from collections.abc import Iterable

import msgspec

from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.past_firing import PastFiring
from alert_history.domain.standing import EndedBy


class Whole(msgspec.Struct, gc=False):
    """One firing of an import, with all its pieces. `end_us` is None where it fires still."""

    start_us: int
    last_us: int
    end_us: int | None
    ended_by: EndedBy
    pieces: list[PastFiring]
    newest: PastFiring
    repeats: int = 0

    @property
    def first(self) -> PastFiring:
        """Its first piece."""
        return self.pieces[0]


def wholes(firings: Iterable[PastFiring]) -> list[Whole]:
    """The firings without their cuts: pieces that overlap or touch are one; in the order of their starts."""
    merged: list[Whole] = []
    for firing in firings:
        start_us, last_us = to_us(firing.starts_at), firing.last_sign_us
        end_us = None if firing.ends_at is None else last_us
        last = merged[-1] if merged else None
        if last is None or start_us > last.last_us:
            if last is not None and last.end_us is None:
                last.end_us, last.ended_by = last.last_us, "inferred"
            merged.append(Whole(start_us, last_us, end_us, firing.ended_by, [firing], firing, firing.repeats))
            continue
        _add_piece(last, firing, last_us, end_us)
    return merged


def closed(firings: list[PastFiring]) -> list[PastFiring]:
    """Firings of a label set of which later ones follow: what fires still by its own words is over, too."""
    last = wholes(firings)[-1]
    if last.end_us is not None:
        return firings
    over = {"ends_at": from_us(last.last_us), "ended_by": "inferred"}
    return [msgspec.structs.replace(f, **over) if f.last_sign_us == last.last_us else f for f in firings]


def _add_piece(whole: Whole, piece: PastFiring, last_us: int, end_us: int | None) -> None:
    whole.pieces.append(piece)
    whole.repeats += piece.repeats
    is_later = last_us > whole.last_us or (last_us == whole.last_us and whole.end_us is None)
    if is_later:
        whole.last_us, whole.end_us, whole.ended_by = last_us, end_us, piece.ended_by
    if piece.annotations or not whole.newest.annotations:
        whole.newest = piece
