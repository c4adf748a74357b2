"""On PostgreSQL the report of a night finds rows by indexes, in a history of many rows, whatever a rule is called."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Executable

from alert_history.storage.postgres import connection as connections
from alert_history.storage.postgres.moments import MOMENT_WAYS
from alert_history.storage.postgres.night import KNOWN, LAST_SEEN, WAYS
from alert_history.storage.postgres.search import DIALECT
from alert_history.storage.postgres.silences import SILENCE_WAYS
from alert_history.storage.shared import night_reads
from alert_history.storage.shared.compiling import compiled_once
from alert_history.storage.shared.moments import times_of
from alert_history.storage.shared.silences import muted_statement
from tests.conformance.conftest import prepare
from tests.conformance.test_postgres_plans import plan_of
from tests.servers import PostgresServer

_STATEMENTS = night_reads._Statements(WAYS, MOMENT_WAYS)  # noqa: SLF001  # no port shows a plan
_FILL = """
INSERT INTO alerts (fingerprint, starts_at, "timestamp", alertname, namespace, severity, status, labels, annotations,
    ends_at, last_received_at, repeat_count, event_count, content_hash, generator_url, source, receiver)
SELECT lpad(to_hex(n), 16, '0'), at, at, 'Rule' || n % 50, 'shop', 'critical', 'resolved', '{}', '{}', at, at, 0, 1, 0,
    '', 'alertmanager', '' FROM generate_series(1, 20000) n,
    LATERAL (SELECT '2026-03-02'::timestamptz + n * interval '25 s' AS at) t;
INSERT INTO events (fingerprint, starts_at, key, kind, at)
SELECT fingerprint, starts_at, 1, 'fired', starts_at FROM alerts;
ANALYZE alerts; ANALYZE events
"""


@pytest.fixture(scope="module")
def crowded_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with twenty thousand occurrences, of which the planner knows."""
    url = postgres_server.create_database()
    asyncio.run(prepare(url))
    asyncio.run(_fill(url))
    yield url
    postgres_server.drop_database(url)


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(_FILL)
    await connection.close()


@pytest.fixture
async def reader(crowded_url: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A connection with the settings of those that read."""
    settings = {**connections._READER_SETTINGS, "plan_cache_mode": "force_generic_plan"}  # noqa: SLF001  # as above
    connection = await asyncpg.connect(crowded_url, server_settings=settings)
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "statement, index, condition",
    [
        (LAST_SEEN, "_alertname_timestamp_idx", "Index Cond: (ROW(alertname"),
        (KNOWN, "_pkey", "Index Cond: (fingerprint = "),
        (_STATEMENTS.received, "_timestamp_idx", "Index Cond: ((fingerprint = alerts.fingerprint) AND (starts_at"),
        (_STATEMENTS.firing, "_timestamp_idx1", "Index Cond: ((fingerprint = alerts.fingerprint) AND (starts_at"),
    ],
    ids=["last_seen", "known", "received", "firing"],
)
async def test_rows_of_the_crowded_week_are_found_by_an_index(
    reader: "asyncpg.Connection[Any]", statement: Executable, index: str, condition: str
) -> None:
    plan = await plan_of(reader, compiled_once(statement, DIALECT).text)
    assert "Seq Scan on alerts_p20260302" not in plan
    assert "Seq Scan on events_p20260302" not in plan
    assert f"using alerts_p20260302{index} " in plan
    assert condition in plan


@pytest.mark.parametrize("number, index", [(0, "_timestamp_idx"), (1, "_case_coalesce_idx")], ids=["short", "long"])
async def test_what_was_open_at_the_begin_is_found_by_an_index(
    reader: "asyncpg.Connection[Any]", number: int, index: str
) -> None:
    made = compiled_once(_STATEMENTS.over[number], DIALECT)
    at = datetime(2026, 3, 5, tzinfo=UTC)
    asked = {**times_of(at), "since": at - timedelta(days=7), "until": at, "kinds": ["fired"], "most": 100}
    rows = await reader.fetch(f"EXPLAIN {made.text}", *made.arguments(asked))
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan on alerts_p20260302" not in plan
    assert "Seq Scan on events_p20260302" not in plan
    assert f"using alerts_p20260302{index} " in plan


async def test_what_silences_muted_is_found_by_its_index(reader: "asyncpg.Connection[Any]") -> None:
    plan = await plan_of(reader, compiled_once(muted_statement(SILENCE_WAYS), DIALECT).text)
    assert "Seq Scan on events_p20260302" not in plan
    assert plan.count("Index Cond: ((detail ->> 'silence_id'::text) = ") >= 3
    assert "Seq Scan on alerts_p20260302" not in plan
