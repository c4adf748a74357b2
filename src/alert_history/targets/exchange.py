"""HTTP/1.1 on one connection: a request out, its answer in, piece by piece.

Holds the wire: what may be written, what is read, and when the connection may serve again. Parsed by httptools, which
costs a sixtieth of the processor time of httpcore. Must not know where it is connected to, or who may be called.
"""

import asyncio
import re
import select
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import cast

import httptools
import httpx

MAX_HEAD_BYTES = 64 * 1024

_PAUSE_BYTES = 256 * 1024  # so much of an answer waits to be read before no more is taken
_CONTINUE = range(100, 200)
_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_PATH = re.compile(rb"[\x21-\x7e]+")


def written(method: bytes, path: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """A request as bytes. Raises httpx.LocalProtocolError where something in it would break out of its place."""
    if not (_TOKEN.fullmatch(method) and _PATH.fullmatch(path)):
        raise httpx.LocalProtocolError("a character in the address can't be sent")
    lines = [b"%s %s HTTP/1.1" % (method, path)]
    for name, value in headers:
        if not (_TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
            raise httpx.LocalProtocolError("a character in a header can't be sent")
        lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join([*lines, b"", body])


class Answer:
    """One answer while it arrives. The parser calls `on_…`."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False
        self.may_follow = False
        """Whether the connection may serve another exchange, once this is complete."""
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._has_head = False
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._error: httpx.TransportError | None = None
        self._news: asyncio.Future[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether enough waits to be read."""
        return self._waiting_bytes > _PAUSE_BYTES

    async def head(self, timeout_seconds: float | None) -> None:
        """Wait for `status` and `headers`. Raises: httpx.TransportError, ReadTimeout if nothing comes in time."""
        while not self._has_head:
            await self._wait(timeout_seconds)

    async def piece(self, timeout_seconds: float | None) -> bytes:
        """Wait for the next piece of the body; none at its end. Raises as `head` does."""
        while not self._pieces:
            if self.is_complete:
                return b""
            await self._wait(timeout_seconds)
        piece = self._pieces.popleft()
        self._waiting_bytes -= len(piece)
        return piece

    async def _wait(self, timeout_seconds: float | None) -> None:
        if self._error is not None:
            raise self._error
        self._news = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._news
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time") from None
        finally:
            self._news = None

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        if self.is_complete:
            self.may_follow = False  # the server sent more than was asked
            return
        self._head_bytes += 0 if self._has_head else len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.may_follow = False
            self._fail(httpx.RemoteProtocolError("it does not speak HTTP"))
        if self._head_bytes > MAX_HEAD_BYTES and not self._has_head:
            self._fail(httpx.RemoteProtocolError(f"its headers are more than {MAX_HEAD_BYTES} bytes"))
        self._wake()

    def end(self, error: Exception | None) -> None:
        """The connection is gone."""
        if not self.is_complete and self._has_head and self._ends_with_the_connection() and error is None:
            self.is_complete = True
        elif not self.is_complete:
            why = httpx.RemoteProtocolError if error is None else httpx.ReadError
            self._fail(why("the connection broke before it answered"))
        self.may_follow = False
        self._wake()

    def _ends_with_the_connection(self) -> bool:
        names = {name.lower() for name, _ in self.headers}
        return not names & {b"content-length", b"transfer-encoding"}

    def _fail(self, error: httpx.TransportError) -> None:
        if self._error is None and not self.is_complete:
            self._error = error

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    # --- called by the parser ---

    def on_message_begin(self) -> None:
        if self.is_complete:  # a second answer, unasked
            self.may_follow = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_complete:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        self.status = self._parser.get_status_code()
        self.may_follow = self._parser.should_keep_alive()
        self._has_head = self.status not in _CONTINUE
        if not self._has_head:
            self.headers.clear()

    def on_body(self, body: bytes) -> None:
        if not self.is_complete:
            self._pieces.append(body)
            self._waiting_bytes += len(body)

    def on_message_complete(self) -> None:
        self.is_complete = self.is_complete or self._has_head


class Connection(asyncio.Protocol):
    """One connection, for one exchange at a time."""

    def __init__(self) -> None:
        self.is_open = True
        self._transport: asyncio.Transport  # from the moment it is connected
        self._answer: Answer | None = None
        self._is_paused = False

    @property
    def is_usable(self) -> bool:
        """Whether it is open, and nothing has arrived unasked: words, or its end, which the loop may not have seen."""
        if not self.is_open:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def ask(self, request: bytes) -> Answer:
        """Send a request; its answer, of which nothing has arrived yet."""
        self._answer = Answer()
        self._transport.write(request)
        if not self.is_open:
            self._answer.end(None)
        return self._answer

    async def piece(self, answer: Answer, timeout_seconds: float | None) -> bytes:
        """The next piece of its body; none at its end. Raises: httpx.TransportError."""
        piece = await answer.piece(timeout_seconds)
        if self._is_paused and not answer.is_full:
            self._is_paused = False
            with suppress(RuntimeError):  # it is closing
                self._transport.resume_reading()
        return piece

    def release(self) -> bool:
        """End the exchange; whether another may follow. If not, the connection is closed."""
        answer, self._answer = self._answer, None
        if self.is_open and answer is not None and answer.is_complete and answer.may_follow and not self._is_paused:
            return True
        self.close()
        return False

    def close(self) -> None:
        """At once: what is under way is lost."""
        self.is_open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is none of asyncio's

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self.close()  # nobody asked
            return
        self._answer.feed(data)
        if self._answer.is_full and not self._is_paused:
            self._is_paused = True
            with suppress(RuntimeError):  # it is closing
                self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._answer is not None:
            self._answer.end(exc)
