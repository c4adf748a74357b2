"""A paced load: requests leave at fixed times, whether or not earlier ones are answered.

Latency counts from the time a request was meant to leave, so a service that stalls can't hide it (no coordinated
omission). Runs as a process of its own, `python -m bench.paced URL --rate 400 --seconds 10`, until then or SIGTERM,
and prints JSON: `{"failed": 0, "answered": [[time, ms], …]}`.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import deque
from typing import cast
from urllib.parse import urlsplit

import uvloop
from tests.processes import HOST

from bench.notifications import Notifications

_DRAIN_SECONDS = 10


class Pace:
    """The requests' schedule, the connections that are free, and what came of each request."""

    def __init__(self) -> None:
        self.free: deque[Connection] = deque()
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.answered: list[tuple[float, float]] = []
        self.failed = 0

    def send(self, due: float, request: bytes) -> None:
        """On a free connection now, or on the next one that is."""
        if self.free:
            self.free.popleft().send(due, request)
        else:
            self.waiting.append((due, request))

    def answer(self, connection: "Connection", due: float, *, is_ok: bool) -> None:
        """Book an answer; its connection takes what has waited longest."""
        self.failed += not is_ok
        self.answered.append((due, time.time() - due))
        if self.waiting:
            connection.send(*self.waiting.popleft())
        else:
            self.free.append(connection)


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._transport: asyncio.WriteTransport | None = None
        self._due: float | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's own class is none of asyncio's
        self._pace.free.append(self)

    def send(self, due: float, request: bytes) -> None:
        assert self._transport is not None
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator or self._due is None or len(rest) < _content_length(head):
            return
        due, self._due, self._buffer = self._due, None, b""
        self._pace.answer(self, due, is_ok=b" 20" in head[:12])  # Alerta answers 201

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's shape
        if self._due is not None:
            self._pace.failed += 1
            self._due = None


def _content_length(head: bytes) -> int:
    value = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return int(value or 0)


async def run(url: str, *, rate: float, seconds: float, connections: int, seed: int, alerts: int = 10) -> Pace:
    """Send `rate` requests a second for that long; alerts that come alone begin when their request is due."""
    parts = urlsplit(url)
    pace = Pace()
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(pace), parts.hostname or HOST, parts.port or 80)
    notifications = Notifications(parts.path, alerts=alerts, seed=seed)
    is_over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, is_over.set)
    begin = time.time()
    sent = 0
    while not is_over.is_set() and (elapsed := time.time() - begin) < seconds:
        while sent / rate <= elapsed:
            due = begin + sent / rate
            pace.send(due, notifications.render(due if alerts == 1 else None))
            sent += 1
        await asyncio.sleep(max(begin + sent / rate - time.time(), 0))
    end = time.time() + _DRAIN_SECONDS
    while len(pace.answered) < sent and time.time() < end:  # an event a request would cost more
        await asyncio.sleep(0.01)
    pace.failed += sent - len(pace.answered)
    return pace


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alerts", type=int, default=10)
    asked = parser.parse_args()
    work = run(
        asked.url,
        rate=asked.rate,
        seconds=asked.seconds,
        connections=asked.connections,
        seed=asked.seed,
        alerts=asked.alerts,
    )
    pace = uvloop.run(work)
    answered = [(due, seconds * 1000) for due, seconds in pace.answered]
    json.dump({"failed": pace.failed, "answered": answered}, sys.stdout)


if __name__ == "__main__":
    main()
