"""What a filter means as SQL of DuckDB. It matches what `domain.query` matches; a test compares it with both databases.

Names and values of labels are never part of the SQL: they are values of the question.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from alert_history.domain.alert import is_fingerprint
from alert_history.domain.archive_tables import ALERTS, Kind, Shape
from alert_history.domain.query import Matcher
from alert_history.domain.regex import check_regex
from alert_history.domain.speaker import SCOPE_MARK
from alert_history.ports import HistoryFilter

_TYPES: dict[Kind, str] = {
    "text": "VARCHAR",
    "time": "TIMESTAMPTZ",
    "integer": "BIGINT",
    "truth": "BOOLEAN",
    "json": "VARCHAR",
    "texts": "MAP(VARCHAR, VARCHAR)",
    "bytes": "BLOB",
}
_DOT = "\u0307"
"""What Python puts above the small letter of `İ`."""

_PIECE = re.compile(r"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|\(\?<", re.DOTALL)
"""A quotation, an escape, a class of characters, or the begin of a named group."""

_PROMOTED = frozenset({"alertname", "namespace", "severity"})

FILES = "archive_file"
"""The column of the path that a row was read from; `ROW` is its place in there."""
ROW = "archive_row"

_READ = (
    f"read_parquet(?, union_by_name = true, hive_partitioning = false, filename = '{FILES}', file_row_number = true)"
)
# What still fired when an earlier release archived it is over since its last sign: see `ended_at_last_sign`.
_AS_RESTORED = """SELECT * REPLACE (
    'resolved' AS status,
    CASE WHEN status = 'firing' THEN 'inferred' ELSE ended_by END AS ended_by,
    CASE WHEN status = 'firing' THEN greatest(last_received_at, coalesce(began_at, starts_at)) ELSE ends_at END
        AS ends_at,
    CASE WHEN status = 'firing' THEN coalesce(confirmed_at, last_received_at) ELSE confirmed_at END AS confirmed_at,
    CASE WHEN status = 'firing' THEN NULL ELSE expires_at END AS expires_at,
    CASE WHEN status = 'firing' THEN NULL ELSE unconfirmed END AS unconfirmed
)"""


class Part(msgspec.Struct, frozen=True):
    """A part of a statement, with its values in their order."""

    sql: str
    values: Sequence[Any] = ()

    @property
    def within_brackets(self) -> "Part":
        """The same as one condition among others."""
        return Part(f"({self.sql})", self.values)


def joined(parts: Sequence[Part], separator: str) -> Part:
    """Parts as one."""
    return Part(separator.join(part.sql for part in parts), [value for part in parts for value in part.values])


def rows_of(shape: Shape, paths: Sequence[str]) -> Part:
    """The rows of some files of a table, with all its columns: a file of another release may lack some."""
    lacking = ", ".join(f'NULL::{_TYPES[column.kind]} AS "{column.name}"' for column in shape.columns)
    whole = f"SELECT * RENAME (file_row_number AS {ROW}) FROM {_READ} UNION ALL BY NAME SELECT {lacking} WHERE false"
    return Part(f"{_AS_RESTORED if shape is ALERTS else 'SELECT *'} FROM ({whole})", [list(paths)])


def columns_of(shape: Shape) -> str:
    """All columns of a row as `storage.shared.rows` takes them: times as microseconds, maps as JSON."""
    return ", ".join(_selected(column.name, column.kind) for column in shape.columns)


def conditions_of(wanted: HistoryFilter) -> Part:
    """All conditions of a filter."""
    equal = {name: getattr(wanted, name) for name in ("alertname", "severity", "namespace", "status")}
    parts = [Part("joined_into IS NULL")]
    parts += [Part(f'"{name}" = ?', [value]) for name, value in equal.items() if value is not None]
    if wanted.fingerprint is not None:
        parts.append(_of_any_scope(wanted.fingerprint))
    if wanted.since is not None:
        parts.append(Part('"timestamp" >= ?', [wanted.since]))
    if wanted.until is not None:
        parts.append(Part('"timestamp" < ?', [wanted.until]))
    parts += [Part(f'"{each.name}" {"=" if each.op == "=" else "<>"} ?', [each.value]) for each in wanted.came_by]
    parts += [_matches(matcher) for matcher in wanted.query.matchers]
    parts += [_holds(word) for word in wanted.query.words]
    return joined(parts, " AND ")


def _selected(name: str, kind: Kind) -> str:
    if kind == "time":
        return f'epoch_us("{name}") AS "{name}"'
    return f'to_json("{name}")::VARCHAR AS "{name}"' if kind == "texts" else f'"{name}"'


def _of_any_scope(fingerprint: str) -> Part:
    """As in `storage.shared.reads`: a scope stands behind an `@`."""
    if not is_fingerprint(fingerprint):
        return Part("fingerprint = ?", [fingerprint])
    return Part("fingerprint >= ? AND fingerprint < ?", [fingerprint, fingerprint + chr(ord(SCOPE_MARK) + 1)])


def _value_of(name: str) -> Part:
    """The value of a label, `''` for a missing one."""
    return Part(f'"{name}"') if name in _PROMOTED else Part("coalesce(labels[?], '')", [name])


def _matches(matcher: Matcher) -> Part:
    """DuckDB's regexes are RE2's, too. With `s` a dot takes a newline, as it does in Prometheus."""
    value = _value_of(matcher.name)
    if matcher.op in {"=", "!="}:
        return Part(f"{value.sql} {'=' if matcher.op == '=' else '<>'} ?", [*value.values, matcher.value])
    check_regex(matcher.value)
    negation = "NOT " if matcher.op == "!~" else ""
    return Part(f"{negation}regexp_full_match({value.sql}, ?, 's')", [*value.values, _older(matcher.value)])


def _older(regex: str) -> str:
    """A regex as the older RE2 takes it that DuckDB brings along: it names groups with `(?P<` alone."""
    return _PIECE.sub(lambda piece: "(?P<" if piece[0] == "(?<" else piece[0], regex)


def _holds(word: str) -> Part:
    """Whether a value of a label or an annotation holds a word, in any letter case.

    The values of each are put together, with a NUL between them, which no word has. DuckDB lowers letters as Python
    does, but for one Turkish letter, of which Python makes two.
    """
    word = word.lower()
    is_turkish = "i" in word or _DOT in word
    texts = [f"array_to_string(map_values({name}), chr(0))" for name in ("labels", "annotations")]
    if is_turkish:
        texts = [f"replace({text}, 'İ', 'i' || chr({ord(_DOT)}))" for text in texts]
    return joined([Part(f"contains(lower({text}), ?)", [word]) for text in texts], " OR ").within_brackets
