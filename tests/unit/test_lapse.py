"""The jobs that let time pass: what an upgrade found is taken up step by step, never so much that ingest waits."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from alert_history.domain.claim import SECOND_US
from alert_history.domain.group import SeenGroup
from alert_history.engine.lapse import Groups, Lapsing
from alert_history.ports import Left
from tests.conformance.samples import alert, receipt

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Unclaimed:
    """Standings of which so many open occurrences have none yet."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.adoptions = 0
        self.forgotten = self.left_to_forget = 0

    async def adopt(self, now: datetime, *, limit: int = 500) -> int:
        assert now == NOW
        self.adoptions += 1
        adopted = min(self.left, limit)
        self.left -= adopted
        return adopted

    async def let_pass(self, now: datetime, *, stale_after: Mapping[str, int] | None, limit: int = 500) -> int:
        assert (now, bool(stale_after), limit > 0) == (NOW, False, True)
        return 0

    async def leave(self, left: Sequence[Left], now: datetime) -> int:
        raise AssertionError((left, now))

    async def save_groups(self, groups: Sequence[SeenGroup]) -> None:
        raise AssertionError(groups)

    async def load_groups(self, since: datetime | None = None) -> list[SeenGroup]:
        assert since is None
        return []

    async def forget(self, before: datetime) -> int:
        assert before < NOW
        self.forgotten += 1
        return 0 if self.forgotten > self.left_to_forget else 2_000

    async def count(self) -> dict[str, int]:
        return {}

    def open_are(self, counts: Mapping[str, int]) -> None:
        assert counts == {}


def lapsing(standings: Unclaimed) -> Lapsing:
    return Lapsing(standings, Groups(), clock=lambda: NOW, observer=standings)


async def test_much_that_an_upgrade_found_does_not_hold_up_the_start() -> None:
    standings = Unclaimed(1_000_000)
    await lapsing(standings).open()
    assert standings.left > 900_000


async def test_what_the_start_left_is_taken_up_in_the_next_seconds() -> None:
    standings = Unclaimed(2_345)
    jobs = lapsing(standings)
    await jobs.open()
    seconds = 0
    while standings.left:
        await jobs.let_pass()
        seconds += 1
    assert 0 < seconds < 60


async def test_nobody_looks_each_second_for_what_is_not_there() -> None:
    standings = Unclaimed(0)
    jobs = lapsing(standings)
    await jobs.open()
    adoptions = standings.adoptions
    await jobs.let_pass()
    assert standings.adoptions == adoptions


async def test_a_turn_of_forgetting_reads_all_standings_however_many_there_are() -> None:
    standings = Unclaimed(0)
    standings.left_to_forget = 5
    await lapsing(standings).forget()
    assert standings.forgotten == 6


@pytest.mark.parametrize("gap, interval", [(timedelta(seconds=30), 30), (timedelta(hours=4), 300)])
def test_a_gap_that_may_be_one_between_repeats_counts_as_five_minutes(gap: timedelta, interval: int) -> None:
    groups = Groups()
    payloads = [receipt(alert(), at=NOW + n * gap) for n in range(2)]
    for payload in payloads:
        groups.heard(payload)
    assert groups.interval_us(payloads[-1]) == interval * SECOND_US


def test_a_payload_that_comes_twice_says_nothing_of_how_often_its_group_is_told() -> None:
    groups = Groups()
    payloads = [receipt(alert(), at=NOW + timedelta(seconds=at)) for at in (0, 3)]
    for payload in payloads:
        groups.heard(payload)
    assert groups.interval_us(payloads[-1]) is None
    assert groups.stale_after() == {}


def test_how_often_a_group_is_looked_at_is_not_known_by_its_first_payload() -> None:
    groups = Groups()
    groups.heard(receipt(alert()))
    assert groups.interval_us(receipt(alert())) is None
