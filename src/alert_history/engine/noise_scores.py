"""Noise scores of the rules of a span, the noisiest first.

A rule is looked at closely if it can be among the noisiest by its plain counts; the others can't be among them.
"""

import asyncio
import heapq
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from alert_history.domain.covers import Covers
from alert_history.domain.interruptions import Hours
from alert_history.domain.noise import NoiseRules, RuleFacts, RuleNoise, noise_of, rank
from alert_history.domain.noise_bounds import highest_low
from alert_history.engine.analysis import Asked
from alert_history.engine.rule_facts import Facts, RuleCounting

LEAST_CANDIDATES = 100
"""At least so many rules are looked at closely, as long as that is not more than `_LOOKS` days of rules."""

_LOOKS = 3_100
_CANDIDATES_A_SHOWN = 2


class NoiseBefore(msgspec.Struct, frozen=True):
    """A rule in the span before; `change` is how many more points its score has now."""

    rule: str
    score: float
    low: float
    high: float
    begun: int
    change: float


class ComparedNoise(msgspec.Struct, frozen=True):
    """The span before: the rules that are shown, in the same order."""

    rules: Sequence[NoiseBefore]
    covers: Covers


class NoiseAnswer(msgspec.Struct, frozen=True):
    """The noisiest rules in the order of `domain.noise.rank`; `scored` of the `seen` rules were looked at closely.

    A rule is seen if it began in the span, or fires. `tz` is the zone by whose clocks people sleep and work.
    """

    rules: Sequence[RuleNoise]
    seen: int
    scored: int
    tz: str
    covers: Covers
    compared: ComparedNoise | None = None


class NoiseScores:
    """Scores rules. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, counting: RuleCounting) -> None:
        self._counting = counting

    async def noise(self, asked: Asked, hours: Hours, *, tz: str, top: int, is_compared: bool = False) -> NoiseAnswer:
        """The `top` noisiest rules of a span; `tz` is the name of the zone of `hours`."""
        facts = await self._counting.facts(asked, hours)
        scores, left_out = await self.noisiest(facts, hours, top=top)
        covers = replace(facts.covers, left_out=(*facts.covers.left_out, *left_out))
        shown = scores[:top]
        compared = await self._before(facts, hours, shown) if is_compared else None
        return NoiseAnswer(shown, len(facts.rules), len(scores), tz, covers, compared)

    async def of_rules(self, asked: Asked, hours: Hours, rules: Sequence[str]) -> list[RuleNoise]:
        """The scores of these rules in a span, in the same order."""
        return await self.scored(await self._counting.facts(asked, hours), rules, hours)

    async def noisiest(self, facts: Facts, hours: Hours, *, top: int) -> tuple[list[RuleNoise], tuple[str, ...]]:
        """Scores, the noisiest first, of at least `top` rules; and what may be missing among these."""
        days = max((facts.asked.until - facts.asked.since).days, 1)
        number = max(min(LEAST_CANDIDATES, _LOOKS // days), _CANDIDATES_A_SHOWN * top)
        candidates = await asyncio.to_thread(_candidates, facts.rules.values(), self._counting.rules, number + 1)
        chosen = [rule for _, rule in candidates[:number]]
        scores = rank(await self.scored(facts, chosen, hours))
        if len(candidates) > number and scores[top - 1].low < candidates[number][0]:
            return scores, (f"rules that are not among the {number} which could be noisiest by their plain counts",)
        return scores, ()

    async def scored(self, facts: Facts, rules: Sequence[str], hours: Hours) -> list[RuleNoise]:
        """The scores of these rules, in the same order."""
        whole = await self._counting.whole_facts(facts, rules, hours)
        return await asyncio.to_thread(_scores, [whole[rule] for rule in rules], self._counting.rules, facts)

    async def _before(self, facts: Facts, hours: Hours, shown: Sequence[RuleNoise]) -> ComparedNoise:
        before = await self._counting.facts(facts.asked.before, hours)
        scores = await self.scored(before, [noise.rule for noise in shown], hours)
        rules = [
            NoiseBefore(was.rule, was.score, was.low, was.high, was.begun, now.score - was.score)
            for was, now in zip(scores, shown, strict=True)
        ]
        return ComparedNoise(rules, before.covers)


def _candidates(facts: Iterable[RuleFacts], rules: NoiseRules, number: int) -> list[tuple[float, str]]:
    """The rules whose score can be highest, and how high its low end can be."""
    return heapq.nlargest(number, ((highest_low(each, rules), each.rule) for each in facts))


def _scores(whole: Iterable[RuleFacts], rules: NoiseRules, facts: Facts) -> list[RuleNoise]:
    covers, query = facts.covers, facts.asked.wanted.query
    return [noise_of(each, rules, since=covers.since, until=covers.until, asked=query) for each in whole]
