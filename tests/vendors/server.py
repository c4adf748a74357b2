"""A local server in a vendor's place: it answers as the vendor would, or has one bad day after the other.

Holds HTTP/1.1 over a socket, so that an answer may also be slow, torn or no HTTP at all. Every request is kept. Runs in
the test's own loop, on a free loopback port. Must not know any vendor.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

import msgspec

HOST = "127.0.0.1"
_DRIP_SECONDS = 0.02
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Request:
    """One request as it came. `headers` has lower-case names; `header_lines` has each line as sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    header_lines: tuple[str, ...]
    body: bytes

    def json(self) -> Any:
        """The body, decoded. Raises msgspec.DecodeError where it is no JSON."""
        return msgspec.json.decode(self.body)


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(status: int, document: object, *, media: str = "application/json") -> Reply:
    """An answer that holds `document`."""
    return Reply(status, msgspec.json.encode(document), {"content-type": media})


class Vendor(Protocol):
    """Who answers where no bad day is due."""

    def answer(self, request: Request) -> Reply:
        """As the vendor does, checking all that the vendor checks."""
        ...


Day = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]
"""What becomes of one request. The connection ends with it."""


@dataclass
class VendorServer:
    """A running server. `requests` holds all that came, oldest first."""

    url: str
    vendor: Vendor
    requests: list[Request] = field(default_factory=list)
    days: deque[Day] = field(default_factory=deque)

    def script(self, *days: Day) -> None:
        """Have these days, one a request, before answering as the vendor again."""
        self.days.extend(days)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while request := await _read(reader):
                self.requests.append(request)
                if self.days:
                    await self.days.popleft()(request, writer)
                    break
                writer.write(_written(self.vendor.answer(request)))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever asked has hung up
        finally:
            writer.close()


@asynccontextmanager
async def serving(vendor: Vendor) -> AsyncIterator[VendorServer]:
    """The vendor's server on a free port; connections still open are cut at the end."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await running.handle(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            connections.discard(task)

    listener = await asyncio.start_server(connected, HOST, 0)
    running = VendorServer(f"http://{HOST}:{listener.sockets[0].getsockname()[1]}", vendor)
    try:
        yield running
    finally:
        listener.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


# --- Days -------------------------------------------------------------------------------------------------------------


def replies(status: int, body: bytes | str = b"", **headers: str) -> Day:
    """Answers so; `_` in the names of headers is written `-`."""
    raw = body.encode() if isinstance(body, str) else body
    reply = Reply(status, raw, {name.replace("_", "-"): value for name, value in headers.items()})

    async def day(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(_written(reply))
        await writer.drain()

    return day


def echoes(status: int) -> Day:
    """Answers with all that was asked, as debug pages do."""

    async def day(request: Request, writer: asyncio.StreamWriter) -> None:
        echo = "\n".join([request.path, *request.header_lines]).encode() + b"\n" + request.body
        writer.write(_written(Reply(status, echo)))
        await writer.drain()

    return day


async def hangs(_: Request, writer: asyncio.StreamWriter) -> None:
    """Says nothing until the other side gives up."""
    await writer.wait_closed()


async def drips_headers(_: Request, writer: asyncio.StreamWriter) -> None:
    """Answers a byte at a time, without ever coming to an end."""
    await _drip(writer, b"HTTP/1.1 200 OK\r\nx-padding: ")


async def drips_body(_: Request, writer: asyncio.StreamWriter) -> None:
    """Answers 500 at once, and then a byte at a time."""
    await _drip(writer, b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 1000000\r\n\r\n")


async def resets(_: Request, writer: asyncio.StreamWriter) -> None:
    """Resets the connection."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


async def tears(_: Request, writer: asyncio.StreamWriter) -> None:
    """Ends in the middle of its answer."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok")
    await writer.drain()


async def babbles(_: Request, writer: asyncio.StreamWriter) -> None:
    """Speaks no HTTP."""
    writer.write(b"\x00\xff\x16\x03 220 smtp ready\r\n\r\n")
    await writer.drain()


async def _drip(writer: asyncio.StreamWriter, beginning: bytes) -> None:
    writer.write(beginning)
    while not writer.transport.is_closing():
        await writer.drain()
        await asyncio.sleep(_DRIP_SECONDS)  # what makes a slow server slow
        writer.write(b"x")


# --- HTTP -------------------------------------------------------------------------------------------------------------


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request, or None when there is none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, tuple(lines), body)


def _written(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}", f"content-length: {len(reply.body)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body
