"""Pages that arrive in parts: the frame at once, then each part as soon as it is known.

A template says where its parts stand, by `{{ part("name") }}`. All parts are made at the same time and sent in the
order of the page. What goes wrong in a part is said in its place; the others stay. `?part=name` answers that part
alone, for what renews itself.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeAlias

import structlog
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from alert_history.errors import AlertHistoryError, InvalidQuery
from alert_history.web.http.problem import problem_of
from alert_history.web.pages.assets import takes_gzip
from alert_history.web.pages.frame import Frame
from alert_history.web.pages.page import headers_of, rendered

Part: TypeAlias = Callable[[], Awaitable[str]]
"""Makes the HTML of a part."""

_GZIP_BITS = 31
_LEVEL = 5

_log = structlog.get_logger()


async def streamed(
    request: Request, frame: Frame, template: str, parts: Mapping[str, Part], **values: object
) -> Response:
    """A page whose parts follow, or the one part that is asked for."""
    alone = parts.get(request.query_params.get("part", ""))
    if alone is not None:
        return HTMLResponse(await part_html(alone, frame), headers=headers_of(frame))
    mark = f"part-{frame.nonce}-"
    html = rendered(template, frame=frame, part=lambda name: Markup(f"<!--{mark}{name}-->"), **values)  # noqa: S704  # names of ours
    chunks = _chunks(re.split(f"<!--{mark}([a-z_]+)-->", html), parts, frame)
    headers = {**headers_of(frame), "vary": "accept-encoding"}
    if takes_gzip(request):
        headers["content-encoding"] = "gzip"
        return StreamingResponse(_zipped(chunks), headers=headers, media_type="text/html; charset=utf-8")
    return StreamingResponse(_encoded(chunks), headers=headers, media_type="text/html; charset=utf-8")


async def _chunks(pieces: list[str], parts: Mapping[str, Part], frame: Frame) -> AsyncIterator[str]:
    """The texts between the parts, and the parts, in the order of the page."""
    async with asyncio.TaskGroup() as tasks:
        made = {name: tasks.create_task(part_html(parts[name], frame)) for name in pieces[1::2]}
        try:
            for number, piece in enumerate(pieces):
                yield await made[piece] if number % 2 else piece
        finally:
            for task in made.values():
                task.cancel()


async def part_html(part: Part, frame: Frame) -> str:
    """The HTML of a part. What goes wrong in it is said in its place."""
    try:
        return await part()
    except AlertHistoryError as error:
        answer = problem_of(error)
        is_asked_wrong = isinstance(error, InvalidQuery)
        return _fault(frame, answer.title, answer.detail, is_asked_wrong=is_asked_wrong)
    except Exception:  # noqa: BLE001  # the other parts of the page are worth showing
        _log.exception("part_failed")
        text = "The service made a mistake here. Its log says more."
        return _fault(frame, "This part can't be shown", text)


def _fault(frame: Frame, title: str, text: str, *, is_asked_wrong: bool = False) -> str:
    return rendered("page/fault.html.jinja", frame=frame, title=title, text=text, is_asked_wrong=is_asked_wrong)


async def _encoded(chunks: AsyncIterator[str]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk.encode()


async def _zipped(chunks: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """Compressed, and flushed behind each chunk, so that a browser shows it."""
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP_BITS)
    async for chunk in chunks:
        yield compressor.compress(chunk.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)
    yield compressor.flush()
