"""Sums of long spans come from blocks of days, and are those of the days, whatever changes them.

Holds: `storage.shared.tally_blocks`, `domain.day_blocks`.
"""

import asyncio
import sys
from datetime import date, datetime, timedelta
from random import Random

import pytest

from alert_history.ports import Store
from tests.conformance import raw
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import DAY, MINUTE, NOW
from tests.histories import Firing, record
from tests.numbers import check_blocks, check_sums, fold_all, minute_passes, seal_all

TODAY = (NOW.date() - date(1970, 1, 1)).days
FIRST_DAY = TODAY - 75
SPANS = [(FIRST_DAY - 40, TODAY), *((FIRST_DAY + days, TODAY - days) for days in range(0, 35, 4))]
KILLS = 3


def weeks_of_firings(seed: int = 1, *, number: int = 60) -> list[Firing]:
    """Firings of eleven weeks, half of which are over."""
    random = Random(seed)
    return [
        Firing(
            f"A{random.randrange(5)}",
            begins := NOW - timedelta(minutes=random.randrange(75 * 1440)),
            begins + random.randrange(600) * MINUTE if random.random() < 0.5 else None,
            {"pod": f"{seed}-{each}", "severity": random.choice(["critical", "warning"])},
            repeats=random.randrange(3),
        )
        for each in range(number)
    ]


@pytest.fixture
async def sealed(store: Store) -> Store:
    """A store with eleven weeks of numbers, sealed as far as they are over."""
    await record(store, *weeks_of_firings(), Firing("A0", NOW))
    await fold_all(store)
    assert await seal_all(store) >= 11
    return store


async def blocks(url: str) -> list[tuple[int, int]]:
    rows = await raw.fetch(url, "SELECT days, first_day FROM rollup_sealed ORDER BY days, first_day")
    return [(row[0], row[1]) for row in rows]


async def late(store: Store, seed: int, *, number: int = 10) -> None:
    """Occurrences of the past come, and some that are there end, in days that are sealed."""
    await record(store, *weeks_of_firings(seed, number=number))
    open_firings = [each for each in weeks_of_firings() if each.ends is None]
    await record(
        store, *(Firing(each.alertname, each.begins, NOW - MINUTE, each.labels) for each in open_firings[:number])
    )


async def test_sums_are_those_of_the_days(sealed: Store, database_url: str) -> None:
    assert {days for days, _ in await blocks(database_url)} == {7, 28}
    await check_blocks(sealed, SPANS)


async def test_blocks_are_read(sealed: Store, database_url: str) -> None:
    """Else nobody would notice that they are not."""
    await raw.fetch(database_url, "UPDATE rollup_blocks SET begun = begun + 1000 WHERE days = 28")
    sums = await sealed.analytics.sums("all", first_day=FIRST_DAY - 40, last_day=TODAY)
    assert sums[""].begun > 1000


async def test_late_changes_are_in_the_sums_before_and_after_they_are_added_up(sealed: Store) -> None:
    await late(sealed, seed=2)
    await check_blocks(sealed, SPANS)
    await fold_all(sealed)
    await check_blocks(sealed, SPANS)


async def test_late_value_is_in_the_blocks_that_were_sealed_without_it(sealed: Store) -> None:
    await record(sealed, Firing("New", NOW - 60 * DAY), Firing("New", NOW - 59 * DAY, labels={"namespace": "new"}))
    await fold_all(sealed)
    sums = await sealed.analytics.sums("alertname", first_day=FIRST_DAY - 40, last_day=TODAY)
    assert sums["New"].begun == 2
    await check_blocks(sealed, SPANS)


async def test_new_count_opens_all_blocks_and_seals_them_again(sealed: Store, database_url: str) -> None:
    before = await blocks(database_url)
    await late(sealed, seed=3)
    await sealed.rollups.count_anew(progress=lambda _: None)
    assert await blocks(database_url) == before
    await check_blocks(sealed, SPANS)
    await check_sums(sealed)


async def test_forgotten_days_leave_the_blocks(sealed: Store, database_url: str) -> None:
    await sealed.rollups.forget((NOW - 50 * DAY).date())
    assert all(first_day >= TODAY - 50 for _, first_day in await blocks(database_url))
    await check_blocks(sealed, SPANS)
    assert await seal_all(sealed) > 0, "the block in whose midst they were forgotten"
    await check_blocks(sealed, SPANS)
    await sealed.rollups.count_anew(progress=lambda _: None)  # their occurrences are still there
    await check_blocks(sealed, SPANS)


async def test_reader_that_counts_on_blocks_that_are_open_by_now_reads_days(
    sealed: Store, open_replica: OpenReplica, database_url: str
) -> None:
    reader = await open_replica()
    await check_blocks(reader, SPANS[:1])  # now it knows the blocks
    await raw.fetch(database_url, "DELETE FROM rollup_sealed")
    await raw.fetch(database_url, "DELETE FROM rollup_blocks")
    await check_blocks(reader, SPANS)
    await sealed.rollups.forget((NOW - 30 * DAY).date())
    await seal_all(sealed)
    await check_blocks(reader, SPANS)
    await sealed.rollups.count_anew(progress=lambda _: None)
    await check_blocks(reader, SPANS)


async def test_killed_whenever_the_blocks_hold_what_the_days_do(sealed: Store, database_url: str) -> None:
    """Killed while it adds up, seals, forgets nothing and counts anew."""
    random = Random(5)
    for kill in range(KILLS):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.conformance.adding_up", database_url, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        for step in range(random.randrange(1, 6)):
            await record(sealed, *weeks_of_firings(100 + 10 * kill + step, number=4))
            await asyncio.sleep(random.random() * 0.03)
        process.kill()
        await process.wait()
        await minute_passes(database_url)
        await check_blocks(sealed, SPANS[:2])
    await fold_all(sealed)
    await seal_all(sealed)
    await check_blocks(sealed, SPANS)
    await check_sums(sealed)


async def test_two_replicas_seal_each_block_once(sealed: Store, open_replica: OpenReplica, database_url: str) -> None:
    other = await open_replica()
    before = await blocks(database_url)
    await raw.fetch(database_url, "DELETE FROM rollup_sealed")
    await raw.fetch(database_url, "DELETE FROM rollup_blocks")
    await asyncio.gather(seal_all(sealed), seal_all(other))
    await seal_all(other)
    assert await blocks(database_url) == before
    await check_blocks(other, SPANS)


def test_weeks_of_firings_have_days_before_and_after_blocks() -> None:
    times: list[datetime] = [each.begins for each in weeks_of_firings()]
    assert NOW - min(times) > 70 * DAY
    assert NOW - max(times) < 7 * DAY
