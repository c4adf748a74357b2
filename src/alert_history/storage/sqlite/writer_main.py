"""SQLite: the program of the process that only writes.

A thread that writes and an event loop share one interpreter, so together they use one core. This process has an
interpreter of its own. It takes one order after the other from a socket, carries each out in one transaction, and
answers after the commit. It ends when the other side of the socket is gone.
"""

import signal
import socket
import sqlite3
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from alert_history.storage.sqlite.connection import open_connection
from alert_history.storage.sqlite.standing_log import StandingLog
from alert_history.storage.sqlite.strays import keep_strays
from alert_history.storage.sqlite.terms import MERGES, merge_terms, terms_of
from alert_history.zstd import ZstdCompressor

WRITTEN, SURPRISED, FAILED = b"w", b"s", b"f"
"""The answers: committed; not as foreseen, and nothing written; the database refused, and nothing written."""

ANSWER = struct.Struct("<cq")
"""An answer, and the number of the last row in the log of standings."""

_CACHE_KIB = 16 * 1024
_LENGTH = struct.Struct("<I")
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the service stops in order, and closes the socket last

_read_labels = msgspec.json.Decoder(dict[str, str]).decode

Rows = list[tuple[Any, ...]]


class Opening(msgspec.Struct, array_like=True):
    """The first frame: the file, the statements by the name of an order's field, and where a row has its labels."""

    path: str
    statements: dict[str, str]
    fingerprint_at: int
    labels_at: int


class KeepUp(msgspec.Struct, array_like=True, tag=True):
    """Move standings and merge the index of terms: a small step of what `SqliteUpkeep.prepare` does."""


class Order(msgspec.Struct, array_like=True, tag=True):
    """A batch: what must hold, and the rows to write. `bodies` are not compressed yet; `changes` are of the numbers.

    `standings` are of label sets that must have none; each of `repeats` must count.
    """

    standings: Rows
    repeats: Rows
    alerts: Rows
    events: Rows
    queue: Rows
    receipts: Rows
    bodies: Rows
    changes: Rows
    news: Rows


class _Surprise(Exception):
    """The file holds something else than was foreseen."""


class Writer:
    """Carries out orders on one connection."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._connection = open_connection(opening.path, cache_kib=_CACHE_KIB, is_writer=True)
        self._log = StandingLog()
        self._compressor = ZstdCompressor(level=1)

    @property
    def last(self) -> int:
        """The number of the last row in the log of standings."""
        return self._log.last

    def carry_out(self, order: Order | KeepUp) -> bytes:
        """Write an order whole or not at all; the answer."""
        try:
            if isinstance(order, KeepUp):
                self._keep_up()
                return WRITTEN
            with self._transaction():
                if not self._is_as_foreseen(order):
                    raise _Surprise  # noqa: TRY301  # as a key that is there already
                self._write(order)
        except (_Surprise, sqlite3.IntegrityError):
            return SURPRISED
        except sqlite3.Error:
            return FAILED
        return WRITTEN

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _keep_up(self) -> None:
        with self._transaction():
            self._log.move(self._connection)
        for _ in range(MERGES):
            with self._transaction():
                if not merge_terms(self._connection):
                    return

    def _is_as_foreseen(self, order: Order) -> bool:
        """Whether the label sets are new and all repeats count; counts them."""
        self._log.catch_up(self._connection)
        if self._log.find(self._connection, [row[0] for row in order.standings]):
            return False
        counted = self._connection.executemany(self._opening.statements["repeats"], order.repeats)
        return not order.repeats or counted.rowcount == len(order.repeats)

    def _write(self, order: Order) -> None:
        fingerprint_at, labels_at = self._opening.fingerprint_at, self._opening.labels_at
        terms = [(row[0], terms_of(row[fingerprint_at], _read_labels(row[labels_at]))) for row in order.alerts]
        compress = self._compressor.compress
        bodies = [(*key, compress(body, ZstdCompressor.FLUSH_FRAME)) for *key, body in order.bodies]
        if order.alerts:
            keep_strays(self._connection, [row[0] for row in order.alerts])
        self._insert("alerts", order.alerts)
        self._insert("terms", terms)
        self._insert("events", order.events)
        self._insert("queue", order.queue)
        self._log.write(self._connection, order.standings)
        self._insert("receipts", order.receipts)
        self._insert("bodies", bodies)
        self._insert("changes", order.changes)
        self._insert("news", order.news)

    def _insert(self, name: str, rows: Rows) -> None:
        self._connection.executemany(self._opening.statements[name], rows)


def framed(content: bytes) -> bytes:
    """A frame: the length of its content in 4 bytes, then the content."""
    return _LENGTH.pack(len(content)) + content


def _receive_frame(sock: socket.socket) -> bytearray | None:
    """The next frame; None where the other side is gone."""
    head = _receive(sock, _LENGTH.size)
    return None if head is None else _receive(sock, *_LENGTH.unpack(head))


def _receive(sock: socket.socket, size: int) -> bytearray | None:
    content = bytearray(size)
    view = memoryview(content)
    while view:
        received = sock.recv_into(view)
        if received == 0:
            return None
        view = view[received:]
    return content


def main(descriptor: int) -> None:
    """Carry out orders until the socket ends."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    read_order = msgspec.msgpack.Decoder(Order | KeepUp).decode
    with socket.socket(fileno=descriptor) as sock:
        opening = _receive_frame(sock)
        if opening is None:
            return
        writer = Writer(msgspec.msgpack.decode(opening, type=Opening))
        sock.sendall(WRITTEN)
        while (frame := _receive_frame(sock)) is not None:
            sock.sendall(ANSWER.pack(writer.carry_out(read_order(frame)), writer.last))


if __name__ == "__main__":
    main(int(sys.argv[1]))
