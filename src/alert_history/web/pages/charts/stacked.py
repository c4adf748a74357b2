"""Bars over time, stacked by the values of a label: the worst at the foot."""

import math
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo

import msgspec

from alert_history.web.pages.charts.scale import Tick, TimeScale, number_ticks, number_words

HEIGHT = 160
"""Of the plot, in pixels; the words of the axis are below."""

_GAP = 0.12  # of a bar's width
_MOST_REACHES = 12  # of 24 pixels, on the narrowest phone
_LEAST = 1.5  # pixels: a bar that is there is seen
Href = Callable[[datetime, datetime], str]


class Layer(msgspec.Struct, frozen=True):
    """One value: its name, the class that colours it, and its number in each bucket."""

    name: str
    mark: str
    counts: Sequence[int]


class Slot(msgspec.Struct, frozen=True):
    """A bucket of time."""

    begin: datetime
    end: datetime


class Piece(msgspec.Struct, frozen=True):
    """The part of a bar that is of one layer, in pixels from above."""

    mark: str
    y: float
    height: float


class Bar(msgspec.Struct, frozen=True):
    """One bucket: `x` and `width` in percent, with what it says and where it leads (empty: nowhere).

    `slot_width` is without the gap between bars. `numbers` are those of the layers.
    """

    x: float
    width: float
    slot_width: float
    pieces: Sequence[Piece]
    when: str
    text: str
    href: str
    total: int
    numbers: Sequence[int]


class Reach(msgspec.Struct, frozen=True):
    """Bars side by side that a finger can hit as one: `x` and `width` in percent, what it says and where it leads."""

    x: float
    width: float
    text: str
    href: str


class Key(msgspec.Struct, frozen=True):
    """A layer in the legend."""

    mark: str
    name: str


class Stacked(msgspec.Struct, frozen=True):
    """The chart. `highest` is the most of a bucket; 0 where nothing is to be seen.

    `reaches` are the links of a touch screen, where bars are too narrow for a finger.
    """

    title: str
    description: str
    bars: Sequence[Bar]
    keys: Sequence[Key]
    y_ticks: Sequence[Tick]
    x_ticks: Sequence[Tick]
    highest: int
    noun: str
    height: int = HEIGHT
    reaches: Sequence[Reach] = ()


def stacked(
    slots: Sequence[Slot], layers: Sequence[Layer], *, title: str, noun: str, zone: tzinfo, href: Href | None = None
) -> Stacked:
    """The chart of some layers; `noun` says what is counted: `began`. The first layer stands at the foot.

    Buckets are in order, without a gap. `href` says where the bar of a span leads.
    """
    layers = [layer for layer in layers if any(layer.counts)]
    totals = [sum(layer.counts[place] for layer in layers) for place in range(len(slots))]
    highest = max(totals, default=0)
    top, y_ticks = number_ticks(highest, height=HEIGHT)
    if not slots:
        return Stacked(title, "Nothing is to be shown.", (), (), (), (), 0, noun)
    scale = TimeScale(slots[0].begin, slots[-1].end, zone)
    bars = [_bar(scale, slot, place, layers=layers, top=top, noun=noun, href=href) for place, slot in enumerate(slots)]
    keys = [Key(layer.mark, layer.name) for layer in layers]
    description = _description(bars, highest, scale, noun)
    return Stacked(
        title, description, bars, keys, y_ticks, scale.ticks(), highest, noun, reaches=_reaches(scale, slots, href)
    )


def _bar(
    scale: TimeScale, slot: Slot, place: int, *, layers: Sequence[Layer], top: float, noun: str, href: Href | None
) -> Bar:
    numbers = [layer.counts[place] for layer in layers]
    slot_width = scale.width(slot.begin, slot.end)
    when = scale.words(slot.begin, slot.end)
    parts = ", ".join(
        f"{number_words(number)} {layer.name}" for number, layer in zip(numbers, layers, strict=True) if number
    )
    total = sum(numbers)
    text = f"{when}: {number_words(total)} {noun}"
    return Bar(
        x=round(scale.at(slot.begin) + slot_width * _GAP / 2, 3),
        width=round(slot_width * (1 - _GAP), 3),
        slot_width=slot_width,
        pieces=_pieces(numbers, layers, top),
        when=when,
        text=f"{text} ({parts})" if len(layers) > 1 and parts else text,
        href=href(slot.begin, slot.end) if href is not None else "",
        total=total,
        numbers=numbers,
    )


def _reaches(scale: TimeScale, slots: Sequence[Slot], href: Href | None) -> list[Reach]:
    """As many bars each as are wide enough for a finger; none where each bar is."""
    size = math.ceil(len(slots) / _MOST_REACHES)
    if href is None or size == 1:
        return []
    parts = [slots[first : first + size] for first in range(0, len(slots), size)]
    return [
        Reach(
            scale.at(part[0].begin),
            scale.width(part[0].begin, part[-1].end),
            scale.words(part[0].begin, part[-1].end),
            href(part[0].begin, part[-1].end),
        )
        for part in parts
    ]


def _pieces(numbers: Sequence[int], layers: Sequence[Layer], top: float) -> list[Piece]:
    """From the foot up; the least of them is seen, and all of them fit."""
    heights = [max(HEIGHT * number / top, _LEAST) if number else 0.0 for number in numbers]
    shrink = min(1.0, HEIGHT / sum(heights)) if any(heights) else 1.0
    pieces, y = [], float(HEIGHT)
    for layer, height in zip(layers, heights, strict=True):
        if height:
            y -= height * shrink
            pieces.append(Piece(layer.mark, round(max(y, 0.0), 1), round(height * shrink, 1)))
    return pieces


def _description(bars: Sequence[Bar], highest: int, scale: TimeScale, noun: str) -> str:
    span = scale.words(scale.since, scale.until)
    if not highest:
        return f"{span}: none {noun}."
    most = next(bar for bar in bars if bar.total == highest)
    return f"{span}, {len(bars)} bars. Most: {most.text}."
