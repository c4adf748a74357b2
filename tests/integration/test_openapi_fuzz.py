"""Every operation of the OpenAPI document answers made-up requests, sound and unsound, as the document says."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok

from tests.processes import Server

Operation = APIOperation[Any, Any, Any, Any]

_PROMISES = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_same_every_time = settings(
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _operations(live: Server) -> list[Operation]:
    document = schemathesis.openapi.from_url(f"{live.url}/openapi.json")
    results = list(document.get_all_operations())
    operations = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(operations) == len(results), results
    return operations


def _ends(operation: Operation) -> bool:
    """Whether its answer comes to an end; `test_stream_http` reads the others."""
    answer = operation.definition.raw["responses"].get("200", {})
    return "text/event-stream" not in answer.get("content", {})


def _can_be_wrong(operation: Operation) -> bool:
    """Whether a request for it can break a rule of the document: any text is sound as a part of a path."""
    return bool(operation.body or operation.query)


def test_the_document_describes_all_routes(live: Server) -> None:
    described = {(operation.method.upper(), operation.path) for operation in _operations(live)}
    assert described >= {
        ("POST", "/webhook"),
        ("POST", "/webhook/proxy"),
        ("POST", "/api/v2/alerts"),
        ("GET", "/history"),
        ("GET", "/api/v1/alerts"),
        ("GET", "/api/v1/alerts/{id}"),
        ("GET", "/api/v1/alerts/{id}/timeline"),
        ("GET", "/api/v1/quarantine"),
        ("GET", "/api/v1/stream"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
    }


@pytest.mark.parametrize("mode", GenerationMode)
def test_answers_are_as_described(live: Server, mode: GenerationMode) -> None:
    for operation in filter(_ends, _operations(live)):
        if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation):
            continue

        @_same_every_time
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Case[Operation]) -> None:
            case.call_and_validate(checks=_PROMISES)

        check()
