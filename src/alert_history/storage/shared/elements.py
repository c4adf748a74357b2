"""Elements of SQL that each database writes in its own way: a list as one parameter, and the time of the database.

A list of any length is one parameter. So a statement keeps its text, and the database keeps its plan.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Dialect,
    Integer,
    TableValuedAlias,
    Text,
    bindparam,
    column,
    literal,
    literal_column,
    or_,
)
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from alert_history.domain.microseconds import duration_us
from alert_history.storage.shared.tables import Json, UtcTime

SQLITE_NOW = "(strftime('%s', 'now') * 1000000 + substr(strftime('%f', 'now'), 4) * 1000)"
"""The time of SQLite's clock, to the millisecond. It is the same in all places of a statement's step."""

TOO_FAR_AHEAD = timedelta(minutes=10)
"""A lease that ends so much later than a new one would is from before the database's clock was set back.

An older release wrote leases by the clock of its process. A process that was less than this ahead keeps its leases.
"""


class _Texts(TypeDecorator[list[str]]):
    """Texts as one argument: an array on PostgreSQL, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The parameter's type for each database."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(Text()))

    def bind_processor(self, dialect: Dialect) -> Any:
        """The texts as the driver wants them."""
        return list if dialect.name != "sqlite" else lambda texts: msgspec.json.encode(list(texts)).decode()


class _Numbers(TypeDecorator[list[int]]):
    """As `_Texts`, of numbers."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The parameter's type for each database."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(Integer()))

    def bind_processor(self, dialect: Dialect) -> Any:
        """The numbers as the driver wants them."""
        return list if dialect.name != "sqlite" else lambda numbers: msgspec.json.encode(list(numbers)).decode()


class _Duration(TypeDecorator[timedelta]):
    """An interval on PostgreSQL, microseconds on SQLite."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The parameter's type for each database."""
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else INTERVAL())

    def bind_processor(self, dialect: Dialect) -> Any:
        """The duration as the driver wants it."""
        return duration_us if dialect.name == "sqlite" else None


class _IsAmong(FunctionElement[bool]):
    """See `is_among`."""

    inherit_cache = True
    name = "is_among"
    type = Boolean()

    def self_group(self, against: Any = None) -> Any:  # noqa: ARG002  # SQLAlchemy's shape
        """Keeps the condition as it stands: with `… = 1` around it SQLite would use no index."""
        return self


class _Given(FunctionElement[str]):
    """See `given`."""

    inherit_cache = True
    name = "given"
    type = Text()


class _GivenKeys(FunctionElement[Any]):
    """See `given_keys`."""

    inherit_cache = True
    name = "given_keys"


class _Now(FunctionElement[Any]):
    """See `database_now`."""

    inherit_cache = True
    name = "database_now"
    type = UtcTime()


class _NowAnd(FunctionElement[Any]):
    """See `database_now_and`."""

    inherit_cache = True
    name = "database_now_and"
    type = UtcTime()


class _TakeTurn(FunctionElement[bool]):
    """See `take_turn`."""

    inherit_cache = True
    name = "take_turn"
    type = Boolean()


class _HasBit(FunctionElement[bool]):
    """See `has_bit`."""

    inherit_cache = True
    name = "has_bit"
    type = Boolean()

    def self_group(self, against: Any = None) -> Any:  # noqa: ARG002  # SQLAlchemy's shape
        """Keeps the condition as it stands."""
        return self


class _Position(FunctionElement[int]):
    """See `position_of`."""

    inherit_cache = True
    name = "position_of"
    type = Integer()


class _Merged(FunctionElement[Any]):
    """See `merged`."""

    inherit_cache = True
    name = "merged"
    type = Json()


def merged(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    """The JSON object of a column, or an empty one, with the fields of the object in the parameter of that name."""
    return _Merged(column, bindparam(name, type_=Json()))


def has_bit(bitmap: ColumnElement[bytes], place: int) -> ColumnElement[bool]:
    """Whether a bitmap, whose bits are a power of two, has the bit of a place; it reads one byte of the bitmap."""
    return _HasBit(bitmap, literal_column(str(int(place))))


def position_of(text: str, column: ColumnElement[Any]) -> ColumnElement[int]:
    """Where a text stands in a column, from 1 on; 0 if it is not there. Letter case counts."""
    return _Position(column, literal(text, Text))


def is_among(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Whether a column holds a text of the list in the parameter of that name. An index finds such rows."""
    return _IsAmong(column, bindparam(name, type_=_Texts()))


def is_number_among(column: ColumnElement[int], name: str) -> ColumnElement[bool]:
    """As `is_among`, of numbers."""
    return _IsAmong(column, bindparam(name, type_=_Numbers()))


def is_one_of(column: ColumnElement[str], texts: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column holds one of these texts, which are one parameter of a statement that is made for them."""
    """Whether a column holds one of these texts, for a statement that is made for this one time."""
    return _IsAmong(column, literal(list(texts), _Texts()))


def given(name: str) -> TableValuedAlias:
    """The texts of the list in the parameter of that name, as rows with one column, `value`."""
    return _Given(bindparam(name, type_=Json())).table_valued("value", name="given")


def given_keys(name: str) -> TableValuedAlias:
    """The keys of the list in the parameter of that name, as rows with `fingerprint` and `starts_at`.

    The parameter is a list of pairs: a fingerprint, and microseconds since 1970.
    """
    columns = (column("fingerprint", Text()), column("starts_at", UtcTime()))
    return _GivenKeys(bindparam(name, type_=Json())).table_valued(*columns, name="given_keys")


def database_now() -> ColumnElement[Any]:
    """The time of the database's clock."""
    return _Now()


def database_now_and(name: str) -> ColumnElement[Any]:
    """The time of the database's clock, and the duration in the parameter of that name after it."""
    return _NowAnd(bindparam(name, type_=_Duration()))


def is_over(until: ColumnElement[Any], longest: str) -> ColumnElement[bool]:
    """Whether a lease that ends at `until` is over by the database's clock, by which its end was written, too.

    The parameter `longest` is `TOO_FAR_AHEAD` more than a lease lasts. A lease that ends after that is over, too.
    """
    return or_(until < database_now(), until > database_now_and(longest))


def take_turn(job: str) -> ColumnElement[bool]:
    """Whether this transaction alone, of all replicas, does a job until it ends. On SQLite one alone writes anyway."""
    return _TakeTurn(literal_column("'alert-history " + job + "'"))


@compiles(_TakeTurn, "postgresql")
def _try_advisory_lock(element: _TakeTurn, compiler: SQLCompiler, **kw: Any) -> str:
    return f"pg_try_advisory_xact_lock(hashtextextended({compiler.process(element.clauses, **kw)}, 0))"


@compiles(_TakeTurn, "sqlite")
def _always(_element: _TakeTurn, _compiler: SQLCompiler, **_: Any) -> str:
    return "1"


@compiles(_IsAmong, "postgresql")
def _array_holds(element: _IsAmong, compiler: SQLCompiler, **kw: Any) -> str:
    column, texts = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} = ANY ({texts})"


@compiles(_IsAmong, "sqlite")
def _json_holds(element: _IsAmong, compiler: SQLCompiler, **kw: Any) -> str:
    column, texts = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({texts}))"


@compiles(_Given, "postgresql")
def _elements(element: _Given, compiler: SQLCompiler, **kw: Any) -> str:
    return f"jsonb_array_elements_text({compiler.process(element.clauses, **kw)})"


@compiles(_Given, "sqlite")
def _each(element: _Given, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_GivenKeys, "postgresql")
def _pairs(element: _GivenKeys, compiler: SQLCompiler, **kw: Any) -> str:
    pairs = compiler.process(element.clauses, **kw)
    starts_at = "'epoch'::timestamptz + (pair ->> 1)::bigint * interval '1 microsecond'"
    return f"(SELECT pair ->> 0 AS fingerprint, {starts_at} AS starts_at FROM jsonb_array_elements({pairs}) AS pair)"


@compiles(_GivenKeys, "sqlite")
def _each_pair(element: _GivenKeys, compiler: SQLCompiler, **kw: Any) -> str:
    pairs = compiler.process(element.clauses, **kw)
    places = "json_extract(value, '$[0]') AS fingerprint, json_extract(value, '$[1]') AS starts_at"
    return f"(SELECT {places} FROM json_each({pairs}))"


_BYTES_WITH_BIT = ["".join(f"{byte:02x}" for byte in range(256) if byte >> bit & 1) for bit in range(8)]


@compiles(_HasBit, "postgresql")
def _bit_of_bytea(element: _HasBit, compiler: SQLCompiler, **kw: Any) -> str:
    bitmap, place = (compiler.process(clause, **kw) for clause in element.clauses)
    byte = f"substr({bitmap}, (({place} & (octet_length({bitmap}) * 8 - 1)) >> 3) + 1, 1)"
    return f"(get_byte({byte}, 0) >> {int(place) & 7}) & 1 = 1"


@compiles(_HasBit, "sqlite")
def _bit_of_blob(element: _HasBit, compiler: SQLCompiler, **kw: Any) -> str:
    bitmap, place = (compiler.process(clause, **kw) for clause in element.clauses)
    byte = f"substr({bitmap}, (({place} & (length({bitmap}) * 8 - 1)) >> 3) + 1, 1)"
    return f"instr(x'{_BYTES_WITH_BIT[int(place) & 7]}', {byte}) > 0"


@compiles(_Position, "postgresql")
def _strpos(element: _Position, compiler: SQLCompiler, **kw: Any) -> str:
    column, text = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"strpos({column}, {text})"


@compiles(_Position, "sqlite")
def _instr(element: _Position, compiler: SQLCompiler, **kw: Any) -> str:
    column, text = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"instr({column}, {text})"


@compiles(_Merged, "postgresql")
def _joined_jsonb(element: _Merged, compiler: SQLCompiler, **kw: Any) -> str:
    column, fields = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"coalesce({column}, '{{}}'::jsonb) || {fields}"


@compiles(_Merged, "sqlite")
def _patched_json(element: _Merged, compiler: SQLCompiler, **kw: Any) -> str:
    column, fields = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_patch(coalesce({column}, '{{}}'), {fields})"


@compiles(_Now, "postgresql")
def _transaction_time(_element: _Now, _compiler: SQLCompiler, **_: Any) -> str:
    return "now()"


@compiles(_Now, "sqlite")
def _unix_time(_element: _Now, _compiler: SQLCompiler, **_: Any) -> str:
    return SQLITE_NOW


@compiles(_NowAnd, "postgresql")
def _transaction_time_and(element: _NowAnd, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(now() + {compiler.process(element.clauses, **kw)})"


@compiles(_NowAnd, "sqlite")
def _unix_time_and(element: _NowAnd, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({SQLITE_NOW} + {compiler.process(element.clauses, **kw)})"
