"""SQLite: the process that only writes, as the service sees it: started under load, and replaced if it dies.

It takes batches that hold no surprise, and carries them out one after the other. The event loop sends the next order
while the process works on one, without a thread: a thread that wakes up waits for the interpreter as long as a batch
takes. Nothing depends on the process: while there is none, the thread of the service writes.
"""

import asyncio
import socket
import sqlite3
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress

import msgspec
import structlog

from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.standing_log import StandingLog
from alert_history.storage.sqlite.writer_main import ANSWER, WRITTEN, KeepUp, Opening, Order, framed

_MANY_ALERTS = 40
"""A batch as large as this means load: alerts arrived while the batch before it was written."""

_START_SECONDS = 10.0
_ANSWER_SECONDS = 8.0
_END_SECONDS = 5.0
_FIRST_REST_SECONDS = 1.0
_LONGEST_REST_SECONDS = 300.0
_MOST_ANSWERS = 4096

_IS_KEPT = "SELECT 1 FROM receipts WHERE id = ?"
_STATEMENTS = {
    "repeats": sql.COUNT_PLAIN_REPEATS,
    "alerts": sql.INSERT_ALERT,
    "terms": sql.INSERT_TERMS,
    "events": sql.INSERT_EVENT,
    "queue": sql.INSERT_QUEUE,
    "receipts": sql.INSERT_RECEIPT,
    "bodies": sql.INSERT_BODY,
    "changes": sql.INSERT_ROLLUP,
    "news": sql.INSERT_NEWS,
}

_log = structlog.get_logger()
_encode = msgspec.msgpack.Encoder().encode


class _Lost(Exception):
    """The process ended before it answered."""


class _Running:
    """A process that takes orders, and the orders that wait for an answer, oldest first."""

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket) -> None:
        self.process = process
        self.sock = sock
        self.sending = asyncio.Lock()
        self.asked: deque[tuple[Order | KeepUp, asyncio.Future[bytes]]] = deque()
        self.received = bytearray()


class WriterProcess:
    """At most one process. Bound to one event loop."""

    def __init__(self, connections: Connections, log: StandingLog) -> None:
        self._connections = connections
        self._standings = log
        self._running: _Running | None = None
        self._starting: asyncio.Task[None] | None = None
        self._rest_seconds = _FIRST_REST_SECONDS
        self._not_before = 0.0
        self._is_closed = False

    def takes(self, alerts: int) -> bool:
        """Whether it takes a batch of so many alerts now. A large batch has it started, for those to come."""
        if self._running is not None:
            return True
        may_start = self._starting is None and not self._is_closed and time.monotonic() >= self._not_before
        if alerts >= _MANY_ALERTS and may_start:
            self._starting = asyncio.create_task(self._start())
        return False

    async def write(self, order: Order, *, receipt_id: str) -> bool:
        """Have a batch written; whether it was. If not, nothing of it is. `receipt_id` is one of the batch's.

        If the process dies over it, the file says what became of it.
        """
        try:
            return await self._have_done(order)
        except _Lost:
            return await self._connections.write(_is_kept, receipt_id)

    async def keep_up(self) -> bool:
        """Have a step of upkeep done; whether it was."""
        try:
            return self._running is not None and await self._have_done(KeepUp())
        except _Lost:
            return False

    async def _have_done(self, order: Order | KeepUp) -> bool:
        """Send an order in turn and wait for its answer; false without a process. Raises: _Lost."""
        await self._connections.turns.join()
        running = self._running
        if running is None:
            self._connections.turns.leave()
            return False
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await asyncio.shield(await self._ask(running, order)) == WRITTEN
        except (OSError, TimeoutError) as error:
            self._lose(running, error)
            raise _Lost from error

    async def close(self) -> None:
        """Let the process end what it does, and wait for its end."""
        self._is_closed = True
        if self._starting is not None:
            await self._starting
        running, self._running = self._running, None
        if running is not None:
            _stop_reading(running)
            await asyncio.to_thread(_end, running.process, within_seconds=_END_SECONDS)

    async def _ask(self, running: _Running, order: Order | KeepUp) -> asyncio.Future[bytes]:
        """Send an order; the answer to come. The turn ends with the answer, whoever still waits for it.

        Whoever is cancelled in the middle of an order leaves a process that can't be told another.
        """
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(self._take_back_turn)
        is_begun = False
        try:
            content = framed(_encode(order))
            async with running.sending:
                if is_begun := self._running is running:
                    running.asked.append((order, answer))
                    await asyncio.get_running_loop().sock_sendall(running.sock, content)
        except BaseException as error:
            if is_begun:
                self._lose(running, error)
            answer.cancel()
            raise
        if not is_begun:
            answer.set_exception(_ended())
        return answer

    def _take_back_turn(self, answer: asyncio.Future[bytes]) -> None:
        self._connections.turns.leave()
        if not answer.cancelled():
            answer.exception()  # whoever asked may be gone

    def _answered(self, running: _Running) -> None:
        """Hand out the answers that have come."""
        try:
            answers = running.sock.recv(_MOST_ANSWERS)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(running, error)
            return
        if not answers:
            self._lose(running, ConnectionError("it ended"))
        running.received += answers
        while len(running.received) >= ANSWER.size:
            word, last = ANSWER.unpack_from(running.received)
            del running.received[: ANSWER.size]
            order, answer = running.asked.popleft()
            if word == WRITTEN and isinstance(order, Order):
                self._standings.note([row[0] for row in order.standings], last=last)
            if not answer.done():
                answer.set_result(word)

    def _lose(self, running: _Running, error: BaseException) -> None:
        """The process is gone, or is to go: all that asked it must look into the file."""
        if self._running is running:
            self._running = None
            self._rest(error)
        _stop_reading(running)
        running.process.kill()
        asyncio.get_running_loop().run_in_executor(None, running.process.wait)
        while running.asked:
            _, answer = running.asked.popleft()
            if not answer.done():
                answer.set_exception(_ended())

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        process = None
        try:
            with theirs:
                process = await asyncio.to_thread(_spawn, theirs)
            opening = Opening(self._connections.path, _STATEMENTS, sql.FINGERPRINT_AT, sql.LABELS_AT)
            async with asyncio.timeout(_START_SECONDS):
                await loop.sock_sendall(ours, framed(_encode(opening)))
                is_ready = await loop.sock_recv(ours, 1) == WRITTEN
            if is_ready:
                self._rest_seconds = _FIRST_REST_SECONDS
                self._running = running = _Running(process, ours)
                loop.add_reader(ours.fileno(), self._answered, running)
                return
            self._rest(ConnectionError("it ended while it started"))
        except OSError as error:
            self._rest(error)
        finally:
            self._starting = None
            if self._running is None:
                ours.close()
                if process is not None:
                    await asyncio.to_thread(_end, process)

    def _rest(self, error: BaseException) -> None:
        """Do without a process for a while, longer each time one fails to start."""
        _log.warning("writer_process_ended", reason=str(error), again_after_seconds=self._rest_seconds)
        self._not_before = time.monotonic() + self._rest_seconds
        self._rest_seconds = min(2 * self._rest_seconds, _LONGEST_REST_SECONDS)


def _spawn(theirs: socket.socket) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"{__package__}.writer_main", str(theirs.fileno())]
    return subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)  # noqa: S603  # our own


def _ended() -> ConnectionError:
    return ConnectionError("the process that writes ended")


def _stop_reading(running: _Running) -> None:
    if running.sock.fileno() >= 0:
        asyncio.get_running_loop().remove_reader(running.sock.fileno())
        running.sock.close()


def _end(process: subprocess.Popen[bytes], *, within_seconds: float = 0.0) -> None:
    """End a process; its transaction ends with it."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(within_seconds)
        return
    process.kill()
    process.wait()


def _is_kept(connection: sqlite3.Connection, receipt_id: str) -> bool:
    return connection.execute(_IS_KEPT, (receipt_id,)).fetchone() is not None
