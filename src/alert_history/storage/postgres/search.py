"""PostgreSQL: how a page of occurrences is found.

A newest-first page with a label condition is first looked for among the newest rows in order of time, which finds
common labels at once. The GIN index of the labels finds rarer labels, partition by partition, newest first, until no
older partition can hold a newer row. The planner can't choose between the two ways, because it keeps no statistics of
single labels. One bitmap over a year takes a second for a label in every hundredth alert.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    MetaData,
    Select,
    Text,
    and_,
    cast,
    column,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import asyncpg as dialects

from alert_history.domain.grams import foreign_lower, plain_part
from alert_history.domain.query import Matcher, literal_alternatives, to_postgres_regex
from alert_history.ports import HistoryFilter, PageRequest
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.shared import reads
from alert_history.storage.shared.elements import is_one_of, position_of
from alert_history.storage.shared.tables import UtcTime, alerts

DIALECT = dialects.dialect()  # type: ignore[no-untyped-call]
_KEY = ("fingerprint", "starts_at")
_RECENT_ROWS = 2_500
FEW_MATCHES = 2_000
"""Up to so many matches one bitmap over all partitions is quicker than a walk through the partitions."""
_NO_COLUMNS: dict[str, None] = dict.fromkeys(("alertname", "status", "severity", "namespace", "fingerprint"))

_PARTITIONS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'alerts'::regclass
"""


async def find_rows(connection: Connection, wanted: HistoryFilter, page: PageRequest, *, sort: reads.Sort) -> list[Any]:
    """The rows of the page, and the next row, if it exists."""
    return await fetch(connection, _statement(alerts, wanted, page, sort=sort).limit(end_of(page)))


async def find_newest(
    connection: Connection, wanted: HistoryFilter, page: PageRequest, *, sort: reads.Sort
) -> list[Any]:
    """The rows of the page that are among the newest rows; if these fill the page, they are the page."""
    return await fetch(
        connection, _statement(_newest(wanted, page, sort=sort), wanted, page, sort=sort).limit(end_of(page))
    )


async def find_by_label(
    connection: Connection, wanted: HistoryFilter, page: PageRequest, *, sort: reads.Sort, is_few: bool
) -> list[Any]:
    """The page from the label index: at once for few matches, else partition by partition."""
    async with by_label_index(connection):
        if is_few:
            return await find_rows(connection, wanted, page, sort=sort)
        return await _walk(connection, wanted, page, sort=sort)


def end_of(page: PageRequest) -> int:
    """The number of rows from the start of the order to the row after the page."""
    return page.offset + page.limit + 1


async def fetch(connection: Connection, statement: Select[Any]) -> list[Any]:
    """The rows of a statement."""
    sql, arguments = reads.compiled(statement, DIALECT)
    return await connection.fetch(sql, *arguments)


def _statement(rows: FromClause, wanted: HistoryFilter, page: PageRequest, *, sort: reads.Sort) -> Select[Any]:
    """The rows that match and lie behind the cursor, in order."""
    key = [rows.c[name] for name in _KEY]
    conditions = [*conditions_of(wanted, rows), *rows_after(page, rows, sort=sort)]
    return select(*rows.c).where(and_(true(), *conditions)).order_by(*reads.order_by(sort, key, rows))


def _newest(wanted: HistoryFilter, page: PageRequest, *, sort: reads.Sort) -> FromClause:
    """The newest rows behind the cursor, whatever their labels."""
    time_only = msgspec.structs.replace(wanted, **_NO_COLUMNS)
    conditions = [*reads.column_conditions(time_only, alerts), *rows_after(page, alerts, sort=sort)]
    key = [alerts.c[name] for name in _KEY]
    newest = select(alerts).where(and_(true(), *conditions)).order_by(*reads.order_by(sort, key, alerts))
    return newest.limit(_RECENT_ROWS).cte("newest").prefix_with("MATERIALIZED")


async def _walk(connection: Connection, wanted: HistoryFilter, page: PageRequest, *, sort: reads.Sort) -> list[Any]:
    """The first rows of the page's order, from as few partitions as can hold them."""
    end = end_of(page)
    page_rows: list[Any] = []
    for partition, newest in await _partitions(connection):
        if wanted.since is not None and newest < wanted.since:
            break
        if len(page_rows) == end and page_rows[-1]["timestamp"] > newest:
            break
        rows = _statement(_partition(partition), wanted, page, sort=sort).limit(end)
        page_rows = sorted([*page_rows, *await fetch(connection, rows)], key=_place, reverse=True)[:end]
    return page_rows


def _place(row: Any) -> tuple[Any, ...]:
    return row["timestamp"], row["fingerprint"], row["starts_at"]


async def _partitions(connection: Connection) -> list[tuple[str, datetime]]:
    """The partitions that hold rows, each with the time of its newest, newest first."""
    names = [row[0] for row in await connection.fetch(_PARTITIONS)]
    newest = " UNION ALL ".join(f"SELECT '{name}', (SELECT max(timestamp) FROM {name})" for name in names)
    await connection.execute("SET LOCAL enable_indexscan = on")
    pairs = [(row[0], row[1]) for row in await connection.fetch(newest) if row[1] is not None]
    await connection.execute("SET LOCAL enable_indexscan = off")
    return sorted(pairs, key=lambda pair: pair[1], reverse=True)


@lru_cache(maxsize=1024)
def _partition(name: str) -> FromClause:
    return alerts.to_metadata(MetaData(), name=name)


def rows_after(page: PageRequest, rows: FromClause, *, sort: reads.Sort) -> list[ColumnElement[bool]]:
    """The condition for rows behind the cursor of a page, if it has one."""
    if page.cursor is None:
        return []
    values = reads.decode_cursor(page.cursor, sort=sort, types=[_type_of(sort.column), str, reads.AWARE_TIME])
    return [reads.after_cursor(sort, [rows.c[name] for name in _KEY], values, rows)]


def _type_of(expression: ColumnElement[Any]) -> Any:
    if isinstance(expression.type, UtcTime):
        return reads.AWARE_TIME
    return reads.INT32 if isinstance(expression.type, Integer) else str


def is_label_search(wanted: HistoryFilter) -> bool:
    """Whether the label index can answer, and no better index can."""
    if wanted.alertname or wanted.namespace or wanted.fingerprint:
        return False
    exact = [m for m in wanted.query.matchers if m.op == "=" and m.value]
    if any(matcher.name in {"alertname", "namespace"} for matcher in exact):
        return False
    return any(reads.promoted(matcher.name, alerts) is None for matcher in exact)


@asynccontextmanager
async def by_label_index(connection: Connection) -> AsyncIterator[None]:
    """Inside it the planner has only the bitmap of the label index."""
    async with connection.transaction():
        await connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = off")
        yield


def bound_of(wanted: HistoryFilter) -> int:
    """Up to where a count is always exact. Matches of a label lie scattered, so each costs a page to count."""
    return min(FEW_MATCHES, reads.COUNT_BOUND) if is_label_search(wanted) else reads.COUNT_BOUND


async def count_some(connection: Connection, wanted: HistoryFilter) -> int | None:
    """How many match, up to one more than `bound_of`. None if counting takes longer than its budget."""
    bounded = reads.bounded_count(conditions_of(wanted, alerts), bound=bound_of(wanted))
    way = by_label_index(connection) if is_label_search(wanted) else connection.transaction()
    try:
        async with way:
            await connection.execute(f"SET LOCAL statement_timeout = {reads.COUNT_SOME_MS}")
            return await _count(connection, bounded)
    except asyncpg.QueryCanceledError:
        return None


async def is_small_store(connection: Connection) -> bool:
    """Whether counting all rows costs little. A table with rows on other servers shows no size, and is not small."""
    size = "SELECT coalesce(sum(pg_relation_size(relid)), 0) FROM pg_partition_tree('alerts')"
    return bool(0 < await connection.fetchval(size) <= reads.SMALL_STORE_BYTES)


async def count_all(connection: Connection, wanted: HistoryFilter) -> int:
    """How many match, however long it takes."""
    return await _count(connection, reads.bounded_count(conditions_of(wanted, alerts), bound=None))


async def try_to_count_all(connection: Connection, wanted: HistoryFilter) -> tuple[int, bool]:
    """How many match, and whether the number is exact: it is if counting stays within its budget."""
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL statement_timeout = {max(1, round(reads.COUNT_BUDGET_MS))}")
            return await count_all(connection, wanted), True
    except asyncpg.QueryCanceledError:
        return bound_of(wanted), False


async def _count(connection: Connection, statement: Select[Any]) -> int:
    sql, arguments = reads.compiled(statement, DIALECT)
    return int(await connection.fetchval(sql, *arguments))


def conditions_of(wanted: HistoryFilter, rows: FromClause) -> list[ColumnElement[bool]]:
    """All conditions of a filter as SQL on these rows; they match what `Query.matches` matches."""
    return [
        *reads.column_conditions(wanted, rows),
        *(_matcher_condition(matcher, rows) for matcher in wanted.query.matchers),
        *(_word_condition(word, rows) for word in wanted.query.words),
    ]


class PostgresFinding:
    """See `shared.analytics.Finding`."""

    def matching(self, statement: Select[Any], wanted: HistoryFilter) -> Select[Any]:
        """See `Finding.matching`."""
        return statement.where(and_(true(), *conditions_of(wanted, alerts)))

    def time_of(self, wanted: HistoryFilter) -> ColumnElement[Any]:  # noqa: ARG002  # the same for all filters
        """See `Finding.time_of`."""
        return alerts.c.timestamp

    def of_label_sets(self, statement: Select[Any], fingerprints: Sequence[str]) -> Select[Any]:
        """See `Finding.of_label_sets`."""
        return statement.where(is_one_of(alerts.c.fingerprint, fingerprints))


def _matcher_condition(matcher: Matcher, rows: FromClause) -> ColumnElement[bool]:
    if matcher.op in {"=", "!="}:
        condition = _equals(matcher.name, matcher.value, rows)
    else:
        condition = _matches_regex(matcher.name, matcher.value, rows)
    return not_(condition) if matcher.op in {"!=", "!~"} else condition


def _value_of(name: str, rows: FromClause) -> ColumnElement[str]:
    """The value of a label, '' for a missing label."""
    promoted = reads.promoted(name, rows)
    if promoted is not None:
        return promoted
    return func.coalesce(rows.c.labels.op("->>")(name), "")


def _equals(name: str, value: str, rows: FromClause) -> ColumnElement[bool]:
    if value and reads.promoted(name, rows) is None:
        pair = cast(literal(msgspec.json.encode({name: value}).decode()), JSONB)
        return rows.c.labels.op("@>", is_comparison=True)(pair)
    return _value_of(name, rows) == value


def _matches_regex(name: str, regex: str, rows: FromClause) -> ColumnElement[bool]:
    values = literal_alternatives(regex)
    if values is not None:
        return or_(*(_equals(name, value, rows) for value in values))
    pattern, ignores_case = to_postgres_regex(regex)
    return _value_of(name, rows).op("~*" if ignores_case else "~", is_comparison=True)(pattern)


def _word_condition(word: str, rows: FromClause) -> ColumnElement[bool]:
    """Whether a value holds the word. Of most that do not, the text of the JSON shows it sooner."""
    holds = or_(_holds(rows.c.labels, word), _holds(rows.c.annotations, word))
    part = plain_part(word)
    if not part:
        return holds
    texts = [cast(rows.c[name], Text) for name in ("labels", "annotations")]
    lowered = [func.lower(text.collate("C")) for text in texts]
    ways = [position_of(part, text) > 0 for text in lowered]
    ways += [position_of(letter, text) > 0 for letter in foreign_lower(part) for text in texts]
    return and_(or_(*ways), holds)


def _holds(pairs: ColumnElement[Any], word: str) -> ColumnElement[bool]:
    """Whether a value holds the word, in any letter case."""
    values = func.jsonb_each_text(pairs).table_valued(column("key"), column("value"))
    return exists(select(1).select_from(values).where(values.c.value.icontains(word, autoescape=True)))
