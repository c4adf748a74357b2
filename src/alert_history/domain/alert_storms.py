"""Storms: spans in which far more alerts begin than usual.

What is usual is the median of all windows of the span, which a few storms don't move, and how far windows stray from it
the median of the distances. docs/explanation/together.md has a storm worked out by hand. How a storm stays cheap for a
model is the matter of `engine.storms`.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

import msgspec

from alert_history.domain.begins import Begin

_DEVIATIONS_A_MAD = 1.4826
"""So many standard deviations the median distance is of what is normally distributed."""


class StormRules(msgspec.Struct, frozen=True):
    """A window of `window` is a storm if at least `floor` alerts begin in it, and far more than usual.

    Far is `deviations` standard deviations: as the median distance estimates them, or as Poisson's law has them if that
    is more. The storm is from the first to the last begin of the rules that began at least `unusual` times as often as
    in the rest of the span. It names its `top` rules.
    """

    window: timedelta = timedelta(minutes=5)
    floor: int = 20
    deviations: float = 6.0
    unusual: float = 3.0
    top: int = 5


class RuleCount(msgspec.Struct, frozen=True, gc=False):
    """How many occurrences of a rule began."""

    rule: str
    begun: int


class AlertStorm(msgspec.Struct, frozen=True):
    """One storm, from its first unusual begin to its last, aware UTC.

    `begun` occurrences of `alerts` different alerts began; `most` different alerts in one window, where `usual` is the
    median of the span. `first_rule` is the first of the rules that began unusually often; it may be the cause.
    """

    since: datetime
    until: datetime
    begun: int
    alerts: int
    most: int
    usual: float
    threshold: float
    first_rule: str
    top_rules: tuple[RuleCount, ...]


def find_storms(begins: Sequence[Begin], rules: StormRules, *, since: datetime, until: datetime) -> list[AlertStorm]:
    """The storms of a span, in the order of time; each window that is a storm belongs to one of them.

    `begins` are those of all rules from `since` until before `until`, in the order of time. In a window an alert counts
    once, however often it begins.
    """
    usual, threshold = _threshold(begins, rules, since=since, until=until)
    totals = Counter(begin.rule for begin in begins)
    storms = []
    for first, end, most in _spans(begins, rules.window, threshold):
        kernel = _kernel(begins[first:end], rules, totals=totals, span=until - since)
        storms.append(_storm(kernel, rules.top, most=most, usual=usual, threshold=threshold))
    return storms


def _spans(begins: Sequence[Begin], window: timedelta, threshold: float) -> list[tuple[int, int, int]]:
    """The windows with so many alerts, joined where they overlap: first place, place after the last, most alerts."""
    spans: list[tuple[int, int, int]] = []
    for start, end, alerts in _windows(begins, window):
        if alerts < threshold:
            continue
        if spans and start < spans[-1][1]:
            first, _, most = spans.pop()
            spans.append((first, end, max(most, alerts)))
        else:
            spans.append((start, end, alerts))
    return spans


def _kernel(
    begins: Sequence[Begin], rules: StormRules, *, totals: Mapping[str, int], span: timedelta
) -> Sequence[Begin]:
    """The begins from the first to the last of the rules that began unusually often; all of them if none did."""
    part = max(begins[-1].at - begins[0].at, rules.window) / span
    counts = Counter(begin.rule for begin in begins)
    unusual = {rule for rule, count in counts.items() if count >= rules.unusual * (totals[rule] - count) * part}
    places = [place for place, begin in enumerate(begins) if begin.rule in unusual]
    return begins[places[0] : places[-1] + 1] if places else begins


def _threshold(begins: Sequence[Begin], rules: StormRules, *, since: datetime, until: datetime) -> tuple[float, float]:
    """How many alerts mostly begin in a window of the span, and from how many on it is a storm."""
    windows = max(-((since - until) // rules.window), 1)
    alerts = {((begin.at - since) // rules.window, _alert(begin, place)) for place, begin in enumerate(begins)}
    counts = Counter(window for window, _ in alerts)
    numbers = [counts[window] for window in range(windows)]
    usual = median(numbers)
    strays = _DEVIATIONS_A_MAD * median(abs(number - usual) for number in numbers)
    return usual, max(rules.floor, usual + rules.deviations * max(strays, math.sqrt(usual)))


def _windows(begins: Sequence[Begin], window: timedelta) -> Iterator[tuple[int, int, int]]:
    """For the window that starts at each begin: its first place, the place after its last, how many alerts began."""
    alerts: Counter[str | int] = Counter()
    end = 0
    for start, begin in enumerate(begins):
        while end < len(begins) and begins[end].at < begin.at + window:
            alerts[_alert(begins[end], end)] += 1
            end += 1
        yield start, end, len(alerts)
        _take_out(alerts, _alert(begin, start))


def _take_out(alerts: Counter[str | int], alert: str | int) -> None:
    alerts[alert] -= 1
    if not alerts[alert]:
        del alerts[alert]


def _alert(begin: Begin, place: int) -> str | int:
    """What tells one alert from another; without a fingerprint each begin is another alert."""
    return begin.fingerprint or place


def _storm(begins: Sequence[Begin], top: int, *, most: int, usual: float, threshold: float) -> AlertStorm:
    counts = Counter(begin.rule for begin in begins)
    busiest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]
    return AlertStorm(
        since=begins[0].at,
        until=begins[-1].at,
        begun=len(begins),
        alerts=len({_alert(begin, place) for place, begin in enumerate(begins)}),
        most=most,
        usual=usual,
        threshold=threshold,
        first_rule=begins[0].rule,
        top_rules=tuple(RuleCount(rule, begun) for rule, begun in busiest),
    )
