"""Together: the worked pair of the docs, what is near, what explains what; the board, by a look at each two begins."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.begins import Begin, Board, Counted
from alert_history.domain.together import (
    Explanation,
    Pair,
    TogetherRules,
    companions,
    explanations,
    strongest_pairs,
)

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "together.md").read_text(encoding="utf-8")
T0 = datetime(2026, 3, 1, tzinfo=UTC)
MONTH = T0 + timedelta(days=30)
HOUR, DAY = 3600.0, 86_400.0
FIVE_MINUTES = timedelta(minutes=5)
RULES = TogetherRules()


def begin(rule: str, second: float, **labels: str) -> Begin:
    return Begin(rule, T0 + timedelta(seconds=second), labels)


def in_order(*begins: Begin) -> list[Begin]:
    return sorted(begins, key=lambda each: each.at)


def worked_pair() -> list[Begin]:
    """44 begins of NodeDown, 16 hours apart; ApiErrors two minutes after 41 of them, and 264 times far from all."""
    nodes = [HOUR + 16 * HOUR * number for number in range(44)]
    errors = [node + 120 for node in nodes[:41]]
    elsewhere = [node + 2 * HOUR * number for node in nodes for number in range(1, 7)]
    return in_order(*(begin("NodeDown", at) for at in nodes), *(begin("ApiErrors", at) for at in [*errors, *elsewhere]))


def pair(begins: list[Begin], rule: str, other: str, rules: TogetherRules = RULES) -> Pair | None:
    pairs = companions(rule, begins, rules, since=T0, until=MONTH)
    return next((each for each in pairs if each.other == other), None)


def test_the_worked_pair() -> None:
    rule_pair = pair(worked_pair(), "NodeDown", "ApiErrors")
    assert rule_pair is not None
    assert rule_pair.summary == "ApiErrors within 5 min of NodeDown in 41 of 44; 3 expected"
    assert (rule_pair.count, rule_pair.of, rule_pair.moments, rule_pair.before, rule_pair.after) == (41, 44, 44, 0, 41)
    assert rule_pair.median_lag_seconds == 120.0
    assert rule_pair.expected == pytest.approx(2.9994, abs=1e-4)  # 44 × (1 − exp(−305 × 600 / 2 592 000))
    assert rule_pair.share == pytest.approx(0.932, abs=5e-4)
    assert (rule_pair.share_low, rule_pair.share_high) == pytest.approx((0.818, 0.977), abs=5e-4)
    assert rule_pair.lift == pytest.approx(13.67, abs=5e-3)
    assert (rule_pair.lift_low, rule_pair.lift_high) == pytest.approx((12.00, 14.33), abs=5e-3)


def test_the_docs_show_the_worked_pair() -> None:
    for number in ("41 of 44; 3 expected", "2.9994", "0.932", "0.818 to 0.977", "13.67", "12.00 to 14.33"):
        assert number in PAGE


def test_the_strongest_pairs_are_each_told_once() -> None:
    noise = [begin(f"Noise{number % 7}", 997.0 * number) for number in range(2_000)]
    pairs = strongest_pairs(in_order(*worked_pair(), *noise), RULES, since=T0, until=MONTH)
    assert (pairs[0].rule, pairs[0].other, pairs[0].count) == ("NodeDown", "ApiErrors", 41)
    names = [frozenset((each.rule, each.other)) for each in pairs]
    assert len(names) == len(set(names))
    assert all(each.share_low > each.expected / each.of for each in pairs)


def test_only_the_strongest_and_the_busiest_are_compared() -> None:
    begins = worked_pair()
    assert strongest_pairs(begins, TogetherRules(top=0), since=T0, until=MONTH) == []
    assert strongest_pairs(begins, TogetherRules(most_rules=1), since=T0, until=MONTH) == []


@pytest.mark.parametrize("lag, is_near", [(-301, False), (-300, True), (0, True), (300, True), (300.000001, False)])
def test_five_minutes_before_and_after_are_near(lag: float, is_near: bool) -> None:  # noqa: FBT001  # a parameter of the test
    days = [DAY * number for number in range(1, 5)]
    rule_pair = pair(in_order(*(begin("A", at) for at in days), *(begin("B", at + lag) for at in days)), "A", "B")
    assert (rule_pair is not None) is is_near
    if rule_pair is not None:
        assert (rule_pair.before, rule_pair.after) == ((4, 0) if lag < 0 else (0, 4))
        assert rule_pair.median_lag_seconds == lag


def test_twice_together_is_too_seldom_to_say_anything() -> None:
    begins = in_order(*(begin(rule, DAY * day) for rule in "AB" for day in (1, 2)))
    assert pair(begins, "A", "B") is None


def test_a_burst_is_one_moment() -> None:
    """Two bursts of fifty pods at which B began are no hundred cases."""
    bursts = [begin("A", DAY * day + second) for day in (1, 2) for second in range(50)]
    others = [begin("B", DAY * day) for day in (1, 2, 3)]
    assert pair(in_order(*bursts, *others), "A", "B") is None
    third = [begin("A", DAY * 3)]
    rule_pair = pair(in_order(*bursts, *others, *third), "A", "B")
    assert rule_pair is not None
    assert (rule_pair.count, rule_pair.of, rule_pair.moments) == (101, 101, 3)
    assert rule_pair.share_low == pytest.approx(0.438, abs=5e-4)  # as of 3 among 3


def test_labels_that_must_be_equal_keep_places_apart() -> None:
    begins = in_order(
        *(begin("A", DAY * day, namespace="shop") for day in range(1, 6)),
        *(begin("B", DAY * day + 60, namespace="shop" if day < 4 else "bank") for day in range(1, 6)),
    )
    everywhere = pair(begins, "A", "B")
    same = pair(begins, "A", "B", TogetherRules(same=("namespace",)))
    assert everywhere is not None
    assert same is not None
    assert (everywhere.count, same.count) == (5, 3)
    assert everywhere.expected > same.expected


def test_a_rule_without_begins_has_no_companions() -> None:
    assert companions("Z", worked_pair(), RULES, since=T0, until=MONTH) == []
    assert companions("Z", [], RULES, since=T0, until=MONTH) == []
    assert strongest_pairs([], RULES, since=T0, until=MONTH) == []
    assert explanations([], RULES, since=T0, until=MONTH) == {}


def follows(count: int, *, lag: float = 60, alone: int = 0, more_causes: int = 0) -> list[Begin]:
    """B some time after A, on the same node, on each of so many days; then B alone, and A alone."""
    return in_order(
        *(begin("A", DAY * day * 0.5, node=f"n{day}") for day in range(1, count + more_causes + 1)),
        *(begin("B", DAY * day * 0.5 + lag, node=f"n{day}") for day in range(1, count + 1)),
        *(begin("B", DAY * day * 0.5 + 7 * HOUR, node=f"n{day}") for day in range(1, alone + 1)),
    )


def test_a_rule_that_nearly_always_begins_first_explains_the_other() -> None:
    begins = follows(27, alone=3)
    assert explanations(begins, RULES, since=T0, until=MONTH) == {"B": Explanation("B", "A", 27, 30)}
    rule_pair = pair(begins, "A", "B")
    assert rule_pair is not None
    assert rule_pair.explained_by == "A"
    assert rule_pair.inhibit_rule is not None
    assert "equal:\n  - node\n" in rule_pair.inhibit_rule


@pytest.mark.parametrize(
    "begins",
    [
        follows(27, alone=4),  # 27 of 31 are fewer than nine in ten
        follows(27, lag=0),  # they begin at once: neither says it better
        follows(2),  # too few
    ],
)
def test_otherwise_nothing_is_explained(begins: list[Begin]) -> None:
    assert explanations(begins, RULES, since=T0, until=MONTH) == {}
    rule_pair = pair(begins, "A", "B")
    assert rule_pair is None or (rule_pair.explained_by, rule_pair.inhibit_rule) == (None, None)


def test_of_two_that_begin_at_once_the_one_that_is_never_missing_explains() -> None:
    begins = follows(20, lag=0, more_causes=20)
    assert explanations(begins, RULES, since=T0, until=MONTH) == {"B": Explanation("B", "A", 20, 20)}


def test_a_rule_that_begins_all_the_time_explains_nothing() -> None:
    begins = in_order(
        *(begin("A", 240.0 * number) for number in range(9_000)), *(begin("B", DAY * d) for d in range(9))
    )
    assert explanations(begins, RULES, since=T0, until=MONTH) == {}


def test_where_the_labels_differ_no_inhibit_rule_is_given() -> None:
    begins = in_order(
        *(begin("A", DAY * day, node="x") for day in range(1, 20)),
        *(begin("B", DAY * day + 60, node="y") for day in range(1, 20)),
    )
    rule_pair = pair(begins, "A", "B")
    assert rule_pair is not None
    assert (rule_pair.explained_by, rule_pair.inhibit_rule) == ("A", None)


def test_the_answer_can_be_encoded() -> None:
    fields = msgspec.json.decode(msgspec.json.encode(pair(follows(27), "A", "B")))
    assert (fields["rule"], fields["median_lag_seconds"]) == ("A", 60.0)


BEGINS = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(0, 40), st.sampled_from(["", "x", "y"])), min_size=1, max_size=30
)


@given(BEGINS, st.booleans())
def test_the_board_counts_as_a_look_at_each_two_does(
    drawn: list[tuple[str, int, str]],
    is_apart: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    begins = in_order(*(begin(rule, 60.0 * minute, node=node) for rule, minute, node in drawn))
    board = Board(begins, FIVE_MINUTES, ("node",) if is_apart else ())
    for rule in board.rules:
        for other in board.rules:
            if rule != other:
                assert board.near(rule, other).begins == brute(begins, rule, other, range(-5, 6), is_apart=is_apart)
                after = brute(begins, rule, other, range(-5, 1), is_apart=is_apart)
                assert board.soon_after(rule, other).begins == after
                assert len(board.lags(rule, other)) == board.near(rule, other).begins


def brute(begins: list[Begin], rule: str, other: str, minutes: range, *, is_apart: bool) -> int:
    return sum(
        any(
            second.rule == other
            and (second.at - first.at) // timedelta(minutes=1) in minutes
            and (not is_apart or second.labels == first.labels)
            for second in begins
        )
        for first in begins
        if first.rule == rule
    )


def test_moments_are_counted_anew_after_five_minutes() -> None:
    board = Board([begin("A", 60.0 * minute) for minute in (0, 3, 5, 6, 11, 12)], FIVE_MINUTES)
    assert board.count("A") == Counted(begins=6, moments=3)  # 0, 6 and 12
