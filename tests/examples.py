"""Examples on pages about HTTP calls: a request, and what is answered, as JSON with parts left out."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import read_parameters

_ELSE = "…"
_PLACE = re.compile(r"\{(\w+)\}")


def examples_of(page: str) -> list[tuple[str, str]]:
    """The examples of a page: the path with its query, and the JSON of the answer."""
    return re.findall(r"```http\nGET (\S+)\n```\n+```json\n(.*?)```", page, re.DOTALL)


def by_path(operations: Iterable[Operation]) -> dict[str, Operation]:
    """Operations by their paths."""
    return {operation.path: operation for operation in operations}


async def answer(operations: Mapping[str, Operation], target: str) -> Any:
    """What a call answers, as JSON. A path may have values in the places of its operation."""
    path, _, query = target.partition("?")
    operation, places = _operation(operations, path)
    request = Request({"type": "http", "query_string": query.encode(), "path_params": places, "headers": []})
    assert operation.parameters is not None
    answered = await operation.handle(request, read_parameters(request, operation.parameters))
    return msgspec.json.decode(msgspec.json.encode(answered))


def _operation(operations: Mapping[str, Operation], path: str) -> tuple[Operation, dict[str, str]]:
    for operation in operations.values():
        pattern = _PLACE.sub(r"(?P<\1>[^/]+)", operation.path)
        if match := re.fullmatch(pattern, path):
            return operation, match.groupdict()
    raise LookupError(f"no call has the path {path}")


def is_shown(example: Any, answered: Any) -> bool:
    """Whether an example is the answer; a list or an object with `…` shows some of a longer one, in its order."""
    if isinstance(example, dict) and _ELSE in example:
        return all(is_shown(example[key], answered.get(key)) for key in example if key != _ELSE)
    if isinstance(example, dict):
        return example.keys() == answered.keys() and all(is_shown(example[key], answered[key]) for key in example)
    if isinstance(example, list) and _ELSE in example:
        entries = iter(answered)
        return all(any(is_shown(each, entry) for entry in entries) for each in example if each != _ELSE)
    if isinstance(example, list):
        return len(example) == len(answered) and all(map(is_shown, example, answered))
    return bool(example == answered)
