"""SQLite: the process that only writes, as the service sees it: started under load, asked in turn, replaced if it dies.

It takes batches that hold no surprise. The thread that writes hands it one at a time and waits, so the process and the
thread never write at once. Nothing depends on the process: while there is none, the thread writes.
"""

import asyncio
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress

import msgspec
import structlog

from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.writer_main import WRITTEN, Opening, Order, send_frame

_MANY_ALERTS = 64
"""A batch as large as this means load: alerts arrived while the batch before it was written."""

_START_SECONDS = 10.0
_ANSWER_SECONDS = 20.0
_END_SECONDS = 5.0
_FIRST_REST_SECONDS = 1.0
_LONGEST_REST_SECONDS = 300.0

_IS_KEPT = "SELECT 1 FROM receipts WHERE id = ?"
_STATEMENTS = {
    "repeats": sql.COUNT_PLAIN_REPEATS,
    "alerts": sql.INSERT_ALERT,
    "terms": sql.INSERT_TERMS,
    "events": sql.INSERT_EVENT,
    "queue": sql.INSERT_QUEUE,
    "receipts": sql.INSERT_RECEIPT,
    "bodies": sql.INSERT_BODY,
}

_log = structlog.get_logger()
_encode = msgspec.msgpack.Encoder().encode


class WriterProcess:
    """At most one process. Its start is asked for in the event loop, its work in the thread that writes."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._starting: asyncio.Task[None] | None = None
        self._rest_seconds = _FIRST_REST_SECONDS
        self._not_before = 0.0
        self._is_closed = False

    def takes(self, alerts: int) -> bool:
        """Whether it takes a batch of so many alerts now. A large batch has it started, for those to come."""
        if self._socket is not None:
            return True
        if alerts >= _MANY_ALERTS and self._starting is None and time.monotonic() >= self._not_before:
            self._starting = asyncio.create_task(self._begin())
        return False

    async def write(self, order: Order, *, receipt_id: str) -> bool:
        """Have a batch written; whether it was. If not, nothing of it is. `receipt_id` is one of the batch's."""
        return await self._connections.in_turn(self._ask, _encode(order), receipt_id=receipt_id)

    def close(self) -> None:
        """Let the process end what it does, and wait for its end."""
        self._is_closed = True
        self._end(within_seconds=_END_SECONDS)

    async def _begin(self) -> None:
        try:
            await asyncio.to_thread(self._start)
        finally:
            self._starting = None

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", writer_module(), str(theirs.fileno())]
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603  # our own program
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
                )
            ours.settimeout(_START_SECONDS)
            send_frame(ours, _encode(Opening(self._connections.path, _STATEMENTS, sql.FINGERPRINT_AT, sql.LABELS_AT)))
            if ours.recv(1) != WRITTEN:
                raise ConnectionError("it ended while it started")  # as any other end
        except OSError as error:
            ours.close()
            self._end()
            self._rest(error)
            return
        ours.settimeout(_ANSWER_SECONDS)
        self._rest_seconds = _FIRST_REST_SECONDS
        self._socket = ours
        if self._is_closed:
            self._end(within_seconds=_END_SECONDS)

    def _ask(self, connection: sqlite3.Connection, frame: bytes, *, receipt_id: str) -> bool:
        """Send an order and wait for the answer. If the process dies over it, the file says what became of it."""
        sock = self._socket
        if sock is None:
            return False
        try:
            send_frame(sock, frame)
            answer = sock.recv(1)
            if answer:
                return answer == WRITTEN
            raise ConnectionError("it ended")  # as any other end
        except OSError as error:
            self._end()
            self._rest(error)
            return connection.execute(_IS_KEPT, (receipt_id,)).fetchone() is not None

    def _rest(self, error: Exception) -> None:
        """Do without a process for a while, longer each time one fails to start."""
        _log.warning("writer_process_ended", reason=str(error), again_after_seconds=self._rest_seconds)
        self._not_before = time.monotonic() + self._rest_seconds
        self._rest_seconds = min(2 * self._rest_seconds, _LONGEST_REST_SECONDS)

    def _end(self, *, within_seconds: float = 0.0) -> None:
        """End the process; its transaction ends with it."""
        sock, self._socket = self._socket, None
        process, self._process = self._process, None
        if sock is not None:
            sock.close()
        if process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(within_seconds)
            return
        process.kill()
        process.wait()


def writer_module() -> str:
    """The program of the process, as Python is to start it."""
    return f"{__package__}.writer_main"
