"""PostgreSQL: what the passing of time changes in claims. A label set that another replica holds is left to it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from alert_history.domain.adopting import StoredOccurrence, adopt
from alert_history.domain.claim import CLOCK_US
from alert_history.domain.conflict import CONFLICT_LASTS
from alert_history.domain.decision import Decision, Known, let_leave, let_pass
from alert_history.domain.group import SeenGroup
from alert_history.domain.lapsing import UNSEEN_STALE_AFTER_US
from alert_history.domain.microseconds import from_us
from alert_history.domain.standing import Rules
from alert_history.ports import Left, Router
from alert_history.storage.postgres import statements as sql
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.deciding import fetch_occurrences, lock_known, write_and_tell
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.shared.json_text import encode_json
from alert_history.storage.shared.rows import first_sighting
from alert_history.storage.shared.standing_text import FORGET_GROUPS_AFTER, read_group

_STEP_ROWS = 2_000
_MICROSECOND = timedelta(microseconds=1)

_UNCLAIMED = """
SELECT DISTINCT fingerprint FROM alerts WHERE claim IS NULL AND status = 'firing' ORDER BY fingerprint LIMIT $1
"""
# Occurrences that a pod of an older release ended, while a pod of ours has them open: as long as a deployment rolls.
_ENDED_BESIDE = """
SELECT DISTINCT a.fingerprint FROM alerts a JOIN standings s ON s.fingerprint = a.fingerprint
WHERE a.timestamp > $1 AND a.claim IS NULL AND a.status = 'resolved' AND s.closed_at IS NULL LIMIT $2
"""
_ROLLS_FOR = timedelta(minutes=30)
_LOOKS_BACK = timedelta(seconds=30)
_OCCURRENCES = f"""
SELECT a.* FROM unnest($1::text[]) AS u(fingerprint) CROSS JOIN LATERAL (
    SELECT * FROM alerts a WHERE a.fingerprint = u.fingerprint AND a.starts_at >= (
        SELECT min(o.starts_at) FROM alerts o WHERE o.fingerprint = u.fingerprint AND o.status = 'firing'
    ) - interval '{CLOCK_US} microseconds') a
ORDER BY a.fingerprint, a.starts_at
"""
_DUE = """
SELECT fingerprint FROM alerts
WHERE status = 'firing' AND expires_at <= $1 AND claim IS NOT NULL ORDER BY expires_at LIMIT $2
"""
_SILENT = """
SELECT a.fingerprint FROM alerts a LEFT JOIN unnest($2::text[], $3::interval[]) AS b(receiver, bound)
    ON b.receiver = a.receiver
WHERE a.status = 'firing' AND a.expires_at IS NULL AND a.unconfirmed IS NULL AND a.claim IS NOT NULL
    AND coalesce(a.confirmed_at, a.last_received_at) <= $1::timestamptz - coalesce(b.bound, $4::interval) LIMIT $5
"""
_TRY_STANDINGS = """
SELECT s.fingerprint FROM standings s WHERE s.fingerprint = ANY($1::text[])
ORDER BY s.fingerprint FOR UPDATE SKIP LOCKED
"""
_SAVE_GROUPS = """
INSERT INTO groups_seen (id, last_at, seen) SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[])
ON CONFLICT (id) DO UPDATE SET last_at = excluded.last_at, seen = excluded.seen
WHERE groups_seen.last_at < excluded.last_at
"""
_LOAD_GROUPS = "SELECT seen FROM groups_seen WHERE last_at > $1 ORDER BY id"
_LONG_AGO = from_us(0)
INSERT_STANDING = "INSERT INTO standings (fingerprint, standing) VALUES ($1, '[]') ON CONFLICT DO NOTHING"
_JOIN = """
UPDATE alerts a SET joined_into = u.joined_into
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS u(fingerprint, starts_at, joined_into)
WHERE a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at
"""
_OLD_STANDINGS = """
SELECT fingerprint, closed_at < $2 AS is_old FROM standings WHERE fingerprint > $1 ORDER BY fingerprint LIMIT $3
"""
_FORGET = "DELETE FROM standings WHERE fingerprint = ANY($1::text[]) AND closed_at < $2"
_COUNT = "SELECT unconfirmed IS NOT NULL, count(*) FROM alerts WHERE status = 'firing' GROUP BY 1"
_CONFLICTS = "SELECT count(*) FROM standings WHERE conflict_at > now() - $1::interval"


class PostgresStandings:
    """See `ports.Standings`. Remembers how far it has read, so it reads a standing that stays once."""

    def __init__(self, connections: Connections, *, router: Router | None, rules: Rules) -> None:
        self._connections = connections
        self._router = router
        self._rules = rules
        self._read_up_to = ""
        self._began: datetime | None = None

    async def adopt(self, now: datetime, *, limit: int = 500) -> int:
        """See `ports.Standings.adopt`."""
        with storage_errors():
            async with self._connections.keeper() as connection:
                fingerprints = [row[0] for row in await connection.fetch(_UNCLAIMED, limit)]
                self._began = self._began or now
                if now - self._began < _ROLLS_FOR:
                    beside = await connection.fetch(_ENDED_BESIDE, now - _LOOKS_BACK, limit)
                    fingerprints = list(dict.fromkeys([*fingerprints, *(row[0] for row in beside)]))[:limit]
                for fingerprint in fingerprints:
                    async with connection.transaction():
                        await adopt_label_set(connection, fingerprint, now=now, rules=self._rules, router=self._router)
                return len(fingerprints)

    async def let_pass(self, now: datetime, *, stale_after: Mapping[str, int] | None, limit: int = 500) -> int:
        """See `ports.Standings.let_pass`."""
        unseen = self._rules.silence_us(None, UNSEEN_STALE_AFTER_US)
        bounds = {} if self._rules.stale_after_us else dict(stale_after or {})

        def decide(fingerprint: str, known: Known) -> Decision:
            receiver = "" if known.newest is None else known.newest.receiver
            return let_pass(fingerprint, known, now, rules=self._rules, stale_after_us=bounds.get(receiver))

        with storage_errors():
            async with self._connections.keeper() as connection:
                due = await connection.fetch(_DUE, now, limit)
                silent = []
                if stale_after is not None:
                    spans = [bound * _MICROSECOND for bound in bounds.values()]
                    silent = await connection.fetch(_SILENT, now, list(bounds), spans, unseen * _MICROSECOND, limit)
                fingerprints = sorted({row[0] for row in [*due, *silent]})
                await self._decide_all(connection, fingerprints, decide, now=now)
                return len(fingerprints)

    async def leave(self, left: Sequence[Left], now: datetime) -> int:
        """See `ports.Standings.leave`."""
        departures = {departure.fingerprint: departure for departure in left}

        def decide(fingerprint: str, known: Known) -> Decision:
            departure = departures[fingerprint]
            return let_leave(fingerprint, known, now, sender=departure.sender, missed_us=departure.missed_us)

        with storage_errors():
            async with self._connections.keeper() as connection:
                return await self._decide_all(connection, sorted(departures), decide, now=now)

    async def save_groups(self, groups: Sequence[SeenGroup]) -> None:
        """See `ports.Standings.save_groups`."""
        rows = sorted((group.id, from_us(group.last_us), encode_json(group).decode()) for group in groups)
        if rows:
            with storage_errors():
                async with self._connections.keeper() as connection:
                    await connection.execute(_SAVE_GROUPS, *zip(*rows, strict=True))

    async def load_groups(self, since: datetime | None = None) -> list[SeenGroup]:
        """See `ports.Standings.load_groups`."""
        with storage_errors():
            async with self._connections.single() as connection:
                return [read_group(row[0]) for row in await connection.fetch(_LOAD_GROUPS, since or _LONG_AGO)]

    async def forget(self, before: datetime) -> int:
        """See `ports.Standings.forget`."""
        with storage_errors():
            async with self._connections.keeper() as connection:
                await connection.execute("DELETE FROM groups_seen WHERE last_at < $1", before - FORGET_GROUPS_AFTER)
                rows = await connection.fetch(_OLD_STANDINGS, self._read_up_to, before, _STEP_ROWS)
                old = [row["fingerprint"] for row in rows if row["is_old"]]
                if old:
                    await connection.execute(_FORGET, old, before)
                self._read_up_to = rows[-1]["fingerprint"] if rows else ""
                return len(rows)

    async def count(self) -> dict[str, int]:
        """See `ports.Standings.count`."""
        with storage_errors():
            async with self._connections.reader() as connection:
                counted = dict(await connection.fetch(_COUNT))
                conflicts = await connection.fetchval(_CONFLICTS, CONFLICT_LASTS)
        return {"firing": counted.get(False, 0), "unconfirmed": counted.get(True, 0), "conflict": conflicts}

    async def _decide_all(
        self,
        connection: Connection,
        fingerprints: Sequence[str],
        decide: Callable[[str, Known], Decision],
        *,
        now: datetime,
    ) -> int:
        """Decide for label sets whose standings no other writer holds, and write; returns how many had news."""
        if not fingerprints:
            return 0
        async with connection.transaction():
            free = [row[0] for row in await connection.fetch(_TRY_STANDINGS, fingerprints)]
            known = await lock_known(connection, free)
            await add_first(connection, known, now=now)
            decisions = [decide(f, label_set) for f, label_set in sorted(known.items()) if label_set.newest is not None]
            await write_and_tell(connection, decisions, self._router)
        return sum(bool(decision.events) for decision in decisions)


async def adopt_label_set(
    connection: Connection,
    fingerprint: str,
    *,
    now: datetime,
    rules: Rules,
    router: Router | None,
    is_dry_run: bool = False,
) -> Decision | None:
    """Make a standing of the stored occurrences, or add them to the standing; None without any. In a transaction."""
    if not is_dry_run:
        await connection.execute(INSERT_STANDING, fingerprint)
    known = await lock_known(connection, [fingerprint])
    occurrences: list[StoredOccurrence] = await fetch_occurrences(connection, _OCCURRENCES, [fingerprint])
    if not occurrences:
        return None
    standing = known[fingerprint].standing if fingerprint in known else None
    adoption = adopt(fingerprint, occurrences, rules=rules, now=now, known=standing)
    if is_dry_run:
        return adoption.decision
    await write_and_tell(connection, [adoption.decision], router)
    if adoption.joined:
        rows = [(fingerprint, from_us(k), from_us(i)) for k, i in adoption.joined.items()]
        await connection.execute(_JOIN, *zip(*rows, strict=True))
    return adoption.decision


async def add_first(connection: Connection, known: Mapping[str, Known], *, now: datetime) -> None:
    """Add the first sighting of the newest occurrence of each label set."""
    keys = [
        (fingerprint, from_us(label_set.standing.newest_key_us))
        for fingerprint, label_set in sorted(known.items())
        if label_set.newest is not None and label_set.standing.newest_key_us is not None
    ]
    if keys:
        for row in await connection.fetch(sql.WHOLE_ALERTS, *zip(*keys, strict=True)):
            known[row["fingerprint"]].first = first_sighting(row, received_at=now)
