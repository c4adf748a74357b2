"""A database as a release before claims left it, or still writes to it: occurrences without a claim, and doubles."""

import sqlite3
from datetime import datetime

import asyncpg

from alert_history.domain.alert import Alert, Source
from alert_history.domain.microseconds import to_us
from alert_history.storage import is_sqlite
from alert_history.storage.shared import tables
from alert_history.storage.sqlite.terms import terms_of

_COLUMNS = [name for name in tables.alerts.c.keys() if name not in {"starts_at", "claim"}]  # noqa: SIM118  # no dict
_NAMES = ", ".join(f'"{name}"' for name in _COLUMNS)


async def forget_claims(url: str, *, source: Source = "alertmanager") -> None:
    """Nobody claims anything: so it is after an upgrade. Open no store before. `source` is who sent all there is."""
    forget = f"UPDATE alerts SET claim = NULL, source = '{source}'; DELETE FROM standings"
    if is_sqlite(url):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
            file.executescript(f"{forget}; DELETE FROM standings_new")
        file.close()
        return
    connection = await asyncpg.connect(url)
    await connection.execute(forget)
    await connection.close()


async def double(url: str, of: Alert, *, starts_at: datetime) -> None:
    """One more occurrence of the alert as it stands now, with another start and no claim."""
    if is_sqlite(url):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
            _double(file, of, to_us(starts_at))
        file.close()
        return
    connection = await asyncpg.connect(url)
    await connection.execute(
        f"INSERT INTO alerts (starts_at, {_NAMES}) SELECT $1, {_NAMES} FROM alerts"  # names of ours
        " WHERE fingerprint = $2 AND starts_at = $3",
        starts_at,
        of.fingerprint,
        of.starts_at,
    )
    await connection.close()


async def resolve(url: str, *, starts_at: datetime, ends_at: datetime, received_at: datetime) -> None:
    """The occurrence with that start is over, as a pod of that release was told then."""
    change = "UPDATE alerts SET status = 'resolved', ends_at = {}, last_received_at = {} WHERE starts_at = {}"
    if is_sqlite(url):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
            file.execute(change.format("?", "?", "?"), (to_us(ends_at), to_us(received_at), to_us(starts_at)))
        file.close()
        return
    connection = await asyncpg.connect(url)
    await connection.execute(change.format("$1", "$2", "$3"), ends_at, received_at, starts_at)
    await connection.close()


def _double(file: sqlite3.Connection, of: Alert, starts_at: int) -> None:
    (highest,) = file.execute("SELECT max(id) FROM alerts").fetchone()
    file.execute(
        f"INSERT INTO alerts (id, starts_at, {_NAMES}) SELECT ?, ?, {_NAMES} FROM alerts"  # as above
        " WHERE fingerprint = ? AND starts_at = ?",
        (highest + 1, starts_at, of.fingerprint, to_us(of.starts_at)),
    )
    terms = terms_of(of.fingerprint, of.labels)
    file.execute("INSERT INTO alert_terms (rowid, terms) VALUES (?, ?)", (highest + 1, terms))
