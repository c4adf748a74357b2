"""Prometheus' regexes: matched with RE2, and read so that a database can do the matching.

Holds the matching, and the regex as a tree. Must not know about labels, queries or any database.

The dialect is Prometheus': RE2 syntax, the whole value must match, `.` matches a newline too.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, Protocol

import msgspec
import re2

from alert_history.errors import InvalidQuery

_COMPILED_BYTES = 1 << 20  # RE2's budget for one regex; over it RE2 refuses it, or matches slower
_MAX_DEPTH = 100
_SHOWN_CHARACTERS = 80

_REPEAT = re.compile(r"(?:([*+?])|\{(0|[1-9][0-9]*)(?:(,)(0|[1-9][0-9]*)?)?\})\??")  # {02} is literal
_FLAGS = re.compile(r"\?([imsU]*)(?:-([imsU]+))?([:)])")
_GROUP_NAME = re.compile(r"\?P?<[^>]*>")
_OCTAL = re.compile(r"[0-7]{1,3}")
_POSIX_CLASS = re.compile(r"\[:(\^?)([a-z]+):\]")
_CONTROL_ESCAPES = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}

CodePoints = tuple[int, int]  # first and last
Place = Literal["start", "end", "word edge", "no word edge"]


def _ranges(*spans: str) -> tuple[CodePoints, ...]:
    return tuple((ord(span[0]), ord(span[-1])) for span in spans)


_PERL_CLASSES = {
    "d": _ranges("09"),
    "s": _ranges("\t\n", "\f\r", " "),
    "w": _ranges("09", "AZ", "_", "az"),
}
_POSIX_CLASSES = {
    "alnum": _ranges("09", "AZ", "az"),
    "alpha": _ranges("AZ", "az"),
    "ascii": _ranges("\x00\x7f"),
    "blank": _ranges("\t", " "),
    "cntrl": _ranges("\x00\x1f", "\x7f"),
    "digit": _ranges("09"),
    "graph": _ranges("!~"),
    "lower": _ranges("az"),
    "print": _ranges(" ~"),
    "punct": _ranges("!/", ":@", "[`", "{~"),
    "space": _ranges("\t\r", " "),
    "upper": _ranges("AZ"),
    "word": _ranges("09", "AZ", "_", "az"),
    "xdigit": _ranges("09", "AF", "af"),
}
_ASSERTIONS: dict[str, Place] = {
    "^": "start",
    "$": "end",
    "A": "start",
    "z": "end",
    "b": "word edge",
    "B": "no word edge",
}


class Char(msgspec.Struct, frozen=True):
    """One character."""

    code_point: int


class Assertion(msgspec.Struct, frozen=True):
    """Something true of a place between characters. Words are ASCII words."""

    place: Place


class Class(msgspec.Struct, frozen=True):
    """One character in `ranges` or outside a list of `outside`; with `negated`, any other."""

    ranges: tuple[CodePoints, ...] = ()
    outside: tuple[tuple[CodePoints, ...], ...] = ()
    negated: bool = False


class Sequence(msgspec.Struct, frozen=True):
    """One after another; empty, it matches the empty text."""

    items: "tuple[Node, ...]"


class Choice(msgspec.Struct, frozen=True):
    """Any of the branches."""

    branches: "tuple[Node, ...]"


class Repeat(msgspec.Struct, frozen=True):
    """From `low` to `high` times (None: no bound). Greediness is left out: it changes no answer."""

    item: "Node"
    low: int
    high: int | None


Node = Char | Assertion | Class | Sequence | Choice | Repeat


def check_regex(regex: str) -> None:
    """Raises: InvalidQuery where RE2 refuses it, with RE2's reason."""
    _compile(regex)


def full_match(regex: str, value: str) -> bool:
    """Whether the whole value matches, in time linear in its length. Raises: as `check_regex`."""
    return _compile(regex).fullmatch(value.encode("utf-8", "replace")) is not None


@lru_cache(maxsize=32)
def read_regex(regex: str) -> tuple[Node, bool]:
    r"""The regex as a tree, outer anchors removed, and whether it ignores letter case (a leading `(?i)`).

    Raises: InvalidQuery where RE2 refuses it, or naming what the tree can't hold: `\p{…}`, `\C`,
    `(?m)`, and letter case that is ignored in a part only.
    """
    check_regex(regex)
    reader = _Reader(regex)
    node = reader.choice()
    return _without_outer_anchors(node), reader.ignores_case


class _Compiled(Protocol):
    """What is used of a regex that RE2 has compiled; google-re2 has no types."""

    def fullmatch(self, text: bytes) -> object | None: ...


@lru_cache(maxsize=128)
def _compile(regex: str) -> _Compiled:
    options = re2.Options()
    options.max_mem = _COMPILED_BYTES
    options.dot_nl = True
    options.never_capture = True  # only yes or no is asked: groups cost much time
    options.log_errors = False
    try:
        compiled: _Compiled = re2.compile(regex, options=options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace")
    except UnicodeEncodeError:
        reason = "lone surrogate"
    else:
        return compiled
    raise InvalidQuery(f"the regex {_shorten(regex)} is not valid RE2: {reason}")


class _Reader:
    """Reads what RE2 has accepted, so it need not check syntax; it refuses what it can't express."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.ignores_case = False
        self.dot_takes_newline = True
        self.is_leading = True

    def choice(self) -> Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.refusal(f"groups nested deeper than {_MAX_DEPTH}")
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        self.depth -= 1
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def sequence(self) -> Node:
        items: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            items.extend(self.element())
            match = _REPEAT.match(self.text, self.at)
            if match and items:
                self.at = match.end()
                items[-1] = _repeated(items[-1], match)
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def element(self) -> Iterable[Node]:
        """What stands before a repetition sign: one node; none for flags; many for a quotation."""
        if self.take("("):
            return self.group()
        self.is_leading = False
        if self.take("\\Q"):
            return self.quotation()
        return (self.atom(),)

    def group(self) -> Iterable[Node]:
        flags = _FLAGS.match(self.text, self.at)
        outer = self.dot_takes_newline
        if flags:
            self.at = flags.end()
            self.set_flags(on=flags[1], off=flags[2] or "", is_scoped=flags[3] == ":")
            if flags[3] == ")":
                return ()
        elif name := _GROUP_NAME.match(self.text, self.at):
            self.at = name.end()
        self.is_leading = False
        node = self.choice()
        self.take(")")
        self.dot_takes_newline = outer
        return (node,)

    def set_flags(self, *, on: str, off: str, is_scoped: bool) -> None:
        if "m" in on:
            raise self.refusal("the flag (?m)")
        if "i" in on and not self.ignores_case:
            if is_scoped or not self.is_leading:
                raise self.refusal("(?i) anywhere but at the start of the whole regex")
            self.ignores_case = True
        if "i" in off and self.ignores_case:
            raise self.refusal("(?-i) after (?i)")
        if "s" in on + off:
            self.dot_takes_newline = "s" in on

    def quotation(self) -> Iterable[Node]:
        quoted, _, _ = self.text[self.at :].partition("\\E")
        self.at = min(self.at + len(quoted) + 2, len(self.text))
        return tuple(Char(ord(char)) for char in quoted)

    def atom(self) -> Node:
        char = self.next()
        if char == "[":
            return self.char_class()
        if char == "\\":
            return self.escape()
        if char == ".":
            return Class(() if self.dot_takes_newline else _ranges("\n"), negated=True)
        return Assertion(_ASSERTIONS[char]) if char in "^$" else Char(ord(char))

    def escape(self) -> Node:
        char = self.text[self.at]
        if char.isalpha() and char in _ASSERTIONS:
            self.at += 1
            return Assertion(_ASSERTIONS[char])
        if char.lower() in _PERL_CLASSES:
            self.at += 1
            return Class(_PERL_CLASSES[char.lower()], negated=char.isupper())
        return Char(self.escaped_code_point())

    def escaped_code_point(self) -> int:
        if octal := _OCTAL.match(self.text, self.at):
            self.at = octal.end()
            return int(octal[0], 8)
        char = self.next()
        if char in "pPC":
            raise self.refusal(f"\\{char}")
        return self.hexadecimal() if char == "x" else _CONTROL_ESCAPES.get(char, ord(char))

    def hexadecimal(self) -> int:
        if not self.take("{"):
            return int(self.next() + self.next(), 16)
        start = self.at
        self.at = self.text.index("}", start) + 1
        return int(self.text[start : self.at - 1], 16)

    def char_class(self) -> Class:
        ranges: list[CodePoints] = []
        outside: list[tuple[CodePoints, ...]] = []
        negated = self.take("^")
        start = self.at
        while self.at == start or self.text[self.at] != "]":
            named = self.named_class()
            if named is None:
                ranges.append(self.char_range())
            elif named.negated:
                outside.append(named.ranges)
            else:
                ranges.extend(named.ranges)
        self.at += 1
        return Class(tuple(ranges), tuple(outside), negated)

    def named_class(self) -> Class | None:
        if posix := _POSIX_CLASS.match(self.text, self.at):
            self.at = posix.end()
            return Class(_POSIX_CLASSES[posix[2]], negated=bool(posix[1]))
        char = self.text[self.at + 1 : self.at + 2]
        if self.text[self.at] != "\\" or char.lower() not in _PERL_CLASSES:
            return None
        self.at += 2
        return Class(_PERL_CLASSES[char.lower()], negated=char.isupper())

    def char_range(self) -> CodePoints:
        low = self.class_code_point()
        if self.text[self.at] != "-" or self.text[self.at + 1 : self.at + 2] == "]":
            return low, low
        self.at += 1
        return low, self.class_code_point()

    def class_code_point(self) -> int:
        return self.escaped_code_point() if self.take("\\") else ord(self.next())

    def next(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def take(self, expected: str) -> bool:
        is_there = self.text.startswith(expected, self.at)
        if is_there:
            self.at += len(expected)
        return is_there

    def refusal(self, what: str) -> InvalidQuery:
        return InvalidQuery(f"the regex {_shorten(self.text)} uses {what}, which can't be searched for here")


def _repeated(item: Node, match: re.Match[str]) -> Repeat:
    sign, low, comma, high = match.groups()
    if sign:
        return Repeat(item, int(sign == "+"), 1 if sign == "?" else None)
    if not comma:
        return Repeat(item, int(low), int(low))
    return Repeat(item, int(low), int(high) if high else None)


def _without_outer_anchors(node: Node) -> Node:
    """`^foo$` says no more than `foo`, because the whole value must match anyway."""
    match node:
        case Assertion(place="start" | "end"):
            return Sequence(())
        case Choice(branches=branches):
            return Choice(tuple(map(_without_outer_anchors, branches)))
        case Sequence(items=(Assertion(place="start"), *items)):
            return _without_outer_anchors(Sequence(tuple(items)))
        case Sequence(items=(*items, Assertion(place="end"))):
            return Sequence(tuple(items))
    return node


def _shorten(regex: str) -> str:
    return regex if len(regex) <= _SHOWN_CHARACTERS else f"{regex[:_SHOWN_CHARACTERS]}…"
