"""A client that sends what no HTTP library would, byte for byte, and reads one answer."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from tests.processes import HOST, Server

_TIMEOUT_SECONDS = 15


class RawAnswer(msgspec.Struct, frozen=True):
    """Status, headers (names in lower case) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def connection(server: Server) -> Iterator[socket.socket]:
    """A connection to it, closed at the end."""
    with socket.create_connection((HOST, server.port), timeout=_TIMEOUT_SECONDS) as made:
        yield made


def send_raw(server: Server, sent: bytes) -> RawAnswer:
    """What it answers to these bytes."""
    with connection(server) as made:
        made.sendall(sent)
        return read_answer(made)


def read_answer(made: socket.socket) -> RawAnswer:
    """The next answer on a connection, which must say its length."""
    with made.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        lines = iter(stream.readline, b"\r\n")
        parted = (line.decode("latin-1").partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in parted}
        return RawAnswer(status, headers, stream.read(int(headers["content-length"])))


def post_head(path: str, *headers: str) -> bytes:
    """The head of a POST of JSON with these headers, and the empty line after it."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")
