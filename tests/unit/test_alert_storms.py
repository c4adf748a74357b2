"""Storms: the worked storm of the docs, what is usual, and where a storm begins and ends."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alert_storms import AlertStorm, RuleCount, StormRules, find_storms
from alert_history.domain.begins import Begin

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "together.md").read_text(encoding="utf-8")
T0 = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = T0 + timedelta(hours=2)
RULES = StormRules()


def second(number: float) -> datetime:
    return T0 + timedelta(seconds=number)


def begin(number: float, rule: str = "Usual", fingerprint: str = "") -> Begin:
    return Begin(rule, second(number), fingerprint=fingerprint)


def storms(*begins: Begin, rules: StormRules = RULES) -> list[AlertStorm]:
    return find_storms(sorted(begins, key=lambda each: each.at), rules, since=T0, until=UNTIL)


def background() -> list[Begin]:
    """By turns 7, 10 and 13 begins in each five minutes of two hours, one a second from the full minute on."""
    return [begin(300 * window + place) for window in range(24) for place in range(7 + 3 * (window % 3))]


def test_the_worked_storm() -> None:
    flood = [begin(3660, "NodeDown"), *(begin(3661 + place, f"Pod{place % 3}") for place in range(29))]
    storm = storms(*background(), *flood)
    assert storm == [
        AlertStorm(
            since=second(3660),
            until=second(3689),
            begun=30,
            alerts=30,
            most=40,  # and ten of the background
            usual=10.0,
            threshold=pytest.approx(36.69, abs=5e-3),  # type: ignore[arg-type]  # 10 + 6 × 1.4826 × 3
            first_rule="NodeDown",
            top_rules=(RuleCount("Pod0", 10), RuleCount("Pod1", 10), RuleCount("Pod2", 9), RuleCount("NodeDown", 1)),
        )
    ]
    assert storms(*background(), *flood[:26]) == []


def test_the_docs_show_the_worked_storm() -> None:
    for number in ("10 + 6 × 1.4826 × 3 = 36.69", "40 different alerts"):
        assert number in PAGE


def test_what_begins_all_the_time_is_no_first_rule() -> None:
    flood = [begin(1000 + place, f"R{place % 3}") for place in range(60)]
    steady = [begin(10 * number, "Steady") for number in range(720)]
    assert [(storm.since, storm.first_rule) for storm in storms(*steady, *flood)] == [(second(1000), "R0")]


def test_a_storm_of_rules_that_all_begin_often_is_told_whole() -> None:
    steady = [begin(60 * number, "Steady") for number in range(120)]
    flood = [begin(1000.5 + 15 * place, "Steady") for place in range(14)]
    rules = StormRules(floor=10, deviations=3.0, unusual=1000.0)
    alert_storms = storms(*steady, *flood, rules=rules)
    assert [storm.first_rule for storm in alert_storms] == ["Steady"]


def test_where_little_begins_twenty_alerts_in_five_minutes_are_a_storm() -> None:
    flood = [begin(1000 + 15 * place) for place in range(20)]
    assert [(storm.begun, storm.usual, storm.threshold) for storm in storms(*flood)] == [(20, 0, 20)]
    assert storms(*flood[:19]) == []
    assert storms(*(begin(1000 + 16 * place) for place in range(20))) == []  # 304 s


def test_one_alert_that_flaps_is_no_storm() -> None:
    assert storms(*(begin(1000 + place, fingerprint="f") for place in range(50))) == []
    mixed = [begin(1000 + place, fingerprint=f"f{place % 25}") for place in range(50)]
    assert [(storm.begun, storm.alerts) for storm in storms(*mixed)] == [(50, 25)]


def test_two_storms_are_told_apart() -> None:
    first, later = ([begin(at + place) for place in range(25)] for at in (1000, 2000))
    assert [storm.since for storm in storms(*first, *later)] == [second(1000), second(2000)]


def test_a_long_storm_is_one() -> None:
    long = [begin(1000 + 5 * place) for place in range(200)]
    assert [(storm.begun, storm.most) for storm in storms(*long)] == [(200, 60)]


def test_only_the_top_rules_are_named() -> None:
    flood = [begin(1000 + place, f"R{place % 10}") for place in range(30)]
    assert storms(*flood, rules=StormRules(top=1))[0].top_rules == (RuleCount("R0", 3),)


def test_without_begins_there_is_no_storm() -> None:
    assert storms() == []


@given(st.lists(st.integers(0, 7199), max_size=120))
def test_storms_do_not_overlap_and_each_is_beyond_its_threshold(seconds: list[int]) -> None:
    alert_storms = storms(*map(begin, seconds))
    assert all(storm.most >= storm.threshold for storm in alert_storms)
    assert all(earlier.until < later.since for earlier, later in pairwise(alert_storms))
