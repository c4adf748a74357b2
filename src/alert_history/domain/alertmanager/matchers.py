"""Matchers as Alertmanager reads and prints them: of its configuration, its API, and the old maps of its routes.

Holds both of its languages. Must not know routes or silences. Queries of our own are another language: `domain.query`.

The classic language (all there was before 0.27): `foo=bar`, where quotes are optional and nearly anything is a value.
The UTF-8 language (0.27 and newer): any label name, and what holds a reserved character stands in double quotes.
A newer Alertmanager reads both by default ("fallback"): where both can read a text and disagree, the classic reading
counts. An error of both is told as the classic one. Sources: `pkg/labels`, `matcher/parse` and `matcher/compat` of
prometheus/alertmanager 0.34; 0.25 has the first alone.

Regexes are RE2's. The whole value must match; unlike in Prometheus 3, `.` matches no newline.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Literal, Protocol

import re2

from alert_history.domain.alertmanager.configuration import Matchers
from alert_history.domain.alertmanager.go_text import SPACES, go_quoted, go_unquoted
from alert_history.domain.query import Matcher, Operator
from alert_history.domain.regex_literals import literal_alternatives
from alert_history.errors import InvalidQuery

Dialect = Literal["fallback", "classic", "utf-8"]

_COMPILED_BYTES = 1 << 20
_SHOWN_CHARACTERS = 80
_ASCII_SPACES = "\t\n\f\r "
_RESERVED = SPACES | set("{}!=~,\\\"'`")
_OPERATORS: tuple[Operator, ...] = ("=", "!=", "=~", "!~")

_CLASSIC = re.compile(r"[\t\n\f\r ]*([a-zA-Z_:][a-zA-Z0-9_:]*)[\t\n\f\r ]*(=~|=|!=|!~)")
_OPERATOR = re.compile(r"!=|!~|=~|=")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_UNQUOTED = re.compile(rf"[^{re.escape(''.join(sorted(_RESERVED)))}]++")
_CLASSIC_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


class Compiled(Protocol):
    """What is used of a regex that RE2 has compiled; google-re2 has no types."""

    def search(self, text: bytes) -> object | None: ...


def parse_matcher(text: str, dialect: Dialect = "fallback") -> Matcher:
    """The one matcher of a `filter` of the API.

    Names and values are trimmed; `a=` matches alerts without an `a`; `a=b,c=d` is one matcher in the classic language.

    Raises: InvalidQuery where it is none: braces around, nothing, no operator, a regex that RE2 refuses.
    """
    if dialect == "classic":
        return _classic_matcher(text)
    if text.startswith("{") or text.endswith("}"):
        raise _fault(text, "a single matcher has no braces around it")
    if dialect == "utf-8":
        return _single(text, _utf8_matchers(text))
    try:
        return _classic_matcher(text)
    except InvalidQuery as error:
        try:
            return _single(text, _utf8_matchers(text))
        except InvalidQuery:
            raise error from None


def parse_matchers(text: str, dialect: Dialect = "fallback") -> Matchers:
    """The matchers of one entry of a configuration's list, in the order written; braces around them are optional.

    Raises: InvalidQuery where they can't be read.
    """
    if dialect == "utf-8":
        return _utf8_matchers(text)
    try:
        return _classic_matchers(text)
    except InvalidQuery as error:
        if dialect == "classic":
            raise
        try:
            return _utf8_matchers(text)
        except InvalidQuery:
            raise error from None


def made_matcher(name: str, op: Operator, value: str) -> Matcher:
    """A matcher whose regex, if it has one, is known to be right. Raises: InvalidQuery where RE2 refuses the regex."""
    if op in {"=~", "!~"}:
        compiled_regex(value)
    return Matcher(name, op, value)


def in_order(matchers: Iterable[Matcher]) -> Matchers:
    """The order in which Alertmanager keeps and prints them: by name, value and operator."""
    return tuple(sorted(matchers, key=lambda each: (each.name, each.value, _OPERATORS.index(each.op))))


def matcher_text(matcher: Matcher) -> str:
    """The matcher as Alertmanager prints it. A name that the classic language can't read stands in quotes (0.27+)."""
    if _RESERVED.isdisjoint(matcher.name):
        value = matcher.value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        return f'{matcher.name}{matcher.op}"{value}"'
    return f"{go_quoted(matcher.name)}{matcher.op}{go_quoted(matcher.value)}"


def matchers_text(matchers: Iterable[Matcher]) -> str:
    """All of them in braces, as in a route's key; they must be `in_order`."""
    return "{" + ",".join(map(matcher_text, matchers)) + "}"


def matching(matchers: Iterable[Matcher]) -> Callable[[Mapping[str, str]], bool]:
    """Whether a label set meets all of them, as a function. A label that lacks counts as empty; none matches all.

    Raises: InvalidQuery where a regex is wrong.
    """
    cheap_first = sorted(matchers, key=lambda each: each.op in {"=~", "!~"})
    tests = [(each.name, _test_of(each)) for each in cheap_first]

    def is_match(labels: Mapping[str, str]) -> bool:
        for name, test in tests:  # noqa: SIM110 — twice as quick as `all` of a generator
            if not test(labels.get(name, "")):
                return False
        return True

    return is_match


def _test_of(matcher: Matcher) -> Callable[[str], bool]:
    if matcher.op == "=":
        return matcher.value.__eq__
    if matcher.op == "!=":
        return matcher.value.__ne__
    compiled = compiled_regex(matcher.value)
    is_wanted = matcher.op == "=~"
    if (values := literal_alternatives(matcher.value)) is not None:
        listed = frozenset(values)
        return listed.__contains__ if is_wanted else lambda value: value not in listed
    return lambda value: (compiled.search(encoded(value)) is not None) is is_wanted


def encoded(value: str) -> bytes:
    """The bytes that RE2 looks at."""
    return value.encode("utf-8", "replace")


def anchored(regex: str) -> bytes:
    """The regex that Alertmanager compiles. It is not quite "the whole value": `a)|(?:b` is a regex, too.

    Raises: UnicodeEncodeError on a lone surrogate.
    """
    return f"^(?:{regex})$".encode()


def regex_options(memory_bytes: int = _COMPILED_BYTES) -> re2.Options:
    """How Alertmanager's regexes are compiled, by no more memory than that."""
    options = re2.Options()
    options.max_mem = memory_bytes
    options.never_capture = True
    options.log_errors = False
    return options


@lru_cache(maxsize=1024)
def compiled_regex(regex: str) -> Compiled:
    """The regex, anchored; `search` is to be asked. Raises: InvalidQuery where RE2 refuses it, with RE2's reason."""
    try:
        compiled: Compiled = re2.compile(anchored(regex), options=regex_options())
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace")
    except UnicodeEncodeError:
        reason = "lone surrogate"
    else:
        return compiled
    raise InvalidQuery(f"the regex {_shown(regex)} is not valid RE2: {reason}")


def _classic_matcher(text: str) -> Matcher:
    match = _CLASSIC.match(text)
    if match is None:
        raise _fault(text, "write name=value, or !=, =~, !~ instead of =")
    name, operator = match.groups()
    op: Operator = next(each for each in _OPERATORS if each == operator)
    return made_matcher(name, op, _classic_value(text, text[match.end() :].strip(_ASCII_SPACES)))


def _classic_value(text: str, raw: str) -> str:
    """The value: quotes at both ends are optional; a backslash before anything but n, " and itself is one."""
    is_quoted = raw.startswith('"')
    pieces: list[str] = []
    chars = raw[is_quoted:]
    at, end = 0, len(chars)
    while at < end:
        char = chars[at]
        if char == "\\" and at < end - 1:
            at += 1
            pieces.append(_CLASSIC_ESCAPES.get(chars[at], f"\\{chars[at]}"))
        elif char == '"':
            if not is_quoted or at < end - 1:
                raise _fault(text, 'a " inside of a value must be written \\"')
            return "".join(pieces)
        else:
            pieces.append(char)
        at += 1
    if is_quoted:
        raise _fault(text, 'the closing " is missing')
    return "".join(pieces)


def _classic_matchers(text: str) -> Matchers:
    inner = text.removeprefix("{").removesuffix("}")
    parts = _parts(inner)
    if last := parts.pop().strip("".join(SPACES)):
        parts.append(last)
    return tuple(map(_classic_matcher, parts))


def _parts(text: str) -> list[str]:
    """What stands between commas outside of quotes."""
    parts: list[str] = []
    begin = 0
    is_quoted = is_escaped = False
    for at, char in enumerate(text):
        if char == "," and not is_quoted:
            parts.append(text[begin:at])
            begin = at + 1
            continue  # Alertmanager leaves `is_escaped` as it is: `a=\,b="c"`
        if char == '"':
            is_quoted = is_quoted if is_escaped else not is_quoted
        if char == ",":
            continue
        is_escaped = char == "\\" and not is_escaped
    return [*parts, text[begin:]]


def _single(text: str, matchers: Matchers) -> Matcher:
    if len(matchers) != 1:
        raise _fault(text, f"one matcher is expected, {len(matchers)} were given")
    return matchers[0]


def _utf8_matchers(text: str) -> Matchers:
    return _Utf8Reader(text).matchers()


class _Utf8Reader:
    """Reads the UTF-8 language: `{a="b", "c d"!=e,}`; braces and the last comma are optional."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def matchers(self) -> Matchers:
        matchers: list[Matcher] = []
        is_braced = self._take("{")
        while not self._is_over() and not self._sees("}"):
            matchers.append(self._matcher())
            if not self._take(","):
                break
        if is_braced and not self._take("}"):
            raise _fault(self._text, "the closing } is missing")
        if not self._is_over():
            raise _fault(self._text, f"the end is expected at {_shown(self._text[self._at :])}")
        return tuple(matchers)

    def _matcher(self) -> Matcher:
        name = self._word("a label name")
        self._skip()
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            raise _fault(self._text, "write =, !=, =~ or !~ after the name")
        self._at = operator.end()
        op: Operator = next(each for each in _OPERATORS if each == operator[0])
        return made_matcher(name, op, self._word("a value"))

    def _word(self, what: str) -> str:
        self._skip()
        if match := _QUOTED.match(self._text, self._at):
            self._at = match.end()
            try:
                return go_unquoted(match[0][1:-1])
            except ValueError as error:
                raise _fault(self._text, str(error)) from None
        match = _UNQUOTED.match(self._text, self._at)
        if match is None:
            raise _fault(self._text, f"{what} is expected at {_shown(self._text[self._at :])}")
        self._at = match.end()
        return match[0]

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in SPACES:
            self._at += 1

    def _is_over(self) -> bool:
        self._skip()
        return self._at == len(self._text)

    def _sees(self, char: str) -> bool:
        self._skip()
        return self._text.startswith(char, self._at)

    def _take(self, char: str) -> bool:
        is_there = self._sees(char)
        self._at += is_there
        return is_there


def _fault(text: str, what: str) -> InvalidQuery:
    return InvalidQuery(f"{_shown(text)} is not a matcher: {what}")


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
