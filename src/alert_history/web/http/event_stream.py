"""An answer that goes on: server-sent events, as the HTML standard describes them in "Server-sent events".

Such an answer ends when the caller goes, or when the server stops: `web.http.connection` calls what stands in the
request's scope under `END`. It says of itself that it is a stream, so that nobody takes it for a slow answer.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from typing import Any

from starlette.responses import Response

END = "alert_history.end_stream"
"""Where the scope of a request has the function that ends its stream."""

MEDIA_TYPE = "text/event-stream"
BEGIN = b"retry: 2000\n"
"""The first line of a stream: come back after two seconds."""

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_line_ends = re.compile(r"\r\n|\r|\n")

Message = MutableMapping[str, Any]


def message(last: int, *, kind: str = "", data: str | None = None) -> bytes:
    """One message; without data it only moves the number from which a client goes on, and nobody is told."""
    lines = [f"id: {last}"]
    if kind:
        lines.append(f"event: {kind}")
    if data is not None:
        lines += [f"data: {line}" for line in _line_ends.split(data)]
    return "\n".join([*lines, "", ""]).encode()


class EventStream(Response):
    """Sends what `chunks` yield, as they are yielded. `end` is to make `chunks` come to an end."""

    def __init__(self, chunks: AsyncGenerator[bytes], *, end: Callable[[], None]) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        self._chunks = chunks
        self._end = end

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Send it to its end."""
        scope[END] = self._end
        watching = asyncio.create_task(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            del scope[END]
            watching.cancel()

    async def _watch(self, receive: Callable[[], Awaitable[Message]]) -> None:
        """End with the caller."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._end()
