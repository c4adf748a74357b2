"""One connection of a caller, within bounds: how large a request's head may be, how long it and an answer may take.

uvicorn bounds none of these on httptools, and a replica's memory and file descriptors are everybody's. What is
overridden here is no public interface of uvicorn, so pyproject.toml names the first release that is not tried yet;
`tests/integration/test_connection.py` tells whether the next may be taken.
"""

import asyncio
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from alert_history.web.http.event_stream import END
from alert_history.web.http.problem import CONTENT_TYPE, problem
from alert_history.web.http.security_headers import SECURITY_LINES

MAX_HEAD_BYTES = 128 * 1024
_HEADER_OVERHEAD_BYTES = 32  # what a header costs beside its letters, as HTTP/2 counts it (RFC 9113, 6.5.2)
_HEAD_SECONDS = 30.0
_STALL_SECONDS = 30.0


class Connection(HttpToolsProtocol):
    """uvicorn's, but it ends for a head that is too large or does not come, and for a reader that does not read."""

    _head_bytes = 0
    _silent_bytes = 0  # that the parser has taken and told nothing of: it keeps them
    _is_heard = False
    _is_too_large = False
    _head_deadline: asyncio.TimerHandle | None = None
    _stall_check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """It must send a request now."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any longer."""
        self._end_wait()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it, unless that takes more memory than a request may cost."""
        self._is_heard = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._silent_bytes = 0 if self._is_heard else self._silent_bytes + len(data)
        if self._silent_bytes > MAX_HEAD_BYTES:
            self._is_too_large = True
            self.send_400_response("")
        elif self._head_deadline is None and self._is_unoccupied():
            self._await_head()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._is_heard = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the address. Raises ValueError when the head gets too large."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one trailer behind a chunked body. Raises ValueError when the head gets too large."""
        self._count(len(name) + len(value) + _HEADER_OVERHEAD_BYTES)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._end_wait()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body, which whoever reads it bounds."""
        self._is_heard = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._is_heard = True
        super().on_message_complete()

    def shutdown(self) -> None:
        """The server stops: an answer under way is sent to its end, and a stream comes to its end now."""
        super().shutdown()
        cycle: Any = self.cycle
        end = None if cycle is None else cycle.scope.get(END)
        if end is not None:
            end()

    def pause_writing(self) -> None:
        """The caller does not take its answer as fast as it is written."""
        super().pause_writing()
        self._stall_check = self.loop.call_later(_STALL_SECONDS, self._check_stall, self._unsent())

    def resume_writing(self) -> None:
        """It has taken it."""
        super().resume_writing()
        if self._stall_check is not None:
            self._stall_check.cancel()
            self._stall_check = None

    def send_400_response(self, msg: str) -> None:
        """A problem, as every other error is, and the end of the connection."""
        if self.transport.is_closing():
            return
        if self._is_too_large:
            detail = f"the request line and headers have more than {MAX_HEAD_BYTES} bytes"
            answer = problem("head-too-large", title="The headers are too large", status=431, detail=detail)
        else:
            answer = problem("malformed-request", title="This is no HTTP request", status=400, detail=msg)
        body = msgspec.json.encode(answer)
        head = f"content-type: {CONTENT_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
        self.transport.write(STATUS_LINE[answer.status] + head.encode() + SECURITY_LINES + b"\r\n" + body)
        self.transport.close()

    def _count(self, size: int) -> None:
        self._is_heard = True
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._is_too_large = True
            raise ValueError("the head is too large")  # the parser stops, and `send_400_response` says why

    def _is_unoccupied(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        return cycle is None or bool(cycle.response_complete)

    def _await_head(self) -> None:
        self._head_deadline = self.loop.call_later(_HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _end_wait(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def _check_stall(self, unsent_before: int) -> None:
        unsent = self._unsent()
        if unsent >= unsent_before:
            self.transport.abort()  # `close` would wait for the reader all the same
            return
        self._stall_check = self.loop.call_later(_STALL_SECONDS, self._check_stall, unsent)
