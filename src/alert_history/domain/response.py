"""Response: how long it took until a person acknowledged, by rule and by person.

The time runs from when an occurrence was first received until the first acknowledgement. It is never mixed with how
long the alert fired. An occurrence that ended, or still fires, without one is censored: it says only that it took
longer than that, so it counts among those who waited until then, and not as an answer (Kaplan–Meier).
docs/explanation/noise.md has cases worked out by hand.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Literal

import msgspec

from alert_history.domain.episode import Episode
from alert_history.domain.wilson import wilson

ActKind = Literal["acknowledged", "noted", "silenced", "corrected", "resolved"]

_MEDIAN = 0.5
_P90 = 0.9
_ROUNDING = 1e-9


class Act(msgspec.Struct, frozen=True, gc=False):
    """What a person did about one occurrence. `source` is the system that told us, such as `api` or `pagerduty`."""

    occurrence_id: str
    kind: ActKind
    at: datetime
    by: str
    source: str


class ResponseTimes(msgspec.Struct, frozen=True):
    """Of `begun` occurrences: how many were acknowledged, and how soon.

    `share` and its bounds are 0 to 1. `acted` had any act of a person, an acknowledgement or another. `censored` ended
    or still fire without an acknowledgement. A percentile is None where so few were acknowledged that it is not known.
    """

    begun: int
    acknowledged: int
    acted: int
    censored: int
    share: float
    share_low: float
    share_high: float
    p50_seconds: float | None
    p90_seconds: float | None


class RuleResponse(msgspec.Struct, frozen=True):
    """The response to one rule."""

    rule: str
    times: ResponseTimes


class PersonResponse(msgspec.Struct, frozen=True):
    """What one person acknowledged first: `share` of all that was acknowledged, and how soon, of these alone.

    Nobody knows who ignored an alert, so nothing is censored here; the percentiles are not those of the rules.
    """

    by: str
    acknowledged: int
    share: float
    p50_seconds: float
    p90_seconds: float


class Response(msgspec.Struct, frozen=True):
    """The response to all occurrences; by rule, the slowest first; and by person, the busiest first."""

    times: ResponseTimes
    rules: tuple[RuleResponse, ...]
    people: tuple[PersonResponse, ...]


class _Wait(msgspec.Struct, frozen=True, gc=False):
    """One occurrence: how long until a person acknowledged it, or until nobody could any more."""

    rule: str
    seconds: float
    by: str | None
    is_acted: bool


def response_of(episodes: Iterable[Episode], acts: Iterable[Act], *, now: datetime) -> Response:
    """Sum up the response to these occurrences; acts on others are passed by. `now` is when open ones are looked at.

    An acknowledgement that comes after the end counts, too: a person saw to it. One that comes before the occurrence
    was received took no time.
    """
    waits = _waits(episodes, acts, now)
    by_rule = groupby(sorted(waits, key=lambda wait: wait.rule), key=lambda wait: wait.rule)
    rules = [RuleResponse(rule, _times(list(own))) for rule, own in by_rule]
    return Response(_times(waits), tuple(sorted(rules, key=_slowness)), tuple(_people(waits)))


def _waits(episodes: Iterable[Episode], acts: Iterable[Act], now: datetime) -> list[_Wait]:
    first: dict[str, Act] = {}
    acted: set[str] = set()
    for act in acts:
        acted.add(act.occurrence_id)
        if act.kind == "acknowledged" and (act.occurrence_id not in first or act.at < first[act.occurrence_id].at):
            first[act.occurrence_id] = act
    return [_wait(each, first.get(each.id), is_acted=each.id in acted, now=now) for each in episodes]


def _wait(episode: Episode, acknowledgement: Act | None, *, is_acted: bool, now: datetime) -> _Wait:
    until = acknowledgement.at if acknowledgement else episode.ends_at or now
    seconds = max((until - episode.received_at).total_seconds(), 0.0)
    return _Wait(episode.alertname, seconds, acknowledgement.by if acknowledgement else None, is_acted)


def _times(waits: Sequence[_Wait]) -> ResponseTimes:
    acknowledged = sum(wait.by is not None for wait in waits)
    bounds = wilson(acknowledged, len(waits))
    return ResponseTimes(
        begun=len(waits),
        acknowledged=acknowledged,
        acted=sum(wait.is_acted for wait in waits),
        censored=len(waits) - acknowledged,
        share=acknowledged / len(waits) if waits else 0.0,
        share_low=bounds.low,
        share_high=bounds.high,
        p50_seconds=_percentile(waits, _MEDIAN),
        p90_seconds=_percentile(waits, _P90),
    )


def _people(waits: Sequence[_Wait]) -> list[PersonResponse]:
    by_person: dict[str, list[_Wait]] = {}
    for wait in waits:
        if wait.by is not None:
            by_person.setdefault(wait.by, []).append(wait)
    acknowledged = sum(map(len, by_person.values()))
    people = [_person(by, own, acknowledged) for by, own in by_person.items()]
    return sorted(people, key=lambda person: (-person.acknowledged, person.by))


def _person(by: str, waits: Sequence[_Wait], acknowledged: int) -> PersonResponse:
    """Without censored ones every percentile is reached."""
    p50, p90 = (_percentile(waits, part) or 0.0 for part in (_MEDIAN, _P90))
    return PersonResponse(by, len(waits), len(waits) / acknowledged, p50, p90)


def _percentile(waits: Iterable[_Wait], part: float) -> float | None:
    """The time by which that part of them is acknowledged, by the product-limit estimate; None: not reached.

    At one time the answers come before what is censored, as is usual.
    """
    ordered = sorted((wait.seconds, wait.by is None) for wait in waits)
    at_risk, unanswered = len(ordered), 1.0
    for seconds, same in groupby(ordered, key=_seconds):
        censored = [is_censored for _, is_censored in same]
        unanswered *= 1 - censored.count(False) / at_risk
        at_risk -= len(censored)
        if unanswered <= 1 - part + _ROUNDING:
            return seconds
    return None


def _seconds(wait: tuple[float, bool]) -> float:
    return wait[0]


def _slowness(response: RuleResponse) -> tuple[float, float, str]:
    """The order of rules: slowest median first; rules without one, of which most waited in vain, before them."""
    p50 = response.times.p50_seconds
    return (-(float("inf") if p50 is None else p50), response.times.share, response.rule)
