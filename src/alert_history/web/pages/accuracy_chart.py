"""How often people agreed with the classifications, day by day, as points of a small chart. Must not know of HTML."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from alert_history.ports import Accuracy

WIDTH, HEIGHT = 600, 96
_GAP = 0.3  # of a day's width


class Bar(msgspec.Struct, frozen=True):
    """One day on which people looked at classifications: where its bar stands, how high, and what it says."""

    x: float
    y: float
    width: float
    height: float
    text: str


class Chart(msgspec.Struct, frozen=True):
    """All days of a span, the last at the right edge; `share` is of the whole span, from 0 to 1."""

    bars: tuple[Bar, ...]
    first: date
    last: date
    reviewed: int
    right: int

    @property
    def share(self) -> float:
        """The part that was right; 0 if nobody looked."""
        return self.right / self.reviewed if self.reviewed else 0.0


def chart_of(accuracy: Sequence[Accuracy], *, last: date, days: int) -> Chart:
    """The chart of the `days` up to `last`; all models together."""
    first = last - timedelta(days=days - 1)
    reviewed: Counter[date] = Counter()
    right: Counter[date] = Counter()
    for of_day in accuracy:
        day = date.fromisoformat(of_day.day)
        if first <= day <= last:
            reviewed[day] += of_day.reviewed
            right[day] += of_day.right
    step = WIDTH / days
    bars = [
        _bar(day, (day - first).days * step, step, reviewed=reviewed[day], right=right[day]) for day in sorted(reviewed)
    ]
    return Chart(tuple(bars), first, last, reviewed.total(), right.total())


def _bar(day: date, x: float, step: float, *, reviewed: int, right: int) -> Bar:
    height = max(HEIGHT * right / reviewed, 1.5)  # a day on which nothing was right shows too
    text = f"{day.isoformat()}: {right} of {reviewed} right"
    return Bar(round(x + step * _GAP / 2, 1), round(HEIGHT - height, 1), round(step * (1 - _GAP), 1), height, text)
