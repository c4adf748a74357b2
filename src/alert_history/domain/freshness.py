"""How fresh a sender is: how long it has been silent, against how long it is silent as a rule. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Literal

import msgspec

Freshness = Literal["late", "fresh", "new", "idle"]

_FEWEST_GAPS = 3
_LATE_GAPS = 2
_SHORTEST = timedelta(minutes=1)


class Arrivals(msgspec.Struct, frozen=True):
    """When requests of one sender came: oldest first, in runs between which requests may be missing."""

    runs: Sequence[Sequence[datetime]]

    @property
    def last_at(self) -> datetime:
        """When the last one came."""
        return max(run[-1] for run in self.runs if run)

    @property
    def gaps(self) -> list[timedelta]:
        """The times between two requests, as far as nothing is missing between them."""
        return [later - earlier for run in self.runs for earlier, later in pairwise(run)]


class Rhythm(msgspec.Struct, frozen=True):
    """How a sender sends: `usual` is the median time between two requests, `longest` the longest; None: not known."""

    freshness: Freshness
    usual: timedelta | None
    longest: timedelta | None


def rhythm_of(
    arrivals: Arrivals, now: datetime, *, firing: int | None = None, patience: timedelta | None = None
) -> Rhythm:
    """A sender is late once it is silent for longer than its patience, and for a minute.

    The patience is twice the longest time between two of its requests, unless a longer one is learnt. `firing` is how
    many alerts fire in what it sends, None where that is not known: `idle` is who has none to repeat. `new`: too few
    requests are known to say.
    """
    gaps = arrivals.gaps
    usual = timedelta(seconds=median(gap.total_seconds() for gap in gaps)) if len(gaps) >= _FEWEST_GAPS else None
    longest = max(gaps) if usual is not None else None
    if firing == 0:
        return Rhythm("idle", usual, longest)
    bound = max(filter(None, (patience, None if longest is None else _LATE_GAPS * longest)), default=None)
    if bound is None:
        return Rhythm("new", usual, longest)
    is_late = now - arrivals.last_at > max(bound, _SHORTEST)
    return Rhythm("late" if is_late else "fresh", usual, longest)


def runs_of(spans: Iterable[tuple[Sequence[datetime], bool]]) -> list[list[datetime]]:
    """Joins the times of spans, oldest first, to runs: a span that was read in part begins a run of its own."""
    runs: list[list[datetime]] = [[]]
    for times, is_whole in spans:
        if not is_whole:
            runs.append([])
        runs[-1].extend(times)
    return [run for run in runs if run]
