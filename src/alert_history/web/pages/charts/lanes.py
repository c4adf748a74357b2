"""Named lanes over one time axis: intervals as bars, moments as dots. One alert's story, or one lane an alert."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from alert_history.web.pages.charts.scale import Tick, TimeScale

LANE_HEIGHT = 20
_LEAST = 0.4  # percent: what is short is seen
_TOLD = 3


class Interval(msgspec.Struct, frozen=True):
    """What lasted; without an end it lasts still. `mark` is the class that colours it; `text` says all of it."""

    begin: datetime
    end: datetime | None
    mark: str
    text: str
    href: str = ""


class Moment(msgspec.Struct, frozen=True):
    """What happened at one time."""

    at: datetime
    mark: str
    text: str
    href: str = ""


class Line(msgspec.Struct, frozen=True):
    """What one lane has. `name` may lead somewhere; `note` is said below it."""

    name: str
    intervals: Sequence[Interval] = ()
    moments: Sequence[Moment] = ()
    href: str = ""
    note: str = ""


class Stretch(msgspec.Struct, frozen=True):
    """An interval as drawn, in percent of the width. `is_cut` where it goes on behind the right end."""

    x: float
    width: float
    mark: str
    text: str
    href: str
    is_cut: bool


class Dot(msgspec.Struct, frozen=True):
    """A moment as drawn, in percent of the width."""

    x: float
    mark: str
    text: str
    href: str


class Row(msgspec.Struct, frozen=True):
    """What is written in the table behind: a lane's intervals and moments in the order of time."""

    at: datetime
    end: datetime | None
    is_moment: bool
    text: str


class Lane(msgspec.Struct, frozen=True):
    """A lane as drawn, and its rows of the table."""

    name: str
    href: str
    note: str
    stretches: Sequence[Stretch]
    dots: Sequence[Dot]
    text: str
    rows: Sequence[Row]


class Lanes(msgspec.Struct, frozen=True):
    """The chart; `now` is where now is, in percent, or None where it is outside."""

    title: str
    description: str
    lanes: Sequence[Lane]
    x_ticks: Sequence[Tick]
    now: float | None
    height: int = LANE_HEIGHT


def lanes(lines: Iterable[Line], scale: TimeScale, *, title: str, now: datetime) -> Lanes:
    """The chart of lines, from above. What is outside of the span of `scale` is left out."""
    drawn = [_lane(line, scale, now) for line in lines]
    parts = sum(len(lane.rows) for lane in drawn)
    counts = f"{_counted(len(drawn), 'lane', 'lanes')}, {_counted(parts, 'entry', 'entries')}"
    description = f"{scale.words(scale.since, scale.until)}: {counts}."
    place = scale.at(now) if scale.since < now < scale.until else None
    return Lanes(title, description, drawn, scale.ticks(), place)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _lane(line: Line, scale: TimeScale, now: datetime) -> Lane:
    intervals = [each for each in line.intervals if each.begin < scale.until and (each.end or now) >= scale.since]
    moments = [each for each in line.moments if scale.since <= each.at <= scale.until]
    rows = [Row(each.begin, each.end, is_moment=False, text=each.text) for each in intervals]
    rows += [Row(each.at, None, is_moment=True, text=each.text) for each in moments]
    rows.sort(key=lambda row: row.at)
    return Lane(
        name=line.name,
        href=line.href,
        note=line.note,
        stretches=[_stretch(each, scale, now) for each in intervals],
        dots=[Dot(scale.at(each.at), each.mark, each.text, each.href) for each in moments],
        text=_summary(rows),
        rows=rows,
    )


def _summary(rows: Sequence[Row]) -> str:
    """The first entries, and how many more there are."""
    shown = [row.text for row in rows[:_TOLD]]
    return "; ".join([*shown, f"{len(rows) - _TOLD} more"] if len(rows) > _TOLD else shown)


def _stretch(interval: Interval, scale: TimeScale, now: datetime) -> Stretch:
    end = max(interval.end or now, interval.begin)
    width = scale.width(interval.begin, end, least=_LEAST)
    x = min(scale.at(interval.begin), 100 - width)
    is_cut = end > scale.until
    return Stretch(round(x, 3), width, interval.mark, interval.text, interval.href, is_cut)
