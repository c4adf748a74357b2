"""Durations: Kaplan and Meier by hand, as on the page, and against the estimator without buckets."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.durations import (
    DurationCounts,
    Durations,
    EndedDurations,
    counts_of_episodes,
    durations_from,
    durations_of,
    merged_counts,
    survival_percentile,
    survival_steps,
)
from alert_history.domain.episode import Episode
from alert_history.domain.log_buckets import bucket_of, counts_of, percentile, representative
from alert_history.domain.standing import EndedBy

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "durations.md").read_text(encoding="utf-8")
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def episode(seconds: float, ended_by: EndedBy | None = "resolved", *, is_firing: bool = False) -> Episode:
    """It lasted so long, or has by now."""
    begin = NOW - timedelta(seconds=seconds)
    return Episode(
        id="1",
        fingerprint="f",
        alertname="DiskFull",
        severity="warning",
        namespace="",
        starts_at=begin,
        ends_at=None if is_firing else NOW,
        received_at=begin,
        ended_by=None if is_firing else ended_by,
    )


def near(seconds: float) -> float:
    """What stands for that duration."""
    return representative(bucket_of(seconds))


EXAMPLE = [
    *(episode(seconds) for seconds in (60, 120, 120)),
    *(episode(seconds, "expired") for seconds in (300, 600)),
    *(episode(seconds, is_firing=True) for seconds in (90, 300, 900)),
]


def test_the_example_of_the_page() -> None:
    assert durations_of(EXAMPLE, NOW) == Durations(
        count=8,
        firing=3,
        p50_seconds=near(300),
        p90_seconds=None,
        p99_seconds=None,
        by_ended_by={
            "resolved": EndedDurations(3, near(120), near(120), near(120)),
            "expired": EndedDurations(2, near(300), near(600), near(600)),
        },
    )


def test_the_page_steps_as_the_estimator_does() -> None:
    ended, censored = counts_of([60, 120, 120, 300, 600]), counts_of([90, 300, 900])
    steps = {0.125: 60, 0.41: 120, 0.5625: 300, 0.78125: 600}
    for share, seconds in steps.items():
        assert survival_percentile(ended, censored, share) == near(seconds)
    assert survival_percentile(ended, censored, 0.126) == near(120)
    assert survival_percentile(ended, censored, 0.4167) == near(300)
    assert survival_percentile(ended, censored, 0.563) == near(600)
    assert survival_percentile(ended, censored, 0.782) is None
    for text in ("0.875", "0.583", "0.4375", "0.21875"):
        assert f"| {text} |" in PAGE
    assert f"`p50_seconds` is {near(300):.1f}" in PAGE


def test_those_that_ended_alone_would_look_brief() -> None:
    ended = [60, 120, 120, 300, 600]
    assert percentile(counts_of(ended), 0.5) == near(120)


def test_without_any_that_fires_it_is_the_plain_percentile() -> None:
    durations = durations_of([episode(float(seconds)) for seconds in range(1, 101)], NOW)
    assert (durations.p50_seconds, durations.p90_seconds, durations.p99_seconds) == (near(50), near(90), near(99))


def test_of_nothing_there_are_no_percentiles() -> None:
    assert durations_of([], NOW) == Durations(0, 0, None, None, None, {})
    firing = durations_of([episode(60, is_firing=True)], NOW)
    assert (firing.count, firing.firing, firing.p50_seconds, firing.by_ended_by) == (1, 1, None, {})


def test_an_end_that_nobody_explained_counts_as_resolved() -> None:
    assert list(durations_of([episode(60, None)], NOW).by_ended_by) == ["resolved"]


def test_what_fires_still_was_at_risk_when_others_of_its_bucket_ended() -> None:
    assert survival_percentile({5: 1}, {5: 1}, 0.5) == representative(5)
    assert survival_percentile({5: 1}, {5: 1}, 0.51) is None


@pytest.mark.parametrize("n", range(2, 60))
def test_a_share_that_is_just_reached_is_reached(n: int) -> None:
    ended = dict.fromkeys(range(100, 100 + 2 * n), 1)
    assert survival_percentile(ended, {}, 0.5) == representative(100 + n - 1)


seconds = st.integers(1, 10**6).map(float)
episodes = st.lists(
    st.one_of(
        st.builds(episode, seconds, st.sampled_from(["resolved", "expired", "inferred", "reconciled"])),
        st.builds(lambda length: episode(length, is_firing=True), seconds),
    ),
    max_size=60,
)


def _exact(ended: Sequence[float], censored: Sequence[float], share: Fraction) -> float | None:
    """The estimator on the durations themselves, in whole numbers."""
    firing = Fraction(1)
    for time in sorted(set(ended)):
        at_risk = sum(each >= time for each in [*ended, *censored])
        firing *= 1 - Fraction(ended.count(time), at_risk)
        if firing <= 1 - share:
            return time
    return None


@given(st.lists(st.integers(0, 850), max_size=60), st.lists(st.integers(0, 850), max_size=60), st.integers(1, 100))
def test_buckets_say_what_the_estimator_says_of_what_stands_for_them(
    ended: list[int], censored: list[int], percent: int
) -> None:
    counts, others = ({bucket: each.count(bucket) for bucket in each} for each in (ended, censored))
    exact = _exact(
        [representative(bucket) for bucket in ended],
        [representative(bucket) for bucket in censored],
        Fraction(percent, 100),
    )
    assert survival_percentile(counts, others, percent / 100) == exact


@given(episodes, episodes)
def test_merged_counts_are_those_of_all(first: list[Episode], second: list[Episode]) -> None:
    parts = [counts_of_episodes(part, NOW) for part in (first, second)]
    assert durations_from(merged_counts(parts)) == durations_of([*first, *second], NOW)


@given(episodes)
def test_the_counts_of_the_ways_to_end_add_up(given_episodes: list[Episode]) -> None:
    durations = durations_of(given_episodes, NOW)
    assert sum(each.count for each in durations.by_ended_by.values()) + durations.firing == durations.count
    assert durations.count == len(given_episodes)


def test_empty_counts_are_no_way_to_end() -> None:
    assert durations_from(DurationCounts({"resolved": {}, "expired": {4: 0}}, {})).by_ended_by == {}


def test_the_curve_falls_at_each_end_and_counts_what_fires_still_until_then() -> None:
    counts = DurationCounts({"resolved": {10: 1}, "expired": {30: 1}}, {20: 2})
    steps = [(step.seconds, step.firing) for step in survival_steps(counts)]
    assert steps == [(representative(10), pytest.approx(3 / 4)), (representative(30), 0.0)]
