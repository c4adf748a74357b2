"""`alert-history rollup`, and what `doctor` says of the numbers.

Holds: `cli.rollup`, `cli.doctor_numbers`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from alert_history.cli.doctor_numbers import sample
from alert_history.ports import RollupSize, Store
from alert_history.storage import open_store
from tests.commands import run
from tests.conformance import raw
from tests.conformance.samples import DAY, alert, receipt
from tests.numbers import numbers_of
from tests.processes import free_port

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
DAYS = [NOW - days * DAY for days in (4, 3, 2, 1, 0)]

pytestmark = pytest.mark.migrated


def command(database_url: str, *args: str) -> tuple[int, str, str]:
    done = run(*args, env={"DATABASE_URL": database_url, "PORT": str(free_port())})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def with_store(url: str, work: Callable[[Store], Awaitable[None]]) -> None:
    async def opened() -> None:
        store = open_store(url)
        await store.lifecycle.open()
        await work(store)
        await store.lifecycle.close()

    asyncio.run(opened())


@pytest.fixture
def recorded(database_url: str) -> str:
    """The URL of a database with five days of history, of which the first is added up."""

    async def record(store: Store) -> None:
        for number, at in enumerate(DAYS):
            await store.recorder.commit([receipt(*(alert(f"A{n}", starts_at=at) for n in range(number + 1)), at=at)])
            if number == 0:
                await store.rollups.fold()

    with_store(database_url, record)
    return database_url


async def _lose(url: str) -> None:
    """The numbers of an older pod, which wrote no log."""
    await raw.fetch(url, "DELETE FROM rollup_log")


def test_state_is_shown_and_nothing_is_changed(recorded: str) -> None:
    for _ in range(2):
        code, output, _ = command(recorded, "rollup")
        assert (code, output.splitlines()) == (
            0,
            [
                "state: the whole history is counted",
                f"days with numbers: {DAYS[0].date()} to {DAYS[0].date()}",
                "rows: 6",
                "changes that wait to be added up: 4",
                "can be counted anew: all days",
            ],
        )


def test_rebuild_counts_what_was_lost(recorded: str) -> None:
    asyncio.run(_lose(recorded))
    code, output, errors = command(recorded, "rollup", "--rebuild")
    assert (code, output, errors) == (0, "15 occurrences counted\n", "")
    begun: list[int] = []

    async def count(store: Store) -> None:
        begun.append(sum(tally.begun for tally in (await numbers_of(store))["all"].values()))

    with_store(recorded, count)
    assert begun == [15]


def test_rebuild_while_another_process_counts_is_refused(recorded: str) -> None:
    state = '{"is_counted": true, "holder": "another"}'
    asyncio.run(raw.fetch(recorded, f"UPDATE settings SET value = '{state}', updated_at = {_now(recorded)}"))
    code, _, errors = command(recorded, "rollup", "--rebuild")
    assert code == 1
    assert "another process counts the history anew" in errors
    assert "a process counts the history anew now" in command(recorded, "rollup")[1]


def _now(url: str) -> str:
    return "now()" if url.startswith("postgres") else "strftime('%s', 'now') * 1000000"


def test_doctor_says_that_the_numbers_agree(recorded: str) -> None:
    code, output, _ = command(recorded, "doctor")
    assert code == 0, output
    assert "they agree with the history of" in output


def test_doctor_tells_what_differs_and_the_remedy_helps(recorded: str) -> None:
    asyncio.run(_lose(recorded))
    code, output, _ = command(recorded, "doctor")
    assert code == 1
    assert "they tell of 0 × A0, the history of 1" in " ".join(output.split())
    assert "rollup --rebuild" in output
    command(recorded, "rollup", "--rebuild")
    assert command(recorded, "doctor")[0] == 0


def test_doctor_says_that_a_history_is_not_counted_yet(recorded: str) -> None:
    asyncio.run(raw.fetch(recorded, "DELETE FROM settings WHERE name = 'rollups'"))
    code, output, _ = command(recorded, "doctor")
    assert (code, "the history is not counted yet" in output) == (0, True)


TODAY = date(2026, 3, 4)


def size(*, first: int, whole: int | None = None) -> RollupSize:
    whole_from = None if whole is None else TODAY - timedelta(days=whole)
    return RollupSize(True, False, 0, 9, TODAY - timedelta(days=first), TODAY, whole_from)


def test_days_of_a_sample_are_whole_and_have_numbers() -> None:
    days = sample(size(first=100, whole=40), TODAY)
    assert len(days) == 3
    assert all(timedelta(days=1) <= TODAY - day <= timedelta(days=40) for day in days)
    assert sample(size(first=2), TODAY) == [TODAY - timedelta(days=2), TODAY - timedelta(days=1)]
    assert sample(size(first=0), TODAY) == []


def test_doctor_finds_a_history_without_any_numbers(recorded: str) -> None:
    asyncio.run(_lose(recorded))
    asyncio.run(raw.fetch(recorded, "DELETE FROM rollups"))
    code, output, _ = command(recorded, "doctor")
    assert (code, "rollup --rebuild" in output) == (1, True)


def test_sample_is_the_same_all_day_and_another_the_next_day() -> None:
    assert sample(size(first=300), TODAY) == sample(size(first=300), TODAY)
    assert sample(size(first=300), TODAY) != sample(size(first=301), TODAY + timedelta(days=1))
