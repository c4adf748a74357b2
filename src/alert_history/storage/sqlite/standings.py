"""SQLite: what the passing of time does to what is claimed."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from alert_history.domain.adopting import adopt
from alert_history.domain.claim import CLOCK_US
from alert_history.domain.conflict import CONFLICT_LASTS
from alert_history.domain.counting import written_changes
from alert_history.domain.decision import Decision, Known, let_leave, let_pass
from alert_history.domain.group import SeenGroup
from alert_history.domain.lapsing import UNSEEN_STALE_AFTER_US
from alert_history.domain.microseconds import to_us
from alert_history.domain.notifying import Enqueued, notify
from alert_history.domain.occurrence import Event, Key
from alert_history.domain.standing import Rules
from alert_history.ports import Left, Router
from alert_history.storage.shared.json_text import encode_json
from alert_history.storage.shared.rows import first_sighting, known_of
from alert_history.storage.shared.standing_text import FORGET_GROUPS_AFTER, read_group
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.deciding import find_known, write_changes, write_decisions, write_events, write_news
from alert_history.storage.sqlite.standing_log import StandingLog
from alert_history.storage.sqlite.terms import fingerprint_term

_STEP_ROWS = 200

_UNCLAIMED = """SELECT DISTINCT fingerprint FROM alerts INDEXED BY idx_alerts_unclaimed
    WHERE claim IS NULL AND status = 'firing' ORDER BY fingerprint LIMIT ?"""
_OCCURRENCES = f"""SELECT a.* FROM alert_terms t JOIN alerts a ON a.id = t.rowid
    WHERE t.alert_terms MATCH ? AND a.fingerprint = ? AND a.starts_at >= (
        SELECT min(o.starts_at) FROM alert_terms n JOIN alerts o ON o.id = n.rowid
        WHERE n.alert_terms MATCH ? AND o.fingerprint = ? AND o.status = 'firing') - {CLOCK_US} ORDER BY a.starts_at"""
_DUE = """SELECT DISTINCT fingerprint FROM (SELECT fingerprint FROM alerts INDEXED BY idx_alerts_expires_at
    WHERE status = 'firing' AND expires_at IS NOT NULL AND expires_at <= ? AND claim IS NOT NULL
    ORDER BY expires_at LIMIT ?)"""
_SILENT = """SELECT DISTINCT fingerprint, receiver FROM alerts INDEXED BY idx_alerts_firing
    WHERE status = 'firing' AND expires_at IS NULL AND unconfirmed IS NULL AND claim IS NOT NULL
    AND coalesce(confirmed_at, last_received_at)
        <= ? - coalesce((SELECT value FROM json_each(?) WHERE key = receiver), ?) LIMIT ?"""
_SAVE_GROUP = """INSERT INTO groups_seen (id, last_at, seen) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET last_at = excluded.last_at, seen = excluded.seen
    WHERE groups_seen.last_at < excluded.last_at"""
_OLD_STANDINGS = "SELECT fingerprint, closed_at FROM standings WHERE fingerprint > ? ORDER BY fingerprint LIMIT ?"
_COUNT = """SELECT unconfirmed IS NOT NULL, count(*) FROM alerts INDEXED BY idx_alerts_firing
    WHERE status = 'firing' GROUP BY 1"""
_CONFLICTS = """SELECT count(DISTINCT fingerprint) FROM (
    SELECT fingerprint, conflict_at FROM standings WHERE conflict_at IS NOT NULL
    UNION ALL SELECT fingerprint, conflict_at FROM standings_new WHERE conflict_at IS NOT NULL) WHERE conflict_at > ?"""
_JOIN = "UPDATE alerts SET joined_into = ? WHERE starts_at = ? AND fingerprint = ?"


class SqliteStandings:
    """See `ports.Standings`. Remembers how far it has read, so that survivors are not read again."""

    def __init__(self, connections: Connections, log: StandingLog, *, router: Router | None, rules: Rules) -> None:
        self._connections = connections
        self._log = log
        self._router = router
        self._rules = rules
        self._read_up_to = ""

    async def adopt(self, now: datetime, *, limit: int = 500) -> int:
        """See `ports.Standings.adopt`."""
        return await self._connections.write(self._adopt, now, limit=limit)

    async def let_pass(self, now: datetime, *, stale_after: Mapping[str, int] | None, limit: int = 500) -> int:
        """See `ports.Standings.let_pass`. Looks before it takes the write lock, because mostly nothing is due."""
        if stale_after is None and not await self._connections.read(_is_due, now):
            return 0
        return await self._connections.write(self._let_pass, now, stale_after=stale_after, limit=limit)

    async def leave(self, left: Sequence[Left], now: datetime) -> int:
        """See `ports.Standings.leave`."""
        return await self._connections.write(self._leave, left, now=now)

    async def save_groups(self, groups: Sequence[SeenGroup]) -> None:
        """See `ports.Standings.save_groups`."""
        await self._connections.write(_save_groups, groups)

    async def load_groups(self, since: datetime | None = None) -> list[SeenGroup]:
        """See `ports.Standings.load_groups`."""
        return await self._connections.read(_load_groups, 0 if since is None else to_us(since))

    async def forget(self, before: datetime) -> int:
        """See `ports.Standings.forget`."""
        return await self._connections.write(self._forget, before)

    async def count(self) -> dict[str, int]:
        """See `ports.Standings.count`."""
        return await self._connections.read(_count)

    def _adopt(self, connection: sqlite3.Connection, now: datetime, *, limit: int) -> int:
        self._log.catch_up(connection)
        fingerprints = [row[0] for row in connection.execute(_UNCLAIMED, (limit,))]
        for fingerprint in fingerprints:
            adopt_label_set(connection, fingerprint, self._log, now=now, rules=self._rules, router=self._router)
        return len(fingerprints)

    def _let_pass(
        self, connection: sqlite3.Connection, now: datetime, *, stale_after: Mapping[str, int] | None, limit: int
    ) -> int:
        self._log.catch_up(connection)
        at = to_us(now)
        unseen = self._rules.silence_us(None, UNSEEN_STALE_AFTER_US)
        bounds = {} if self._rules.stale_after_us else dict(stale_after or {})
        due: dict[str, int | None] = {row[0]: None for row in connection.execute(_DUE, (at, limit))}
        if stale_after is not None:
            silent = connection.execute(_SILENT, (at, encode_json(bounds).decode(), unseen, limit))
            due |= {row[0]: bounds.get(row[1]) for row in silent}
        decisions = []
        for fingerprint, bound in due.items():
            known = known_with_first(connection, fingerprint, self._log, now=now)
            if known is not None:
                bound_us = bound if known.newest is None else bounds.get(known.newest.receiver, bound)
                decisions.append(let_pass(fingerprint, known, now, rules=self._rules, stale_after_us=bound_us))
        write(connection, decisions, self._log, router=self._router)
        return len(due)

    def _leave(self, connection: sqlite3.Connection, left: Sequence[Left], *, now: datetime) -> int:
        self._log.catch_up(connection)
        decisions = []
        for departure in left:
            known = known_with_first(connection, departure.fingerprint, self._log, now=now)
            if known is not None and known.newest is not None:
                decision = let_leave(
                    departure.fingerprint, known, now, sender=departure.sender, missed_us=departure.missed_us
                )
                if decision.events:
                    decisions.append(decision)
        write(connection, decisions, self._log, router=self._router)
        return len(decisions)

    def _forget(self, connection: sqlite3.Connection, before: datetime) -> int:
        groups = "DELETE FROM groups_seen WHERE last_at < ?"
        connection.execute(groups, (to_us(before - FORGET_GROUPS_AFTER),))
        rows = connection.execute(_OLD_STANDINGS, (self._read_up_to, _STEP_ROWS)).fetchall()
        limit = to_us(before)
        gone = [(row["fingerprint"],) for row in rows if row["closed_at"] is not None and row["closed_at"] < limit]
        connection.executemany("DELETE FROM standings WHERE fingerprint = ?", gone)
        self._read_up_to = rows[-1]["fingerprint"] if rows else ""
        return len(rows)


def _is_due(connection: sqlite3.Connection, now: datetime) -> bool:
    return connection.execute(_DUE, (to_us(now), 1)).fetchone() is not None


def known_with_first(
    connection: sqlite3.Connection, fingerprint: str, log: StandingLog, *, now: datetime
) -> Known | None:
    """What is known of a label set, with the first sighting of its newest occurrence."""
    known = find_known(connection, [fingerprint], log).get(fingerprint)
    if known is None or known.newest is None or known.standing.newest_key_us is None:
        return known
    row = connection.execute(sql.FIND_WHOLE, (known.standing.newest_key_us, fingerprint)).fetchone()
    known.first = first_sighting(row, received_at=now)
    return known


def write(
    connection: sqlite3.Connection, decisions: Sequence[Decision], log: StandingLog, *, router: Router | None
) -> None:
    """Write decisions, their events, and the deliveries that they make."""
    events, queue = notify(decisions, router)
    ids = write_decisions(connection, decisions, log)
    write_changes(connection, written_changes(decisions))
    write_news(connection, events)
    _insert(connection, events, queue, ids=ids)


def adopt_label_set(
    connection: sqlite3.Connection,
    fingerprint: str,
    log: StandingLog,
    *,
    now: datetime,
    rules: Rules,
    router: Router | None,
    is_dry_run: bool = False,
) -> Decision | None:
    """Make a standing of the stored occurrences, or add them to the standing; None without any."""
    term = fingerprint_term(fingerprint)
    rows = connection.execute(_OCCURRENCES, (term, fingerprint) * 2).fetchall()
    if not rows:
        return None
    occurrences = [known_of(row, notified=sql.notified(connection, row)) for row in rows]
    known = find_known(connection, [fingerprint], log).get(fingerprint)
    adoption = adopt(fingerprint, occurrences, rules=rules, now=now, known=None if known is None else known.standing)
    if not is_dry_run:
        write(connection, [adoption.decision], log, router=router)
        joined = [(into, key, fingerprint) for key, into in adoption.joined.items()]
        connection.executemany(_JOIN, joined)
    return adoption.decision


def _insert(
    connection: sqlite3.Connection, events: Sequence[Event], queue: Iterable[Enqueued], *, ids: Mapping[Key, int]
) -> None:
    write_events(connection, events, ids)
    connection.executemany(sql.INSERT_QUEUE, map(sql.queue_row, queue))


def _save_groups(connection: sqlite3.Connection, groups: Sequence[SeenGroup]) -> None:
    rows = [(group.id, group.last_us, encode_json(group).decode()) for group in groups]
    connection.executemany(_SAVE_GROUP, rows)


def _load_groups(connection: sqlite3.Connection, since: int) -> list[SeenGroup]:
    query = "SELECT seen FROM groups_seen WHERE last_at > ? ORDER BY id"
    return [read_group(row[0]) for row in connection.execute(query, (since,))]


def _count(connection: sqlite3.Connection) -> dict[str, int]:
    counted = {bool(row[0]): row[1] for row in connection.execute(_COUNT)}
    since = to_us(datetime.now(UTC) - CONFLICT_LASTS)
    conflicts = connection.execute(_CONFLICTS, (since,)).fetchone()[0]
    return {"firing": counted.get(False, 0), "unconfirmed": counted.get(True, 0), "conflict": conflicts}
