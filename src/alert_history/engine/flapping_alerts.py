"""Flapping alerts of a span: those that can flap are read, and judged by a definition that has a name.

Alerts that can flap began again soon after their last end; the rollups know how often each did. Where a definition or a
condition is about other things, the newest episodes of the span are judged, whoever they are of.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import asdict, replace

from alert_history.domain.covers import Covers
from alert_history.domain.episode import Episode
from alert_history.domain.flap_candidates import least_again
from alert_history.domain.flap_rules import FlapRule, NewRelicRule, least_episodes, reach
from alert_history.domain.flapping import Flapping, flaps_of
from alert_history.domain.microseconds import to_us
from alert_history.domain.speaker import SCOPE_MARK
from alert_history.domain.tally import DAY_US
from alert_history.engine.analysis import Analysis, Asked
from alert_history.engine.newest_episodes import is_by_columns, is_meant, read_newest
from alert_history.ports import HistoryFilter

MOST_JUDGED = 100_000
"""About so many episodes are read: of the alerts that began again most often first."""

_COUNTED_BY = "changes"


class FlappingAlert(Flapping, frozen=True, kw_only=True):
    """One alert that flaps, and how; `fingerprint` is without the scope, which stands beside it.

    `occurrences` are those that were judged: those of the span, and those shortly before it. `last_id` is the id of the
    newest of them.
    """

    scope: str
    alertname: str
    severity: str
    namespace: str
    occurrences: int
    last_id: str


class RuleFlapping(msgspec.Struct, frozen=True):
    """The alerts of one rule: how many of the `judged` flap, with how many changes of all of them.

    Only of newrelic: of the firings that `ended` in the span, which `share` was `brief`, 0 to 1; of all of its alerts.
    """

    alertname: str
    flapping: int
    judged: int
    changes: int
    ended: int | None = None
    brief: int | None = None
    share: float | None = None


class FlappingCount(msgspec.Struct, frozen=True):
    """The span before: how many alerts flapped in it, of how many judged; `change` is how many more flap now."""

    flapping: int
    judged: int
    change: int
    covers: Covers


class FlappingAnswer(msgspec.Struct, frozen=True):
    """The alerts that flap by `rule`: most changes first, and the rules they are of, those with most of them first.

    `flapping` counts all that flap, also where fewer are shown; `judged` counts the alerts that were looked at closely.
    """

    rule: FlapRule
    flapping: int
    judged: int
    alerts: Sequence[FlappingAlert]
    rules: Sequence[RuleFlapping]
    covers: Covers
    compared: FlappingCount | None = None


class _Candidates(msgspec.Struct, frozen=True):
    """The episodes of each label set to judge, and what they cover."""

    episodes: Mapping[str, Sequence[Episode]]
    covers: Covers


class FlappingAlerts:
    """Answers which alerts flap. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis

    async def flapping(self, asked: Asked, rule: FlapRule, *, top: int, is_compared: bool = False) -> FlappingAnswer:
        """The alerts that flap in the span, `top` of them and of their rules."""
        answer = await self._judged(asked, rule, top)
        if not is_compared:
            return answer
        before = await self._judged(asked.before, rule, 0)
        change = answer.flapping - before.flapping
        return replace(answer, compared=FlappingCount(before.flapping, before.judged, change, before.covers))

    async def _judged(self, asked: Asked, rule: FlapRule, top: int) -> FlappingAnswer:
        candidates = await self._candidates(asked, rule)
        return await asyncio.to_thread(_answer, candidates, rule, top=top, asked=asked)

    async def _candidates(self, asked: Asked, rule: FlapRule) -> _Candidates:
        least = least_again(rule)
        is_counted = await self._analysis.is_rolled_up(HistoryFilter(), by=None)
        if least is None or not is_counted or not is_by_columns(asked.wanted):
            return await self._newest(asked, rule)
        read = replace(asked, since=asked.since - reach(rule))
        numbers = await self._analysis.analytics.again(
            first_day=to_us(read.since) // DAY_US, last_day=to_us(read.until) // DAY_US, least=least
        )
        chosen = _most_often(numbers)
        episodes = await self._analysis.analytics.episodes_of(chosen, since=read.since, until=read.until)
        meant = {fingerprint: own for fingerprint, own in episodes.items() if own and is_meant(asked.wanted, own[-1])}
        return _Candidates(meant, _covers(asked, len(numbers) - len(chosen)))

    async def _newest(self, asked: Asked, rule: FlapRule) -> _Candidates:
        before = reach(rule)
        newest = await read_newest(self._analysis.analytics, replace(asked, since=asked.since - before))
        label_sets: dict[str, list[Episode]] = {}
        for episode in newest.episodes:
            label_sets.setdefault(episode.fingerprint, []).append(episode)
        judged = replace(newest, since=max(newest.since, asked.since))
        return _Candidates(label_sets, judged.covers(asked, counted_by=_COUNTED_BY))


def _most_often(numbers: Mapping[str, int]) -> list[str]:
    """The label sets that began again most often, as many as may be judged."""
    chosen: list[str] = []
    episodes = 0
    for fingerprint, number in sorted(numbers.items(), key=lambda each: (-each[1], each[0])):
        episodes += number + 1
        if episodes > MOST_JUDGED and chosen:
            break
        chosen.append(fingerprint)
    return chosen


def _covers(asked: Asked, left_out: int) -> Covers:
    return Covers(
        since=asked.since,
        until=asked.until,
        counted_by=_COUNTED_BY,
        is_exact=not left_out,
        counted_from="occurrences",
        fresh_as_of=asked.now,
        left_out=(f"{left_out} alerts that began again less often: there are too many",) if left_out else (),
    )


def _answer(candidates: _Candidates, rule: FlapRule, *, top: int, asked: Asked) -> FlappingAnswer:
    covers = candidates.covers
    least = 1 if isinstance(rule, NewRelicRule) else least_episodes(rule)
    judged = [
        (own, flaps_of(own, rule, since=covers.since, until=covers.until, now=asked.now))
        for own in candidates.episodes.values()
        if len(own) >= least
    ]
    flapping = [(own, flaps) for own, flaps in judged if flaps.is_flapping]
    flapping.sort(key=lambda each: (-each[1].changes, each[1].fingerprint))
    return FlappingAnswer(
        rule=rule,
        flapping=len(flapping),
        judged=len(judged),
        alerts=[_alert(own, flaps) for own, flaps in flapping[:top]],
        rules=_rules(judged)[:top],
        covers=covers,
    )


def _alert(episodes: Sequence[Episode], flaps: Flapping) -> FlappingAlert:
    last = episodes[-1]
    fingerprint, _, scope = flaps.fingerprint.partition(SCOPE_MARK)
    return FlappingAlert(
        **(asdict(flaps) | {"fingerprint": fingerprint}),
        scope=scope,
        alertname=last.alertname,
        severity=last.severity,
        namespace=last.namespace,
        occurrences=len(episodes),
        last_id=last.id,
    )


def _rules(judged: Iterable[tuple[Sequence[Episode], Flapping]]) -> list[RuleFlapping]:
    """The rules with an alert that flaps, those with most of them first."""
    rules: dict[str, list[Flapping]] = {}
    for own, flaps in judged:
        rules.setdefault(own[-1].alertname, []).append(flaps)
    sums = [_rule(alertname, own) for alertname, own in rules.items() if any(each.is_flapping for each in own)]
    return sorted(sums, key=lambda each: (-each.flapping, -each.changes, each.alertname))


def _rule(alertname: str, alerts: Sequence[Flapping]) -> RuleFlapping:
    sums = RuleFlapping(
        alertname,
        flapping=sum(each.is_flapping for each in alerts),
        judged=len(alerts),
        changes=sum(each.changes for each in alerts),
    )
    if alerts[0].ended is None:
        return sums
    ended, brief = (sum(getattr(each, name) or 0 for each in alerts) for name in ("ended", "brief"))
    return replace(sums, ended=ended, brief=brief, share=brief / ended if ended else 0.0)
