"""SQLite: reads what decisions need to know of label sets, and writes decisions."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from alert_history.domain.adopting import recalled
from alert_history.domain.decision import Decision, Entry, Known, let_mute
from alert_history.domain.firing_spans import late_ends
from alert_history.domain.microseconds import to_us
from alert_history.domain.muting import muting
from alert_history.domain.occurrence import Event, Key
from alert_history.domain.standing import Standing
from alert_history.storage.shared.late_ends import keep_late_ends
from alert_history.storage.shared.rows import known_of, news_rows, occurrence_of
from alert_history.storage.shared.standing_text import read_standing
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.database import run_work
from alert_history.storage.sqlite.standing_log import StandingLog
from alert_history.storage.sqlite.terms import fingerprint_term, terms_of


def find_known(connection: sqlite3.Connection, fingerprints: Iterable[str], log: StandingLog) -> dict[str, Known]:
    """What is known of label sets; an unknown label set is left out."""
    texts = log.find(connection, fingerprints)
    return {fingerprint: _known(connection, fingerprint, read_standing(text)) for fingerprint, text in texts.items()}


def _known(connection: sqlite3.Connection, fingerprint: str, standing: Standing) -> Known:
    if standing.newest_key_us is None:
        return Known(standing)
    newest = connection.execute(sql.FIND_ALERT, (standing.newest_key_us, fingerprint)).fetchone()
    return Known(standing, None if newest is None else occurrence_of(newest))


def recall(connection: sqlite3.Connection, fingerprint: str) -> Known | None:
    """What the history holds of a label set without a standing; None for an unknown label set."""
    rows = connection.execute(sql.NEWEST, (fingerprint_term(fingerprint), fingerprint)).fetchall()
    if not rows:
        return None
    occurrences = [known_of(row, notified=sql.notified(connection, row)) for row in reversed(rows)]
    return Known(recalled(occurrences), occurrences[-1].occurrence, occurrences[-1].first)


def write_decisions(connection: sqlite3.Connection, decisions: Sequence[Decision], log: StandingLog) -> dict[Key, int]:
    """Write occurrences and standings; returns the ids of all these occurrences."""
    new = [(d, e, e.first) for d in decisions for e in d.entries.values() if e.first is not None]
    fresh = sql.new_ids(connection, [first.received_at for _, _, first in new])
    ids: dict[Key, int] = {}
    rows, terms = [], []
    for alert_id, (decision, entry, first) in zip(fresh, new, strict=True):
        ids[decision.fingerprint, entry.starts_at] = alert_id
        rows.append(sql.alert_row(alert_id, first, entry))
        terms.append((alert_id, terms_of(decision.fingerprint, first.alert.labels)))
    connection.executemany(sql.INSERT_ALERT, rows)
    connection.executemany(sql.INSERT_TERMS, terms)
    for decision in decisions:
        for entry in decision.entries.values():
            if entry.first is None:
                ids[decision.fingerprint, entry.starts_at] = _update(connection, decision.fingerprint, entry)
    log.write(connection, [sql.standing_row(d.fingerprint, d.standing) for d in decisions if d.is_standing_changed])
    return ids


def write_events(connection: sqlite3.Connection, events: Sequence[Event], ids: Mapping[Key, int]) -> None:
    """Add events of occurrences with these ids."""
    connection.executemany(sql.INSERT_EVENT, [sql.event_row(ids[e.fingerprint, e.starts_at], e) for e in events])
    if late := late_ends(events):
        run_work(connection, keep_late_ends, late)


def write_changes(connection: sqlite3.Connection, changes: bytes | None) -> None:
    """Keep what the transaction changes in the numbers of the history; see `domain.counting`."""
    if changes is not None:
        connection.execute(sql.INSERT_ROLLUP, (changes,))


def write_news(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Keep what the transaction has as news for those who follow it live; see `domain.news`."""
    connection.executemany(sql.INSERT_NEWS, news_rows(events))


def _update(connection: sqlite3.Connection, fingerprint: str, entry: Entry) -> int:
    """Write a known occurrence; returns its id."""
    key = (to_us(entry.starts_at), fingerprint)
    alert_id: int = connection.execute(sql.FIND_ID, key).fetchone()[0]
    if entry.is_changed:
        connection.execute(sql.UPDATE_ALERT, sql.update_row(alert_id, entry.occurrence))
    else:
        connection.execute(sql.COUNT_REPEAT, sql.repeat_row(alert_id, entry.occurrence))
    return alert_id


def mute(connection: sqlite3.Connection, events: Iterable[Event], log: StandingLog) -> None:
    """Remember in the standings which alerts are silenced or inhibited: they fire, and no sender repeats them."""
    for event, muted in muting(events):
        known = find_known(connection, [event.fingerprint], log).get(event.fingerprint)
        if known is not None:
            decision = let_mute(event.fingerprint, known, starts_at=event.starts_at, muted=muted)
            write_decisions(connection, [] if decision is None else [decision], log)
