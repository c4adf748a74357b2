"""What fired at past moments of a long history: what `Moments.alerts` takes, by itself, with about 1 000 firing then.

Eight in ten firings take minutes, the others hours, a few weeks. The moments lie all over the year, and now.
"""

import asyncio
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from alert_history.storage import open_store
from bench.databases import Database, Postgres, fetch_value, sqlite_path
from bench.fill import fill
from bench.load import percentile
from bench.past import YEAR, Occurrence, occurrences
from bench.plan import Plan
from bench.report import Measured, at_most, grouped

_CALLS = 40
_WARM_CALLS = 4
_FIRING = 1_000
_MINUTE_US = 60_000_000
_PROMISED_MS = {"PostgreSQL": 50, "SQLite": 100}
_SIZES = {
    "PostgreSQL": """SELECT coalesce(sum(pg_relation_size(relid)), 0) FROM pg_partition_tree('idx_alerts_long')""",
    "SQLite": "SELECT sum(pgsize) FROM dbstat WHERE name = 'idx_alerts_long'",
}


def measure(database: Database, plan: Plan) -> list[Measured]:
    """Fill a year, and ask."""
    url = database.fresh()
    now = datetime.now(UTC)
    plan.say(f"{database.name}: filling {grouped(plan.history)} occurrences")
    fill(database, url, lasting(plan.history, until=now), number=plan.history)
    lines = []
    for name, moments in (("now", [now] * _CALLS), ("a past moment", _moments(now))):
        plan.say(f"{database.name}: {name}")
        took, fired = asyncio.run(_ask(url, moments))
        note = f"p50 {percentile(took, 0.5):.1f} ms; {min(fired)} to {max(fired)} fired"
        what = f"alerts that fired: {name}, p95"
        lines.append(
            Measured(database.name, what, percentile(took, 0.95), "ms", at_most(_PROMISED_MS[database.name]), note)
        )
    megabytes = _index_bytes(database, url) / 1e6
    lines.append(Measured(database.name, "idx_alerts_long", megabytes, "MB", note=f"{grouped(plan.history)} stored"))
    database.drop(url)
    return lines


def lasting(number: int, *, until: datetime, span: timedelta = YEAR) -> Iterator[Occurrence]:
    """A span in which about 1 000 fire at each moment, however many there are."""
    mean_us = int(span / timedelta(microseconds=1)) * _FIRING // number
    end_us = int(until.timestamp() * 1_000_000)
    for place, occurrence in enumerate(occurrences(number, until=until, span=span)):
        if occurrence.ends_at is None:
            yield occurrence
            continue
        chance = random.Random(place)
        long = chance.random()
        share = 0.25 if long < 0.8 else 3.6 if long < 0.99 else 11  # so that the mean is 1
        length_us = max(int(chance.expovariate(1 / (mean_us * share))), _MINUTE_US)
        yield occurrence._replace(ends_at=min(max(occurrence.starts_at + length_us, occurrence.received_at), end_us))


def _moments(now: datetime) -> Sequence[datetime]:
    chance = random.Random(3)
    return [now - YEAR * chance.uniform(0.001, 0.95) for _ in range(_CALLS)]


async def _ask(url: str, moments: Sequence[datetime]) -> tuple[list[float], list[int]]:
    """Milliseconds of each call, and how many fired then."""
    store = open_store(url)
    await store.lifecycle.open()
    took, fired = [], []
    try:
        for moment in [*moments[:_WARM_CALLS], *moments]:
            begin = time.perf_counter()
            alerts = await store.moments.alerts(moment, limit=10_000)
            took.append((time.perf_counter() - begin) * 1_000)
            fired.append(len(alerts))
    finally:
        await store.lifecycle.close()
    return took[_WARM_CALLS:], fired[_WARM_CALLS:]


def _index_bytes(database: Database, url: str) -> int:
    if isinstance(database, Postgres):
        return int(fetch_value(url, _SIZES["PostgreSQL"]))
    return _sqlite_bytes(url)


def _sqlite_bytes(url: str) -> int:
    connection = sqlite3.connect(sqlite_path(url))
    try:
        return int(connection.execute(_SIZES["SQLite"]).fetchone()[0] or 0)
    finally:
        connection.close()
