"""Flapping: an alert that changes so often that no single change means anything.

Holds how the episodes of one alert are judged by a rule of `flap_rules`. A change is a start or an end, at the time
that senders give it, not when it was received. Replicas never count: their claims are one occurrence already.

Nagios, Icinga 2 and Kibana see states by checks, so a firing is looked at every `check_interval_seconds`, at times that
are whole multiples of it since 1970, UTC. What begins and ends between two checks is not seen.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from alert_history.domain.episode import Episode
from alert_history.domain.flap_checks import (
    Run,
    changes_in_runs,
    looks,
    seen_changes,
    threshold_runs,
    weighted_runs,
    weighted_share,
)
from alert_history.domain.flap_rules import (
    CHECKS,
    Definition,
    FlapRule,
    KibanaRule,
    NewRelicRule,
    OursRule,
    WeightedRule,
    definition_of,
    least_episodes,
    restart_of,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNREPORTED = frozenset({"expired", "inferred", "reconciled"})
_by_start = attrgetter("starts_at")


class FlapPeriod(msgspec.Struct, frozen=True, gc=False):
    """A stretch in which an alert flapped, aware UTC, from `begin` to `end`.

    By checks (nagios, icinga, kibana) `end` is the first check at which it is calm. By our own definition `end` is the
    last moment at which it flaps; that may be `begin`, where a change is as old as the window is long.
    """

    begin: datetime
    end: datetime


class Flapping(msgspec.Struct, frozen=True):
    """How one alert flapped in a span, by the definition named. Times are aware UTC, shares are 0 to 1.

    `is_flapping`: at some moment of the span; `is_flapping_at_end`: at its last. `changes` are the starts and ends in
    the span. `worst_changes` (ours, kibana) and `worst_share` (nagios, icinga; newrelic: of the whole span) are the
    highest that the definition compares, first reached at `worst_at`. `periods` and `flapping_seconds` say when, within
    the span; newrelic judges a span as a whole and has none. `ended` and `brief` (newrelic) are how many firings ended,
    and how many of them were short; both may be added up over alerts, for the share of a rule.
    """

    fingerprint: str
    definition: Definition
    changes: int
    is_flapping: bool = False
    is_flapping_at_end: bool = False
    worst_changes: int | None = None
    worst_share: float | None = None
    worst_at: datetime | None = None
    flapping_seconds: float = 0.0
    periods: tuple[FlapPeriod, ...] = ()
    ended: int | None = None
    brief: int | None = None


class _Span(NamedTuple):
    """From `since` until before `until`, which is not in the future."""

    since: datetime
    until: datetime

    def changes(self, changes: Sequence[datetime]) -> int:
        """How many of them are in it."""
        return bisect_left(changes, self.until) - bisect_left(changes, self.since)


class _Worst(NamedTuple):
    """The highest value that a definition compares, and when it was first reached; None where it never was above 0."""

    value: float = 0
    at: datetime | None = None


class _Checks(NamedTuple):
    """The checks that saw a change, and those of a span: from `first` until before `end`, `interval` apart."""

    changed: list[int]
    interval: timedelta
    first: int
    end: int

    def time(self, check: int) -> datetime:
        """When that check was."""
        return _EPOCH + check * self.interval

    def periods(self, runs: Iterable[Run]) -> list[FlapPeriod]:
        """The same in time."""
        return [FlapPeriod(self.time(run.begin), self.time(run.end)) for run in runs]

    def worst(self, value: Callable[[int], float]) -> _Worst:
        """The highest value at a check of the span, the earliest of them."""
        at = max(looks(self.changed, self.first, self.end), key=value, default=None)
        if at is None or not value(at):
            return _Worst()
        return _Worst(value(at), self.time(at))


def is_flapping(changes: Sequence[datetime], now: datetime, rule: OursRule) -> bool:
    """Whether these changes, each a start or an end, are too many by our own definition."""
    since = now - rule.window
    return sum(since <= change <= now for change in changes) > rule.limit


def changes_of(episodes: Iterable[Episode], restart: timedelta) -> list[datetime]:
    """When the alert began and ended in turn, oldest first; the last is a start if it fires still.

    `episodes` are of one fingerprint, in any order. Those that overlap or touch are one firing. So are two of which the
    first has an end that no sender reported, if the second begins within `restart` after it.
    """
    changes: list[datetime] = []
    is_unreported = False
    for episode in sorted(episodes, key=_by_start):
        begin, end = episode.starts_at, episode.ends_at
        if len(changes) % 2:
            break  # it fires still, and what begins later is a part of that
        if changes and (begin <= changes[-1] or (is_unreported and begin - changes[-1] <= restart)):
            if end is not None and end <= changes[-1]:
                continue
            changes.pop()
        else:
            changes.append(begin)
        if end is not None:
            changes.append(max(begin, end))  # the clocks of senders differ
            is_unreported = episode.ended_by in _UNREPORTED
    return changes


def flaps_of(
    episodes: Sequence[Episode], rule: FlapRule, *, since: datetime, until: datetime, now: datetime
) -> Flapping:
    """Judge one alert in the span from `since` until before `until`, or `now` where that is earlier.

    `episodes` are of one fingerprint, in any order, at least one: those that changed in the span or within `reach` of
    the rule before it. One that is left out because it began long before costs one change. What the span begins with is
    judged by the changes before it.

    Raises: ValueError without an episode.
    """
    if not episodes:
        raise ValueError("there is no episode to judge")
    span = _Span(since, max(since, min(until, now)))
    changes = changes_of(episodes, restart_of(rule))
    base = Flapping(episodes[0].fingerprint, definition_of(rule), span.changes(changes))
    match rule:
        case OursRule():
            return _by_window(base, rule, changes, span)
        case KibanaRule():
            return _by_runs(base, rule, changes, span)
        case NewRelicRule():
            return _by_length(base, rule, changes, span)
        case _:
            return _by_weight(base, rule, changes, span)


def flapping_among(
    episodes: Iterable[Episode], rule: FlapRule, *, since: datetime, until: datetime, now: datetime
) -> list[Flapping]:
    """Those alerts that flapped in the span: most changes first, then by fingerprint.

    `episodes` are of many alerts, in any order; of each, what `flaps_of` takes.
    """
    alerts: dict[str, list[Episode]] = {}
    for episode in episodes:
        alerts.setdefault(episode.fingerprint, []).append(episode)
    least = least_episodes(rule)
    judged = (flaps_of(own, rule, since=since, until=until, now=now) for own in alerts.values() if len(own) >= least)
    return sorted((each for each in judged if each.is_flapping), key=lambda each: (-each.changes, each.fingerprint))


def _by_window(base: Flapping, rule: OursRule, changes: Sequence[datetime], span: _Span) -> Flapping:
    worst = _most_in_window(changes, rule.window, span)
    flapping = _during(base, _windows_over(changes, rule, span.until), span, is_end_in=True)
    return replace(flapping, worst_changes=int(worst.value), worst_at=worst.at)


def _windows_over(changes: Sequence[datetime], rule: OursRule, until: datetime) -> list[FlapPeriod]:
    """From each change that is one too many until the oldest that was counted leaves the window."""
    window, limit = rule.window, rule.limit
    periods: list[list[datetime]] = []
    for oldest, change in zip(changes, changes[limit:], strict=False):
        if change >= until:
            break
        if change - oldest <= window:
            if periods and change <= periods[-1][1]:
                periods[-1][1] = oldest + window
            else:
                periods.append([change, oldest + window])
    return [FlapPeriod(begin, end) for begin, end in periods]


def _most_in_window(changes: Sequence[datetime], window: timedelta, span: _Span) -> _Worst:
    """The most changes in a window that ends in the span: where the span begins, or at a change."""
    first = bisect_left(changes, span.since)
    oldest = bisect_left(changes, span.since - window)
    most, at = first - oldest, span.since
    for newest in range(first, bisect_left(changes, span.until)):
        while changes[newest] - changes[oldest] > window:
            oldest += 1
        if newest - oldest >= most:
            most, at = newest - oldest + 1, changes[newest]
    return _Worst(most, at if most else None)


def _by_weight(base: Flapping, rule: WeightedRule, changes: Sequence[datetime], span: _Span) -> Flapping:
    checks = _checks(changes, span, interval_seconds=rule.check_interval_seconds, looks_back=2 * CHECKS)
    worst = checks.worst(lambda at: weighted_share(checks.changed, at, rule))
    flapping = _during(base, checks.periods(weighted_runs(checks.changed, rule)), span)
    return replace(flapping, worst_share=worst.value, worst_at=worst.at)


def _by_runs(base: Flapping, rule: KibanaRule, changes: Sequence[datetime], span: _Span) -> Flapping:
    looks_back = 2 * rule.look_back_window
    checks = _checks(changes, span, interval_seconds=rule.check_interval_seconds, looks_back=looks_back)
    worst = checks.worst(lambda at: changes_in_runs(checks.changed, at, rule))
    flapping = _during(base, checks.periods(threshold_runs(checks.changed, rule)), span)
    return replace(flapping, worst_changes=int(worst.value), worst_at=worst.at)


def _by_length(base: Flapping, rule: NewRelicRule, changes: Sequence[datetime], span: _Span) -> Flapping:
    firings = zip(changes[::2], changes[1::2], strict=False)
    lasted = [end - begin for begin, end in firings if span.since <= end < span.until]
    brief = sum(each.total_seconds() <= rule.seconds for each in lasted)
    share = brief / len(lasted) if lasted else 0.0
    is_flapping = len(lasted) >= rule.least_ended and share >= rule.share
    return replace(
        base,
        is_flapping=is_flapping,
        is_flapping_at_end=is_flapping,
        worst_share=share,
        ended=len(lasted),
        brief=brief,
    )


def _checks(changes: Sequence[datetime], span: _Span, *, interval_seconds: float, looks_back: int) -> _Checks:
    """What checks saw from `looks_back` checks before the span until its end."""
    interval = timedelta(seconds=interval_seconds)
    first, end = (_first_check(time, interval) for time in span)
    seen = seen_changes(_first_check(change, interval) for change in changes if change < span.until)
    changed = seen[bisect_left(seen, first - looks_back) : bisect_left(seen, end)]
    return _Checks(changed, interval, first, end)


def _first_check(time: datetime, interval: timedelta) -> int:
    """The first check at or after that time."""
    return -((_EPOCH - time) // interval)


def _during(base: Flapping, periods: Sequence[FlapPeriod], span: _Span, *, is_end_in: bool = False) -> Flapping:
    """With the periods, cut to the span; `is_end_in`: a period holds its end."""
    since, until = span
    if since == until:
        return base
    cut = tuple(
        FlapPeriod(max(period.begin, since), min(period.end, until))
        for period in periods
        if period.begin < until and (period.end > since or (is_end_in and period.end == since))
    )
    return replace(
        base,
        is_flapping=bool(cut),
        is_flapping_at_end=bool(cut) and cut[-1].end == until,
        flapping_seconds=sum(((period.end - period.begin).total_seconds() for period in cut), 0.0),
        periods=cut,
    )
