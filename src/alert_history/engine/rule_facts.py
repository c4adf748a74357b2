"""What is counted of each rule in a span: from the rollups where they can answer, else from the newest occurrences.

The rollups know of each rule what began, ended, flapped and was repeated. When it called people, and for how long it
fired, takes a closer look, so it is asked for a few rules at a time.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import msgspec
from msgspec.structs import replace

from alert_history.domain.activity import Activity, interruptions_of, most_firing_seconds, parts_of_days
from alert_history.domain.covers import Covers
from alert_history.domain.episode import Episode
from alert_history.domain.interruptions import Hours, count_interruptions
from alert_history.domain.microseconds import to_us
from alert_history.domain.noise import NoiseRules, RuleFacts
from alert_history.domain.noise_facts import Marks, count_facts
from alert_history.domain.tally import DAY_US
from alert_history.domain.together import TogetherRules
from alert_history.engine.analysis import Analysis, Asked, dimension_of, whole_days
from alert_history.engine.explaining import Explained, Explaining, explain
from alert_history.engine.newest_episodes import COUNTED_BY_RECEIPT, read_newest
from alert_history.engine.people_acts import KeptActs, PeopleActs, counts_of, read_acts
from alert_history.ports import RuleActivities, Sums

CALLS = "whether a target was notified: a minute in which an alert of the rule began is an interruption"
OVERLAPS = "where two firings of a rule overlap within a quarter of an hour: the seconds it fired are an upper bound"

_LOOKS_BACK = timedelta(days=1)
_MOST_OPEN = 10_000
_NO_SUMS = Sums()


class Facts(msgspec.Struct, frozen=True):
    """The facts of rules by their names, and what they cover: `asked` with the span that was counted.

    Where `is_whole` is false, the rules lack when they called people, and for how long they fired. `firing` is how many
    occurrences of a rule fire now that began before the end of the span; a rule of which none does may be left out.
    """

    rules: Mapping[str, RuleFacts]
    asked: Asked
    covers: Covers
    is_whole: bool
    firing: Mapping[str, int] = {}


class RuleCounting:
    """Counts what rules did. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(
        self,
        analysis: Analysis,
        activities: RuleActivities,
        *,
        explaining: Explaining,
        acts: KeptActs | None = None,
        rules: NoiseRules | None = None,
    ) -> None:
        self._analysis = analysis
        self._activities = activities
        self._explaining = explaining
        self._acts = acts
        self.rules = rules or NoiseRules()

    async def facts(self, asked: Asked, hours: Hours) -> Facts:
        """What is counted of each rule that began in the span, or fires now. From the rollups: of whole days, UTC."""
        is_rolled_up = await self._analysis.is_rolled_up(asked.wanted, by="alertname")
        if is_rolled_up and asked.is_long:
            return await self._by_day(whole_days(asked))
        return await self._from_episodes(asked, hours)

    async def whole_facts(self, facts: Facts, rules: Sequence[str], hours: Hours) -> dict[str, RuleFacts]:
        """The same of some rules, with when they called people and for how long they fired."""
        chosen = {rule: facts.rules.get(rule) or RuleFacts(rule) for rule in rules}
        if facts.is_whole or not chosen:
            return chosen
        first_day = to_us(facts.asked.since) // DAY_US
        activities = await self._activities.activities(rules, first_day=first_day)
        return await asyncio.to_thread(_with_activities, chosen, activities, facts.asked, hours)

    async def _by_day(self, whole: Asked) -> Facts:
        first_day, last_day = to_us(whole.since) // DAY_US, (to_us(whole.until) - 1) // DAY_US
        dimension = dimension_of(whole.wanted, "alertname")
        names = dimension[1] if dimension else None
        sums = await self._analysis.analytics.sums("alertname", first_day=first_day, last_day=last_day)
        begun_before = replace(whole.wanted, until=whole.until)
        firing = await self._analysis.analytics.firing(begun_before, by="alertname")
        until = min(whole.until, whole.now)
        acts = await read_acts(self._acts, whole.since, now=whole.now)
        explained = await self._explaining.explained(whole)
        seen = [rule for rule in {**sums, **firing} if names is None or rule in names]
        span_seconds = (until - whole.since).total_seconds()
        rules = _facts_of(seen, sums, explained, acts=acts.on_begun(whole.since, until), span_seconds=span_seconds)
        covers = Covers(
            since=whole.since,
            until=whole.until,
            counted_by=COUNTED_BY_RECEIPT,
            is_exact=explained.since is None,
            counted_from="rollups",
            fresh_as_of=whole.now,
            left_out=(CALLS, OVERLAPS, *acts.left_out, *explained.left_out),
        )
        return Facts(rules, whole, covers, is_whole=False, firing=firing)

    async def _from_episodes(self, asked: Asked, hours: Hours) -> Facts:
        """The occurrences of the day before the span, and those that fire still, say what fired in it and flapped."""
        until = min(asked.until, asked.now)
        asked = replace(asked, until=max(until, asked.since))
        newest = await read_newest(self._analysis.analytics, replace(asked, since=asked.since - _LOOKS_BACK))
        newest = replace(newest, is_cut=newest.since > asked.since)
        span = replace(asked, since=max(newest.since, asked.since))
        still = replace(asked.wanted, status="firing", until=newest.since)
        older = await self._analysis.analytics.episodes(still, most=_MOST_OPEN)
        acts = await read_acts(self._acts, span.since, now=asked.now)
        counted = await asyncio.to_thread(
            _counted, [*older, *newest.episodes], self.rules, hours=hours, asked=span, acts=acts
        )
        made = replace(newest, since=span.since)
        covers = made.covers(asked, left_out=(CALLS, *acts.left_out))
        firing = Counter(each.alertname for each in (*older, *newest.episodes) if each.ends_at is None)
        return Facts(counted, span, covers, is_whole=True, firing=firing)


def _facts_of(
    rules: Iterable[str], sums: Mapping[str, Sums], explained: Explained, *, acts: PeopleActs, span_seconds: float
) -> dict[str, RuleFacts]:
    acted = counts_of(acts.occurrences)
    facts: dict[str, RuleFacts] = {}
    for rule in rules:
        of_rule = sums.get(rule, _NO_SUMS)
        begun = of_rule.begun
        facts[rule] = RuleFacts(
            rule,
            begun=begun,
            ended=of_rule.ended,
            open=begun - of_rule.ended,
            short=of_rule.short,
            flaps=of_rule.again,
            repeats=of_rule.repeats,
            acted=min(acted.get(rule, 0), begun),
            together=explained.count(rule, of=begun),
            span_seconds=span_seconds,
        )
    return facts


def _with_activities(
    facts: Mapping[str, RuleFacts], activities: Mapping[str, Activity], asked: Asked, hours: Hours
) -> dict[str, RuleFacts]:
    until = min(asked.until, asked.now)
    since_us, until_us = to_us(asked.since), to_us(until)
    parts = parts_of_days(range(since_us // DAY_US, -(-until_us // DAY_US)), hours)
    whole: dict[str, RuleFacts] = {}
    for rule, of_rule in facts.items():
        activity = activities[rule]
        calls = interruptions_of(activity, parts)
        whole[rule] = replace(
            of_rule,
            asleep=calls.asleep,
            off_hours=calls.off_hours,
            work=calls.work,
            firing_seconds=most_firing_seconds(activity, since_us=since_us, until_us=until_us),
            span_seconds=(until - asked.since).total_seconds(),
        )
    return whole


def _counted(
    episodes: Sequence[Episode], rules: NoiseRules, *, hours: Hours, asked: Asked, acts: PeopleActs
) -> dict[str, RuleFacts]:
    since, until = asked.since, asked.until
    begun = [each for each in episodes if since <= each.received_at < until]
    explained = explain(begun, TogetherRules(), since=since, until=until)
    acted = acts.occurrences
    by_rule: dict[str, list[Episode]] = {}
    for episode in begun:
        by_rule.setdefault(episode.alertname, []).append(episode)
    marks = {
        rule: Marks(
            acted=acted.get(rule, ()),
            together=explained.count(rule, of=len(own)),
            interruptions=count_interruptions((each.received_at for each in own), hours),
        )
        for rule, own in by_rule.items()
    }
    counted = count_facts(episodes, rules, since=since, until=until, marks=marks)
    return {facts.rule: facts for facts in counted if not facts.never_fired}
