"""SQLite: what a filter means as SQL.

The index `alert_terms` finds a label, newest first, as far as the page needs. Where this index can't answer (regexes,
words, missing labels), the matching of the domain decides row by row, within the time of a read.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    column,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    true,
)
from sqlalchemy.dialects import sqlite as dialects

from alert_history.domain.grams import foreign_lower, plain_part
from alert_history.domain.microseconds import to_us
from alert_history.domain.query import Matcher, Query, required_literals
from alert_history.ports import HistoryFilter
from alert_history.storage.shared import reads
from alert_history.storage.shared.elements import is_one_of, position_of
from alert_history.storage.shared.tables import alerts
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.terms import fingerprint_term, label_term

DIALECT = dialects.dialect(paramstyle="qmark")
ALERT_ID: ColumnElement[int] = literal_column("alerts.id", BigInteger)
TERMS = table("alert_terms", column("rowid", BigInteger))
_SLACK_MICROSECONDS = 1_000  # by how much the ids of one huge request may run ahead of their time


def fetch(connection: sqlite3.Connection, statement: Select[Any]) -> list[sqlite3.Row]:
    """The rows of a statement."""
    return connection.execute(*reads.compiled(statement, DIALECT)).fetchall()


def type_of_stored(expression: ColumnElement[Any]) -> Any:
    """The type of the values of a column in the file, and so in a cursor: an integer or `str`."""
    return str if isinstance(expression.type, Text) else reads.INT64


def selected(wanted: HistoryFilter) -> Select[Any]:
    """All rows that match, in no order."""
    return matching(select(ALERT_ID, *alerts.c), wanted)


def after_id(wanted: HistoryFilter, after: int) -> Select[Any]:
    """All rows that match behind an id, in the order of ids."""
    return selected(wanted).where(after < ALERT_ID).order_by(ALERT_ID)


def matching(statement: Select[Any], wanted: HistoryFilter) -> Select[Any]:
    """The statement with all conditions, and with the index of terms where it helps."""
    conditions = [
        *reads.column_conditions(wanted, alerts),
        *_id_range(wanted, own_id(wanted)),
        *_query_conditions(wanted.query),
    ]
    terms = index_terms(wanted)
    if not terms:
        return statement.select_from(alerts).where(and_(true(), *conditions))
    matches = literal_column("alert_terms.alert_terms").op("MATCH", is_comparison=True)(terms)
    joined = TERMS.join(alerts, TERMS.c.rowid == ALERT_ID)
    return statement.select_from(joined).where(matches, *conditions)


class SqliteFinding:
    """See `shared.analytics.Finding`."""

    def matching(self, statement: Select[Any], wanted: HistoryFilter) -> Select[Any]:
        """See `Finding.matching`."""
        return matching(statement, wanted)

    def time_of(self, wanted: HistoryFilter) -> ColumnElement[Any]:
        """See `Finding.time_of`."""
        return own_id(wanted)

    def of_label_sets(self, statement: Select[Any], fingerprints: Sequence[str]) -> Select[Any]:
        """See `Finding.of_label_sets`."""
        terms = literal(" OR ".join(map(fingerprint_term, fingerprints)), Text)
        matches = literal_column("alert_terms.alert_terms").op("MATCH", is_comparison=True)(terms)
        joined = TERMS.join(alerts, TERMS.c.rowid == ALERT_ID)
        return statement.select_from(joined).where(matches, is_one_of(alerts.c.fingerprint, fingerprints))


def own_id(wanted: HistoryFilter) -> ColumnElement[int]:
    """The column to compare and to order ids by: the full-text index has its own, and stops when a page is full."""
    return TERMS.c.rowid if index_terms(wanted) else ALERT_ID


def index_terms(wanted: HistoryFilter) -> str:
    """The terms that all matching alerts have, for FTS5; empty for a filter without such terms."""
    terms = [
        label_term(matcher.name, matcher.value)
        for matcher in wanted.query.matchers
        if matcher.op == "=" and matcher.value
    ]
    terms += [label_term(name, value) for name in ("alertname", "namespace") if (value := getattr(wanted, name))]
    if wanted.fingerprint is not None:
        terms.append(fingerprint_term(wanted.fingerprint))
    return " AND ".join(terms)


def _id_range(wanted: HistoryFilter, own_id: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """The time range as conditions on the key."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(own_id >= id_at(wanted.since))
    if wanted.until is not None:
        conditions.append(own_id < id_at(wanted.until, slack=_SLACK_MICROSECONDS))
    return conditions


def id_at(time: datetime, *, slack: int = 0) -> int:
    """The first id of a microsecond, or of so many later; the lowest or the highest id where there is none."""
    lowest, highest = 0, 2**63 - 1
    return min(max((to_us(time) + slack) * sql.IDS_A_MICROSECOND, lowest), highest)


def _query_conditions(query: Query) -> list[ColumnElement[bool]]:
    """The query as the domain decides it, and conditions on the columns of promoted labels."""
    if not query.matchers and not query.words:
        return []
    text = msgspec.json.encode(query).decode()
    matches = func.matches_query(alerts.c.labels, alerts.c.annotations, text)
    equal = [
        promoted == matcher.value
        for matcher in query.matchers
        if matcher.op == "=" and (promoted := reads.promoted(matcher.name, alerts)) is not None
    ]
    words = [*query.words, *(text for matcher in query.matchers if matcher.op == "=~" for text in _literals(matcher))]
    return [*equal, *(_may_hold(word) for word in words), matches]


def _literals(matcher: Matcher) -> tuple[str, ...]:
    return () if matcher.matches({}) else required_literals(matcher.value)


def _may_hold(word: str) -> ColumnElement[bool]:
    """Whether the text of the JSON may hold a word, in any letter case: this is quicker than to decode the JSON."""
    part = plain_part(word)
    if not part:
        return true()
    texts = (alerts.c.labels, alerts.c.annotations)
    ways = [position_of(part, func.lower(text)) > 0 for text in texts]
    return or_(*ways, *(position_of(letter, text) > 0 for letter in foreign_lower(part) for text in texts))


def is_small(connection: sqlite3.Connection) -> bool:
    """Whether counting all rows costs little."""
    some = select(literal(1).label("one")).select_from(alerts).limit(reads.SMALL_STORE_ROWS + 1)
    return bool(fetch(connection, counting(some))[0][0] <= reads.SMALL_STORE_ROWS)


def counting(rows: Select[Any]) -> Select[Any]:
    """The number of rows of a statement."""
    return select(func.count()).select_from(rows.subquery())
