"""How long alerts fire: the share that fires still after a time, on an axis on which each step is some times as long.

An area from the left, in columns: its height is the share, by the Kaplan–Meier estimator of `domain.durations`.
"""

import math
from collections.abc import Sequence

import msgspec

from alert_history.domain.durations import SurvivalStep
from alert_history.web.pages.charts.scale import Tick

HEIGHT = 140
"""Of the plot, in pixels; the words of the axis are below."""

_COLUMNS = 72
_TIMES = (
    (1, "1 s"),
    (10, "10 s"),
    (60, "1 min"),
    (300, "5 min"),
    (900, "15 min"),
    (3_600, "1 h"),
    (14_400, "4 h"),
    (86_400, "1 d"),
    (604_800, "1 w"),
    (2_592_000, "30 d"),
    (31_536_000, "1 y"),
    (315_360_000, "10 y"),
)
_SHARES = ((1.0, "all"), (0.5, "half"))


class Column(msgspec.Struct, frozen=True):
    """A part of the area: `x` and `width` in percent, `y` and `height` in pixels from above."""

    x: float
    width: float
    y: float
    height: float
    text: str


class Point(msgspec.Struct, frozen=True):
    """A row of the table behind: after this time, so many fire still."""

    after: str
    share: str


class Survival(msgspec.Struct, frozen=True):
    """The chart; without columns where nothing has ended yet."""

    title: str
    description: str
    columns: Sequence[Column]
    points: Sequence[Point]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    height: int = HEIGHT


class _Scale(msgspec.Struct, frozen=True):
    """Seconds from left to right, each step some times as long as the one before."""

    first: float
    last: float

    def at(self, seconds: float) -> float:
        """Where so many seconds are, in percent of the width."""
        share = math.log(max(seconds, self.first) / self.first) / math.log(self.last / self.first)
        return round(100 * min(share, 1.0), 3)

    def seconds(self, place: int) -> float:
        """The seconds at the left edge of a column."""
        return self.first * math.pow(self.last / self.first, place / _COLUMNS)


def survival(steps: Sequence[SurvivalStep], *, title: str) -> Survival:
    """The chart of a curve, the shortest first."""
    if not steps:
        return Survival(title, "Nothing has ended yet.", (), (), (), ())
    scale = _scale_of(steps)
    times = [(seconds, words) for seconds, words in _TIMES if scale.first <= seconds <= scale.last]
    points = [Point(words, percent(firing_after(steps, seconds))) for seconds, words in times]
    ticks = [Tick(scale.at(seconds), words, number % 2 == 1) for number, (seconds, words) in enumerate(times)]
    shares = [Tick(round(HEIGHT * (1 - share), 1), words) for share, words in _SHARES]
    description = "; ".join(f"after {point.after} {point.share} fire still" for point in points)
    columns = [_column(steps, scale, place) for place in range(_COLUMNS)]
    return Survival(title, f"{description[:1].upper()}{description[1:]}.", columns, points, ticks, shares)


def firing_after(steps: Sequence[SurvivalStep], seconds: float) -> float:
    """The share that fires still after so many seconds, 0 to 1."""
    return next((step.firing for step in reversed(steps) if step.seconds <= seconds), 1.0)


def percent(share: float) -> str:
    """A share in whole percent; what is not quite none or all is told so."""
    if 0 < share < 0.01:  # noqa: PLR2004  # a percent
        return "< 1 %"
    return "> 99 %" if 0.99 < share < 1 else f"{share * 100:.0f} %"  # noqa: PLR2004  # all but a percent


def _scale_of(steps: Sequence[SurvivalStep]) -> _Scale:
    """Between round times, so that all steps are in sight."""
    seconds = [time for time, _ in _TIMES]
    first = max((time for time in seconds if time < steps[0].seconds), default=seconds[0])
    last = min((time for time in seconds if time > max(steps[-1].seconds, first)), default=2 * steps[-1].seconds)
    return _Scale(first, last)


def _column(steps: Sequence[SurvivalStep], scale: _Scale, place: int) -> Column:
    begin, end = scale.seconds(place), scale.seconds(place + 1)
    share = firing_after(steps, begin)
    height = round(HEIGHT * share, 1)
    width = round(scale.at(end) - scale.at(begin), 3)
    text = f"after {_length(begin)}: {percent(share)} fire still"
    return Column(scale.at(begin), width, round(HEIGHT - height, 1), height, text)


def _length(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} s"
