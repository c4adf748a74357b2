"""Answers within a number of bytes: cut step by step until they fit, and each cut is said.

Lists lose their ends and long texts are cut, so an answer keeps the shape that its schema promises.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from alert_history.errors import InvalidQuery
from alert_history.mcp.tool import MOST_BYTES, Answer, LeftOut, Tool

_WHOLE = frozenset(
    {
        "id",
        "cursor",
        "next_cursor",
        "last_id",
        "fingerprint",
        "occurrence_id",
        "examples",
        "muted",
        "silenced_by",
        "inhibited_by",
    }
)
"""Texts by which one asks again; they are short, and worth nothing in part."""
_MAPS = frozenset({"labels", "annotations"})
"""Objects whose names are not ours."""
_CUT = "…"


class Fitted(NamedTuple):
    """An answer that fits: its text, and the same as plain JSON data."""

    answer: Answer
    text: str
    data: dict[str, Any]


class _Room(NamedTuple):
    """How much is kept: `rows` of a list, `inner` of a list or an object within one, `characters` of a text."""

    rows: int
    inner: int
    characters: int


class _Level(NamedTuple):
    """How closely texts are cut; taken where so at least `least` rows of the longest list fit, or all of them."""

    inner: int
    characters: int
    least: int


_LEVELS = (
    _Level(500, 8_000, 1_000),
    _Level(64, 1_000, 100),
    _Level(32, 300, 20),
    _Level(24, 160, 10),
    _Level(16, 120, 5),
    _Level(8, 80, 2),
    _Level(4, 60, 1),
    _Level(2, 40, 0),
)
_LEAST_ROW_BYTES = 40
_MOST_LEFT_OUT = 12


def fit(answer: Answer, tool: Tool, *, max_bytes: int) -> Fitted:
    """The answer, cut where it has to be. Raises InvalidQuery where not even the least of it fits."""
    data = msgspec.to_builtins(answer)
    longest = min(_longest(data), max_bytes // _LEAST_ROW_BYTES)
    for level in _LEVELS:
        fitted = _most_rows(data, tool, level, most=longest, max_bytes=max_bytes)
        if fitted is not None:
            return fitted
    raise InvalidQuery(f"max_bytes: {max_bytes} bytes are too few for this answer; ask with up to {MOST_BYTES}")


def _most_rows(data: dict[str, Any], tool: Tool, level: _Level, *, most: int, max_bytes: int) -> Fitted | None:
    """With as many rows as fit; None where that is too few of them for the level. Halves what is left to try."""
    low, high = min(level.least, most), most
    rows = low
    best: Fitted | None = None
    while low <= high:
        fitted = _fitted(data, tool, _Room(rows, level.inner, level.characters), max_bytes=max_bytes)
        if fitted is not None:
            best, low = fitted, rows + 1
        elif best is None:
            return None
        else:
            high = rows - 1
        rows = (low + high) // 2
    return best


def _longest(data: Mapping[str, Any]) -> int:
    """The length of the longest list that is not within another one."""
    lengths = [0]
    for value in data.values():
        if isinstance(value, list | tuple):
            lengths.append(len(value))
        elif isinstance(value, Mapping):
            lengths.append(_longest(value))
    return max(lengths)


def size_of(text: str, data: Mapping[str, Any]) -> int:
    """The bytes of a result on the wire, with each letter beyond ASCII escaped: so the SDK writes some of them."""
    result = {"content": [{"type": "text", "text": text}], "structuredContent": data, "isError": False}
    return len(json.dumps(result, separators=(",", ":")))


def _fitted(data: dict[str, Any], tool: Tool, room: _Room, *, max_bytes: int) -> Fitted | None:
    """As it is in that room; None where that is too large. Its data alone are weighed first, as that costs little."""
    cutting = _Cutting(room, tool.newest_last)
    cut = cutting.of_object(data)
    cut["left_out"] = [*cut["left_out"], *map(msgspec.to_builtins, _notes(cutting, tool))]
    if len(msgspec.json.encode(cut)) > max_bytes:
        return None
    answer = msgspec.convert(cut, tool.answer)
    text = "\n".join(tool.write(answer))
    return Fitted(answer, text, cut) if size_of(text, cut) <= max_bytes else None


def _notes(cutting: "_Cutting", tool: Tool) -> Iterator[LeftOut]:
    more = f"{tool.name} with the same arguments and a larger max_bytes, up to {MOST_BYTES}"
    for name, (shown, total) in cutting.rows.items():
        which = "the last" if name in tool.newest_last else "the first"
        yield LeftOut(f"{name}: {which} {shown} of {total} are here", tool.ask_for.get(name, more))
    if cutting.inner:
        yield LeftOut(f"within entries, some of: {', '.join(sorted(cutting.inner))}", more)
    if cutting.has_cut_texts:
        yield LeftOut(f"the ends of texts of more than {cutting.room.characters} characters, marked {_CUT}", more)


class _Cutting:
    """Cuts plain data to a room, and notes what it cut."""

    def __init__(self, room: _Room, newest_last: frozenset[str]) -> None:
        self.room = room
        self._newest_last = newest_last
        self.rows: dict[str, tuple[int, int]] = {}
        self.inner: set[str] = set()
        self.has_cut_texts = False

    def of_object(self, data: Mapping[str, Any], *, is_within: bool = False) -> dict[str, Any]:
        """An object whose names are ours."""
        return {name: self._of(value, name, is_within=is_within) for name, value in data.items()}

    def _of(self, value: Any, name: str, *, is_within: bool) -> Any:
        if isinstance(value, str):
            return value if name in _WHOLE else self._text(value)
        if isinstance(value, Mapping):
            return self._map(value, name) if name in _MAPS else self.of_object(value, is_within=is_within)
        if isinstance(value, list | tuple):
            return self._list(value, name, is_within=is_within)
        return value

    def _list(self, values: list[Any] | tuple[Any, ...], name: str, *, is_within: bool) -> list[Any]:
        most = self.room.inner if is_within else self.room.rows
        if name == "left_out":
            most = _MOST_LEFT_OUT
        if len(values) > most:
            if is_within or name == "left_out":
                self.inner.add(name)
            else:
                self.rows[name] = (most, len(values))
            values = values[len(values) - most :] if name in self._newest_last else values[:most]
        return [self._of(value, name, is_within=True) for value in values]

    def _map(self, pairs: Mapping[str, str], name: str) -> dict[str, str]:
        if len(pairs) > self.room.inner:
            self.inner.add(name)
        first_pairs = list(pairs.items())[: self.room.inner]
        return {self._text(key): self._text(value) for key, value in first_pairs}

    def _text(self, text: str) -> str:
        if len(text) <= self.room.characters:
            return text
        self.has_cut_texts = True
        return f"{text[: self.room.characters - 1]}{_CUT}"
