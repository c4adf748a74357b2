"""Noise: a score per rule, 0 to 100, whose parts add up to it, each with its count and its bounds.

The score says how much of what a rule does is noise; how much the rule does stands beside it. It is reckoned from
plain counts, so rollups can give them. docs/explanation/noise.md has a rule worked out by hand.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from alert_history.domain.interruptions import Interruptions
from alert_history.domain.narrowing import text_of
from alert_history.domain.query import Matcher, Query
from alert_history.domain.wilson import Interval, wilson

PartName = Literal["ends_by_itself", "flaps", "repeats", "nobody_acted", "always_on", "said_better", "wakes_people"]
Unit = Literal["occurrences", "messages", "seconds", "interruptions"]

FULL_SCORE = 100
NEVER_STOPS_SHARE = 0.95
"""A rule that fires for more than this share of the span never stops."""

_STEPS_A_POINT = 4  # quarters: sums of them are exact in binary, in whichever order they are added
_LOOK_SECONDS = 86_400.0  # a share of time is as sure as one look a day would make it


class RuleFacts(msgspec.Struct, frozen=True, gc=False):
    """What is counted of one rule, of the occurrences that were first received in the span.

    All but `rule` are additive over spans that adjoin. `short`: ended by itself, word of a sender, within minutes.
    `flaps`: began again within an hour of the last end of the same label set. `repeats`: messages without news.
    `acted`: with an acknowledgement, note, silence or correction by a person. `together`: explained by another rule
    that says it better. `asleep`, `off_hours` and `work` are interruptions. `firing_seconds` are the seconds of the
    span in which at least one alert of the rule fired, whenever it began; the sum over label sets is an upper bound.
    """

    rule: str
    begun: int = 0
    ended: int = 0
    open: int = 0
    short: int = 0
    flaps: int = 0
    repeats: int = 0
    acted: int = 0
    together: int = 0
    asleep: int = 0
    off_hours: int = 0
    work: int = 0
    firing_seconds: float = 0.0
    span_seconds: float = 0.0

    @property
    def firing_share(self) -> float:
        """For which share of the span the rule fired, 0 to 1; 0 without a span."""
        return min(self.firing_seconds / self.span_seconds, 1.0) if self.span_seconds > 0 else 0.0

    @property
    def never_stops(self) -> bool:
        """Whether the rule fires nearly all the time, so that its firing says nothing."""
        return self.firing_share > NEVER_STOPS_SHARE

    @property
    def never_fired(self) -> bool:
        """Whether the rule neither began nor fired in the span."""
        return self.begun == 0 and self.firing_seconds <= 0

    @property
    def interruptions(self) -> Interruptions:
        """How often the rule called a person, by part of the day."""
        return Interruptions(self.asleep, self.off_hours, self.work)


class PartRule(msgspec.Struct, frozen=True):
    """What one part of the score is worth: `weight` points from a share of `full_at` on, in proportion below."""

    weight: int
    full_at: float = 1.0

    def points(self, share: float) -> float:
        """The points of a share, 0 to `weight`, in quarters."""
        return round(self.weight * min(share / self.full_at, 1.0) * _STEPS_A_POINT) / _STEPS_A_POINT


class NoiseRules(msgspec.Struct, frozen=True):
    """What each part is worth. The weights add up to 100. Raises: ValueError when they do not.

    An occurrence that ended by itself within `short_seconds` is short; one that began again within
    `flap_seconds` of the last end of its label set is a flap. `z` is how sure the bounds are.
    """

    ends_by_itself: PartRule = PartRule(25)
    flaps: PartRule = PartRule(15, 0.5)
    repeats: PartRule = PartRule(5, 0.9)
    nobody_acted: PartRule = PartRule(20)
    always_on: PartRule = PartRule(10, NEVER_STOPS_SHARE)
    said_better: PartRule = PartRule(10)
    wakes_people: PartRule = PartRule(15, 0.5)
    short_seconds: float = 300.0
    flap_seconds: float = 3600.0
    z: float = 1.96

    def __post_init__(self) -> None:
        parts = [
            self.ends_by_itself,
            self.flaps,
            self.repeats,
            self.nobody_acted,
            self.always_on,
            self.said_better,
            self.wakes_people,
        ]
        if sum(part.weight for part in parts) != FULL_SCORE or min(part.weight for part in parts) < 0:
            raise ValueError(f"the weights of noise must not be negative, and add up to {FULL_SCORE}")
        if not all(0 < part.full_at <= 1 for part in parts):
            raise ValueError("a part of noise is worth its weight from a share above 0 and up to 1 on")


class Evidence(msgspec.Struct, frozen=True):
    """How to ask `/history` for the occurrences behind a number; `since` None: from the beginning."""

    query: str
    since: datetime | None
    until: datetime


class NoisePart(msgspec.Struct, frozen=True):
    """One part of a score: `count` of `of`, in `unit`; `share` and its bounds, 0 to 1; the points for them.

    Where `of` is 0 nothing is known: the share is 0, and its bounds are 0 and 1.
    """

    name: PartName
    unit: Unit
    count: float
    of: float
    share: float
    share_low: float
    share_high: float
    weight: int
    full_at: float
    points: float
    low: float
    high: float
    evidence: Evidence


class RuleNoise(msgspec.Struct, frozen=True):
    """The score of one rule, 0 to 100, with its bounds: each is exactly the sum of the same of its parts."""

    rule: str
    score: float
    low: float
    high: float
    begun: int
    open: int
    repeats: int
    firing_share: float
    never_stops: bool
    interruptions: Interruptions
    parts: tuple[NoisePart, ...]


class NoiseReport(msgspec.Struct, frozen=True):
    """The rules that fired, in the order of `rank`; by name those that never fired, and those that never stop."""

    rules: tuple[RuleNoise, ...]
    never_fired: tuple[str, ...]
    never_stops: tuple[str, ...]


class _Share(msgspec.Struct, frozen=True):
    """What a part is reckoned from. `weighing` is for how many independent looks the count stands."""

    name: PartName
    unit: Unit
    count: float
    of: float
    rule: PartRule
    weighing: float


def noise_of(
    facts: RuleFacts, rules: NoiseRules, *, since: datetime, until: datetime, asked: Query | None = None
) -> RuleNoise:
    """The score of a rule in a span. `asked` is the query that the facts were narrowed by; the evidence repeats it."""
    query = query_text(facts.rule, asked)
    parts = tuple(
        _part(share, rules.z, _evidence(share, query, since=since, until=until)) for share in _shares(facts, rules)
    )
    return RuleNoise(
        rule=facts.rule,
        score=sum(part.points for part in parts),
        low=sum(part.low for part in parts),
        high=sum(part.high for part in parts),
        begun=facts.begun,
        open=facts.open,
        repeats=facts.repeats,
        firing_share=facts.firing_share,
        never_stops=facts.never_stops,
        interruptions=facts.interruptions,
        parts=parts,
    )


def rank(scores: Iterable[RuleNoise]) -> list[RuleNoise]:
    """The noisiest first, by the low end of the score: what fired thrice is not sure to be noise, whatever its score.

    Of equals the higher score goes first, then the rule that began more often, then the name.
    """
    return sorted(scores, key=lambda noise: (-noise.low, -noise.score, -noise.begun, noise.rule))


def noise_report(
    facts: Sequence[RuleFacts],
    rules: NoiseRules,
    *,
    since: datetime,
    until: datetime,
    known: Iterable[str] = (),
    asked: Query | None = None,
) -> NoiseReport:
    """All scores of a span. `known` are the names of the rules that a Prometheus evaluates, where one was asked."""
    active = [each for each in facts if not each.never_fired]
    scores = [noise_of(each, rules, since=since, until=until, asked=asked) for each in active]
    return NoiseReport(
        rules=tuple(rank(scores)),
        never_fired=tuple(sorted({*known, *(each.rule for each in facts)} - {each.rule for each in active})),
        never_stops=tuple(sorted(each.rule for each in active if each.never_stops)),
    )


def query_text(rule: str, asked: Query | None = None) -> str:
    """The query of a rule's occurrences, narrowed by what was asked: `{alertname="X",severity="page"} "disk"`."""
    asked = asked or Query((), ())
    return text_of(Query((Matcher("alertname", "=", rule), *asked.matchers), asked.words))


def _shares(facts: RuleFacts, rules: NoiseRules) -> list[_Share]:
    """The counts behind each part, in the order in which the parts are shown."""
    begun, unheeded, calls = facts.begun, max(facts.begun - facts.acted, 0), facts.interruptions.total
    messages, days = facts.begun + facts.repeats, facts.span_seconds / _LOOK_SECONDS
    return [
        _Share("ends_by_itself", "occurrences", facts.short, facts.ended, rules.ends_by_itself, facts.ended),
        _Share("flaps", "occurrences", facts.flaps, begun, rules.flaps, begun),
        _Share("repeats", "messages", facts.repeats, messages, rules.repeats, begun),
        _Share("nobody_acted", "occurrences", unheeded, begun, rules.nobody_acted, begun),
        _Share("always_on", "seconds", facts.firing_seconds, facts.span_seconds, rules.always_on, days),
        _Share("said_better", "occurrences", facts.together, begun, rules.said_better, begun),
        _Share("wakes_people", "interruptions", facts.asleep, calls, rules.wakes_people, calls),
    ]


def _part(counted: _Share, z: float, evidence: Evidence) -> NoisePart:
    share = min(max(counted.count / counted.of, 0.0), 1.0) if counted.of > 0 else 0.0
    bounds = wilson(share * counted.weighing, counted.weighing, z) if counted.of > 0 else Interval(0.0, 1.0)
    return NoisePart(
        name=counted.name,
        unit=counted.unit,
        count=counted.count,
        of=counted.of,
        share=share,
        share_low=bounds.low,
        share_high=bounds.high,
        weight=counted.rule.weight,
        full_at=counted.rule.full_at,
        points=counted.rule.points(share),
        low=counted.rule.points(bounds.low),
        high=counted.rule.points(bounds.high),
        evidence=evidence,
    )


def _evidence(counted: _Share, query: str, *, since: datetime, until: datetime) -> Evidence:
    """What fires all the time may have begun before the span."""
    return Evidence(query, None if counted.name == "always_on" else since, until)
