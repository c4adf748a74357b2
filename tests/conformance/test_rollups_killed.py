"""The numbers survive kill -9 of the process that adds them up, or that counts the whole history anew.

Holds: `storage.shared.rollups`, `storage.shared.rollup_log`, `storage.shared.counting_anew`.
"""

import asyncio
import sys
from random import Random

from alert_history.ports import Store
from tests.conformance.samples import MINUTE, NOW, alert, everything, receipt
from tests.numbers import check_sums, fold_all, minute_passes, numbers_of

KILLS = 8


async def started(url: str) -> asyncio.subprocess.Process:
    """A process that adds up, once it does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.conformance.adding_up", url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def test_killed_while_it_adds_up_or_counts_anew_everything_is_counted_once(
    store: Store, database_url: str
) -> None:
    random = Random(7)
    minute = 0
    for _ in range(KILLS):
        process = await started(database_url)
        for _ in range(random.randrange(1, 25)):
            minute += 1
            at = NOW + minute * MINUTE
            over = alert("Over", "resolved", starts_at=at - MINUTE, ends_at=at)
            await store.recorder.commit([receipt(alert(f"A{minute % 7}", starts_at=at), over, at=at)])
            await asyncio.sleep(random.random() * 0.02)
        process.kill()
        await process.wait()
        await minute_passes(database_url)
    before = await numbers_of(store)
    await fold_all(store)
    assert await numbers_of(store) == before
    assert sum(tally.begun for tally in before["all"].values()) == len(await everything(store))
    await check_sums(store)
