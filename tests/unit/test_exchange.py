"""HTTP on the wire: an answer is the same however it arrives, and a connection serves again only if it is clean."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.targets.exchange import MAX_HEAD_BYTES, Answer, written
from alert_history.targets.guard import MAX_ANSWER_BYTES, guarded_client
from tests.processes import HOST

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"
CONTINUED = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + SIZED
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\nhello"


async def body_of(answer: Answer) -> bytes:
    await answer.head(1)
    pieces = []
    while piece := await answer.piece(1):
        pieces.append(piece)
    return b"".join(pieces)


@given(
    case=st.sampled_from([(SIZED, b"hello"), (CHUNKED, b"hello"), (CONTINUED, b"hello"), (EMPTY, b"")]),
    cuts=st.lists(st.integers(0, 120)),
)
async def test_an_answer_is_the_same_however_it_is_cut(case: tuple[bytes, bytes], cuts: Sequence[int]) -> None:
    raw, body = case
    answer = Answer()
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    for begin, end in pairwise(edges):
        if begin < end:
            answer.feed(raw[begin:end])
    assert await body_of(answer) == body
    assert (answer.is_complete, answer.may_follow) == (True, True)
    assert b"Link" not in dict(answer.headers)


async def test_an_answer_of_unknown_length_ends_with_the_connection() -> None:
    answer = Answer()
    answer.feed(ENDLESS)
    answer.end(None)
    assert (await body_of(answer), answer.may_follow) == (b"hello", False)


@pytest.mark.parametrize("raw", [SIZED[:-1], CHUNKED[:-3], SIZED[:20], b""])
@pytest.mark.parametrize("error", [None, ConnectionResetError()])
async def test_an_answer_that_breaks_off_is_an_error(raw: bytes, error: Exception | None) -> None:
    answer = Answer()
    answer.feed(raw)
    answer.end(error)
    with pytest.raises(httpx.TransportError):
        await body_of(answer)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"220 smtp ready\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * (MAX_HEAD_BYTES // 6 + 1),
    ],
)
async def test_what_is_no_answer_is_an_error(raw: bytes) -> None:
    answer = Answer()
    answer.feed(raw)
    with pytest.raises(httpx.RemoteProtocolError):
        await body_of(answer)


async def test_silence_ends_in_time() -> None:
    answer = Answer()
    with pytest.raises(httpx.ReadTimeout):
        await answer.head(0.01)


async def test_who_says_more_than_asked_is_asked_no_more() -> None:
    second = SIZED.replace(b"200 OK", b"500 No").replace(b"hello", b"world")
    for pieces in ([SIZED, second], [SIZED + second], [SIZED + second[:3]]):
        answer = Answer()
        for piece in pieces:
            answer.feed(piece)
        assert (answer.status, await body_of(answer), answer.may_follow) == (200, b"hello", False)


@pytest.mark.parametrize(
    "method,path,header",
    [
        (b"POST", b"/a b", (b"x", b"y")),
        (b"POST", b"/\r\nx: y", (b"x", b"y")),
        (b"PO ST", b"/", (b"x", b"y")),
        (b"POST", b"/", (b"x", b"y\r\nz: 1")),
        (b"POST", b"/", (b"x", b"y\nz: 1")),
        (b"POST", b"/", (b"x", b"\x00")),
        (b"POST", b"/", (b"x: y\r\nz", b"1")),
        (b"POST", b"/", (b"", b"1")),
    ],
)
def test_nothing_breaks_out_of_its_place(method: bytes, path: bytes, header: tuple[bytes, bytes]) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        written(method, path, [header], b"")


# --- connections ---


@dataclass
class Server:
    """Answers each request as told, and counts connections."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/"


Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[Server]:
    made = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.connections += 1
        if (task := asyncio.current_task()) is not None:
            tasks.add(task)
        try:
            while True:
                made.requests.append(await reader.readuntil(b"\r\n\r\n"))
                await serve(writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            made.closed.set()
        finally:
            writer.close()

    server = await asyncio.start_server(connected, HOST, 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


def says(raw: bytes) -> Serve:
    async def serve(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return serve


@pytest.mark.parametrize("raw", [SIZED, CHUNKED, CONTINUED, EMPTY])
async def test_a_connection_serves_again(raw: bytes) -> None:
    async with serving(says(raw)) as server, guarded_client(allow_private=True) as client:
        for _ in range(3):
            assert (await client.get(server.url)).is_success
    assert (server.connections, len(server.requests)) == (1, 3)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        EMPTY + b"more",
    ],
)
async def test_a_connection_that_is_not_clean_serves_no_more(raw: bytes) -> None:
    async with serving(says(raw)) as server, guarded_client(allow_private=True) as client:
        for _ in range(2):
            assert (await client.get(server.url)).is_success
    assert server.connections == 2


async def test_requests_at_the_same_time_take_a_connection_each() -> None:
    async with serving(says(SIZED)) as server, guarded_client(allow_private=True) as client:
        await asyncio.gather(*(client.get(server.url) for _ in range(4)))
        await asyncio.gather(*(client.get(server.url) for _ in range(4)))
    assert server.connections == 4


async def test_a_connection_that_its_server_closed_is_not_used_again() -> None:
    async def once(writer: asyncio.StreamWriter) -> None:
        writer.write(SIZED)
        writer.close()
        await writer.wait_closed()

    async with serving(once) as server, guarded_client(allow_private=True) as client:
        await client.get(server.url)
        async with asyncio.timeout(10):
            await server.closed.wait()
        assert (await client.get(server.url)).is_success
    assert server.connections == 2


async def test_an_answer_that_is_not_read_to_its_end_closes_the_connection() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 900_000
    async with serving(says(raw)) as server, guarded_client(allow_private=True) as client:
        async with client.stream("GET", server.url) as answer:
            assert answer.is_success
        async with client.stream("GET", server.url) as answer:
            assert len(await answer.aread()) == 900_000
    assert server.connections == 2


async def test_a_server_that_floods_is_held_back() -> None:
    written_bytes = 0

    async def floods(writer: asyncio.StreamWriter) -> None:
        nonlocal written_bytes
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            written_bytes += 65536

    async with serving(floods) as server, guarded_client(allow_private=True) as client:
        async with client.stream("GET", server.url) as answer:
            before = -1
            while before != written_bytes:  # until it can write no more
                before = written_bytes
                await asyncio.sleep(0.05)
            pieces = answer.aiter_raw()
            assert await anext(pieces)
            with pytest.raises(httpx.RemoteProtocolError, match=f"more than {MAX_ANSWER_BYTES}"):
                async for _ in pieces:
                    pass
        async with asyncio.timeout(10):
            await server.closed.wait()
