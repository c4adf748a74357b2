"""The literals in a regex: the values it lists, the prefix it demands. They turn a scan into a look-up.

Holds what follows from the tree alone. Must not know SQL.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import product, takewhile

from alert_history.domain.regex import (
    Assertion,
    Char,
    Choice,
    Class,
    CodePoints,
    Node,
    Repeat,
    Sequence,
    read_regex,
)
from alert_history.errors import InvalidQuery

_MAX_ALTERNATIVES = 1000
_MAX_CHARACTERS = 65536
_FOLDS_OUTSIDE_ASCII = re.compile(r"[sSkK]|[^\x00-\x7f]")


def literal_alternatives(regex: str) -> tuple[str, ...] | None:
    """The values it matches, if they are few and listed (`a|b`, `foo-(a|b)`, `web-0[1-3]`), else None.

    In the order written, each once, at most 1000 and 65536 characters in all. One may be `""`, which also
    means a missing label. None too where RE2 refuses the regex.
    """
    node = _read_case_sensitive(regex)
    values = _values(node) if node else None
    if values is None or sum(map(len, values)) > _MAX_CHARACTERS or not all(map(_is_storable, values)):
        return None
    return tuple(dict.fromkeys(values))


def literal_prefix(regex: str) -> str | None:
    """What every value that matches starts with (`foo.*` → `foo`), or None if nothing is sure."""
    node = _read_case_sensitive(regex)
    prefix = _prefix(node)[0] if node else ""
    return prefix if prefix and _is_storable(prefix) else None


def required_literals(regex: str) -> tuple[str, ...]:
    """Texts that every value that matches holds (`foo-.*[0-9]bar` → `foo-`, `bar`), in any letter case.

    Empty where nothing is sure, and where the tree can't hold the regex. Of a choice nothing is sure.
    """
    try:
        node, ignores_case = read_regex(regex)
    except InvalidQuery:
        return ()
    literals = _required(node)
    if ignores_case:  # RE2 then takes a long s for an s, the sign of Kelvin for a k
        literals = [part for literal in literals for part in _FOLDS_OUTSIDE_ASCII.split(literal)]
    return tuple(dict.fromkeys(literal for literal in literals if literal and _is_storable(literal)))


def _required(node: Node) -> list[str]:
    literals = [""]
    for item in _flat(node):
        match item:
            case Char(code_point=code_point):
                literals[-1] += chr(code_point)
            case Assertion():
                pass
            case Repeat(item=inner, low=low) if low:
                literals += [*_required(inner), ""]
            case _:
                literals.append("")
    return literals


def _flat(node: Node) -> Iterator[Node]:
    """The items of a sequence, those of sequences inside it as well."""
    if not isinstance(node, Sequence):
        yield node
        return
    for item in node.items:
        yield from _flat(item)


def _read_case_sensitive(regex: str) -> Node | None:
    try:
        node, ignores_case = read_regex(regex)
    except InvalidQuery:
        return None
    return None if ignores_case else node


def _values(node: Node) -> list[str] | None:
    match node:
        case Char(code_point=code_point):
            return [chr(code_point)]
        case Class(ranges=ranges, outside=(), negated=False):
            return _listed(ranges)
        case Choice(branches=branches):
            return _united(map(_values, branches))
        case Repeat(item=item, low=low, high=1):
            return _united([_values(item), [] if low else [""]])
        case Sequence(items=items):
            return _joined(items)
    return None


def _listed(ranges: Iterable[CodePoints]) -> list[str] | None:
    if sum(high - low + 1 for low, high in ranges) > _MAX_ALTERNATIVES:
        return None
    return [chr(code_point) for low, high in ranges for code_point in range(low, high + 1)]


def _united(parts: Iterable[list[str] | None]) -> list[str] | None:
    values: list[str] = []
    for part in parts:
        if part is None or len(values) + len(part) > _MAX_ALTERNATIVES:
            return None
        values.extend(part)
    return values


def _joined(items: Iterable[Node]) -> list[str] | None:
    values, literal = [""], ""
    for item in items:
        if isinstance(item, Char):
            literal += chr(item.code_point)
            continue
        part = _values(item)
        if part is None or len(values) * len(part) > _MAX_ALTERNATIVES:
            return None
        values = [start + literal + end for start, end in product(values, part)]
        literal = ""
    return [value + literal for value in values]


def _prefix(node: Node) -> tuple[str, bool]:
    """What every match starts with, and whether that is all of it."""
    match node:
        case Char(code_point=code_point):
            return chr(code_point), True
        case Assertion():
            return "", True
        case Choice(branches=branches):
            return _prefix_of_any([_prefix(branch) for branch in branches])
        case Repeat(item=item, low=low) if low:
            return _prefix(item)[0], False
        case Sequence(items=items):
            return _prefix_of_all(items)
    return "", False


def _prefix_of_any(prefixes: list[tuple[str, bool]]) -> tuple[str, bool]:
    if len(set(prefixes)) == 1:
        return prefixes[0]
    texts = [text for text, _ in prefixes]
    first, last = min(texts), max(texts)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(char for char, _ in same), False


def _prefix_of_all(items: Iterable[Node]) -> tuple[str, bool]:
    texts = []
    for item in items:
        text, is_all = _prefix(item)
        texts.append(text)
        if not is_all:
            return "".join(texts), False
    return "".join(texts), True


def _is_storable(text: str) -> bool:
    """Whether a database takes it: no NUL, no lone surrogate. No stored value has one either."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
