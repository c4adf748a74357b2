"""PostgreSQL: the read side.

Newest-first pages with a label condition are looked for where they are most likely: among the newest rows in
order of time, which finds common labels at once; what is rarer than that comes from the GIN index of the labels.
The planner can't choose between the two: it keeps no statistics of single labels.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
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

from alert_history.domain.matching import Matcher, Query, literal_alternatives, to_postgres_regex
from alert_history.errors import NotFound
from alert_history.ports import (
    HistoryFilter,
    HistoryPage,
    PageRequest,
    QuarantinedAlert,
    QuarantinePage,
    StoredAlert,
    StoredEvent,
)
from alert_history.storage import reads
from alert_history.storage.batch import occurrence_id, split_occurrence_id
from alert_history.storage.postgres_connection import Connection, Connections, storage_errors
from alert_history.storage.tables import UtcTime, alerts, from_microseconds, quarantine, to_microseconds

_DIALECT = dialects.dialect()  # type: ignore[no-untyped-call]
_KEY = (alerts.c.fingerprint, alerts.c.starts_at)
_RECENT_ROWS = 4_000
_read_labels = msgspec.json.Decoder(dict[str, str]).decode
_read_details = msgspec.json.Decoder().decode

_TIMELINE = """
SELECT e.kind, e.at, e.receipt_id, r.source, r.receiver, e.detail
FROM events e LEFT JOIN receipts r ON r.id = e.receipt_id
WHERE e.fingerprint = $1 AND e.starts_at = $2 ORDER BY e.at, e.key LIMIT 10000
"""

_Conditions = Sequence[ColumnElement[bool]]


class PostgresHistory:
    """See `ports.History`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        """See `ports.History.page`."""
        reads.check_page(page)
        sort = reads.parse_sort(page.sort)
        conditions = [*reads.column_conditions(wanted), *query_conditions(wanted.query)]
        with storage_errors():
            async with self._connections.reader() as connection:
                rows = await _page_rows(connection, conditions, wanted=wanted, page=page, sort=sort)
                total, is_exact = await _total(connection, conditions, exact=page.wants_exact_total)
        cursor = None
        if len(rows) > page.limit:
            last = rows[page.limit - 1]
            cursor = reads.encode_cursor(sort, [last[sort.name], last["fingerprint"], last["starts_at"]])
        return HistoryPage([read_alert(r) for r in rows[: page.limit]], total, is_exact, cursor)

    async def find(self, occurrence_id: str) -> StoredAlert:
        """See `ports.History.find`."""
        fingerprint, starts_at = _key_of(occurrence_id)
        with storage_errors():
            async with self._connections.reader() as connection:
                row = await connection.fetchrow(
                    "SELECT * FROM alerts WHERE fingerprint = $1 AND starts_at = $2",
                    fingerprint,
                    starts_at,
                )
        if row is None:
            raise NotFound(f"no occurrence {occurrence_id!r}")
        return read_alert(row)

    async def timeline(self, occurrence_id: str) -> list[StoredEvent]:
        """See `ports.History.timeline`."""
        with storage_errors():
            async with self._connections.reader() as connection:
                rows = await connection.fetch(_TIMELINE, *_key_of(occurrence_id))
        return [
            StoredEvent(kind, at, receipt_id, source, receiver, None if detail is None else _read_details(detail))
            for kind, at, receipt_id, source, receiver, detail in rows
        ]

    async def quarantine(self, *, limit: int, cursor: str | None) -> QuarantinePage:
        """See `ports.History.quarantine`."""
        statement = select(quarantine).order_by(quarantine.c.id.desc()).limit(limit + 1)
        if cursor is not None:
            statement = statement.where(quarantine.c.id < cursor)
        with storage_errors():
            async with self._connections.reader() as connection:
                rows = await _fetch(connection, statement)
                total = await connection.fetchval("SELECT count(*) FROM quarantine")
        found = [read_quarantined(dict(row)) for row in rows[:limit]]
        return QuarantinePage(found, total, found[-1].id if len(rows) > limit else None)

    async def export(self, wanted: HistoryFilter, *, batch_size: int = 1000) -> AsyncIterator[list[StoredAlert]]:
        """See `ports.History.export`. A server-side cursor in one snapshot."""
        conditions = [*reads.column_conditions(wanted), *query_conditions(wanted.query)]
        statement = (
            select(alerts)
            .where(and_(true(), *conditions))
            .order_by(alerts.c.timestamp, alerts.c.fingerprint, alerts.c.starts_at)
        )
        sql, arguments = reads.compiled(statement, _DIALECT)
        with storage_errors():
            async with self._connections.single() as connection:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    rows = await connection.cursor(sql, *arguments)
                    while batch := await rows.fetch(batch_size):
                        yield [read_alert(row) for row in batch]


def _key_of(occurrence_id: str) -> tuple[str, datetime]:
    parts = split_occurrence_id(occurrence_id)
    try:
        if parts is None:
            raise ValueError
        return parts[0], from_microseconds(parts[1])
    except (ValueError, OverflowError):
        raise NotFound(f"{occurrence_id!r} is no id of an occurrence") from None


async def _fetch(connection: Connection, statement: Select[Any]) -> list[Any]:
    sql, arguments = reads.compiled(statement, _DIALECT)
    return await connection.fetch(sql, *arguments)


async def _page_rows(
    connection: Connection,
    conditions: _Conditions,
    *,
    wanted: HistoryFilter,
    page: PageRequest,
    sort: reads.Sort,
) -> list[Any]:
    """The rows of the page and one more, if there is one more."""
    after = _after(page, sort)
    order = reads.order_by(sort, _KEY)
    end = page.limit + 1
    statement = select(alerts).where(and_(true(), *conditions, *after)).order_by(*order)
    statement = statement.limit(end).offset(page.offset)
    if sort.name != "timestamp" or not _is_label_search(wanted):
        return await _fetch(connection, statement)
    time_only = [*reads.column_conditions(msgspec.structs.replace(wanted, **_NO_COLUMNS)), *after]
    recent = select(alerts).where(and_(true(), *time_only)).order_by(*order).limit(_RECENT_ROWS)
    found = await _fetch(connection, _among(recent, conditions, order=order, end=end + page.offset))
    if len(found) >= end + page.offset:
        return found[page.offset :]
    async with _by_label_index(connection):
        return await _fetch(connection, statement)


_NO_COLUMNS: dict[str, None] = dict.fromkeys(("alertname", "status", "severity", "namespace", "fingerprint"))


def _among(recent: Select[Any], conditions: _Conditions, *, order: Sequence[Any], end: int) -> Select[Any]:
    rows = recent.cte("recent").prefix_with("MATERIALIZED")
    names = {c: rows.c[c.name] for c in alerts.c}
    on_rows: Callable[[Any], Any] = lambda e: _renamed(e, names)  # noqa: E731
    return select(rows).where(and_(true(), *map(on_rows, conditions))).order_by(*map(on_rows, order)).limit(end)


def _renamed(expression: Any, names: dict[Any, Any]) -> Any:
    from sqlalchemy.sql.visitors import replacement_traverse

    return replacement_traverse(expression, {}, lambda e, **_: names.get(e))


def _after(page: PageRequest, sort: reads.Sort) -> list[ColumnElement[bool]]:
    if page.cursor is None:
        return []
    types = [_type_of(sort.column), str, datetime]
    return [reads.after_cursor(sort, _KEY, reads.decode_cursor(page.cursor, sort=sort, types=types))]


def _type_of(expression: ColumnElement[Any]) -> type:
    if isinstance(expression.type, UtcTime):
        return datetime
    return int if isinstance(expression.type, Integer) else str


def _is_label_search(wanted: HistoryFilter) -> bool:
    """Whether the label index can answer it and no better index can."""
    if wanted.alertname or wanted.namespace or wanted.fingerprint:
        return False
    matchers = wanted.query.matchers
    if any(m.op == "=" and m.value and m.name in {"alertname", "namespace"} for m in matchers):
        return False
    return any(m.op == "=" and m.value and reads.promoted(m.name) is None for m in matchers)


@asynccontextmanager
async def _by_label_index(connection: Connection) -> AsyncIterator[None]:
    """Leaves the planner no way but the bitmap of the label index."""
    async with connection.transaction():
        await connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = off")
        yield


async def _total(connection: Connection, conditions: _Conditions, *, exact: bool) -> tuple[int, bool]:
    """The count, and whether it is exact: see `reads.COUNT_BOUND`."""
    if exact:
        return await _count(connection, reads.bounded_count(conditions, bound=None)), True
    counted = await _count(connection, reads.bounded_count(conditions, bound=reads.COUNT_BOUND))
    if counted <= reads.COUNT_BOUND:
        return counted, True
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL statement_timeout = {reads.COUNT_BUDGET_MS}")
            return await _count(connection, reads.bounded_count(conditions, bound=None)), True
    except asyncpg.QueryCanceledError:
        return reads.COUNT_BOUND, False


async def _count(connection: Connection, statement: Select[Any]) -> int:
    sql, arguments = reads.compiled(statement, _DIALECT)
    return int(await connection.fetchval(sql, *arguments))


def query_conditions(query: Query) -> list[ColumnElement[bool]]:
    """The query's matchers and words as SQL; the same truth as `Query.matches`."""
    return [*map(_matcher_condition, query.matchers), *map(_word_condition, query.words)]


def _matcher_condition(matcher: Matcher) -> ColumnElement[bool]:
    is_negated = matcher.op in {"!=", "!~"}
    if matcher.op in {"=", "!="}:
        condition = _equals(matcher.name, matcher.value)
    else:
        condition = _matches_regex(matcher.name, matcher.value)
    return not_(condition) if is_negated else condition


def _value_of(name: str) -> ColumnElement[str]:
    """A label's value, '' where it is missing."""
    promoted = reads.promoted(name)
    if promoted is not None:
        return promoted
    return func.coalesce(alerts.c.labels.op("->>")(name), "")


def _equals(name: str, value: str) -> ColumnElement[bool]:
    if value and reads.promoted(name) is None:
        pair = cast(literal(msgspec.json.encode({name: value}).decode()), JSONB)
        return alerts.c.labels.op("@>", is_comparison=True)(pair)
    return _value_of(name) == value


def _matches_regex(name: str, regex: str) -> ColumnElement[bool]:
    values = literal_alternatives(regex)
    if values is not None:
        return or_(*(_equals(name, value) for value in values))
    pattern, ignores_case = to_postgres_regex(regex)
    return _value_of(name).op("~*" if ignores_case else "~", is_comparison=True)(pattern)


def _word_condition(word: str) -> ColumnElement[bool]:
    return or_(_holds(alerts.c.labels, word), _holds(alerts.c.annotations, word))


def _holds(pairs: ColumnElement[Any], word: str) -> ColumnElement[bool]:
    """Whether any value holds the word, letter case aside."""
    values = func.jsonb_each_text(pairs).table_valued(column("key"), column("value"))
    return exists(select(1).select_from(values).where(values.c.value.icontains(word, autoescape=True)))


def read_alert(row: Any) -> StoredAlert:
    """An occurrence from a row of `alerts`."""
    return StoredAlert(
        id=occurrence_id(row["fingerprint"], to_microseconds(row["starts_at"])),
        fingerprint=row["fingerprint"],
        alertname=row["alertname"],
        namespace=row["namespace"],
        severity=row["severity"],
        status=row["status"],
        labels=_read_labels(row["labels"]),
        annotations=_read_labels(row["annotations"]),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        expires_at=row["expires_at"],
        timestamp=row["timestamp"],
        last_received_at=row["last_received_at"],
        repeat_count=row["repeat_count"],
        generator_url=row["generator_url"],
        source=row["source"],
        receiver=row["receiver"],
        details=None if row["details"] is None else _read_details(row["details"]),
    )


def read_quarantined(row: dict[str, Any]) -> QuarantinedAlert:
    """A row of `quarantine`."""
    return QuarantinedAlert(**{**row, "raw": row["raw"].decode("utf-8", "replace")})
