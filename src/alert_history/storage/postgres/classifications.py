"""PostgreSQL: what was classified, and what waits for it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.accuracy import right_by_day
from alert_history.domain.classification import Case, Past, Usage
from alert_history.domain.notifying import AWAITED, classified_event, follow_up_delivery
from alert_history.domain.severity import Severity
from alert_history.ports import Accuracy, ClassifiedCount, KeptVerdict, Spent, Unanswered
from alert_history.storage.postgres import statements as sql
from alert_history.storage.postgres.connection import Connections, storage_errors
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.past import past
from alert_history.storage.postgres.rows import copy, event_row, queue_row
from alert_history.storage.shared.delivery_text import IS_UNANSWERED, MOST_UNANSWERED, UNANSWERED_COLUMNS
from alert_history.storage.shared.ids import lowest_uuid7, new_id
from alert_history.storage.shared.json_text import encode_json
from alert_history.storage.shared.rows import kept_of, row_of

_NEWEST = """SELECT c.id, c.shape, c.fingerprint, c.verdict FROM unnest($1::text[]) AS wanted(shape)
    CROSS JOIN LATERAL (SELECT * FROM classifications c WHERE c.shape = wanted.shape
        AND (c.at >= $2 OR c.source = 'person') ORDER BY c.id DESC LIMIT 1) c"""
_HISTORY = "SELECT id, shape, fingerprint, verdict FROM classifications WHERE shape = $1 ORDER BY id DESC LIMIT $2"
_RECENT = """SELECT id, shape, fingerprint, verdict FROM classifications c
    WHERE ($1::text IS NULL OR severity = $1) AND NOT EXISTS (
        SELECT 1 FROM classifications newer WHERE newer.shape = c.shape AND newer.id > c.id)
    ORDER BY id DESC LIMIT $2"""
_CLAIM = """INSERT INTO classification_claims AS held SELECT shape, $2, $4 FROM unnest($1::text[]) AS wanted(shape)
    ORDER BY shape ON CONFLICT (shape) DO UPDATE SET owner = excluded.owner, until = excluded.until
    WHERE held.until < $3 OR held.owner = excluded.owner RETURNING shape"""
_INSERT = """INSERT INTO classifications
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],
        $8::integer[], $9::float8[], $10::jsonb[]) ON CONFLICT DO NOTHING"""
_UNCLAIM = "DELETE FROM classification_claims WHERE shape = ANY($1::text[])"
_LET_GO = f"""UPDATE delivery_queue SET enrichment = $2, due_at = least(due_at, $3)
    WHERE shape = ANY($1::text[]) AND enrichment = '{AWAITED}'"""
_SPENT = """SELECT count(*), coalesce(sum(tokens), 0)::bigint, coalesce(sum(cost_usd), 0) FROM (
        SELECT tokens, cost_usd FROM classifications WHERE at >= $1
        UNION ALL SELECT tokens, cost_usd FROM unusable_answers WHERE id >= $2) used"""
_COUNTS = """SELECT model, severity, count(*) FROM classifications WHERE at >= $1 AND at < $2
    GROUP BY model, severity ORDER BY model, severity"""
_REVIEWED = """SELECT p.at, p.severity, m.model, m.severity FROM classifications p
    CROSS JOIN LATERAL (SELECT model, severity FROM classifications WHERE shape = p.shape AND id < p.id
        AND source <> 'person' ORDER BY id DESC LIMIT 1) m
    WHERE p.source = 'person' AND p.at >= $1 AND p.at < $2"""
_TOLD = "unnest($2::text[], $3::timestamptz[], $4::text[]) AS told(fingerprint, starts_at, target)"
_TAKE_ALONG = f"""UPDATE delivery_queue q SET shape = $1 FROM {_TOLD}
    WHERE q.fingerprint = told.fingerprint AND q.starts_at = told.starts_at AND q.target = told.target"""
_TO_TELL = """SELECT told.*
    FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS told(fingerprint, starts_at, target)
    JOIN alerts a ON a.fingerprint = told.fingerprint AND a.starts_at = told.starts_at AND a.status = 'firing'
    WHERE NOT EXISTS (SELECT 1 FROM delivery_queue q WHERE q.fingerprint = told.fingerprint
        AND q.starts_at = told.starts_at AND q.target = told.target
        AND (q.state = 'pending' OR q.event = 'classified') OFFSET 0)
    AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.fingerprint = told.fingerprint
        AND d.starts_at = told.starts_at AND d.target = told.target AND d.event = 'classified'
        AND d.state = 'delivered' AND d.created_at >= $4 OFFSET 0)"""
_UNANSWERED = f"""SELECT DISTINCT d.fingerprint, d.starts_at, d.target, a.labels, a.annotations FROM (
        (SELECT {UNANSWERED_COLUMNS} FROM deliveries WHERE id >= $1 AND created_at >= $2 ORDER BY id DESC LIMIT $3)
        UNION ALL
        (SELECT {UNANSWERED_COLUMNS} FROM delivery_queue WHERE id >= $1 ORDER BY id DESC LIMIT $3)
    ) d
    JOIN alerts a ON a.fingerprint = d.fingerprint AND a.starts_at = d.starts_at AND a.status = 'firing'
    WHERE {IS_UNANSWERED}"""


class PostgresClassifications:
    """See `ports.Classifications`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def newest(self, shapes: Sequence[str], *, since: datetime) -> dict[str, KeptVerdict]:
        """See `ports.Classifications.newest`. Asks the primary: a replica may not know yet."""
        with storage_errors():
            async with self._connections.deliverer() as connection:
                rows = await connection.fetch(_NEWEST, list(shapes), since)
        return {row["shape"]: kept_of(row) for row in rows}

    async def claim(self, shapes: Sequence[str], *, owner: str, now: datetime, until: datetime) -> list[str]:
        """See `ports.Classifications.claim`."""
        with storage_errors():
            async with self._connections.deliverer() as connection:
                return [row[0] for row in await connection.fetch(_CLAIM, list(shapes), owner, now, until)]

    async def keep(self, kept: Sequence[KeptVerdict], *, now: datetime) -> int:
        """See `ports.Classifications.keep`."""
        if not kept:
            return 0
        with storage_errors():
            async with self._connections.deliverer() as connection, connection.transaction():
                await connection.execute(
                    _INSERT, *zip(*(row_of(one, at=one.verdict.classification.at) for one in kept), strict=True)
                )
                return await _let_go(connection, [one.shape for one in kept], unenriched=None, now=now)

    async def let_go(self, shapes: Sequence[str], *, unenriched: str | None, now: datetime) -> int:
        """See `ports.Classifications.let_go`."""
        with storage_errors():
            async with self._connections.deliverer() as connection, connection.transaction():
                return await _let_go(connection, shapes, unenriched=unenriched, now=now)

    async def follow_up(self, kept: KeptVerdict, *, told: Sequence[tuple[str, datetime, str]], now: datetime) -> int:
        """See `ports.Classifications.follow_up`."""
        if not told:
            return 0
        columns = list(zip(*sorted(told), strict=True))
        with storage_errors():
            async with self._connections.deliverer() as connection, connection.transaction():
                await connection.execute(_TAKE_ALONG, kept.shape, *columns)
                since = kept.verdict.classification.at
                tell = [tuple(row) for row in await connection.fetch(_TO_TELL, *columns, since)]
                events = {
                    (fingerprint, starts_at): classified_event(
                        kept, fingerprint=fingerprint, starts_at=starts_at, now=now
                    )
                    for fingerprint, starts_at, _ in tell
                }
                if events:
                    rows = zip(*map(event_row, events.values()), strict=True)
                    await connection.execute(sql.INSERT_NOTES, *rows)
                    queue = [follow_up_delivery(events[f, s], target, shape=kept.shape) for f, s, target in tell]
                    await copy(connection, "delivery_queue", map(queue_row, queue), columns=sql.QUEUE_COLUMNS)
                return len(tell)

    async def unanswered(self, *, since: datetime) -> list[Unanswered]:
        """See `ports.Classifications.unanswered`. Asks the primary: a replica may not know yet."""
        with storage_errors():
            async with self._connections.deliverer() as connection:
                rows = await connection.fetch(_UNANSWERED, lowest_uuid7(since), since, MOST_UNANSWERED)
        return [
            Unanswered(fingerprint, starts_at, target, msgspec.json.decode(labels), msgspec.json.decode(annotations))
            for fingerprint, starts_at, target, labels, annotations in rows
        ]

    async def past(self, case: Case) -> Past:
        """See `ports.Classifications.past`."""
        told = await self.history(case.shape, limit=1)
        return await past(self._connections, case, said=told[0].severity_and_advice if told else None)

    async def history(self, shape: str, *, limit: int) -> list[KeptVerdict]:
        """See `ports.Classifications.history`."""
        return [kept_of(row) for row in await self._read(_HISTORY, shape, limit)]

    async def recent(self, *, limit: int, severity: Severity | None) -> list[KeptVerdict]:
        """See `ports.Classifications.recent`."""
        return [kept_of(row) for row in await self._read(_RECENT, severity, limit)]

    async def spent(self, *, since: datetime) -> Spent:
        """See `ports.Classifications.spent`."""
        (row,) = await self._read(_SPENT, since, lowest_uuid7(since))
        return Spent(*row)

    async def keep_unusable(self, usage: Usage, *, model: str, now: datetime) -> None:
        """See `ports.Classifications.keep_unusable`."""
        tokens = usage.prompt_tokens + usage.completion_tokens
        statement = "INSERT INTO unusable_answers VALUES ($1, $2, $3, $4, $5)"
        with storage_errors():
            async with self._connections.deliverer() as connection:
                await connection.execute(statement, new_id(now), now, model, tokens, usage.cost_usd)

    async def counts(self, *, since: datetime, until: datetime) -> list[ClassifiedCount]:
        """See `ports.Classifications.counts`."""
        return [ClassifiedCount(*row) for row in await self._read(_COUNTS, since, until)]

    async def accuracy(self, *, since: datetime, until: datetime) -> list[Accuracy]:
        """See `ports.Classifications.accuracy`."""
        return right_by_day([tuple(row) for row in await self._read(_REVIEWED, since, until)])

    async def note(self, action: str, *, actor: str, detail: dict[str, Any], now: datetime) -> None:
        """See `ports.Classifications.note`."""
        statement = "INSERT INTO audit VALUES ($1, $2, $3, $4, $5::text::jsonb)"
        with storage_errors():
            async with self._connections.deliverer() as connection:
                await connection.execute(statement, new_id(now), now, actor, action, encode_json(detail).decode())

    async def _read(self, statement: str, *values: Any) -> list[Any]:
        with storage_errors():
            async with self._connections.reader() as connection:
                rows: list[Any] = await connection.fetch(statement, *values)
                return rows


async def _let_go(connection: Connection, shapes: Sequence[str], *, unenriched: str | None, now: datetime) -> int:
    await connection.execute(_UNCLAIM, list(shapes))
    done = await connection.execute(_LET_GO, list(shapes), unenriched, now)
    return int(done.rsplit(" ", 1)[1])
