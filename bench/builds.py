"""Two builds in turn: an older revision of this project and this checkout, measured in one run.

The older one is checked out beside this one and gets what its own lock file names. Both run by turns on fresh
databases, the load beside them, so that a machine whose speed drifts does the same to both.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tests.processes import HOST, Server
from tests.servers import unstarted_service

from bench.databases import Database
from bench.ingest import KNOWN_ALERTS
from bench.load import full_load
from bench.notifications import FOLDER
from bench.targets import FastTarget, target_environment
from bench.watch import memory_mib, memory_peak, ready_seconds

_WARM_SECONDS = 1
_REST_SECONDS = 0.5
_PUBLISHED_SECONDS = 1  # of alerts at full speed: a queue of thousands, worked off
_LAST_CALL_SECONDS = 2.0
_POLL_SECONDS = 0.1
_folders = count()

SETUP = ("make", ".venv/.runtime")
"""What gives a checkout the Python of its lock file."""


class Build(NamedTuple):
    """A checkout, and the Python that has what its lock file names."""

    folder: Path
    python: Path

    @contextmanager
    def unstarted(self, env: Mapping[str, str]) -> Iterator[Server]:
        """Its service, not started yet."""
        with unstarted_service({"LOG_LEVEL": "error", **env, "PYTHONPATH": str(self.folder / "src")}) as server:
            server.command = [str(self.python), *server.command[1:]]
            yield server


class Figures(NamedTuple):
    """What one build did in one round. The first three are better when they are higher, the others when lower."""

    distinct_per_second: float
    repeats_per_second: float
    deliveries_per_second: float
    ready_seconds: float
    idle_mib: float
    peak_mib: float


def this_build() -> Build:
    """This very checkout."""
    return Build(FOLDER.parent, Path(sys.executable))


@contextmanager
def older_build(revision: str, *, folder: Path) -> Iterator[Build]:
    """A checkout of the revision in that folder, gone afterwards. Raises: subprocess.CalledProcessError."""
    git = ["git", "-C", str(FOLDER.parent), "worktree"]
    checkout = folder / "older"
    subprocess.run([*git, "add", "--quiet", "--detach", str(checkout), revision], check=True)
    try:
        subprocess.run(SETUP, cwd=checkout, check=True, stdout=subprocess.DEVNULL)
        yield Build(checkout, checkout / ".venv/bin/python")
    finally:
        subprocess.run([*git, "remove", "--force", str(checkout)], check=True)


def measure(build: Build, database: Database, target: FastTarget, *, folder: Path, seconds: float) -> Figures:
    """One round of one build: start and ingest on one database, publishing on another."""
    url = database.fresh()
    with build.unstarted({"DATABASE_URL": url}) as server:
        ready = ready_seconds(server)
        time.sleep(_REST_SECONDS)
        idle = memory_mib(server)
        with memory_peak(server) as peak:
            distinct, repeats = _ingest(server, seconds=seconds)
    database.drop(url)
    deliveries = _deliveries(build, database, target, folder=folder)
    return Figures(distinct, repeats, deliveries, ready, idle, peak.mib)


def _ingest(server: Server, *, seconds: float) -> tuple[float, float]:
    full_load(server.url, seconds=_WARM_SECONDS)
    time.sleep(_REST_SECONDS)
    distinct = full_load(server.url, seconds=seconds).alerts_per_second
    full_load(server.url, seconds=_WARM_SECONDS, kind="repeats", known=KNOWN_ALERTS)
    return distinct, full_load(server.url, seconds=seconds, kind="repeats", known=KNOWN_ALERTS).alerts_per_second


def _deliveries(build: Build, database: Database, target: FastTarget, *, folder: Path) -> float:
    """Calls a second of one webhook, from the first of many new alerts until it has been told of them all."""
    url = database.fresh()
    urls = {"fast": f"http://{HOST}:{target.port}/fast"}
    env = {"DATABASE_URL": url, **target_environment(folder / f"targets-{next(_folders)}", urls)}
    with build.unstarted(env) as server:
        server.start()
        target.calls()
        began = time.perf_counter()
        full_load(server.url, seconds=_PUBLISHED_SECONDS, path="/webhook/proxy")
        calls, ended = _all_calls(target)
    database.drop(url)
    return calls / (ended - began)


def _all_calls(target: FastTarget) -> tuple[int, float]:
    """How many calls there were until none came for two seconds, and when the last ones were seen."""
    number, last = 0, time.perf_counter()
    while time.perf_counter() - last < _LAST_CALL_SECONDS:
        if new := sum(map(len, target.calls().values())):
            number, last = number + new, time.perf_counter()
        time.sleep(_POLL_SECONDS)
    return number, last
