"""How noisy a rule can be at most, told from its plain counts alone, so that only a few rules are looked at closely.

Two parts of the score need more than sums: for how long the rule fired, and when it called people. Here they are as bad
as they can be. A bound is never below the low end of the score of `noise.noise_of`, by which rules are ranked. Pure.
"""

import math

from alert_history.domain.noise import NoiseRules, PartRule, RuleFacts

_ROUNDING = 7 / 8  # seven parts, each rounded to quarters
_LOOK_SECONDS = 86_400.0  # as in `noise`: a share of time is as sure as one look a day would make it


def highest_low(facts: RuleFacts, rules: NoiseRules) -> float:
    """The most that the low end of the score can be, whenever the rule fired and called people."""
    begun, z, days = facts.begun, rules.z, facts.span_seconds / _LOOK_SECONDS
    always_on = _low(days, days, rules.always_on, z=z)
    if not begun:
        return _ROUNDING + always_on
    repeats = facts.repeats / (begun + facts.repeats) * begun
    return _ROUNDING + sum(
        (
            always_on,
            _low(facts.short, facts.ended, rules.ends_by_itself, z=z),
            _low(facts.flaps, begun, rules.flaps, z=z),
            _low(repeats, begun, rules.repeats, z=z),
            _low(begun - facts.acted, begun, rules.nobody_acted, z=z),
            _low(facts.together, begun, rules.said_better, z=z),
            _low(begun, begun, rules.wakes_people, z=z),
        )
    )


def _low(hits: float, of: float, rule: PartRule, *, z: float) -> float:
    """The points at the low end of the Wilson interval, not rounded; see `wilson`."""
    hits = min(max(hits, 0.0), of)
    if not hits:
        return 0.0
    square = z * z
    low = (hits + square / 2 - z * math.sqrt(hits * (of - hits) / of + square / 4)) / (of + square)
    return rule.weight * min(low / rule.full_at, 1.0)
