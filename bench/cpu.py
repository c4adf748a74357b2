"""Processor time: of a server and its processes, and of the calls into SQLite that this process makes."""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from unittest.mock import patch

import psutil


def cpu_seconds(pid: int) -> float:
    """Of a process, of those that it started, and of those among them that have ended."""
    process = psutil.Process(pid)
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it ended just now, and is counted with its parent
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


class Clock:
    """Processor seconds inside SQLite, of all threads."""

    def __init__(self) -> None:
        self.seconds = 0.0


class _Connection(sqlite3.Connection):
    """Times what runs a statement; the arguments are made before the clock runs."""

    clock: Clock

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        begin = time.thread_time()
        try:
            return super().execute(sql, parameters)
        finally:
            self.clock.seconds += time.thread_time() - begin

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        rows = list(parameters)
        begin = time.thread_time()
        try:
            return super().executemany(sql, rows)
        finally:
            self.clock.seconds += time.thread_time() - begin


@contextmanager
def sqlite_clock() -> Iterator[Clock]:
    """Runs for connections that this process opens meanwhile. What other processes ask of SQLite is not in it."""
    clock = Clock()
    factory = type("TimedConnection", (_Connection,), {"clock": clock})
    with patch("sqlite3.connect", partial(sqlite3.connect, factory=factory)):
        yield clock
