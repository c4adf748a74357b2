"""The occurrences of a span by their rules: how many began, how many of them fire still, and when the last one began.

From the rollups where they can answer, else from the newest occurrences, as far as they can be read at once.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.activity import last_begun
from alert_history.domain.covers import Covers
from alert_history.domain.stacks import ranked
from alert_history.domain.tally import Tally
from alert_history.engine.analysis import Analysis, Asked
from alert_history.engine.newest_episodes import NewestEpisodes, read_newest
from alert_history.engine.value_counts import ValueCounting


class RuleGroup(msgspec.Struct, frozen=True):
    """One rule: `begun` occurrences, of which `open` fire still. `last_at` is exact to the minute."""

    rule: str
    begun: int
    open: int
    last_at: datetime | None


class RuleGroups(msgspec.Struct, frozen=True):
    """The rules with most occurrences, those first; the others together."""

    groups: Sequence[RuleGroup]
    total: int
    rules: int
    covers: Covers

    @property
    def other_rules(self) -> int:
        """How many rules are not shown."""
        return self.rules - len(self.groups)

    @property
    def other_begun(self) -> int:
        """How many occurrences those have."""
        return self.total - sum(group.begun for group in self.groups)


class RuleGrouping:
    """Groups by rules. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, analysis: Analysis, counting: ValueCounting) -> None:
        self._analysis = analysis
        self._counting = counting

    async def groups(self, asked: Asked, *, top: int) -> RuleGroups:
        """The `top` rules of a span."""
        if not await self._analysis.is_rolled_up(asked.wanted, by="alertname"):
            newest = await read_newest(self._analysis.analytics, asked)
            return await asyncio.to_thread(_from_episodes, newest, asked, top)
        counts = (await self._counting.by_labels(asked, ["alertname"]))["alertname"]
        rules = ranked(counts.values, top)
        firing = await self._analysis.analytics.firing(asked.filter, by="alertname")
        numbers = await self._analysis.begun(asked, by="alertname", values=rules)
        last = _last(numbers.tallies, asked.until)
        groups = [RuleGroup(rule, counts.values[rule], firing.get(rule, 0), last.get(rule)) for rule in rules]
        return RuleGroups(groups, counts.total, sum(map(bool, counts.values.values())), counts.covers)


def _last(tallies: Mapping[tuple[int, str], Tally], until: datetime) -> dict[str, datetime | None]:
    minutes: dict[str, dict[int, Mapping[int, int]]] = {}
    for (day, rule), tally in tallies.items():
        minutes.setdefault(rule, {})[day] = tally.minutes
    return {rule: last_begun(of_rule, until=until) for rule, of_rule in minutes.items()}


def _from_episodes(newest: NewestEpisodes, asked: Asked, top: int) -> RuleGroups:
    begun = Counter(each.alertname for each in newest.episodes)
    open_ = Counter(each.alertname for each in newest.episodes if each.ends_at is None)
    last = {each.alertname: each.received_at for each in newest.episodes}
    groups = [RuleGroup(rule, begun[rule], open_[rule], last[rule]) for rule in ranked(begun, top)]
    return RuleGroups(groups, begun.total(), len(begun), newest.covers(asked))
