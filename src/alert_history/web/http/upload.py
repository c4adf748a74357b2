"""Forms with a file: the fields are small, the file goes to the disk as it arrives, within bounds.

The file lies in a folder of its own where Python puts temporary files (TMPDIR), which only this user can read.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import BinaryIO

import msgspec
from starlette.requests import ClientDisconnect, Request

from alert_history.errors import InvalidBody, MalformedPayload, NoRoom, PayloadTooLarge
from alert_history.web.http.multipart import PartBegin, boundary_of, read_parts
from alert_history.web.http.slow_body import READ_SECONDS, slow_body

_MAX_FIELD_BYTES = 64 * 1024
_MOST_SECONDS = 3600
_WRITTEN_BYTES = 1024 * 1024
_MAX_NAME_CHARACTERS = 100
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SentForm(msgspec.Struct, frozen=True):
    """A form as it was sent. `file` is where its file lies, by the name that it had; None where none was chosen."""

    fields: Mapping[str, Sequence[str]]
    file: Path | None


class UploadFolder:
    """Where the file of one form lies, until it is removed."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._folder: TemporaryDirectory[str] | None = None
        self._open: BinaryIO | None = None
        self._buffer = bytearray()
        self._size = 0

    async def begin(self, name: str) -> Path:
        """Open the file. Raises: InvalidBody for a second one; NoRoom."""
        if self._folder is not None:
            raise InvalidBody("send one file at a time")
        try:
            self._folder = TemporaryDirectory(prefix="alert-history-upload-")
            path = Path(self._folder.name) / _safe(name)
            self._open = await asyncio.to_thread(path.open, "xb")
        except OSError as error:
            raise _no_room(error) from error
        return path

    async def add(self, piece: bytes) -> None:
        """Some bytes of it. Raises: PayloadTooLarge; NoRoom."""
        self._size += len(piece)
        if self._size > self._max_bytes:
            raise PayloadTooLarge(f"the file has more than {self._max_bytes:,} bytes, which is MAX_IMPORT_BYTES")
        self._buffer += piece
        if len(self._buffer) >= _WRITTEN_BYTES:
            await self._write()

    async def close(self) -> None:
        """All of it is there. Raises: NoRoom."""
        if self._open is not None:
            await self._write()
            self._open.close()
            self._open = None

    def remove(self) -> None:
        """Remove it, whatever is there of it."""
        if self._open is not None:
            self._open.close()
        if self._folder is not None:
            self._folder.cleanup()

    async def _write(self) -> None:
        if self._open is None:
            return
        try:
            await asyncio.to_thread(self._open.write, bytes(self._buffer))
            await asyncio.to_thread(self._open.flush)
        except OSError as error:
            raise _no_room(error) from error
        self._buffer.clear()


async def read_form(request: Request, folder: UploadFolder) -> SentForm:
    """The fields of a form, and its file in that folder, which the caller removes, also when this raises.

    Raises: UnsupportedMedia, MalformedPayload, InvalidBody, PayloadTooLarge, SlowBody, NoRoom.
    """
    boundary = boundary_of(request.headers.get("content-type", ""))
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            return await _read(request, folder, boundary=boundary)
    except TimeoutError:
        raise slow_body("form", seconds=_MOST_SECONDS) from None
    except ClientDisconnect:
        raise MalformedPayload("the form ended early") from None


async def _read(request: Request, folder: UploadFolder, *, boundary: bytes) -> SentForm:
    values: list[tuple[str, bytearray]] = []
    path: Path | None = None
    waiting: PartBegin | None = None
    is_file, size = False, 0
    async for piece in read_parts(_in_time(request), boundary=boundary):
        if isinstance(piece, PartBegin):
            is_file = piece.filename is not None
            waiting = piece if is_file else None
            if not is_file:
                values.append((piece.name, bytearray()))
        elif is_file:
            if waiting is not None:  # a file that nobody chose has no bytes
                path, waiting = await folder.begin(waiting.filename or ""), None
            await folder.add(piece)
        else:
            size += len(piece)
            if size > _MAX_FIELD_BYTES:
                raise PayloadTooLarge(f"the fields of the form have more than {_MAX_FIELD_BYTES} bytes")
            values[-1][1].extend(piece)
    await folder.close()
    return SentForm(_texts(values), path)


def _texts(values: Sequence[tuple[str, bytearray]]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    try:
        for name, value in values:
            fields.setdefault(name, []).append(bytes(value).decode())
    except UnicodeDecodeError:
        raise InvalidBody("the form is not in UTF-8") from None
    return fields


async def _in_time(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises: SlowBody where nothing arrives for long."""
    chunks = request.stream()
    while True:
        try:
            async with asyncio.timeout(READ_SECONDS):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise slow_body("form", seconds=READ_SECONDS) from None
        yield chunk


def _safe(name: str) -> str:
    """What a file was called, without its folders and what a shell or a person may misread."""
    last = PurePosixPath(name.replace("\\", "/")).name
    plain = "".join(char for char in last if char.isalnum() or char in "._-+ ").strip().lstrip("-.")
    return plain[-_MAX_NAME_CHARACTERS:].lstrip("-. ") or "file"


def _no_room(error: OSError) -> Exception:
    if error.errno in _FULL:
        return NoRoom(
            "the disk of the service has no room for the file; TMPDIR names where files lie", after_seconds=60
        )
    return NoRoom(f"the file can't be kept: {error.strerror}", after_seconds=60)
