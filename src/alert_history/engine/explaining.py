"""Which rules are explained by others: reckoned from the newest occurrences of a span, and remembered for minutes.

To reckon it takes half a second, and it changes slowly. So whoever asks for a score need not wait for it each time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.begins import Begin
from alert_history.domain.episode import Episode
from alert_history.domain.query import Query
from alert_history.domain.together import Explanation, TogetherRules, explanations
from alert_history.engine.analysis import Asked
from alert_history.engine.caller import reach
from alert_history.engine.newest_episodes import read_newest
from alert_history.ports import Analytics, HistoryFilter

_TICK = timedelta(microseconds=1)
_LASTS = timedelta(minutes=10)
_MOST_REMEMBERED = 16


class Explained(msgspec.Struct, frozen=True):
    """The rules that another one explains; `since` is set where earlier occurrences of the span were not read."""

    rules: Mapping[str, Explanation]
    since: datetime | None = None

    def count(self, rule: str, *, of: int) -> int:
        """How many of so many occurrences of a rule another one explains, by the share of those that were read."""
        explanation = self.rules.get(rule)
        return 0 if explanation is None else round(of * explanation.count / explanation.of)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What an answer says of it."""
        if self.since is None:
            return ()
        return (f"what is said better before {self.since.isoformat()}: its share is that of later occurrences",)


class _Remembered(msgspec.Struct, frozen=True):
    asked: Asked
    explained: Explained
    reach: Query | None

    def fits(self, asked: Asked) -> bool:
        """Whether it answers the same, of nearly the same span, within the same reach, and is not old."""
        if self.reach != reach():
            return False
        spans = zip(
            (self.asked.since, self.asked.until, self.asked.now), (asked.since, asked.until, asked.now), strict=True
        )
        return all(abs(own - other) <= _LASTS for own, other in spans)


class Explaining:
    """Says which rules are explained by others. Every call may raise StorageUnavailable, QueryTimeout, InvalidQuery."""

    def __init__(self, analytics: Analytics, rules: TogetherRules | None = None) -> None:
        self._analytics = analytics
        self._rules = rules or TogetherRules()
        self._remembered: list[_Remembered] = []

    async def explained(self, asked: Asked) -> Explained:
        """The rules that are explained in a span, whatever else is asked for: a rule by any other."""
        asked = msgspec.structs.replace(asked, wanted=HistoryFilter())
        for remembered in self._remembered:
            if remembered.fits(asked):
                return remembered.explained
        newest = await read_newest(self._analytics, asked)
        until = max(min(newest.until, asked.now), newest.since + _TICK)
        explained = await asyncio.to_thread(explain, newest.episodes, self._rules, since=newest.since, until=until)
        explained = msgspec.structs.replace(explained, since=newest.since if newest.is_cut else None)
        self._remembered = [_Remembered(asked, explained, reach()), *self._remembered][:_MOST_REMEMBERED]
        return explained


def explain(episodes: Sequence[Episode], rules: TogetherRules, *, since: datetime, until: datetime) -> Explained:
    """What explains what among these episodes."""
    begins = begins_of(episodes, since=since, until=until)
    return Explained(explanations(begins, rules, since=since, until=until))


def begins_of(episodes: Sequence[Episode], *, since: datetime, until: datetime) -> list[Begin]:
    """When these episodes began, in the order of time; those that began outside the span are left out."""
    begins = [
        Begin(each.alertname, each.starts_at, fingerprint=each.fingerprint)
        for each in episodes
        if since <= each.starts_at < until
    ]
    return sorted(begins, key=lambda begin: begin.at)
