"""`/dashboard/history/export`: all that a view of the history finds, as a file; memory stays the same."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

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
        frame = await self._frames.of(request, "")
        asked = asked_of(read_state(_without_format(request)), frame)
        if self._running >= MOST_AT_ONCE:
            raise Overloaded(f"{MOST_AT_ONCE} exports run already", after_seconds=_AFTER_SECONDS)
        batches = self._history.export(asked.filter)
        first = await anext(aiter(batches), None)  # what goes wrong at once is a page that says so
        span = f"{frame.local(asked.since):%Y%m%d-%H%M}-{frame.local(asked.until):%Y%m%d-%H%M}"
        headers = {"content-disposition": f'attachment; filename="alerts-{span}.{name}"', "cache-control": "no-store"}
        return StreamingResponse(
            self._bytes(format_, first, batches), media_type=format_.media_type, headers={**headers, **frame.headers}
        )

    async def _bytes(
        self, format_: _Format, first: list[StoredAlert] | None, batches: _Batches
    ) -> AsyncIterator[bytes]:
        self._running += 1
        try:
            yield format_.head
            async with aclosing(batches) as rest:  # type: ignore[type-var]  # a generator
                if first is not None:
                    yield format_.rows(first)
                    async for batch in rest:
                        yield format_.rows(batch)
        finally:
            self._running -= 1


def _without_format(request: Request) -> Request:
    pairs = [part for part in request.url.query.split("&") if not part.startswith("format=")]
    return Request({**request.scope, "query_string": "&".join(pairs).encode()})
