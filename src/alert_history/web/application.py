"""The whole HTTP surface as one ASGI application: ingest in front, operations and pages behind it."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter
from typing import Any
from urllib.parse import urlencode

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Send as StarletteSend

from alert_history import __version__
from alert_history.domain.grant import NOBODY
from alert_history.domain.permission import Permission
from alert_history.domain.token import without_secrets
from alert_history.engine.caller import caller, set_caller
from alert_history.errors import AlertHistoryError, NotSignedIn
from alert_history.ids import new_id
from alert_history.web.alertmanager.answers import error_text
from alert_history.web.alertmanager.paths import is_alertmanager_path, missing_text, not_allowed_text, plain_path
from alert_history.web.http.event_stream import END
from alert_history.web.http.gate import CHALLENGE, Gate
from alert_history.web.http.mounted import Mounted
from alert_history.web.http.operation import Operation, json_response, openapi
from alert_history.web.http.permission import permissions
from alert_history.web.http.problem import CONTENT_TYPE, Problem, problem, problem_of, retry_after
from alert_history.web.http.security_headers import missing_headers
from alert_history.web.http.welcome import end_when_unwelcome
from alert_history.web.ingest.documentation import ingest_paths, ingest_types
from alert_history.web.ingest.paths import PATHS, path_of
from alert_history.web.ingest.webhook import Receive, Scope, Send, Webhook, sane_request_id
from alert_history.web.pages.page import Link, Page, apology, message
from alert_history.web.pages.reference import ReferencePages
from alert_history.web.pages.travel import PAGES, root_of, without_prefix
from alert_history.web.telemetry import RequestMetrics

Lifespan = Callable[[], Awaitable[None]]

_TITLE = "Alert History"
_DESCRIPTION = "The flight recorder of alerting: it keeps every alert it is sent, and finds it again."

_log = structlog.get_logger()


class Application:
    """ASGI. Requests for ingest never pass through the router; `start` and `stop` frame its life.

    `permissions` holds what each `METHOD path` needs. Nothing is served that is not in it. Among `pages` is what other
    applications serve, too.
    """

    def __init__(
        self,
        webhook: Webhook,
        operations: Sequence[Operation],
        *,
        gate: Gate,
        metrics: RequestMetrics,
        start: Lifespan,
        stop: Lifespan,
        pages: Sequence[Page | Mounted] = (),
    ) -> None:
        self._webhook = webhook
        self._gate = gate
        self._metrics = metrics
        self._start = start
        self._stop = stop
        self._watching: set[asyncio.Task[None]] = set()
        self.schema = openapi(
            operations,
            title=_TITLE,
            version=__version__,
            description=_DESCRIPTION,
            extra_paths=ingest_paths(),
            extra_types=ingest_types(),
        )
        pages = [*pages, *ReferencePages(self.schema, is_unguarded=gate.is_unguarded).pages()]
        self.permissions = permissions([*operations, *PATHS.values(), *pages])
        self._router = _router([*operations, *pages], webhook=webhook)
        self._public = _public_routes([*operations, *pages])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(without_prefix(scope), receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. However an ingest path is spelled, everything behind this sees its one spelling."""
        path = path_of(scope["path"])
        if path is None:
            path = plain_path(scope["path"])
            await self._answer(scope if path == scope["path"] else {**scope, "path": path}, receive, send)
            return
        serve = self._webhook if scope["method"] == "POST" else self._answer
        await serve(scope if path == scope["path"] else {**scope, "path": path}, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin = perf_counter()
        request_id = sane_request_id(scope["headers"]) or new_id(datetime.now(UTC))
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        status = 500
        stream_begin: float | None = None
        if self._gate.audited is not None:
            self._gate.audited.begin(scope)

        async def send_with_id(message: MutableMapping[str, Any]) -> None:
            nonlocal status, stream_begin
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._gate.audited is not None:
                    await self._gate.audited.answered(scope, status)
                if END in scope:
                    stream_begin = perf_counter()
                    self._watch(scope)
                given = [*message["headers"], (b"x-request-id", request_id.encode())]
                message = {
                    **message,
                    "headers": [*given, *missing_headers(given, scope, trusted=self._webhook.trusted)],
                }
            await send(dict(message))

        try:
            await self._enter(scope)
        except AlertHistoryError as error:
            await (await _turned_away(Request(scope), error))(scope, receive, send_with_id)
        else:
            await self._route(scope, receive, send_with_id)
        seconds = (stream_begin or perf_counter()) - begin  # a stream goes on for as long as its reader likes
        endpoint = scope["state"].get("endpoint", "unknown")
        self._metrics.answered(endpoint, seconds)
        log = _log.debug if status < HTTPStatus.BAD_REQUEST and endpoint in _QUIET else _log.info
        log(
            "request",
            request_id=request_id,
            method=scope["method"],
            path=without_secrets(scope["path"]),
            status=status,
            milliseconds=round(seconds * 1000, 1),
        )

    async def _enter(self, scope: Scope) -> None:
        """Find out who calls, before any path is looked up: what is not public is not even told to be missing.

        Raises: NotSignedIn, StorageUnavailable. What is public is answered to everybody, whatever they carry.
        """
        set_caller(NOBODY)
        scope["state"]["is_unguarded"] = self._gate.is_unguarded
        try:
            grant = await self._gate.caller(scope)
        except AlertHistoryError:
            if not self._is_public(scope):
                raise
            return
        if grant == NOBODY and not self._is_public(scope):
            raise NotSignedIn("say who you are: send a token as Authorization: Bearer, or sign in at /login")
        set_caller(grant)

    def _watch(self, scope: Scope) -> None:
        """Have a stream end when its caller may not follow it any more."""
        if self._gate.is_open:
            return
        watching = asyncio.create_task(end_when_unwelcome(scope, self._gate, caller()), name="welcome")
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)

    def _is_public(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._public)

    async def _route(self, scope: Scope, receive: Receive, send: StarletteSend) -> None:
        with suppress(Exception):  # `_unknown_error` has logged and answered it; Starlette raises it once more
            await self._router(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._start()
        except Exception as error:  # noqa: BLE001  # uvicorn wants a message, not a traceback
            _log.exception("start_failed")
            await send({"type": "lifespan.startup.failed", "message": type(error).__name__})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})


_NOT_KEPT = {"cache-control": "no-store", "vary": "accept, cookie, authorization"}
_ROUTER_PROBLEMS = {404: "no-such-path", 405: "method-not-allowed"}
_QUIET = {"/healthz", "/readyz", "/metrics"}


def _router(served: Sequence[Operation | Page | Mounted], *, webhook: Webhook) -> Starlette:
    """Operations, pages and what is mounted, and errors as problems."""
    router = Starlette(
        routes=[
            *(each.for_router() for each in served),
            *(Route(path, webhook, methods=["POST"]) for path in PATHS),  # for the 405 on other methods
        ],
        exception_handlers={
            AlertHistoryError: _known_error,
            HTTPException: _http_error,
            Exception: _unknown_error,
        },
    )
    # A redirect would send callers to whatever host their request names, and Prometheus takes one for a delivery.
    router.router.redirect_slashes = False
    return router


def _public_routes(served: Sequence[Operation | Page | Mounted]) -> list[Route]:
    """The routes that everybody may ask."""
    return [each.for_router() for each in served if each.needs is Permission.PUBLIC]


async def _turned_away(request: Request, error: Exception) -> Response:
    """The answer to a caller who did not pass the gate: to people a page, where one can be shown."""
    request.state.request_id = request.scope["state"]["request_id"]
    if isinstance(error, NotSignedIn) and _is_browser(request):
        return _to_login(request)
    if isinstance(error, NotSignedIn) and _is_page(request):
        response = apology(request, error, back=Link("login", "Sign in"))
    elif _is_page(request) and isinstance(error, AlertHistoryError):
        response = apology(request, error)
    else:
        response = await _known_error(request, error)
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        response.headers["www-authenticate"] = CHALLENGE
    return response


def _is_browser(request: Request) -> bool:
    """Whether a person asks for a page to read: programs are told with a status, and forms are not sent twice."""
    headers = request.headers
    is_read = request.method in {"GET", "HEAD"} and "text/html" in headers.get("accept", "")
    return is_read and "authorization" not in headers


def _to_login(request: Request) -> Response:
    """Lead a browser to where it signs in, and from there back. Relative, as a proxy may serve us below a path."""
    if "hx-request" in request.headers:  # a part of a page that is open: have the page asked for anew, as a whole
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"hx-refresh": "true", **_NOT_KEPT})
    page = request.url.path.lstrip("/") + (f"?{request.url.query}" if request.url.query else "")
    place = f"{root_of(request.url.path)}login{'?' if page else ''}{urlencode({'back': page} if page else {})}"
    return RedirectResponse(place, status_code=HTTPStatus.SEE_OTHER, headers=_NOT_KEPT)


def _problem_response(request: Request, answer: Problem, *, headers: dict[str, str] | None = None) -> Response:
    """A problem; on the paths of Alertmanager's API its text alone, because its clients show nothing else."""
    if is_alertmanager_path(request.scope["path"]):
        return error_text(answer.detail, status=answer.status, headers=headers)
    response = json_response(answer, status=answer.status, media_type=CONTENT_TYPE)
    response.headers.update(headers or {})
    return response


async def _known_error(request: Request, error: Exception) -> Response:
    after = retry_after(error)
    headers = {} if after is None else {"retry-after": str(after)}
    answer = problem_of(error, request_id=request.state.request_id)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("request_failed", request_id=answer.request_id, reason=answer.detail)
    return _problem_response(request, answer, headers=headers)


async def _http_error(request: Request, error: Exception) -> Response:
    """What the router itself says: 404 and 405."""
    if not isinstance(error, HTTPException):
        raise error
    if _is_page(request):
        title = "There is no such page" if error.status_code == HTTPStatus.NOT_FOUND else "This page is not asked so"
        return message(request, HTTPStatus(error.status_code), title, "Its address may be cut, or mistyped.")
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)
    answer = problem(
        _ROUTER_PROBLEMS.get(error.status_code, "http"),
        title=error.detail,
        status=error.status_code,
        detail=_router_detail(request, allowed=headers.get("Allow", "")),
        request_id=request.state.request_id,
    )
    return _problem_response(request, answer, headers=headers)


def _router_detail(request: Request, *, allowed: str) -> str:
    path = request.scope["path"]
    if not is_alertmanager_path(path):
        return f"{request.method} {path}"
    return not_allowed_text(request.method, path, allowed=allowed) if allowed else missing_text(path)


def _is_page(request: Request) -> bool:
    """Whether people look at this address: they get a page, also where there is none."""
    return request.url.path.strip("/").split("/")[0] in PAGES


def _allowed(request: Request) -> str:
    """The methods of a path, of all that is served there: the router knows only those of the first."""
    served = [each for each in request.app.routes if each.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for each in served for method in each.methods}))


async def _unknown_error(request: Request, error: Exception) -> Response:
    _log.error("request_failed", request_id=request.state.request_id, exc_info=error)
    if _is_page(request):
        text = f"The service made a mistake. Its log says more, under {request.state.request_id}."
        return message(request, HTTPStatus.INTERNAL_SERVER_ERROR, "This page can't be shown", text)
    return _problem_response(request, problem_of(error, request_id=request.state.request_id))
