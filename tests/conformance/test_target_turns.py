"""All replicas together tell a target no more often than its rate limit says."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from alert_history.ports import Store
from alert_history.storage import open_store

_EVERY = timedelta(minutes=1)  # so that no test is slow enough to reach the next turn
_WITHIN = 10 * _EVERY


@pytest.fixture
async def pair(postgres_url: str) -> AsyncIterator[list[Store]]:
    """Two replicas on one PostgreSQL."""
    stores = [open_store(postgres_url), open_store(postgres_url)]
    for store in stores:
        await store.lifecycle.open()
    yield stores
    for store in stores:
        await store.lifecycle.close()


async def turns(stores: list[Store], count: int, *, burst: int = 1, within: timedelta = _WITHIN) -> list[int | None]:
    """How many minutes each of so many turns is away, taken by the replicas at the same time."""
    asked = (
        stores[number % len(stores)].outbox.reserve("slack", every=_EVERY, burst=burst, within=within)
        for number in range(count)
    )
    minutes = [None if wait is None else round(wait / _EVERY) for wait in await asyncio.gather(*asked)]
    return sorted(minutes, key=lambda wait: (wait is None, wait or 0))


async def test_replicas_take_turns_one_after_the_other(pair: list[Store]) -> None:
    assert await turns(pair, 4) == [0, 1, 2, 3]


async def test_a_burst_may_go_at_once(pair: list[Store]) -> None:
    assert await turns(pair, 5, burst=3) == [0, 0, 0, 1, 2]


async def test_a_turn_too_far_off_is_not_taken(pair: list[Store]) -> None:
    assert await turns(pair, 5, within=1.5 * _EVERY) == [0, 1, None, None, None]
    assert await turns(pair, 1) == [2]


async def test_targets_have_turns_of_their_own(pair: list[Store]) -> None:
    assert await turns(pair, 2) == [0, 1]
    assert await pair[0].outbox.reserve("other", every=_EVERY, burst=1, within=_WITHIN) == timedelta()


@pytest.mark.parametrize("ahead", ["1 hour", "1000 days"])
async def test_turns_begin_anew_where_the_clock_was_set_back(pair: list[Store], postgres_url: str, ahead: str) -> None:
    assert await turns(pair, 1) == [0]
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"UPDATE target_turns SET free_at = now() + interval '{ahead}'")
    await connection.close()
    assert await turns(pair, 2) == [0, 1]


async def test_an_sqlite_file_has_one_process_whose_own_rate_is_enough(sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    await store.lifecycle.open()
    assert await turns([store], 3) == [0, 0, 0]
    await store.lifecycle.close()
