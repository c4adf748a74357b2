"""PostgreSQL: the write side. One transaction a batch, a handful of statements however many alerts it holds."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import starmap
from typing import Any

import asyncpg

from alert_history.domain.alert import Note, Refused
from alert_history.domain.decision import Decision, Known, with_peers
from alert_history.domain.microseconds import from_us
from alert_history.domain.muting import newest_silences
from alert_history.domain.notes import NotePlace, PlacedNotes, key_of_note, place_notes, scoped_notes
from alert_history.domain.occurrence import Key, Sighting
from alert_history.domain.outcome import outcomes, quarantined
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.sightings import by_fingerprint, from_grafana, renamed
from alert_history.domain.silence_versions import recorded_versions
from alert_history.domain.standing import Rules, Witnesses
from alert_history.ports import Router
from alert_history.storage.postgres import statements as sql
from alert_history.storage.postgres.at_once import record_at_once
from alert_history.storage.postgres.batch import Batch
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.database import PostgresSession
from alert_history.storage.postgres.deciding import (
    lock_known,
    mute,
    open_before,
    write_changes,
    write_events,
    write_news,
    write_notes,
)
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.postgres.rows import quarantine_row, receipt_row, silence_row
from alert_history.storage.shared.foreseen import Foreseen, Seen, foresee
from alert_history.storage.shared.recent import remember
from alert_history.storage.shared.silence_versions import keep_versions
from alert_history.zstd import ZstdCompressor

_ROUNDS = 4
_TRANSIENT = (
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.SerializationError,
    asyncpg.CheckViolationError,  # a row goes to the default partition, while its own partition was attached
    asyncpg.UniqueViolationError,  # an older release wrote an occurrence without a standing
)
_SEEN = 20_000
_KNOWN_BODIES = 5_000


class PostgresRecorder:
    """Keeps batches. Remembers alerts seen lately, as a hint which statement to try first, and never as truth."""

    def __init__(self, connections: Connections, *, router: Router | None, rules: Rules) -> None:
        self._connections = connections
        self._router = router
        self._rules = rules
        self.witnesses = Witnesses()
        self._seen: dict[str, Seen] = {}
        self._known_bodies: dict[tuple[bytes, datetime], None] = {}
        self._compressor = ZstdCompressor(level=1)

    def take_up_witnesses(self, witnesses: Witnesses) -> None:
        """See `ports.ClaimRecorder.take_up_witnesses`."""
        self.witnesses = witnesses

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        """See `ports.Recorder.commit`."""
        with storage_errors():
            groups = by_fingerprint(receipts)
            bodies = self._new_bodies(receipts)
            foreseen = foresee(
                receipts,
                groups,
                seen=self._seen,
                router=self._router,
                rules=self._rules,
                witnesses=self.witnesses,
            )
            async with self._connections.writer() as connection:
                decisions, receipt_outcomes = await self._record(
                    connection, receipts, groups=groups, bodies=bodies, foreseen=foreseen
                )
        self._see(decisions)
        remember(self._known_bodies, dict.fromkeys(bodies), limit=_KNOWN_BODIES)
        return receipt_outcomes

    async def _record(
        self,
        connection: Connection,
        receipts: Sequence[Receipt],
        *,
        groups: dict[str, list[Sighting]],
        bodies: dict[tuple[bytes, datetime], bytes],
        foreseen: Foreseen | None,
    ) -> tuple[list[Decision], list[Outcome]]:
        """Write the batch as foreseen; where it is not as foreseen, read, decide and write."""
        if foreseen is not None:
            with suppress(*_TRANSIENT):
                if await record_at_once(connection, foreseen, groups, receipts=receipts, bodies=bodies):
                    return foreseen.begun, foreseen.outcomes
        return await self._in_transaction(connection, receipts, groups=groups, bodies=bodies)

    async def _in_transaction(
        self,
        connection: Connection,
        receipts: Sequence[Receipt],
        *,
        groups: dict[str, list[Sighting]],
        bodies: dict[tuple[bytes, datetime], bytes],
    ) -> tuple[list[Decision], list[Outcome]]:
        published = {receipt.id for receipt in receipts if receipt.publish}
        for attempt in range(_ROUNDS):
            try:
                async with connection.transaction():
                    groups = renamed(groups, await open_before(connection, from_grafana(groups, self._seen)))
                    batch = Batch(groups, self._router, self._rules, self.witnesses)
                    batch.published = published
                    await batch.keep(connection, {} if attempt else self._seen)
                    await write_events(connection, batch.events, batch.queue)
                    await write_changes(connection, batch.changes())
                    placed = await _keep_notes(connection, receipts)
                    await write_news(connection, [*batch.events, *placed.new])
                    receipt_outcomes = outcomes(receipts, decisions=batch.decisions, placed=placed, queue=batch.queue)
                    await _keep_receipts(connection, receipts, outcomes=receipt_outcomes, bodies=bodies)
                    await _keep_refused(connection, quarantined(receipts, events=batch.events, placed=placed))
                    await _keep_silences(connection, receipts)
                    return batch.decisions, receipt_outcomes
            except _TRANSIENT:
                if attempt == _ROUNDS - 1:
                    raise
        raise AssertionError("unreachable")

    def _see(self, decisions: Sequence[Decision]) -> None:
        self.witnesses = with_peers(self.witnesses, decisions)
        newest = ((decision.fingerprint, decision.newest) for decision in decisions)
        seen = {fingerprint: Seen.of(entry) for fingerprint, entry in newest if entry is not None}
        remember(self._seen, seen, limit=_SEEN)

    def _new_bodies(self, receipts: Iterable[Receipt]) -> dict[tuple[bytes, datetime], bytes]:
        """The compressed bodies that are new today: a repeated notification has the same bytes."""
        bodies: dict[tuple[bytes, datetime], bytes] = {}
        for receipt in receipts:
            key = (receipt.body_sha256, day_of(receipt.received_at))
            if key not in bodies and key not in self._known_bodies:
                bodies[key] = self._compressor.compress(receipt.body, ZstdCompressor.FLUSH_FRAME)
        return bodies


def day_of(time: datetime) -> datetime:
    """The midnight before a time, UTC."""
    return datetime(time.year, time.month, time.day, tzinfo=UTC)


async def _keep_receipts(
    connection: Connection,
    receipts: Sequence[Receipt],
    *,
    outcomes: Sequence[Outcome],
    bodies: dict[tuple[bytes, datetime], bytes],
) -> None:
    if not receipts:
        return
    rows = [receipt_row(*pair) for pair in zip(receipts, outcomes, strict=True)]
    body_rows = [(day, sha256, body) for (sha256, day), body in sorted(bodies.items())]
    body_columns = zip(*body_rows, strict=True) if body_rows else [()] * len(sql.BODY_COLUMNS)
    await connection.execute(sql.INSERT_RECEIPTS, *zip(*rows, strict=True), *body_columns)


async def _keep_refused(connection: Connection, refused: Iterable[tuple[Receipt, Refused]]) -> None:
    rows = list(starmap(quarantine_row, refused))
    if rows:
        await connection.execute(sql.INSERT_QUARANTINE, *zip(*rows, strict=True))


async def _keep_silences(connection: Connection, receipts: Sequence[Receipt]) -> None:
    rows = list(map(silence_row, newest_silences(receipts)))
    if rows:
        await connection.execute(sql.UPSERT_SILENCES, *zip(*rows, strict=True))
        await keep_versions(PostgresSession(connection), recorded_versions(receipts))


async def _keep_notes(connection: Connection, receipts: Sequence[Receipt]) -> PlacedNotes:
    """Keep notes as events of their occurrences; the quarantine keeps notes of unknown alerts."""
    notes = [(receipt, note) for receipt in receipts for note in scoped_notes(receipt)]
    if not notes:
        return PlacedNotes()
    known = await lock_known(connection, sorted({note.fingerprint for _, note in notes}))
    keys = {id(note): _key_of(known, note) for _, note in notes}
    named = {(note.fingerprint, key) for _, note in notes if (key := keys[id(note)]) is not None}
    unnamed = {note.fingerprint for _, note in notes if keys[id(note)] is None}
    known_keys = {tuple(row) for row in await _fetch_keys(connection, sql.KNOWN_KEYS, sorted(named))}
    newest = dict(await connection.fetch(sql.NEWEST_STARTS, sorted(unnamed)))
    places: list[NotePlace] = []
    for receipt, note in notes:
        key = keys[id(note)]
        if key is None:
            places.append((receipt, note, newest.get(note.fingerprint)))
        else:
            places.append((receipt, note, key if (note.fingerprint, key) in known_keys else None))
    placed = place_notes(places)
    placed.take(await write_notes(connection, placed.events))
    await mute(connection, placed.events)
    return placed


def _key_of(known: Mapping[str, Known], note: Note) -> datetime | None:
    """The key of the occurrence of a note, from the standings or from the note itself; None: the newest."""
    label_set = known.get(note.fingerprint)
    key_us = None if label_set is None else key_of_note(label_set.standing, note)
    return note.starts_at if key_us is None else from_us(key_us)


async def _fetch_keys(connection: Connection, statement: str, keys: Sequence[Key]) -> list[Any]:
    return await connection.fetch(statement, *zip(*keys, strict=True)) if keys else []
