"""What fires now is added up for people, and counted once for all who look at the same moment.

Holds: `engine.firing_now`.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from alert_history.domain.grant import EVERYBODY, Grant, reach_of
from alert_history.domain.query import ALL, Query
from alert_history.engine.caller import set_caller
from alert_history.engine.firing_now import REMEMBERED, FiringNow, view_of
from alert_history.errors import StorageUnavailable
from alert_history.ports import FiringGroup, Mute

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def group(
    name: str,
    severity: str,
    number: int = 1,
    *,
    muted: Mute | None = None,
    minutes: int = 10,
    is_unconfirmed: bool = False,
) -> FiringGroup:
    begin = NOW - minutes * MINUTE
    return FiringGroup(name, severity, is_unconfirmed, muted, number, begin, begin)


class Reads:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails = False

    async def by_severity(self) -> dict[str, int]:
        self.calls += 1
        await asyncio.sleep(0)
        if self.fails:
            raise StorageUnavailable("the database is away")
        return {"info": 1, "warning": 2, "critical": 3, "page": 4}

    async def groups(self, now: datetime, *, query: Query = ALL) -> Sequence[FiringGroup]:  # noqa: ARG002  # the port's shape
        return [group("DiskFull", "critical")]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


async def test_many_pages_at_once_cost_one_look_until_it_is_old() -> None:
    reads, clock = Reads(), Clock()
    firing = FiringNow(reads, clock=clock)
    answers = await asyncio.gather(*(firing.by_severity() for _ in range(20)))
    assert [list(answer or {}) for answer in answers] == [["critical", "page", "warning", "info"]] * 20
    assert reads.calls == 1
    clock.now += REMEMBERED
    await firing.by_severity()
    assert reads.calls == 2


async def test_a_database_that_is_away_costs_one_look_and_nothing_is_known() -> None:
    reads = Reads()
    reads.fails = True
    firing = FiringNow(reads, clock=Clock())
    assert await asyncio.gather(*(firing.by_severity() for _ in range(5))) == [None] * 5
    assert reads.calls == 1


def test_severities_and_rules_are_told_the_worst_first_and_what_is_muted_last() -> None:
    view = view_of(
        [
            group("Old", "critical", 2, minutes=60),
            group("New", "critical", minutes=1),
            group("Muted", "critical", 5, muted="silenced"),
            group("Mixed", "warning", 3, muted="inhibited"),
            group("Mixed", "critical", 1, is_unconfirmed=True, minutes=90),
            group("Odd", "whatever"),
        ]
    )
    assert [count.name for count in view.rules] == ["New", "Mixed", "Old", "Odd", "Muted"]
    mixed = view.rules[1]
    assert (mixed.number, mixed.loud, mixed.inhibited, mixed.unconfirmed) == (4, 1, 3, 1)
    assert (mixed.severity, mixed.oldest_at, mixed.newest_at) == ("critical", NOW - 90 * MINUTE, NOW - 10 * MINUTE)
    assert [(count.name, count.number) for count in view.severities] == [
        ("critical", 9),
        ("warning", 3),
        ("whatever", 1),
    ]
    assert view.whole is not None
    assert (view.whole.number, view.whole.silenced, view.whole.inhibited) == (13, 5, 3)


def test_nothing_is_nothing() -> None:
    view = view_of([])
    assert (view.severities, view.rules, view.whole) == ([], [], None)


async def test_the_view_is_of_now() -> None:
    view = await FiringNow(Reads(), clock=Clock()).view()
    assert [count.name for count in view.rules] == ["DiskFull"]


async def test_what_is_remembered_for_one_reach_is_told_to_nobody_with_another() -> None:
    reads, clock = Reads(), Clock()
    firing = FiringNow(reads, clock=clock)
    for number, reach in enumerate((None, '{team="a"}', '{team="b"}'), start=1):
        set_caller(EVERYBODY if reach is None else Grant(reach=reach_of(reach)))
        await firing.by_severity()
        await firing.by_severity()
        assert reads.calls == number
    set_caller(EVERYBODY)
    await firing.by_severity()
    assert reads.calls == 3
