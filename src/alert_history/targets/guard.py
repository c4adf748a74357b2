"""The HTTP client that targets are called with: it refuses addresses that a target must not name.

A host is looked up once, and the connection goes to an address that was checked, so a name can't point elsewhere a
moment later. TLS and the Host header go by the name still. Redirects are refused. No proxy of the environment is used.
"""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple

import httpx

from alert_history import __version__
from alert_history.domain.addresses import Address, why_forbidden
from alert_history.errors import Rejected
from alert_history.targets.exchange import Connection, written

MAX_ANSWER_BYTES = 1024 * 1024

_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_MAX_IDLE_CONNECTIONS = 512  # those in use are bounded by who uses them
_IDLE_SECONDS = 30.0
_MAX_LOOKUPS = 32

Resolve = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a host and port; may block. Raises: OSError, ValueError."""


class ForbiddenAddress(Rejected):
    """A target is at an address that must not be called."""


class GuardedClient(httpx.AsyncClient):
    """A client as `guarded_client` makes it. A target that connects by itself asks it for `allow_private`."""

    allow_private = False


def guarded_client(
    *, allow_private: bool, timeout: httpx.Timeout = _TIMEOUT, resolve: Resolve | None = None
) -> GuardedClient:
    """A client for http and https that refuses forbidden addresses and redirects, with Rejected.

    `allow_private` allows private and loopback addresses; link-local and metadata addresses are never allowed.
    An answer of more than MAX_ANSWER_BYTES is an httpx.RemoteProtocolError. To be closed by the caller.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # below that it logs whole URLs, and targets' are secret
    client = GuardedClient(
        transport=_GuardedTransport(_Dialer(resolve or system_resolve, allow_private=allow_private)),
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
        headers={
            "Accept-Encoding": "identity",  # so that no small answer can become a large one
            "User-Agent": f"alert-history/{__version__}",
        },
        event_hooks={"response": [_refuse_redirect]},
    )
    client.allow_private = allow_private
    return client


def system_resolve(host: str, port: int) -> list[str]:
    """The addresses of a host as the operating system gives them. Raises: OSError."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


async def _refuse_redirect(response: httpx.Response) -> None:
    if response.is_redirect:
        raise Rejected(f"it answered with a redirect ({response.status_code}); redirects are not followed")


class _GuardedTransport(httpx.AsyncBaseTransport):
    """Connections of our own: httpx's transport lets nobody choose the address, and takes most of a call's time."""

    def __init__(self, dial: "_Dialer") -> None:
        self._dial = dial
        self._idle: dict[_Origin, list[tuple[Connection, asyncio.TimerHandle]]] = {}
        self._idle_count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme not in {"http", "https"}:
            raise Rejected("its URL must begin with http:// or https://")
        if "transfer-encoding" in request.headers:
            raise httpx.LocalProtocolError("a body must say how long it is")
        method = request.method.encode()
        sent = written(method, url.raw_path, request.headers.raw, await request.aread())
        origin = _Origin(url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))
        timeouts = request.extensions.get("timeout", {})
        connection = self._take(origin) or await self._dial(origin, timeouts.get("connect"))
        try:
            answer = connection.ask(sent)
            await answer.head(timeouts.get("read"))
        except BaseException:
            connection.close()
            raise
        headers = [(name, value) for name, value in answer.headers if name.lower() != b"content-encoding"]
        body = _Body(
            lambda: connection.piece(answer, timeouts.get("read")), lambda: self._give_back(origin, connection)
        )
        return httpx.Response(answer.status, headers=headers, stream=body)

    async def aclose(self) -> None:
        for idle in self._idle.values():
            for connection, timer in idle:
                timer.cancel()
                connection.close()
        self._idle.clear()

    def _take(self, origin: "_Origin") -> Connection | None:
        """A connection that is open already: the one used last, as its server is least likely to close it now."""
        idle = self._idle.get(origin, [])
        while idle:
            connection, timer = idle.pop()
            self._idle_count -= 1
            timer.cancel()
            if connection.is_usable:
                return connection
            connection.close()
        self._idle.pop(origin, None)
        return None

    def _give_back(self, origin: "_Origin", connection: Connection) -> None:
        if not connection.release():
            return
        if self._idle_count >= _MAX_IDLE_CONNECTIONS:
            connection.close()
            return
        timer = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._expire, origin, connection)
        self._idle.setdefault(origin, []).append((connection, timer))
        self._idle_count += 1

    def _expire(self, origin: "_Origin", connection: Connection) -> None:
        connection.close()
        idle = self._idle.get(origin, [])
        left = [entry for entry in idle if entry[0] is not connection]
        self._idle_count -= len(idle) - len(left)
        if left:
            self._idle[origin] = left
        else:
            self._idle.pop(origin, None)


class _Origin(NamedTuple):
    """Where a request goes: connections to it are alike."""

    scheme: str
    host: str
    port: int


class _Body(httpx.AsyncByteStream):
    """The bytes of an answer, at most MAX_ANSWER_BYTES."""

    def __init__(self, piece: Callable[[], Awaitable[bytes]], give_back: Callable[[], None]) -> None:
        self._piece = piece
        self._give_back = give_back
        self._is_over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        while piece := await self._piece():
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                raise httpx.RemoteProtocolError(f"it answered more than {MAX_ANSWER_BYTES} bytes")
            yield piece

    async def aclose(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._give_back()


class _Dialer:
    """Connects to addresses it has checked itself."""

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        self._lookups = _Lookups(resolve)
        self._allow_private = allow_private
        self._tls = _tls()

    async def __call__(self, origin: _Origin, timeout_seconds: float | None) -> Connection:
        """A new connection. Raises: ForbiddenAddress, httpx.ConnectError, httpx.ConnectTimeout."""
        try:
            async with asyncio.timeout(timeout_seconds):
                addresses = self._allowed(await self._addresses(origin))
                return await self._first_connected(addresses, origin, timeout_seconds)
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None

    async def _addresses(self, origin: _Origin) -> list[Address]:
        with suppress(ValueError):
            return [ip_address(origin.host.strip("[]"))]
        try:
            return [ip_address(text) for text in await self._lookups.look_up(origin.host, origin.port)]
        except (OSError, ValueError):
            raise httpx.ConnectError("its host name can't be resolved") from None

    def _allowed(self, addresses: Sequence[Address]) -> list[Address]:
        """The addresses that may be called. Raises: ForbiddenAddress if there is none."""
        verdicts = [(address, why_forbidden(address, allow_private=self._allow_private)) for address in addresses]
        allowed = [address for address, reason in verdicts if reason is None]
        if not allowed:
            reasons = ", ".join(f"{address} is {reason}" for address, reason in verdicts)
            raise ForbiddenAddress(reasons or "its host name has no address")
        return allowed

    async def _first_connected(
        self, addresses: Sequence[Address], origin: _Origin, timeout_seconds: float | None
    ) -> Connection:
        """A connection to the first address that takes one; each address gets its share of the time."""
        share = None if timeout_seconds is None else timeout_seconds / len(addresses)
        for address in addresses[:-1]:
            with suppress(httpx.ConnectError, TimeoutError):
                async with asyncio.timeout(share):
                    return await self._connected(address, origin)
        return await self._connected(addresses[-1], origin)

    async def _connected(self, address: Address, origin: _Origin) -> Connection:
        is_tls = origin.scheme == "https"
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection,
                str(address),
                origin.port,
                ssl=self._tls if is_tls else None,
                server_hostname=origin.host if is_tls else None,
            )
        except OSError as error:  # TLS's errors, too
            raise httpx.ConnectError("can't connect") from error
        return connection


def _tls() -> ssl.SSLContext:
    """Trusts what httpx trusts; SSL_CERT_FILE and SSL_CERT_DIR name others."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Lookups:
    """Looks hosts up in threads of its own: one that hangs blocks neither the process's others nor its end."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._free = asyncio.Semaphore(_MAX_LOOKUPS)

    async def look_up(self, host: str, port: int) -> Sequence[str]:
        """Raises: what `resolve` raises."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()

        def settle(result: Sequence[str] | None, error: Exception | None) -> None:
            self._free.release()  # only now: the thread runs on after its caller has given up
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result or ())

        def run() -> None:
            result, error = None, None
            try:
                result = self._resolve(host, port)
            except (OSError, ValueError) as raised:  # handed to who waits
                error = raised
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(settle, result, error)

        threading.Thread(target=run, name="resolve", daemon=True).start()
        return await answer
