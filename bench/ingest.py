"""Ingest: alerts a second beside the limit, the delay at half of that, and the memory it takes."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from tests.processes import Server
from tests.servers import service

from bench.databases import Database, Postgres
from bench.limit import copy_seconds, rows_written
from bench.load import ALERTS_A_REQUEST, CONNECTIONS, FullLoad, full_load, paced_load
from bench.plan import Plan
from bench.report import Measured, at_least, at_most, grouped, shown
from bench.watch import batches, median, memory_peak

KNOWN_ALERTS = 6_400
_WARM_SECONDS = 2
_SETTLE_SECONDS = 1  # for what was under way when wrk ended
_PROMISED = {"PostgreSQL": 10_000, "SQLite": 15_000}
_PROMISED_SHARE = 0.5
_PROMISED_REPEATS = {"PostgreSQL": at_least(20_000), "SQLite": None}
_PROMISED_P99_MS = 30
_PROMISED_PEAK_MIB = 256
_HOW = f"{ALERTS_A_REQUEST} alerts a request, 64 connections"


class Round(NamedTuple):
    """What one fresh service on one fresh database did."""

    distinct: FullLoad
    repeats: FullLoad
    half_p99_ms: float
    half_failed: int
    batch_alerts: float
    peak_mib: float
    copy_alerts_per_second: float
    copy_bare_alerts_per_second: float

    @property
    def share(self) -> float:
        """Of the limit."""
        return self.distinct.alerts_per_second / self.copy_alerts_per_second


@contextmanager
def running(url: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Our service on that database, warm."""
    with service({"DATABASE_URL": url, "LOG_LEVEL": "warning", **(env or {})}) as server:
        full_load(server.url, seconds=_WARM_SECONDS)
        time.sleep(_SETTLE_SECONDS)
        yield server


def measure(database: Database, plan: Plan) -> list[Measured]:
    """All rounds; the median of each number."""
    rounds = []
    for turn in range(plan.rounds):
        plan.say(f"{database.name}: ingest, round {turn + 1} of {plan.rounds}")
        rounds.append(_round(database, plan))
    return [*_speed(database.name, rounds), *_delay(database.name, rounds)]


def _round(database: Database, plan: Plan) -> Round:
    url = database.fresh()
    with running(url) as server, memory_peak(server) as peak:
        database.rest(url)
        distinct, batch_alerts = distinct_load(database, server, url, seconds=plan.seconds)
        alerts = database.count_alerts(url)
        full_load(server.url, seconds=_WARM_SECONDS, kind="repeats", known=KNOWN_ALERTS)
        repeats = full_load(server.url, seconds=plan.seconds, kind="repeats", known=KNOWN_ALERTS)
        database.rest(url)
        half = paced_load(server.url, alerts_per_second=distinct.alerts_per_second / 2, seconds=plan.seconds)
    copied, bare = _limit(database, url, alerts=alerts, batch_alerts=batch_alerts)
    database.drop(url)
    return Round(distinct, repeats, half.percentile(0.99), half.failed, batch_alerts, peak.mib, copied, bare)


def distinct_load(database: Database, server: Server, url: str, *, seconds: float) -> tuple[FullLoad, float]:
    """New alerts at full speed, and how many shared a transaction on average.

    Raises: AssertionError if the database doesn't hold exactly what was answered 200.
    """
    stored = database.count_alerts(url)
    transactions, alerts = batches(server)
    load = full_load(server.url, seconds=seconds)
    time.sleep(_SETTLE_SECONDS)
    end_transactions, end_alerts = batches(server)
    stored = database.count_alerts(url) - stored
    unanswered = CONNECTIONS * ALERTS_A_REQUEST
    assert load.alerts <= stored <= load.alerts + unanswered, f"{stored} stored, {load.alerts} acknowledged"
    return load, (end_alerts - alerts) / (end_transactions - transactions)


def _limit(database: Database, url: str, *, alerts: int, batch_alerts: float) -> tuple[float, float]:
    """Alerts a second by COPY: with events, receipts and bodies, and alone. NaN where there is no COPY."""
    if not isinstance(database, Postgres):
        return float("nan"), float("nan")
    tables = rows_written(url, alerts=alerts, alerts_a_request=ALERTS_A_REQUEST)
    alerts = len(tables[0].rows)
    speeds = []
    for copied in (tables, tables[:1]):
        empty = database.fresh()
        database.rest(empty)
        speeds.append(alerts / copy_seconds(empty, copied, transactions=max(round(alerts / batch_alerts), 1)))
        database.drop(empty)
    return speeds[0], speeds[1]


def _speed(name: str, rounds: list[Round]) -> list[Measured]:
    distinct = median([each.distinct.alerts_per_second for each in rounds])
    repeats = median([each.repeats.alerts_per_second for each in rounds])
    batch = median([each.batch_alerts for each in rounds])
    lines = [
        Measured(name, "distinct alerts", distinct, "alerts/s", at_least(_PROMISED[name]), _loads(rounds, batch)),
        Measured(name, "repeated alerts", repeats, "alerts/s", _PROMISED_REPEATS[name], _times(repeats, distinct)),
    ]
    if name == "PostgreSQL":
        lines.append(_share_line(rounds))
    return lines


def _times(repeats: float, distinct: float) -> str:
    return f"{grouped(KNOWN_ALERTS)} alerts again and again; {repeats / distinct:.2f} × the distinct ones"


def _loads(rounds: list[Round], batch: float) -> str:
    p50 = median([each.distinct.p50_ms for each in rounds])
    p99 = median([each.distinct.p99_ms for each in rounds])
    refused = sum(each.distinct.refused + each.distinct.broken for each in rounds)
    return f"{_HOW}; p50 {p50:.0f} ms, p99 {p99:.0f} ms, {refused} not 200; {batch:.0f} alerts a transaction"


def _share_line(rounds: list[Round]) -> Measured:
    copied = median([each.copy_alerts_per_second for each in rounds])
    bare = median([each.copy_bare_alerts_per_second for each in rounds])
    note = f"COPY of the same rows: {shown(copied)} alerts/s; without events, receipts and bodies: {shown(bare)}"
    share = median([each.share for each in rounds])
    return Measured("PostgreSQL", "distinct ÷ bare COPY", share, "", at_least(_PROMISED_SHARE), note)


def _delay(name: str, rounds: list[Round]) -> list[Measured]:
    p99 = median([each.half_p99_ms for each in rounds])
    failed = sum(each.half_failed for each in rounds)
    peak = max(each.peak_mib for each in rounds)
    best = min(each.half_p99_ms for each in rounds)
    how = f"paced, counted from when a request was due; best {best:.1f} ms, {failed} not 200"
    return [
        Measured(name, "p99 at half load", p99, "ms", at_most(_PROMISED_P99_MS), how),
        Measured(name, "memory under full load", peak, "MiB", at_most(_PROMISED_PEAK_MIB), "peak of resident memory"),
    ]
