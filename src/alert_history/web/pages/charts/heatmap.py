"""Hours of the day by weekdays: how much each hour of the week has, darker where it is more."""

import math
from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from alert_history.web.pages.charts.scale import number_words

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LEVELS = 5
ROW_HEIGHT = 20
GUTTER = 7.0
"""Percent of the width, for the names of the days."""

_HOURS = 24
_CELL_WIDTH = round((100 - GUTTER) / _HOURS, 4)
_HOUR_STEP = 3


class Rate(msgspec.Struct, frozen=True):
    """An hour of the week: how many, and how many an hour (None: the span has no such hour)."""

    number: int
    per_hour: float | None


class Cell(msgspec.Struct, frozen=True):
    """A square: `x` in percent, `y` in pixels; `level` 0 is nothing, and None an hour that the span does not have."""

    x: float
    y: int
    level: int | None
    text: str
    number: int


class Heatmap(msgspec.Struct, frozen=True):
    """The chart: a row of cells for each weekday. `shades` are its levels, and up to which rate each is."""

    title: str
    description: str
    rows: Sequence[tuple[str, Sequence[Cell]]]
    hours: Sequence[tuple[float, str]]
    shades: Sequence[tuple[int, str]]
    cell_width: float = _CELL_WIDTH
    row_height: int = ROW_HEIGHT
    height: int = ROW_HEIGHT * len(DAYS)


def heatmap(rates: Sequence[Rate], *, title: str, noun: str) -> Heatmap:
    """The chart of 168 hours of the week, from Monday, 00:00 on; `noun` says what is counted: `began`."""
    highest = max((rate.per_hour or 0.0 for rate in rates), default=0.0)
    bounds = _bounds(rates)
    cells = [_cell(place, rate, bounds, noun=noun) for place, rate in enumerate(rates)]
    shades = [(0, "none"), *((_shade(place, bounds), rate_words(bound)) for place, bound in enumerate(bounds))]
    rows = [(day, cells[number * _HOURS : (number + 1) * _HOURS]) for number, day in enumerate(DAYS)]
    hours = [(round(GUTTER + hour * _CELL_WIDTH, 3), f"{hour:02}") for hour in range(0, _HOURS, _HOUR_STEP)]
    return Heatmap(title, _description(cells, rates, highest, noun), rows, hours, shades)


def rate_words(rate: float) -> str:
    """A rate in two figures: `0.25`, `1.5`, `12`."""
    return number_words(rate) if rate >= 10 else f"{rate:.2g}"  # noqa: PLR2004  # two figures


def _cell(place: int, rate: Rate, bounds: Sequence[float], *, noun: str) -> Cell:
    weekday, hour = divmod(place, _HOURS)
    when = f"{DAYS[weekday]} {hour:02}:00 – {(hour + 1) % _HOURS:02}:00"
    text = f"{when}: {number_words(rate.number)} {noun}, {rate_words(rate.per_hour or 0)} an hour"
    if rate.per_hour is None:
        text = f"{when}: not in the span"
    return Cell(round(GUTTER + hour * _CELL_WIDTH, 3), weekday * ROW_HEIGHT, _level(rate, bounds), text, rate.number)


def _bounds(rates: Sequence[Rate]) -> list[float]:
    """The highest rate of each fifth of the hours that have any, so that one storm does not hide the rest."""
    some = sorted(rate.per_hour for rate in rates if rate.per_hour)
    fifths = {some[math.ceil(len(some) * number / LEVELS) - 1] for number in range(1, LEVELS + 1)} if some else ()
    return sorted(fifths)


def _shade(place: int, bounds: Sequence[float]) -> int:
    """The level of a fifth; where fifths are equal there are fewer, from the lightest to the darkest."""
    return LEVELS if place == len(bounds) - 1 else 1 + place * (LEVELS - 1) // (len(bounds) - 1)


def _level(rate: Rate, bounds: Sequence[float]) -> int | None:
    if rate.per_hour is None:
        return None
    return _shade(bisect_left(bounds, rate.per_hour), bounds) if rate.per_hour else 0


def _description(cells: Sequence[Cell], rates: Sequence[Rate], highest: float, noun: str) -> str:
    if not highest:
        return f"None {noun}."
    place = max(range(len(rates)), key=lambda number: rates[number].per_hour or 0.0)
    return f"Most: {cells[place].text}."
