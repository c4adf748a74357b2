"""SQLite: the outbox and its leases, with the promises of PostgreSQL; one writer makes the promises easy to keep."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import dropwhile
from typing import Any

import msgspec

from alert_history.domain.delivery import MAX_LOGGED_ATTEMPTS, Leased, Settlement
from alert_history.domain.microseconds import duration_us, to_us
from alert_history.domain.notifying import AWAITED
from alert_history.storage.shared.elements import SQLITE_NOW, TOO_FAR_AHEAD
from alert_history.storage.shared.json_text import encode_json
from alert_history.storage.shared.rows import leased_of
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.tables import deliveries
from alert_history.storage.sqlite.connection import Connections

_COLUMNS = ", ".join(deliveries.c.keys())

_IS_OVER = f"(lease_until < {SQLITE_NOW} OR lease_until > {SQLITE_NOW} + :longest)"
_TAKE_BACK = f"""UPDATE delivery_queue SET state = 'pending', lease_until = NULL, due_at = :now
    WHERE target = :target AND state = 'leased' AND {_IS_OVER}"""
_HAS_WORK = f"""SELECT EXISTS (SELECT 1 FROM delivery_queue
        WHERE target = :target AND state = 'pending' AND due_at <= :now)
    OR EXISTS (SELECT 1 FROM delivery_queue WHERE target = :target AND state = 'leased' AND {_IS_OVER})"""
_TAKE = f"""UPDATE delivery_queue SET state = 'leased', lease_until = {SQLITE_NOW} + ?, attempts = attempts + 1
    WHERE id = ?"""
_DUE = """SELECT DISTINCT fingerprint FROM (
    SELECT q.fingerprint FROM delivery_queue q
    WHERE q.target = :target AND q.state = 'pending' AND q.due_at <= :now AND q.event_key >= 0 AND NOT EXISTS (
        SELECT 1 FROM delivery_queue l
        WHERE l.target = q.target AND l.fingerprint = q.fingerprint AND l.state = 'leased')
    ORDER BY q.due_at LIMIT :limit)"""
_PENDING = """SELECT id, due_at, starts_at FROM delivery_queue
    WHERE target = ? AND fingerprint = ? AND state = 'pending' AND event_key >= 0
    ORDER BY starts_at DESC, event_key DESC"""
_IS_DELIVERED = """SELECT 1 FROM deliveries
    WHERE starts_at = ? AND fingerprint = ? AND target = ? AND state = 'delivered' LIMIT 1"""
_DUE_ACTS = """SELECT q.id, q.fingerprint, q.starts_at, q.event_key, q.created_at
    FROM delivery_queue q INDEXED BY idx_delivery_queue_acts
    WHERE q.event_key < 0 AND q.target = :target AND q.state = 'pending' AND q.due_at <= :now AND NOT EXISTS (
        SELECT 1 FROM delivery_queue l
        WHERE l.target = q.target AND l.fingerprint = q.fingerprint AND l.state = 'leased')
    ORDER BY q.fingerprint, q.starts_at, q.event_key DESC, q.id"""
_IS_HELD_UP = f"""SELECT 1 FROM delivery_queue b
    WHERE b.target = :target AND b.fingerprint = :fingerprint AND b.starts_at = :starts_at AND CASE
        WHEN b.event_key < 0 THEN b.event_key > :event_key
        WHEN NOT :is_known THEN true
        ELSE b.created_at <= :created_at
            AND (b.attempts > 0 OR b.due_at <= :now OR b.enrichment IS '{AWAITED}') END
    LIMIT 1"""
_LOG = f"INSERT INTO deliveries ({_COLUMNS}) SELECT {_COLUMNS} FROM delivery_queue WHERE id = ?"
_COUNT = """INSERT INTO rollup_log (target, outcome, settled_at, number)
    SELECT target, state, settled_at, 1 FROM delivery_queue WHERE id = ?"""
_LEASED = """SELECT q.*, a.status AS alert_status, a.began_at, a.labels, a.annotations, a.ends_at, a.confirmed_at,
        a.generator_url,
        CASE WHEN q.event IN ('expired', 'inferred', 'reconciled') THEN (
            SELECT e.detail ->> '$.reason' FROM events e WHERE e.alert_id = a.id AND e.key = q.event_key
        ) END AS reason,
        coalesce(nullif(r.receiver, ''), a.receiver) AS receiver, r.group_key, r.external_url, r.details, (
            SELECT d.external_id FROM deliveries d WHERE d.starts_at = q.starts_at AND d.fingerprint = q.fingerprint
            AND d.target = q.target AND d.external_id IS NOT NULL ORDER BY d.id DESC LIMIT 1) AS known_as,
        EXISTS (SELECT 1 FROM deliveries d WHERE d.starts_at = q.starts_at AND d.fingerprint = q.fingerprint
            AND d.target = q.target AND d.state = 'delivered') AS was_told,
        (SELECT c.verdict FROM classifications c WHERE c.shape = q.shape ORDER BY c.id DESC LIMIT 1) AS verdict,
        x."by" AS act_by, x.text AS act_text, x.at AS act_at
    FROM delivery_queue q
    LEFT JOIN alerts a ON a.starts_at = q.starts_at AND a.fingerprint = q.fingerprint
    LEFT JOIN receipts r ON r.id = q.receipt_id
    LEFT JOIN acts x ON x.fingerprint = q.fingerprint AND x.starts_at = q.starts_at AND x.id = q.receipt_id
    WHERE q.id = ?"""
"""An act of a person comes without a receipt, so the id of the act stands there."""

_read = msgspec.json.decode


class SqliteOutbox:
    """See `ports.Outbox`; also the gate that a replay of the delivery log holds."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def lease(self, target: str, *, now: datetime, limit: int, lease_for: timedelta) -> tuple[list[Leased], int]:
        """See `ports.Outbox.lease`. Looks before it takes the write lock, because mostly nothing is due."""
        longest = lease_for + TOO_FAR_AHEAD
        known = {"target": target, "now": to_us(now), "limit": limit, "longest": duration_us(longest)}
        if not await self._connections.read(_has_work, known):
            return [], 0
        return await self._connections.write(_lease, known, now=now, lease_for=lease_for)

    async def reserve(self, target: str, *, every: timedelta, burst: int, within: timedelta) -> timedelta | None:  # noqa: ARG002  # the port's shape
        """See `ports.Outbox.reserve`."""
        return timedelta()

    async def settle(self, settlements: Sequence[tuple[Leased, Settlement]]) -> None:
        """See `ports.Outbox.settle`."""
        await self._connections.write(_settle, settlements)

    async def hold(self, session: Session, targets: Sequence[str]) -> None:
        """See `delivery_log.LeaseGate.hold`. Does nothing: the one writer runs this transaction, and no lease."""


def _has_work(connection: sqlite3.Connection, known: Mapping[str, Any]) -> bool:
    return bool(connection.execute(_HAS_WORK, known).fetchone()[0])


def _lease(
    connection: sqlite3.Connection, known: Mapping[str, Any], *, now: datetime, lease_for: timedelta
) -> tuple[list[Leased], int]:
    target, at, limit = known["target"], known["now"], known["limit"]
    connection.execute(_TAKE_BACK, known)
    acts, superseded = _next_acts(connection, target, now=now, limit=limit)
    leased = [_take(connection, act, target=target, lease_for=lease_for) for act in acts]
    for (fingerprint,) in connection.execute(_DUE, {**known, "limit": limit - len(leased)}).fetchall():
        pending = connection.execute(_PENDING, (target, fingerprint))
        due = list(dropwhile(lambda row: row["due_at"] > at, pending))  # a newer delivery that quiet hours hold stays
        newest, older = _next_of(connection, due, target=target, fingerprint=fingerprint)
        for delivery_id in older:
            _move(connection, delivery_id, state="superseded", now=now)
        leased.append(_take(connection, newest, target=target, lease_for=lease_for))
        superseded += len(older)
    return leased, superseded


def _take(connection: sqlite3.Connection, delivery_id: str, *, target: str, lease_for: timedelta) -> Leased:
    connection.execute(_TAKE, (duration_us(lease_for), delivery_id))
    row = connection.execute(_LEASED, (delivery_id,)).fetchone()
    return leased_of(row, target=target)


def _next_acts(connection: sqlite3.Connection, target: str, *, now: datetime, limit: int) -> tuple[list[str], int]:
    """The acts of people that go out now, at most one of each alert, and how many were superseded.

    Acts go one after another, and each to a target that knows its occurrence. An act goes before later news. It waits
    for earlier news, but not for news that quiet hours hold. While the target does not know the occurrence, the act
    waits for all news; and once there is none any more, the act is superseded.
    """
    acts: dict[str, str] = {}
    superseded = 0
    for row in connection.execute(_DUE_ACTS, {"target": target, "now": to_us(now)}).fetchall():
        key = (row["starts_at"], row["fingerprint"], target)
        is_known = connection.execute(_IS_DELIVERED, key).fetchone() is not None
        asked = {**dict(row), "target": target, "now": to_us(now), "is_known": is_known}
        if connection.execute(_IS_HELD_UP, asked).fetchone() is not None:
            continue
        if is_known:
            acts.setdefault(row["fingerprint"], row["id"])
        else:
            _move(connection, row["id"], state="superseded", now=now)
            superseded += 1
    return list(acts.values())[:limit], superseded


def _next_of(
    connection: sqlite3.Connection, due: Sequence[sqlite3.Row], *, target: str, fingerprint: str
) -> tuple[str, list[str]]:
    """The delivery of an alert that goes out now, and those that are superseded, from its due deliveries, newest first.

    The newest delivery of an occurrence goes out. An older occurrence that the target knows goes before a newer one, so
    that the target is notified of its end, too. An older occurrence that the target does not know is superseded whole.
    """
    heads = {row["starts_at"]: row["id"] for row in reversed(due)}
    newest = due[0]["starts_at"]
    candidates = {
        starts_at: delivery_id
        for starts_at, delivery_id in heads.items()
        if starts_at == newest or connection.execute(_IS_DELIVERED, (starts_at, fingerprint, target)).fetchone()
    }
    older = [row["id"] for row in due if row["id"] not in candidates.values()]
    return candidates[min(candidates)], older


def _move(
    connection: sqlite3.Connection, delivery_id: str, *, state: str, now: datetime, external_id: str | None = None
) -> None:
    """Move a delivery from `delivery_queue` to `deliveries`."""
    connection.execute(
        "UPDATE delivery_queue SET state = ?, settled_at = ?, lease_until = NULL, "
        "external_id = coalesce(?, external_id) WHERE id = ?",
        (state, to_us(now), external_id, delivery_id),
    )
    connection.execute(_LOG, (delivery_id,))
    connection.execute(_COUNT, (delivery_id,))
    connection.execute("DELETE FROM delivery_queue WHERE id = ?", (delivery_id,))


def _settle(connection: sqlite3.Connection, settlements: Sequence[tuple[Leased, Settlement]]) -> None:
    for leased, settlement in settlements:
        query = "SELECT log FROM delivery_queue WHERE id = ? AND state = 'leased' AND lease_until = ?"
        row = connection.execute(query, (settlement.id, to_us(leased.lease_until))).fetchone()
        if row is None:
            continue  # the lease was lost
        log = [*_read(row[0]), settlement.attempt][-MAX_LOGGED_ATTEMPTS:]
        noted = "UPDATE delivery_queue SET log = ? WHERE id = ?"
        connection.execute(noted, (encode_json(log).decode(), settlement.id))
        if settlement.due_at is None:
            now, external_id = settlement.attempt.at, settlement.external_id
            _move(connection, settlement.id, state=settlement.state, now=now, external_id=external_id)
        else:
            back = "UPDATE delivery_queue SET state = 'pending', lease_until = NULL, due_at = ? WHERE id = ?"
            connection.execute(back, (to_us(settlement.due_at), settlement.id))
