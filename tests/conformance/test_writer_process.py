"""SQLite's process that only writes: begun under load, ended with the store, and missed by nobody when it dies.

Holds `alert_history.storage.sqlite.writer_process`, `writer_main` and `at_once`.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path

import psutil
import pytest

from alert_history.domain.receipt import Outcome, Receipt
from alert_history.ports import Store
from alert_history.storage import open_store
from tests.conformance import raw
from tests.conformance.samples import DAY, NOW, SECOND, alert, everything, kinds, receipt
from tests.numbers import check_sums

_LOAD = 100
_WAIT_SECONDS = 20
_STARTS_AT = NOW - DAY
_seconds = count()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'history.db'}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = open_store(url)
    await store.lifecycle.open()
    yield store
    await check_sums(store)
    await store.lifecycle.close()


def writers() -> list[psutil.Process]:
    """The processes of this test's store."""
    children = psutil.Process().children()
    return [process for process in children if any(word.endswith("writer_main") for word in process.cmdline())]


def load(name: str, *, number: int = _LOAD) -> Receipt:
    """New alerts; each call is a second after the call before it."""
    alerts = [alert(f"{name}-{n}", starts_at=_STARTS_AT) for n in range(number)]
    return receipt(*alerts, at=NOW + next(_seconds) * SECOND)


async def begun(store: Store) -> psutil.Process:
    """The process, once it takes orders: it has written when it has asked the disk for it."""
    async with asyncio.timeout(_WAIT_SECONDS):
        for turn in count():
            await store.recorder.commit([load(f"begun-{turn}")])
            if (processes := writers()) and processes[0].io_counters().write_chars > 0:
                return processes[0]
            await asyncio.sleep(0.05)
    raise AssertionError("unreachable")


async def test_small_batches_begin_no_process(store: Store) -> None:
    for turn in range(5):
        await store.recorder.commit([load(f"few-{turn}", number=10)])
    assert writers() == []


async def test_the_process_keeps_what_the_thread_keeps(store: Store, url: str) -> None:
    await begun(store)
    before = await raw.count(url, "alerts")
    (first,) = await store.recorder.commit([load("L1")])
    (again,) = await store.recorder.commit([load("L1")])
    assert (first.stored, first.repeated) == (_LOAD, 0)
    assert (again.stored, again.repeated) == (0, _LOAD)
    assert await raw.count(url, "alerts") == before + _LOAD
    assert await kinds(store, alert("L1-7", starts_at=_STARTS_AT)) == ["fired"]


async def test_what_the_process_wrote_is_found_by_its_labels(store: Store) -> None:
    await begun(store)
    await store.recorder.commit([load("L1")])
    occurrences = [occurrence for occurrence in await everything(store) if occurrence.alertname == "L1-3"]
    assert [(occurrence.labels["namespace"], occurrence.repeat_count) for occurrence in occurrences] == [("shop", 0)]


async def test_changes_of_what_the_process_wrote_are_decided(store: Store) -> None:
    await begun(store)
    await store.recorder.commit([load("L1")])
    over = receipt(*(alert(f"L1-{n}", "resolved", starts_at=_STARTS_AT) for n in range(_LOAD)), at=NOW + 60 * SECOND)
    (outcome,) = await store.recorder.commit([over])
    assert (outcome.stored, outcome.repeated) == (_LOAD, 0)
    assert await kinds(store, alert("L1-7", starts_at=_STARTS_AT)) == ["fired", "resolved"]


async def test_a_killed_process_costs_no_commit(store: Store, url: str) -> None:
    process = await begun(store)
    before = await raw.count(url, "alerts")
    process.send_signal(signal.SIGKILL)
    outcomes = [(await store.recorder.commit([load(f"L{turn}")]))[0] for turn in range(3)]
    assert [(outcome.stored, outcome.repeated) for outcome in outcomes] == [(_LOAD, 0)] * 3
    assert await raw.count(url, "alerts") == before + 3 * _LOAD


async def test_another_process_follows_a_killed_one(store: Store) -> None:
    process = await begun(store)
    process.send_signal(signal.SIGKILL)
    await store.recorder.commit([load("L1")])
    assert (await begun(store)).pid != process.pid


async def test_the_process_ends_with_its_store(url: str) -> None:
    store = open_store(url)
    await store.lifecycle.open()
    process = await begun(store)
    await store.lifecycle.close()
    assert not process.is_running()


async def test_commits_that_are_given_up_leave_their_turns_to_others(store: Store, url: str) -> None:
    """A turn that nobody gives back would keep the thread of the service from writing for ever."""
    await begun(store)
    for turn in range(10):
        commits = [asyncio.create_task(store.recorder.commit([load(f"G{turn}-{n}")])) for n in range(20)]
        await asyncio.sleep(0.002 * turn)
        for commit in commits:
            commit.cancel()
        await asyncio.gather(*commits, return_exceptions=True)
    async with asyncio.timeout(_WAIT_SECONDS):
        await store.settings.write("turn", "given back")
        (outcome,) = await store.recorder.commit([load("after")])
    assert outcome.stored == _LOAD
    assert await raw.count(url, "alerts") == await raw.count(url, "events")


async def test_killed_again_and_again_under_load_everything_is_kept_once(store: Store, url: str) -> None:
    """Whether the process died before or after a commit, what was acknowledged is there, and is there once."""
    rng = random.Random(7)
    await begun(store)
    before = await raw.count(url, "alerts")
    batches = [[load(f"L{turn}", number=80)] for turn in range(60)]

    async def kill() -> None:
        while True:
            await asyncio.sleep(rng.uniform(0.005, 0.05))
            for process in writers():
                os.kill(process.pid, signal.SIGKILL)

    killing = asyncio.create_task(kill())
    try:
        outcomes = [outcome for batch in batches for outcome in await _sent(store, batch)]
    finally:
        killing.cancel()
    assert {(outcome.stored, outcome.repeated) for outcome in outcomes} <= {(80, 0), (0, 80)}
    assert await raw.count(url, "alerts") == before + 60 * 80
    assert await raw.count(url, "events") == before + 60 * 80


async def _sent(store: Store, batch: Sequence[Receipt]) -> list[Outcome]:
    return list(await store.recorder.commit(batch))
