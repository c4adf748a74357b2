"""Silences that are made and ended at an Alertmanager cluster: by the first of its peers that can be reached.

Peers tell each other of silences, so one of them suffices. What may have arrived is not sent again: it could make a
second silence.
"""

import asyncio

import httpx
import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.origin import Origin, Server
from alert_history.errors import OriginUnavailable
from alert_history.origins.alertmanager_wire import read_silences
from alert_history.origins.asking import POLL_SECONDS, reason_of

_PATH = "/api/v2/silences"
_ONE = "/api/v2/silence/"
_MOST_BYTES = 1024 * 1024
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout)


class Passed(msgspec.Struct, frozen=True):
    """What an Alertmanager answered, and which."""

    status: int
    body: bytes
    media_type: str
    server: Server


async def make_silence(origin: Origin, client: httpx.AsyncClient, body: bytes) -> Passed:
    """Post a silence as it came. Raises: OriginUnavailable."""
    return await _first(origin, client, "POST", _PATH, body)


async def end_silence(origin: Origin, client: httpx.AsyncClient, silence_id: str) -> Passed:
    """End a silence; its id must be one. Raises: OriginUnavailable."""
    return await _first(origin, client, "DELETE", _ONE + silence_id, b"")


async def find_silence(server: Server, client: httpx.AsyncClient, silence_id: str) -> Silence | None:
    """A silence as that server has it now; None where it does not say. Raises: OriginUnavailable."""
    try:
        passed = await _ask(server, client, "GET", _ONE + silence_id, b"")
    except _NOT_REACHED as error:
        raise _fault(server, error) from None
    if passed.status != httpx.codes.OK:
        return None
    try:
        return read_silences(b"[" + passed.body + b"]")[0]
    except (ValueError, RecursionError):
        return None


async def _first(origin: Origin, client: httpx.AsyncClient, method: str, path: str, body: bytes) -> Passed:
    faults: list[str] = []
    for server in origin.servers:
        try:
            return await _ask(server, client, method, path, body)
        except _NOT_REACHED as error:
            faults.append(str(_fault(server, error)))
    raise OriginUnavailable("; ".join(faults))


async def _ask(server: Server, client: httpx.AsyncClient, method: str, path: str, body: bytes) -> Passed:
    """Raises: OriginUnavailable; or one of `_NOT_REACHED`, as it is: nothing arrived there."""
    auth = httpx.BasicAuth(server.user, server.password) if server.user or server.password else None
    headers = {"content-type": "application/json"} if body else {}
    request = client.build_request(method, server.url + path, content=body or None, headers=headers)
    try:
        async with asyncio.timeout(POLL_SECONDS):
            response = await client.send(request, auth=auth, stream=True)
            try:
                return await _passed(server, response)
            finally:
                await response.aclose()
    except TimeoutError:
        raise OriginUnavailable(f"{server.url}: no answer within {POLL_SECONDS:g} s") from None
    except _NOT_REACHED:
        raise
    except httpx.HTTPError as error:
        raise _fault(server, error) from None


async def _passed(server: Server, response: httpx.Response) -> Passed:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _MOST_BYTES:
            raise OriginUnavailable(f"{server.url}: it answers more than {_MOST_BYTES} bytes")
    return Passed(response.status_code, bytes(body), response.headers.get("content-type", ""), server)


def _fault(server: Server, error: httpx.HTTPError) -> OriginUnavailable:
    return OriginUnavailable(f"{server.url}: {reason_of(error)}")
