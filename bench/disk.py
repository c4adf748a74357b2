"""Disk: bytes an occurrence takes, by table, for lives of alerts as real senders report them.

The store's own recorder commits what the service would have received: each alert fires, is repeated, and resolves.
PostgreSQL is vacuumed meanwhile, as autovacuum would do over the day that such a run stands for.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import NamedTuple

from alert_history.engine.intake import Intake
from alert_history.ports import Store
from alert_history.storage import open_store
from bench.databases import Database, Postgres, migrate, with_connection
from bench.notifications import Notifications
from bench.plan import Plan
from bench.report import Measured, grouped
from bench.sizes import growth, sizes

_PATH = "/webhook"
_OCCURRENCES = 20_000
_CHUNK = 1_000
_VACUUM_EVERY = 4
_BEGAN = timedelta(minutes=50)
_STEP = timedelta(minutes=5)  # Alertmanager's group_interval: no sender of it repeats sooner
_FIRING, _ENDLESS = '"status":"firing"', '"endsAt":"0001-01-01T00:00:00Z"'
_HISTORY, _WEEK, _FEW_DAYS = "RETENTION_DAYS", "a week after the last firing ended", "BODY_RETENTION_DAYS"
_seeds = count(2_000_000)


class Life(NamedTuple):
    """What becomes of each alert, and how many come in one notification."""

    name: str
    alerts: int
    repeats: int = 0
    is_resolved: bool = True


LIVES = (
    Life("fires and resolves, 10 a notification", 10),
    Life("only fires, 10 a notification", 10, is_resolved=False),
    Life("fires, 5 repeats, resolves, 10 a notification", 10, repeats=5),
    Life("fires and resolves, 1 a notification", 1),
)


def measure(database: Database, plan: Plan) -> list[Measured]:
    """Each life on a fresh database; one round, since sizes do not vary."""
    lines = []
    for life in LIVES:
        plan.say(f"{database.name}: disk, {life.name}")
        tables = bytes_an_occurrence(database, life)
        plan.keep(f"{database.name}: {life.name}", [{"table": name, "bytes": both} for name, both in tables.items()])
        lines += lines_of(database.name, life, tables)
    return lines


def bytes_an_occurrence(
    database: Database, life: Life, *, number: int = _OCCURRENCES
) -> dict[str, tuple[float, float]]:
    """By table: of its rows, and of its indexes."""
    url = database.fresh()
    migrate(url)
    database.rest(url)
    empty = sizes(database, url)
    asyncio.run(_live(database, url, life, number=number))
    database.rest(url)
    tables = growth(empty, sizes(database, url), number=number)
    database.drop(url)
    return tables


async def _live(database: Database, url: str, life: Life, *, number: int) -> None:
    store = open_store(url)
    notifications = Notifications(_PATH, alerts=life.alerts, seed=next(_seeds))
    began = datetime.now(UTC) - _BEGAN
    try:
        for chunk in range(number // _CHUNK):
            bodies = [notifications.body(began.timestamp()) for _ in range(_CHUNK // life.alerts)]
            for at, sent in words(bodies, life, began=began):
                await _commit(store, sent, at=at)
            if isinstance(database, Postgres) and chunk % _VACUUM_EVERY == _VACUUM_EVERY - 1:
                await asyncio.to_thread(_vacuum, url)
        await store.upkeep.prepare(datetime.now(UTC))
    finally:
        await store.lifecycle.close()
    if isinstance(database, Postgres):
        await asyncio.to_thread(_vacuum, url)


def words(bodies: Sequence[str], life: Life, *, began: datetime) -> Iterator[tuple[datetime, Sequence[str]]]:
    """When what is received: firing, the same again, and that it is over."""
    for turn in range(life.repeats + 1):
        yield began + turn * _STEP, bodies
    if life.is_resolved:
        at = began + (life.repeats + 1) * _STEP
        ended = f'"endsAt":"{at.strftime("%Y-%m-%dT%H:%M:%SZ")}"'
        yield (
            at,
            [body.replace(_FIRING, _FIRING.replace("firing", "resolved")).replace(_ENDLESS, ended) for body in bodies],
        )


async def _commit(store: Store, bodies: Sequence[str], *, at: datetime) -> None:
    intake = Intake(max_alerts=_CHUNK)
    await store.recorder.commit([intake.receipt(_PATH, body.encode(), received_at=at) for body in bodies])


def _vacuum(url: str) -> None:
    with_connection(url, lambda connection: connection.execute("VACUUM ANALYZE"))


def lines_of(name: str, life: Life, tables: Mapping[str, tuple[float, float]]) -> list[Measured]:
    """What is kept as long as history, and apart from it what is kept for fewer days."""
    history = {table: both for table, both in tables.items() if _kept_for(table) == _HISTORY}
    parts = ", ".join(f"{table} {grouped(rows)} + {grouped(indexes)}" for table, (rows, indexes) in history.items())
    notes = {_HISTORY: f"kept for {_HISTORY}; rows + indexes: {parts}"}
    lines = []
    for what, time in (("history", _HISTORY), ("standings", _WEEK), ("raw bodies", _FEW_DAYS)):
        total = sum(sum(both) for table, both in tables.items() if _kept_for(table) == time)
        lines.append(Measured(name, f"{what}: {life.name}", total, "bytes", note=notes.get(time, f"kept for {time}")))
    return lines


def _kept_for(table: str) -> str:
    if table == "receipt_bodies":
        return _FEW_DAYS
    return _WEEK if table.startswith("standings") else _HISTORY
