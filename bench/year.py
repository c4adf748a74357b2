"""A year of history that looks like one: many rules by Zipf's law, bursts, storms, flapping; the same one in every run.

What it is made of: 2 000 rules, of which the k-th fires 1/k as often as the first; 200 namespaces likewise; more by day
than by night and at weekends; bursts after deploys on working days; two storms a month, in which a namespace fires with
everything it has; one occurrence in twenty is of an alert that flaps. Occurrences are plain values, oldest first.
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

from bench.past import Occurrence

RULES = 2_000
NAMESPACES = 200
FLAPPING_SHARE = 0.05
_YEAR_MINUTES = 365 * 24 * 60
_STORMS = 24
_STORM_MINUTES = 10
_STORM_FACTOR = 60
_BURST_SHARE = 0.02
_BURST_FACTOR = 6
_FLAPS = 12
_MINUTE_US = 60_000_000
_SECOND_US = 1_000_000
_SEVERITIES = ("critical", "warning", "warning", "info")
_FIRING = 500

RuleNumber = int


def rule_name(rule: RuleNumber) -> str:
    """The alertname of a rule; the first is the busiest."""
    return f"Rule{rule:04}"


class _Zipf:
    """Draws numbers from 0, of which the k-th comes 1/(k + 1) as often as the first."""

    def __init__(self, number: int, random: Random) -> None:
        self._bounds = list(accumulate(1 / (place + 1) for place in range(number)))
        self._random = random

    def draw(self) -> int:
        return bisect_left(self._bounds, self._random.random() * self._bounds[-1])


def year(number: int, *, until: datetime, seed: int = 13) -> Iterator[Occurrence]:
    """About so many occurrences (within a few per cent), over the 365 days before `until`."""
    random = Random(seed)
    first_us = int(until.timestamp() * _SECOND_US) - _YEAR_MINUTES * _MINUTE_US
    maker = _Maker(random, end_us=first_us + _YEAR_MINUTES * _MINUTE_US)
    plain = number * (1 - FLAPPING_SHARE) / _weight_of_year(first_us, seed)
    flapping: list[tuple[int, int, int]] = []  # (when it begins again, label set, how often still)
    for minute in range(_YEAR_MINUTES):
        begin_us = first_us + minute * _MINUTE_US
        for offset_us in _offsets(plain * _weight(minute, begin_us, seed), random):
            namespace = None if not _is_storm(minute, seed) else minute // (_STORM_MINUTES * 7) % NAMESPACES
            yield maker.new(begin_us + offset_us, namespace)
        for _ in range(_poisson(number * FLAPPING_SHARE / _FLAPS / _YEAR_MINUTES, random)):
            heapq.heappush(flapping, (begin_us + random.randrange(_MINUTE_US), random.randrange(1 << 40), _FLAPS))
        while flapping and flapping[0][0] < begin_us + _MINUTE_US:
            at_us, label_set, left = heapq.heappop(flapping)
            yield maker.flap(at_us, label_set)
            if left > 1:
                heapq.heappush(flapping, (at_us + random.randrange(3, 9) * _MINUTE_US, label_set, left - 1))


class _Maker:
    """Makes occurrences. Each is received later than all before it, as the ids of SQLite need it."""

    def __init__(self, random: Random, *, end_us: int) -> None:
        self._random = random
        self._rules = _Zipf(RULES, random)
        self._namespaces = _Zipf(NAMESPACES, random)
        self._end_us = end_us
        self._last_us = 0

    def new(self, at_us: int, namespace: int | None) -> Occurrence:
        rule = self._rules.draw()
        namespace = self._namespaces.draw() if namespace is None else namespace
        place = self._random.randrange(1 + 4_000 // (rule + 1))
        seconds = min(self._random.lognormvariate(6.2, 1.4), 86_400 * 3)
        return self._occurrence(at_us, (rule, namespace, place), seconds)

    def flap(self, at_us: int, label_set: int) -> Occurrence:
        names = (label_set % RULES, (label_set >> 12) % NAMESPACES, 100_000 + (label_set >> 20) % 1_000)
        return self._occurrence(at_us, names, 30 + label_set % 90)

    def _occurrence(self, at_us: int, names: tuple[int, int, int], seconds: float) -> Occurrence:
        rule, namespace, place = names
        self._last_us = received_us = max(self._last_us + 1, at_us)
        starts_us = received_us - 15 * _SECOND_US
        ends_us: int | None = starts_us + int(seconds * _SECOND_US)
        if ends_us is not None and ends_us > self._end_us:
            ends_us = None
        return _occurrence(rule, namespace, place, received_us=received_us, ends_us=ends_us)


def _occurrence(rule: int, namespace: int, place: int, *, received_us: int, ends_us: int | None) -> Occurrence:
    labels = {
        "alertname": rule_name(rule),
        "cluster": f"prod-{namespace % 3}",
        "instance": f"node-{place % 5_000}:9100",
        "namespace": f"ns-{namespace:03}",
        "pod": f"app-{namespace}-{place}",
        "severity": _SEVERITIES[rule % len(_SEVERITIES)],
        "team": f"team-{namespace % 20}",
    }
    return Occurrence(
        fingerprint=f"{rule:04x}{namespace:04x}{place:08x}",
        starts_at=received_us - 15 * _SECOND_US,
        received_at=received_us,
        ends_at=ends_us,
        alertname=labels["alertname"],
        namespace=labels["namespace"],
        severity=labels["severity"],
        labels="{" + ",".join([f'"{name}":"{value}"' for name, value in labels.items()]) + "}",
        annotations=f'{{"summary":"{labels["alertname"]} on {labels["pod"]}"}}',
        words=tuple([f"{name}={value}" for name, value in labels.items()]),
    )


# --- when -------------------------------------------------------------------------------------------------------------


def _weight(minute: int, begin_us: int, seed: int) -> float:
    """How much more than in a quiet minute begins in this one."""
    time = datetime.fromtimestamp(begin_us // _SECOND_US, UTC)
    weight = 1.0 if time.weekday() < 5 and 7 <= time.hour < 19 else 0.5
    if _is_storm(minute, seed):
        return weight * _STORM_FACTOR
    is_burst = weight == 1.0 and (minute * 2_654_435_761 + seed) % 10_000 < _BURST_SHARE * 10_000
    return weight * _BURST_FACTOR if is_burst else weight


def _is_storm(minute: int, seed: int) -> bool:
    every = _YEAR_MINUTES // _STORMS
    return (minute + seed * 977) % every < _STORM_MINUTES


def _weight_of_year(first_us: int, seed: int) -> float:
    return sum(_weight(minute, first_us + minute * _MINUTE_US, seed) for minute in range(_YEAR_MINUTES))


def _offsets(mean: float, random: Random) -> list[int]:
    return sorted(random.randrange(_MINUTE_US) for _ in range(_poisson(mean, random)))


def _poisson(mean: float, random: Random) -> int:
    """A number of events; by the normal distribution where they are many."""
    if mean > 30:
        return max(round(random.gauss(mean, mean**0.5)), 0)
    number, left = 0, random.expovariate(1.0)
    while left < mean:
        number += 1
        left += random.expovariate(1.0)
    return number


YEAR = timedelta(minutes=_YEAR_MINUTES)
