"""What a tool is: a name, parameters that describe themselves, and an answer that says what it left out.

Parameters and answers are structs, so msgspec checks them and writes their JSON Schemas.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

LEAST_BYTES = 4_000
MOST_BYTES = 200_000
DEFAULT_BYTES = 20_000

_MAX_BYTES = (
    "The whole answer takes at most so many bytes as JSON, text and structured content together. Where that is too "
    "little, left_out says what is missing and how to ask for it"
)


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every tool takes."""

    max_bytes: Annotated[int, Meta(ge=LEAST_BYTES, le=MOST_BYTES, description=_MAX_BYTES)] = DEFAULT_BYTES


class LeftOut(msgspec.Struct, frozen=True):
    """Something that is not in an answer, and how to ask for it; `how` is empty where nobody can."""

    what: str
    how: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What every tool answers: one sentence, and what it left out."""

    summary: Annotated[str, Meta(description="The answer in one sentence")]
    left_out: Annotated[tuple[LeftOut, ...], Meta(description="What is not in this answer, and how to ask for it")] = ()


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """One tool. It only reads.

    `handle` gets the `parameters` and returns an `answer`; `write` makes the lines of its text. `ask_for` says of a
    list of the answer how to ask for what was cut off; of the lists in `newest_last` the beginning is cut off, of
    others the end. `again` asks anew for as many entries of the list `pages` as there is room for, so that a cursor
    goes on behind the last one that is shown.
    """

    name: str
    title: str
    description: str
    parameters: type[Parameters]
    answer: type[Answer]
    handle: Callable[[Any], Awaitable[Answer]]
    write: Callable[[Any], Iterable[str]]
    ask_for: Mapping[str, str] = {}
    newest_last: frozenset[str] = frozenset()
    pages: str = ""
    again: Callable[[Any, int], Awaitable[Answer]] | None = None


def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of a struct, an object at its root, as clients of before 2026 want it.

    Without the titles that repeat names, and with each description on one line: clients may hand it to a model whole.
    """
    (root,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    parts = {name: _compact(part) for name, part in components.items()}
    schema = parts.pop(root["$ref"].rpartition("/")[2])
    return {**schema, "$defs": parts} if parts else schema


def _compact(part: dict[str, Any]) -> dict[str, Any]:
    schema = {name: value for name, value in part.items() if name != "title"}
    return schema | ({"description": " ".join(schema["description"].split())} if "description" in schema else {})
