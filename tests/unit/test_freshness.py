"""How fresh a sender is, by when its requests came."""

from datetime import UTC, datetime, timedelta

import pytest

from alert_history.domain.freshness import Arrivals, rhythm_of, runs_of

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def every_minute(*, last: int, number: int = 10) -> Arrivals:
    """So many requests, a minute apart, the last one so many minutes ago."""
    return Arrivals([[NOW - (last + place) * MINUTE for place in reversed(range(number))]])


@pytest.mark.parametrize("last, expected", [(0, "fresh"), (2, "fresh"), (3, "late"), (500, "late")])
def test_a_sender_is_late_after_twice_its_longest_pause(last: int, expected: str) -> None:
    assert rhythm_of(every_minute(last=last), NOW).freshness == expected


def test_a_quick_sender_has_a_minute() -> None:
    second = timedelta(seconds=1)
    quick = Arrivals([[NOW - 50 * second - place * second for place in reversed(range(9))]])
    assert rhythm_of(quick, NOW).freshness == "fresh"
    assert rhythm_of(quick, NOW + 20 * second).freshness == "late"


def test_the_usual_pause_is_the_median_and_one_long_pause_counts_for_lateness() -> None:
    times = [NOW - minutes * MINUTE for minutes in (100, 40, 39, 38, 37)]
    rhythm = rhythm_of(Arrivals([times]), NOW)
    assert (rhythm.usual, rhythm.longest, rhythm.freshness) == (MINUTE, 60 * MINUTE, "fresh")


def test_of_a_sender_with_few_requests_nothing_is_said() -> None:
    assert rhythm_of(every_minute(last=900, number=3), NOW).freshness == "new"


def test_a_learnt_patience_counts_where_it_is_longer() -> None:
    assert rhythm_of(every_minute(last=100), NOW, firing=2, patience=120 * MINUTE).freshness == "fresh"
    assert rhythm_of(every_minute(last=121), NOW, firing=2, patience=120 * MINUTE).freshness == "late"
    assert rhythm_of(every_minute(last=121, number=1), NOW, firing=2, patience=120 * MINUTE).freshness == "late"


def test_who_has_nothing_to_repeat_is_idle_and_not_late() -> None:
    assert rhythm_of(every_minute(last=900), NOW, firing=0).freshness == "idle"


def test_what_may_be_missing_between_two_spans_is_no_pause() -> None:
    first, second, third = ([NOW + (place * 60 + minute) * MINUTE for minute in (1, 2)] for place in range(3))
    runs = runs_of([(first, True), (second, False), (third, True)])
    assert runs == [first, [*second, *third]]
    assert max(Arrivals(runs).gaps) == 59 * MINUTE
    assert runs_of([([], True), ([], False)]) == []
