"""Every operation of the OpenAPI document answers made-up requests, sound and unsound, as the document says."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
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

from alert_history.bootstrap import make_application, make_service
from alert_history.config import load_settings
from alert_history.domain.grant import NOBODY, check_scopes, permissions_of
from alert_history.domain.permission import Permission
from tests import servers, two_teams
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


# --- with AUTH_MODE=token, in each role -------------------------------------------------------------------------------

_shorter = settings(_same_every_time, max_examples=3)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Mapping[str, str]]]:
    """A service that asks for tokens, with a history of two teams, and a token of each role."""
    url = f"sqlite:///{tmp_path_factory.mktemp('guarded') / 'alert_history.db'}"
    place = two_teams.fill(url, now=datetime.now(UTC).replace(microsecond=0))
    with servers.service({"DATABASE_URL": url, "AUTH_MODE": "token"}) as server:
        yield server, place.tokens


def _is_let_in(operation: Operation, needs: Mapping[str, Permission], role: str) -> bool:
    wish = two_teams.ROLES.get(role)
    granted = NOBODY.permissions if wish is None else permissions_of(check_scopes(wish.scopes))
    return needs[f"{operation.method.upper()} {operation.path}"] in granted


def _ask(operation: Operation, token: str, *, is_let_in: bool, may_hold_mark: bool) -> None:
    """Ask an operation some things, with a token or without one."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    @_shorter
    @given(case=operation.as_strategy())
    def check(case: Case[Operation]) -> None:
        answer = case.call(headers=headers)
        assert answer.status_code < 500 or answer.status_code in {502, 503}  # an upstream, or a database, is away
        assert is_let_in or answer.status_code in {401, 403}
        assert may_hold_mark or two_teams.MARK not in answer.text

    check()


@pytest.mark.parametrize("role", ["nobody", *two_teams.ROLES])
def test_no_role_is_answered_what_it_may_not_ask_and_none_breaks_the_service(
    guarded: tuple[Server, Mapping[str, str]], tmp_path: Path, role: str
) -> None:
    server, tokens = guarded
    unopened = load_settings({"DATABASE_URL": f"sqlite:///{tmp_path}/unopened.db"})
    needs = make_application(make_service(unopened)).permissions
    for operation in filter(_ends, _operations(server)):
        is_let_in = _is_let_in(operation, needs, role)
        _ask(operation, tokens.get(role, ""), is_let_in=is_let_in, may_hold_mark="narrowed" not in role)
