"""Reads a JSON document one element at a time, so that a broken element does not take the others with it.

The way for bodies that the strict decoders refuse: it takes lone surrogates, invalid UTF-8, numbers
without end and nesting without end as faults of the element that holds them. Must not know any sender.
"""

import json
import re
from typing import Any, Final, NamedTuple

import msgspec

from alert_history.errors import MalformedPayload, PayloadTooLarge

_MAX_FIELDS = 1000
_MAX_DIGITS = 20
_MAX_DEPTH = 128  # no sender comes near it, and reading a thousand levels takes the decoder a millisecond
_BYTES = ("utf-8", "surrogateescape")  # bytes that are not UTF-8 become lone surrogates, and bytes again

_space = re.compile(r"[ \t\n\r]*")
_structure = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]++|[\]}]++', re.DOTALL)


class _TooDeep:
    """Stands for a value that is nested too deeply to be read."""


TOO_DEEP: Final = _TooDeep()


class Item(NamedTuple):
    """One element: its value as the standard library reads it, or TOO_DEEP, and where it stands in the text.

    Strings in it may hold lone surrogates: those that were sent, and one for each byte that is not UTF-8.
    """

    value: Any
    text: str
    start: int
    end: int

    @property
    def raw(self) -> bytes:
        """The element's bytes as they came."""
        return self.text[self.start : self.end].encode(*_BYTES)


class Document(msgspec.Struct, frozen=True):
    """A body. `items` are the elements of an array, or of an object's `alerts`; None where there is no such array.

    `fields` are an object's other fields, and `alerts` too where it is no array; `whole` is all of it.
    """

    is_array: bool
    fields: dict[str, Any]
    items: list[Item] | None
    whole: Item


def read_document(body: bytes, *, max_items: int) -> Document:
    """Read an object or an array.

    Raises:
        MalformedPayload: it is not JSON, or neither object nor array.
        PayloadTooLarge: more than `max_items` elements.
    """
    text = body.decode("utf-8-sig", "surrogateescape")
    start = _skip_space(text, 0)
    fields: dict[str, Any] = {}
    items: list[Item] | None
    is_array = text.startswith("[", start)
    if is_array:
        items, end = _read_items(text, start, limit=max_items)
    elif text.startswith("{", start):
        fields, items, end = _read_fields(text, start, limit=max_items)
    else:
        raise _unexpected(text, start, "an object or an array")
    _expect_end(text, end)
    return Document(is_array, fields, items, Item(fields, text, start, end))


def _expect_end(text: str, position: int) -> None:
    position = _skip_space(text, position)
    if position != len(text):
        raise _unexpected(text, position, "the end")


def _read_fields(text: str, position: int, *, limit: int) -> tuple[dict[str, Any], list[Item] | None, int]:
    fields: dict[str, Any] = {}
    items: list[Item] | None = None
    position = _skip_space(text, position + 1)
    if text.startswith("}", position):
        return fields, items, position + 1
    while True:
        name, position = _read_name(text, position)
        if name == "alerts" and text.startswith("[", position):
            items, position = _read_items(text, position, limit=limit)
        else:
            fields[name], position = _read_value(text, position)
        if len(fields) > _MAX_FIELDS:
            raise MalformedPayload(f"$ has more than {_MAX_FIELDS} fields")
        position, is_last = _read_separator(text, position, closing="}")
        if is_last:
            return fields, items, position


def _read_name(text: str, position: int) -> tuple[str, int]:
    if not text.startswith('"', position):
        raise _unexpected(text, position, "a field name")
    name, position = _read_value(text, position)
    position = _skip_space(text, position)
    if not text.startswith(":", position):
        raise _unexpected(text, position, "a colon")
    return name, _skip_space(text, position + 1)


def _read_items(text: str, position: int, *, limit: int) -> tuple[list[Item], int]:
    items: list[Item] = []
    position = _skip_space(text, position + 1)
    if text.startswith("]", position):
        return items, position + 1
    while True:
        if len(items) == limit:
            raise too_many(limit)
        value, end = _read_value(text, position)
        items.append(Item(value, text, position, end))
        position, is_last = _read_separator(text, end, closing="]")
        if is_last:
            return items, position


def too_many(limit: int) -> PayloadTooLarge:
    """The error for a request with more than `limit` alerts."""
    return PayloadTooLarge(f"more alerts than MAX_ALERTS_PER_REQUEST, {limit}")


def _read_separator(text: str, position: int, *, closing: str) -> tuple[int, bool]:
    position = _skip_space(text, position)
    if text.startswith(closing, position):
        return position + 1, True
    if not text.startswith(",", position):
        raise _unexpected(text, position, f"a comma or {closing}")
    return _skip_space(text, position + 1), False


def _read_value(text: str, position: int) -> tuple[Any, int]:
    depth, end = _nesting(text, position)
    if depth > _MAX_DEPTH:
        return TOO_DEEP, end
    try:
        return _decoder.raw_decode(text, position)
    except json.JSONDecodeError as error:
        raise MalformedPayload(f"not JSON: {error.msg} at byte {_byte(text, error.pos)}") from None


def _nesting(text: str, position: int) -> tuple[int, int]:
    """How deep the value at `position` is nested, and where the brackets it opens are all closed.

    What they hold is not looked at. Raises MalformedPayload if it is too deep and never closed.
    """
    depth = deepest = 0
    if text[position : position + 1] not in {"[", "{"}:
        return depth, position
    for token in _structure.finditer(text, position):
        brackets = token.group()
        if brackets[0] in "[{":
            depth += len(brackets)
            deepest = max(deepest, depth)
        elif brackets[0] in "]}":
            if depth <= len(brackets):
                return deepest, token.start() + depth
            depth -= len(brackets)
    if deepest > _MAX_DEPTH:
        raise MalformedPayload(f"not JSON: nested too deeply and never closed, from byte {_byte(text, position)}")
    return deepest, len(text)


def _skip_space(text: str, position: int) -> int:
    match = _space.match(text, position)
    return match.end() if match else position


def _unexpected(text: str, position: int, expected: str) -> MalformedPayload:
    return MalformedPayload(f"not JSON: expected {expected} at byte {_byte(text, position)}")


def _byte(text: str, position: int) -> int:
    return len(text[:position].encode(*_BYTES))


def _integer(digits: str) -> int | float:
    """An int, or the nearest float to one that would take long to read."""
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


_decoder = json.JSONDecoder(parse_int=_integer)
