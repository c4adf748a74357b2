"""Lines of a text, block by block, with their numbers. A line has a bound; of a longer one only the beginning is held.

A line ends at a line feed, and is given without it. Must not know what the lines say.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

MAX_LINE_BYTES = 4 * 1024 * 1024
KEPT_BYTES = 64 * 1024
"""What is held of a line that is too long."""

_BLOCK_BYTES = 256 * 1024


class CutLine(bytes):
    """The beginning of a line that is longer than MAX_LINE_BYTES."""

    __slots__ = ()


class Lines(NamedTuple):
    """Some lines that follow each other; `first` is the number of the first, counted from 1."""

    first: int
    lines: list[bytes]


def read_lines(file: BinaryIO, *, max_bytes: int = MAX_LINE_BYTES) -> Iterator[Lines]:
    """All lines of a file, in order, in blocks of about 256 KiB, or of one long line. Raises what reading raises."""
    first, rest, is_cut = 1, b"", False
    while block := file.read(_BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n") if not is_cut else _after_cut(rest, block)
        is_cut = is_cut and not lines
        if len(rest) > max_bytes and not is_cut:
            rest, is_cut = CutLine(rest[:KEPT_BYTES]), True
        if lines:
            yield Lines(first, lines)
            first += len(lines)
    if rest:
        yield Lines(first, [rest])


def _after_cut(beginning: bytes, block: bytes) -> list[bytes]:
    """The lines of a block that goes on with a line that is cut: the cut line, and what is behind its end."""
    _, feed, behind = block.partition(b"\n")
    return [beginning, *behind.split(b"\n")] if feed else [beginning]
