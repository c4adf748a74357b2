"""What noise is reckoned from, counted from occurrences: the definition that rollups must agree with."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from alert_history.domain.episode import Episode
from alert_history.domain.interruptions import Interruptions
from alert_history.domain.noise import NoiseRules, RuleFacts


class Marks(msgspec.Struct, frozen=True):
    """What the occurrences of one rule don't say by themselves.

    `acted` are the ids of those on which a person acted. `together` of them are explained by another rule.
    """

    acted: Collection[str] = ()
    together: int = 0
    interruptions: Interruptions = Interruptions()


def count_facts(
    episodes: Sequence[Episode], rules: NoiseRules, *, since: datetime, until: datetime, marks: Mapping[str, Marks]
) -> list[RuleFacts]:
    """Count each rule, in the order of the names.

    `episodes` are those that were received or fired from `since` until before `until`, and those that ended up to
    `rules.flap_seconds` before, in any order. Those received in the span are counted; the others say what flaps and
    how long the rule fired. What is open counts as firing up to `until`, so `until` is never after now.
    """
    by_rule: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_rule.setdefault(episode.alertname, []).append(episode)
    span = (since, until)
    return [_count(name, by_rule[name], rules, span=span, marks=marks.get(name, Marks())) for name in sorted(by_rule)]


def find_flaps(episodes: Iterable[Episode], within: timedelta) -> set[str]:
    """The ids of those that began again within that time of the last end of the same label set."""
    by_fingerprint: dict[str, list[Episode]] = {}
    for episode in sorted(episodes, key=lambda each: (each.starts_at, each.received_at)):
        by_fingerprint.setdefault(episode.fingerprint, []).append(episode)
    return {
        later.id
        for own in by_fingerprint.values()
        for earlier, later in pairwise(own)
        if earlier.ends_at is not None and later.starts_at - earlier.ends_at <= within
    }


def firing_seconds(episodes: Iterable[Episode], *, since: datetime, until: datetime) -> float:
    """The seconds of the span in which at least one of them fired."""
    firing, reached = timedelta(), since
    for begin, end in sorted((each.starts_at, each.ends_at or until) for each in episodes):
        begin_unseen, end_seen = max(begin, reached), min(end, until)
        if end_seen > begin_unseen:
            firing += end_seen - begin_unseen
            reached = end_seen
    return firing.total_seconds()


def _count(
    rule: str, episodes: Sequence[Episode], rules: NoiseRules, *, span: tuple[datetime, datetime], marks: Marks
) -> RuleFacts:
    since, until = span
    begun = [each for each in episodes if since <= each.received_at < until]
    flaps = find_flaps(episodes, timedelta(seconds=rules.flap_seconds))
    ended = sum(each.ends_at is not None for each in begun)
    return RuleFacts(
        rule=rule,
        begun=len(begun),
        ended=ended,
        open=len(begun) - ended,
        short=sum(is_short(each, rules.short_seconds) for each in begun),
        flaps=sum(each.id in flaps for each in begun),
        repeats=sum(each.repeats for each in begun),
        acted=sum(each.id in marks.acted for each in begun),
        together=marks.together,
        asleep=marks.interruptions.asleep,
        off_hours=marks.interruptions.off_hours,
        work=marks.interruptions.work,
        firing_seconds=firing_seconds(episodes, since=since, until=until),
        span_seconds=(until - since).total_seconds(),
    )


def is_short(episode: Episode, short_seconds: float) -> bool:
    """Whether a sender said that it ended, and it lasted no longer than that."""
    if episode.ends_at is None or episode.ended_by != "resolved":
        return False
    return episode.seconds(episode.ends_at) <= short_seconds
