"""A path that another application serves, behind our gate: it gets a whole body, and ends when its caller hangs up."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from alert_history.domain.permission import Permission
from alert_history.web.http.gate import allow
from alert_history.web.http.parameters import read_small

Served = Callable[[Scope, Receive, Send], Awaitable[None]]


class Mounted(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `needs` is what its caller must be allowed to do; it keeps to the caller's reach."""

    path: str
    method: str
    app: Served
    needs: Permission
    max_body_bytes: int = 1024 * 1024

    def for_router(self) -> Route:
        """It as Starlette's router takes it."""
        return Route(self.path, _Endpoint(self), methods=[self.method], name=f"{self.method.lower()}_{self.path}")


class _Endpoint:
    """ASGI: an object, so that Starlette calls it with the request as it came."""

    def __init__(self, mounted: Mounted) -> None:
        self._mounted = mounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        request.state.endpoint = self._mounted.path
        allow(self._mounted.needs, keeps_to_reach=True)
        body = await read_small(request, max_bytes=self._mounted.max_body_bytes)
        await _serve_until_hung_up(self._mounted.app, scope, receive, send, body=body)


async def _serve_until_hung_up(app: Served, scope: Scope, receive: Receive, send: Send, *, body: bytes) -> None:
    """Have the application answer; where its caller hangs up meanwhile, cancel it."""
    reading = _Reading(body)
    serving = asyncio.ensure_future(app(scope, reading.receive, send))
    hanging_up = asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait({serving, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
    finally:
        serving.cancel()
        hanging_up.cancel()
        await asyncio.gather(serving, hanging_up, return_exceptions=True)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Reading:
    """The body as one message, then nothing: whoever waits for the caller to hang up is cancelled then."""

    def __init__(self, body: bytes) -> None:
        self._messages: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive(self) -> MutableMapping[str, Any]:
        if self._messages:
            return self._messages.pop()
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]  # it never comes
