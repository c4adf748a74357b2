"""Which silences mute a label set at a moment. Source: `silence` of prometheus/alertmanager."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.behaviour import NEWEST, Behaviour
from alert_history.domain.alertmanager.matcher_sets import MatcherSets
from alert_history.domain.alertmanager.matchers import matching
from alert_history.domain.query import Matcher
from alert_history.domain.silence_matching import readable_sets
from alert_history.errors import InvalidQuery


class SilenceSpan(msgspec.Struct, frozen=True, gc=False):
    """When a version of a silence was in force; both bounds are included."""

    silence: Silence
    begin: datetime
    end: datetime

    def holds(self, at: datetime) -> bool:
        """Whether it mutes at that moment."""
        return self.begin <= at <= self.end


class Silencing:
    """Silences, asked by label sets: what a call costs hardly depends on how many there are.

    Takes versions of silences: of each id each that there was, in any order. One holds from its `updated_at` until
    that of the next; the oldest that is known holds from its start. A matcher or regex that can't be read matches
    nothing.
    """

    def __init__(self, silences: Iterable[Silence], *, behaviour: Behaviour = NEWEST) -> None:
        versions: dict[str, list[Silence]] = {}
        for silence in sorted(silences, key=lambda each: (each.updated_at, each.id)):
            versions.setdefault(silence.id, []).append(silence)
        ids = sorted(versions) if behaviour.sorts_silences else list(versions)
        spans = [span for each in ids for span in _spans(versions[each])]
        self._sets = MatcherSets([(matchers, span) for span in spans for matchers in right_sets(span.silence)])

    def spans(self, labels: Mapping[str, str]) -> tuple[SilenceSpan, ...]:
        """When silences mute these labels, each span once, in the order in which Alertmanager lists them."""
        return tuple({id(span): span for span in self._sets.matching(labels)}.values())

    def silenced_by(self, labels: Mapping[str, str], *, at: datetime) -> tuple[str, ...]:
        """The ids of the silences that mute these labels at that moment, as Alertmanager lists them."""
        return ids_at(self.spans(labels), at)


def ids_at(spans: Sequence[SilenceSpan], at: datetime) -> tuple[str, ...]:
    """The silences whose spans hold the moment, each once, in order."""
    return tuple(dict.fromkeys(span.silence.id for span in spans if span.holds(at)))


def _spans(versions: Sequence[Silence]) -> Iterator[SilenceSpan]:
    """When each version of one silence was in force, the oldest first."""
    begin = versions[0].starts_at
    for version, following in zip_longest(versions, versions[1:]):
        end = version.ends_at if following is None else min(version.ends_at, following.updated_at)
        if begin <= end:
            yield SilenceSpan(version, begin, end)
        if following is not None:
            begin = max(following.starts_at, following.updated_at)


def right_sets(silence: Silence) -> list[list[Matcher]]:
    """The sets of matchers of a silence that can be read and have right regexes; any of them suffices."""
    return [matchers for matchers in readable_sets(silence) if _is_right(matchers)]


def _is_right(matchers: Sequence[Matcher]) -> bool:
    try:
        matching(matchers)
    except InvalidQuery:  # a regex that Alertmanager takes and we don't
        return False
    return True
