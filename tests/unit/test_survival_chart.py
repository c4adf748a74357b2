"""How long alerts fire, as a chart: it falls as the curve does, on an axis of round times.

Holds: `web.pages.charts.survival`.
"""

import pytest

from alert_history.domain.durations import SurvivalStep
from alert_history.web.pages.charts.survival import HEIGHT, firing_after, percent, survival

STEPS = [SurvivalStep(30.0, 0.75), SurvivalStep(120.0, 0.5), SurvivalStep(3000.0, 0.0)]


def test_the_axis_reaches_from_before_the_first_end_to_behind_the_last() -> None:
    chart = survival(STEPS, title="x")
    assert [tick.text for tick in chart.x_ticks] == ["10 s", "1 min", "5 min", "15 min", "1 h"]
    assert (chart.x_ticks[0].at, chart.x_ticks[-1].at) == (0, 100)


def test_columns_fall_from_all_to_none_and_fill_the_width() -> None:
    columns = survival(STEPS, title="x").columns
    heights = [column.height for column in columns]
    assert (heights[0], heights[-1]) == (HEIGHT, 0)
    assert heights == sorted(heights, reverse=True)
    assert sum(column.width for column in columns) == pytest.approx(100, abs=0.1)


def test_the_table_says_how_many_fire_still_after_each_time() -> None:
    chart = survival(STEPS, title="x")
    assert [(point.after, point.share) for point in chart.points] == [
        ("10 s", "100 %"),
        ("1 min", "75 %"),
        ("5 min", "50 %"),
        ("15 min", "50 %"),
        ("1 h", "0 %"),
    ]
    assert chart.description.startswith("After 10 s 100 % fire still; after 1 min 75 %")


def test_before_the_first_end_all_fire_and_at_an_end_it_has_ended() -> None:
    assert [firing_after(STEPS, seconds) for seconds in (0, 29, 30, 119, 9000)] == [1, 1, 0.75, 0.75, 0]


def test_where_nothing_ended_there_is_nothing_to_draw() -> None:
    chart = survival([], title="x")
    assert (list(chart.columns), chart.description) == ([], "Nothing has ended yet.")


@pytest.mark.parametrize("seconds", [0.0, 0.001, 1.0, 5e8, 1e11])
def test_one_end_at_any_time_can_be_drawn(seconds: float) -> None:
    chart = survival([SurvivalStep(seconds, 0.0)], title="x")
    assert all(0 <= column.x <= 100 and column.width > 0 for column in chart.columns)
    assert chart.points


@pytest.mark.parametrize(
    "share, words", [(0.0, "0 %"), (0.004, "< 1 %"), (0.5, "50 %"), (0.996, "> 99 %"), (1.0, "100 %")]
)
def test_what_is_not_quite_none_or_all_is_told_so(share: float, words: str) -> None:
    assert percent(share) == words
