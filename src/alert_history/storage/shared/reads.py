"""The reads that both stores share: sort columns, cursors, and bounds of counts.

A keyset finds a page: the cursor holds the sort value and the key of the last row, so page 1000 costs what page 1
costs. Each database finds labels in a module of its own.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import (
    ColumnElement,
    Dialect,
    FromClause,
    Select,
    Text,
    and_,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)

from alert_history.domain.alert import is_fingerprint
from alert_history.domain.query import Matcher
from alert_history.domain.speaker import SCOPE_MARK
from alert_history.domain.standing import EndedBy
from alert_history.errors import InvalidQuery
from alert_history.ports import HistoryFilter, PageRequest
from alert_history.storage.shared.tables import alerts

COUNT_BOUND = 10_000
"""A total up to here is exact, unless counting takes longer than `COUNT_SOME_MS` (as for a very rare word). A higher
total is exact if counting takes at most `COUNT_BUDGET_MS`. Any other total is a lower bound, and says so. In a small
store every total is exact, so it does not depend on how busy the machine is.
"""

SMALL_STORE_ROWS = 50_000
"""To count so many rows takes half a second if the query looks at each row (measured: words, regexes)."""
SMALL_STORE_BYTES = 32 * 1024 * 1024
"""The size of about as many rows, for a database that knows the size of a table alone."""

COUNT_SOME_MS = 100
COUNT_BUDGET_MS = 12
MAX_LIMIT = 1_000
MAX_OFFSET = 10_000

INT32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
AWARE_TIME = Annotated[datetime, msgspec.Meta(tz=True)]
"""The types of values in a cursor, besides text: each column compares with one of these."""

_unstorable = re.compile("[\0\ud800-\udfff]")

_CAME_BY = ("receiver", "source")
_PROMOTED = frozenset({"alertname", "namespace", "severity"})

SORTABLE = {
    name: alerts.c[name]
    for name in (
        "timestamp",
        "starts_at",
        "last_received_at",
        "alertname",
        "namespace",
        "severity",
        "status",
        "repeat_count",
    )
}


class Sort(msgspec.Struct, frozen=True):
    """A sort column and its direction."""

    name: str
    is_descending: bool

    @property
    def column(self) -> ColumnElement[Any]:
        """The column itself."""
        return SORTABLE[self.name]

    @property
    def text(self) -> str:
        """The sort as a caller writes it."""
        return f"-{self.name}" if self.is_descending else self.name

    @property
    def opposite(self) -> "Sort":
        """The other direction."""
        return Sort(self.name, not self.is_descending)


def parse_sort(text: str) -> Sort:
    """Reads `timestamp` or `-timestamp`. Raises InvalidQuery, which names all sort columns."""
    name = text.removeprefix("-")
    if name not in SORTABLE:
        allowed = ", ".join(SORTABLE)
        raise InvalidQuery(f"sort: {text!r} is none of {allowed} (a '-' before it for descending)")
    return Sort(name, text.startswith("-"))


def encode_cursor(sort: Sort, values: Sequence[Any]) -> str:
    """An opaque cursor; the next page begins after the row with these values of sort column and key."""
    return base64.urlsafe_b64encode(msgspec.json.encode([sort.text, *values])).decode().rstrip("=")


def decode_cursor(text: str, *, sort: Sort, types: Sequence[Any]) -> list[Any]:
    """The values in a cursor, as these types. Raises InvalidQuery on a cursor of another sort, or on other text."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        made_for, *values = msgspec.json.decode(raw, type=list[Any])
        if made_for != sort.text or len(values) != len(types):
            raise InvalidQuery(f"cursor: it belongs to sort={made_for}, not to sort={sort.text}")
        check_text("".join(v for v in values if isinstance(v, str)), of="cursor")
        return [msgspec.convert(v, t, strict=True) for v, t in zip(values, types, strict=True)]
    except (binascii.Error, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidQuery("cursor: not a next_cursor of an earlier answer") from error


def after_cursor(
    sort: Sort, key: Sequence[ColumnElement[Any]], values: Sequence[Any], rows: FromClause
) -> ColumnElement[bool]:
    """The condition for rows after these values, in the order of the sort."""
    columns = (rows.c[sort.name], *key)
    row = tuple_(*columns)
    bound = tuple_(*(literal(v, c.type) for v, c in zip(values, columns, strict=True)))
    return row < bound if sort.is_descending else row > bound


def order_by(sort: Sort, key: Sequence[ColumnElement[Any]], rows: FromClause) -> list[ColumnElement[Any]]:
    """The sort column, then the key, all in one direction."""
    return [c.desc() if sort.is_descending else c.asc() for c in (rows.c[sort.name], *key)]


def promoted(name: str, rows: FromClause) -> ColumnElement[str] | None:
    """The column of a label, if the label has one; it holds '' for an alert without the label."""
    return rows.c[name] if name in _PROMOTED else None


def column_conditions(wanted: HistoryFilter, rows: FromClause) -> list[ColumnElement[bool]]:
    """The conditions on columns; each store adds the conditions on labels and words."""
    equal = {name: getattr(wanted, name) for name in ("alertname", "severity", "namespace")}
    conditions: list[ColumnElement[bool]] = [rows.c[name] == v for name, v in equal.items() if v is not None]
    conditions.append(rows.c.joined_into.is_(None))
    if wanted.fingerprint is not None:
        conditions += _of_any_scope(wanted.fingerprint, rows)
    if wanted.status is not None:
        conditions.append(rows.c.status == _status_literal(wanted.status))
    if wanted.since is not None:
        conditions.append(rows.c.timestamp >= wanted.since)
    if wanted.until is not None:
        conditions.append(rows.c.timestamp < wanted.until)
    return [*conditions, *(_came_by(matcher, rows) for matcher in wanted.came_by)]


def _came_by(matcher: Matcher, rows: FromClause) -> ColumnElement[bool]:
    column = rows.c[matcher.name]
    return column == matcher.value if matcher.op == "=" else column != matcher.value


def _of_any_scope(fingerprint: str, rows: FromClause) -> list[ColumnElement[bool]]:
    """The conditions for a fingerprint of any scope: a scope stands behind an `@`, so all of them sort together."""
    if not is_fingerprint(fingerprint):
        return [rows.c.fingerprint == fingerprint]
    return [rows.c.fingerprint >= fingerprint, rows.c.fingerprint < fingerprint + chr(ord(SCOPE_MARK) + 1)]


def state_of(status: str, unconfirmed: str | None) -> Literal["firing", "unconfirmed", "resolved"]:
    """See `ports.StoredAlert`."""
    if status != "firing":
        return "resolved"
    return "firing" if unconfirmed is None else "unconfirmed"


def ended_by_of(status: str, ended_by: Any) -> EndedBy | None:
    """How the end is known. Rows of older releases do not say so: their ends were resolves."""
    return None if status == "firing" else ended_by or "resolved"


def confirmed_of(status: str, confirmed_at: datetime | None, last_received_at: datetime) -> datetime | None:
    """When a sender last said that an occurrence fires; for an open one this is its last receipt, by default."""
    return confirmed_at or (last_received_at if status == "firing" else None)


def _status_literal(status: str) -> ColumnElement[str]:
    """A status as a literal in the query, so that the planner sees that the index of firing alerts fits."""
    if status not in {"firing", "resolved"}:
        raise InvalidQuery(f"status: {status!r} is neither firing nor resolved")
    return literal_column(f"'{status}'", Text)


def bounded_count(conditions: Sequence[ColumnElement[bool]], *, bound: int | None) -> Select[Any]:
    """The statement that counts matches, up to `bound` + 1."""
    if bound is None:
        return select(func.count()).select_from(alerts).where(and_(True, *conditions))
    some = select(literal(1)).select_from(alerts).where(and_(True, *conditions)).limit(bound + 1)
    return select(func.count()).select_from(some.subquery())


def check_page(page: PageRequest) -> None:
    """Raises InvalidQuery for a page out of bounds."""
    check_limit(page.limit)
    if not 0 <= page.offset <= MAX_OFFSET:
        raise InvalidQuery(f"offset: {page.offset} is not between 0 and {MAX_OFFSET}; use cursor")
    if page.offset and page.cursor:
        raise InvalidQuery("offset and cursor exclude each other")


def check_limit(limit: int) -> None:
    """Raises InvalidQuery for more rows than a page may have."""
    if not 0 < limit <= MAX_LIMIT:
        raise InvalidQuery(f"limit: {limit} is not between 1 and {MAX_LIMIT}")


def check_filter(wanted: HistoryFilter) -> None:
    """Raises InvalidQuery for text in a condition that no database can hold."""
    for name in ("alertname", "severity", "namespace", "fingerprint"):
        check_text(getattr(wanted, name) or "", of=name)
    for matcher in wanted.query.matchers:
        check_text(matcher.name + matcher.value, of="query")
    for matcher in wanted.came_by:
        if matcher.name not in _CAME_BY or matcher.op not in {"=", "!="}:
            raise InvalidQuery(f"{matcher.name}{matcher.op}: there are = and != on {' and '.join(_CAME_BY)}")
        check_text(matcher.value, of=matcher.name)
    check_text("".join(wanted.query.words), of="query")


def is_storable(text: str) -> bool:
    """Whether both databases can hold a text: it has no NUL character and no lone surrogate."""
    return not _unstorable.search(text)


def check_text(text: str, *, of: str) -> None:
    """Raises InvalidQuery on a NUL character or a lone surrogate."""
    if not is_storable(text):
        raise InvalidQuery(f"{of}: NUL characters and lone surrogates are in no alert")


def compiled(statement: Select[Any], dialect: Dialect) -> tuple[str, list[Any]]:
    """SQL text and arguments by position, as the driver of the dialect takes them."""
    made = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    processors: Any = made._bind_processors  # noqa: SLF001  # the dialect's conversions, without its driver
    arguments = []
    for name in made.positiontup or ():
        value = made.params[name]
        arguments.append(processors[name](value) if name in processors else value)
    return str(made), arguments


def bounded(counted: int) -> tuple[int, bool]:
    """A count that stopped after `COUNT_BOUND` + 1, as a total and whether that is exact."""
    return min(counted, COUNT_BOUND), counted <= COUNT_BOUND
