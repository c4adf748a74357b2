"""Publishing: deliveries a second, how soon a target is called, with others that hang, and with a long queue."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

from tests.processes import HOST, Server
from tests.servers import service

from bench.backlog import fill_queue, lease_times
from bench.databases import Database
from bench.load import PacedRun, percentile
from bench.plan import Plan
from bench.report import Measured, at_least, at_most, grouped
from bench.targets import FastTarget, fast_target, target_environment
from bench.watch import median, memory_mib, memory_peak

_DELIVERIES = 30_000
_LARGEST_QUEUE = 1_000_000
_LEASES = 200
_LEASE_BATCH = 64
_TARGETS = 20
_HANGING = 5
_PACED_ALERTS = 300
_SHARED_ALERTS = 20  # a second, to twenty targets each
_WARM_SECONDS = 3
_LAST_SECONDS = 1  # for what is under way when a load has ended
_POLL_SECONDS = 0.02
_PROMISED_DELIVERIES = {"PostgreSQL": at_least(1_500), "SQLite": None}
_PROMISED_P50_MS = 30
_PROMISED_P99_MS = 200
_PROMISED_GROWTH = 1.5
_PROMISED_LEASE_MS = 10
_PROMISED_GROWTH_MIB = {
    "PostgreSQL": 32,
    "SQLite": 64,
}  # of SQLite, 36 are page caches; a queue in memory would take hundreds

_folders = count()


class _Delays(NamedTuple):
    """One round: ms from when a request was due to when the target had been called."""

    p50: float
    p99: float


def measure(database: Database, plan: Plan) -> list[Measured]:
    """All of it, each part on databases of its own."""
    with fast_target() as target:
        return [
            *_speed(database, target, plan),
            *_delay(database, target, plan),
            _growth(database, target, plan),
            *_backlog(database, target, plan),
        ]


@contextmanager
def _running(url: str, plan: Plan, urls: Mapping[str, str]) -> Iterator[Server]:
    folder = plan.folder / f"targets-{next(_folders)}"
    env = {"DATABASE_URL": url, "LOG_LEVEL": "error", **target_environment(folder, urls)}
    with service(env) as server:
        yield server


def _url(target: FastTarget, path: str) -> str:
    return f"http://{HOST}:{target.port}/{path}"


# --- Speed ------------------------------------------------------------------------------------------------------------


def _speed(database: Database, target: FastTarget, plan: Plan) -> list[Measured]:
    speeds = []
    for turn in range(plan.rounds):
        plan.say(f"{database.name}: deliveries a second, round {turn + 1} of {plan.rounds}")
        speeds.append(_deliveries_per_second(database, target, plan))
    how = f"{grouped(_DELIVERIES)} in the queue when the one pod starts, one webhook; slowest {min(speeds):.0f}"
    return [Measured(database.name, "deliveries", median(speeds), "/s", _PROMISED_DELIVERIES[database.name], how)]


def _deliveries_per_second(database: Database, target: FastTarget, plan: Plan) -> float:
    """Between the first call and the last."""
    url = database.fresh()
    fill_queue(database, url, "fast", number=_DELIVERIES)
    target.calls()
    with _running(url, plan, {"fast": _url(target, "fast")}):
        first = _calls(target)
        begin = time.perf_counter()
        others = 0
        while first + others < _DELIVERIES:
            others += _calls(target)
        speed = others / (time.perf_counter() - begin)
    database.drop(url)
    return speed


def _calls(target: FastTarget) -> int:
    """How many there were since this was asked last; waits for one at least."""
    while True:
        if calls := target.calls():
            return len(calls["/fast"])
        time.sleep(_POLL_SECONDS)


# --- Delay ------------------------------------------------------------------------------------------------------------


def _delay(database: Database, target: FastTarget, plan: Plan) -> list[Measured]:
    rounds = []
    for turn in range(plan.rounds):
        plan.say(f"{database.name}: webhook to target, round {turn + 1} of {plan.rounds}")
        calls = _paced(database, target, plan, urls={"fast": _url(target, "fast")}, alerts_per_second=_PACED_ALERTS)
        rounds.append(_delays(calls["/fast"]))
    how = f"{_PACED_ALERTS} requests a second with one alert each, counted from when a request was due"
    p50, p99 = median([delays.p50 for delays in rounds]), median([delays.p99 for delays in rounds])
    return [
        Measured(database.name, "webhook due to target called, p50", p50, "ms", at_most(_PROMISED_P50_MS), how),
        Measured(database.name, "webhook due to target called, p99", p99, "ms", at_most(_PROMISED_P99_MS), how),
    ]


def _growth(database: Database, target: FastTarget, plan: Plan) -> Measured:
    well, beside = [], []
    for turn in range(plan.rounds):
        plan.say(f"{database.name}: beside targets that hang, round {turn + 1} of {plan.rounds}")
        well.append(_of_those_well(database, target, plan, hanging=0).p99)
        beside.append(_of_those_well(database, target, plan, hanging=_HANGING).p99)
    p99s = f"p99 of the others {median(beside):.0f} ms, {median(well):.0f} ms if none hangs"
    how = f"{_HANGING} of {_TARGETS} hang, {_SHARED_ALERTS} alerts a second to each; {p99s}"
    growth = median(beside) / median(well)
    return Measured(database.name, "p99 beside targets that hang ÷ without", growth, "", at_most(_PROMISED_GROWTH), how)


def _of_those_well(database: Database, target: FastTarget, plan: Plan, *, hanging: int) -> _Delays:
    """Of the targets that hang in no round."""
    names = [f"target-{number:02}" for number in range(_TARGETS)]
    urls = {name: _url(target, f"{'hang/' if place < hanging else ''}{name}") for place, name in enumerate(names)}
    calls = _paced(database, target, plan, urls=urls, alerts_per_second=_SHARED_ALERTS)
    return _delays([ms for name in names[_HANGING:] for ms in calls[f"/{name}"]])


def _delays(milliseconds: Sequence[float]) -> _Delays:
    return _Delays(percentile(milliseconds, 0.5), percentile(milliseconds, 0.99))


def _paced(
    database: Database, target: FastTarget, plan: Plan, *, urls: Mapping[str, str], alerts_per_second: float
) -> dict[str, list[float]]:
    """The calls of a load on a service that has run warm, by path."""
    url = database.fresh()
    with _running(url, plan, urls) as server:
        _load(server, alerts_per_second=alerts_per_second, seconds=_WARM_SECONDS)
        target.calls()
        _load(server, alerts_per_second=alerts_per_second, seconds=plan.seconds)
        calls = target.calls()
    database.drop(url)
    return calls


def _load(server: Server, *, alerts_per_second: float, seconds: float) -> None:
    """One alert a request, whose start is when the request was due. Raises: AssertionError where one is refused."""
    load = PacedRun(
        server.url, path="/webhook/proxy", alerts=1, alerts_per_second=alerts_per_second, seconds=seconds
    ).finish()
    assert load.failed == 0, f"{load.failed} not 200"
    time.sleep(_LAST_SECONDS)


# --- A long queue -----------------------------------------------------------------------------------------------------


def _backlog(database: Database, target: FastTarget, plan: Plan) -> list[Measured]:
    number = min(plan.history, _LARGEST_QUEUE)
    plan.say(f"{database.name}: a queue of {grouped(number)}")
    url = database.fresh()
    fill_queue(database, url, "fast", number=number)
    leases = asyncio.run(lease_times(url, "fast", leases=_LEASES, batch=_LEASE_BATCH))
    grown = _grown_mib(url, target, plan)
    database.drop(url)
    p50, p99 = percentile(leases, 0.5), percentile(leases, 0.99)
    how = f"{_LEASE_BATCH} of {grouped(number)}, the commit included; p99 {p99:.1f} ms"
    working = f"the most while it works off {grouped(number)}, above what it takes when it has begun"
    most = at_most(_PROMISED_GROWTH_MIB[database.name])
    return [
        Measured(database.name, "lease query", p50, "ms", at_most(_PROMISED_LEASE_MS), how),
        Measured(database.name, "memory for a long queue", grown, "MiB", most, working),
    ]


def _grown_mib(url: str, target: FastTarget, plan: Plan) -> float:
    with _running(url, plan, {"fast": _url(target, "fast")}) as server:
        target.calls()
        _calls(target)
        began = memory_mib(server)
        with memory_peak(server) as peak:
            time.sleep(plan.seconds)
    target.calls()
    return peak.mib - began
