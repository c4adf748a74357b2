"""SQLite: corrects the history. There is one writer at a time, so no other writer gets in between.

The thread that writes reads standings, too: the newest standings lie in a log, and only this thread has its index.
"""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import select

from alert_history.domain.alert import Silence
from alert_history.domain.correcting import OpenLabelSet, Sign, let_answer
from alert_history.domain.decision import Decision, Known
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import occurrence_id
from alert_history.domain.reconciling import Answer, Listed
from alert_history.domain.standing import Rules, Witnesses
from alert_history.ports import Conflict, Router
from alert_history.storage.shared.elements import TOO_FAR_AHEAD, database_now
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.settings import TURN_SETTING, read_setting, write_setting
from alert_history.storage.shared.standing_text import read_standing
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.database import run_work
from alert_history.storage.sqlite.deciding import recall
from alert_history.storage.sqlite.standing_log import StandingLog
from alert_history.storage.sqlite.standings import adopt_label_set, known_with_first, write

_PAGE_ROWS = 300

_NOW = select(database_now())
_OPEN = """SELECT id, fingerprint, alertname, claim, last_received_at FROM alerts INDEXED BY idx_alerts_firing
    WHERE status = 'firing' AND id > ? ORDER BY id LIMIT ?"""
_CONFIRM = """UPDATE alerts SET last_received_at = max(last_received_at, ?), confirmed_at = NULL
    WHERE starts_at = ? AND fingerprint = ? AND status = 'firing' AND claim = ?"""
_UNCLAIMED = """SELECT DISTINCT fingerprint FROM alerts INDEXED BY idx_alerts_unclaimed
    WHERE claim IS NULL AND status = 'firing' AND fingerprint > ? ORDER BY fingerprint LIMIT ?"""
_CONFLICTS = """SELECT fingerprint, max(conflict_at) AS conflict_at FROM (
    SELECT fingerprint, conflict_at FROM standings WHERE conflict_at IS NOT NULL
    UNION ALL SELECT fingerprint, conflict_at FROM standings_new WHERE conflict_at IS NOT NULL)
    WHERE conflict_at > ? GROUP BY fingerprint ORDER BY conflict_at DESC LIMIT ?"""


class SqliteReconciling:
    """See `ports.Reconciling`."""

    def __init__(self, connections: Connections, log: StandingLog, *, router: Router | None, rules: Rules) -> None:
        self._connections = connections
        self._log = log
        self._router = router
        self._rules = rules

    async def read_open(self) -> AsyncIterator[list[OpenLabelSet]]:
        """See `ports.Reconciling.read_open`. Reads page after page by id, so that no snapshot lasts long."""
        after = -1
        while True:
            page, after = await self._connections.write(self._read_open, after)
            if after < 0:
                return
            yield page

    async def confirm(self, signs: Sequence[Sign]) -> None:
        """See `ports.Reconciling.confirm`."""
        rows = [(sign.at_us, sign.key_us, sign.fingerprint, sign.claim) for sign in signs]
        await self._connections.write(_confirm, rows)

    async def answer(
        self,
        answers: Mapping[str, Sequence[Answer]],
        now: datetime,
        *,
        witnesses: Witnesses,
        is_dry_run: bool = False,
    ) -> list[Decision]:
        """See `ports.Reconciling.answer`."""
        return await self._connections.write(self._answer, answers, now, witnesses=witnesses, is_dry_run=is_dry_run)

    async def keep_silences(self, silences: Sequence[Silence]) -> None:
        """See `ports.Reconciling.keep_silences`."""
        await self._connections.write(_keep_silences, silences)

    async def take_turn(self, holder: str, *, lasts: timedelta) -> bool:
        """See `ports.Reconciling.take_turn`."""
        return await self._connections.write(run_work, _take_turn, holder, lasts=lasts)

    async def repair(self, now: datetime, *, after: str = "", limit: int = 100, is_dry_run: bool) -> list[Decision]:
        """See `ports.Reconciling.repair`."""
        return await self._connections.write(self._repair, now, after=after, limit=limit, is_dry_run=is_dry_run)

    async def conflicts(self, since: datetime, *, limit: int) -> list[Conflict]:
        """See `ports.Reconciling.conflicts`."""
        return await self._connections.write(self._conflicts, since, limit=limit)

    def _read_open(self, connection: sqlite3.Connection, after: int) -> tuple[list[OpenLabelSet], int]:
        """A page of open label sets with a standing, and the id after which the next page begins; -1: the last page."""
        self._log.catch_up(connection)
        rows = connection.execute(_OPEN, (after, _PAGE_ROWS)).fetchall()
        texts = self._log.find(connection, {row["fingerprint"] for row in rows})
        page = [
            OpenLabelSet(row["fingerprint"], row["alertname"], read_standing(text), row["claim"] or 0, row[4])
            for row in rows
            if (text := texts.get(row["fingerprint"])) is not None
        ]
        return page, rows[-1]["id"] if rows else -1

    def _answer(
        self,
        connection: sqlite3.Connection,
        answers: Mapping[str, Sequence[Answer]],
        now: datetime,
        *,
        witnesses: Witnesses,
        is_dry_run: bool,
    ) -> list[Decision]:
        self._log.catch_up(connection)
        decisions = []
        for fingerprint, its in answers.items():
            known = self._known(connection, fingerprint, now=now)
            if known is not None or any(isinstance(answer, Listed) for answer in its):
                decisions.append(let_answer(fingerprint, known, its, now=now, rules=self._rules, witnesses=witnesses))
        if not is_dry_run:
            write(connection, decisions, self._log, router=self._router)
        return decisions

    def _repair(
        self, connection: sqlite3.Connection, now: datetime, *, after: str, limit: int, is_dry_run: bool
    ) -> list[Decision]:
        self._log.catch_up(connection)
        decisions = [
            adopt_label_set(
                connection,
                row["fingerprint"],
                self._log,
                now=now,
                rules=self._rules,
                router=self._router,
                is_dry_run=is_dry_run,
            )
            for row in connection.execute(_UNCLAIMED, (after, limit)).fetchall()
        ]
        return [decision for decision in decisions if decision is not None]

    def _known(self, connection: sqlite3.Connection, fingerprint: str, *, now: datetime) -> Known | None:
        """What is known of a label set, from its standing or from the history."""
        return known_with_first(connection, fingerprint, self._log, now=now) or recall(connection, fingerprint)

    def _conflicts(self, connection: sqlite3.Connection, since: datetime, *, limit: int) -> list[Conflict]:
        self._log.catch_up(connection)
        conflicts = []
        rows = connection.execute(_CONFLICTS, (to_us(since), limit)).fetchall()
        texts = self._log.find(connection, [row["fingerprint"] for row in rows])
        for row in rows:
            text = texts.get(row["fingerprint"])
            key_us = None if text is None else read_standing(text).newest_key_us
            alert = connection.execute(sql.FIND_WHOLE, (key_us, row["fingerprint"])).fetchone()
            if alert is not None and key_us is not None:
                labels = msgspec.json.decode(alert["labels"], type=dict[str, str])
                identity = occurrence_id(row["fingerprint"], key_us)
                conflicts.append(Conflict(identity, labels, from_us(row["conflict_at"])))
        return conflicts


def _confirm(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    connection.executemany(_CONFIRM, rows)


def _keep_silences(connection: sqlite3.Connection, silences: Sequence[Silence]) -> None:
    connection.executemany(sql.UPSERT_SILENCE, map(sql.silence_row, silences))


async def _take_turn(session: Session, holder: str, *, lasts: timedelta) -> bool:
    [(now,)] = await session.fetch(_NOW)
    turn = await read_setting(session, TURN_SETTING)
    if turn and turn["holder"] != holder and now < datetime.fromisoformat(turn["until"]) <= now + lasts + TOO_FAR_AHEAD:
        return False
    await write_setting(session, TURN_SETTING, {"holder": holder, "until": (now + lasts).isoformat()})
    return True
