"""Together: which rules begin near each other, and how much more often than by chance.

"B within 5 min of A in 41 of 44; 3 expected": of 44 begins of A, 41 had a begin of B at most five minutes before or
after. What chance would give follows from how often B begins in the span. No number here proves a cause.
docs/explanation/together.md has a pair worked out by hand.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import permutations
from statistics import median

import msgspec

from alert_history.domain.begins import Begin, Board, Counted
from alert_history.domain.inhibit_rule import inhibit_rule
from alert_history.domain.wilson import Interval, wilson

EXPLAINS_SHARE = 0.9
"""A rule explains another one if at least this share of the other's begins come with or soon after one of its own,"""
EXPLAINS_LIFT = 2.0
"""and surely at least this many times as often as by chance."""

_MOST_CASES = 1_000
_MOST_SOURCES = 64
_MINUTE_SECONDS = 60
_ROUND_FROM = 10  # fewer are told with a decimal


class TogetherRules(msgspec.Struct, frozen=True):
    """What counts as together: begins at most `within` apart, and equal in each label of `same`.

    A label that both lack is equal, as for Alertmanager. Pairs that were together in fewer than `least` moments are
    left out. Only the `most_rules` busiest rules are compared, and the `top` strongest pairs are answered.
    """

    within: timedelta = timedelta(minutes=5)
    same: tuple[str, ...] = ()
    least: int = 3
    most_rules: int = 200
    top: int = 20


class Pair(msgspec.Struct, frozen=True):
    """How `other` goes with `rule`: in `count` of the `of` begins of `rule`, a begin of `other` was near.

    `share` and its bounds are 0 to 1. Begins of `rule` in a burst are one of `moments`, and the bounds are as wide as
    for so many. `expected` is the count that chance would give, and `lift` how many times as often it was. `before` and
    `after` count where the nearest begin of `other` was; the same time is after. `median_lag_seconds` is above 0 where
    `other` mostly begins later. `explained_by` is the rule of the two that says it better, where one does;
    `inhibit_rule` is Alertmanager's YAML for it, where labels show which alerts belong together.
    """

    rule: str
    other: str
    summary: str
    count: int
    of: int
    moments: int
    share: float
    share_low: float
    share_high: float
    expected: float
    lift: float
    lift_low: float
    lift_high: float
    before: int
    after: int
    median_lag_seconds: float
    explained_by: str | None = None
    inhibit_rule: str | None = None


class Explanation(msgspec.Struct, frozen=True, gc=False):
    """`count` of the `of` begins of `rule` come with or soon after a begin of `by`, which says it better."""

    rule: str
    by: str
    count: int
    of: int


class _Near(msgspec.Struct, frozen=True, gc=False):
    """How often a begin of `other` is near one of `rule`, and the bounds of that share."""

    rule: str
    other: str
    count: int
    of: int
    moments: int
    bounds: Interval


class _Weighed(msgspec.Struct, frozen=True, gc=False):
    """The same beside chance: `expected` begins would have one near, which is the share `chance`."""

    near: _Near
    expected: float
    chance: float

    @property
    def strength(self) -> float:
        """How much of the share is surely beyond chance; never more than the low end of the share."""
        return self.near.bounds.low - self.chance


class _Comparison:
    """All rules of a span, compared with each other."""

    def __init__(
        self,
        begins: Sequence[Begin],
        rules: TogetherRules,
        span: timedelta,
        *,
        most_rules: int | None = None,
    ) -> None:
        self.board = Board(begins, rules.within, rules.same, most_rules=most_rules)
        self.rules = rules
        self.span = span

    def near(self, rule: str, other: str) -> _Near | None:
        """How often the other is near a rule, before or after; None: too seldom to say anything."""
        return self._bound(rule, other, self.board.near(rule, other))

    def weigh(self, near: _Near, window: timedelta) -> _Weighed:
        """What chance would give for windows of that length."""
        expected = self.board.expected(near.rule, near.other, window / self.span)
        return _Weighed(near, expected, expected / near.of)

    def strongest(self, pairs: Iterable[_Near], least: float) -> list[_Weighed]:
        """The strongest pairs, if stronger than `least`, each once. Chance is reckoned only while a pair may be one."""
        best: dict[frozenset[str], _Weighed] = {}
        for near in sorted(pairs, key=lambda near: -near.bounds.low):
            if near.bounds.low <= least:
                break
            weighed, key = self.weigh(near, 2 * self.rules.within), frozenset((near.rule, near.other))
            if weighed.strength > least and (key not in best or weighed.strength > best[key].strength):
                best[key] = weighed
            if len(best) > self.rules.top:
                least = _drop_weakest(best)
        return sorted(best.values(), key=lambda each: (-each.strength, each.near.rule, each.near.other))

    def explanation(self, rule: str, by: str) -> Explanation | None:
        """How one rule explains another; None unless it does, and does so better than the other explains it."""
        forth, of = self.board.soon_after(rule, by), self.board.count(rule)
        if forth.begins < EXPLAINS_SHARE * of.begins:
            return None
        back, of_by = self.board.soon_after(by, rule), self.board.count(by)
        if back.begins * of.begins >= forth.begins * of_by.begins:
            return None
        near = self._bound(rule, by, forth)
        if near is None or near.bounds.low < EXPLAINS_LIFT * self.weigh(near, self.rules.within).chance:
            return None
        return Explanation(rule, by, forth.begins, of.begins)

    def pair(self, weighed: _Weighed) -> Pair:
        """The details of a pair."""
        near, lags = weighed.near, self.board.lags(weighed.near.rule, weighed.near.other)
        explanation = self.explanation(near.other, near.rule) or self.explanation(near.rule, near.other)
        return Pair(
            rule=near.rule,
            other=near.other,
            summary=_summary(weighed, self.rules.within.total_seconds()),
            count=near.count,
            of=near.of,
            moments=near.moments,
            share=near.count / near.of,
            share_low=near.bounds.low,
            share_high=near.bounds.high,
            expected=weighed.expected,
            lift=near.count / weighed.expected,
            lift_low=near.bounds.low / weighed.chance,
            lift_high=near.bounds.high / weighed.chance,
            before=sum(lag < 0 for lag in lags),
            after=sum(lag >= 0 for lag in lags),
            median_lag_seconds=median(lags),
            explained_by=explanation.by if explanation else None,
            inhibit_rule=self._inhibit_rule(explanation) if explanation else None,
        )

    def _bound(self, rule: str, other: str, near: Counted) -> _Near | None:
        if min(near.begins, near.moments) < max(self.rules.least, 1):
            return None
        of = self.board.count(rule)
        bounds = wilson(near.begins / of.begins * of.moments, of.moments)
        return _Near(rule, other, near.begins, of.begins, of.moments, bounds)

    def _inhibit_rule(self, explanation: Explanation) -> str | None:
        rule, by = explanation.rule, explanation.by
        cases = self.board.causes(rule, by, most=_MOST_CASES, most_each=_MOST_SOURCES)
        return inhibit_rule(by, rule, cases)


def companions(
    rule: str, begins: Sequence[Begin], rules: TogetherRules, *, since: datetime, until: datetime
) -> list[Pair]:
    """What begins near a rule, the strongest first; what may be chance comes last.

    `begins` are those of all rules from `since` until before `until`, in the order of time.
    """
    comparison = _Comparison(begins, rules, until - since)
    others = [other for other in comparison.board.rules if other != rule] if rule in comparison.board.rules else []
    pairs = [near for other in others if (near := comparison.near(rule, other))]
    return [comparison.pair(each) for each in comparison.strongest(pairs, -1.0)]


def strongest_pairs(begins: Sequence[Begin], rules: TogetherRules, *, since: datetime, until: datetime) -> list[Pair]:
    """The pairs of rules that most surely go together, each once: as seen from the rule that has the other more often.

    `begins` are those of all rules from `since` until before `until`, in the order of time. Pairs that may be chance
    are left out.
    """
    comparison = _Comparison(begins, rules, until - since, most_rules=rules.most_rules)
    pairs = [near for pair in permutations(comparison.board.rules, 2) if (near := comparison.near(*pair))]
    return [comparison.pair(each) for each in comparison.strongest(pairs, 0.0)]


def explanations(
    begins: Sequence[Begin], rules: TogetherRules, *, since: datetime, until: datetime
) -> dict[str, Explanation]:
    """For each rule that another one explains, the one that explains it best; its count is the `together` of noise.

    `begins` are those of all rules from `since` until before `until`, in the order of time.
    """
    comparison = _Comparison(begins, rules, until - since, most_rules=rules.most_rules)
    best: dict[str, Explanation] = {}
    for rule, by in permutations(comparison.board.rules, 2):
        explanation = comparison.explanation(rule, by)
        if explanation and (rule not in best or explanation.count > best[rule].count):
            best[rule] = explanation
    return best


def _drop_weakest(pairs: dict[frozenset[str], _Weighed]) -> float:
    """Leave the weakest out, and answer the strength of the weakest that stays: 1, the most there is, if none does."""
    by_strength = sorted(pairs, key=lambda key: pairs[key].strength)
    del pairs[by_strength[0]]
    return min((each.strength for each in pairs.values()), default=1.0)


def _summary(weighed: _Weighed, within_seconds: float) -> str:
    minutes = within_seconds / _MINUTE_SECONDS
    within = f"{minutes:.0f} min" if minutes.is_integer() else f"{within_seconds:g} s"
    expected = f"{weighed.expected:.0f}" if weighed.expected >= _ROUND_FROM else f"{round(weighed.expected, 1):g}"
    near = weighed.near
    return f"{near.other} within {within} of {near.rule} in {near.count} of {near.of}; {expected} expected"
