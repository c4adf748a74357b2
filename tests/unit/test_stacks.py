"""Parts add up, however they are cut and scaled."""

from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.stacks import cells_of, ranked, scaled, scaled_cells, stacked
from alert_history.domain.tally import DAY_US, MINUTE_US, Tally

COUNTS = st.lists(st.integers(0, 10_000), max_size=30)


@given(COUNTS, st.floats(0.001, 1))
def test_scaled_counts_have_the_scaled_sum(counts: list[int], share: float) -> None:
    made = scaled(counts, share)
    assert sum(made) == round(sum(counts) / share)
    assert all(number >= 0 for number in made)
    assert all(abs(number - count / share) <= 1 for number, count in zip(made, counts, strict=True))


@given(st.dictionaries(st.text(max_size=3), st.lists(st.integers(0, 99), min_size=4, max_size=4), max_size=6))
def test_stack_of_scaled_cells_adds_up_in_both_directions(cells: dict[str, list[int]]) -> None:
    made = scaled_cells(cells, 0.3)
    totals = {value: sum(counts) for value, counts in made.items()}
    stack = stacked(made, ranked(totals, 2), buckets=4)
    assert sum(stack.totals) == sum(totals.values()) == round(sum(map(sum, cells.values())) / 0.3)
    assert stack.totals == [sum(counts[place] for counts in made.values()) for place in range(4)]


def test_whole_counts_stay() -> None:
    assert scaled([1, 2, 3], None) == [1, 2, 3]


def test_most_come_first_then_names() -> None:
    assert ranked({"b": 2, "a": 2, "c": 5, "none": 0}, 3) == ["c", "a", "b"]
    assert ranked({"b": 2, "a": 2, "c": 5}, 1) == ["c"]


def test_minutes_fall_into_the_bucket_in_which_they_begin() -> None:
    tallies = {
        (0, "a"): Tally(minutes={0: 1, 59: 2, 60: 4, 1439: 8}),
        (1, "a"): Tally(minutes={0: 16}),
        (1, "b"): Tally(minutes={5: 32}),
    }
    begins_us = [30 * 1_000_000, 60 * MINUTE_US, DAY_US]
    assert cells_of(tallies, begins_us) == {"a": [3, 12, 16], "b": [0, 0, 32]}


def test_bucket_that_begins_inside_a_minute_has_the_minutes_after_it() -> None:
    tallies = {(0, "a"): Tally(minutes={9: 1, 10: 2, 11: 4})}
    assert cells_of(tallies, [0, 10 * MINUTE_US + 1]) == {"a": [3, 4]}
