"""The statements of the hot path find rows by their keys, even on a database nobody has ever analysed."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import asyncpg
import msgspec
import pytest
from sqlalchemy import Executable

from alert_history.domain.alert import Alert
from alert_history.domain.delivery import Routing
from alert_history.domain.receipt import Receipt
from alert_history.ports import Store
from alert_history.storage import open_store
from alert_history.storage.postgres import connection as connections
from alert_history.storage.postgres import follow_ups as postgres_follow_ups
from alert_history.storage.postgres import outbox, statements
from alert_history.storage.postgres import reconciling as postgres_reconciling
from alert_history.storage.postgres import standings as postgres_standings
from alert_history.storage.postgres import upkeep as postgres_upkeep
from alert_history.storage.postgres.dialer import Dialer
from alert_history.storage.postgres.search import DIALECT
from alert_history.storage.shared import classifications
from alert_history.storage.shared.compiling import compiled_once
from alert_history.urls.postgres import read_postgres_url
from tests.conformance.conftest import prepare
from tests.conformance.samples import NOW, alert, receipt
from tests.servers import PostgresServer

MODULES = (statements, postgres_standings, postgres_reconciling)
HOT = [
    *((statements, name) for name in ("COUNT_REPEATS", "LOCK_STANDINGS", "LOCK_FREE_STANDINGS", "LOCK_ALERTS")),
    *((statements, name) for name in ("LOCK_FREE_ALERTS", "WHOLE_ALERTS", "NEWEST_ALERTS", "UPDATE_ALERTS")),
    *((statements, name) for name in ("KNOWN_KEYS", "NEWEST_STARTS", "OPEN_GRAFANA", "KNOWN_STANDINGS")),
    (statements, "OWN_STANDINGS"),
    *((postgres_standings, name) for name in ("_TRY_STANDINGS", "_OCCURRENCES", "_JOIN", "_OLD_STANDINGS", "_FORGET")),
    *((postgres_reconciling, name) for name in ("_OPEN", "_FREE", "_CONFIRM")),
]
"""What runs for each batch, every second, or for each answer of an Alertmanager."""
LOOKED_FOR = {
    (postgres_standings, "_UNCLAIMED"): "idx_alerts_unclaimed",
    (postgres_standings, "_DUE"): "idx_alerts_expires_at",
    (postgres_standings, "_SILENT"): "idx_alerts_firing",
    (postgres_standings, "_ENDED_BESIDE"): "idx_alerts_timestamp",
    (postgres_standings, "_COUNT"): "idx_alerts_firing",
    (postgres_standings, "_CONFLICTS"): "idx_standings_conflict",
    (postgres_reconciling, "_UNCLAIMED"): "idx_alerts_unclaimed",
    (postgres_reconciling, "_CONFLICTS"): "idx_standings_conflict",
}
"""What is looked for all the time, by an index that holds little else."""
OTHERS = {
    (statements, "INSERT_RECEIPTS"),  # of what is given
    (statements, "NOTIFIED_TARGETS"),  # by an index of its own: see below
    (postgres_standings, "_LOAD_GROUPS"),  # of a table with a row a group
}

_WHOLE_INDEXES = """SELECT DISTINCT coalesce(i.inhparent, c.oid)::regclass::text
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relname = ANY($1::text[])"""
_KEEPERS = """SELECT pid FROM pg_stat_activity
    WHERE application_name = 'alert-history keeper' AND datname = current_database()"""
_PROBES = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_hashjoin": "off"}
_KEEP_AUTOVACUUM_AWAY = """DO $$ DECLARE name regclass; BEGIN
    FOR name IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', name);
    END LOOP;
END $$"""


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database that knows nothing of the rows of other tests: what the planner learnt of a table outlives them."""
    url = postgres_server.create_database()
    asyncio.run(prepare(url))
    asyncio.run(_keep_autovacuum_away(url))
    yield url
    postgres_server.drop_database(url)


async def _keep_autovacuum_away(url: str) -> None:
    """On a slow machine it comes by in the middle of a test and analyses the tables."""
    connection = await asyncpg.connect(url)
    await connection.execute(_KEEP_AUTOVACUUM_AWAY)
    await connection.close()


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    store = open_store(postgres_url)
    await store.lifecycle.open()
    yield store
    await store.lifecycle.close()


@pytest.fixture
async def routed_store(postgres_url: str) -> AsyncIterator[Store]:
    """A store that has every alert passed on to one target."""
    store = open_store(postgres_url, router=lambda _, __: Routing(("one",), {}))
    await store.lifecycle.open()
    yield store
    await store.lifecycle.close()


@pytest.fixture
async def writer(store: Store, postgres_url: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A connection with the settings of the one that writes, to a database with rows but without statistics."""
    connection = await asyncpg.connect(postgres_url, server_settings=connections._WRITER_SETTINGS)  # noqa: SLF001
    try:
        await store.recorder.commit([receipt(*(alert(f"A{n}") for n in range(500)), body=b"")])
        assert await connection.fetchval("SELECT count(*) FROM pg_stats WHERE tablename LIKE 'alerts%'") == 0
        yield connection
    finally:
        await connection.close()


async def plan_of(connection: "asyncpg.Connection[Any]", statement: str) -> str:
    """The plan that every execution uses."""
    prepared = await connection.prepare(statement)
    nulls = ", ".join(["NULL"] * len(prepared.get_parameters()))
    await connection.execute(f"PREPARE hot AS {statement}")
    rows = await connection.fetch(f"EXPLAIN EXECUTE hot({nulls})" if nulls else "EXPLAIN EXECUTE hot")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("module,name", HOT)
async def test_hot_statement_reads_no_table_from_end_to_end(
    writer: "asyncpg.Connection[Any]", module: ModuleType, name: str
) -> None:
    assert "Seq Scan" not in await plan_of(writer, getattr(module, name))


@pytest.mark.parametrize("module,name", HOT)
async def test_hot_statement_looks_rows_up_by_key(
    writer: "asyncpg.Connection[Any]", module: ModuleType, name: str
) -> None:
    plan = await plan_of(writer, getattr(module, name))
    assert "_pkey" in plan
    assert "Index Cond: (" in plan


def test_every_statement_is_among_those_whose_plan_is_held() -> None:
    named = [(module, name) for module in MODULES for name in _statements(module)]
    assert sorted(map(str, named)) == sorted(map(str, [*HOT, *LOOKED_FOR, *OTHERS]))


def _statements(module: ModuleType) -> list[str]:
    """Those that look for rows: all but INSERTs of what is given."""
    texts = {name: text.lstrip() for name, text in vars(module).items() if name.isupper() and isinstance(text, str)}
    return [name for name, text in texts.items() if re.match("SELECT|UPDATE|DELETE|WITH", text)]


@pytest.mark.parametrize("module,name", LOOKED_FOR)
async def test_what_time_changes_is_found_by_an_index_of_its_own(
    writer: "asyncpg.Connection[Any]", module: ModuleType, name: str
) -> None:
    plan = await plan_of(writer, getattr(module, name))
    assert "Seq Scan" not in plan
    assert await _indexes(writer, plan) - {"alerts_pkey", "standings_pkey"} == {LOOKED_FOR[module, name]}


async def _indexes(connection: "asyncpg.Connection[Any]", plan: str) -> set[str]:
    """The indexes that a plan uses; those of partitions by the name of the whole."""
    used = re.findall(r"(?:using|Bitmap Index Scan on) (\S+)", plan)
    rows = await connection.fetch(_WHOLE_INDEXES, used)
    return {row[0] for row in rows}


async def test_time_passes_on_one_connection(store: Store, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    pids = []
    try:
        for _ in range(2):
            await store.standings.let_pass(NOW, stale_after={})
            pids.append([row[0] for row in await connection.fetch(_KEEPERS)])
    finally:
        await connection.close()
    assert pids[0] == pids[1]
    assert len(pids[0]) == 1


async def test_the_connection_that_lets_time_pass_probes_by_key(postgres_url: str) -> None:
    opened = connections.Connections(Dialer(read_postgres_url(postgres_url)))
    async with opened.keeper() as keeper:
        settings = {name: await keeper.fetchval(f"SHOW {name}") for name in _PROBES}
    await opened.close()
    assert settings == _PROBES


async def _lease_blocks(connection: "asyncpg.Connection[Any]") -> int:
    """How many pages one lease of 64 looks at. It is undone."""
    arguments = f"('one', '{NOW}', 64, '30 s')"
    transaction = connection.transaction()
    await transaction.start()
    explanation = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE lease {arguments}")
    await transaction.rollback()
    plan = json.loads(explanation)[0]["Plan"]
    assert plan["Actual Rows"] == 64
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def _empty_queue(store: Store, connection: "asyncpg.Connection[Any]") -> None:
    """As it mostly is: what was in it has been worked off, and the planner has seen that."""
    await store.recorder.commit([_published(*(alert(f"Before-{number}") for number in range(1500)))])
    await connection.execute("DELETE FROM delivery_queue; DELETE FROM alerts; ANALYZE")


def _published(*alerts: Alert) -> Receipt:
    return msgspec.structs.replace(receipt(*alerts), publish=True)


@pytest.mark.parametrize("was_used", [False, True])
async def test_a_lease_costs_the_same_however_much_waits_and_whenever_it_was_planned(
    routed_store: Store, postgres_url: str, *, was_used: bool
) -> None:
    connection = await asyncpg.connect(postgres_url, server_settings=connections._WRITER_SETTINGS)  # noqa: SLF001
    try:
        if was_used:
            await _empty_queue(routed_store, connection)
        await connection.execute(f"PREPARE lease AS {outbox._LEASE}")  # noqa: SLF001  # planned while it is empty
        blocks = []
        for place in range(2):
            alerts = [alert(f"A{place}-{number}") for number in range(1500 * (1 + 2 * place))]
            await routed_store.recorder.commit([_published(*alerts)])
            blocks.append(await _lease_blocks(connection))
    finally:
        await connection.close()
    assert blocks[1] < 1.5 * blocks[0]
    assert blocks[1] < 5000  # 64 deliveries, each with its alert, its receipt and what it was told before


@pytest.mark.parametrize("name", ["_TAKE_BACK", "_LEASE_ACTS"])
async def test_acts_of_people_are_found_by_their_index_however_much_waits(
    routed_store: Store, postgres_url: str, name: str
) -> None:
    connection = await asyncpg.connect(postgres_url, server_settings=connections._WRITER_SETTINGS)  # noqa: SLF001
    try:
        await _empty_queue(routed_store, connection)
        plan = await plan_of(connection, getattr(outbox, name))
    finally:
        await connection.close()
    assert "Scan using idx_delivery_queue_acts" in plan
    assert "Seq Scan on delivery_queue" not in plan
    assert "Seq Scan on deliveries" not in plan


async def test_what_is_old_of_the_classifications_is_found_by_keys_however_many_there_are(
    writer: "asyncpg.Connection[Any]",
) -> None:
    await writer.execute(
        """INSERT INTO classifications SELECT lpad(n::text, 20, '0'), 's' || n % 500, 'f' || n, now(), 'llm', 'm',
            'info', 0, 0, '{}' FROM generate_series(1, 5000) n"""
    )
    await writer.execute("ANALYZE classifications")
    plan = await plan_of(writer, postgres_upkeep.OLD_WORDS)
    assert "Seq Scan" not in plan
    assert "Index Scan using classifications_pkey" in plan
    assert "idx_classifications_shape" in plan


@pytest.mark.parametrize("name", ["_SETTLE", "_POSTPONE"])
async def test_what_was_delivered_is_found_by_its_id(routed_store: Store, postgres_url: str, name: str) -> None:
    connection = await asyncpg.connect(postgres_url, server_settings=connections._WRITER_SETTINGS)  # noqa: SLF001
    try:
        await _empty_queue(routed_store, connection)
        await routed_store.recorder.commit([_published(*(alert(f"A{number}") for number in range(1500)))])
        plan = await plan_of(connection, getattr(outbox, name))
    finally:
        await connection.close()
    assert "Index Scan using delivery_queue_pkey" in plan
    assert "Index Cond: (id = ANY ($1))" in plan


async def test_who_was_told_of_an_alert_is_found_by_the_alert(routed_store: Store, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url, server_settings=connections._WRITER_SETTINGS)  # noqa: SLF001
    try:
        await _empty_queue(routed_store, connection)
        plan = await plan_of(connection, statements.NOTIFIED_TARGETS)
    finally:
        await connection.close()
    assert "Seq Scan" not in plan
    assert plan.count("Index Cond: ((fingerprint = u.fingerprint) AND (starts_at = u.starts_at))") > 1


async def test_who_was_told_what_an_alert_means_is_found_by_the_alert(writer: "asyncpg.Connection[Any]") -> None:
    plan = await plan_of(writer, postgres_follow_ups._TO_NOTIFY)  # noqa: SLF001
    assert "Seq Scan on deliveries" not in plan
    assert "Seq Scan on delivery_queue" not in plan


@pytest.mark.parametrize(
    "statement,indexes",
    [
        (classifications._NEWEST, {"classifications_pkey", "idx_classifications_shape"}),  # noqa: SLF001
        (classifications._UNCLAIM, {"classification_claims_pkey"}),  # noqa: SLF001
        (classifications._LET_GO, {"idx_delivery_queue_awaited"}),  # noqa: SLF001
        (classifications._IS_ANY_AWAITED, {"classification_claims_pkey", "idx_delivery_queue_awaited"}),  # noqa: SLF001
    ],
)
async def test_what_is_asked_of_each_classification_is_found_by_its_shape(
    writer: "asyncpg.Connection[Any]", statement: Executable, indexes: set[str]
) -> None:
    plan = await plan_of(writer, compiled_once(statement, DIALECT).text)
    assert "Seq Scan" not in plan
    assert await _indexes(writer, plan) == indexes


async def test_who_is_owed_what_an_alert_means_is_looked_up_by_the_alert(writer: "asyncpg.Connection[Any]") -> None:
    plan = await plan_of(writer, compiled_once(classifications._UNANSWERED, DIALECT).text)  # noqa: SLF001
    assert "Seq Scan on deliveries" not in plan
    assert "Seq Scan on delivery_queue" not in plan
