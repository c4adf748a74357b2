"""The Wilson interval: known values, and what is true of it for all counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.wilson import Interval, wilson

COUNTS = st.integers(1, 10_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


@pytest.mark.parametrize(
    "hits, of, low, high",
    [
        (3, 3, 0.438494, 1.0),  # 3 / (3 + 1.96²)
        (0, 3, 0.0, 0.561506),  # 1.96² / (3 + 1.96²)
        (30, 40, 0.598057, 0.858130),
        (5, 10, 0.236590, 0.763410),
        (50, 100, 0.403830, 0.596170),
    ],
)
def test_known_bounds(hits: int, of: int, low: float, high: float) -> None:
    bounds = wilson(hits, of)
    assert (bounds.low, bounds.high) == pytest.approx((low, high), abs=1e-5)


def test_without_counts_every_share_is_possible() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)


@given(COUNTS)
def test_the_share_is_between_the_bounds(counts: tuple[int, int]) -> None:
    hits, of = counts
    bounds = wilson(hits, of)
    assert 0 <= bounds.low <= hits / of <= bounds.high <= 1


@given(COUNTS)
def test_ten_times_the_counts_make_the_bounds_narrower(counts: tuple[int, int]) -> None:
    hits, of = counts
    few, many = wilson(hits, of), wilson(10 * hits, 10 * of)
    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize("hits, of", [(-1, 3), (4, 3), (1, 0)])
def test_a_share_beyond_all_is_refused(hits: int, of: int) -> None:
    with pytest.raises(ValueError, match="among"):
        wilson(hits, of)
