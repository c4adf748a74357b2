"""The analysis of a year that looks like one: what its answers take, and the same questions in plain SQL beside them.

Ours and plain SQL are asked in turn, in one run, so both have the same machine.
"""

import asyncio
import http.client
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

import asyncpg
import httpx
from tests.processes import HOST, Server
from tests.servers import service

from alert_history.storage import open_store
from bench.databases import Database, Postgres, fetch_value, sqlite_path
from bench.fill import fill
from bench.load import percentile
from bench.plan import Plan
from bench.report import Measured, at_least, at_most, grouped
from bench.watch import median
from bench.year import year

CALLS = 50
_WARM_CALLS = 3
_MONTH, _YEAR = "-30d", "-365d"
_MOST_ROWS_SHARE = 0.1
_LEAST_TIMES_FASTER = 20
_OVERVIEW: tuple[tuple[str, dict[str, str]], ...] = (
    ("series", {"by": "severity"}),
    ("facets", {}),
    ("heatmap", {"tz": "Europe/Berlin"}),
    ("noise", {"top": "20"}),
)
_PROMISED_MS = {"PostgreSQL": 150, "SQLite": 300}
_YEAR_FACTOR = 3
_DEFINITIONS = {"ours": 500, "nagios": 3_000, "icinga": 3_000, "kibana": 3_000, "newrelic": 3_000}
_PROMISED_NEAR_MS = 50
_PROMISED_RAW_MS = 2_000

_PLAIN_SERIES = {
    "PostgreSQL": """SELECT date_trunc('hour', timestamp) AS hour, severity, count(*) FROM alerts
        WHERE timestamp >= $1 AND joined_into IS NULL GROUP BY 1, 2 ORDER BY 1, 2""",
    "SQLite": """SELECT timestamp / 3600000000 AS hour, severity, count(*) FROM alerts
        WHERE id >= ? * 256 AND joined_into IS NULL GROUP BY 1, 2 ORDER BY 1, 2""",
}
_PLAIN_NOISE = {
    "PostgreSQL": """SELECT alertname, count(*), sum(repeat_count), count(ends_at),
        count(*) FILTER (WHERE ended_by = 'resolved' AND ends_at - starts_at < interval '5 minutes'),
        sum(extract(epoch FROM ends_at - starts_at)),
        count(DISTINCT date_trunc('minute', timestamp)) FILTER (WHERE extract(hour FROM timestamp) >= 22
            OR extract(hour FROM timestamp) < 8)
        FROM alerts WHERE timestamp >= $1 AND joined_into IS NULL GROUP BY 1 ORDER BY 2 DESC LIMIT 20""",
    "SQLite": """SELECT alertname, count(*), sum(repeat_count), count(ends_at),
        sum(ended_by = 'resolved' AND ends_at - starts_at < 300000000), sum(ends_at - starts_at),
        count(DISTINCT iif(timestamp / 3600000000 % 24 NOT BETWEEN 8 AND 21, timestamp / 60000000, NULL))
        FROM alerts WHERE id >= ? * 256 AND joined_into IS NULL GROUP BY 1 ORDER BY 2 DESC LIMIT 20""",
}


class Question(NamedTuple):
    """Calls that make one answer together, and what it may take."""

    name: str
    paths: Sequence[str]
    promised_ms: float | None


def measure(database: Database, plan: Plan) -> list[Measured]:
    """The year, its numbers, and all questions."""
    url = database.fresh()
    counted, seconds = fill_year(database, url, plan)
    lines = [
        Measured(database.name, "counting a history anew", counted / seconds, "occurrences/s", None),
        _rows_share(database, url, counted),
    ]
    with service({"DATABASE_URL": url, "LOG_LEVEL": "warning"}) as server:
        for question in _questions(database.name, server):
            plan.say(f"{database.name}: {question.name}")
            lines.append(_line(database.name, question, _ask(server, question)))
        plan.say(f"{database.name}: beside plain SQL")
        lines += _beside_plain(database, url, server)
    database.drop(url)
    return lines


def fill_year(database: Database, url: str, plan: Plan) -> tuple[int, float]:
    """Fill an empty database with a year, and count it; returns how many occurrences were counted in how many s."""
    plan.say(f"{database.name}: filling a year of {grouped(plan.history)}")
    fill(database, url, year(plan.history, until=datetime.now(UTC)), number=plan.history)
    plan.say(f"{database.name}: counting it")
    begin = time.perf_counter()
    counted = asyncio.run(_count(url))
    return counted, time.perf_counter() - begin


async def _count(url: str) -> int:
    store = open_store(url)
    await store.lifecycle.open()
    try:
        return await store.rollups.count_anew(progress=lambda _: None)
    finally:
        await store.lifecycle.close()


def _rows_share(database: Database, url: str, counted: int) -> Measured:
    rows = _value(database, url, "SELECT (SELECT count(*) FROM rollups) + (SELECT count(*) FROM rollup_blocks)")
    what = "rows of rollups ÷ occurrences"
    return Measured(database.name, what, rows / counted, "", at_most(_MOST_ROWS_SHARE), f"{grouped(rows)} rows")


def _value(database: Database, url: str, sql: str) -> int:
    if isinstance(database, Postgres):
        return int(fetch_value(url, sql))
    with closing(sqlite3.connect(sqlite_path(url))) as connection:
        number: int = connection.execute(sql).fetchone()[0]
        return number


# --- questions --------------------------------------------------------------------------------------------------------


def _questions(name: str, server: Server) -> list[Question]:
    promised = _PROMISED_MS[name]
    some = _some_id(server)
    return [
        _overview("overview of 30 days", _MONTH, promised),
        *(_overview_part(part, _MONTH) for part in _OVERVIEW),
        _overview("overview of a year", _YEAR, _YEAR_FACTOR * promised),
        *(
            _stats(f"flapping, {kind}, 30 days", "flapping", limit, definition=kind)
            for kind, limit in _DEFINITIONS.items()
        ),
        _stats("durations of a rule, 30 days", "durations", None, query='{alertname="Rule0003"}'),
        _stats("together with a rule, 30 days", "together", None, rule="Rule0003"),
        _stats("a label without a rollup, 30 days", "series", _PROMISED_RAW_MS, query='{team="team-3"}', by="severity"),
        Question("similar", [f"/api/v1/alerts/{some}/similar"], _PROMISED_NEAR_MS),
        Question("around", [f"/api/v1/alerts/{some}/around"], _PROMISED_NEAR_MS),
        Question("values of a label", ["/api/v1/labels/alertname/values?prefix=Rule01"], _PROMISED_NEAR_MS),
    ]


def _overview(name: str, since: str, promised_ms: float) -> Question:
    return Question(name, [_path(kind, since=since, **words) for kind, words in _OVERVIEW], promised_ms)


def _overview_part(part: tuple[str, dict[str, str]], since: str) -> Question:
    kind, words = part
    return Question(f"{kind} of 30 days", [_path(kind, since=since, **words)], None)


def _stats(name: str, kind: str, promised_ms: float | None, **words: str) -> Question:
    return Question(name, [_path(kind, since=_MONTH, **words)], promised_ms)


def _path(kind: str, **words: str) -> str:
    return f"/api/v1/stats/{kind}?{urlencode(words)}"


def _some_id(server: Server) -> str:
    """An occurrence of a busy rule."""
    query = urlencode({"query": '{alertname="Rule0002"}', "limit": "1"})
    page = httpx.get(f"{server.url}/history?{query}", timeout=60).json()
    identity: str = page["alerts"][0]["id"]
    return identity


def _ask(server: Server, question: Question) -> tuple[list[float], int]:
    """What each of the calls took in ms, and how many were not answered with 200."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
    milliseconds: list[float] = []
    failed = 0
    for turn in range(_WARM_CALLS + CALLS):
        begin = time.perf_counter()
        for path in question.paths:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            failed += answer.status != http.client.OK
        if turn >= _WARM_CALLS:
            milliseconds.append((time.perf_counter() - begin) * 1000)
    connection.close()
    return milliseconds, failed


def _line(name: str, question: Question, asked: tuple[list[float], int]) -> Measured:
    milliseconds, failed = asked
    limit = None if question.promised_ms is None else at_most(question.promised_ms)
    note = f"p50 {percentile(milliseconds, 0.5):.1f} ms" + (f", {failed} not 200" if failed else "")
    return Measured(name, f"p95: {question.name}", percentile(milliseconds, 0.95), "ms", limit, note)


# --- beside plain SQL -------------------------------------------------------------------------------------------------


def _beside_plain(database: Database, url: str, server: Server) -> list[Measured]:
    since = datetime.now(UTC) - timedelta(days=30)
    lines = []
    for kind, words, statements in (
        ("series", {"by": "severity", "step": "1h"}, _PLAIN_SERIES),
        ("noise", {"top": "20"}, _PLAIN_NOISE),
    ):
        ours, plain = [], []
        for _ in range(5):
            plain.append(_plain_ms(database, url, statements[database.name], since))
            question = Question(kind, [_path(kind, since=_MONTH, **words)], None)
            ours.append(median(_ask(server, question)[0][:5]))
        what = f"plain SQL ÷ ours: {kind} of 30 days"
        note = f"plain {median(plain):.0f} ms, ours {median(ours):.1f} ms"
        factor = median(plain) / median(ours)
        lines.append(Measured(database.name, what, factor, "×", at_least(_LEAST_TIMES_FASTER), note))
    return lines


def _plain_ms(database: Database, url: str, sql: str, since: datetime) -> float:
    if isinstance(database, Postgres):
        return asyncio.run(_plain_postgres(url, sql, since))
    with closing(sqlite3.connect(sqlite_path(url))) as connection:
        begin = time.perf_counter()
        connection.execute(sql, (int(since.timestamp() * 1_000_000),)).fetchall()
        return (time.perf_counter() - begin) * 1000


async def _plain_postgres(url: str, sql: str, since: datetime) -> float:
    connection = await asyncpg.connect(url)
    try:
        begin = time.perf_counter()
        await connection.fetch(sql, since)
        return (time.perf_counter() - begin) * 1000
    finally:
        await connection.close()
