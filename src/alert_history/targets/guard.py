"""The HTTP client that targets are called with: it connects to no address that a target must not name.

A host is looked up once, and the connection goes to an address that was checked, so a name can't point elsewhere a
moment later. TLS and the Host header go by the name still. Redirects are refused. No proxy of the environment is used.
"""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address

import httpcore
import httpx

from alert_history.errors import Rejected
from alert_history.targets.addresses import Address, why_forbidden

MAX_ANSWER_BYTES = 1024 * 1024

_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_MAX_CONNECTIONS = 512
_MAX_IDLE_CONNECTIONS = 64
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
        transport=_GuardedTransport(_Backend(resolve or system_resolve, allow_private=allow_private)),
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
        headers={"Accept-Encoding": "identity"},  # so that no small answer can become a large one
        event_hooks={"response": [_refuse_redirect]},
    )
    client.allow_private = allow_private
    return client


def system_resolve(host: str, port: int) -> list[str]:
    """As the operating system does it. Raises: OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _refuse_redirect(response: httpx.Response) -> None:
    if response.is_redirect:
        raise Rejected(f"it answered with a redirect ({response.status_code}); redirects are not followed")


class _GuardedTransport(httpx.AsyncBaseTransport):
    """httpx's own transport takes no network backend; this one is httpcore's pool with ours."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_tls(),
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=_MAX_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=backend,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme not in {"http", "https"}:
            raise Rejected("its URL must begin with http:// or https://")
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        inner = httpcore.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        with _as_httpx_errors():
            answer = await self._pool.handle_async_request(inner)
        headers = [(name, value) for name, value in answer.headers if name.lower() != b"content-encoding"]
        return httpx.Response(answer.status, headers=headers, stream=_Answer(answer), extensions=answer.extensions)

    async def aclose(self) -> None:
        await self._pool.aclose()


def _tls() -> ssl.SSLContext:
    """Trusts what httpx trusts; SSL_CERT_FILE and SSL_CERT_DIR name others."""
    return httpx.create_ssl_context()


class _Answer(httpx.AsyncByteStream):
    """The bytes of an answer, of which there may be only so many."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        with _as_httpx_errors():
            async for part in self._answer.aiter_stream():
                size += len(part)
                if size > MAX_ANSWER_BYTES:
                    raise httpx.RemoteProtocolError(f"it answered more than {MAX_ANSWER_BYTES} bytes")
                yield part

    async def aclose(self) -> None:
        with _as_httpx_errors():
            await self._answer.aclose()


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    """Errors of httpcore by httpx's names, which are the same."""
    try:
        yield
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
        raise kind(str(error)) from error


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to addresses it has checked itself."""

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._lookups = _Lookups(resolve)
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = self._allowed(await self._addresses(host, port))
                return await self._first_connected(addresses, port, timeout, local_address, socket_options)
        except TimeoutError:
            raise httpcore.ConnectTimeout("no connection in time") from None

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002  # here and below: httpcore's signature
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise ForbiddenAddress("a socket file is no target")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[Address]:
        with suppress(ValueError):
            return [ip_address(host.strip("[]"))]
        try:
            return [ip_address(text) for text in await self._lookups.look_up(host, port)]
        except (OSError, ValueError):
            raise httpcore.ConnectError("its host name can't be resolved") from None

    def _allowed(self, addresses: Sequence[Address]) -> list[Address]:
        """Those of the addresses that may be called. Raises: ForbiddenAddress if there is none."""
        verdicts = [(address, why_forbidden(address, allow_private=self._allow_private)) for address in addresses]
        allowed = [address for address, reason in verdicts if reason is None]
        if not allowed:
            told = ", ".join(f"{address} is {reason}" for address, reason in verdicts)
            raise ForbiddenAddress(told or "its host name has no address")
        return allowed

    async def _first_connected(
        self,
        addresses: Sequence[Address],
        port: int,
        timeout: float | None,  # noqa: ASYNC109
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first that takes one; each gets its share of the time."""
        options = list(socket_options or ())
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._inner.connect_tcp(str(address), port, share, local_address, options)
        return await self._inner.connect_tcp(str(addresses[-1]), port, share, local_address, options)


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
            self._free.release()  # only now: who gave up waiting has not ended the thread
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
