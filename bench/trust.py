"""Trust: what it costs a request that its caller is known: ingest and a page, with and without, in turn.

Whole calls of the application in this process, without the garbage collector, on a recorder that keeps nothing and a
page that shows nothing: what is left is the gate's, and less than a thousandth of it noise.
"""

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response
from tests.processes import HOST
from tests.trust import MemoryTokens

from alert_history.domain.permission import Permission
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import Intake
from alert_history.engine.switchboard import Switchboard
from alert_history.engine.tokens import TokenBook, TokenDesk, TokenWish
from alert_history.web.application import Application
from alert_history.web.http.gate import Gate
from alert_history.web.ingest.webhook import Webhook
from alert_history.web.pages.page import Page
from alert_history.web.telemetry import RequestMetrics
from bench.databases import Database
from bench.notifications import Notifications
from bench.plan import Plan
from bench.report import Measured, at_most
from bench.watch import median

_TOKENS = 100
_CALLS = 3_000
_LOOPS = 9
_INGEST_US, _PAGE_US = 30, 200
_PATHS = {"POST": "/webhook", "GET": "/bench"}


def measure(database: Database, plan: Plan) -> list[Measured]:
    """Both, once: no database is asked, so the second one has nothing to add."""
    if database.name != "SQLite":
        return []
    plan.say("trust: ingest and a page, with and without a token")
    gc.collect()
    gc.disable()
    try:
        return asyncio.run(_measure())
    finally:
        gc.enable()


async def _measure() -> list[Measured]:
    desk = TokenDesk(tokens := MemoryTokens(), clock=_now)
    secrets = [
        (await desk.create(TokenWish(name=f"t{number}", scopes=["ingest", "read"]), by="bench")).secret
        for number in range(_TOKENS)
    ]
    book = TokenBook(tokens, clock=_now)
    await book.begin()
    nobody = TokenBook(MemoryTokens(), clock=_now, known=[])
    gates = {"open": Gate(nobody, is_open=True), "closed": Gate(book, is_open=False, is_ingest_closed=True)}
    lines = []
    for method, what, limit in (("POST", "ingest", _INGEST_US), ("GET", "a page", _PAGE_US)):
        costs = await _costs(gates, method, token=secrets[_TOKENS // 2])
        more = [closed - open_ for open_, closed in zip(costs["open"], costs["closed"], strict=True)]
        note = f"{median(costs['closed']):.0f} µs with, {median(costs['open']):.0f} without; {_LOOPS} loops in turn"
        lines.append(Measured("", f"a token, {what}", median(more), "µs a request", at_most(limit), note))
    return lines


async def _costs(gates: Mapping[str, Gate], method: str, *, token: str) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {name: [] for name in gates}
    body = Notifications(_PATHS["POST"], alerts=1, seed=1).body().encode() if method == "POST" else b""
    for _ in range(_LOOPS):
        for name, gate in gates.items():
            costs[name].append(await _cost(gate, method, body=body, token=token if name == "closed" else ""))
    return costs


async def _cost(gate: Gate, method: str, *, body: bytes, token: str) -> float:
    """Processor time of one call, in µs."""
    ingest = Ingest(_Nowhere(), max_pending_bytes=2**30, switchboard=Switchboard())
    application = _application(ingest, gate)
    committing = asyncio.create_task(ingest.run())
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    begin = time.process_time()
    for _ in range(_CALLS):
        await _call(application, method, headers=headers, body=body)
    seconds = time.process_time() - begin
    ingest.stop()
    await committing
    return seconds * 1e6 / _CALLS


async def _call(application: Application, method: str, *, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 200) == 200, message

    scope = {"type": "http", "method": method, "path": _PATHS[method], "headers": list(headers), "client": (HOST, 1)}
    await application({**scope, "query_string": b"", "root_path": ""}, receive, send)


def _application(ingest: Ingest, gate: Gate) -> Application:
    metrics = RequestMetrics(CollectorRegistry())
    webhook = Webhook(
        ingest, intake=Intake(max_alerts=10), gate=gate, clock=_now, metrics=metrics, max_body_bytes=2**20
    )
    pages = [Page(path=_PATHS["GET"], handle=_page, needs=Permission.READ)]
    return Application(webhook, [], gate=gate, metrics=metrics, start=_nothing, stop=_nothing, pages=pages)


async def _page(_: Request) -> Response:
    return Response(b"")


async def _nothing() -> None:
    return


def _now() -> datetime:
    return datetime.now(UTC)


class _Nowhere:
    """Fulfils `ports.Recorder`, and keeps nothing."""

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        return [Outcome(receipt.id, receipt.group.received, receipt.group.received, 0, 0) for receipt in receipts]
