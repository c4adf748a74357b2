"""What an occurrence is like, and what was around it: earlier episodes of the same kind, and what began or fired near.

Must not decide what belongs together; `engine.companions` counts that over a span.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

import msgspec

from alert_history.domain.covers import Covers
from alert_history.domain.episode import Episode
from alert_history.domain.severity import urgency
from alert_history.domain.speaker import SCOPE_MARK
from alert_history.domain.standing import EndedBy
from alert_history.engine.as_of import episodes_as_of
from alert_history.engine.history import Moved, key_of
from alert_history.engine.people_acts import NO_ACTS, KeptActs
from alert_history.ports import Clock, History, StoredAlert, Surroundings

MOST_SUMMED = 100
"""So many earlier episodes of a label set are summed up."""

_MOST_NEAR = 2_000
_MOST_FIRING = 1_000
MOST_AROUND = _MOST_NEAR + _MOST_FIRING
"""So many rules may be around an occurrence."""

_SLACK = timedelta(minutes=10)
_FIRES_FOR = timedelta(hours=6)
_ALERTS_A_RULE = 5
_COUNTED_BY = "starts_at"


class PersonAct(msgspec.Struct, frozen=True):
    """What a person did about an occurrence, and what they said; `source` says who told us."""

    kind: str
    at: datetime
    by: str
    text: str
    source: str


class SimilarEpisode(msgspec.Struct, frozen=True):
    """An earlier episode: how long it fired, or has by now; how it ended; what people did."""

    id: str
    fingerprint: str
    scope: str
    severity: str
    starts_at: datetime
    ends_at: datetime | None
    ended_by: EndedBy | None
    seconds: float
    repeats: int
    acts: Sequence[PersonAct]


class EpisodeSums(msgspec.Struct, frozen=True):
    """Earlier episodes of one label set together: how many, how they ended, how long they fired in the middle.

    `episodes` are the newest 100 at most, and `is_all` says whether there are no more. The median is that of those that
    ended, None of none.
    """

    episodes: int
    is_all: bool
    ended_by: Mapping[EndedBy, int]
    open: int
    median_seconds: float | None


class SimilarAnswer(msgspec.Struct, frozen=True):
    """Earlier episodes of the same label set, and of others with the same alertname and namespace; newest first."""

    id: str
    alertname: str
    namespace: str
    sums: EpisodeSums
    same_alert: Sequence[SimilarEpisode]
    same_shape: Sequence[SimilarEpisode]
    covers: Covers


class AroundAlert(msgspec.Struct, frozen=True):
    """An alert near the occurrence. `lag_seconds` is how much later it began; below 0: earlier."""

    id: str
    fingerprint: str
    scope: str
    namespace: str
    severity: str
    starts_at: datetime
    ends_at: datetime | None
    lag_seconds: float


class AroundRule(msgspec.Struct, frozen=True):
    """The alerts of one rule: how many `began` near, how many `fired` already; the nearest of them.

    `severity` is the most urgent one of all of them. `lag_seconds` is that of the nearest begin.
    """

    alertname: str
    severity: str
    began: int
    fired: int
    lag_seconds: float
    alerts: Sequence[AroundAlert]


class AroundAnswer(msgspec.Struct, frozen=True):
    """What began within `within_seconds` of an occurrence, before or after, and what fired at the begin of that time.

    Rules with a begin that is near come first, the nearest first; then those that only fired, those with most first.
    """

    id: str
    within_seconds: float
    began: int
    fired: int
    rules: Sequence[AroundRule]
    covers: Covers


class Neighbours:
    """Answers by the id of an occurrence. Every call may raise NotFound, StorageUnavailable or QueryTimeout."""

    def __init__(
        self, history: History, surroundings: Surroundings, *, clock: Clock, acts: KeptActs | None = None
    ) -> None:
        self._history = history
        self._surroundings = surroundings
        self._clock = clock
        self._acts = acts

    async def similar(self, occurrence_id: str, *, most: int, at: datetime | None = None) -> SimilarAnswer | Moved:
        """At most so many earlier episodes of the same alert, and of others that are alike; with `at` as of then."""
        alert = await self._history.find(occurrence_id)
        if alert.id != occurrence_id:
            return Moved(alert.id)
        own = _episode(alert)
        before = await self._surroundings.earlier(own.fingerprint, before=key_of(own.id)[1], most=MOST_SUMMED + 1)
        alike = await self._surroundings.alike(own, most=most)
        earlier, alike, now = episodes_as_of(before[:MOST_SUMMED], at), episodes_as_of(alike, at), at or self._clock()
        shown = [*earlier[:most], *alike]
        acts = await self._acts_of(shown, now)
        episodes = [_similar(each, acts.get(each.id, ()), now) for each in shown]
        return SimilarAnswer(
            own.id,
            own.alertname,
            own.namespace,
            _sums(earlier, is_all=len(before) <= MOST_SUMMED),
            episodes[: len(earlier[:most])],
            episodes[len(earlier[:most]) :],
            self._covers([*earlier, *alike], own, left_out=(NO_ACTS,) if self._acts is None else ()),
        )

    async def around(
        self, occurrence_id: str, within: timedelta, *, top: int, at: datetime | None = None
    ) -> AroundAnswer | Moved:
        """What began or fired near an occurrence, by rule; the `top` rules. With `at`, as was known then."""
        alert = await self._history.find(occurrence_id)
        if alert.id != occurrence_id:
            return Moved(alert.id)
        own = _episode(alert)
        begin = own.starts_at - within
        received = await self._surroundings.near(own, within + _SLACK, most=_MOST_NEAR)
        firing = await self._surroundings.firing(begin, began_after=begin - _FIRES_FOR, most=_MOST_FIRING)
        near = {
            each.id: each
            for each in episodes_as_of(received, at)
            if each.id != own.id and abs(each.starts_at - own.starts_at) <= within
        }
        fired = {
            each.id: each
            for each in episodes_as_of(firing, at)
            if each.id not in near and each.id != own.id and each.starts_at < begin
        }
        rules = _rules(near.values(), fired.values(), own.starts_at)[:top]
        left_out = [f"what began more than {_FIRES_FOR.total_seconds() / 3600:g} h before, and has ended since"]
        if len(received) >= _MOST_NEAR or len(firing) >= _MOST_FIRING:
            left_out.append("more alerts than can be read: the nearest were")
        covers = Covers(
            since=begin,
            until=own.starts_at + within,
            counted_by=_COUNTED_BY,
            is_exact=len(left_out) == 1,
            counted_from="occurrences",
            fresh_as_of=self._clock(),
            left_out=tuple(left_out),
        )
        return AroundAnswer(own.id, within.total_seconds(), len(near), len(fired), rules, covers)

    async def _acts_of(self, episodes: Sequence[Episode], now: datetime) -> dict[str, list[PersonAct]]:
        """What people did about each until now, oldest first, by its id."""
        kept_acts = self._acts
        if kept_acts is None:
            return {}
        acts_of_each = await asyncio.gather(*(kept_acts.of_occurrence(*key_of(each.id)) for each in episodes))
        return {
            each.id: [PersonAct(act.kind, act.at, act.by, act.text, act.source) for act in acts if act.at <= now]
            for each, acts in zip(episodes, acts_of_each, strict=True)
        }

    def _covers(self, episodes: Iterable[Episode], own: Episode, *, left_out: tuple[str, ...]) -> Covers:
        return Covers(
            since=min((each.received_at for each in episodes), default=own.received_at),
            until=own.received_at,
            counted_by=_COUNTED_BY,
            is_exact=True,
            counted_from="occurrences",
            fresh_as_of=self._clock(),
            left_out=left_out,
        )


def _episode(alert: StoredAlert) -> Episode:
    return Episode(
        id=alert.id,
        fingerprint=key_of(alert.id)[0],
        alertname=alert.alertname,
        severity=alert.severity,
        namespace=alert.namespace,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at if alert.status != "firing" else None,
        received_at=alert.timestamp,
        ended_by=alert.ended_by,
        repeats=alert.repeat_count,
    )


def _similar(episode: Episode, acts: Sequence[PersonAct], now: datetime) -> SimilarEpisode:
    fingerprint, _, scope = episode.fingerprint.partition(SCOPE_MARK)
    return SimilarEpisode(
        episode.id,
        fingerprint,
        scope,
        episode.severity,
        episode.starts_at,
        episode.ends_at,
        episode.ended_by,
        episode.seconds(now),
        episode.repeats,
        acts,
    )


def _sums(episodes: Sequence[Episode], *, is_all: bool) -> EpisodeSums:
    ended = [each.seconds(each.ends_at) for each in episodes if each.ends_at is not None]
    return EpisodeSums(
        len(episodes),
        is_all,
        Counter(each.ended_by for each in episodes if each.ended_by is not None),
        len(episodes) - len(ended),
        median(ended) if ended else None,
    )


def _rules(near: Iterable[Episode], fired: Iterable[Episode], at: datetime) -> list[AroundRule]:
    began: dict[str, list[Episode]] = {}
    before: dict[str, list[Episode]] = {}
    for episodes, by_rule in ((near, began), (fired, before)):
        for episode in episodes:
            by_rule.setdefault(episode.alertname, []).append(episode)
    rules = [_rule(name, began.get(name, []), before.get(name, []), at) for name in {**began, **before}]
    return sorted(rules, key=_nearness)


def _rule(alertname: str, began: Sequence[Episode], fired: Sequence[Episode], at: datetime) -> AroundRule:
    alerts = sorted(
        (_around(each, at) for each in (*began, *fired)), key=lambda alert: (abs(alert.lag_seconds), alert.id)
    )
    severity = max((each.severity for each in alerts), key=urgency)
    return AroundRule(alertname, severity, len(began), len(fired), alerts[0].lag_seconds, alerts[:_ALERTS_A_RULE])


def _around(episode: Episode, at: datetime) -> AroundAlert:
    fingerprint, _, scope = episode.fingerprint.partition(SCOPE_MARK)
    return AroundAlert(
        episode.id,
        fingerprint,
        scope,
        episode.namespace,
        episode.severity,
        episode.starts_at,
        episode.ends_at,
        (episode.starts_at - at).total_seconds(),
    )


def _nearness(rule: AroundRule) -> tuple[bool, float, str]:
    return not rule.began, abs(rule.lag_seconds) if rule.began else -rule.fired, rule.alertname
