"""The chart of accuracy shows each day once, to scale, and nothing outside its span."""

from datetime import date

import pytest

from alert_history.ports import Accuracy
from alert_history.web.pages.accuracy_chart import HEIGHT, WIDTH, chart_of

LAST = date(2026, 11, 24)


def test_models_of_one_day_are_one_bar() -> None:
    chart = chart_of([Accuracy("2026-11-24", "gpt-4", 3, 3), Accuracy("2026-11-24", "rules", 1, 0)], last=LAST, days=30)
    assert [bar.text for bar in chart.bars] == ["2026-11-24: 3 of 4 right"]
    assert (chart.reviewed, chart.right, chart.share) == (4, 3, 0.75)


def test_bars_stand_at_their_days_and_are_as_high_as_what_was_right() -> None:
    days = ["2026-10-26", "2026-11-24"]
    first, last = chart_of([Accuracy(day, "m", 2, 1) for day in days], last=LAST, days=30).bars
    assert first.x < WIDTH / 30
    assert last.x > WIDTH * 29 / 30
    assert last.x + last.width <= WIDTH
    assert (first.height, first.y) == (HEIGHT / 2, HEIGHT / 2)


def test_a_day_on_which_nothing_was_right_is_seen() -> None:
    (bar,) = chart_of([Accuracy("2026-11-24", "m", 5, 0)], last=LAST, days=30).bars
    assert bar.height > 0


@pytest.mark.parametrize("day", ["2026-10-25", "2026-11-25"])
def test_days_outside_the_span_do_not_count(day: str) -> None:
    chart = chart_of([Accuracy(day, "m", 1, 1)], last=LAST, days=30)
    assert (chart.bars, chart.reviewed, chart.share) == ((), 0, 0.0)
