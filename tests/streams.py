"""Reads a stream of server-sent events over HTTP, as a client without a browser does."""

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

import httpx
import msgspec

PATIENCE_SECONDS = 20.0


class StreamEvent(msgspec.Struct, frozen=True):
    """One message. `data` is None for a message that only moves the id."""

    id: int
    kind: str
    data: str | None

    @property
    def json(self) -> Any:
        """The data, decoded."""
        return msgspec.json.decode(self.data or "null")


def read_stream(
    url: str, *, last: int | None = None, accept: str = "*/*", token: str = "", **asked: str
) -> Generator[StreamEvent]:
    """The messages of a stream, as they come; it ends with the stream, or when the line breaks.

    Raises: httpx.ReadTimeout where nothing comes for long.
    """
    headers = {"accept": accept} | ({} if last is None else {"last-event-id": str(last)})
    headers |= {"authorization": f"Bearer {token}"} if token else {}
    with (
        suppress(httpx.RemoteProtocolError, httpx.ReadError, httpx.ConnectError),
        httpx.stream("GET", url, params=asked, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        yield from _messages(answer.iter_lines())


def read_until(
    url: str, is_enough: Callable[[list[StreamEvent]], bool], *, last: int | None = None, **asked: str
) -> list[StreamEvent]:
    """The messages with data but for heartbeats, up to the one with which it is enough."""
    events: list[StreamEvent] = []
    for event in read_stream(url, last=last, **asked):
        events += [event] if event.data else []
        if is_enough(events):
            break
    return events


def _messages(lines: Iterator[str]) -> Iterator[StreamEvent]:
    fields: dict[str, str] = {}
    number = 0
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        elif fields:
            number = int(fields.get("id", number))
            yield StreamEvent(number, fields.get("event", ""), fields.get("data"))
            fields = {}
