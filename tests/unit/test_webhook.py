"""The ingest routes as ASGI, for what no client can see or wait for: claims on memory, bodies that never come."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.standing import Witnesses
from alert_history.engine import ingest as engine
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import Intake
from alert_history.engine.switchboard import Switchboard
from alert_history.errors import StorageUnavailable, UnstorableReceipt
from alert_history.ports import Clock
from alert_history.web.http.gate import Gate
from alert_history.web.ingest import webhook as web
from alert_history.web.ingest.webhook import NO_SENDERS, KnownSenders, Webhook
from alert_history.web.telemetry import RequestMetrics
from tests.payloads import alert, webhook
from tests.trust import open_gate

pytestmark = pytest.mark.timeout(20)

_MAX_BODY = 200_000
_ROOM = 600_000
_JSON = [(b"content-type", b"application/json")]
_GZIP = [*_JSON, (b"content-encoding", b"gzip")]
_GOOD = webhook(alert(1))


class Recorder:
    """Fulfils `ports.Recorder`: says yes, or what `fault` says, once `gate` is open."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.has_begun = asyncio.Event()
        self.witnesses = Witnesses()

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        self.has_begun.set()
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return [Outcome(r.id, r.group.received, r.group.received, repeated=0, quarantined=0) for r in receipts]


class Answer(msgspec.Struct):
    """What was sent back; status 0 if nothing was."""

    status: int = 0
    headers: dict[bytes, bytes] = {}
    body: bytes = b""

    @property
    def problem(self) -> str:
        return str(msgspec.json.decode(self.body)["type"]).rpartition(":")[2]


class Door:
    """The webhook on a recorder. `gate` and `senders` say who may send; by default everybody."""

    def __init__(
        self,
        *,
        gate: Gate | None = None,
        senders: KnownSenders = NO_SENDERS,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self.recorder = Recorder()
        self.registry = CollectorRegistry()
        self.ingest = Ingest(self.recorder, max_pending_bytes=_ROOM, switchboard=Switchboard())
        self._webhook = Webhook(
            self.ingest,
            intake=Intake(max_alerts=10),
            gate=gate or open_gate(),
            clock=clock,
            metrics=RequestMetrics(self.registry),
            max_body_bytes=_MAX_BODY,
            senders=senders,
        )

    async def post(
        self,
        body: Iterable[bytes] = (),
        headers: Sequence[tuple[bytes, bytes]] = _JSON,
        *,
        ends: str = "whole",
        path: str = "/webhook",
    ) -> Answer:
        """Send chunks; after them the body is `whole`, or the sender is `gone`, or it is `silent` for ever."""
        messages: list[dict[str, Any]] = [{"type": "http.request", "body": part, "more_body": True} for part in body]
        if ends == "whole":
            messages.append({"type": "http.request"})
        elif ends == "gone":
            messages.append({"type": "http.disconnect"})
        coming = iter(messages)
        answer = Answer()

        async def receive() -> dict[str, Any]:
            message = next(coming, None)
            if message is None:
                await asyncio.get_running_loop().create_future()
            assert message is not None
            return message

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], dict(message["headers"])
            else:
                answer.body += message["body"]

        scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers)}
        await self._webhook(scope, receive, send)
        return answer

    def refused(self, reason: str) -> float:
        """How many requests were counted as refused for that reason."""
        name = "alert_history_webhook_errors_total"
        return self.registry.get_sample_value(name, {"reason": reason}) or 0.0


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    running = asyncio.create_task(made.ingest.run())
    yield made
    made.recorder.gate.set()
    made.ingest.stop()
    await running


def declared(length: int) -> list[tuple[bytes, bytes]]:
    return [*_JSON, (b"content-length", str(length).encode())]


@pytest.mark.parametrize(
    "body, headers, ends, status",
    [
        ([_GOOD], declared(len(_GOOD)), "whole", 200),
        ([_GOOD[:20], _GOOD[20:]], _JSON, "whole", 200),
        ([gzip.compress(_GOOD)], _GZIP, "whole", 200),
        ([b"hello"], declared(5), "whole", 400),
        ([b"not gzip"], _GZIP, "whole", 400),
        ([b""], declared(_MAX_BODY + 1), "whole", 413),
        ([b" " * 90_000] * 3, _JSON, "whole", 413),
        ([b" " * 90_000] * 3, declared(10), "whole", 413),
        ([gzip.compress(b" " * (_MAX_BODY + 1))], _GZIP, "whole", 413),
        ([webhook(*map(alert, range(11)))], _JSON, "whole", 413),
        ([_GOOD], [(b"content-type", b"text/plain")], "whole", 415),
        ([_GOOD[:20]], declared(len(_GOOD)), "gone", 0),
        ([], declared(100), "gone", 0),
        ([b" " * 90_000, b" " * 90_000], _JSON, "gone", 0),
        ([_GOOD[:20]], declared(len(_GOOD)), "silent", 503),
        ([b" " * 90_000, b" " * 90_000], _JSON, "silent", 503),
    ],
)
async def test_memory_claimed_for_a_body_is_given_back(
    door: Door,
    monkeypatch: pytest.MonkeyPatch,
    body: list[bytes],
    headers: list[tuple[bytes, bytes]],
    ends: str,
    status: int,
) -> None:
    monkeypatch.setattr(web, "READ_SECONDS", 0.02)
    answer = await door.post(body, headers, ends=ends)
    assert (answer.status, door.ingest.pending_bytes) == (status, 0)


@pytest.mark.parametrize(
    "fault, status, kind",
    [
        (StorageUnavailable("no connection"), 503, "storage-unavailable"),
        (UnstorableReceipt("invalid byte sequence"), 400, "unstorable"),
        (ValueError("a fault of ours"), 503, "storage-unavailable"),
    ],
)
async def test_memory_is_given_back_when_the_commit_fails(door: Door, fault: Exception, status: int, kind: str) -> None:
    door.recorder.fault = fault
    answer = await door.post([_GOOD])
    assert (answer.status, answer.problem, door.ingest.pending_bytes) == (status, kind, 0)


async def test_memory_is_given_back_when_the_commit_hangs(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ANSWER_SECONDS", 0.02)
    door.recorder.gate.clear()
    answer = await door.post([_GOOD])
    assert (answer.status, answer.headers[b"retry-after"], door.ingest.pending_bytes) == (503, b"5", 0)


async def test_memory_is_given_back_when_there_is_no_room(door: Door) -> None:
    taken = door.ingest.reserve(_ROOM - 50_000)
    answers = [
        await door.post([_GOOD], declared(60_000)),
        await door.post([b" " * 60_000, b" "], _JSON),
        await door.post([gzip.compress(b" " * 60_000)], _GZIP),
    ]
    door.ingest.release(taken)
    assert [answer.problem for answer in answers] == ["overloaded"] * 3
    assert [answer.headers[b"retry-after"] for answer in answers] == [b"5"] * 3
    assert door.ingest.pending_bytes == 0


@pytest.mark.parametrize(
    "body, headers",
    [
        ([_GOOD + b" " * 90_000], declared(len(_GOOD) + 90_000)),
        ([_GOOD, b" " * 90_000], _JSON),
        ([gzip.compress(_GOOD + b" " * 90_000)], _GZIP),
    ],
    ids=["declared", "chunked", "gzip"],
)
async def test_body_that_waits_for_its_commit_is_counted_in_full(
    door: Door, body: list[bytes], headers: list[tuple[bytes, bytes]]
) -> None:
    door.recorder.gate.clear()
    posting = asyncio.create_task(door.post(body, headers))
    await door.recorder.has_begun.wait()
    assert door.ingest.pending_bytes >= len(_GOOD) + 90_000
    door.recorder.gate.set()
    await posting


async def test_sender_of_a_body_that_never_comes_may_try_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "READ_SECONDS", 0.02)
    answer = await door.post([_GOOD[:20]], declared(len(_GOOD)), ends="silent")
    assert (answer.status, answer.problem, answer.headers[b"retry-after"]) == (503, "slow-body", b"5")


async def test_connection_is_closed_on_a_body_that_never_comes(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "READ_SECONDS", 0.02)
    answer = await door.post(ends="silent")
    assert answer.headers[b"connection"] == b"close"


async def test_sender_that_went_away_is_counted_and_not_answered(door: Door) -> None:
    answer = await door.post([_GOOD[:20]], declared(len(_GOOD)), ends="gone")
    assert (answer.status, door.refused("disconnected")) == (0, 1)


async def test_request_goes_by_the_id_its_sender_gave_it(door: Door) -> None:
    answer = await door.post([_GOOD], [*_JSON, (b"x-request-id", b"abc-1")])
    assert answer.headers[b"x-request-id"] == b"abc-1"


async def test_request_without_an_id_goes_by_that_of_its_receipt(door: Door) -> None:
    answer = await door.post([_GOOD])
    assert answer.headers[b"x-request-id"].decode() == msgspec.json.decode(answer.body)["receipt_id"]


async def test_two_requests_with_one_id_have_two_receipts(door: Door) -> None:
    headers = [*_JSON, (b"x-request-id", b"abc-1")]
    first, second = await door.post([_GOOD], headers), await door.post([_GOOD], headers)
    assert msgspec.json.decode(first.body)["receipt_id"] != msgspec.json.decode(second.body)["receipt_id"]


@pytest.mark.parametrize("id_", [b"", b"a\xffb", b"a\tb", b"a" * 129, "é".encode()])
async def test_hostile_request_id_is_replaced(door: Door, id_: bytes) -> None:
    answer = await door.post([b"hello"], [*_JSON, (b"x-request-id", id_)])
    assert answer.headers[b"x-request-id"].decode() == msgspec.json.decode(answer.body)["request_id"]
    assert answer.headers[b"x-request-id"] != id_
