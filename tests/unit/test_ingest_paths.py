"""However a sender spells an ingest path, it is that path; and nothing below one ever redirects."""

import asyncio
import string
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.permission import Permission
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import WAYS_IN, Intake
from alert_history.engine.switchboard import Switchboard
from alert_history.web.application import Application
from alert_history.web.ingest.webhook import Webhook
from alert_history.web.pages.page import Page
from alert_history.web.telemetry import RequestMetrics
from tests.payloads import alert, webhook
from tests.trust import open_gate

_NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"accept", b"application/json"),
    (b"x-request-id", b"one"),
]
_LATENCY = "alert_history_request_latency_seconds_count"

paths = st.sampled_from(sorted(WAYS_IN))
methods = st.sampled_from(_METHODS)


class Answer(msgspec.Struct):
    """What was sent back."""

    status: int = 0
    headers: dict[bytes, bytes] = {}
    body: bytes = b""


class Recorder:
    """Fulfils `ports.Recorder`: says yes, and remembers what for."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        self.receipts += receipts
        return [Outcome("id", r.group.received, r.group.received, repeated=0, quarantined=0) for r in receipts]


class Exchange:
    """One request to the whole application, and what came of it."""

    def __init__(self, path: str, method: str = "POST", body: bytes = b"") -> None:
        self.answer = Answer()
        self.recorder = Recorder()
        self.registry = CollectorRegistry()
        self._coming = iter([{"type": "http.request", "body": body}])
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": _HEADERS}
        asyncio.run(self._run(scope))

    @property
    def endpoints(self) -> set[str]:
        """What the metrics say was asked for."""
        samples = [sample for family in self.registry.collect() for sample in family.samples]
        return {sample.labels["endpoint"] for sample in samples if sample.name == _LATENCY}

    async def _run(self, scope: dict[str, Any]) -> None:
        ingest = Ingest(self.recorder, max_pending_bytes=1_000_000, switchboard=Switchboard())
        metrics = RequestMetrics(self.registry)
        webhook_ = Webhook(
            ingest,
            intake=Intake(max_alerts=10),
            gate=open_gate(),
            clock=lambda: _NOW,
            metrics=metrics,
            max_body_bytes=100_000,
        )
        pages = [Page(path="/api/v2/alerts/groups", handle=_page, needs=Permission.READ)]
        application = Application(
            webhook_, [], gate=open_gate(), metrics=metrics, start=_nothing, stop=_nothing, pages=pages
        )
        running = asyncio.create_task(ingest.run())
        await application(scope, self._receive, self._send)
        ingest.stop()
        await running

    async def _receive(self) -> dict[str, Any]:
        return next(self._coming)

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.answer.status, self.answer.headers = message["status"], dict(message["headers"])
        else:
            self.answer.body += message["body"]


async def _nothing() -> None:
    pass


async def _page(_: Request) -> Response:
    return Response()


def _body(path: str) -> bytes:
    return msgspec.json.encode([alert(1)]) if path.startswith("/api") else webhook(alert(1))


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str]:
    """An ingest path, and the same with slashes too many."""
    path = draw(paths)
    slashes = st.integers(1, 3).map(lambda count: "/" * count)
    words = [draw(slashes) + word for word in path.strip("/").split("/")]
    return path, "".join(words) + draw(st.just("") | slashes)


@settings(deadline=None)
@given(spellings())
def test_an_ingest_path_takes_what_is_sent_however_it_is_spelled(spelling: tuple[str, str]) -> None:
    path, spelled = spelling
    made = Exchange(spelled, body=_body(path))
    assert made.answer.status == 200
    assert [receipt.path for receipt in made.recorder.receipts] == [path]
    assert made.endpoints == {path}


@settings(deadline=None)
@given(spellings(), methods, st.sampled_from([b"", b"no JSON", b'[{"labels":{}}]']))
def test_a_refusal_is_the_same_however_the_path_is_spelled(spelling: tuple[str, str], method: str, body: bytes) -> None:
    path, spelled = spelling
    assert Exchange(spelled, method, body).answer == Exchange(path, method, body).answer


@settings(deadline=None)
@given(paths, st.sampled_from(["/groups", "/groups/"]) | st.text(string.printable, max_size=12), methods)
def test_nothing_below_an_ingest_path_redirects(path: str, rest: str, method: str) -> None:
    answer = Exchange(path + rest, method).answer
    assert not 300 <= answer.status < 400
    assert b"location" not in answer.headers
