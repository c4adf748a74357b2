"""PostgreSQL: builds the segments of searches, one replica at a time.

A segment is read in one snapshot, which must hold all occurrences so old, but those that become strays. What is written
within 30 s of its `timestamp` is no stray, and may be in a transaction that goes on. So the job notes the time and its
own transaction, and builds up to a time before that once all older transactions have ended.
"""

import asyncio
from datetime import datetime
from itertools import islice

from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.database import PostgresSession
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.postgres.scanning import ORDER
from alert_history.storage.shared.segments import SETTLED, Plan, Summary, keep, plan

_LOCK = "hashtextextended('alert-history segments', 0)"
_MARK = """SELECT statement_timestamp(), pg_current_xact_id()::text::bigint AS own,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_running"""
_SLICE_ROWS = 128
"""After so many rows other tasks have their turn."""


class Summariser:
    """See `ports.Upkeep.summarise`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._mark: tuple[datetime, int] | None = None
        self._settled_at: datetime | None = None

    async def step(self) -> int:
        """Build one segment; the number of its rows, 0 where nothing is to be done or another replica does it."""
        with storage_errors():
            async with self._connections.upkeep() as connection:
                edge = await self._edge(connection)
                if edge is None or not await connection.fetchval(f"SELECT pg_try_advisory_lock({_LOCK})"):
                    return 0
                try:
                    return await _build(connection, edge)
                finally:
                    await connection.execute(f"SELECT pg_advisory_unlock({_LOCK})")

    async def _edge(self, connection: Connection) -> datetime | None:
        """Up to where all transactions have ended; None if that is not known yet."""
        [(now, own, oldest_running)] = await connection.fetch(_MARK)
        if self._mark is not None and oldest_running > self._mark[1]:
            self._settled_at, self._mark = self._mark[0], None
        if self._mark is None:
            self._mark = (now, own)
        return None if self._settled_at is None else self._settled_at - SETTLED


async def _build(connection: Connection, edge: datetime) -> int:
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        session = PostgresSession(connection)
        step = await plan(session, ORDER, edge)
        if step.span is None:
            return await keep(session, step, None, row=None)
        summary = await _summary(session, step)
        row = await asyncio.to_thread(summary.row, step.span)
        return await keep(session, step, summary, row=row)


async def _summary(session: PostgresSession, step: Plan) -> Summary:
    summary = Summary()
    if step.span is not None:
        rows = iter(await session.fetch(ORDER.texts, first=step.span.first, until=step.span.until))
        while some := list(islice(rows, _SLICE_ROWS)):
            summary.add(some)
            await asyncio.sleep(0)
    return summary
