"""What fired at a moment is found by indexes alone, also on a database that nobody has ever analysed."""

import sqlite3
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

from alert_history.storage.postgres.moments import MOMENT_WAYS as POSTGRES_WAYS
from alert_history.storage.postgres.search import DIALECT as POSTGRES
from alert_history.storage.shared import moments
from alert_history.storage.shared.compiling import compiled_once
from alert_history.storage.sqlite.moments import MOMENT_WAYS as SQLITE_WAYS
from alert_history.storage.sqlite.search import DIALECT as SQLITE
from tests.conformance.samples import NOW

_KEYS: Mapping[str, Any] = {"keys": [("00000000000000aa", 1)], "keys_since": NOW, "keys_until": NOW}
_NAMES = ["short", "long", "open", "late", "changes"]


def _statement(name: str, ways: moments.MomentWays) -> Any:
    made = {"short": moments.short_firings, "long": moments.long_firings, "changes": moments.changes_of_keys}
    if name in made:
        return made[name](ways)
    return moments.OPEN_FIRINGS if name == "open" else moments.late_firings()


@pytest.mark.parametrize("name", _NAMES)
def test_sqlite_scans_no_table_for_a_moment(name: str, sqlite_url: str) -> None:
    made = compiled_once(_statement(name, SQLITE_WAYS), SQLITE)
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    rows = connection.execute(f"EXPLAIN QUERY PLAN {made.text}", made.arguments({**moments.times_of(NOW), **_KEYS}))
    steps = [row[3] for row in rows]
    connection.close()
    assert not [step for step in steps if step.startswith("SCAN") and "json_each" not in step], steps
    assert name != "long" or all("idx_alerts_long" in step for step in steps if step.startswith("SEARCH"))


@pytest.mark.parametrize("name", _NAMES)
async def test_postgres_scans_no_table_for_a_moment(name: str, postgres_url: str) -> None:
    made = compiled_once(_statement(name, POSTGRES_WAYS), POSTGRES)
    connection = await asyncpg.connect(postgres_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off")
            arguments = made.arguments({**moments.times_of(NOW), **_KEYS})
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {made.text}", *arguments))
    finally:
        await connection.close()
    assert "Seq Scan" not in plan, plan
    assert name != "long" or "case_coalesce_idx" in plan
    assert name != "open" or "Index" in plan


_REPEATED = ("last_received_at", "repeat_count", "expires_at", "confirmed_at")
"""What a plain repeat changes. PostgreSQL updates a row in its place only where no index knows a changed column."""


def test_a_plain_repeat_changes_nothing_in_the_index_of_sqlite(sqlite_url: str) -> None:
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    [[definition]] = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'idx_alerts_long'").fetchall()
    connection.close()
    assert not [column for column in _REPEATED if column in definition]


async def test_a_plain_repeat_changes_nothing_in_the_index_of_postgres(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    definition = await connection.fetchval("SELECT pg_get_indexdef('idx_alerts_long'::regclass)")
    await connection.close()
    assert not [column for column in _REPEATED if column in definition]
