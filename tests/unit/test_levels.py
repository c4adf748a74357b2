"""What fires at a time, counted by hand."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.levels import Firing, firing_in, level_of, together, without
from alert_history.domain.tally import MINUTE_US, QUARTER_US

HOUR_US = 4 * QUARTER_US
SPANS = st.lists(
    st.tuples(st.integers(0, 40 * QUARTER_US), st.none() | st.integers(0, 40 * QUARTER_US)).map(
        lambda pair: pair if pair[1] is None else (min(pair[0], pair[1]), max(pair[0], pair[1]))
    ),
    max_size=20,
)
EDGES = [number * HOUR_US for number in range(9)]


def test_two_alerts_of_an_hour_and_a_half() -> None:
    level = level_of([(10 * MINUTE_US, 40 * MINUTE_US), (20 * MINUTE_US, None)])
    firing = firing_in(level, [0, HOUR_US, HOUR_US + 2 * QUARTER_US])
    assert firing == Firing([1, 1], [2, 1], [70 * MINUTE_US, 30 * MINUTE_US])


def test_alert_that_ends_at_the_end_of_a_bucket_fires_until_there() -> None:
    firing = firing_in(level_of([(1, HOUR_US)]), [0, HOUR_US, 2 * HOUR_US])
    assert firing == Firing([1, 0], [1, 1], [HOUR_US - 1, 0])


def test_last_bucket_ends_inside_a_quarter() -> None:
    firing = firing_in(level_of([(0, None)]), [0, HOUR_US + 100])
    assert firing == Firing([1], [1], [HOUR_US + 100])


def test_nothing_is_between_fewer_than_two_edges() -> None:
    assert firing_in(level_of([(0, None)]), []) == Firing([], [], [])


@given(SPANS)
def test_buckets_are_those_of_a_slow_count(spans: list[tuple[int, int | None]]) -> None:
    def fire(at_us: int) -> int:
        return sum(start < at_us and (end is None or end >= at_us) for start, end in spans)

    firing = firing_in(level_of(spans), EDGES)
    assert list(firing.counts) == [fire(edge) for edge in EDGES[1:]]
    for place, (begin, end) in enumerate(pairwise(EDGES)):
        assert firing.peaks[place] == max(fire(at) for at in range(begin, end + 1, QUARTER_US))
        lasted = (min(end, last if last is not None else end) - max(begin, start) for start, last in spans)
        assert firing.lasted_us[place] == sum(each for each in lasted if each > 0)


@given(SPANS, SPANS)
def test_levels_add_up(some: list[tuple[int, int | None]], others: list[tuple[int, int | None]]) -> None:
    whole, part = level_of([*some, *others]), level_of(some)
    rows = firing_in(part, EDGES), firing_in(without(whole, [part]), EDGES)
    assert firing_in(whole, EDGES).counts == [sum(counts) for counts in zip(*(row.counts for row in rows), strict=True)]
    assert firing_in(together([part, level_of(others)]), EDGES) == firing_in(whole, EDGES)
