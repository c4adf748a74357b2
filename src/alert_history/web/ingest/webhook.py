"""The ingest paths, as a bare ASGI application: the hot path.

A request is read within bounds, made a receipt by `intake`, committed by `ingest`, and only then answered.
Ingest never answers 429: Alertmanager drops an alert on any 4xx but tries again on 503.
"""

import asyncio
import zlib
from collections.abc import Callable, Iterable
from datetime import datetime
from http import HTTPStatus
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
import structlog

from alert_history import errors
from alert_history.domain.alert import AlertGroup
from alert_history.domain.receipt import Outcome
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import ALERTMANAGER_PATH, Intake
from alert_history.ids import new_id
from alert_history.ports import Clock
from alert_history.web.http.client import Network, check_is_now, client_address, scope_of
from alert_history.web.http.gate import CHALLENGE, Gate
from alert_history.web.http.problem import CONTENT_TYPE, Problem, problem, problem_of, retry_after
from alert_history.web.http.security_headers import SECURITY_HEADERS
from alert_history.web.http.slow_body import READ_SECONDS, slow_body
from alert_history.web.ingest.signed_senders import SignedSenders
from alert_history.web.telemetry import RequestMetrics

Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]

_CHUNK_BYTES = 64 * 1024
_SHOWN_REFUSALS = 20
MAX_REQUEST_ID_CHARACTERS = 128

_log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode


_UNREAD = (
    errors.PayloadTooLarge,
    errors.UnsupportedMedia,
    errors.SlowBody,
    errors.NotSignedIn,
    errors.Forbidden,
    errors.StorageUnavailable,
)
"""Errors behind which a body may have been left unread."""


class _Disconnected(Exception):
    """The sender went away before its body was whole: there is nobody to answer."""


class Accepted(msgspec.Struct, frozen=True):
    """The answer to an accepted request: `received` = `stored` + `repeated` + `quarantined`."""

    status: str
    receipt_id: str
    received: int
    stored: int
    repeated: int
    quarantined: int
    deliveries: int


class KnownSenders(NamedTuple):
    """What is known of senders: the secrets that some sign with, and the proxies that tell who sent a request."""

    signed: SignedSenders = SignedSenders(())
    proxies: tuple[Network, ...] = ()


NO_SENDERS = KnownSenders()


class Webhook:
    """What answers on the ingest paths. `max_body_bytes` bounds a body before and after decompression.

    What a known sender signed rightly needs no token. `trusted` are proxies that tell who sent a request, and how.
    """

    def __init__(
        self,
        ingest: Ingest,
        *,
        intake: Intake,
        gate: Gate,
        clock: Clock,
        metrics: RequestMetrics,
        max_body_bytes: int,
        senders: KnownSenders = NO_SENDERS,
    ) -> None:
        self._ingest = ingest
        self._intake = intake
        self._gate = gate
        self._clock = clock
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._signed = senders.signed
        self.trusted = senders.proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One POST to one of `PATHS`; the path in its scope is spelled as there."""
        begin = perf_counter()
        path = scope["path"]
        received_at = self._clock()
        receipt_id = new_id(received_at)
        request_id = sane_request_id(scope["headers"]) or receipt_id
        try:
            outcome, group = await self._accept(scope, receive, received_at=received_at, receipt_id=receipt_id)
        except _Disconnected:
            self._metrics.failed("disconnected")
            return
        except Exception as error:  # noqa: BLE001  # every fault gets an answer
            await self._answer_error(send, error, scope=scope, request_id=request_id)
        else:
            self._metrics.accepted(group, outcome)
            await _answer(send, scope=scope, group=group, outcome=outcome, request_id=request_id)
        self._metrics.answered(path, perf_counter() - begin)

    async def _accept(
        self, scope: Scope, receive: Receive, *, received_at: datetime, receipt_id: str
    ) -> tuple[Outcome, AlertGroup]:
        headers = dict(scope["headers"])
        signature = self._signed.signature(headers)
        sender = await self._gate.sender(scope) if signature is None else None
        query = scope.get("query_string", b"")
        check_is_now(query)
        name = scope_of(query)
        if sender is not None and sender.ingest_scope:
            name = sender.ingest_scope  # whatever the URL says: a token speaks for one scope alone
        encoding = _check_headers(headers)
        declared = int(headers.get(b"content-length", b"0") or b"0")
        if declared > self._max_body_bytes:
            raise errors.PayloadTooLarge(self._too_large())
        claim = self._ingest.reserve(declared)
        try:
            body = await self._body(receive, declared=declared)
            if signature is not None:
                self._signed.check(signature, body, now=received_at)
            content = body if encoding is None else self._inflate(body)
            if len(content) > declared:  # it came undeclared (chunked), or packed
                claim = self._ingest.resize(claim, len(content))
            receipt = self._intake.receipt(
                scope["path"],
                content,
                received_at=received_at,
                id_=receipt_id,
                client=client_address(scope, self.trusted),
                scope=name,
            )
            return await self._ingest.submit(receipt), receipt.group
        finally:
            self._ingest.release(claim)

    async def _body(self, receive: Receive, *, declared: int) -> bytes:
        """The body as it was sent."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await self._read(receive, declared=declared)
        except TimeoutError:
            raise slow_body("body", seconds=READ_SECONDS) from None

    async def _read(self, receive: Receive, *, declared: int) -> bytes:
        """The whole body. What comes undeclared (chunked) is claimed while it comes."""
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            return self._checked(message.get("body", b""))
        chunks = []
        size = 0
        claimed = 0
        try:
            while True:
                if message["type"] == "http.disconnect":
                    raise _Disconnected
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > self._max_body_bytes:
                    raise errors.PayloadTooLarge(self._too_large())
                if size > declared + claimed:
                    claimed += self._ingest.reserve(max(len(chunk), _CHUNK_BYTES))
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
                message = await receive()
        finally:
            self._ingest.release(claimed)

    def _checked(self, body: bytes) -> bytes:
        if len(body) > self._max_body_bytes:
            raise errors.PayloadTooLarge(self._too_large())
        return body

    def _inflate(self, body: bytes) -> bytes:
        """Unpack gzip, never beyond the bound: a bomb costs no more than an honest body of that size."""
        unpacker = zlib.decompressobj(wbits=31)
        try:
            content = unpacker.decompress(body, self._max_body_bytes + 1)
        except zlib.error as error:
            raise errors.MalformedPayload(f"the body is not gzip as its header says: {error}") from None
        if not unpacker.eof and len(content) <= self._max_body_bytes:
            raise errors.MalformedPayload("the gzip body ends too early")
        if unpacker.unused_data:
            raise errors.MalformedPayload("more bytes follow the gzip body; send it as one member")
        return self._checked(content)

    def _too_large(self) -> str:
        return f"the body is larger than MAX_BODY_BYTES, {self._max_body_bytes}"

    async def _answer_error(self, send: Send, error: Exception, *, scope: Scope, request_id: str) -> None:
        answer = problem_of(error, request_id=request_id)
        self._metrics.failed(answer.type.rsplit(":", 1)[1])
        if self._gate.audited is not None:
            self._gate.audited.refused_ingest(scope, answer.status)
        log = _log.bind(request_id=request_id, path=scope["path"], status=answer.status)
        if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("webhook_failed", exc_info=error)
        else:
            log.warning("webhook_refused", reason=answer.detail)
        is_unread = isinstance(error, _UNREAD)
        is_plain = _wants_plain_errors(scope)
        await send_problem(send, answer, retry_after=retry_after(error), closes=is_unread, is_plain=is_plain)


def _check_headers(headers: dict[bytes, bytes]) -> bytes | None:
    """The content encoding, if there is one. Raises UnsupportedMedia."""
    media = headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
    if media != b"application/json" and not media.endswith(b"+json"):
        shown = media.decode("latin-1") or "missing"
        raise errors.UnsupportedMedia(f"Content-Type is {shown}; send application/json")
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding == b"identity":
        return None
    if encoding not in {b"gzip", b"x-gzip"}:
        shown = encoding.decode("latin-1")
        raise errors.UnsupportedMedia(f"Content-Encoding is {shown}; send gzip or none")
    return encoding


def _wants_plain_errors(scope: Scope) -> bool:
    """Whether a caller of Alertmanager's API takes errors only as Alertmanager sends them.

    Clients made from its specification, amtool among them, accept JSON alone and show nothing of a problem.
    """
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    media = {part.split(b";", 1)[0].strip().lower() for part in accepted.split(b",")}
    return scope["path"] == ALERTMANAGER_PATH and media == {b"application/json"}


async def _answer(send: Send, *, scope: Scope, group: AlertGroup, outcome: Outcome, request_id: str) -> None:
    """200; or 400 on the Alertmanager API where an alert was refused, as Alertmanager does. The rest is kept."""
    if group.refused and scope["path"] == ALERTMANAGER_PATH:
        answer = _refusals(group, outcome, request_id=request_id)
        await send_problem(send, answer, is_plain=_wants_plain_errors(scope))
        return
    accepted = Accepted(
        "success",
        outcome.receipt_id,
        outcome.received,
        outcome.stored,
        outcome.repeated,
        outcome.quarantined,
        outcome.deliveries,
    )
    await _send(send, 200, _encode(accepted), content_type=b"application/json", request_id=request_id)


def _refusals(group: AlertGroup, outcome: Outcome, *, request_id: str) -> Problem:
    accepted = outcome.received - outcome.quarantined
    answer = problem(
        "invalid-alerts",
        title="Some alerts are invalid",
        status=400,
        detail=f"{len(group.refused)} of {outcome.received} refused, {accepted} kept: {group.refused[0].reason}",
        request_id=request_id,
    )
    shown = [{"position": refused.position, "reason": refused.reason} for refused in group.refused[:_SHOWN_REFUSALS]]
    return msgspec.structs.replace(answer, errors=shown)


async def send_problem(
    send: Send, answer: Problem, *, retry_after: int | None = None, closes: bool = False, is_plain: bool = False
) -> None:
    """Send an error, or only its text if `is_plain`; `closes` the connection where a body may have been left unread."""
    extra = [] if retry_after is None else [(b"retry-after", str(retry_after).encode())]
    if closes:
        extra.append((b"connection", b"close"))
    if answer.status == HTTPStatus.UNAUTHORIZED:
        extra.append((b"www-authenticate", CHALLENGE.encode()))
    await _send(
        send,
        answer.status,
        _encode(answer.detail if is_plain else answer),
        content_type=b"application/json" if is_plain else CONTENT_TYPE.encode(),
        request_id=answer.request_id,
        extra=extra,
    )


async def _send(
    send: Send,
    status: int,
    body: bytes,
    *,
    content_type: bytes,
    request_id: str,
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        *SECURITY_HEADERS,
        *(extra or ()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def sane_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The id that the caller gave its request, if logs and headers can hold it: short and printable ASCII."""
    for name, value in headers:
        if name == b"x-request-id" and 0 < len(value) <= MAX_REQUEST_ID_CHARACTERS:
            text = value.decode("latin-1")
            return text if text.isascii() and text.isprintable() else None
    return None
