"""PostgreSQL: the hands of an import. Takes locks as all writers do: standings, then occurrences; sorted.

A label set that fired lately and has no standing gets an empty one for the time of the transaction, so that nobody
begins it meanwhile.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from alert_history.domain.decision import Entry
from alert_history.domain.importing import ImportMark
from alert_history.domain.importing_new import NewFiring
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Event, Key, Occurrence
from alert_history.domain.past_firing import PastFiring
from alert_history.domain.standing import Standing
from alert_history.ports.import_files import Beside, Parted
from alert_history.ports.imports import ImportRecord, TakenBack
from alert_history.storage.postgres import statements as sql
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.database import PostgresSession
from alert_history.storage.postgres.deciding import recall, write_events
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.postgres.rows import alert_row, copy, standing_row, update_occurrences
from alert_history.storage.postgres.upkeep import PARTITIONED, create_partitions
from alert_history.storage.shared.importing import STEP_ROWS, Present, Span, Step, take, take_back
from alert_history.storage.shared.json_text import encode_json
from alert_history.storage.shared.rows import new_alert_row
from alert_history.storage.shared.standing_text import read_standing

_COLUMNS = {**sql.ALERT_COLUMNS, "imported_at": "timestamptz", "import_id": "text"}
_WEEK_US = int(PARTITIONED["alerts"].length.total_seconds()) * 1_000_000

_OCCUPY = """
INSERT INTO standings (fingerprint, standing) SELECT u.fingerprint, '[]' FROM unnest($1::text[]) AS u(fingerprint)
ON CONFLICT DO NOTHING RETURNING fingerprint
"""
_PRESENT = f"SELECT fingerprint FROM alerts LIMIT {Present.most + 1}"
_VACATE = "DELETE FROM standings WHERE fingerprint = ANY($1::text[])"
# What lies between two times of a label set, with its neighbours: the one before may reach in, and so may the one after
# whose start was moved back behind its key.
_AROUND = """
SELECT n.* FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS u(fingerprint, since, until)
CROSS JOIN LATERAL (
    (SELECT * FROM alerts a WHERE a.fingerprint = u.fingerprint AND a.starts_at <= u.since
        AND a.joined_into IS NULL ORDER BY a.starts_at DESC LIMIT 1)
    UNION ALL
    (SELECT * FROM alerts a WHERE a.fingerprint = u.fingerprint AND a.starts_at > u.since AND a.starts_at <= u.until)
    UNION ALL
    (SELECT * FROM alerts a WHERE a.fingerprint = u.fingerprint AND a.starts_at > u.until
        AND a.joined_into IS NULL ORDER BY a.starts_at LIMIT 1)) n
"""
_OWN = f"""
SELECT a.fingerprint, a."timestamp" FROM alerts a
WHERE a."timestamp" >= $1 AND a."timestamp" <= $2 AND a.import_id = $3 ORDER BY a."timestamp" LIMIT {STEP_ROWS}
"""
_DROP = """
WITH gone AS (SELECT * FROM unnest($1::text[], $2::timestamptz[]) AS u(fingerprint, starts_at)),
    no_events AS (DELETE FROM events e USING gone g WHERE e.fingerprint = g.fingerprint AND e.starts_at = g.starts_at),
    no_acts AS (DELETE FROM acts t USING gone g WHERE t.fingerprint = g.fingerprint AND t.starts_at = g.starts_at)
DELETE FROM alerts a USING gone g WHERE a.fingerprint = g.fingerprint AND a.starts_at = g.starts_at
"""
_DISOWN = """
UPDATE alerts a SET import_id = NULL FROM unnest($1::text[], $2::timestamptz[]) AS u(fingerprint, starts_at)
WHERE a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at
"""


class PostgresImporting:
    """See `shared.imports.Taking`. Remembers which weeks have partitions."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._weeks: set[int] = set()
        self._present = Present()

    def begin(self) -> None:
        """See `Taking.begin`."""
        self._present.forget()

    async def take(
        self,
        record: ImportRecord,
        groups: Sequence[Sequence[PastFiring]],
        *,
        now: datetime,
        is_dry_run: bool,
        beside: Beside | None = None,
    ) -> Parted:
        """See `shared.imports.Taking.take`."""
        with storage_errors():
            async with self._connections.upkeep() as connection:
                if not is_dry_run:
                    await self._make_room(connection, groups, beside)
                present = self._present
                if present.is_unread_for(record.id):
                    present.read(record.id, await connection.fetch(_PRESENT))
                step = Step(now, is_dry_run=is_dry_run, present=present, beside=beside)
                async with connection.transaction():
                    return await take(_Hands(connection), record, groups, step)

    async def take_back(self, record: ImportRecord, *, after: datetime | None) -> TakenBack:
        """See `ports.Imports.take_back`."""
        with storage_errors():
            async with self._connections.upkeep() as connection, connection.transaction():
                return await take_back(_Hands(connection), record, after=after)

    async def _make_room(
        self, connection: Connection, groups: Iterable[Sequence[PastFiring]], beside: Beside | None
    ) -> None:
        """Partitions for the weeks of these starts, so that a past year does not pile up in the default partition.

        What goes to an archive needs none.
        """
        before_us = 0 if beside is None else to_us(beside.before)
        firings = [firing for group in groups for firing in group if firing.last_sign_us >= before_us]
        weeks = {to_us(firing.starts_at) // _WEEK_US for firing in firings}
        for week in sorted(weeks - self._weeks):
            since = from_us(week * _WEEK_US)
            for table in ("alerts", "events"):
                await create_partitions(connection, table, since=since, until=since + PARTITIONED[table].length)
            self._weeks.add(week)


class _Hands:
    """See `shared.importing.Hands`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.session = PostgresSession(connection)

    async def lock(self, fingerprints: Sequence[str], *, begun: Collection[str]) -> dict[str, Standing]:
        """See `Hands.lock`."""
        occupied = await self._connection.fetch(_OCCUPY, sorted(begun)) if begun else []
        without = {row[0] for row in occupied}
        rows = await self._connection.fetch(sql.LOCK_STANDINGS, fingerprints)
        return {row[0]: read_standing(row[1]) for row in rows if row[0] not in without}

    async def recall(self, fingerprints: Sequence[str]) -> dict[str, Standing]:
        """See `Hands.recall`."""
        known = await recall(self._connection, fingerprints)
        return {fingerprint: label_set.standing for fingerprint, label_set in known.items()}

    async def around(self, spans: Mapping[str, Span]) -> list[Any]:
        """See `Hands.around`."""
        rows = [(fingerprint, *span) for fingerprint, span in sorted(spans.items())]
        found: list[Any] = await self._connection.fetch(_AROUND, *zip(*rows, strict=True)) if rows else []
        return found

    async def insert(self, entries: Sequence[Entry], mark: ImportMark) -> None:
        """See `Hands.insert`."""
        rows = [(*alert_row(e.first, e), mark.at, mark.import_id) for e in entries if e.first is not None]
        if rows:
            await copy(self._connection, "alerts", rows, columns=_COLUMNS)

    async def insert_new(self, firings: Sequence[NewFiring], mark: ImportMark) -> None:
        """See `Hands.insert_new`."""
        alerts: list[tuple[Any, ...]] = []
        events: list[tuple[Any, ...]] = []
        for each in firings:
            start, end = from_us(each.start_us), from_us(each.end_us)
            alerts.append(new_alert_row(each, start, end, from_us(each.confirmed_us), mark.at, mark.import_id))
            detail = encode_json(each.end_detail(mark.origin)).decode()
            events.append((each.fingerprint, start, 1, "fired", start, None, None))
            events.append((each.fingerprint, start, 2, each.ended_by, end, None, detail))
        await copy(self._connection, "alerts", alerts, columns=_COLUMNS)
        await copy(self._connection, "events", events, columns=sql.EVENT_COLUMNS)

    async def update(self, occurrences: Mapping[Key, Occurrence]) -> None:
        """See `Hands.update`."""
        await update_occurrences(self._connection, dict(sorted(occurrences.items())))

    async def add_events(self, events: Sequence[Event]) -> None:
        """See `Hands.add_events`."""
        await write_events(self._connection, events, ())

    async def write_standings(self, standings: Mapping[str, Standing], *, vacated: Collection[str] = ()) -> None:
        """See `Hands.write_standings`."""
        rows = [standing_row(fingerprint, standing) for fingerprint, standing in sorted(standings.items())]
        if rows:
            await self._connection.execute(sql.UPSERT_STANDINGS, *zip(*rows, strict=True))
        if vacated:
            await self._connection.execute(_VACATE, sorted(vacated))

    async def own(self, record: ImportRecord, since: datetime) -> list[tuple[str, datetime]]:
        """See `Hands.own`."""
        rows = await self._connection.fetch(_OWN, since, record.newest, record.id)
        return [tuple(row) for row in rows]

    async def drop(self, keys: Sequence[Key]) -> None:
        """See `Hands.drop`."""
        if keys:
            await self._connection.execute(_DROP, *zip(*keys, strict=True))

    async def disown(self, keys: Sequence[Key]) -> None:
        """See `Hands.disown`."""
        if keys:
            await self._connection.execute(_DISOWN, *zip(*keys, strict=True))
