"""What a Prometheus, and whoever speaks as it does, answers: the structs, and the samples of one series as times.

Must not know what the samples mean. Source: `web/api/v1` of prometheus/prometheus 2.42 and 3.x; VictoriaMetrics 1.79
answers the same, and marks the end of a series by a sample `"NaN"`. Times are whole milliseconds since 1970.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter, sub
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STALE = b'"NaN"'


class Envelope(msgspec.Struct, Generic[T]):
    """How every answer is wrapped. With warnings, it is an answer in part (Thanos)."""

    status: str
    data: T | None = None
    error: str = ""
    warnings: list[str] | None = None


class Series(msgspec.Struct):
    """One series, undecoded: a span has too many samples to hold all of them as objects."""

    metric: msgspec.Raw
    values: msgspec.Raw = msgspec.Raw(b"[]")

    @property
    def labels(self) -> dict[str, str]:
        """All its labels, its name too."""
        return msgspec.json.decode(self.metric, type=dict[str, str])


class Matrix(msgspec.Struct):
    """The answer to an instant query of a range."""

    result: list[Series]


class Instant(msgspec.Struct):
    """One series at one moment."""

    metric: dict[str, str]
    value: tuple[float, str]


class Vector(msgspec.Struct):
    """The answer to any other instant query."""

    result: list[Instant]


class WireRule(msgspec.Struct):
    """A rule as `/api/v1/rules` shows it; its labels and annotations are templates."""

    type: str
    name: str
    query: str = ""
    duration: float = 0.0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class WireGroup(msgspec.Struct):
    """A group of rules, which are evaluated together each `interval` seconds."""

    rules: list[WireRule] | None = None
    interval: float = 0.0


class Groups(msgspec.Struct):
    """The answer of `/api/v1/rules`."""

    groups: list[WireGroup]


class Build(msgspec.Struct):
    """The answer of `/api/v1/status/buildinfo`."""

    version: str = ""


class Config(msgspec.Struct):
    """The answer of `/api/v1/status/config`."""

    yaml: str


Alert = frozenset[tuple[str, str]]
"""Names an alert at its origin: the labels that its ALERTS and its ALERTS_FOR_STATE share."""

OWN_LABELS = frozenset({"__name__", "alertstate"})
"""Labels of the series alone."""

Flags = dict[str, Any]
"""The answer of `/api/v1/status/flags`."""


class Stretch(msgspec.Struct):
    """Samples of a series without a gap. `stale_ms` is when the server marked the series as ended."""

    first_ms: int
    last_ms: int
    stale_ms: int | None = None


class Stretches(msgspec.Struct):
    """A series in a span, without the samples. `interval_ms` is how far they lie apart; None where nobody can tell."""

    stretches: list[Stretch]
    interval_ms: int | None
    samples: int


class Activation(msgspec.Struct):
    """Samples of ALERTS_FOR_STATE that name one moment: since then the alert was active, pending or firing."""

    active_s: int
    first_ms: int
    last_ms: int


_times = msgspec.json.Decoder(list[tuple[float, msgspec.Raw]])
_values = msgspec.json.Decoder(list[tuple[float, str]])
_REPEATS, _COMMON = 3, 10


def alert_of(labels: Mapping[str, str]) -> Alert:
    """The alert that a series is about."""
    return frozenset((name, value) for name, value in labels.items() if name not in OWN_LABELS)


def time_of(time_ms: int) -> datetime:
    """Milliseconds as a time."""
    return _EPOCH + timedelta(milliseconds=time_ms)


def ms_of(time: datetime) -> int:
    """A time as whole milliseconds."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


def milliseconds(seconds: float) -> int:
    """A time as it is written in JSON."""
    return round(seconds * 1000)


def stretches_of(series: Series, *, known_ms: int | None) -> Stretches:
    """Where a series has samples. `known_ms` is the interval that is known otherwise, for a series with few samples."""
    stale = _stale_times(series.values)
    times = [int(t * 1000 + 0.5) for t, _ in _times.decode(series.values)]
    if stale:
        times = [time for time in times if time not in stale]
    if not times:
        return Stretches([], known_ms, 0)
    steps = list(map(sub, times[1:], times))
    interval = interval_of(steps, known_ms=known_ms)
    cuts = {number for number, step in enumerate(steps) if step > interval * 1.5} if interval else set()
    ends = {bisect_left(times, time) - 1: time for time in sorted(stale, reverse=True)}
    numbers = sorted((cuts | ends.keys()) - {-1, len(times) - 1})
    edges = [0, *(edge for number in numbers for edge in (number, number + 1)), len(times) - 1]
    stretches = [Stretch(times[i], times[k], ends.get(k)) for i, k in zip(edges[::2], edges[1::2], strict=True)]
    return Stretches(stretches, interval, len(times))


def _stale_times(values: msgspec.Raw) -> set[int]:
    if bytes(values).find(_STALE) < 0:
        return set()
    return {milliseconds(time) for time, value in _values.decode(values) if value == "NaN"}


def interval_of(steps: list[int], *, known_ms: int | None) -> int | None:
    """How far the samples lie apart that have these steps between them; None where nobody can tell.

    A longer step is a gap: so it is the shortest step, unless that one is rare.
    """
    if not steps:
        return known_ms
    low, high = min(steps), max(steps)
    if low == high:
        return low if len(steps) >= _REPEATS or known_ms is None else known_ms
    if known_ms is not None and any(_is_near(step, known_ms) for step in steps):
        return known_ms
    common = (
        step
        for step, same in groupby(sorted(steps))
        if (count := len(list(same))) >= _REPEATS and _COMMON * count >= len(steps)
    )
    return next(common, known_ms or low)


def _is_near(step: int, known_ms: int) -> bool:
    return abs(step - known_ms) <= known_ms * 0.1


def activations_of(series: Series) -> list[Activation]:
    """The moments that a series of ALERTS_FOR_STATE names, in order."""
    samples = ((milliseconds(time), value) for time, value in _values.decode(series.values) if value != "NaN")
    return list(_named(samples))


def _named(samples: Iterator[tuple[int, str]]) -> Iterator[Activation]:
    for value, same in groupby(samples, key=itemgetter(1)):
        times = [time for time, _ in same]
        yield Activation(int(float(value)), times[0], times[-1])
