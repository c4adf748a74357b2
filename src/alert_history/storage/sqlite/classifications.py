"""SQLite: what was classified, and what waits for it."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.accuracy import right_by_day
from alert_history.domain.classification import Case, Past, Usage
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.notifying import AWAITED, classified_event, follow_up_delivery
from alert_history.domain.severity import Severity
from alert_history.ports import Accuracy, ClassifiedCount, KeptVerdict, Spent, Unanswered
from alert_history.storage.shared.delivery_text import IS_UNANSWERED, MOST_UNANSWERED, UNANSWERED_COLUMNS
from alert_history.storage.shared.ids import lowest_uuid7, new_id
from alert_history.storage.shared.json_text import encode_json
from alert_history.storage.shared.rows import kept_of, row_of
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.past import past

_NEWEST = """SELECT id, shape, fingerprint, verdict FROM classifications
    WHERE shape = ? AND (at >= ? OR source = 'person') ORDER BY id DESC LIMIT 1"""
_HISTORY = "SELECT id, shape, fingerprint, verdict FROM classifications WHERE shape = ? ORDER BY id DESC LIMIT ?"
_RECENT = """SELECT id, shape, fingerprint, verdict FROM classifications c
    WHERE (? IS NULL OR severity = ?) AND NOT EXISTS (
        SELECT 1 FROM classifications newer WHERE newer.shape = c.shape AND newer.id > c.id)
    ORDER BY id DESC LIMIT ?"""
_CLAIM = """INSERT INTO classification_claims VALUES (?, ?, ?) ON CONFLICT (shape) DO UPDATE
    SET owner = excluded.owner, until = excluded.until WHERE until < ? OR owner = excluded.owner"""
_INSERT = f"INSERT INTO classifications VALUES ({', '.join('?' * 10)}) ON CONFLICT DO NOTHING"
_LET_GO = f"""UPDATE delivery_queue SET enrichment = ?, due_at = min(due_at, ?)
    WHERE shape = ? AND enrichment = '{AWAITED}'"""
_IS_HELD = f"""SELECT EXISTS (SELECT 1 FROM classification_claims WHERE shape = :shape)
    OR EXISTS (SELECT 1 FROM delivery_queue WHERE shape = :shape AND enrichment = '{AWAITED}')"""
_SPENT = """SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(cost_usd), 0) FROM (
        SELECT tokens, cost_usd FROM classifications WHERE at >= ?
        UNION ALL SELECT tokens, cost_usd FROM unusable_answers WHERE id >= ?)"""
_COUNTS = """SELECT model, severity, count(*) FROM classifications WHERE at >= ? AND at < ?
    GROUP BY model, severity ORDER BY model, severity"""
_REVIEWED = """SELECT p.at, p.severity, m.model, m.severity FROM classifications p
    JOIN classifications m ON m.id = (SELECT max(id) FROM classifications
        WHERE shape = p.shape AND id < p.id AND source <> 'person')
    WHERE p.source = 'person' AND p.at >= ? AND p.at < ?"""
_IS_FIRING = "SELECT id FROM alerts WHERE starts_at = ? AND fingerprint = ? AND status = 'firing'"
_TAKE_ALONG = """UPDATE delivery_queue SET shape = ? WHERE starts_at = ? AND fingerprint = ? AND target = ?"""
_IS_PENDING = """SELECT 1 FROM delivery_queue
    WHERE starts_at = ? AND fingerprint = ? AND target = ? AND (state = 'pending' OR event = 'classified')"""

_IS_TOLD = """SELECT 1 FROM deliveries WHERE starts_at = ? AND fingerprint = ? AND target = ? AND event = 'classified'
    AND state = 'delivered' AND created_at >= ?"""
_UNANSWERED = f"""SELECT DISTINCT d.fingerprint, d.starts_at, d.target, a.labels, a.annotations FROM (
        SELECT * FROM (SELECT {UNANSWERED_COLUMNS} FROM deliveries WHERE id >= :since ORDER BY id DESC LIMIT :limit)
        UNION ALL
        SELECT * FROM (SELECT {UNANSWERED_COLUMNS} FROM delivery_queue WHERE id >= :since ORDER BY id DESC LIMIT :limit)
    ) d
    JOIN alerts a ON a.starts_at = d.starts_at AND a.fingerprint = d.fingerprint AND a.status = 'firing'
    WHERE {IS_UNANSWERED}"""


class SqliteClassifications:
    """See `ports.Classifications`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def newest(self, shapes: Sequence[str], *, since: datetime) -> dict[str, KeptVerdict]:
        """See `ports.Classifications.newest`."""
        return await self._connections.read(_newest, shapes, since=since)

    async def claim(self, shapes: Sequence[str], *, owner: str, now: datetime, until: datetime) -> list[str]:
        """See `ports.Classifications.claim`."""
        return await self._connections.write(_claim, shapes, owner=owner, now=now, until=until)

    async def keep(self, kept: Sequence[KeptVerdict], *, now: datetime) -> int:
        """See `ports.Classifications.keep`."""
        if not kept:
            return 0
        return await self._connections.write(_keep, kept, now=now)

    async def let_go(self, shapes: Sequence[str], *, unenriched: str | None, now: datetime) -> int:
        """See `ports.Classifications.let_go`. Looks before it takes the write lock: mostly there is nothing."""
        if not await self._connections.read(_is_any_held, shapes):
            return 0
        return await self._connections.write(_let_go, shapes, unenriched=unenriched, now=now)

    async def follow_up(self, kept: KeptVerdict, *, told: Sequence[tuple[str, datetime, str]], now: datetime) -> int:
        """See `ports.Classifications.follow_up`."""
        if not told:
            return 0
        return await self._connections.write(_follow_up, kept, told=told, now=now)

    async def unanswered(self, *, since: datetime) -> list[Unanswered]:
        """See `ports.Classifications.unanswered`."""
        wanted = {"since": lowest_uuid7(since), "limit": MOST_UNANSWERED}
        rows = await self._connections.read(_named_rows, _UNANSWERED, wanted)
        return [
            Unanswered(
                row["fingerprint"],
                from_us(row["starts_at"]),
                row["target"],
                msgspec.json.decode(row["labels"]),
                msgspec.json.decode(row["annotations"]),
            )
            for row in rows
        ]

    async def past(self, case: Case) -> Past:
        """See `ports.Classifications.past`."""
        told = await self.history(case.shape, limit=1)
        return await past(self._connections, case, said=told[0].severity_and_advice if told else None)

    async def history(self, shape: str, *, limit: int) -> list[KeptVerdict]:
        """See `ports.Classifications.history`."""
        rows = await self._connections.read(_rows, _HISTORY, shape, limit)
        return [kept_of(row) for row in rows]

    async def recent(self, *, limit: int, severity: Severity | None) -> list[KeptVerdict]:
        """See `ports.Classifications.recent`."""
        return [kept_of(row) for row in await self._connections.read(_rows, _RECENT, severity, severity, limit)]

    async def spent(self, *, since: datetime) -> Spent:
        """See `ports.Classifications.spent`."""
        (row,) = await self._connections.read(_rows, _SPENT, to_us(since), lowest_uuid7(since))
        return Spent(*row)

    async def keep_unusable(self, usage: Usage, *, model: str, now: datetime) -> None:
        """See `ports.Classifications.keep_unusable`."""
        tokens = usage.prompt_tokens + usage.completion_tokens
        row = (new_id(now), to_us(now), model, tokens, usage.cost_usd)
        await self._connections.write(_execute, "INSERT INTO unusable_answers VALUES (?, ?, ?, ?, ?)", row)

    async def counts(self, *, since: datetime, until: datetime) -> list[ClassifiedCount]:
        """See `ports.Classifications.counts`."""
        rows = await self._connections.read(_rows, _COUNTS, to_us(since), to_us(until))
        return [ClassifiedCount(*row) for row in rows]

    async def accuracy(self, *, since: datetime, until: datetime) -> list[Accuracy]:
        """See `ports.Classifications.accuracy`."""
        rows = await self._connections.read(_rows, _REVIEWED, to_us(since), to_us(until))
        return right_by_day((from_us(row[0]), *row[1:]) for row in rows)

    async def note(self, action: str, *, actor: str, detail: dict[str, Any], now: datetime) -> None:
        """See `ports.Classifications.note`."""
        row = (new_id(now), to_us(now), actor, action, encode_json(detail).decode())
        await self._connections.write(_execute, "INSERT INTO audit VALUES (?, ?, ?, ?, ?)", row)


def _rows(connection: sqlite3.Connection, statement: str, *values: Any) -> list[Any]:
    return connection.execute(statement, values).fetchall()


def _named_rows(connection: sqlite3.Connection, statement: str, values: dict[str, Any]) -> list[Any]:
    return connection.execute(statement, values).fetchall()


def _execute(connection: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> None:
    connection.execute(statement, values)


def _newest(connection: sqlite3.Connection, shapes: Sequence[str], *, since: datetime) -> dict[str, KeptVerdict]:
    found = {}
    for shape in shapes:
        row = connection.execute(_NEWEST, (shape, to_us(since))).fetchone()
        if row is not None:
            found[shape] = kept_of(row)
    return found


def _claim(
    connection: sqlite3.Connection, shapes: Sequence[str], *, owner: str, now: datetime, until: datetime
) -> list[str]:
    times = to_us(until), to_us(now)
    return [shape for shape in shapes if connection.execute(_CLAIM, (shape, owner, *times)).rowcount]


def _keep(connection: sqlite3.Connection, kept: Sequence[KeptVerdict], *, now: datetime) -> int:
    connection.executemany(_INSERT, [row_of(one, at=to_us(one.verdict.classification.at)) for one in kept])
    return _let_go(connection, [one.shape for one in kept], unenriched=None, now=now)


def _is_any_held(connection: sqlite3.Connection, shapes: Sequence[str]) -> bool:
    """Whether one of these is claimed, or deliveries wait for it."""
    return any(connection.execute(_IS_HELD, {"shape": shape}).fetchone()[0] for shape in shapes)


def _let_go(connection: sqlite3.Connection, shapes: Sequence[str], *, unenriched: str | None, now: datetime) -> int:
    due_at = to_us(now)
    connection.executemany("DELETE FROM classification_claims WHERE shape = ?", [(shape,) for shape in shapes])
    went = connection.executemany(_LET_GO, [(unenriched, due_at, shape) for shape in shapes]).rowcount
    return max(went, 0)


def _follow_up(
    connection: sqlite3.Connection, kept: KeptVerdict, *, told: Sequence[tuple[str, datetime, str]], now: datetime
) -> int:
    queued = 0
    for fingerprint, starts_at, target in told:
        key = (to_us(starts_at), fingerprint)
        connection.execute(_TAKE_ALONG, (kept.shape, *key, target))
        alert = connection.execute(_IS_FIRING, key).fetchone()
        if alert is None or connection.execute(_IS_PENDING, (*key, target)).fetchone():
            continue
        if connection.execute(_IS_TOLD, (*key, target, to_us(kept.verdict.classification.at))).fetchone():
            continue
        event = classified_event(kept, fingerprint=fingerprint, starts_at=starts_at, now=now)
        connection.execute(sql.INSERT_NOTE, sql.event_row(alert["id"], event)).fetchall()
        connection.execute(sql.INSERT_QUEUE, sql.queue_row(follow_up_delivery(event, target, shape=kept.shape)))
        queued += 1
    return queued
