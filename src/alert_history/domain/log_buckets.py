"""Fixed logarithmic buckets for durations, so that counts of any two spans, rules or databases merge by adding.

Bucket 0 is less than a millisecond. From there on each bucket reaches 4 % further than the one before, so that the
value in its middle is within 2 % of all that it holds. The bounds are whole microseconds and never change: counts are
stored by the numbers of buckets.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping

_SECOND_US = 1_000_000
_FIRST_US = 1_000
_GROWTH = 1.04
_LAST_US = 10_000 * 366 * 86_400 * _SECOND_US
"""More than any two datetimes are apart."""
_NEARLY = 1 - 1e-12
"""0.07 × 100 is a little more than 7 for a computer."""


def _bounds_us() -> tuple[int, ...]:
    """Where each bucket but the first begins: a millisecond times 1.04, again and again, rounded up at last."""
    bounds: list[int] = []
    exact = float(_FIRST_US)
    while exact < _LAST_US:
        bounds.append(-int(-exact // 1))
        exact *= _GROWTH
    return tuple(bounds)


_BOUNDS_US = _bounds_us()
LAST_BUCKET = len(_BOUNDS_US)
"""The bucket of all that is longer than the calendar."""


def bucket_of(seconds: float) -> int:
    """The bucket that holds a finite duration; what is negative is in bucket 0, because clocks of senders differ."""
    return bisect_right(_BOUNDS_US, round(seconds * _SECOND_US))


def lower(bucket: int) -> float:
    """The shortest duration that the bucket holds, in seconds. Raises: ValueError if there is none such."""
    _check(bucket)
    return _BOUNDS_US[bucket - 1] / _SECOND_US if bucket else 0.0


def upper(bucket: int) -> float:
    """The shortest duration that is too long for the bucket, in seconds. Raises: ValueError if there is none such."""
    _check(bucket)
    return _BOUNDS_US[bucket] / _SECOND_US if bucket < LAST_BUCKET else float("inf")


def representative(bucket: int) -> float:
    """The value in seconds that stands for the bucket: within 2 % of each duration of a millisecond or more in it.

    0 for bucket 0. Raises: ValueError if there is none such.
    """
    _check(bucket)
    if bucket == 0:
        return 0.0
    low = _BOUNDS_US[bucket - 1]
    high = _BOUNDS_US[bucket] if bucket < LAST_BUCKET else low * _GROWTH
    return 2 * low * high / (low + high) / _SECOND_US


def counts_of(durations: Iterable[float]) -> dict[int, int]:
    """How many of these durations, in seconds, each bucket holds; buckets that hold none are left out."""
    counts: dict[int, int] = {}
    for seconds in durations:
        bucket = bucket_of(seconds)
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


def merged(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """All of them as one, added up."""
    counts: dict[int, int] = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            counts[bucket] = counts.get(bucket, 0) + count
    return counts


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The shortest duration in seconds, within 2 %, that `share` (0 to 1) of them do not exceed; None of none.

    Raises: ValueError if the share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError("a share is between 0 and 1")
    total = sum(counts.values())
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen and seen >= share * total * _NEARLY:
            return representative(bucket)
    return None


def _check(bucket: int) -> None:
    if not 0 <= bucket <= LAST_BUCKET:
        raise ValueError(f"there are buckets 0 to {LAST_BUCKET}, not {bucket}")
