"""PostgreSQL: the write side. One transaction a batch, a handful of statements however many alerts it holds."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import starmap
from typing import Any

import asyncpg

from alert_history.domain.alert import Refused
from alert_history.domain.occurrence import Event, Sighting
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.errors import StorageUnavailable
from alert_history.ports import Router, Store
from alert_history.storage import postgres_statements as sql
from alert_history.storage.batch import (
    Decision,
    Enqueued,
    Key,
    PlacedNotes,
    by_key,
    decide,
    ends_to_tell,
    enqueue,
    is_same_repeat,
    join_firing,
    newest_silences,
    outcomes,
    place_notes,
    quarantined,
    unstarted,
)
from alert_history.storage.postgres_archive import PostgresArchivable
from alert_history.storage.postgres_classifications import PostgresClassifications
from alert_history.storage.postgres_connection import Connections, storage_errors
from alert_history.storage.postgres_dialer import Connection, Dialer
from alert_history.storage.postgres_history import PostgresHistory
from alert_history.storage.postgres_lifecycle import PostgresLifecycle
from alert_history.storage.postgres_outbox import PostgresOutbox
from alert_history.storage.postgres_rows import (
    alert_row,
    copy,
    event_row,
    quarantine_row,
    queue_row,
    read_occurrence,
    receipt_row,
    repeat_row,
    silence_row,
    told_targets,
    update_occurrences,
)
from alert_history.storage.postgres_upkeep import PostgresUpkeep
from alert_history.urls.postgres import read_postgres_url
from alert_history.zstd import ZstdCompressor

_ROUNDS = 4
_TRANSIENT = (
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.SerializationError,
    asyncpg.CheckViolationError,  # a row on its way to the default partition, whose own was attached meanwhile
)
_MIN_PENALTY = 100
_MAX_PENALTY = 100_000
_KNOWN_KEYS = 20_000
_KNOWN_BODIES = 5_000


def postgres_store(database_url: str, *, read_database_url: str | None = None, router: Router | None = None) -> Store:
    """A store on PostgreSQL; connects when it is opened. `read_database_url` may name a replica."""
    reader = Dialer(read_postgres_url(read_database_url)) if read_database_url else None
    connections = Connections(Dialer(read_postgres_url(database_url)), read_dialer=reader)
    return Store(
        recorder=PostgresRecorder(connections, router=router),
        history=PostgresHistory(connections),
        upkeep=PostgresUpkeep(connections, router=router),
        lifecycle=PostgresLifecycle(connections),
        outbox=PostgresOutbox(connections),
        archivable=PostgresArchivable(connections),
        classifications=PostgresClassifications(connections),
    )


class PostgresRecorder:
    """Keeps batches. Remembers keys it has seen lately, as a hint which statement to try first, never as truth."""

    def __init__(self, connections: Connections, *, router: Router | None) -> None:
        self._connections = connections
        self._router = router
        self._known_keys: dict[Key, None] = {}
        self._known_bodies: dict[tuple[bytes, datetime], None] = {}
        self._batches_without_copy = 0
        self._penalty = _MIN_PENALTY
        self._compressor = ZstdCompressor(level=1)

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        """See `ports.Recorder.commit`."""
        with storage_errors():
            groups = by_key(receipts)
            bodies = self._new_bodies(receipts)
            async with self._connections.writer() as connection:
                kept = await self._in_transaction(connection, receipts, groups=groups, bodies=bodies)
        _remember(self._known_keys, groups, limit=_KNOWN_KEYS)
        _remember(self._known_bodies, bodies, limit=_KNOWN_BODIES)
        return kept

    async def _in_transaction(
        self,
        connection: Connection,
        receipts: Sequence[Receipt],
        *,
        groups: dict[Key, list[Sighting]],
        bodies: dict[tuple[bytes, datetime], bytes],
    ) -> list[Outcome]:
        for attempt in range(_ROUNDS):
            try:
                async with connection.transaction():
                    groups = await _join_firing(connection, groups)
                    events = await self._keep_alerts(connection, groups, in_order=attempt > 0)
                    told = await told_targets(connection, ends_to_tell(events))
                    events, queue = enqueue(events, groups=groups, told_before=told, router=self._router)
                    await _insert_events(connection, events)
                    await _insert_queue(connection, queue)
                    placed = await _keep_notes(connection, receipts)
                    kept = outcomes(receipts, events=events, placed=placed, queue=queue)
                    await _keep_receipts(connection, receipts, outcomes=kept, bodies=bodies)
                    await _keep_refused(connection, quarantined(receipts, events=events, placed=placed))
                    await _keep_silences(connection, receipts)
                    return kept
            except _TRANSIENT:
                if attempt == _ROUNDS - 1:
                    raise
        raise AssertionError("unreachable")

    async def _keep_alerts(
        self, connection: Connection, groups: dict[Key, list[Sighting]], *, in_order: bool
    ) -> list[Event]:
        """Insert what seems new, count what seems repeated, lock and decide the rest; until nothing is left.

        A key can fail each guess once (another replica inserts it, retention removes it) and is then guessed anew.
        Counting some and then waiting for others is how two replicas get into a deadlock, which PostgreSQL sees
        only after a second. So the first try doesn't wait there, and the next locks all keys `in_order` first.

        Raises: asyncpg.LockNotAvailableError if it would have to wait out of order.
        """
        events: list[Event] = []
        new = [key for key in groups if key not in self._known_keys]
        known = [key for key in groups if key in self._known_keys]
        for _ in range(_ROUNDS):
            made, conflicting = await self._insert(connection, groups, keys=new)
            events += made
            known = sorted([*known, *conflicting])
            if in_order and known:
                await connection.execute(sql.LOCK_ALERTS, *zip(*known, strict=True))
            left = await _count_repeats(connection, groups, keys=known)
            may_wait = in_order or not (events or len(left) < len(known))
            made, new = await _advance(connection, groups, keys=left, may_wait=may_wait)
            events += made
            known = []
            if not new:
                return events
        raise StorageUnavailable("other writers kept changing the same occurrences")

    async def _insert(
        self, connection: Connection, groups: dict[Key, list[Sighting]], *, keys: Sequence[Key]
    ) -> tuple[list[Event], list[Key]]:
        """Insert these as new: by COPY, which costs half, unless keys turned out to exist not long ago.

        A COPY that meets one fails and is an error in PostgreSQL's log, so each such batch doubles the batches
        after it that don't try.
        """
        if not keys:
            return [], []
        decisions = [decide(None, groups[key]) for key in keys]
        if self._batches_without_copy == 0 and await _copy_alerts(connection, decisions):
            return [event for decision in decisions for event in decision.events], []
        self._batches_without_copy -= 1
        made, conflicting = await _insert(connection, decisions, keys=keys)
        if conflicting:
            self._penalty = min(self._penalty * 2, _MAX_PENALTY)
            self._batches_without_copy = self._penalty
        self._batches_without_copy = max(self._batches_without_copy, 0)
        return made, conflicting

    def _new_bodies(self, receipts: Iterable[Receipt]) -> dict[tuple[bytes, datetime], bytes]:
        """Compressed bodies not stored yet today: a repeated notification is the same bytes again."""
        bodies: dict[tuple[bytes, datetime], bytes] = {}
        for receipt in receipts:
            key = (receipt.body_sha256, day_of(receipt.received_at))
            if key not in bodies and key not in self._known_bodies:
                bodies[key] = self._compressor.compress(receipt.body, ZstdCompressor.FLUSH_FRAME)
        return bodies


def day_of(time: datetime) -> datetime:
    """Midnight UTC before it."""
    return datetime(time.year, time.month, time.day, tzinfo=UTC)


def _remember(known: dict[Any, None], keys: Iterable[Any], *, limit: int) -> None:
    known.update(dict.fromkeys(keys))
    surplus = len(known) - limit
    if surplus > 0:
        for key in [key for key, _ in zip(known, range(surplus), strict=False)]:
            del known[key]


async def _join_firing(connection: Connection, groups: dict[Key, list[Sighting]]) -> dict[Key, list[Sighting]]:
    fingerprints = unstarted(groups)
    if not fingerprints:
        return groups
    return join_firing(groups, dict(await connection.fetch(sql.FIRING_SINCE, fingerprints)))


async def _copy_alerts(connection: Connection, decisions: Sequence[Decision]) -> bool:
    """Insert all of them, or none if a key exists."""
    try:
        async with connection.transaction():
            await copy(connection, "alerts", map(alert_row, decisions), columns=sql.ALERT_COLUMNS)
    except asyncpg.UniqueViolationError:
        return False
    return True


async def _insert(
    connection: Connection, decisions: Sequence[Decision], *, keys: Sequence[Key]
) -> tuple[list[Event], list[Key]]:
    """Insert those that are new; their events, and the keys that turned out to exist."""
    rows = list(map(alert_row, decisions))
    inserted = {(row[0], row[1]) for row in await connection.fetch(sql.INSERT_ALERTS, *zip(*rows, strict=True))}
    events = [
        event for key, decision in zip(keys, decisions, strict=True) if key in inserted for event in decision.events
    ]
    return events, [key for key in keys if key not in inserted]


async def _count_repeats(
    connection: Connection, groups: dict[Key, list[Sighting]], *, keys: Sequence[Key]
) -> list[Key]:
    """Count those that say nothing new; the keys that do say something, or are not there."""
    same = [key for key in keys if is_same_repeat(groups[key])]
    if not same:
        return list(keys)
    rows = [repeat_row(key, groups[key]) for key in same]
    counted = await connection.fetch(sql.COUNT_REPEATS, *zip(*rows, strict=True))
    done = {(row[0], row[1]) for row in counted}
    return [key for key in keys if key not in done]


async def _advance(
    connection: Connection, groups: dict[Key, list[Sighting]], *, keys: Sequence[Key], may_wait: bool
) -> tuple[list[Event], list[Key]]:
    """Lock these and decide; their events, and the keys that are not there after all."""
    if not keys:
        return [], []
    lock = sql.LOCK_ALERTS if may_wait else sql.LOCK_ALERTS_NOWAIT
    locked = await connection.fetch(lock, *zip(*keys, strict=True))
    decisions = {}
    for row in locked:
        key = (row["fingerprint"], row["starts_at"])
        decisions[key] = decide(read_occurrence(row), groups[key])
    await update_occurrences(connection, {key: d.occurrence for key, d in decisions.items()})
    events = [event for decision in decisions.values() for event in decision.events]
    return events, [key for key in keys if key not in decisions]


async def _insert_events(connection: Connection, events: Sequence[Event]) -> None:
    if events:
        await copy(connection, "events", map(event_row, events), columns=sql.EVENT_COLUMNS)


async def _insert_queue(connection: Connection, queue: Sequence[Enqueued]) -> None:
    if queue:
        await copy(connection, "delivery_queue", map(queue_row, queue), columns=sql.QUEUE_COLUMNS)


async def _keep_receipts(
    connection: Connection,
    receipts: Sequence[Receipt],
    *,
    outcomes: Sequence[Outcome],
    bodies: dict[tuple[bytes, datetime], bytes],
) -> None:
    rows = [receipt_row(*pair) for pair in zip(receipts, outcomes, strict=True)]
    await copy(connection, "receipts", rows, columns=sql.RECEIPT_COLUMNS)
    if bodies:
        body_rows = [(day, sha256, body) for (sha256, day), body in sorted(bodies.items())]
        await connection.execute(sql.INSERT_BODIES, *zip(*body_rows, strict=True))


async def _keep_refused(connection: Connection, refused: Iterable[tuple[Receipt, Refused]]) -> None:
    rows = list(starmap(quarantine_row, refused))
    if rows:
        await connection.execute(sql.INSERT_QUARANTINE, *zip(*rows, strict=True))


async def _keep_silences(connection: Connection, receipts: Sequence[Receipt]) -> None:
    rows = list(map(silence_row, newest_silences(receipts)))
    if rows:
        await connection.execute(sql.UPSERT_SILENCES, *zip(*rows, strict=True))


async def _keep_notes(connection: Connection, receipts: Sequence[Receipt]) -> PlacedNotes:
    """Keep the notes as events of their occurrences, and those whose alert nobody knows in quarantine."""
    notes = [(receipt, note) for receipt in receipts for note in receipt.group.notes]
    if not notes:
        return PlacedNotes()
    named = {(n.fingerprint, n.starts_at) for _, n in notes if n.starts_at is not None}
    unnamed = {n.fingerprint for _, n in notes if n.starts_at is None}
    placed = place_notes(
        notes,
        known={tuple(row) for row in await _fetch_keys(connection, sql.KNOWN_KEYS, sorted(named))},
        newest=dict(await connection.fetch(sql.NEWEST_STARTS, sorted(unnamed))),
    )
    if placed.events:
        columns = zip(*map(event_row, placed.events), strict=True)
        placed.stored.update(row[0] for row in await connection.fetch(sql.INSERT_NOTES, *columns))
    return placed


async def _fetch_keys(connection: Connection, statement: str, keys: Sequence[Key]) -> list[Any]:
    return await connection.fetch(statement, *zip(*keys, strict=True)) if keys else []
