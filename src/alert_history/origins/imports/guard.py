"""Where an import may not reach that was asked for over HTTP: addresses that are link-local or a cloud's metadata.

Whoever may start imports over HTTP chooses where the service connects to. A Prometheus is private as a rule, so private
addresses are allowed. A name is looked up before the connection, and the address that was connected to is checked
before anything is sent, because a name may lead elsewhere the second time.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from alert_history.domain.addresses import why_forbidden
from alert_history.errors import OriginUnavailable
from alert_history.ports.past_origins import ImportRequest

_LOOK_UP_SECONDS = 5.0


async def check_place(request: ImportRequest, host: str, port: int) -> None:
    """Look a host up before it is connected to. Raises: OriginUnavailable where no address of it may be called.

    A host that can't be looked up is passed over: whoever connects will say so.
    """
    if not request.is_guarded:
        return
    try:
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            loop = asyncio.get_running_loop()
            places = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return
    for place in places:
        _check(str(place[4][0]), host=host)


async def check_url(request: ImportRequest, url: str) -> None:
    """The same for the host of a URL; what is no URL is passed over, because its origin refuses it."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return
    if host is not None:
        await check_place(request, host, port or 443)


def guard_hooks(request: ImportRequest) -> Mapping[str, list[Callable[..., Any]]]:
    """What an HTTP client calls for each request, so that it keeps to the addresses that it may call."""

    async def guard(asked: httpx.Request) -> None:
        asked.extensions["trace"] = trace

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            await check_place(request, str(info["host"]), int(info["port"]))
        elif event == "connection.connect_tcp.complete":
            await _check_connected(info["return_value"])

    return {"request": [guard]} if request.is_guarded else {}


async def _check_connected(stream: Any) -> None:
    address = stream.get_extra_info("server_addr")
    try:
        _check(str(address[0]), host=str(address[0]))
    except OriginUnavailable:
        await stream.aclose()
        raise


def _check(text: str, *, host: str) -> None:
    """Raises: OriginUnavailable for an address that must not be called."""
    try:
        reason = why_forbidden(ip_address(text), allow_private=True)
    except ValueError:
        reason = "no address"
    if reason is not None:
        raise OriginUnavailable(f"{host}: {text} is {reason}, where no import over HTTP may reach")
