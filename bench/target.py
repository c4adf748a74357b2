"""A target as fast as one can be: a process of its own that answers every POST with a fixed 200, and counts.

`python -m bench.target PORT`. A path that begins with `/hang` is never answered. `GET /calls` says for each other path
how often it was called, and how many ms after the start of its alert, each time, since the last `GET /calls`.
"""

import asyncio
import json
import sys
import time
from datetime import datetime
from typing import cast

import uvloop
from tests.processes import HOST

_TAKEN = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_START = b'"starts_at":"'

_calls: dict[str, list[float]] = {}


class Connection(asyncio.Protocol):
    """One keep-alive connection; a request is whole when its body is."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's own class is none of asyncio's

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            length = _content_length(head)
            if not separator or len(rest) < length:
                return
            self._buffer = rest[length:]
            self._answer(head.split(b" ", 2)[1].decode(), rest[:length])

    def _answer(self, path: str, body: bytes) -> None:
        if path == "/calls":
            answer = json.dumps(_calls).encode()
            _calls.clear()
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)
        elif not path.startswith("/hang"):
            _calls.setdefault(path, []).append(_milliseconds_since_start(body))
            self._transport.write(_TAKEN)


def _content_length(head: bytes) -> int:
    value = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return int(value or 0)


def _milliseconds_since_start(body: bytes) -> float:
    text = body.partition(_START)[2].partition(b'"')[0].decode()
    return round((time.time() - datetime.fromisoformat(text).timestamp()) * 1000, 2)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, HOST, int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
