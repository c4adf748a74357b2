"""Durations: how long alerts fire, with those that fire still as censored (Kaplan and Meier, 1958).

Of what fires still it is known only that it lasts longer than it has by now. To leave it out, or to take it as ended,
would make long firings look short. Everything is reckoned from counts in the buckets of `log_buckets`, so that one
alert and a year of merged counts are answered in the same way; a duration is within 2 %.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import get_args

import msgspec

from alert_history.domain.episode import Episode
from alert_history.domain.log_buckets import bucket_of, merged, percentile, representative
from alert_history.domain.standing import EndedBy

ENDINGS: tuple[EndedBy, ...] = get_args(EndedBy)

_NEARLY = 1e-9
"""Half of a half of a half is not always an eighth for a computer; a share this close is the share."""


class EndedDurations(msgspec.Struct, frozen=True):
    """How long those took that ended in one way. Seconds, within 2 %; None where `count` is 0."""

    count: int
    p50_seconds: float | None
    p90_seconds: float | None
    p99_seconds: float | None


class Durations(msgspec.Struct, frozen=True):
    """How long occurrences fire. `count` is all of them, `firing` those that fire still.

    Percentiles are by the Kaplan–Meier estimator: the time after which half, a tenth and a hundredth still fire. In
    seconds, within 2 %; None where too many fire still to know. `by_ended_by` has an entry for each way to end that
    occurred; its percentiles are plain ones, of ended occurrences alone. Its counts and `firing` add up to `count`; no
    percentiles add up.
    """

    count: int
    firing: int
    p50_seconds: float | None
    p90_seconds: float | None
    p99_seconds: float | None
    by_ended_by: dict[EndedBy, EndedDurations]


class DurationCounts(msgspec.Struct, frozen=True):
    """How many lasted how long: counts by bucket of `log_buckets`.

    `ended` has them by how the end is known, `firing` has what fires still, by how long it has so far.
    """

    ended: Mapping[EndedBy, Mapping[int, int]]
    firing: Mapping[int, int]


class SurvivalStep(msgspec.Struct, frozen=True):
    """After so many seconds, within 2 %, the share `firing`, 0 to 1, fires still."""

    seconds: float
    firing: float


def durations_of(episodes: Iterable[Episode], now: datetime) -> Durations:
    """How long these fire, as known `now`."""
    return durations_from(counts_of_episodes(episodes, now))


def counts_of_episodes(episodes: Iterable[Episode], now: datetime) -> DurationCounts:
    """Their durations in buckets. An end that nobody explained (of an import) counts as resolved."""
    ended: dict[EndedBy, dict[int, int]] = {}
    firing: dict[int, int] = {}
    for episode in episodes:
        counts = firing if episode.ends_at is None else ended.setdefault(episode.ended_by or "resolved", {})
        bucket = bucket_of(episode.seconds(now))
        counts[bucket] = counts.get(bucket, 0) + 1
    return DurationCounts(ended, firing)


def merged_counts(parts: Sequence[DurationCounts]) -> DurationCounts:
    """The counts of several spans or rules as one; those of a span and of its parts are the same."""
    ended: dict[EndedBy, Mapping[int, int]] = {
        by: counts for by in ENDINGS if (counts := merged(part.ended.get(by, {}) for part in parts))
    }
    return DurationCounts(ended, merged(part.firing for part in parts))


def durations_from(counts: DurationCounts) -> Durations:
    """What the counts say."""
    ended = merged(counts.ended.values())
    firing = sum(counts.firing.values())
    return Durations(
        count=sum(ended.values()) + firing,
        firing=firing,
        p50_seconds=survival_percentile(ended, counts.firing, 0.5),
        p90_seconds=survival_percentile(ended, counts.firing, 0.9),
        p99_seconds=survival_percentile(ended, counts.firing, 0.99),
        by_ended_by={by: _of_ended(counts.ended[by]) for by in ENDINGS if any(counts.ended.get(by, {}).values())},
    )


def survival_percentile(ended: Mapping[int, int], censored: Mapping[int, int], share: float) -> float | None:
    """After how many seconds `share` (above 0, up to 1) have ended, by the Kaplan–Meier estimator.

    Both are counts by bucket; what is censored in a bucket was at risk when others ended in it. None where the curve of
    those that fire still does not come down to 1 − `share`.
    """
    return next((step.seconds for step in _steps(ended, censored) if step.firing <= 1 - share + _NEARLY), None)


def survival_steps(counts: DurationCounts) -> list[SurvivalStep]:
    """The curve of those that fire still, by the Kaplan–Meier estimator, the shortest first; before it all fire."""
    return list(_steps(merged(counts.ended.values()), counts.firing))


def _steps(ended: Mapping[int, int], censored: Mapping[int, int]) -> Iterator[SurvivalStep]:
    at_risk = sum(ended.values()) + sum(censored.values())
    firing = 1.0
    for bucket in sorted(ended.keys() | censored.keys()):
        ends = ended.get(bucket, 0)
        if ends:
            firing *= 1 - ends / at_risk
            yield SurvivalStep(representative(bucket), firing)
        at_risk -= ends + censored.get(bucket, 0)


def _of_ended(counts: Mapping[int, int]) -> EndedDurations:
    return EndedDurations(
        count=sum(counts.values()),
        p50_seconds=percentile(counts, 0.5),
        p90_seconds=percentile(counts, 0.9),
        p99_seconds=percentile(counts, 0.99),
    )
