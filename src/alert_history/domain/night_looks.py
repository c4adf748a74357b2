"""What to look at first after a night: each rule with its reasons, the gravest reason first. No model is asked."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from alert_history.domain.night import FirstLook, LookKind, LookReason, Section
from alert_history.domain.night_acts import taken_by
from alert_history.domain.night_facts import NightFacts, NightOccurrence
from alert_history.domain.night_rules import by_rule, cut, examples_of, is_critical, namespaces_of, severity_of
from alert_history.domain.night_storms import NightStorm
from alert_history.domain.severity import urgency

_RANKS: Mapping[LookKind, int] = {kind: rank for rank, kind in enumerate(get_args(LookKind))}
_MOST_NAMESPACES = 3

_Named = tuple[str, LookReason]
"""An alertname, and a reason to look at this rule."""


def look_first(facts: NightFacts, storms: Sequence[NightStorm]) -> Section[FirstLook]:
    """The rules that have a reason, in the order of their gravest reasons; the most severe and frequent first."""
    reasons: dict[str, dict[LookKind, LookReason]] = defaultdict(dict)
    for name, reason in _reasons(facts, storms):
        reasons[name].setdefault(reason.kind, reason)
    rules = by_rule([*facts.began, *facts.before])
    looks = [_look(name, list(own.values()), rules.get(name, ()), facts) for name, own in reasons.items()]
    return cut(sorted(looks, key=_place))


def _place(look: FirstLook) -> tuple[int, int, int, str]:
    return _RANKS[look.reasons[0].kind], -urgency(look.severity), -look.occurrences, look.alertname


def _look(
    name: str, reasons: Sequence[LookReason], occurrences: Sequence[NightOccurrence], facts: NightFacts
) -> FirstLook:
    kinds = {reason.kind for reason in reasons}
    shown_reasons = [reason for reason in reasons if reason.kind != "open" or "open_critical" not in kinds]
    failed = [failure for failure in facts.failures if failure.alertname == name]
    severities = [severity_of(occurrences), *(failure.severity for failure in failed)]
    return FirstLook(
        alertname=name,
        severity=max(severities, key=urgency),
        namespaces=namespaces_of(occurrences)[:_MOST_NAMESPACES],
        occurrences=len(occurrences),
        reasons=sorted(shown_reasons, key=lambda reason: _RANKS[reason.kind]),
        examples=examples_of(occurrences) or [failure.occurrence_id for failure in failed[:1]],
        taken_by=taken_by(occurrences, facts),
    )


def _reasons(facts: NightFacts, storms: Sequence[NightStorm]) -> Iterator[_Named]:
    """All reasons; of several reasons of one kind for one rule, the first counts."""
    yield from _of_open(facts)
    yield from _of_failures(facts)
    yield from _of_beginnings(facts)
    for storm, occurrences in storms:
        yield storm.first_rule, LookReason("storm", storm.since, str(len(occurrences)))


def _of_open(facts: NightFacts) -> Iterator[_Named]:
    """Reasons of what is open at the end of the night, the longest first."""
    everything = [*facts.began, *facts.before]
    for each in sorted(everything, key=lambda each: (each.episode.starts_at, each.episode.id)):
        episode = each.episode
        if not facts.is_open(episode):
            continue
        yield episode.alertname, LookReason("open", episode.starts_at)
        if is_critical(episode.severity):
            yield episode.alertname, LookReason("open_critical", episode.starts_at)
        if each.unconfirmed is not None:
            yield episode.alertname, LookReason("unconfirmed", episode.starts_at, each.unconfirmed)
        for muting in each.mutings:
            silence = facts.silences.get(muting.by)
            ends_at = muting.ends_at if silence is None else silence.ends_at
            if ends_at is not None and facts.span.until <= ends_at < facts.span.next_night_at:
                yield episode.alertname, LookReason("silence_ends", ends_at, muting.by)


def _of_failures(facts: NightFacts) -> Iterator[_Named]:
    """Reasons of failed deliveries: those that were given up, then those that are tried again."""
    for failure in sorted(facts.failures, key=lambda each: (not each.is_dead, each.at, each.target, each.reason)):
        kind: LookKind = "failed_critical" if is_critical(failure.severity) else "failed"
        if failure.alertname:
            yield failure.alertname, LookReason(kind, failure.at, f"{failure.target}: {failure.reason}")


def _of_beginnings(facts: NightFacts) -> Iterator[_Named]:
    """Reasons of what began in the night, the first to begin first."""
    for each in sorted(facts.began, key=lambda each: (each.episode.starts_at, each.episode.id)):
        episode = each.episode
        if episode.alertname and episode.alertname not in facts.last_seen:
            yield episode.alertname, LookReason("new", episode.starts_at)
        if each.unnotified is not None and each.is_published and is_critical(episode.severity):
            yield episode.alertname, LookReason("unnotified_critical", episode.starts_at, each.unnotified)
