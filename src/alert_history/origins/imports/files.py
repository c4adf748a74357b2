"""Files that are imported: how they are named, opened, unpacked, and how far they are read.

A file that is compressed is known by its first bytes, whatever it is called. All of it is read once and in order, so
standard input can be read, too. Must not know what the files hold.
"""

import asyncio
import gzip
import io
import sys
import zlib
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from alert_history.errors import ConfigurationError, ImportFault
from alert_history.ports.past_origins import ImportRequest, Option, PastBatch
from alert_history.zstd import ZstdError, ZstdFile

STANDARD_INPUT = "-"
FILE = Option("file", "The file to import; - is standard input.", kind="file", is_required=True, is_repeated=True)

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"
_BUFFER_BYTES = 256 * 1024


class ReadFiles:
    """The files of one import, and which share of their bytes is read."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._all_bytes = None if STANDARD_INPUT in names else sum(map(_size, names))
        self._read_bytes = 0.0

    @property
    def done(self) -> float | None:
        """Which share is read; None where standard input is among the files."""
        if self._all_bytes is None:
            return None
        return min(self._read_bytes / self._all_bytes, 1.0) if self._all_bytes else 1.0

    def count(self, read_bytes: float) -> None:
        """Some more bytes of a file are read, as they lie on the disk."""
        self._read_bytes += read_bytes

    @contextmanager
    def open_text(self, name: str) -> Iterator[BinaryIO]:
        """The bytes of a text in UTF-8, unpacked and without a mark at the beginning.

        Raises: ImportFault, also from within, for a file that is damaged.
        """
        counted_before = self._read_bytes
        with open_file(name) as file:
            try:
                packed = io.BufferedReader(_Counted(file, files=self), _BUFFER_BYTES)
                text = io.BufferedReader(_unpacked(packed), _BUFFER_BYTES)
                _check_mark(text, name=name)
                yield text
            except (zlib.error, gzip.BadGzipFile, EOFError, ZstdError) as error:
                byte = self._read_bytes - counted_before
                raise ImportFault(f"{name}: the compressed file is damaged before byte {byte:,.0f}: {error}") from None


def given_files(request: ImportRequest) -> ReadFiles:
    """The files that a request names, all of which are there.

    Raises: ConfigurationError where none is named, ImportFault where one can't be read.
    """
    names = request.texts(FILE.name)
    if not names:
        raise ConfigurationError(["no file is named"])
    if names.count(STANDARD_INPUT) > 1:
        raise ConfigurationError(["standard input can be read once"])
    return ReadFiles(names)


async def in_thread(batches: Generator[PastBatch]) -> AsyncGenerator[PastBatch, None]:
    """What a generator makes, made in a thread, one batch at a time, so that nobody else waits for a disk.

    The generator is closed at the end: at once, or when it has made the batch that it is at.
    """
    step: asyncio.Future[PastBatch | None] | None = None
    loop = asyncio.get_running_loop()
    try:
        while True:
            step = loop.run_in_executor(None, next, batches, None)
            batch = await asyncio.shield(step)
            if batch is None:
                return
            yield batch
    finally:
        if step is None or step.done():
            batches.close()
        else:
            step.add_done_callback(partial(_close, batches))


def _close(batches: Generator[PastBatch], step: "asyncio.Future[PastBatch | None]") -> None:
    """Close a generator after its last step; what that step raised was said, or nobody waits for it any more."""
    if not step.cancelled():
        step.exception()
    batches.close()


class _Counted(io.RawIOBase):
    """An open file that counts what is read of it."""

    def __init__(self, file: BinaryIO, *, files: ReadFiles) -> None:
        self._file = file
        self._files = files

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # no writable buffer is anything else
        piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        self._files.count(len(piece))
        return len(piece)


@contextmanager
def open_file(name: str) -> Iterator[BinaryIO]:
    """The bytes of a file as they lie there. Raises: ImportFault, also from within, where it can't be read."""
    try:
        if name == STANDARD_INPUT:
            yield sys.stdin.buffer
        else:
            with Path(name).open("rb", buffering=0) as file:
                yield file
    except gzip.BadGzipFile:  # an OSError that says nothing of the system
        raise
    except OSError as error:
        raise ImportFault(f"{name}: it can't be read: {error.strerror or error}") from None


def _size(name: str) -> int:
    with open_file(name):
        return Path(name).stat().st_size


def _unpacked(packed: "io.BufferedReader[_Counted]") -> io.RawIOBase:
    first = packed.peek(4)[:4]
    if first.startswith(_GZIP):
        return cast(io.RawIOBase, gzip.GzipFile(fileobj=packed))
    return cast(io.RawIOBase, ZstdFile(packed) if first == _ZSTD else packed)


def _check_mark(text: "io.BufferedReader[io.RawIOBase]", *, name: str) -> None:
    first = text.peek(3)[:3]
    if first.startswith(_UTF16):
        raise ImportFault(f"{name}, byte 0: it is a text in UTF-16; save it as UTF-8")
    if first == _UTF8_MARK:
        text.read(3)
