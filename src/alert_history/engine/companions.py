"""Companions: which rules begin together in a span, what explains what, and storms; from its newest occurrences.

A begin is when senders say that an alert began, not when it was received: what comes in one group is received at once.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from alert_history.domain.alert_storms import AlertStorm, StormRules, find_storms
from alert_history.domain.begins import Begin
from alert_history.domain.covers import Covers
from alert_history.domain.together import Pair, TogetherRules, companions, strongest_pairs
from alert_history.engine.analysis import Asked
from alert_history.engine.newest_episodes import MOST_EPISODES, cut_covers
from alert_history.ports import Surroundings

_COUNTED_BY = "starts_at"
_TICK = timedelta(microseconds=1)


class TogetherAnswer(msgspec.Struct, frozen=True):
    """What begins together: with `rule`, its companions; without one, the strongest pairs of all rules.

    `begins` is how many begins were compared. `storms` are those of the span, oldest first. `compared` is the same of
    the span before.
    """

    rule: str | None
    within_seconds: float
    same: tuple[str, ...]
    begins: int
    pairs: Sequence[Pair]
    storms: Sequence[AlertStorm]
    covers: Covers
    compared: "TogetherAnswer | None" = None


class Companions:
    """Says what begins together. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, surroundings: Surroundings, *, storm_rules: StormRules | None = None) -> None:
        self._surroundings = surroundings
        self._storm_rules = storm_rules or StormRules()

    async def together(
        self, asked: Asked, rules: TogetherRules, *, rule: str | None = None, is_compared: bool = False
    ) -> TogetherAnswer:
        """The companions of a rule, or the strongest pairs, and the storms of a span."""
        answer = await self._together(asked, rules, rule)
        if not is_compared:
            return answer
        return replace(answer, compared=await self._together(asked.before, rules, rule))

    async def _together(self, asked: Asked, rules: TogetherRules, rule: str | None) -> TogetherAnswer:
        newest = await self._surroundings.begins(asked.filter, most=MOST_EPISODES)
        is_cut = len(newest) >= MOST_EPISODES
        since = newest[-1][0] + _TICK if is_cut else asked.since
        until = max(min(asked.until, asked.now), since + _TICK)
        received = [begin for received_at, begin in newest if received_at >= since]
        begins = sorted((begin for begin in received if since <= begin.at < until), key=_at)
        before = len(received) - len(begins)
        left_out = (f"{before} occurrences that began outside of the span by their senders' clocks",) if before else ()
        covers = cut_covers(asked, since if is_cut else None, counted_by=_COUNTED_BY, left_out=left_out)
        return await asyncio.to_thread(self._answer, begins, rules, rule=rule, covers=covers, span=(since, until))

    def _answer(
        self,
        begins: Sequence[Begin],
        rules: TogetherRules,
        *,
        rule: str | None,
        covers: Covers,
        span: tuple[datetime, datetime],
    ) -> TogetherAnswer:
        since, until = span
        pairs = (
            strongest_pairs(begins, rules, since=since, until=until)
            if rule is None
            else companions(rule, begins, rules, since=since, until=until)
        )
        storms = find_storms(begins, self._storm_rules, since=since, until=until)
        within_seconds = rules.within.total_seconds()
        return TogetherAnswer(rule, within_seconds, rules.same, len(begins), pairs, storms, covers)


def _at(begin: Begin) -> datetime:
    return begin.at
