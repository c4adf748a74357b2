"""Bars from the left: how much each value has of all, in a table with its numbers."""

from collections.abc import Iterable, Sequence

import msgspec

from alert_history.web.pages.charts.scale import number_words

_PERCENT = 100
_LEAST = 0.5
_EXACT_BELOW = 0.1


class Counted(msgspec.Struct, frozen=True):
    """What one value has. Where it leads, if anywhere."""

    name: str
    number: int
    mark: str = "c0"
    href: str = ""


class ShareBar(msgspec.Struct, frozen=True):
    """One value: `width` is in percent of the widest bar, `share` is of all, in words."""

    name: str
    number: int
    width: float
    share: str
    mark: str
    href: str


class Shares(msgspec.Struct, frozen=True):
    """The chart."""

    title: str
    bars: Sequence[ShareBar]
    total: int
    noun: str


def shares(values: Iterable[Counted], *, title: str, noun: str, total: int | None = None) -> Shares:
    """The bars of values, in their order. `total` is of all, where others are not shown."""
    counted = list(values)
    of_all = sum(each.number for each in counted) if total is None else total
    highest = max((each.number for each in counted), default=0)
    return Shares(title, [_bar(each, highest, of_all) for each in counted], of_all, noun)


def share_words(part: float, whole: float) -> str:
    """A share in percent: `34 %`, `0.4 %`, `< 0.1 %`."""
    percent = _PERCENT * part / whole if whole else 0.0
    if 0 < percent < _EXACT_BELOW:
        return "< 0.1 %"
    return f"{percent:.1f} %" if 0 < percent < 1 else f"{number_words(percent)} %"


def _bar(counted: Counted, highest: int, total: int) -> ShareBar:
    width = max(_PERCENT * counted.number / highest, _LEAST) if counted.number else 0.0
    return ShareBar(
        counted.name, counted.number, round(width, 2), share_words(counted.number, total), counted.mark, counted.href
    )
