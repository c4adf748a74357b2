"""Workers: alerts a second and memory of the service with one process, and with more on the same port."""

import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from bench.databases import Database, Sqlite
from bench.ingest import KNOWN_ALERTS, running
from bench.load import full_load
from bench.peers import check_stored
from bench.plan import Plan
from bench.report import Measured, shown
from bench.watch import median, memory_peak

_WARM_SECONDS = 1
_SETTLE_SECONDS = 1


class Round(NamedTuple):
    """What one number of workers did in one round."""

    distinct_per_second: float
    distinct_p99_ms: float
    repeats_per_second: float
    peak_mib: float


def measure(database: Database, plan: Plan) -> list[Measured]:
    """One worker, two, and as many as there are cores, in turn; nothing on SQLite, which takes one process."""
    if isinstance(database, Sqlite):
        return []
    numbers = sorted({1, 2, os.cpu_count() or 1})
    rounds: dict[int, list[Round]] = {number: [] for number in numbers}
    for turn in range(plan.rounds):
        plan.say(f"{database.name}: workers, round {turn + 1} of {plan.rounds}")
        for number in numbers if turn % 2 == 0 else reversed(numbers):
            rounds[number].append(_round(database, number, seconds=plan.seconds))
            plan.keep(f"{database.name}: workers", [rounds])
    return [line for number in numbers for line in lines_of(database.name, number, rounds[number], rounds[1])]


def _round(database: Database, number: int, *, seconds: float) -> Round:
    url = database.fresh()
    with running(url, {"WORKERS": str(number)}) as server, memory_peak(server) as peak:
        before = database.count_alerts(url)
        distinct = full_load(server.url, seconds=seconds)
        time.sleep(_SETTLE_SECONDS)
        check_stored(distinct, database.count_alerts(url) - before)
        full_load(server.url, seconds=_WARM_SECONDS, kind="repeats", known=KNOWN_ALERTS)
        repeats = full_load(server.url, seconds=seconds, kind="repeats", known=KNOWN_ALERTS)
    database.drop(url)
    return Round(distinct.alerts_per_second, distinct.p99_ms, repeats.alerts_per_second, peak.mib)


def lines_of(name: str, number: int, rounds: Sequence[Round], single: Sequence[Round]) -> list[Measured]:
    """The medians, each beside those of one worker."""
    workers = f"{number} worker{'' if number == 1 else 's'}"
    lines = []
    for field, what, unit in (
        ("distinct_per_second", "distinct alerts", "alerts/s"),
        ("distinct_p99_ms", "p99, distinct alerts", "ms"),
        ("repeats_per_second", "repeated alerts", "alerts/s"),
        ("peak_mib", "memory", "MiB"),
    ):
        values, alone = ([getattr(each, field) for each in side] for side in (rounds, single))
        ratios = [mine / theirs for mine, theirs in zip(values, alone, strict=True)]
        spread = f"rounds {shown(min(ratios))} to {shown(max(ratios))}"
        note = f"{median(values) / median(alone):.2f} × one worker; {spread}"
        lines.append(Measured(name, f"{workers}: {what}", median(values), unit, note=note))
    return lines
