"""The rules of a span as a table: what each did, how noisy it is, when it last began; and those that never fired."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal, Protocol

import msgspec
from msgspec.structs import astuple, replace

from alert_history.domain.activity import last_begun
from alert_history.domain.covers import Covers
from alert_history.domain.interruptions import Hours, Interruptions
from alert_history.domain.log_buckets import percentile
from alert_history.domain.microseconds import to_us
from alert_history.domain.noise import RuleNoise
from alert_history.domain.tally import DAY_US, LONGEST_VALUE, Tally
from alert_history.engine.analysis import Analysis, Asked
from alert_history.engine.noise_scores import NoiseScores
from alert_history.engine.reach import is_narrowed
from alert_history.engine.rule_facts import Facts, RuleCounting
from alert_history.ports import HistoryFilter

RuleSort = Literal[
    "rule",
    "-begun",
    "begun",
    "-open",
    "open",
    "-firing",
    "firing",
    "-short",
    "short",
    "-repeats",
    "repeats",
    "-again",
    "again",
    "-score",
    "-median_seconds",
    "median_seconds",
    "-last_begun_at",
    "last_begun_at",
    "-asleep",
    "asleep",
]

MOST_CLOSELY = 200
"""What takes a closer look at each rule is sorted among so many that began most."""

_MOST_STEADY = 200
_MEDIAN = 0.5
_FIELDS = {"again": "flaps"}
_CLOSELY: Mapping[str, Callable[["RuleRow"], Any]] = {
    "median_seconds": attrgetter("median_seconds"),
    "last_begun_at": attrgetter("last_begun_at"),
    "asleep": attrgetter("interruptions.asleep"),
}
_SUMMED = ("begun", "open", "short", "repeats", "flaps")


class RuleNames(Protocol):
    """Whoever knows the names of all alerting rules."""

    async def names(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """The names, and why some may be missing. Never raises."""
        ...


class RuleRow(msgspec.Struct, frozen=True):
    """One rule: what `begun` occurrences in the span did; `share` is theirs of all that began, 0 to 1.

    `open` of these fire now; `firing` also counts those that began before the span.
    `again` began within an hour of the last end of the same label set, `short` ended within five minutes.
    `median_seconds` is how long those that ended fired, within 2 %. `last_begun_at` is exact to the minute. The score
    is that of noise, with its bounds. `firing_share` is for which share of the span the rule fired, at most.
    `interruptions` are the minutes in which the rule called a person, by part of the day.
    """

    rule: str
    begun: int
    open: int
    short: int
    repeats: int
    again: int
    share: float
    median_seconds: float | None
    last_begun_at: datetime | None
    score: float
    score_low: float
    score_high: float
    firing_share: float
    interruptions: Interruptions
    firing: int


class RuleTotals(msgspec.Struct, frozen=True):
    """All rules together. `rules` is how many began, or fire."""

    rules: int
    begun: int
    open: int
    short: int
    repeats: int
    again: int


class RulesBefore(msgspec.Struct, frozen=True):
    """The span before, and how much more each total is now."""

    totals: RuleTotals
    change: RuleTotals
    covers: Covers


class RulesAnswer(msgspec.Struct, frozen=True):
    """The rules in the order that was asked for; by name those that never stop, and those that never fired.

    `never_fired` is null where no Prometheus is known that would name its rules, a condition was given, or who asks
    sees some alerts only.
    """

    totals: RuleTotals
    rules: Sequence[RuleRow]
    never_stops: Sequence[str]
    never_fired: Sequence[str] | None
    tz: str
    covers: Covers
    compared: RulesBefore | None = None


class RuleTable:
    """Answers with the rules. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(
        self, analysis: Analysis, counting: RuleCounting, scores: NoiseScores, *, names: RuleNames | None = None
    ) -> None:
        self._analysis = analysis
        self._counting = counting
        self._scores = scores
        self._names = names

    async def table(
        self, asked: Asked, hours: Hours, *, tz: str, sort: RuleSort = "-begun", top: int, is_compared: bool = False
    ) -> RulesAnswer:
        """The first `top` rules of a span in an order; `tz` is the name of the zone of `hours`."""
        facts = await self._counting.facts(asked, hours)
        scores, rows, left_out = await self._sorted(facts, hours, sort=sort, top=top)
        totals = _totals(facts)
        never_fired, more_left_out = await self._never_fired(facts)
        return RulesAnswer(
            totals,
            rows,
            await self._never_stops(facts, hours, scores),
            never_fired,
            tz,
            replace(facts.covers, left_out=(*facts.covers.left_out, *left_out, *more_left_out)),
            await self._before(facts, hours, totals) if is_compared else None,
        )

    async def _sorted(
        self, facts: Facts, hours: Hours, *, sort: RuleSort, top: int
    ) -> tuple[list[RuleNoise], list[RuleRow], tuple[str, ...]]:
        """The scores and the rows of the first rules, and what may be missing among these."""
        if sort == "-score":
            scores, left_out = await self._scores.noisiest(facts, hours, top=top)
            return scores[:top], await self._rows(facts, scores[:top]), left_out
        if sort.removeprefix("-") in _CLOSELY:
            return await self._sorted_closely(facts, hours, sort=sort, top=top)
        scores = await self._scores.scored(facts, _first(facts, sort, top), hours)
        return scores, await self._rows(facts, scores), ()

    async def _sorted_closely(
        self, facts: Facts, hours: Hours, *, sort: RuleSort, top: int
    ) -> tuple[list[RuleNoise], list[RuleRow], tuple[str, ...]]:
        """By what only a closer look at each rule tells; a rule of which it is not known comes last."""
        most = max(MOST_CLOSELY, top)
        scores = await self._scores.scored(facts, _first(facts, "-begun", most), hours)
        value_of = _CLOSELY[sort.removeprefix("-")]
        rows = sorted(await self._rows(facts, scores), key=attrgetter("rule"))
        known = sorted((row for row in rows if value_of(row) is not None), key=value_of, reverse=sort.startswith("-"))
        unknown = [row for row in rows if value_of(row) is None]
        left_out = (f"rules that are not among the {most} that began most",) if len(facts.rules) > most else ()
        return scores, [*known, *unknown][:top], left_out

    async def _rows(self, facts: Facts, scores: Sequence[RuleNoise]) -> list[RuleRow]:
        tallies = await self._tallies(facts, [noise.rule for noise in scores])
        return await asyncio.to_thread(_rows, facts, scores, tallies)

    async def _tallies(self, facts: Facts, rules: Sequence[str]) -> Mapping[tuple[int, str], Tally]:
        """The tallies of some rules, by day."""
        if facts.is_whole:
            return (await self._analysis.by_day(facts.asked, by="alertname")).tallies
        first_day, last_day = to_us(facts.asked.since) // DAY_US, (to_us(facts.asked.until) - 1) // DAY_US
        values = [rule[:LONGEST_VALUE] for rule in rules]
        return await self._analysis.analytics.tallies(
            "alertname", first_day=first_day, last_day=last_day, values=values
        )

    async def _never_stops(self, facts: Facts, hours: Hours, scores: Iterable[RuleNoise]) -> list[str]:
        """Those that fire nearly all the time, among those that fire still or are shown."""
        steady = {noise.rule for noise in scores if noise.never_stops}
        firing = [each for each in facts.rules.values() if each.open or not each.begun]
        firing.sort(key=lambda each: (each.begun > 0, -each.open, each.rule))
        whole = await self._counting.whole_facts(facts, [each.rule for each in firing[:_MOST_STEADY]], hours)
        return sorted(steady | {each.rule for each in whole.values() if each.never_stops})

    async def _never_fired(self, facts: Facts) -> tuple[list[str] | None, tuple[str, ...]]:
        is_everything = replace(facts.asked.wanted, since=None, until=None) == HistoryFilter()
        if self._names is None or not is_everything or is_narrowed():
            return None, ()
        names, left_out = await self._names.names()
        return sorted(names - facts.rules.keys()), left_out

    async def _before(self, facts: Facts, hours: Hours, now: RuleTotals) -> RulesBefore:
        before = await self._counting.facts(facts.asked.before, hours)
        was = _totals(before)
        change = RuleTotals(*(new - old for new, old in zip(astuple(now), astuple(was), strict=True)))
        return RulesBefore(was, change, before.covers)


def _first(facts: Facts, sort: RuleSort, top: int) -> list[str]:
    """The first rules by one of their plain counts."""
    name = _FIELDS.get(sort.removeprefix("-"), sort.removeprefix("-"))
    is_descending = sort.startswith("-")
    if name == "firing":
        return sorted(sorted(facts.rules), key=lambda rule: facts.firing.get(rule, 0), reverse=is_descending)[:top]
    ordered = sorted(facts.rules.values(), key=attrgetter("rule"))
    ordered.sort(key=attrgetter(name), reverse=is_descending)
    return [each.rule for each in ordered[:top]]


def _totals(facts: Facts) -> RuleTotals:
    return RuleTotals(
        len(facts.rules),
        *(sum(getattr(each, name) for each in facts.rules.values()) for name in _SUMMED),
    )


def _rows(facts: Facts, scores: Sequence[RuleNoise], tallies: Mapping[tuple[int, str], Tally]) -> list[RuleRow]:
    begun = sum(each.begun for each in facts.rules.values())
    days: dict[str, dict[int, Tally]] = {}
    for (day, rule), tally in tallies.items():
        days.setdefault(rule, {})[day] = tally
    return [_row(facts, noise, days.get(noise.rule[:LONGEST_VALUE], {}), begun=begun) for noise in scores]


def _row(all_facts: Facts, noise: RuleNoise, days: Mapping[int, Tally], *, begun: int) -> RuleRow:
    facts = all_facts.rules[noise.rule]
    lengths: dict[int, int] = {}
    for tally in days.values():
        for (_, bucket), number in tally.lengths.items():
            lengths[bucket] = lengths.get(bucket, 0) + number
    return RuleRow(
        rule=facts.rule,
        begun=facts.begun,
        open=facts.open,
        short=facts.short,
        repeats=facts.repeats,
        again=facts.flaps,
        share=facts.begun / begun if begun else 0.0,
        median_seconds=percentile(lengths, _MEDIAN),
        last_begun_at=last_begun({day: tally.minutes for day, tally in days.items()}, until=all_facts.asked.until),
        score=noise.score,
        score_low=noise.low,
        score_high=noise.high,
        firing_share=noise.firing_share,
        interruptions=noise.interruptions,
        firing=all_facts.firing.get(noise.rule, 0),
    )
