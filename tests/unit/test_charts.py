"""The geometry of charts: all of it is inside, what is there is seen, and local clocks count.

Holds: `web.pages.charts.heatmap`, `web.pages.charts.lanes`, `web.pages.charts.scale`, `web.pages.charts.share`,
`web.pages.charts.sparkline`, `web.pages.charts.stacked`.
"""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from alert_history.domain.calendar import STEPS, buckets
from alert_history.web.pages.charts.heatmap import DAYS, Rate, heatmap
from alert_history.web.pages.charts.lanes import Interval, Line, Moment, lanes
from alert_history.web.pages.charts.scale import MOST_TICKS, TimeScale, mark_of, marks, number_ticks, short_number
from alert_history.web.pages.charts.share import Counted, share_words, shares
from alert_history.web.pages.charts.sparkline import sparkline
from alert_history.web.pages.charts.stacked import HEIGHT, Layer, Slot, Stacked, stacked

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def chart_of(*layers: list[int]) -> Stacked:
    slots = [Slot(NOON + place * HOUR, NOON + (place + 1) * HOUR) for place in range(len(layers[0]) if layers else 0)]
    own = [Layer(f"value {number}", f"c{number}", counts) for number, counts in enumerate(layers)]
    return stacked(slots, own, title="Alerts", noun="began", zone=UTC)


# --- stacked bars ----------------------------------------------------------------------------------------------------


def test_pieces_stand_on_each_other_from_the_foot_and_fill_what_they_count() -> None:
    (bar,) = chart_of([30], [10]).bars
    first, second = bar.pieces
    assert first.y + first.height == HEIGHT
    assert second.y + second.height == pytest.approx(first.y)
    assert first.height == pytest.approx(3 * second.height, abs=0.2)


@pytest.mark.parametrize("counts", [[1], [10**12, 1], [1, 1, 10**9, 0], [999, 1000, 1001]])
def test_what_is_there_is_seen_and_nothing_is_higher_than_the_plot(counts: list[int]) -> None:
    chart = chart_of(counts, [1] * len(counts))
    for bar in chart.bars:
        assert all(piece.height >= 1 and piece.y >= 0 for piece in bar.pieces)
        assert sum(piece.height for piece in bar.pieces) <= HEIGHT + 0.2
    assert len(chart.bars[0].pieces) == 2


def test_bars_fill_the_width_in_order() -> None:
    bars = chart_of([1] * 24).bars
    assert bars[0].x < 1
    assert all(before.x + before.width < after.x for before, after in pairwise(bars))
    assert 99 < bars[-1].x + bars[-1].width <= 100


def test_nothing_is_an_empty_chart_that_says_so() -> None:
    assert chart_of().highest == 0
    chart = chart_of([0, 0])
    assert (chart.highest, chart.keys, "none began" in chart.description) == (0, [], True)


def test_a_bar_says_its_time_its_numbers_and_leads_to_its_span() -> None:
    chart = stacked(
        [Slot(NOON, NOON + HOUR)],
        [Layer("critical", "is-critical", [2]), Layer("info", "is-info", [0]), Layer("warning", "is-warning", [1])],
        title="Alerts",
        noun="began",
        zone=BERLIN,
        href=lambda since, until: f"?since={since:%H}&until={until:%H}",
    )
    (bar,) = chart.bars
    assert bar.text == "Wed 4 Mar 13:00 – 14:00: 3 began (2 critical, 1 warning)"
    assert bar.href == "?since=12&until=13"
    assert [key.name for key in chart.keys] == ["critical", "warning"]


@pytest.mark.parametrize(
    "day, hours", [(datetime(2026, 3, 28, 23, tzinfo=UTC), 23), (datetime(2026, 10, 24, 22, tzinfo=UTC), 25)]
)
def test_the_bar_of_a_day_on_which_clocks_change_is_as_wide_as_the_day_is_long(day: datetime, hours: int) -> None:
    slots = [Slot(each.begin, each.end) for each in buckets(day - DAY, day + 2 * DAY, step=STEPS["1d"], tz=BERLIN)]
    chart = stacked(slots, [Layer("", "c0", [1] * len(slots))], title="Alerts", noun="began", zone=BERLIN)
    changed = next(
        bar for bar in chart.bars if bar.when == f"Sun {day.astimezone(BERLIN).day} {day.astimezone(BERLIN):%b}"
    )
    assert changed.slot_width == pytest.approx(100 * hours / (3 * 24), abs=0.01)


@pytest.mark.parametrize("number", [1, 12, 13, 30, 96, 168])
def test_a_finger_hits_bars_that_are_too_narrow_as_one(number: int) -> None:
    slots = [Slot(NOON + place * HOUR, NOON + (place + 1) * HOUR) for place in range(number)]
    layers = [Layer("", "c0", [1] * number)]
    way = stacked(
        slots, layers, title="", noun="began", zone=UTC, href=lambda *span: f"{span[0]:%j %H}-{span[1]:%j %H}"
    )
    ends = [reach.href.split("-") for reach in way.reaches]
    assert len(ends) <= 12
    assert (not ends) == (number <= 12)
    assert all(before[1] == after[0] for before, after in pairwise(ends)), "they leave nothing out"
    assert sum(reach.width for reach in way.reaches) == pytest.approx(100 if ends else 0, abs=0.1)


# --- scales ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "length", [timedelta(minutes=1), HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY, 400 * DAY, 20_000 * DAY]
)
def test_a_span_of_any_length_has_a_few_ticks_at_round_local_times(length: timedelta) -> None:
    since = datetime(2026, 3, 27, 21, 47, 13, tzinfo=UTC)
    ticks = TimeScale(since, since + length, BERLIN).ticks()
    assert 1 <= len(ticks) <= MOST_TICKS
    places = [tick.at for tick in ticks]
    assert places == sorted(set(places))
    assert all(0 <= place < 100 for place in places)


def test_ticks_stay_at_round_hours_when_clocks_change() -> None:
    midnight = datetime(2026, 3, 28, 23, tzinfo=UTC)
    ticks = TimeScale(midnight, midnight + 23 * HOUR, BERLIN).ticks()
    assert [tick.text for tick in ticks] == ["29 Mar", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00"]
    assert ticks[1].at == pytest.approx(100 * 2 / 23, abs=0.01)


@pytest.mark.parametrize("highest", [0, 1, 2, 3, 7, 10, 99, 12_345, 10**12])
def test_the_axis_ends_at_a_round_number_not_far_above(highest: int) -> None:
    top, ticks = number_ticks(highest, height=100)
    assert max(highest, 1) <= top <= max(2 * highest, 1)
    assert ticks[0].at == 0
    assert 1 <= len(ticks) <= 3


@pytest.mark.parametrize(
    "number, words", [(0, "0"), (9_500, "9500"), (12_000, "12k"), (3_400_000, "3.4M"), (7 * 10**10, "70G")]
)
def test_numbers_of_an_axis_are_short(number: int, words: str) -> None:
    assert short_number(number) == words


def test_severities_have_their_colours_and_other_values_one_each() -> None:
    assert marks(["page", "warning", ""], by="severity") == ["is-critical", "is-warning", "is-other"]
    assert marks(["page", "critical", "info"], by="severity") == ["is-critical is-also", "is-critical", "is-info"]
    assert marks(["a", "b"], by="team") == ["c0", "c1"]


@pytest.mark.parametrize("odd", ["-critical", "critical-", "not-critical", "odd", "0"])
def test_an_odd_severity_takes_no_colour_of_a_known_one(odd: str) -> None:
    known = ["critical", "warning", "info", "none"]
    expected = ["is-critical", "is-warning", "is-info", "is-none"]
    colours = marks([odd, *known, "odder"], by="severity")
    assert colours[1:-1] == expected
    assert len({*colours, "is-other", "c0", "c1", "c8"}) == 10, "and it is neither blue, orange nor red"
    assert mark_of(odd) == "is-other"


@pytest.mark.parametrize("word", ["SEV-1", "sev 1", "P_1", " Critical "])
def test_what_stands_between_a_word_and_its_number_does_not_matter(word: str) -> None:
    assert mark_of(word) == "is-critical"


# --- heatmap ---------------------------------------------------------------------------------------------------------


def test_a_week_is_168_cells_and_the_most_is_darkest() -> None:
    rates = [Rate(0, 0.0)] * 168
    rates[24 + 3], rates[0], rates[1] = Rate(8, 4.0), Rate(1, 0.01), Rate(0, None)
    chart = heatmap(rates, title="When", noun="began")
    cells = [cell for _, row in chart.rows for cell in row]
    assert [day for day, _ in chart.rows] == list(DAYS)
    assert (len(cells), cells[27].level, cells[0].level, cells[1].level, cells[2].level) == (168, 5, 1, None, 0)
    assert cells[27].text == "Tuesday 03:00 – 04:00: 8 began, 4 an hour"
    assert chart.description == "Most: Tuesday 03:00 – 04:00: 8 began, 4 an hour."
    assert max(cell.x for cell in cells) + chart.cell_width <= 100.01


def test_one_storm_does_not_hide_the_rest_of_the_week() -> None:
    rates = [Rate(0, 0.0)] * 100 + [Rate(1, (number + 1) / 4) for number in range(67)] + [Rate(10**6, 10.0**6)]
    chart = heatmap(rates, title="When", noun="began")
    levels = [cell.level for _, row in chart.rows for cell in row]
    assert all(13 <= levels.count(level) <= 14 for level in range(1, 6))
    assert [level for level, _ in chart.shades] == [0, 1, 2, 3, 4, 5]
    assert chart.shades[-1][1].replace("\u202f", "") == "1000000"


def test_hours_that_are_alike_have_one_shade_which_the_legend_says() -> None:
    chart = heatmap([Rate(3, 0.5)] * 168, title="When", noun="began")
    assert {cell.level for _, row in chart.rows for cell in row} == {5}
    assert chart.shades == [(0, "none"), (5, "0.5")]


def test_a_week_without_alerts_says_so() -> None:
    assert heatmap([Rate(0, 0.0)] * 168, title="When", noun="began").description == "None began."


# --- sparklines and shares -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [[5], [0, 0], [1, 10**9, 0], list(range(90))])
def test_a_sparkline_stays_in_its_box(numbers: list[int]) -> None:
    chart = sparkline(numbers, noun="began", unit="day")
    points = [tuple(map(float, pair.split(","))) for pair in re.findall(r"[\d.]+,[\d.]+", chart.line)]
    assert (points[0][0], points[-1][0]) == (0, chart.width)
    assert all(0 < y < chart.height for _, y in points)


def test_a_sparkline_of_nothing_is_no_line() -> None:
    assert sparkline([], noun="began", unit="day").line == ""


def test_shares_are_of_all_and_bars_of_the_widest() -> None:
    chart = shares([Counted("a", 50), Counted("b", 25), Counted("c", 0)], title="Rules", noun="began", total=200)
    assert [(bar.width, bar.share) for bar in chart.bars] == [(100, "25 %"), (50, "12 %"), (0, "0 %")]
    assert shares([], title="Rules", noun="began").bars == []


@pytest.mark.parametrize(
    "part, whole, words", [(0, 0, "0 %"), (1, 10**6, "< 0.1 %"), (4, 1000, "0.4 %"), (1, 1, "100 %")]
)
def test_a_small_share_is_not_nothing(part: int, whole: int, words: str) -> None:
    assert share_words(part, whole) == words


# --- lanes -----------------------------------------------------------------------------------------------------------


def test_lanes_are_cut_to_the_span_and_what_is_short_is_seen() -> None:
    scale = TimeScale(NOON, NOON + 10 * HOUR, UTC)
    now = NOON + 5 * HOUR
    line = Line(
        "firing",
        intervals=[
            Interval(NOON - DAY, NOON + HOUR, "is-firing", "began before"),
            Interval(NOON + 2 * HOUR, NOON + 2 * HOUR, "is-firing", "short"),
            Interval(NOON + 4 * HOUR, None, "is-firing", "fires still"),
            Interval(NOON + 9 * HOUR, NOON + 20 * HOUR, "is-firing", "goes on"),
            Interval(NOON - 2 * DAY, NOON - DAY, "is-firing", "long over"),
            Interval(NOON + 10 * HOUR, NOON + 10 * HOUR, "is-firing", "too late"),
        ],
        moments=[Moment(NOON + 3 * HOUR, "is-ok", "acknowledged"), Moment(NOON - HOUR, "is-ok", "outside")],
    )
    chart = lanes([line], scale, title="Story", now=now)
    (lane,) = chart.lanes
    assert [(each.text, each.x, each.width) for each in lane.stretches] == [
        ("began before", 0, 10),
        ("short", 20, 0.4),
        ("fires still", 40, 10),
        ("goes on", 90, 10),
    ]
    assert [each.is_cut for each in lane.stretches] == [False, False, False, True]
    assert [(dot.x, dot.text) for dot in lane.dots] == [(30, "acknowledged")]
    assert [row.text for row in lane.rows] == ["began before", "short", "acknowledged", "fires still", "goes on"]
    assert chart.description.endswith("1 lane, 5 entries.")


def test_what_is_short_at_the_right_end_stays_inside() -> None:
    scale = TimeScale(NOON, NOON + 100 * HOUR, UTC)
    end = NOON + 100 * HOUR
    line = Line("firing", [Interval(end - timedelta(seconds=1), end, "is-firing", "short")])
    chart = lanes([line], scale, title="Story", now=end + DAY)
    (stretch,) = chart.lanes[0].stretches
    assert stretch.x + stretch.width <= 100
    assert chart.now is None
    assert chart.description.endswith("1 lane, 1 entry.")
