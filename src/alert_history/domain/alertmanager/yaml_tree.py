"""YAML as a tree of texts, lists and mappings, each with its place; bounded in size, depth and number.

Alertmanager takes a scalar where it wants a text, whatever YAML would make of it, so nothing is resolved here. Must not
know what the fields mean. Aliases are followed: a node may hang in the tree more than once, so whoever walks all of it
counts. What contains itself is refused.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from alert_history.errors import InvalidConfiguration

MAX_CHARACTERS = 4 << 20
MAX_NODES = 100_000
MAX_DEPTH = 64
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Scalar(msgspec.Struct, frozen=True):
    """A text. `begin` and `end` are where it stands, in characters. `style` is YAML's: empty, ", ', | or >."""

    text: str
    line: int
    begin: int
    end: int
    style: str = ""

    @property
    def is_null(self) -> bool:
        """Whether it says that there is no value."""
        return not self.style and self.text in _NULLS


class Listing(msgspec.Struct):
    """A list."""

    line: int
    items: "list[Node]"


class Mapping(msgspec.Struct):
    """A mapping, its pairs in the order written."""

    line: int
    pairs: "list[tuple[Node, Node]]"


Node = Scalar | Listing | Mapping


class Document(msgspec.Struct, frozen=True):
    """A document. `root` is None where it is empty. `tokens` are the places of its tokens, in order."""

    root: Node | None
    tokens: list[tuple[int, int]]


def read_yaml(text: str) -> Document:
    """The one document of a text.

    Raises: InvalidConfiguration where it is no YAML, or is larger or deeper than any honest one.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidConfiguration(f"it has more than {MAX_CHARACTERS} characters")
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise InvalidConfiguration(f"{where}not YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise InvalidConfiguration(f"not YAML: {' '.join(str(error).split())[:200]}") from None
    return Document(builder.root, builder.tokens)


class _Open(msgspec.Struct):
    """A list or mapping whose end has not come yet."""

    node: Listing | Mapping
    anchor: str | None
    key: Node | None = None
    height: int = 1


class _Builder:
    """Makes the tree of the parser's events."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.tokens: list[tuple[int, int]] = []
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._open: list[_Open] = []
        self._nodes = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """One more event."""
        line = event.start_mark.line + 1
        self.tokens.append((event.start_mark.index, event.end_mark.index))
        match event:
            case yaml.ScalarEvent():
                begin, end = self.tokens[-1]
                scalar = Scalar(event.value, line, begin, end, event.style or "")
                self._add(scalar, height=0)
                self._name(event.anchor, (scalar, 0))
            case yaml.SequenceStartEvent():
                self._begin(Listing(line, []), event.anchor)
            case yaml.MappingStartEvent():
                self._begin(Mapping(line, []), event.anchor)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                closed = self._open.pop()
                self._name(closed.anchor, (closed.node, closed.height))
                self._grow(closed.height, line)
            case yaml.AliasEvent():
                node, height = self._meant(str(event.anchor), line)
                self._add(node, height=height)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise InvalidConfiguration(f"line {line}: a second document begins; one is expected")

    def _begin(self, node: Listing | Mapping, anchor: str | None) -> None:
        self._add(node, height=0)
        self._name(anchor, None)
        self._open.append(_Open(node, anchor))
        if len(self._open) > MAX_DEPTH:
            raise InvalidConfiguration(f"line {node.line}: nested deeper than {MAX_DEPTH}")

    def _grow(self, height: int, line: int) -> None:
        """What is around something so high is higher; by aliases, too."""
        if height >= MAX_DEPTH:
            raise InvalidConfiguration(f"line {line}: nested deeper than {MAX_DEPTH}")
        if self._open:
            self._open[-1].height = max(self._open[-1].height, height + 1)

    def _add(self, node: Node, *, height: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise InvalidConfiguration(f"it holds more than {MAX_NODES} values")
        if not self._open:
            self.root = node
            return
        self._grow(height, node.line)
        around = self._open[-1]
        match around.node:
            case Listing(items=items):
                items.append(node)
            case Mapping(pairs=pairs):
                around.key = _paired(pairs, around.key, node)

    def _name(self, anchor: str | None, named: tuple[Node, int] | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = named

    def _meant(self, anchor: str, line: int) -> tuple[Node, int]:
        named = self._anchors.get(anchor)
        if named is None:
            raise InvalidConfiguration(f"line {line}: the alias *{anchor} names nothing that is complete")
        return named


def _paired(pairs: list[tuple[Node, Node]], key: Node | None, node: Node) -> Node | None:
    """Keys and values come in turn. Returns the key that waits for its value."""
    if key is None:
        return node
    pairs.append((key, node))
    return None


def fields_of(node: Mapping) -> Iterator[tuple[Scalar, Node]]:
    """The fields of a mapping whose names are texts, in order; what is merged in (`<<`) comes after its own."""
    waiting: deque[Node] = deque([node])
    seen: set[int] = set()
    while waiting:
        each = waiting.popleft()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Listing):
            waiting.extend(each.items)
        for key, value in each.pairs if isinstance(each, Mapping) else ():
            if is_merge(key):
                waiting.append(value)
            elif isinstance(key, Scalar):
                yield key, value


def is_merge(key: Node) -> bool:
    """Whether the key says that its value is merged into the mapping."""
    return isinstance(key, Scalar) and key.text == "<<" and not key.style
