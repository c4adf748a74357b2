"""The query language: Prometheus' label matchers, plus free words.

Holds what a query is, how its text is read and what it matches. Must not know SQL; what a database
must know of a regex is in `regex_literals` and `postgres_regex`, and handed on here. For users:
docs/reference/query-language.md.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Literal, NoReturn, TypeVar, cast

import msgspec
import promql_parser

from alert_history.domain.postgres_regex import to_postgres_regex
from alert_history.domain.regex import check_regex, full_match
from alert_history.domain.regex_literals import literal_alternatives, literal_prefix, required_literals
from alert_history.errors import InvalidQuery

__all__ = [
    "ALL",
    "Matcher",
    "Operator",
    "Query",
    "both",
    "literal_alternatives",
    "literal_prefix",
    "parse_query",
    "required_literals",
    "to_postgres_regex",
]

MAX_QUERY_BYTES = 8192
MAX_MATCHERS = 64
MAX_WORDS = 32
_SHOWN_CHARACTERS = 80

Operator = Literal["=", "!=", "=~", "!~"]
T = TypeVar("T")

_EXAMPLE = '{alertname="DiskFull",severity=~"critical|warning"} "no space"'

_STRING = r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|`[^`]*+`"""
_NAME = r"[^\W\d][\w.\-]*+"
_BARE = r"[^\s,{}\"'`]++"
_HEAD = re.compile(rf"(?P<name>{_NAME}|{_STRING})\s*+(?P<op>=~|!~|!=|=)\s*+", re.DOTALL)
_VALUE = re.compile(rf"(?P<quoted>{_STRING})|(?P<bare>{_BARE})", re.DOTALL)
_BRACES = re.compile(r"(?P<alertname>[^\W\d][\w:.\-]*+)?\{")
_PIECE = re.compile(rf"(?:[^\"'`{{}},]++|{_STRING})*+", re.DOTALL)
_PHRASE = re.compile(_STRING, re.DOTALL)
_WORD = re.compile(r"[^\s,{}\"`]++(?:,[^\s,{}\"`]++)*+")
_GAP = re.compile(r"[\s,]*+")
_PROMQL_MODIFIER = re.compile(r"\[|\s*+(?:offset\s++-?\d|@\s*+(?:[-+]?[\d.]|start\b|end\b))")
_PROMQL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*+")
_PROMQL_OR = re.compile(r"\bor\b", re.IGNORECASE)
_UNKNOWN_ESCAPE = re.compile(r"unknown escape sequence '(.)'", re.DOTALL)
_PARENTHESES = re.compile(r"\\.|\[\^?\]?[^\]]*\]|[()]", re.DOTALL)
_QUOTES = ('"', "'", "`")
_ESCAPED_IN_PHRASE = re.compile(r"\\([\"'\\])")

_OPERATORS: dict[str, Operator] = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}


class Matcher(msgspec.Struct, frozen=True):
    """A condition on one label. As in Prometheus a missing label is `""`; a regex must match it all."""

    name: str
    op: Operator
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the label set meets it. Raises: InvalidQuery if its regex was never checked and is wrong."""
        value = labels.get(self.name, "")
        match self.op:
            case "=":
                return value == self.value
            case "!=":
                return value != self.value
            case "=~":
                return full_match(self.value, value)
            case "!~":
                return not full_match(self.value, value)


class Query(msgspec.Struct, frozen=True, dict=True):
    """All matchers and all words must match; an empty query matches everything.

    A word matches when it is part of any label's or annotation's value (names don't count), whatever
    the letter case.
    """

    matchers: tuple[Matcher, ...]
    words: tuple[str, ...]

    def matches(self, labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
        """Whether an alert with these labels and annotations is meant."""
        if not all(matcher.matches(labels) for matcher in self.matchers):
            return False
        if not self.words:
            return True
        texts = [text.lower() for pairs in (labels, annotations) for text in pairs.values()]
        return all(any(word in text for text in texts) for word in self._lowered_words)

    @cached_property
    def _lowered_words(self) -> tuple[str, ...]:
        return tuple(word.lower() for word in self.words)


ALL = Query((), ())
"""The empty query: it matches everything."""


def both(query: Query, other: Query) -> Query:
    """What matches both queries: all matchers and all words of the two, each once."""
    if other in {ALL, query}:
        return query
    return Query(_once(query.matchers, other.matchers), _once(query.words, other.words))


def _once(parts: tuple[T, ...], others: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*parts, *others)))


def parse_query(text: str) -> Query:
    """Read `{severity="critical"} disk "two words"`; `severity=critical` without braces is a matcher too.

    Matchers and words keep their order. `Foo{…}` and `__name__="Foo"` mean `alertname="Foo"`.
    Raises: InvalidQuery saying at which character, what is wrong and how it should look.
    """
    _check_text(text)
    reader = _Reader(text)
    reader.read()
    if len(reader.words) > MAX_WORDS:
        raise InvalidQuery(f"a query may hold {MAX_WORDS} words, this one has {len(reader.words)}")
    if len(reader.pieces) > MAX_MATCHERS:
        raise InvalidQuery(f"a query may hold {MAX_MATCHERS} matchers, this one has {len(reader.pieces)}")
    return Query(_matchers(reader.pieces), tuple(reader.words))


class _Piece(msgspec.Struct, frozen=True):
    """One matcher: where it stands in the query and how it was written there, and the same as PromQL.

    promql-parser checks regexes by Rust's dialect, which refuses some that Prometheus takes. So the operator is kept
    here, the PromQL says `=`, and RE2 checks the regex later. `op` is None where only promql-parser can tell.
    """

    at: int
    written: str
    promql: str
    op: Operator | None = None


class _Reader:
    """Splits a query into matchers and words, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.pieces: list[_Piece] = []
        self.words: list[str] = []
        self.has_braces = False

    def read(self) -> None:
        self.take(_GAP)
        while self.at < len(self.text):
            if not (self.matcher() or self.braces() or self.phrase()):
                self.word()
            self.take(_GAP)

    def matcher(self) -> bool:
        head = _HEAD.match(self.text, self.at)
        if not head:
            return False
        start, self.at = self.at, head.end()
        value = self.take(_VALUE)
        if not value:
            _fail(self.at, f'a value is missing after {head["op"]}; the empty one is written ""')
        written = self.text[start : self.at]
        self.pieces.append(_piece(start, written))
        if value["bare"]:
            self.expect_end_of_bare_value()
        self.expect_gap()
        return True

    def braces(self) -> bool:
        opening = _BRACES.match(self.text, self.at)
        if not opening:
            return False
        if self.has_braces:
            _fail(
                self.at,
                "only one {…} is allowed; put all matchers into it, with commas between them",
            )
        self.has_braces = True
        if name := opening["alertname"]:
            self.pieces.append(_Piece(self.at, name, f"alertname={_quote(name)}", "="))
        self.at = opening.end()
        while self.piece():
            pass
        if _PROMQL_MODIFIER.match(self.text, self.at):
            _fail(
                self.at,
                "ranges, offset and @ have no meaning here; choose times with since and until",
            )
        self.expect_gap()
        return True

    def piece(self) -> bool:
        """Take one matcher inside braces with the comma or brace after it; whether more may come."""
        start = self.at
        self.take(_PIECE)
        closing = self.text[self.at : self.at + 1]
        if closing not in {",", "}"}:
            self.fail_in_braces(closing)
        written = self.text[start : self.at].strip()
        if written:
            self.pieces.append(_piece(self.text.index(written, start), written))
        elif closing == ",":
            _fail(self.at, "a matcher is missing before this comma")
        self.at += 1
        return closing == ","

    def phrase(self) -> bool:
        if self.text[self.at] not in "\"'`":
            return False
        match = self.take(_PHRASE)
        if not match:
            _fail(self.at, "this quotation mark is never closed")
        inner = match[0][1:-1]
        self.words.append(inner if match[0][0] == "`" else _ESCAPED_IN_PHRASE.sub(r"\1", inner))
        self.expect_gap()
        return True

    def word(self) -> None:
        start = self.at
        match = self.take(_WORD)
        if not match:
            _fail(self.at, f"{self.text[self.at]} does not belong here; to search for it, quote it")
        if match[0].lower() == "or":
            _fail(start, _no_or('to search for the word, write "or"'))
        if match[0].lower() == "and":
            _fail(
                start,
                'all parts must match anyway: leave out and; to search for the word, write "and"',
            )
        self.words.append(match[0])
        self.expect_gap()

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()
        return match

    def expect_gap(self) -> None:
        following = self.text[self.at : self.at + 1]
        if following and following != "," and not following.isspace():
            _fail(self.at, f"a space is missing before {following}, or quotes around the whole")

    def expect_end_of_bare_value(self) -> None:
        """`a=x,b=y` are two matchers; `a=x,y` might be anything, so it is refused."""
        if self.text[self.at : self.at + 1] != ",":
            return
        rest = self.text[self.at + 1 :]
        if rest and not (rest[0].isspace() or _HEAD.match(rest) or _BRACES.match(rest)):
            _fail(self.at, "a value with a comma must be quoted")

    def fail_in_braces(self, text: str) -> NoReturn:
        if not text:
            _fail(self.at, "the closing } is missing")
        if text == "{":
            _fail(self.at, "{ can't stand inside {…} unless it is quoted")
        _fail(self.at, "this quotation mark is never closed")


def _piece(at: int, written: str) -> _Piece:
    head = _HEAD.match(written)
    value = _VALUE.fullmatch(written, head.end()) if head else None
    if not (head and value):
        return _Piece(at, written, written)
    op, bare = cast("Operator", head["op"]), value["bare"]
    if bare and bare[0] in "=~":
        _fail(at + head.start("op"), f"{op}{bare[0]} is no operator; there are = != =~ !~")
    literal = _quote(bare) if bare else _literal(value["quoted"])
    return _Piece(at, written, f"{_promql_name(head['name'])}={literal}", op)


def _promql_name(name: str) -> str:
    if name[0] in "\"'`":
        return _literal(name)
    return name if _PROMQL_NAME.fullmatch(name) else _quote(name)


def _literal(string: str) -> str:
    """A quoted string as promql-parser reads it; backticks it would unescape, which Prometheus does not."""
    return _quote(string[1:-1]) if string[0] == "`" else string


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _matchers(pieces: list[_Piece]) -> tuple[Matcher, ...]:
    if not pieces:
        return ()
    try:
        parsed = _parse_promql(",".join(piece.promql for piece in pieces))
    except ValueError as error:
        _explain(pieces, reason=str(error))
    if len(parsed) != len(pieces):
        _explain(pieces, reason="it can't be split into matchers")
    return tuple(map(_matcher, pieces, parsed))


def _parse_promql(matchers: str) -> list[promql_parser.Matcher]:
    """What promql-parser makes of them.

    It refuses selectors that an empty label set matches (`{pod=""}`), so a matcher that it does not
    match is put before them and dropped again. Raises: ValueError.
    """
    selector = promql_parser.parse(f'{{_="_",{matchers}}}')
    if not isinstance(selector, promql_parser.VectorSelector):
        raise ValueError("it is no list of matchers")  # noqa: TRY004  (a matter of the text, not of a type)
    if selector.matchers.or_matchers:
        raise ValueError(_no_or())
    return list(selector.matchers.matchers[1:])


def _matcher(piece: _Piece, parsed: promql_parser.Matcher) -> Matcher:
    name = "alertname" if parsed.name == "__name__" else parsed.name
    matcher = Matcher(name, piece.op or _OPERATORS[str(parsed.op)], parsed.value)
    if not matcher.name:
        _fail(piece.at, "the label has no name")
    if "\0" in matcher.name or "\0" in matcher.value:
        _fail(piece.at, "no label holds a NUL character")
    if matcher.op in {"=~", "!~"}:
        try:
            check_regex(matcher.value)
        except InvalidQuery as error:
            _fail(piece.at + _place_in_regex(piece.written, str(error)), str(error))
    return matcher


def _place_in_regex(written: str, reason: str) -> int:
    """Where in a matcher the part of its regex stands that RE2 names behind the last colon; else the regex."""
    head = _HEAD.match(written)
    if head is None:
        return 0
    begin = head.end() + (written[head.end() : head.end() + 1] in _QUOTES)
    if "missing )" in reason or "unexpected )" in reason:
        return _lonely_parenthesis(written, begin)
    return max(written.find(reason.rpartition(": ")[2], begin), begin)


def _lonely_parenthesis(written: str, begin: int) -> int:
    """Where the first parenthesis stands that has no partner, as far as a regex is read without its classes."""
    opened: list[int] = []
    for part in _PARENTHESES.finditer(written, begin):
        if part[0] == "(":
            opened.append(part.start())
        elif part[0] == ")":
            if not opened:
                return part.start()
            opened.pop()
    return opened[0] if opened else begin


def _explain(pieces: list[_Piece], *, reason: str) -> NoReturn:
    """Find the piece that is to blame by reading each on its own."""
    for piece in pieces:
        try:
            parsed = _parse_promql(piece.promql)
        except ValueError as error:
            _fail(piece.at + _place_of(piece.written, str(error)), _describe(piece.written, reason=str(error)))
        if len(parsed) != 1:
            _fail(piece.at, _describe(piece.written, reason="it is more than one matcher"))
    _fail(pieces[0].at, reason)


def _place_of(written: str, reason: str) -> int:
    """Where in a matcher the `or`, or the escape sequence, stands that can't be read; else 0."""
    if joint := _PROMQL_OR.search(_without_phrases(written)):
        return joint.start()
    escape = _UNKNOWN_ESCAPE.search(reason)
    return max(written.find(f"\\{escape[1]}"), 0) if escape else 0


def _without_phrases(written: str) -> str:
    """The same with blanks where something is quoted."""
    return _PHRASE.sub(lambda phrase: " " * len(phrase[0]), written)


def _describe(written: str, *, reason: str) -> str:
    if _PROMQL_OR.search(_without_phrases(written)):
        return _no_or()
    if "escape sequence" in reason:
        reason += r"; inside quotes a backslash is written \\ (or put `…` around the value: there it is \ itself)"
    return f"can't read the matcher {written[:_SHOWN_CHARACTERS]}: {reason}"


def _no_or(
    advice: str = 'write severity="critical" or severity="warning" as severity=~"critical|warning"',
) -> str:
    return f"or can't be used: all parts of a query must match; {advice}"


def _check_text(text: str) -> None:
    if "\0" in text:
        _fail(text.index("\0"), "a query can't hold a NUL character")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        _fail(error.start, "a query can't hold a lone surrogate")
    if size > MAX_QUERY_BYTES:
        raise InvalidQuery(f"a query may be {MAX_QUERY_BYTES} bytes long, this one has {size}")


def _fail(at: int, what: str) -> NoReturn:
    raise InvalidQuery(f"query, character {at + 1}: {what} (example: {_EXAMPLE})", at=at, reason=what)
