"""Retention: whether ingest notices that old history is being removed.

The delay at half load is taken twice in one run of the service: while nothing is removed, and while the job does
its work. The job looks for old history at the start and then every minute.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple

import asyncpg
from tests.servers import service

from bench.databases import Database, Postgres, sqlite_path, with_connection
from bench.fill import fill
from bench.ingest import distinct_load, running
from bench.load import PacedLoad, PacedRun
from bench.past import Occurrence, occurrences
from bench.plan import Plan
from bench.report import Measured, at_most, grouped

_RETENTION = timedelta(days=300)
_SLACK = timedelta(days=8)  # so that the week of the newest old one is past retention, too
_OLD_SPAN = timedelta(days=56)
_KEPT = 200_000
_PROMISED_RATIO = 2
_CALM_SECONDS = 20
_MARGIN_SECONDS = 0.5  # around a removal: what it does before and after it can be seen
_TURN_SECONDS = 300
_LONGEST_SECONDS = 1800
_POLL_SECONDS = 0.02

_OLD_PARTITIONS = """SELECT c.relname, p.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    WHERE p.relname IN ('alerts', 'events') AND c.relname ~ '_p[0-9]{8}$' AND right(c.relname, 8) < $1"""
_OLD_LEFT = f"SELECT count(*) FROM ({_OLD_PARTITIONS}) AS old"

Span = tuple[float, float]


class Outcome(NamedTuple):
    """The load, and its spans (unix seconds) with and without a removal."""

    load: PacedLoad
    removing: Span
    calm: Span


def measure(database: Database, plan: Plan) -> list[Measured]:
    """Remove `plan.old` occurrences while ingest runs at half its speed."""
    now = datetime.now(UTC)
    url = database.fresh()
    plan.say(f"{database.name}: filling {grouped(plan.old)} occurrences past retention")
    fill(database, url, _history(plan, now), number=plan.old + _KEPT)
    plan.say(f"{database.name}: removing them beside ingest")
    with running(url, {"RETENTION_DAYS": "36500"}) as server:
        load, _ = distinct_load(database, server, url, seconds=plan.seconds)
    database.rest(url)
    remove = _remove_postgres if isinstance(database, Postgres) else _remove_sqlite
    outcome = remove(url, now - _RETENTION, alerts_per_second=load.alerts_per_second / 2)
    database.drop(url)
    return [_line(database.name, outcome, plan)]


def _history(plan: Plan, now: datetime) -> Iterator[Occurrence]:
    old = occurrences(plan.old, until=now - _RETENTION - _SLACK, span=_OLD_SPAN)
    return chain(old, occurrences(_KEPT, until=now, span=_RETENTION - timedelta(days=1)))


def _line(name: str, outcome: Outcome, plan: Plan) -> Measured:
    load, removing, calm = outcome
    before = load.percentile(0.99, since=calm[0], until=calm[1])
    during = load.percentile(0.99, since=removing[0], until=removing[1])
    seconds = removing[1] - removing[0]
    note = (
        f"half load: p99 {during:.1f} ms during, {before:.1f} ms without; took {seconds:.1f} s, {load.failed} not 200"
    )
    what = f"p99 while {grouped(plan.old)} occurrences are removed ÷ without"
    return Measured(name, what, during / before, "", at_most(_PROMISED_RATIO), note)


def _environment(url: str) -> dict[str, str]:
    return {"DATABASE_URL": url, "LOG_LEVEL": "warning", "RETENTION_DAYS": str(_RETENTION.days)}


# --- PostgreSQL: the job's first turn finds nothing, because the old partitions come after it -------------------------


def _remove_postgres(url: str, before: datetime, *, alerts_per_second: float) -> Outcome:
    limit = f"{before - _SLACK:%Y%m%d}"
    partitions = with_connection(url, lambda connection: _detach(connection, limit))
    with service(_environment(url)) as server:
        time.sleep(1)
        with_connection(url, lambda connection: _attach(connection, partitions))
        run = PacedRun(server.url, alerts_per_second=alerts_per_second, seconds=_LONGEST_SECONDS)
        begin = time.time()
        removing = with_connection(url, lambda connection: _watch(connection, limit))
        time.sleep(1)
        load = run.finish(is_early=True)
    calm = (begin + 2, removing[0] - _MARGIN_SECONDS)
    return Outcome(load, (removing[0] - _MARGIN_SECONDS, removing[1] + _MARGIN_SECONDS), calm)


async def _detach(connection: "asyncpg.Connection[Any]", limit: str) -> list[tuple[str, str, str]]:
    """Take the old partitions out; their names, tables and bounds."""
    partitions = [(str(row[0]), str(row[1]), str(row[2])) for row in await connection.fetch(_OLD_PARTITIONS, limit)]
    for name, table, _ in partitions:
        await connection.execute(f"ALTER TABLE {table} DETACH PARTITION {name}")
    return partitions


async def _attach(connection: "asyncpg.Connection[Any]", partitions: Sequence[tuple[str, str, str]]) -> None:
    async with connection.transaction():
        for name, table, bounds in partitions:
            await connection.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} {bounds}")


async def _watch(connection: "asyncpg.Connection[Any]", limit: str) -> Span:
    """From when the first old partition went to when none was left."""
    number = left = await connection.fetchval(_OLD_LEFT, limit)
    assert number, "nothing is past retention"
    began = time.time()
    end = began + _TURN_SECONDS
    while left:
        time.sleep(_POLL_SECONDS)  # noqa: ASYNC251  # nothing else runs here
        left = await connection.fetchval(_OLD_LEFT, limit)
        began = time.time() if left == number else began
        assert time.time() < end, f"{left} of {number} old partitions are still there"
    return began, time.time()


# --- SQLite: the job begins at the start and takes its time -----------------------------------------------------------


def _remove_sqlite(url: str, before: datetime, *, alerts_per_second: float) -> Outcome:
    with service(_environment(url)) as server:
        begin = time.time()
        run = PacedRun(server.url, alerts_per_second=alerts_per_second, seconds=_LONGEST_SECONDS)
        while _has_old(url, before):
            time.sleep(_POLL_SECONDS * 10)
            assert time.time() < begin + _LONGEST_SECONDS, "old occurrences are still there"
        ended = time.time()
        time.sleep(_CALM_SECONDS)
        load = run.finish(is_early=True)
    return Outcome(load, (begin + 2, ended), (ended + _MARGIN_SECONDS, ended + _CALM_SECONDS))


def _has_old(url: str, before: datetime) -> bool:
    with closing(sqlite3.connect(sqlite_path(url))) as connection:
        oldest = connection.execute('SELECT "timestamp" FROM alerts ORDER BY id LIMIT 1').fetchone()[0]
    return bool(oldest < before.timestamp() * 1_000_000)
