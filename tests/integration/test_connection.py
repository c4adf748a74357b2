"""Callers that hold a connection without using it: each loses it, and those that do use theirs keep it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
import uvicorn

from alert_history.web.http import connection
from tests.processes import HOST

T = TypeVar("T")

_SHORT_SECONDS = 1.0
_DEADLINE_SECONDS = 60
_GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
_LARGE = b"x" * 32 * 1024 * 1024


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HEAD_SECONDS", _SHORT_SECONDS)
    monkeypatch.setattr(connection, "_STALL_SECONDS", _SHORT_SECONDS)


class _Application:
    """Answers with that; `is_done` when the answer is taken or its connection gone."""

    def __init__(self, answer: bytes = _LARGE) -> None:
        self._answer = answer
        self.is_done = asyncio.Event()

    async def __call__(self, _: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self._answer, "more_body": True})
        await asyncio.sleep(0)  # uvloop writes, and learns that it can't, only now
        await send({"type": "http.response.body"})
        self.is_done.set()


@asynccontextmanager
async def _serving(application: Any = None) -> AsyncIterator[int]:
    """The port of a server with these connections."""
    config = uvicorn.Config(application or _Application(), http=connection.Connection, lifespan="off", log_config=None)
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: connection.Connection(config, uvicorn.server.ServerState(), {}), HOST, 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _within(awaited: Awaitable[T]) -> T:
    async with asyncio.timeout(_DEADLINE_SECONDS):
        return await awaited


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HTTP/1.1\r\nHost: te", b"\r\n"],
    ids=["nothing", "half a head", "an empty line"],
)
async def test_head_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    async with _serving() as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(sent)
        assert await _within(reader.read()) == b""
        writer.close()
        await writer.wait_closed()


async def test_half_a_head_behind_an_answer_ends_the_connection() -> None:
    async with _serving(_Application(b"short")) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(_GET)
        await _within(reader.readuntil(b"0\r\n\r\n"))
        writer.write(_GET[:10])
        assert await _within(reader.read()) == b""
        writer.close()
        await writer.wait_closed()


async def test_reader_that_does_not_read_its_answer_loses_it() -> None:
    application = _Application()
    async with _serving(application) as port:
        with socket.create_connection((HOST, port)) as reader:
            reader.sendall(_GET)
            await _within(application.is_done.wait())


async def test_slow_reader_gets_all_of_its_answer() -> None:
    async with _serving() as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(_GET)
        got = 0
        while got < len(_LARGE):
            got += len(await _within(reader.read(4 * 1024 * 1024)))
            await asyncio.sleep(_SHORT_SECONDS / 20)  # slowness is what it is about
        writer.close()
        await writer.wait_closed()
