"""The stream: what happens to occurrences, as server-sent events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.news import State
from alert_history.domain.permission import Permission
from alert_history.domain.query import parse_query
from alert_history.engine.live import Follower, Frame, Happening, Live
from alert_history.errors import AlertHistoryError
from alert_history.web.http.event_stream import BEGIN, MEDIA_TYPE, EventStream, message
from alert_history.web.http.operation import Operation

_MOST_DIGITS = 18
_UNKNOWN = -1

_encode = msgspec.json.Encoder().encode


class StreamParameters(msgspec.Struct, frozen=True):
    """What `/api/v1/stream` takes."""

    query: Annotated[str, Meta(description="Which occurrences, as in `/history`; all without it")] = ""
    after: Annotated[
        str,
        Meta(description="Go on behind the event with this `id`, as the header `Last-Event-ID` says; the header wins"),
    ] = ""


class StreamedEvent(msgspec.Struct, frozen=True):
    """The `data` of one event: what happened (`kind`) and when (`at`), and the occurrence that it happened to.

    `id` is that of the occurrence. `state` is what the occurrence was in after it; where its kind does not tell, as for
    `silenced`, what it is in when the event is sent. All else is as it is when the event is sent.
    """

    id: str
    kind: str
    at: datetime
    state: State
    alertname: str
    severity: str
    namespace: str
    labels: dict[str, str]
    fingerprint: str
    starts_at: datetime
    ends_at: datetime | None

    @classmethod
    def of(cls, happening: Happening) -> "StreamedEvent":
        """The event of something that happened."""
        alert = happening.alert
        return cls(
            alert.id,
            happening.kind,
            happening.at,
            happening.state,
            alert.alertname,
            alert.severity,
            alert.namespace,
            alert.labels,
            alert.fingerprint,
            alert.starts_at,
            alert.ends_at,
        )


class StreamApi:
    """The handler, on what follows the history live."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/stream",
                summary="What happens, as it happens",
                handle=self.stream,
                answer=StreamedEvent,
                tag="History",
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=StreamParameters,
                failures=(400, 503),
                description="Server-sent events, until the caller goes. `event` is what happened to an occurrence, as "
                "in its timeline, and `data` the occurrence. Each has an `id`, a number that rises with each commit: "
                "whoever sends the last one as `Last-Event-ID` misses nothing and gets nothing twice, on any replica. "
                "An hour is remembered; where an id is unknown or too old, `event: gap` says so first.",
                media_type=MEDIA_TYPE,
            )
        ]

    async def stream(self, request: Request, asked: StreamParameters) -> Response:
        """`GET /api/v1/stream`."""
        query = parse_query(asked.query)
        follower = await self._live.follow(query, after=place_of(request, asked.after), is_whole=True)
        return EventStream(_chunks(follower), end=follower.end)


def place_of(request: Request, after: str) -> int | None:
    """The number from which on a caller wants to hear; None for now. Any other text is a number nobody ever got."""
    text = request.headers.get("last-event-id", "") or after
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else _UNKNOWN


async def _chunks(follower: Follower) -> AsyncGenerator[bytes]:
    yield BEGIN
    try:
        async with aclosing(follower.frames()) as frames:
            async for frame in frames:
                yield frame.once("json", lambda: _written(frame))  # noqa: B023  # called at once
    except AlertHistoryError as error:
        yield f": {error}\n\n".encode()  # the end; a client comes again by itself


def _written(frame: Frame) -> bytes:
    """The messages of a frame, and the number up to which it tells."""
    if frame.gap is not None:
        gap = {"after": frame.gap.after, "continues_after": frame.last, "reason": frame.gap.reason}
        return message(frame.last, kind="gap", data=_encode(gap).decode())
    events = frame.happenings
    messages = [message(each.number, kind=each.kind, data=_encode(StreamedEvent.of(each)).decode()) for each in events]
    if not events or events[-1].number < frame.last:
        messages.append(message(frame.last))
    return b"".join(messages)
