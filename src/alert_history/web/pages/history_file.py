"""`/dashboard/history/export`: all that a view of the history finds, as a file; memory stays the same."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from alert_history.engine.as_of import history_as_of
from alert_history.engine.export_rows import Rows, csv_head, csv_rows, json_rows
from alert_history.errors import InvalidQuery, Overloaded
from alert_history.ports import History, StoredAlert
from alert_history.web.pages.frame import Frames
from alert_history.web.pages.history_state import asked_of, read_state

MOST_AT_ONCE = 4
"""Each file that is being sent holds a connection to the database."""
_AFTER_SECONDS = 30

_Batches = AsyncIterator[list[StoredAlert]]


class _Format(NamedTuple):
    head: bytes
    rows: Rows
    media_type: str


_FORMATS: Mapping[str, _Format] = {
    "jsonl": _Format(b"", json_rows, "application/x-ndjson"),
    "csv": _Format(csv_head(), csv_rows, "text/csv; charset=utf-8"),
}


class HistoryFile:
    """The file."""

    def __init__(self, history: History, *, frames: Frames) -> None:
        self._history = history
        self._frames = frames
        self._running = 0

    async def send(self, request: Request) -> Response:
        """`GET /dashboard/history/export`: `format`, and the parameters of the page. The query alone bounds it."""
        name = request.query_params.get("format", "jsonl")
        format_ = _FORMATS.get(name)
        if format_ is None:
            raise InvalidQuery(f"format: {name!r} is none of {', '.join(_FORMATS)}")
        frame = await self._frames.of(request, "", page="dashboard/history")
        asked = asked_of(read_state(_without_format(request)), frame)
        if self._running >= MOST_AT_ONCE:
            raise Overloaded(f"{MOST_AT_ONCE} exports run already", after_seconds=_AFTER_SECONDS)
        batches = history_as_of(self._history, frame.then).export(asked.filter)
        self._running += 1
        try:
            first = await anext(aiter(batches), None)  # what goes wrong at once is a page that says so
        except BaseException:
            self._release()
            raise
        span = f"{frame.local(asked.since):%Y%m%d-%H%M}-{frame.local(asked.until):%Y%m%d-%H%M}"
        headers = {"content-disposition": f'attachment; filename="alerts-{span}.{name}"', "cache-control": "no-store"}
        return _File(_bytes(format_, first, batches), format_.media_type, headers, release=self._release)

    def _release(self) -> None:
        self._running -= 1


class _File(StreamingResponse):
    """A file that says when it was sent, or given up, also before its first byte."""

    def __init__(
        self, content: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str], *, release: Callable[[], None]
    ) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


async def _bytes(format_: _Format, first: list[StoredAlert] | None, batches: _Batches) -> AsyncIterator[bytes]:
    yield format_.head
    async with aclosing(batches) as rest:  # type: ignore[type-var]  # a generator
        if first is not None:
            yield format_.rows(first)
            async for batch in rest:
                yield format_.rows(batch)


def _without_format(request: Request) -> Request:
    pairs = [part for part in request.url.query.split("&") if not part.startswith("format=")]
    return Request({**request.scope, "query_string": "&".join(pairs).encode()})
