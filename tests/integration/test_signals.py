"""Signals through a real Redis: heard by the others, never an error, and back by themselves after an outage."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from redis import Redis

from alert_history.signals.redis import RedisSignals
from tests.processes import HOST, Server, free_port
from tests.servers import redis_server

WITHIN_SECONDS = 20


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with redis_server() as server:
        yield server


def url_of(server: Server) -> str:
    return f"redis://{HOST}:{server.port}/0"


@asynccontextmanager
async def following(signals: RedisSignals) -> AsyncIterator[asyncio.Queue[str]]:
    heard: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(signals.follow(heard.put_nowait))
    try:
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while not is_so():  # what Redis does is asked for
            await asyncio.sleep(0.01)


async def test_a_word_reaches_every_replica(redis: Server) -> None:
    first, other = RedisSignals(url_of(redis)), RedisSignals(url_of(redis))
    async with following(first) as heard_by_one, following(other) as heard_by_other:
        await until(lambda: first.state() == "ok" and other.state() == "ok")
        await first.send("mode")
        async with asyncio.timeout(WITHIN_SECONDS):
            assert [await heard_by_one.get(), await heard_by_other.get()] == ["mode", "mode"]


async def test_a_password_apart_from_the_url_is_given_too(redis: Server) -> None:
    with Redis(host=HOST, port=redis.port) as client:
        client.execute_command("ACL", "SETUSER", "eve", "on", ">p@ss/w0rd#1", "allchannels", "+@all")
    url = f"redis://eve@{HOST}:{redis.port}/0"
    allowed, locked_out = RedisSignals(url, "p@ss/w0rd#1"), RedisSignals(url)
    async with following(allowed), following(locked_out):
        await until(lambda: allowed.state() == "ok" and locked_out.state().startswith("no answer"))


async def test_nobody_there_is_no_error_and_says_so() -> None:
    signals = RedisSignals(f"redis://:a-secret@{HOST}:{free_port()}/0")
    async with following(signals):
        await until(lambda: signals.state().startswith("no answer"))
        await signals.send("mode")
        assert "a-secret" not in signals.state()


async def test_after_an_outage_words_are_heard_again() -> None:
    with redis_server() as server:
        signals = RedisSignals(url_of(server))
        async with following(signals) as heard:
            await until(lambda: signals.state() == "ok")
            server.kill()
            await until(lambda: signals.state() != "ok")
            await signals.send("lost")
            server.start()
            await until(lambda: signals.state() == "ok")
            await signals.send("mode")
            async with asyncio.timeout(WITHIN_SECONDS):
                assert await heard.get() == "mode"
