"""PostgreSQL: corrects the history. Takes locks as all writers do: standings, then occurrences; sorted."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.correcting import OpenLabelSet, Sign, let_answer
from alert_history.domain.decision import Decision, Known
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import occurrence_id
from alert_history.domain.reconciling import Answer, Listed
from alert_history.domain.standing import Rules, Standing, Witnesses
from alert_history.ports import Conflict, Router
from alert_history.storage.postgres import statements as sql
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.deciding import lock_known, recall, write_and_tell
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.postgres.rows import silence_row
from alert_history.storage.postgres.standings import INSERT_STANDING, add_first, adopt_label_set
from alert_history.storage.shared.elements import TOO_FAR_AHEAD
from alert_history.storage.shared.settings import TURN_SETTING
from alert_history.storage.shared.standing_text import read_standing

_PAGE_ROWS = 2_000

_OPEN = """
SELECT a.fingerprint, a."timestamp", a.alertname, a.claim, a.last_received_at, s.standing
FROM alerts a JOIN standings s ON s.fingerprint = a.fingerprint
WHERE a.status = 'firing' AND (a."timestamp", a.fingerprint) > ($1, $2)
ORDER BY a."timestamp", a.fingerprint LIMIT $3
"""
# The statement waits for no lock, because another writer with the lock is about to say more of the occurrence. The
# state is an argument: with a constant the plan would read all open occurrences for each row.
_FREE = """
SELECT a.fingerprint, a.starts_at, u.at
FROM unnest($1::text[], $2::timestamptz[], $3::bigint[], $4::timestamptz[]) AS u(fingerprint, starts_at, claim, at)
JOIN alerts a ON a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at
WHERE a.status = $5 AND a.claim = u.claim FOR UPDATE OF a SKIP LOCKED
"""
_CONFIRM = """
UPDATE alerts a SET last_received_at = greatest(a.last_received_at, u.at), confirmed_at = NULL
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS u(fingerprint, starts_at, at)
WHERE a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at
"""
_TAKE_TURN = """
INSERT INTO settings (name, value) VALUES ($1, jsonb_build_object('holder', $2::text, 'until', now() + $3))
ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = now()
WHERE settings.value->>'holder' = $2::text OR (settings.value->>'until')::timestamptz <= now()
    OR (settings.value->>'until')::timestamptz > now() + $4
RETURNING name
"""
_UNCLAIMED = """
SELECT DISTINCT fingerprint FROM alerts WHERE claim IS NULL AND status = 'firing' AND fingerprint > $1
ORDER BY fingerprint LIMIT $2
"""
_CONFLICTS = """
SELECT s.fingerprint, s.conflict_at, n.starts_at, n.labels FROM standings s CROSS JOIN LATERAL (
    SELECT a.starts_at, a.labels FROM alerts a WHERE a.fingerprint = s.fingerprint ORDER BY a.starts_at DESC LIMIT 1) n
WHERE s.conflict_at > $1 ORDER BY s.conflict_at DESC LIMIT $2
"""

_read_labels = msgspec.json.Decoder(dict[str, str]).decode


class PostgresReconciling:
    """See `ports.Reconciling`."""

    def __init__(self, connections: Connections, *, router: Router | None, rules: Rules) -> None:
        self._connections = connections
        self._router = router
        self._rules = rules

    async def read_open(self) -> AsyncIterator[list[OpenLabelSet]]:
        """See `ports.Reconciling.read_open`. In the order of first receipt, which an index has."""
        after: tuple[datetime, str] = (from_us(0), "")
        while rows := await self._read_open(after):
            after = (rows[-1]["timestamp"], rows[-1]["fingerprint"])
            yield list(map(_open_label_set, rows))

    async def _read_open(self, after: tuple[datetime, str]) -> list[Any]:
        with storage_errors():
            async with self._connections.reader() as connection:
                return await connection.fetch(_OPEN, *after, _PAGE_ROWS)

    async def confirm(self, signs: Sequence[Sign]) -> None:
        """See `ports.Reconciling.confirm`."""
        rows = [(s.fingerprint, from_us(s.key_us), s.claim, from_us(s.at_us)) for s in signs]
        if rows:
            with storage_errors():
                async with self._connections.keeper() as connection, connection.transaction():
                    free = await connection.fetch(_FREE, *zip(*sorted(rows), strict=True), "firing")
                    if free:
                        await connection.execute(_CONFIRM, *zip(*free, strict=True))

    async def answer(
        self,
        answers: Mapping[str, Sequence[Answer]],
        now: datetime,
        *,
        witnesses: Witnesses,
        is_dry_run: bool = False,
    ) -> list[Decision]:
        """See `ports.Reconciling.answer`. Takes label sets without a standing one by one, against deadlocks."""

        def decide(known: Mapping[str, Known]) -> list[Decision]:
            return [
                let_answer(name, label_set, answers[name], now=now, rules=self._rules, witnesses=witnesses)
                for name, label_set in sorted(known.items())
            ]

        with storage_errors():
            async with self._connections.keeper() as connection:
                async with connection.transaction():
                    known = await lock_known(connection, sorted(answers))
                    await add_first(connection, known, now=now)
                    decisions = decide(known)
                    if not is_dry_run:
                        await write_and_tell(connection, decisions, self._router)
                for name, its in sorted(answers.items()):
                    if name not in known and any(isinstance(answer, Listed) for answer in its):
                        async with connection.transaction():
                            begun = decide({name: await _begun(connection, name, now=now, is_dry_run=is_dry_run)})
                            if not is_dry_run:
                                await write_and_tell(connection, begun, self._router)
                            decisions += begun
        return decisions

    async def keep_silences(self, silences: Sequence[Silence]) -> None:
        """See `ports.Reconciling.keep_silences`."""
        rows = sorted(map(silence_row, silences))
        if rows:
            with storage_errors():
                async with self._connections.keeper() as connection:
                    await connection.execute(sql.UPSERT_SILENCES, *zip(*rows, strict=True))

    async def take_turn(self, holder: str, *, lasts: timedelta) -> bool:
        """See `ports.Reconciling.take_turn`."""
        with storage_errors():
            async with self._connections.keeper() as connection:
                taken = await connection.fetchval(_TAKE_TURN, TURN_SETTING, holder, lasts, lasts + TOO_FAR_AHEAD)
        return taken is not None

    async def repair(self, now: datetime, *, after: str = "", limit: int = 100, is_dry_run: bool) -> list[Decision]:
        """See `ports.Reconciling.repair`."""
        decisions = []
        with storage_errors():
            async with self._connections.keeper() as connection:
                for row in await connection.fetch(_UNCLAIMED, after, limit):
                    async with connection.transaction():
                        decisions.append(
                            await adopt_label_set(
                                connection,
                                row["fingerprint"],
                                now=now,
                                rules=self._rules,
                                router=self._router,
                                is_dry_run=is_dry_run,
                            )
                        )
        return [decision for decision in decisions if decision is not None]

    async def conflicts(self, since: datetime, *, limit: int) -> list[Conflict]:
        """See `ports.Reconciling.conflicts`."""
        with storage_errors():
            async with self._connections.reader() as connection:
                rows = await connection.fetch(_CONFLICTS, since, limit)
        return [
            Conflict(
                occurrence_id(row["fingerprint"], to_us(row["starts_at"])),
                _read_labels(row["labels"]),
                row["conflict_at"],
            )
            for row in rows
        ]


async def _begun(connection: Connection, fingerprint: str, *, now: datetime, is_dry_run: bool) -> Known:
    """What is known of a label set without a standing: makes an empty standing first, then locks it."""
    if not is_dry_run:
        await connection.execute(INSERT_STANDING, fingerprint)
    known = await lock_known(connection, [fingerprint])
    if fingerprint in known and known[fingerprint].standing.newest_key_us is not None:
        await add_first(connection, known, now=now)
        return known[fingerprint]
    recalled = await recall(connection, [fingerprint])
    return recalled.get(fingerprint) or Known(Standing())


def _open_label_set(row: Any) -> OpenLabelSet:
    standing, last_us = read_standing(row["standing"]), to_us(row["last_received_at"])
    return OpenLabelSet(row["fingerprint"], row["alertname"], standing, row["claim"] or 0, last_us)
