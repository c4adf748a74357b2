"""The life of the endpoint: begun by its first request, left by who hangs up, ended whole; each call in its context.

Holds: `mcp.endpoint`, `web.http.mounted`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest
from starlette.applications import Starlette

from alert_history import errors
from alert_history.domain.grant import EVERYBODY, NOBODY, Grant
from alert_history.domain.permission import Permission
from alert_history.engine.caller import caller, set_caller
from alert_history.mcp import endpoint as serving
from alert_history.mcp.endpoint import Endpoint
from alert_history.mcp.hosts import AllowedHosts
from alert_history.mcp.tool import Answer, Parameters, Tool
from alert_history.mcp.toolbox import Toolbox
from alert_history.web.http.mounted import Mounted

ADA = Grant(actor="ada", permissions=frozenset({Permission.READ}))
ERAS = ["2025-11-25", "2026-07-28"]


class Waiting:
    """A tool that waits until it is let go, and says who called."""

    def __init__(self) -> None:
        self.begun, self.ended, self.go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer(self, _: Parameters) -> Answer:
        """Wait, then say who called."""
        self.begun.set()
        try:
            await self.go.wait()
        finally:
            self.ended.set()
        return Answer(summary=caller().actor)

    def toolbox(self) -> Toolbox:
        """It alone."""
        tool = Tool(
            name="wait",
            title="Wait",
            description="Wait",
            parameters=Parameters,
            answer=Answer,
            handle=self.answer,
            write=lambda answer: [answer.summary],
        )
        return Toolbox([tool])


@pytest.fixture
async def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
async def endpoint(waiting: Waiting) -> AsyncIterator[Endpoint]:
    made = Endpoint(waiting.toolbox(), hosts=AllowedHosts([]))
    yield made
    await made.stop()


@pytest.fixture(autouse=True)
def everybody() -> Any:
    yield
    set_caller(EVERYBODY)


def application(endpoint: Endpoint) -> Starlette:
    mounted = Mounted(path="/mcp", method="POST", app=endpoint, needs=Permission.READ)
    return Starlette(routes=[mounted.for_router()])


class Request:
    """A call of the tool, as a server hands it to an application."""

    def __init__(self, era: str, *, name: str = "wait") -> None:
        params: dict[str, Any] = {"name": name, "arguments": {}}
        headers = {"host": "localhost", "content-type": "application/json", "accept": "application/json"}
        if era == "2026-07-28":
            info = {"name": "test", "version": "1"}
            meta = {"protocolVersion": era, "clientInfo": info, "clientCapabilities": {}}
            params["_meta"] = {f"io.modelcontextprotocol/{key}": value for key, value in meta.items()}
            headers |= {"mcp-method": "tools/call", "mcp-name": name}
        headers["mcp-protocol-version"] = era
        self._body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/mcp",
            "raw_path": b"/mcp",
            "query_string": b"",
            "root_path": "",
            "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
            "scheme": "http",
            "http_version": "1.1",
            "state": {},
        }
        self.hung_up = asyncio.Event()
        self._sent: list[MutableMapping[str, Any]] = []
        self._is_read = False

    async def receive(self) -> MutableMapping[str, Any]:
        """The body, then that the caller hung up."""
        if not self._is_read:
            self._is_read = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Keep it."""
        self._sent.append(message)

    @property
    def status(self) -> int:
        """That of the answer."""
        return int(self._sent[0]["status"])

    @property
    def answer(self) -> Any:
        """The body of the answer."""
        return json.loads(b"".join(message.get("body", b"") for message in self._sent))


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_runs_in_the_context_of_its_request(endpoint: Endpoint, waiting: Waiting, era: str) -> None:
    waiting.go.set()
    set_caller(NOBODY)
    serve = application(endpoint)
    for actor in ("ada", "bo"):
        request = Request(era)
        set_caller(Grant(actor=actor, permissions=frozenset({Permission.READ})))
        await serve(request.scope, request.receive, request.send)
        assert request.answer["result"]["structuredContent"]["summary"] == actor


@pytest.mark.parametrize("era", ERAS)
async def test_who_hangs_up_has_the_call_cancelled(endpoint: Endpoint, waiting: Waiting, era: str) -> None:
    set_caller(ADA)
    request = Request(era)
    serve = asyncio.create_task(application(endpoint)(request.scope, request.receive, request.send))
    await waiting.begun.wait()
    request.hung_up.set()
    await asyncio.wait_for(waiting.ended.wait(), 10)
    await serve
    assert not waiting.go.is_set()


@pytest.mark.parametrize("era", ERAS)
async def test_nothing_is_left_running_when_it_is_stopped(endpoint: Endpoint, waiting: Waiting, era: str) -> None:
    before = asyncio.all_tasks()
    set_caller(ADA)
    waiting.go.set()
    request = Request(era)
    await application(endpoint)(request.scope, request.receive, request.send)
    await endpoint.stop()
    assert {task.get_name() for task in asyncio.all_tasks() - before} == set()


async def test_nothing_runs_before_the_first_request(endpoint: Endpoint) -> None:
    before = asyncio.all_tasks()
    application(endpoint)
    await endpoint.stop()
    assert asyncio.all_tasks() == before


async def test_without_the_extra_it_says_what_to_install(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "find_spec", lambda _: None)
    set_caller(ADA)
    request = Request("2026-07-28")
    with pytest.raises(errors.NotInstalled, match="pip install 'mcp>="):
        await endpoint(request.scope, request.receive, request.send)


async def test_a_start_that_fails_is_tried_again_by_the_next_request(
    endpoint: Endpoint, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Toolbox) -> Any:
        raise ImportError("half installed")

    set_caller(ADA)
    waiting.go.set()
    with monkeypatch.context() as patched:
        patched.setattr(serving, "_make_manager", fail)
        request = Request("2026-07-28")
        with pytest.raises(errors.Unavailable, match="does not start: ImportError"):
            await endpoint(request.scope, request.receive, request.send)
    request = Request("2026-07-28")
    await endpoint(request.scope, request.receive, request.send)
    assert request.status == 200


async def test_whoever_may_not_read_does_not_reach_it(endpoint: Endpoint, waiting: Waiting) -> None:
    set_caller(NOBODY)
    request = Request("2026-07-28")
    with pytest.raises(errors.NotSignedIn):
        await application(endpoint)(request.scope, request.receive, request.send)
    assert not waiting.begun.is_set()
