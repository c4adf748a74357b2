"""Operations that describe themselves: parameters and answers are structs, so they are checked and documented alike.

Starlette finds the operation of a request, `parameters` reads what was sent, and msgspec writes both the answers and
the JSON Schemas of the OpenAPI document. (Litestar does all this too, but its dependencies take 45 MB of a 120 MB
install.)
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, compile_path

from alert_history import errors
from alert_history.domain.permission import Permission
from alert_history.web.http.gate import allow
from alert_history.web.http.origin import is_cross_site
from alert_history.web.http.parameters import read_parameters
from alert_history.web.http.problem import Problem

_REF_TEMPLATE = "#/components/schemas/{name}"

Handle = Callable[[Request, Any], Awaitable[Any]]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `needs` is what its caller must be allowed to do, and has no default.

    Unless it `keeps_to_reach`, nobody is let to it who sees some alerts only: it has to read through
    `engine.reaching`, and to count, show and change what is within the reach alone.

    `parameters` is a struct read from path and query, `body` one that the handler reads with `read_body`. `handle`
    gets the request and the parameters and returns an `answer`, or a Starlette Response of its own. `failures` are
    the problems it may answer with, by status; `same_answers` the statuses, besides 200, that come with an `answer`;
    `moved` says when it leads elsewhere with 308, empty: never. `may_hold_slashes` is the parameter of the path that
    may. `text_failures` are those that come as a JSON string. `read` is how parameters are read. Unless it `is_listed`,
    it stands in no document: another one describes it.
    """

    path: str
    summary: str
    handle: Handle
    answer: Any
    tag: str
    needs: Permission
    keeps_to_reach: bool = False
    parameters: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    method: str = "GET"
    failures: tuple[int, ...] = ()
    text_failures: tuple[int, ...] = ()
    same_answers: tuple[int, ...] = ()
    moved: str = ""
    may_hold_slashes: str = ""
    description: str = ""
    media_type: str = "application/json"
    read: Callable[[Request, type[Any]], Any] = read_parameters
    is_listed: bool = True

    @property
    def name(self) -> str:
        """The operationId."""
        words = self.path.replace("{", "").replace("}", "").strip("/").replace("/", "_")
        return f"{self.method.lower()}_{words}"

    @property
    def is_open_to_other_sites(self) -> bool:
        """Whether a browser would send it for any page without asking us: it changes something and has no JSON body."""
        return self.method != "GET" and self.body is None

    def for_router(self) -> Route:
        """It as Starlette's router takes it."""

        async def endpoint(request: Request) -> Response:
            request.state.endpoint = self.path  # for the metrics: never what a caller put into it
            allow(self.needs, keeps_to_reach=self.keeps_to_reach)
            if self.is_open_to_other_sites and is_cross_site(request.headers):
                raise errors.CrossSite("a page of another site may not ask for this on a visitor's behalf")
            parameters = self.read(request, self.parameters) if self.parameters else None
            answer = await self.handle(request, parameters)
            return answer if isinstance(answer, Response) else json_response(answer)

        route = Route(self.path, endpoint, methods=[self.method], name=self.name)
        if self.may_hold_slashes:
            path = self.path.replace(f"{{{self.may_hold_slashes}}}", f"{{{self.may_hold_slashes}:path}}")
            route.path_regex, route.path_format, route.param_convertors = compile_path(path)
        return route


def json_response(answer: Any, *, status: int = 200, media_type: str = "application/json") -> Response:
    """A struct as JSON."""
    return Response(msgspec.json.encode(answer), status_code=status, media_type=media_type)


def openapi(
    operations: Sequence[Operation],
    *,
    title: str,
    version: str,
    description: str,
    extra_paths: Mapping[str, Any],
    extra_types: Sequence[type],
) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these operations; `extra_paths` are path items of what is served elsewhere."""
    operations = [operation for operation in operations if operation.is_listed]
    bodies = [operation.body for operation in operations]
    types = [Problem, *(operation.answer for operation in operations), *bodies, *extra_types]
    kinds = [kind for kind in dict.fromkeys(types) if kind is not None]
    _, components = msgspec.json.schema_components(kinds, ref_template=_REF_TEMPLATE)
    paths: dict[str, Any] = {}
    for operation in operations:
        item = paths.setdefault(operation.path, dict(extra_paths.get(operation.path, {})))
        item[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": {**extra_paths, **paths},
        "components": {"schemas": components},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    answer = _content("The answer", operation.answer, operation.media_type)
    made: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [operation.tag],
        "responses": {str(status): answer for status in (200, *operation.same_answers)},
    }
    if operation.moved:
        location = {"description": "Where it is", "schema": {"type": "string"}}
        made["responses"]["308"] = {"description": operation.moved, "headers": {"Location": location}}
    unread = () if operation.body is None else (415,)
    foreign = (403,) if operation.is_open_to_other_sites else ()
    for status in sorted({*operation.failures, *unread, *foreign}):
        made["responses"][str(status)] = problem_response(status)
    for status in operation.text_failures:
        made["responses"][str(status)] = _content(HTTPStatus(status).phrase, None, "application/json")
    if operation.body is not None:
        content = {"application/json": {"schema": schema_ref(operation.body)}}
        made["requestBody"] = {"required": True, "content": content}
    if operation.parameters is not None:
        made["parameters"] = _parameters(operation)
    return made


def _content(description: str, kind: Any, media_type: str) -> dict[str, Any]:
    schema = {"type": "string"} if kind is None else schema_ref(kind)
    return {"description": description, "content": {media_type: {"schema": schema}}}


def schema_ref(kind: Any) -> dict[str, Any]:
    """A reference to a type among the components."""
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF_TEMPLATE)
    return schema


def problem_response(status: int) -> dict[str, Any]:
    """An error answer of that status."""
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    _, components = msgspec.json.schema_components([operation.parameters])
    schema = components[operation.parameters.__name__]  # type: ignore[union-attr]  # only called where there are some
    made = []
    for name, of_name in schema["properties"].items():
        is_in_path = "{" + name in operation.path
        described = dict(of_name)
        description = described.pop("description", "")
        made.append(
            {
                "name": name,
                "in": "path" if is_in_path else "query",
                "required": is_in_path,
                "description": description,
                "schema": described,
            }
        )
    return made
