"""An alert whose annotations are too large together is kept with its annotations cut: only labels name an alert.

The same annotations are always cut in the same way, in whatever order they come, so that a repeat is a repeat.
"""

from collections.abc import Mapping, Sequence

import msgspec

from alert_history.domain.alert import Alert, Cut, Refused

ANNOTATIONS_BYTES = 256 * 1024
"""Of all names and values of one alert's annotations together."""
LEFT_OUT = "alert_history_left_out"
"""The annotation that says how many were left out."""

_LEAST_VALUE_BYTES = 64
"""The room that a name leaves to its value at least: for the mark, and for a word before it."""
_LEFT_OUT_BYTES = 64


def is_over_limit(annotations: Mapping[str, str]) -> bool:
    """Whether the annotations have more than ANNOTATIONS_BYTES."""
    characters = sum(map(len, annotations)) + sum(map(len, annotations.values()))
    return characters * 4 > ANNOTATIONS_BYTES and _size(annotations) > ANNOTATIONS_BYTES


def within_limit(alert: Alert, *, position: int, raw: bytes) -> tuple[Alert, Cut | None]:
    """The alert with annotations that fit, and the record of the cut where one was needed."""
    if not is_over_limit(alert.annotations):
        return alert, None
    reason = f"its annotations have {_size(alert.annotations)} bytes together, more than {ANNOTATIONS_BYTES}: cut"
    whole = Refused(position, reason, raw, cause="annotations_cut")
    return msgspec.structs.replace(alert, annotations=cut(alert.annotations)), Cut(alert.fingerprint, whole)


def cut(annotations: Mapping[str, str], *, max_bytes: int = ANNOTATIONS_BYTES) -> dict[str, str]:
    """The annotations, at most `max_bytes` of them: the longest values all cut to one length, each with a mark.

    Where there are too many for that, the annotations with the longest names are left out and counted under LEFT_OUT.
    """
    subset = _that_fit(annotations, room=max_bytes)
    if len(subset) == len(annotations):
        return _shortened(subset, room=max_bytes)
    subset = _that_fit({n: v for n, v in annotations.items() if n != LEFT_OUT}, room=max_bytes - _LEFT_OUT_BYTES)
    count = f"{len(annotations) - len(subset)} of {len(annotations)} annotations"
    return _shortened(subset, room=max_bytes - _LEFT_OUT_BYTES) | {LEFT_OUT: count}


def _that_fit(annotations: Mapping[str, str], *, room: int) -> dict[str, str]:
    """The annotations whose name and shortest cut value fit; the shortest names come first."""
    subset = {}
    for name, value in sorted(annotations.items(), key=lambda pair: (_bytes(pair[0]), pair[0])):
        room -= _bytes(name) + min(_bytes(value), _LEAST_VALUE_BYTES)
        if room < 0:
            break
        subset[name] = value
    return subset


def _shortened(annotations: Mapping[str, str], *, room: int) -> dict[str, str]:
    sizes = list(map(_bytes, annotations.values()))
    longest = _level(sizes, room=room - sum(map(_bytes, annotations)))
    return {
        name: value if size <= longest else _marked(value, longest)
        for (name, value), size in zip(annotations.items(), sizes, strict=True)
    }


def _level(sizes: Sequence[int], *, room: int) -> int:
    """The length to which longer values are cut, so that all values together have at most `room` bytes."""
    for position, size in enumerate(ascending := sorted(sizes)):
        count = len(ascending) - position
        if size * count > room:
            return room // count
        room -= size
    return max(sizes, default=0)


def _marked(value: str, longest: int) -> str:
    """The value with a mark at its end, at most `longest` bytes; no character is torn."""
    content = value.encode()
    room = longest - _bytes(mark(len(content)))
    head = content[:room].decode(errors="ignore")
    return head + mark(len(content) - _bytes(head))


def mark(cut_bytes: int) -> str:
    """The mark at the end of a value that lost `cut_bytes` bytes."""
    return f"… (cut: {cut_bytes} bytes)"


def _size(annotations: Mapping[str, str]) -> int:
    return sum(_bytes(text) for pair in annotations.items() for text in pair)


def _bytes(text: str) -> int:
    return len(text.encode())
