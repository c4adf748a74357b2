"""Signals through Redis' publish and subscribe: lossy, and nothing depends on them but a little time.

Whatever Redis does, sending never raises and never takes longer than `_SEND_SECONDS`; following goes on until it is
cancelled and connects anew as often as it must.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from alert_history.urls.redis import read_redis_url

if TYPE_CHECKING:
    from redis.asyncio import Redis

_CHANNEL = "alert-history"
_SEND_SECONDS = 0.5
_CONNECT_SECONDS = 2.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0
_LISTEN_SECONDS = 5.0
_NOBODY_MINDS = "probe"
_UNKNOWN = "not connected yet"

_log = structlog.get_logger()


async def probe(url: str, password: str | None = None) -> str | None:
    """None if a word sent through Redis comes back within a few seconds; else what is wrong, without secrets."""
    from redis.exceptions import AuthenticationError, NoPermissionError

    try:
        async with (
            asyncio.timeout(2 * _CONNECT_SECONDS),
            make_client(url, password) as client,
            client.pubsub() as channel,
        ):
            await channel.subscribe(_CHANNEL)
            await client.publish(_CHANNEL, _NOBODY_MINDS)
            while (await channel.get_message(ignore_subscribe_messages=True, timeout=_CONNECT_SECONDS)) is None:
                pass  # the answer to the subscription, or nothing yet
    except AuthenticationError:
        return "it refuses the user or the password"
    except NoPermissionError:
        return f"this user may not publish and subscribe to {_CHANNEL}"
    except Exception as error:  # noqa: BLE001  # what a client of a foreign server may raise is no closed list
        return f"no answer ({type(error).__name__})"
    return None


def make_client(url: str, password: str | None) -> "Redis":
    """A client of the URL's server, with `password` if the URL holds none. Connects at first use. Raises: UrlFault."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    parts = read_redis_url(url)
    options = {"socket_connect_timeout": _CONNECT_SECONDS, "client_name": "alert-history", **parts.arguments}
    return Redis.from_url(
        f"{parts.scheme}://",  # the parts, because errors about a URL may show it
        password=parts.password or password,
        retry=Retry(NoBackoff(), 0),
        **options,
    )


class RedisSignals:
    """See `ports.Signals`. `url` is a `redis://`, `rediss://` or `unix://` URL; `password` is for a URL without one."""

    def __init__(self, url: str, password: str | None = None) -> None:
        self._url = url
        self._password = password
        self._fault: str | None = _UNKNOWN
        self._client: Redis | None = None

    def state(self) -> str:
        """`ok`, or what is wrong; no secrets."""
        return self._fault or "ok"

    async def send(self, word: str) -> None:
        """See `ports.Signals.send`."""
        if self._fault is not None:
            return  # `follow` looks for it; nobody waits meanwhile
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._connected().publish(_CHANNEL, word)
        except Exception as error:  # noqa: BLE001  # a signal is worth no error
            self._note(error)

    async def follow(self, heard: Callable[[str], None]) -> None:
        """See `ports.Signals.follow`."""
        pause = _FIRST_PAUSE_SECONDS
        try:
            while True:
                try:
                    await self._listen(heard)
                except Exception as error:  # noqa: BLE001  # whatever Redis does, we go on without
                    pause = _FIRST_PAUSE_SECONDS if self._fault is None else min(2 * pause, _LONGEST_PAUSE_SECONDS)
                    self._note(error)
                    await asyncio.sleep(pause)
        finally:
            await self._disconnect()

    async def _listen(self, heard: Callable[[str], None]) -> None:
        async with self._connected().pubsub() as channel:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await channel.subscribe(_CHANNEL)
            while True:
                async with asyncio.timeout(2 * _LISTEN_SECONDS):
                    message = await channel.get_message(timeout=_LISTEN_SECONDS)
                self._recovered()
                if message is not None and message["type"] == "message":
                    heard(message["data"].decode(errors="replace"))
                elif message is None:
                    async with asyncio.timeout(_CONNECT_SECONDS):
                        await self._connected().ping()

    def _connected(self) -> "Redis":
        if self._client is None:
            self._client = make_client(self._url, self._password)
        return self._client

    async def _disconnect(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _note(self, error: Exception) -> None:
        if self._fault is None or self._fault is _UNKNOWN:
            _log.warning("cache_unavailable", reason=type(error).__name__)
        self._fault = f"no answer ({type(error).__name__})"

    def _recovered(self) -> None:
        if self._fault is not None:
            self._fault = None
            _log.info("cache_available")
