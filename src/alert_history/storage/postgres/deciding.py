"""PostgreSQL: locks and reads what decisions need to know of label sets, and writes decisions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg

from alert_history.domain.adopting import StoredOccurrence, recalled
from alert_history.domain.counting import written_changes
from alert_history.domain.decision import Decision, Known, let_mute
from alert_history.domain.firing_spans import late_ends
from alert_history.domain.microseconds import from_us
from alert_history.domain.muting import muting
from alert_history.domain.notifying import Enqueued, notify
from alert_history.domain.occurrence import Event, Key
from alert_history.domain.standing import Standing
from alert_history.ports import Router
from alert_history.storage.postgres import statements as sql
from alert_history.storage.postgres.database import PostgresSession
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.rows import (
    alert_row,
    copy,
    event_row,
    queue_row,
    standing_row,
    update_occurrences,
)
from alert_history.storage.shared.late_ends import keep_late_ends
from alert_history.storage.shared.rows import known_of, news_rows, occurrence_of
from alert_history.storage.shared.standing_text import read_standing

_ANOTHER_DECIDES = "somebody else decides about one of these alerts"


async def lock_known(connection: Connection, fingerprints: Sequence[str], *, may_wait: bool = True) -> dict[str, Known]:
    """What is known of label sets, their standings locked in order; a label set without a standing is left out.

    Raises: asyncpg.LockNotAvailableError if another writer holds a standing and `may_wait` is false.
    """
    if not fingerprints:
        return {}
    lock = sql.LOCK_STANDINGS if may_wait else sql.LOCK_FREE_STANDINGS
    rows = await connection.fetch(lock, sorted(fingerprints))
    standings = {row[0]: read_standing(row[1]) for row in rows}
    left = [] if may_wait else [fingerprint for fingerprint in fingerprints if fingerprint not in standings]
    if left and await connection.fetch(sql.KNOWN_STANDINGS, left):
        raise asyncpg.LockNotAvailableError(_ANOTHER_DECIDES)
    newest = await _newest(connection, standings, may_wait=may_wait)
    return {fingerprint: Known(standing, newest.get(fingerprint)) for fingerprint, standing in standings.items()}


async def _newest(connection: Connection, standings: Mapping[str, Standing], *, may_wait: bool) -> dict[str, Any]:
    keys = [
        (fingerprint, from_us(standing.newest_key_us))
        for fingerprint, standing in sorted(standings.items())
        if standing.newest_key_us is not None
    ]
    if not keys:
        return {}
    lock = sql.LOCK_ALERTS if may_wait else sql.LOCK_FREE_ALERTS
    rows = await connection.fetch(lock, *zip(*keys, strict=True))
    newest = {row["fingerprint"]: occurrence_of(row) for row in rows}
    left = [] if may_wait else [key for key in keys if key[0] not in newest]
    if left and await connection.fetch(sql.KNOWN_KEYS, *zip(*left, strict=True)):
        raise asyncpg.LockNotAvailableError(_ANOTHER_DECIDES)
    return newest


async def recall(connection: Connection, fingerprints: Sequence[str]) -> dict[str, Known]:
    """What the history holds of label sets without a standing, be it forgotten or never made."""
    if not fingerprints:
        return {}
    known: dict[str, list[StoredOccurrence]] = {}
    for occurrence in await fetch_occurrences(connection, sql.NEWEST_ALERTS, fingerprints):
        known.setdefault(occurrence.first.alert.fingerprint, []).append(occurrence)
    return {
        f: Known(recalled(occurrences), occurrences[-1].occurrence, occurrences[-1].first)
        for f, occurrences in known.items()
    }


async def open_before(connection: Connection, older: Mapping[str, str]) -> dict[str, str]:
    """The alerts of a Grafana that an older release left open, with the fingerprint of the older release."""
    if not older:
        return {}
    open_fingerprints = {row[0] for row in await connection.fetch(sql.OPEN_GRAFANA, sorted(set(older.values())))}
    return {fingerprint: before for fingerprint, before in older.items() if before in open_fingerprints}


async def fetch_occurrences(
    connection: Connection, statement: str, fingerprints: Sequence[str]
) -> list[StoredOccurrence]:
    """Stored occurrences by fingerprint and key, each with its notified targets."""
    rows = await connection.fetch(statement, sorted(fingerprints))
    notified: dict[Key, list[str]] = {(row["fingerprint"], row["starts_at"]): [] for row in rows}
    if notified:
        keys = zip(*notified, strict=True)
        for fingerprint, starts_at, target in await connection.fetch(sql.NOTIFIED_TARGETS, *keys):
            notified[fingerprint, starts_at].append(target)
    return [known_of(row, notified=notified[row["fingerprint"], row["starts_at"]]) for row in rows]


async def write_decisions(connection: Connection, decisions: Sequence[Decision]) -> None:
    """Write the occurrences and standings. Raises asyncpg.UniqueViolationError where an occurrence has no standing."""
    new = [alert_row(e.first, e) for d in decisions for e in d.entries.values() if e.first is not None]
    if new:
        await copy(connection, "alerts", new, columns=sql.ALERT_COLUMNS)
    known = {
        (decision.fingerprint, entry.starts_at): entry.occurrence
        for decision in decisions
        for entry in decision.entries.values()
        if entry.first is None
    }
    await update_occurrences(connection, dict(sorted(known.items())))
    changed = [standing_row(d.fingerprint, d.standing) for d in decisions if d.is_standing_changed]
    if changed:
        await connection.execute(sql.UPSERT_STANDINGS, *zip(*changed, strict=True))


async def write_events(connection: Connection, events: Sequence[Event], queue: Iterable[Enqueued]) -> None:
    """Add events, and the deliveries that they make."""
    rows = list(map(event_row, events))
    if rows:
        await copy(connection, "events", rows, columns=sql.EVENT_COLUMNS)
        await keep_late_ends(PostgresSession(connection), late_ends(events))
    deliveries = list(map(queue_row, queue))
    if deliveries:
        await copy(connection, "delivery_queue", deliveries, columns=sql.QUEUE_COLUMNS)


async def write_changes(connection: Connection, changes: bytes | None) -> None:
    """Keep what the transaction changes in the numbers of the history; see `domain.counting`."""
    if changes is not None:
        await connection.execute(sql.INSERT_ROLLUP, changes)


async def write_news(connection: Connection, events: Sequence[Event]) -> None:
    """Keep what the transaction has as news for those who follow it live; see `domain.news`."""
    for row in news_rows(events):
        await connection.execute(sql.INSERT_NEWS, *row)


async def write_notes(connection: Connection, events: Sequence[Event]) -> list[Event]:
    """Add events that may be there already, or that are the same; those that were added."""
    if not events:
        return []
    by_row = {(event.receipt_id, event.fingerprint, event.starts_at, event.key): event for event in events}
    rows = await connection.fetch(sql.INSERT_NOTES, *zip(*map(event_row, events), strict=True))
    return [by_row[tuple(row)] for row in rows]


async def write_and_tell(connection: Connection, decisions: Sequence[Decision], router: Router | None) -> None:
    """Write decisions, their events, and the deliveries that they make."""
    events, queue = notify(decisions, router)
    await write_decisions(connection, decisions)
    await write_events(connection, events, queue)
    await write_changes(connection, written_changes(decisions))
    await write_news(connection, events)


async def mute(connection: Connection, events: Iterable[Event]) -> None:
    """Remember in the standings which alerts are silenced or inhibited: they fire, and no sender repeats them."""
    mutings = muting(events)
    if not mutings:
        return
    known = await lock_known(connection, sorted({event.fingerprint for event, _ in mutings}))
    decisions: dict[str, Decision] = {}
    for event, muted in mutings:
        if event.fingerprint in known:
            decision = let_mute(event.fingerprint, known[event.fingerprint], starts_at=event.starts_at, muted=muted)
            if decision is not None:
                decisions[event.fingerprint] = decision
    await write_decisions(connection, list(decisions.values()))
