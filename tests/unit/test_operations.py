"""Operations that describe themselves: what is read from a URL, and what the OpenAPI document says of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from structlog.testing import capture_logs

from alert_history.domain.permission import Permission
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import Intake
from alert_history.engine.switchboard import Switchboard
from alert_history.errors import InvalidQuery, StorageUnavailable
from alert_history.ports import Recorder
from alert_history.web.application import Application
from alert_history.web.http.operation import Operation, json_response, openapi
from alert_history.web.http.parameters import read_parameters
from alert_history.web.ingest.webhook import Webhook
from alert_history.web.telemetry import RequestMetrics
from tests.trust import open_gate


class _Parameters(msgspec.Struct, frozen=True):
    """What the tests' operation takes."""

    id: Annotated[str, msgspec.Meta(description="which one")]
    limit: Annotated[int, msgspec.Meta(ge=1, le=10)] = 5
    status: Literal["firing", "resolved"] | None = None
    query: str = ""


class _Thing(msgspec.Struct, frozen=True):
    """An answer."""

    name: str


async def _handle(_: Request, asked: _Parameters) -> _Thing:
    return _Thing(asked.id)


_OPERATION = Operation(
    path="/things/{id}",
    summary="One thing",
    handle=_handle,
    answer=_Thing,
    tag="Things",
    needs=Permission.READ,
    parameters=_Parameters,
    failures=(404,),
)


def _read(query: str) -> _Parameters:
    scope = {"type": "http", "query_string": query.encode(), "path_params": {"id": "a"}, "headers": []}
    return read_parameters(Request(scope), _Parameters)


def _document(*operations: Operation) -> Any:
    return openapi(operations or [_OPERATION], title="T", version="1", description="D", extra_paths={}, extra_types=[])


def test_parameters_come_from_path_and_query() -> None:
    assert _read("limit=7&status=firing&query=a%20b") == _Parameters("a", 7, "firing", "a b")


def test_parameter_that_is_absent_has_its_default() -> None:
    assert _read("") == _Parameters("a")


def test_empty_text_is_a_text() -> None:
    assert _read("query=").query == ""


@pytest.mark.parametrize(
    "query, name",
    [
        ("limit=0", "limit"),
        ("limit=11", "limit"),
        ("limit=abc", "limit"),
        ("limit=1.5", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=1&id=b", "id"),
        ("status=Firing", "status"),
        ("limits=1", "limits"),
        ("LIMIT=1", "LIMIT"),
        ("%00=1", r"\x00"),
    ],
)
def test_what_is_wrong_in_a_query_is_named(query: str, name: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        _read(query)
    assert name in str(caught.value).partition(" ")[0]


def test_unknown_parameter_is_told_what_there_is() -> None:
    with pytest.raises(InvalidQuery, match="'limits' is no parameter here; there are id, limit, status, query"):
        _read("limits=1")


def test_operation_says_where_each_parameter_stands() -> None:
    described = _document()["paths"]["/things/{id}"]["get"]["parameters"]
    assert [(p["name"], p["in"], p["required"]) for p in described] == [
        ("id", "path", True),
        ("limit", "query", False),
        ("status", "query", False),
        ("query", "query", False),
    ]


def test_operation_says_the_bounds_of_a_parameter() -> None:
    limit = _document()["paths"]["/things/{id}"]["get"]["parameters"][1]
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 10, "default": 5}


def test_operation_says_what_it_answers() -> None:
    responses = _document()["paths"]["/things/{id}"]["get"]["responses"]
    assert {status: next(iter(answer["content"])) for status, answer in responses.items()} == {
        "200": "application/json",
        "404": "application/problem+json",
    }


def test_operation_may_give_its_answer_with_another_status() -> None:
    operation = msgspec.structs.replace(_OPERATION, same_answers=(503,))
    responses = _document(operation)["paths"]["/things/{id}"]["get"]["responses"]
    assert responses["503"] == responses["200"]


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = _document()
    names = document["components"]["schemas"]
    references = {
        part.split('"')[0] for part in msgspec.json.encode(document).decode().split('"#/components/schemas/')[1:]
    }
    assert references == {"_Thing", "Problem"}
    assert references <= names.keys()


def test_operations_of_a_document_have_names_of_their_own() -> None:
    other = msgspec.structs.replace(_OPERATION, path="/things")
    paths = _document(_OPERATION, other)["paths"]
    assert [path["get"]["operationId"] for path in paths.values()] == ["get_things_id", "get_things"]


def test_two_methods_of_one_path_are_both_described() -> None:
    other = msgspec.structs.replace(_OPERATION, method="POST")
    assert set(_document(_OPERATION, other)["paths"]["/things/{id}"]) == {"get", "post"}


def test_answer_is_json_of_its_struct() -> None:
    response = json_response(_Thing("a"), status=201)
    assert (response.status_code, response.body, response.media_type) == (201, b'{"name":"a"}', "application/json")


# --- the application around them --------------------------------------------------------------------------------------


async def _broken(_: Request, __: None) -> None:
    raise RuntimeError("secret-detail")


async def _unavailable(_: Request, __: None) -> None:
    raise StorageUnavailable("no connection", after_seconds=7)


async def _nothing() -> None:
    return


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with two operations that fail."""
    metrics = RequestMetrics(CollectorRegistry())
    webhook = Webhook(
        Ingest(cast("Recorder", None), max_pending_bytes=1, switchboard=Switchboard()),
        intake=Intake(max_alerts=1),
        gate=open_gate(),
        clock=lambda: datetime.now(UTC),
        metrics=metrics,
        max_body_bytes=1,
    )
    operations = [
        Operation(path="/broken", summary="Fails", handle=_broken, answer=_Thing, tag="T", needs=Permission.READ),
        Operation(
            path="/unavailable", summary="Fails", handle=_unavailable, answer=_Thing, tag="T", needs=Permission.READ
        ),
    ]
    application = Application(webhook, operations, gate=open_gate(), metrics=metrics, start=_nothing, stop=_nothing)
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]  # it is one, its messages are dicts
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


async def test_fault_of_ours_is_a_500_that_shows_nothing_of_itself(client: httpx.AsyncClient) -> None:
    answer = await client.get("/broken", headers={"X-Request-ID": "abc-1"})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (500, "urn:alert-history:problem:internal")
    assert problem["request_id"] == "abc-1"
    assert "secret-detail" not in answer.text


async def test_fault_of_ours_is_logged_once_with_its_request(client: httpx.AsyncClient) -> None:
    with capture_logs() as events:
        await client.get("/broken", headers={"X-Request-ID": "abc-1"})
    (fault,) = [event for event in events if event["log_level"] == "error"]
    assert (str(fault["exc_info"]), fault["request_id"]) == ("secret-detail", "abc-1")
    assert [event["status"] for event in events if event["event"] == "request"] == [500]


async def test_what_passes_says_when_to_come_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/unavailable")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert answer.headers["content-type"] == "application/problem+json"
