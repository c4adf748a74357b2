"""The start: how soon the service is ready, and what it takes while it has nothing to do."""

import time
from typing import NamedTuple

from tests.servers import unstarted_service

from bench.databases import Database
from bench.load import post_one
from bench.plan import Plan
from bench.report import Measured, at_most
from bench.watch import get, median, memory_mib, ready_seconds

_STARTS = 5
_REST_SECONDS = 2
_PROMISED_READY_SECONDS = 1.5
_PROMISED_IDLE_MIB = 120


class Start(NamedTuple):
    """One start: seconds until ready, MiB then, MiB after some use."""

    seconds: float
    idle_mib: float
    used_mib: float


def measure(database: Database, plan: Plan) -> list[Measured]:
    """Ready on an existing database and on a fresh one; memory when idle."""
    plan.say(f"{database.name}: start")
    fresh = [_start(database.fresh()) for _ in range(_STARTS)]
    existing = database.fresh()
    _start(existing)
    again = [_start(existing) for _ in range(_STARTS)]
    return [
        _ready_line(database.name, "ready", again),
        _ready_line(database.name, "ready, new database", fresh),
        _memory_line(database.name, "memory, idle", [start.idle_mib for start in again], how="after it was ready"),
        _memory_line(
            database.name, "memory, one notification later", [start.used_mib for start in again], how="and a page"
        ),
    ]


def _ready_line(name: str, what: str, starts: list[Start]) -> Measured:
    seconds = [start.seconds for start in starts]
    how = f"process start to /readyz 200; median of {_STARTS}, slowest {max(seconds):.2f} s"
    return Measured(name, what, median(seconds), "s", at_most(_PROMISED_READY_SECONDS), how)


def _memory_line(name: str, what: str, sizes: list[float], *, how: str) -> Measured:
    return Measured(name, what, median(sizes), "MiB", at_most(_PROMISED_IDLE_MIB), f"resident, {how}")


def _start(url: str) -> Start:
    with unstarted_service({"DATABASE_URL": url, "LOG_LEVEL": "warning"}) as server:
        seconds = ready_seconds(server)
        time.sleep(_REST_SECONDS)
        idle = memory_mib(server)
        post_one(server.url)
        get(server, "/history")
        time.sleep(_REST_SECONDS)
        used = memory_mib(server)
        server.terminate()
    return Start(seconds, idle, used)
