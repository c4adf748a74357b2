"""What a series is made of: the wish for one, and its rows of numbers, before they become an answer."""

from collections.abc import Sequence
from datetime import timedelta, tzinfo
from typing import Literal

import msgspec

from alert_history.domain.calendar import STEPS, Bucket
from alert_history.domain.covers import Covers

Count = Literal["begun", "open"]


class SeriesWish(msgspec.Struct, frozen=True):
    """What series is asked for.

    `by` is None for all together, `step` where one is to be chosen. `values` are those to show; None: the `top` ones.
    """

    tz: tzinfo
    tz_name: str
    count: Count = "begun"
    by: str | None = None
    step: timedelta | None = None
    top: int = 10
    values: Sequence[str] | None = None


class Row(msgspec.Struct, frozen=True):
    """A number for each bucket. For what is open also its peaks, and for how many microseconds it fired."""

    counts: Sequence[int]
    peaks: Sequence[int] | None = None
    lasted_us: Sequence[int] | None = None


class SeriesParts(msgspec.Struct, frozen=True):
    """A series: in each bucket the rows of `values` and `other` add up to `total`.

    `other_values` is how many values `other` holds; None where that is not known.
    """

    step: timedelta
    buckets: Sequence[Bucket]
    total: Row
    values: dict[str, Row]
    other: Row
    other_values: int | None
    covers: Covers


def step_name(step: timedelta) -> str:
    """The name of a step of the calendar."""
    return next(name for name, length in STEPS.items() if length == step)
