"""The heatmap counts by the clocks of a place.

Holds: `engine.heatmap`.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alert_history.domain.calendar import zone
from alert_history.engine.heatmap import Heatmap
from alert_history.ports import Store
from tests.conformance.samples import DAY, NOW, SECOND
from tests.statistics import Firing, answering, record, span

HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


async def heatmap(store: Store, tz: str, since: datetime, until: datetime, *, query: str = "") -> Heatmap:
    """The heatmap of a span, compared."""
    asked = span(since, until, query=query, now=until)
    made = await answering(store).heatmap.heatmap(asked, zone(tz), tz_name=tz, is_compared=True)
    for each in (made, made.compared):
        assert each is not None
        assert (len(each.cells), sum(cell.begun for cell in each.cells)) == (168, each.total)
        assert [(cell.weekday, cell.hour) for cell in each.cells] == [(d, h) for d in range(7) for h in range(24)]
        assert sum(cell.hours for cell in each.cells) == pytest.approx((until - since) / HOUR)
    return made


def begun(made: Heatmap) -> dict[tuple[int, int], int]:
    """The cells that are not empty."""
    return {(cell.weekday, cell.hour): cell.begun for cell in made.cells if cell.begun}


@pytest.mark.parametrize("query", ["", '{pod="p"}'])
async def test_hours_of_kathmandu_begin_at_a_quarter(store: Store, query: str) -> None:
    begins = datetime(2026, 3, 2, 18, 15, tzinfo=UTC)  # Tuesday, 00:00 in Nepal
    ages = (-TICK, timedelta(), HOUR - TICK, HOUR)
    await record(store, *(Firing(f"A{age}", begins + age, labels={"pod": "p"}) for age in ages))
    made = await heatmap(store, "Asia/Kathmandu", begins - DAY + SECOND, NOW, query=query)
    assert begun(made) == {(0, 23): 1, (1, 0): 2, (1, 1): 1}


async def test_hour_that_clocks_skip_has_no_time(store: Store) -> None:
    since, until = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 4, 4, 22, tzinfo=UTC)
    await store.upkeep.prepare(until)
    await record(store, Firing("A", since + 2 * HOUR - TICK), Firing("B", since + 2 * HOUR))
    made = await heatmap(store, "Europe/Berlin", since, until)
    assert begun(made) == {(6, 1): 1, (6, 3): 1}
    sunday = {cell.hour: (cell.hours, cell.per_hour) for cell in made.cells if cell.weekday == 6}
    assert (sunday[1], sunday[2], sunday[3]) == ((1.0, 1.0), (0.0, None), (1.0, 1.0))


async def test_hour_that_clocks_show_twice_has_two(store: Store) -> None:
    since, until = datetime(2025, 10, 25, 22, tzinfo=UTC), datetime(2025, 10, 26, 23, tzinfo=UTC)
    await store.upkeep.prepare(since)
    await record(store, Firing("A", since + 2 * HOUR), Firing("B", since + 3 * HOUR), Firing("C", since + 3 * HOUR))
    made = await heatmap(store, "Europe/Berlin", since, until)
    (cell,) = [cell for cell in made.cells if cell.begun]
    assert (cell.weekday, cell.hour, cell.begun, cell.hours, cell.per_hour) == (6, 2, 3, 2.0, 1.5)


async def test_heatmap_is_that_of_a_slow_count(store: Store) -> None:
    tz = ZoneInfo("Australia/Lord_Howe")  # its clocks go back by half an hour, on 5 April 2026
    until = datetime(2026, 4, 7, tzinfo=UTC)
    await store.upkeep.prepare(until)
    times = [until - 3 * DAY + number * timedelta(minutes=47, seconds=13) for number in range(80)]
    await record(store, *(Firing(f"A{time}", time) for time in times))
    made = await heatmap(store, "Australia/Lord_Howe", until - 3 * DAY, until)
    expected: dict[tuple[int, int], int] = {}
    for time in times:
        local = time.astimezone(tz)
        place = (local.weekday(), local.hour)
        expected[place] = expected.get(place, 0) + 1
    assert begun(made) == expected


async def test_change_is_cell_by_cell(store: Store) -> None:
    await record(store, Firing("A", NOW - HOUR), Firing("B", NOW - HOUR), Firing("C", NOW - 7 * DAY - HOUR))
    made = await heatmap(store, "UTC", NOW - 7 * DAY, NOW)
    assert made.compared is not None
    assert (made.total, made.compared.total, made.compared.change) == (2, 1, 1)
    (cell,) = [cell for cell in made.compared.cells if cell.begun]
    assert (cell.weekday, cell.hour, cell.change) == (2, 11, 1)


async def test_future_has_no_hours(store: Store) -> None:
    asked = span(NOW + DAY, NOW + 2 * DAY)
    made = await answering(store).heatmap.heatmap(asked, UTC, tz_name="UTC")
    assert (made.total, sum(cell.hours for cell in made.cells)) == (0, 0)
