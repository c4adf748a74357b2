"""Occurrences of a night by rule: one line for each alertname, in an order that puts the gravest first."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TypeVar

from alert_history.domain.night import RuleLine, Section
from alert_history.domain.night_acts import taken_by
from alert_history.domain.night_facts import NightFacts, NightOccurrence
from alert_history.domain.severity import urgency

T = TypeVar("T")

BRIEF = timedelta(minutes=5)
MOST_LINES = 10
"""So many lines of each list are in the answer."""

_MOST_EXAMPLES = 3
_MOST_NAMES = 3

Rules = dict[str, list[NightOccurrence]]
"""Occurrences by alertname."""


def by_rule(occurrences: Iterable[NightOccurrence]) -> Rules:
    """Occurrences by alertname."""
    rules: Rules = defaultdict(list)
    for each in occurrences:
        rules[each.episode.alertname].append(each)
    return rules


def cut(lines: Sequence[T], most: int = MOST_LINES) -> Section[T]:
    """The first lines of a list, and how many there are."""
    return Section(list(lines[:most]), len(lines))


def rule_lines(rules: Rules, facts: NightFacts) -> list[RuleLine]:
    """A line for each rule: the gravest first, then the most frequent, then by name."""
    lines = [_line(name, occurrences, facts) for name, occurrences in rules.items()]
    return sorted(lines, key=lambda line: (-urgency(line.severity), -line.occurrences, line.alertname))


def _line(alertname: str, occurrences: Sequence[NightOccurrence], facts: NightFacts) -> RuleLine:
    episodes = [each.episode for each in occurrences]
    starts = [episode.starts_at for episode in episodes]
    prints = {episode.fingerprint for episode in episodes}
    namespaces = namespaces_of(occurrences)
    return RuleLine(
        alertname=alertname,
        severity=severity_of(occurrences),
        namespaces=namespaces[:_MOST_NAMES],
        namespace_count=len(namespaces),
        occurrences=len(episodes),
        open=sum(map(facts.is_open, episodes)),
        brief=sum(is_brief(each) for each in occurrences),
        new_label_sets=len(prints & facts.new_fingerprints),
        first_at=min(starts),
        last_at=max(starts),
        longest_seconds=max(episode.seconds(facts.now) for episode in episodes),
        last_seen_at=facts.last_seen.get(alertname),
        examples=examples_of(occurrences),
        taken_by=taken_by(occurrences, facts),
    )


def severity_of(occurrences: Iterable[NightOccurrence]) -> str:
    """The gravest severity label of some occurrences."""
    words = {each.episode.severity for each in occurrences}
    return max(words, key=lambda word: (urgency(word), word), default="")


def namespaces_of(occurrences: Iterable[NightOccurrence]) -> list[str]:
    """The namespaces of some occurrences, the most frequent first."""
    counts = Counter(each.episode.namespace for each in occurrences if each.episode.namespace)
    return sorted(counts, key=lambda name: (-counts[name], name))


def names_of(occurrences: Iterable[NightOccurrence]) -> tuple[list[str], int]:
    """The most frequent alertnames of some occurrences, and how many there are."""
    counts = Counter(each.episode.alertname for each in occurrences)
    return sorted(counts, key=lambda name: (-counts[name], name))[:_MOST_NAMES], len(counts)


def examples_of(occurrences: Iterable[NightOccurrence]) -> list[str]:
    """The ids of the newest of some occurrences."""
    episodes = sorted((each.episode for each in occurrences), key=lambda e: (e.received_at, e.id), reverse=True)
    return [episode.id for episode in episodes[:_MOST_EXAMPLES]]


def is_brief(occurrence: NightOccurrence) -> bool:
    """Whether an occurrence was over within minutes."""
    episode = occurrence.episode
    return episode.ends_at is not None and episode.ends_at - episode.starts_at < BRIEF


def is_critical(severity: str) -> bool:
    """Whether a severity label means critical."""
    return urgency(severity) == urgency("critical")
