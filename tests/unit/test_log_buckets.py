"""Buckets: each duration is in one, within 2 % of what stands for it; percentiles from counts are true."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.log_buckets import (
    LAST_BUCKET,
    bucket_of,
    counts_of,
    lower,
    merged,
    percentile,
    representative,
    upper,
)

TEN_YEARS = 10 * 366 * 86_400
microseconds = st.integers(0, TEN_YEARS * 10**6)
durations = st.one_of(microseconds, st.integers(0, 10**7), st.integers(0, 10**4)).map(lambda us: us / 10**6)
shares = st.one_of(st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]), st.floats(0, 1))


@given(durations)
def test_each_duration_is_in_one_bucket_within_two_percent(seconds: float) -> None:
    bucket = bucket_of(seconds)
    assert lower(bucket) <= seconds < upper(bucket)
    if seconds >= 0.001:
        assert abs(representative(bucket) - seconds) <= 0.02 * seconds
    else:
        assert representative(bucket) == 0


def test_buckets_adjoin_and_a_bound_belongs_to_the_longer_one() -> None:
    for bucket in range(1, LAST_BUCKET):
        assert upper(bucket - 1) == lower(bucket)
        if lower(bucket) < TEN_YEARS:  # far beyond, a float has no microseconds
            assert bucket_of(lower(bucket)) == bucket
            assert bucket_of(lower(bucket) - 1e-6) == bucket - 1
        assert max(upper(bucket) / representative(bucket), representative(bucket) / lower(bucket)) - 1 <= 0.0205


def test_the_bounds_are_those_that_counts_are_stored_by() -> None:
    assert [lower(bucket) for bucket in range(5)] == [0.0, 0.001, 0.00104, 0.001082, 0.001125]
    assert [bucket_of(seconds) for seconds in (0, 0.000999, 1, 60, 3600, 86_400, TEN_YEARS)] == [
        0,
        0,
        177,
        281,
        385,
        466,
        676,
    ]
    assert (LAST_BUCKET, bucket_of(10_000 * TEN_YEARS), upper(LAST_BUCKET)) == (852, 852, math.inf)
    assert representative(LAST_BUCKET) > lower(LAST_BUCKET)


def test_an_end_before_its_start_lasted_no_time() -> None:
    assert bucket_of(-5.0) == 0


@pytest.mark.parametrize("bucket", [-1, LAST_BUCKET + 1])
def test_there_is_no_other_bucket(bucket: int) -> None:
    for ask in (lower, upper, representative):
        with pytest.raises(ValueError, match="there are buckets 0 to 852"):
            ask(bucket)


@given(st.lists(durations, min_size=1, max_size=200), shares)
def test_a_percentile_of_counts_is_within_two_percent_of_the_exact_one(values: list[float], share: float) -> None:
    exact = sorted(values)[max(math.ceil(share * len(values) * (1 - 1e-12)), 1) - 1]
    estimate = percentile(counts_of(values), share)
    assert estimate is not None
    assert abs(estimate - exact) <= max(0.02 * exact, 0.001)


@given(st.lists(st.lists(durations, max_size=20), max_size=6))
def test_counts_merge_by_adding(parts: list[list[float]]) -> None:
    assert merged(map(counts_of, parts)) == counts_of(value for part in parts for value in part)


def test_the_share_of_a_whole_number_is_that_number() -> None:
    counts = counts_of(range(1, 101))
    for n in range(1, 101):
        assert percentile(counts, n / 100) == representative(bucket_of(n))


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({7: 0}, 0.5) is None


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_a_share_is_between_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile({1: 1}, share)
