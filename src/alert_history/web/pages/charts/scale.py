"""The scales of charts: ticks of numbers and of local time, and the marks that colour values."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import cycle

import msgspec

from alert_history.domain.calendar import instant
from alert_history.domain.severity import urgency

MOST_TICKS = 8
OTHER = "is-other"
REST = "is-rest"
"""The class of what is not shown by itself."""

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_STEPS = (
    *(number * _MINUTE for number in (1, 2, 5, 10, 15, 30)),
    *(number * _HOUR for number in (1, 2, 3, 6, 12)),
    *(number * _DAY for number in (1, 2, 7, 14, 28, 56, 112, 224, 448, 896, 1_792, 3_584, 7_168, 14_336)),
)
_MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001  # what clocks on the wall show
_LONG = timedelta(days=400)
_MARKS = {4: "is-critical", 3: "is-warning", 1: "is-info", 0: "is-none"}
_PLAIN = frozenset({"critical", "warning", "info", "none"})
_ALSO = " is-also"
_SPARE = ("c3", "c5", "c4", "c2", "c9", "c7")
"""Colours that no known severity has."""

_COLOURS = 10
_PERCENT = 100
_ROUNDS = (1, 2, 5)
_SHORTENED_FROM = 10_000
_TICKS = 3


class Tick(msgspec.Struct, frozen=True):
    """A tick of an axis: where it is (percent of the width, or pixels from above), and its words.

    Where it is narrow, there is no room for a tick that `is_minor`.
    """

    at: float
    text: str
    is_minor: bool = False


class TimeScale(msgspec.Struct, frozen=True):
    """Time from left to right, in percent of the width; `until` is after `since`."""

    since: datetime
    until: datetime
    zone: tzinfo

    def at(self, time: datetime) -> float:
        """Where a time is; those outside of the span are at its ends."""
        share = (time - self.since) / (self.until - self.since)
        return round(_PERCENT * min(max(share, 0.0), 1.0), 3)

    def width(self, begin: datetime, end: datetime, *, least: float = 0.0) -> float:
        """How wide what lasts from one to the other is, and at least so much."""
        return round(max(self.at(end) - self.at(begin), least), 3)

    def ticks(self, *, most: int = MOST_TICKS) -> list[Tick]:
        """Round times of local clocks, at most so many; midnights are told by their date."""
        length = self.until - self.since
        step = next((each for each in _STEPS if length <= most * each), _STEPS[-1])
        times = [time for time in _round_times(self, step) if self.since <= time < self.until][:most]
        return [Tick(self.at(time), self._words(time, step), number % 2 == 1) for number, time in enumerate(times)]

    def words(self, begin: datetime, end: datetime) -> str:
        """From when to when, on local clocks; the second date only where it differs."""
        first, last = begin.astimezone(self.zone), end.astimezone(self.zone)
        is_midnights = all((each.hour, each.minute) == (0, 0) for each in (first, last))
        if is_midnights and end - begin >= timedelta(hours=23):
            final = (end - _MINUTE).astimezone(self.zone)
            return day_words(first) if first.date() == final.date() else f"{day_words(first)} – {day_words(final)}"
        if first.date() == last.date():
            return f"{day_words(first)} {first:%H:%M} – {last:%H:%M}"
        return f"{day_words(first)} {first:%H:%M} – {day_words(last)} {last:%H:%M}"

    def _words(self, time: datetime, step: timedelta) -> str:
        local = time.astimezone(self.zone)
        if step < _DAY and (local.hour, local.minute) != (0, 0):
            return f"{local:%H:%M}"
        return f"{local:%b %Y}" if self.until - self.since > _LONG else f"{local.day} {local:%b}"


def day_words(local: datetime) -> str:
    """A day, as `Fri 27 Nov`."""
    return f"{local:%a} {local.day} {local:%b}"


def number_ticks(highest: float, *, height: float) -> tuple[float, list[Tick]]:
    """The round number at the upper end of an axis, and its ticks from above; whole numbers where there is room."""
    step = _round_up(max(highest, 1) / _TICKS)
    steps = max(math.ceil(highest / step), 1)
    top = steps * step
    return top, [
        Tick(round(height * (1 - number / steps), 1), short_number(number * step)) for number in range(steps, 0, -1)
    ]


def short_number(number: float) -> str:
    """A number as an axis shows it: `950`, `12k`, `3.4M`."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if number >= size and number >= _SHORTENED_FROM:
            return f"{number / size:.4g}{unit}"
    return f"{number:.4g}"


def number_words(number: float) -> str:
    """A whole number with thin gaps: `12 345`."""
    return f"{number:,.0f}".replace(",", "\u202f")


def mark_of(severity: str) -> str:
    """The class that colours a severity, by what its word means: `page` and `P1` are critical."""
    return _MARKS.get(urgency(severity), OTHER)


def marks(values: Sequence[str], *, by: str) -> list[str]:
    """The classes that colour the values of a label: severities by what they mean, others in their order.

    A known severity has the colour of its meaning, whatever else is shown: of several that mean the same, `critical`
    has it before `page`, and the others have its dark shade. A word that is not known has a colour of no known one.
    """
    if by != "severity":
        return [f"c{number % _COLOURS}" for number, _ in enumerate(values)]
    spare = cycle(_SPARE)
    meant = {value: mark_of(value) for value in values}
    first: dict[str, str] = {}
    for value in sorted(values, key=lambda each: each not in _PLAIN):
        first.setdefault(meant[value], value)
    return [_severity_colour(meant[value], value, first, spare) for value in values]


def _severity_colour(mark: str, value: str, first: Mapping[str, str], spare: Iterator[str]) -> str:
    if mark == OTHER:
        return next(spare) if value else OTHER
    return mark if first[mark] == value else mark + _ALSO


def _round_up(number: float) -> int:
    """The least of 1, 2, 5, 10, 20 … that is not below."""
    size: int = 10 ** max(math.floor(math.log10(max(number, 1))), 0)
    return next((round_one * size for round_one in _ROUNDS if round_one * size >= number), 10 * size)


def _round_times(scale: TimeScale, step: timedelta) -> Iterator[datetime]:
    """Times at which local clocks show a multiple of the step, from before the span to its end, each once."""
    wall = scale.since.astimezone(scale.zone).replace(tzinfo=None)
    wall -= (wall - _MONDAY) % step
    before = datetime.min.replace(tzinfo=UTC)
    while (time := instant(wall, scale.zone)) < scale.until:
        if time > before:  # a skipped hour is the next one, too
            yield time
        before = time
        wall += step
