"""The tools over streamable HTTP: an ASGI application without sessions, each call answered by itself as JSON.

The SDK is imported when the first client comes, because that takes a second that no other start should take.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import Context
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import structlog

from alert_history.domain.grant import NOBODY
from alert_history.engine.caller import set_caller
from alert_history.errors import NotInstalled, Unavailable
from alert_history.mcp.hosts import AllowedHosts
from alert_history.mcp.toolbox import Toolbox

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

LACKING = "the Model Context Protocol needs a library that is not installed, the extra mcp: pip install 'mcp>=2.3,<3'"

_START_SECONDS = 30.0
_MOST_BODY_BYTES = 1024 * 1024

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = structlog.get_logger()


class Endpoint:
    """ASGI, for one path. It starts with its first request, and ends with `stop`.

    Whoever mounts it has checked who calls; the tools read what exists for them, because the SDK runs each call in the
    context of its request.
    """

    def __init__(self, toolbox: Toolbox, *, hosts: AllowedHosts) -> None:
        self._toolbox = toolbox
        self._hosts = hosts
        self._running: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[StreamableHTTPSessionManager] | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request. Raises WrongHost, NotInstalled, Unavailable."""
        self._hosts.check(scope["headers"])
        if find_spec("mcp") is None:
            raise NotInstalled(LACKING)
        manager = await self._manager()
        await manager.handle_request(scope, receive, send)

    async def stop(self) -> None:
        """End, and with it whatever it answers still."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _manager(self) -> "StreamableHTTPSessionManager":
        if self._ready is None or (self._ready.done() and self._ready.exception() is not None):
            self._ready = asyncio.get_running_loop().create_future()
            running = self._run(self._ready)
            self._running = asyncio.create_task(running, name="mcp", context=Context())  # not that of who came first
        try:
            async with asyncio.timeout(_START_SECONDS):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            raise Unavailable("the Model Context Protocol is not ready yet", after_seconds=5) from None

    async def _run(self, ready: "asyncio.Future[StreamableHTTPSessionManager]") -> None:
        """Hold the SDK's tasks until cancelled. A call that lost its context would be nobody's, and refused."""
        set_caller(NOBODY)
        try:
            manager = await asyncio.to_thread(_make_manager, self._toolbox)
            async with manager.run():
                ready.set_result(manager)
                await asyncio.get_running_loop().create_future()
        except Exception as error:  # noqa: BLE001  # those who wait get words, and the next one tries again
            _log.exception("mcp_failed")
            if not ready.done():
                ready.set_exception(Unavailable(f"the Model Context Protocol does not start: {type(error).__name__}"))
        finally:
            ready.cancel()


def _make_manager(toolbox: Toolbox) -> "StreamableHTTPSessionManager":
    """Imported when needed. `hosts` are checked before: the SDK can't allow addresses but by naming each."""
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp.server.transport_security import TransportSecuritySettings

    from alert_history.mcp.server import make_server

    return StreamableHTTPSessionManager(
        make_server(toolbox),
        json_response=True,
        stateless=True,
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        max_request_body_size=_MOST_BODY_BYTES,
    )
