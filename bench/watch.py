"""Watching the service from outside: its memory, when it is ready, what its metrics say."""

import http.client
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from tests.processes import HOST, Server

from bench.cpu import cpu_seconds

_SAMPLE_SECONDS = 0.05
_POLL_SECONDS = 0.005
_READY_TIMEOUT_SECONDS = 60
_MEBIBYTE = 1024 * 1024


def memory_mib(server: Server) -> float:
    """Resident memory of the service and what it started."""
    process = psutil.Process(server.pid)
    sizes = [each.memory_info().rss for each in (process, *process.children(recursive=True))]
    return sum(sizes) / _MEBIBYTE


class Peak:
    """The most memory seen."""

    def __init__(self) -> None:
        self.mib = 0.0


@contextmanager
def memory_peak(server: Server) -> Iterator[Peak]:
    """Samples it every 50 ms meanwhile."""
    peak, is_over = Peak(), threading.Event()

    def sample() -> None:
        while not is_over.wait(_SAMPLE_SECONDS):
            peak.mib = max(peak.mib, memory_mib(server))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()


class Neighbours:
    """What share of the machine others took."""

    def __init__(self) -> None:
        self.share = 0.0


@contextmanager
def neighbours() -> Iterator[Neighbours]:
    """Watches them meanwhile: all processor time but that of this process and what it started."""
    seen = Neighbours()
    begin, all_before, ours_before = time.monotonic(), _all_cpu_seconds(), cpu_seconds(os.getpid())
    try:
        yield seen
    finally:
        others = (_all_cpu_seconds() - all_before) - (cpu_seconds(os.getpid()) - ours_before)
        available = (time.monotonic() - begin) * (psutil.cpu_count() or 1)
        seen.share = max(others, 0.0) / available


def _all_cpu_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "softirq", 0.0) + getattr(times, "steal", 0.0))


def ready_seconds(server: Server) -> float:
    """Starts it; seconds from the start of the process to the first 200 of `/readyz`."""
    begin = time.perf_counter()
    server.launch()
    while not _is_ready(server.port):
        assert server.is_running, server.log()
        assert time.perf_counter() - begin < _READY_TIMEOUT_SECONDS, server.log()
        time.sleep(_POLL_SECONDS)
    return time.perf_counter() - begin


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def get(server: Server, path: str) -> bytes:
    """The body of an answer 200."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == http.client.OK, f"{path}: {answer.status} {body[:200]!r}"
        return body
    finally:
        connection.close()


def batches(server: Server) -> tuple[float, float]:
    """Transactions of ingest so far, and the alerts in them."""
    text = get(server, "/metrics").decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    name = "alert_history_ingest_batch_alerts"
    return float(values[f"{name}_count"]), float(values[f"{name}_sum"])


def median(values: list[float]) -> float:
    """The middle one."""
    return statistics.median(values)
