"""`/docs`: the API reference as one page, written on the server from the OpenAPI document.

Holds what is shown of operations; how schemas are told is in `schema_table`, how it looks in `templates/reference/`.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from alert_history.domain.permission import Permission
from alert_history.web.pages.page import Page, policy_of, rendered
from alert_history.web.pages.schema_table import Row, Schemas, Table, literal

_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_DEFAULT_SERVER = "http://localhost:8080"
_UNTAGGED = "Other"


class Example(msgspec.Struct, frozen=True):
    """A body as it might be sent or answered."""

    name: str
    text: str


class Content(msgspec.Struct, frozen=True):
    """One media type of a body."""

    media_type: str
    type: str
    tables: tuple[Table, ...]
    examples: tuple[Example, ...]


class Answer(msgspec.Struct, frozen=True):
    """One response. `outcome` is the first digit of its status, or `x` for the default."""

    status: str
    meaning: str
    outcome: str
    contents: tuple[Content, ...]


class Body(msgspec.Struct, frozen=True):
    """What a request brings."""

    is_required: bool
    description: str
    contents: tuple[Content, ...]


class Operation(msgspec.Struct, frozen=True):
    """One method of one path."""

    anchor: str
    method: str
    path: str
    tag: str
    summary: str
    description: str
    is_deprecated: bool
    parameters: tuple[Row, ...]
    body: Body | None
    answers: tuple[Answer, ...]
    curl: str


class Group(msgspec.Struct, frozen=True):
    """The operations of one tag."""

    anchor: str
    name: str
    description: str
    operations: tuple[Operation, ...]


class ReferencePages:
    """The page of an OpenAPI document, and the document itself; nothing is written before somebody asks for it."""

    def __init__(self, schema: dict[str, Any], *, is_unguarded: bool = False) -> None:
        self._schema = schema
        self._is_unguarded = is_unguarded

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [
            Page(path="/openapi.json", handle=self.document, needs=Permission.PUBLIC, is_measured=False),
            Page(path="/docs", handle=self.show, needs=Permission.PUBLIC, is_measured=False),
        ]

    async def document(self, _: Request) -> Response:
        """`GET /openapi.json`."""
        return Response(self._json, media_type="application/json")

    async def show(self, _: Request) -> Response:
        """`GET /docs`."""
        return HTMLResponse(self._html, headers={"content-security-policy": policy_of(self._html)})

    @cached_property
    def _json(self) -> bytes:
        return msgspec.json.encode(self._schema)

    @cached_property
    def _html(self) -> str:
        return render_reference(self._schema, is_unguarded=self._is_unguarded)


def render_reference(schema: dict[str, Any], *, is_unguarded: bool = False) -> str:
    """The page for an OpenAPI 3.1 document, to be served with `policy_of` it. Every text of the document is escaped.

    In texts, `backticks` make code and empty lines make paragraphs. Examples call the first of the document's
    `servers` that is a whole URL, else the service on this machine. `is_unguarded`: it warns of a service that is open
    to everybody, because nobody said whether it is to be.
    """
    info = schema.get("info", {})
    return rendered(
        "reference/reference.html.jinja",
        title=info.get("title", "API"),
        version=info.get("version", ""),
        description=info.get("summary") or info.get("description", ""),
        openapi=schema.get("openapi", ""),
        groups=_groups(schema),
        is_unguarded=is_unguarded,
    )


def _groups(document: Mapping[str, Any]) -> tuple[Group, ...]:
    """The operations by tag: in the order of the document's `tags`, then as they come."""
    descriptions = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    by_tag: dict[str, list[Operation]] = {name: [] for name in descriptions}
    for operation in _operations(document):
        by_tag.setdefault(operation.tag, []).append(operation)
    return tuple(
        Group(_slug(f"tag-{number}-{name}"), name, descriptions.get(name, ""), tuple(operations))
        for number, (name, operations) in enumerate(by_tag.items(), start=1)
        if operations
    )


def _operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    schemas = Schemas(document)
    server = _server(document)
    anchors: set[str] = set()
    for path, item in document.get("paths", {}).items():
        whole = schemas.resolve(item)
        for method in _METHODS:
            if method in whole:
                operation = {"operationId": f"{method}{path}", **whole[method]}
                anchor = _unused(_slug(operation["operationId"]), anchors)
                parameters = [*whole.get("parameters", ()), *operation.get("parameters", ())]
                resolved = {**operation, "parameters": [schemas.resolve(each) for each in parameters]}
                yield _operation(schemas, resolved, method=method, path=path, anchor=anchor, server=server)


def _operation(
    schemas: Schemas, operation: Mapping[str, Any], *, method: str, path: str, anchor: str, server: str
) -> Operation:
    body = _body(schemas, operation["requestBody"]) if "requestBody" in operation else None
    return Operation(
        anchor=anchor,
        method=method.upper(),
        path=path,
        tag=(operation.get("tags") or [_UNTAGGED])[0],
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        is_deprecated=bool(operation.get("deprecated")),
        parameters=tuple(_parameter(schemas, each) for each in operation["parameters"]),
        body=body,
        answers=tuple(_answer(schemas, str(code), each) for code, each in operation.get("responses", {}).items()),
        curl=_curl(method.upper(), server + path, parameters=_values(schemas, operation["parameters"]), body=body),
    )


def _parameter(schemas: Schemas, parameter: Mapping[str, Any]) -> Row:
    place = str(parameter.get("in", "query"))
    is_required = bool(parameter.get("required")) or place == "path"
    words = {"description": parameter["description"]} if parameter.get("description") else {}
    return schemas.row(
        str(parameter.get("name", "")), {**parameter.get("schema", {}), **words}, is_required=is_required, place=place
    )


def _body(schemas: Schemas, body: Any) -> Body:
    whole = schemas.resolve(body)
    contents = tuple(_contents(schemas, whole, has_examples=True))
    return Body(bool(whole.get("required")), whole.get("description", ""), contents)


def _answer(schemas: Schemas, status: str, answer: Any) -> Answer:
    whole = schemas.resolve(answer)
    outcome = status[0] if status[:1].isdigit() else "x"
    return Answer(status, whole.get("description", ""), outcome, tuple(_contents(schemas, whole)))


def _contents(schemas: Schemas, body: Mapping[str, Any], *, has_examples: bool = False) -> Iterator[Content]:
    """The media types of a body; with `has_examples`, one is made up where none is given."""
    for media_type, media in body.get("content", {}).items():
        schema = media.get("schema", {})
        examples = tuple(_examples(schemas, media))
        if has_examples and not examples:
            examples = (Example("", _pretty(schemas.sample(schema))),)
        yield Content(media_type, schemas.type_of(schema), schemas.tables(schema), examples)


def _examples(schemas: Schemas, media: Mapping[str, Any]) -> Iterator[Example]:
    if "example" in media:
        yield Example("", _pretty(media["example"]))
    for name, reference in media.get("examples", {}).items():
        example = schemas.resolve(reference)
        if "value" in example:
            yield Example(str(example.get("summary", name)), _pretty(example["value"]))


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _values(schemas: Schemas, parameters: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Place → name → value, of the parameters that a call needs or that have an example."""
    values: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {}}
    for parameter in parameters:
        schema = schemas.resolve(parameter.get("schema"))
        named = [schemas.resolve(example).get("value") for example in parameter.get("examples", {}).values()]
        given = [*named, parameter.get("example"), schema.get("example"), *schema.get("examples", ())]
        examples = [value for value in given if value is not None]
        place = parameter.get("in", "query")
        if place in values and (examples or parameter.get("required") or place == "path"):
            value = examples[0] if examples else _placeholder(str(parameter["name"]), schema)
            values[place][str(parameter["name"])] = literal(value)
    return values


def _placeholder(name: str, schema: Mapping[str, Any]) -> Any:
    """The default, the first of the words it may be, or its name in capitals, to be filled in."""
    return schema.get("default") or next(iter(schema.get("enum", ())), None) or re.sub(r"\W", "_", name).upper()


def _curl(method: str, url: str, *, parameters: Mapping[str, Mapping[str, str]], body: Body | None) -> str:
    """A command for a POSIX shell, ready to paste."""
    for name, value in parameters["path"].items():
        url = re.sub(rf"{{{re.escape(name)}(:[^}}]*)?}}", quote(value, safe="").replace("\\", "%5C"), url)
    query = parameters["query"]
    flags, fields = _method_flags(method, has_body=body is not None), []
    if query and method == "GET":
        flags = "-G "
        fields = [f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in query.items()]
    elif query:
        url += "?" + urlencode(query)
    headers = [f"{name}: {value}" for name, value in parameters["header"].items()]
    data = []
    if body and body.contents:
        headers.append(f"Content-Type: {body.contents[0].media_type}")
        data = [f"--data {shlex.quote(body.contents[0].examples[0].text)}"]
    head = [f"curl {flags}{shlex.quote(url)}", *fields, *(f"-H {shlex.quote(each)}" for each in headers), *data]
    return " \\\n  ".join(head)


def _method_flags(method: str, *, has_body: bool) -> str:
    """For curl: its own choice is GET, or POST where there is a body."""
    if method == "HEAD":
        return "-I "
    return "" if method == ("POST" if has_body else "GET") else f"-X {method} "


def _server(document: Mapping[str, Any]) -> str:
    urls = [str(server.get("url", "")) for server in document.get("servers", ())]
    whole = [url for url in urls if re.match(r"https?://", url)]
    return whole[0].rstrip("/") if whole else _DEFAULT_SERVER


def _slug(text: str) -> str:
    """The text as an HTML id."""
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-") or "operation"


def _unused(wanted: str, taken: set[str]) -> str:
    """The id, numbered if another has it, and now taken."""
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    taken.add(name)
    return name
