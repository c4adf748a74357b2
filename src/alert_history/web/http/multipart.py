"""`multipart/form-data` (RFC 7578), read as it arrives: no part is ever whole in memory.

Must not know what the parts are for.
"""

import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import NamedTuple

from alert_history.errors import MalformedPayload, UnsupportedMedia

_MOST_PARTS = 200
_MAX_HEAD_BYTES = 8 * 1024
_BOUNDARY = re.compile(
    r"""multipart/form-data\s*;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70})(?=[\s;]|$))""", re.IGNORECASE
)
_DISPOSITION = re.compile(r"^content-disposition:\s*form-data(.*)$", re.IGNORECASE | re.MULTILINE)
_PARAMETER = re.compile(r';\s*(name|filename)="((?:[^"\\\r\n]|\\.)*)"', re.IGNORECASE)


class PartBegin(NamedTuple):
    """A part begins. `filename` is None where it is no file."""

    name: str
    filename: str | None


PartPiece = PartBegin | bytes
"""A part begins, or some of its bytes."""


def boundary_of(content_type: str) -> bytes:
    """What stands between the parts. Raises: UnsupportedMedia."""
    match = _BOUNDARY.match(content_type)
    if match is None:
        raise UnsupportedMedia("the body must be multipart/form-data with a boundary")
    return (match[1] or match[2]).encode()


async def read_parts(chunks: AsyncIterable[bytes], *, boundary: bytes) -> AsyncIterator[PartPiece]:
    """The parts in their order: each begins, and then come its bytes. Raises: MalformedPayload."""
    reader = _Reader(b"\r\n--" + boundary)
    async for chunk in chunks:
        for piece in reader.take(chunk):
            yield piece
        if reader.is_over:
            return
    raise MalformedPayload("the form ended early")


class _Reader:
    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        self._buffer = bytearray(b"\r\n")  # so that the first delimiter is like the others
        self._is_in_part = False
        self._is_in_head = False
        self._parts = 0
        self.is_over = False

    def take(self, chunk: bytes) -> list[PartPiece]:
        """What is clear by now. Raises: MalformedPayload."""
        self._buffer += chunk
        pieces: list[PartPiece] = []
        while not self.is_over and (self._head(pieces) if self._is_in_head else self._body(pieces)):
            pass
        return pieces

    def _body(self, pieces: list[PartPiece]) -> bool:
        """Read up to the next delimiter; whether there may be more to read."""
        at = self._buffer.find(self._delimiter)
        known = at if at >= 0 else max(len(self._buffer) - len(self._delimiter) + 1, 0)
        if known and self._is_in_part:
            pieces.append(bytes(self._buffer[:known]))
        del self._buffer[:known]
        if at < 0 or len(self._buffer) < len(self._delimiter) + 2:
            return False
        behind = bytes(self._buffer[len(self._delimiter) : len(self._delimiter) + 2])
        if behind not in (b"--", b"\r\n"):
            raise MalformedPayload("the form has a boundary that is followed by something else")
        del self._buffer[: len(self._delimiter) + 2]
        self.is_over = behind == b"--"
        self._is_in_part, self._is_in_head = False, True
        return True

    def _head(self, pieces: list[PartPiece]) -> bool:
        """Read the head of a part; whether it is whole."""
        end = self._buffer.find(b"\r\n\r\n")
        if max(end, len(self._buffer) if end < 0 else 0) > _MAX_HEAD_BYTES:
            raise MalformedPayload(f"the head of a part has more than {_MAX_HEAD_BYTES} bytes")
        if end < 0:
            return False
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise MalformedPayload(f"the form has more than {_MOST_PARTS} parts")
        pieces.append(_begin(bytes(self._buffer[:end]).decode(errors="replace")))
        del self._buffer[: end + 4]
        self._is_in_part, self._is_in_head = True, False
        return True


def _begin(head: str) -> PartBegin:
    disposition = _DISPOSITION.search(head.replace("\r\n", "\n"))
    if disposition is None:
        raise MalformedPayload("a part of the form does not say what it is")
    parameters = {name.lower(): _plain(value) for name, value in _PARAMETER.findall(disposition[1])}
    if "name" not in parameters:
        raise MalformedPayload("a part of the form has no name")
    return PartBegin(parameters["name"], parameters.get("filename"))


def _plain(value: str) -> str:
    """A parameter as it was meant: browsers write %22 for a quotation mark, others escape it."""
    return re.sub(r"\\(.)", r"\1", value).replace("%22", '"')
