"""What the facts of a night come to: counts, and for each question of the hand-over a list that is cut.

Deterministic: the same facts give the same report, whatever their order. No model is asked.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from alert_history.domain.alert import Silence
from alert_history.domain.covers import Covers
from alert_history.domain.night import (
    FailedLine,
    MutedLine,
    Night,
    NightCounts,
    SilenceLine,
    StormLine,
    UnnotifiedLine,
)
from alert_history.domain.night_acts import act_lines
from alert_history.domain.night_facts import FailedDelivery, Muting, NightFacts, NightOccurrence
from alert_history.domain.night_looks import look_first
from alert_history.domain.night_rules import (
    by_rule,
    cut,
    examples_of,
    is_brief,
    is_critical,
    names_of,
    rule_lines,
)
from alert_history.domain.night_storms import NightStorm, storms_of

NOISY = 3
"""A rule with so many occurrences that were over within minutes is noise of the night."""


def night(facts: NightFacts) -> Night:
    """The report of a night."""
    everything = [*facts.began, *facts.before]
    storms = storms_of(facts)
    calm = _outside(storms, facts.began)
    ended = [each for each in everything if not facts.is_open(each.episode)]
    still_open = [each for each in everything if facts.is_open(each.episode)]
    known = [each for each in calm if not _is_new(each, facts)]
    rules = by_rule(calm)
    noisy = {name: own for name, own in rules.items() if sum(map(is_brief, own)) >= NOISY}
    new = [each for each in facts.began if _is_new(each, facts)]
    span = facts.span
    return Night(
        date=span.evening,
        tz=str(span.zone),
        since=span.since,
        until=span.until,
        next_night_at=span.next_night_at,
        is_over=facts.is_over,
        counts=_counts(facts, ended, still_open),
        look_first=look_first(facts, storms),
        acts=cut(act_lines(facts)),
        storms=cut([_storm_line(storm, facts) for storm in storms]),
        new=cut(rule_lines(by_rule(new), facts)),
        open=cut(rule_lines(by_rule(still_open), facts)),
        unconfirmed=cut(rule_lines(by_rule(each for each in still_open if each.unconfirmed is not None), facts)),
        unnotified=cut(_unnotified_lines(facts.began)),
        failed=cut(_failed_lines(facts.failures)),
        muted=cut(_muted_lines(everything, facts)),
        silences_ending=cut(_silence_lines(still_open, facts)),
        healed=cut(rule_lines(by_rule(_outside(storms, ended)), facts)),
        known=cut(rule_lines(by_rule(known), facts)),
        noise=cut(sorted(rule_lines(noisy, facts), key=lambda line: (-line.brief, line.alertname))),
        covers=_covers(facts),
    )


def _covers(facts: NightFacts) -> Covers:
    left_out = tuple(facts.left_out)
    return Covers(facts.span.since, facts.known_until, facts.now, is_exact=facts.is_exact, left_out=left_out)


def _is_new(occurrence: NightOccurrence, facts: NightFacts) -> bool:
    """Whether its rule was never seen before the night; an occurrence without an alertname is of no rule."""
    name = occurrence.episode.alertname
    return bool(name) and name not in facts.last_seen


def _outside(storms: Iterable[NightStorm], occurrences: Sequence[NightOccurrence]) -> list[NightOccurrence]:
    """The occurrences that belong to no storm."""
    stormy = {each.episode.id for storm in storms for each in storm.occurrences}
    return [each for each in occurrences if each.episode.id not in stormy]


def _counts(facts: NightFacts, ended: Sequence[NightOccurrence], still_open: Sequence[NightOccurrence]) -> NightCounts:
    everything = [*facts.began, *facts.before]
    names = {each.episode.alertname for each in facts.began}
    ended_by = Counter(each.episode.ended_by or "resolved" for each in ended)
    kinds = Counter(kind for each in everything for kind in {muting.kind for muting in each.mutings})
    return NightCounts(
        began=len(facts.began),
        open_before=len(facts.before),
        ended=len(ended),
        open=len(still_open),
        unconfirmed=sum(each.unconfirmed is not None for each in still_open),
        rules=len(names),
        new_rules=sum(1 for name in names if name and name not in facts.last_seen),
        silenced=kinds["silenced"],
        inhibited=kinds["inhibited"],
        unnotified=sum(each.unnotified is not None for each in facts.began),
        failed_deliveries=len(facts.failures),
        ended_by=dict(sorted(ended_by.items())),
    )


def _storm_line(storm: NightStorm, facts: NightFacts) -> StormLine:
    rules, count = names_of(storm.occurrences)
    return StormLine(
        since=storm.storm.since,
        until=storm.storm.until,
        occurrences=len(storm.occurrences),
        open=sum(facts.is_open(each.episode) for each in storm.occurrences),
        first=storm.storm.first_rule,
        rules=rules,
        rule_count=count,
    )


def _unnotified_lines(began: Iterable[NightOccurrence]) -> list[UnnotifiedLine]:
    """A line for each reason, the reason with most critical alerts first."""
    by_reason: dict[str, list[NightOccurrence]] = defaultdict(list)
    for each in began:
        if each.unnotified is not None:
            by_reason[each.unnotified].append(each)
    lines = []
    for reason, own in by_reason.items():
        critical = sum(is_critical(each.episode.severity) for each in own)
        lines.append(UnnotifiedLine(reason, len(own), critical, *names_of(own), examples_of(own)))
    return sorted(lines, key=lambda line: (-line.critical, -line.occurrences, line.reason))


def _failed_lines(failures: Iterable[FailedDelivery]) -> list[FailedLine]:
    """A line for each target, the target with most critical alerts first."""
    by_target: dict[str, list[FailedDelivery]] = defaultdict(list)
    for each in sorted(failures, key=lambda each: (each.at, each.alertname, each.occurrence_id, each.reason)):
        by_target[each.target].append(each)
    lines = [_failed_line(target, own) for target, own in by_target.items()]
    return sorted(lines, key=lambda line: (-line.critical, -line.given_up, -line.tried_again, line.target))


def _failed_line(target: str, failures: Sequence[FailedDelivery]) -> FailedLine:
    counts = Counter(each.alertname for each in failures if each.alertname)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return FailedLine(
        target=target,
        given_up=sum(each.is_dead for each in failures),
        tried_again=sum(not each.is_dead for each in failures),
        critical=sum(is_critical(each.severity) for each in failures),
        last_at=failures[-1].at,
        reason=failures[-1].reason,
        rules=names[:3],
        rule_count=len(names),
    )


def _muted_lines(occurrences: Iterable[NightOccurrence], facts: NightFacts) -> list[MutedLine]:
    """A line for each silence and each inhibition: silences first, then what muted most."""
    muted: dict[tuple[str, str], list[tuple[Muting, NightOccurrence]]] = defaultdict(list)
    for each in occurrences:
        for muting in {(own.kind, own.by): own for own in each.mutings}.values():
            muted[muting.kind, muting.by].append((muting, each))
    lines = [_muted_line(pairs, facts) for pairs in muted.values()]
    return sorted(lines, key=lambda line: (line.kind != "silenced", -line.open, -line.occurrences, line.by))


def _muted_line(pairs: Sequence[tuple[Muting, NightOccurrence]], facts: NightFacts) -> MutedLine:
    muting = max((muting for muting, _ in pairs), key=lambda each: (each.created_by, each.comment, str(each.ends_at)))
    silence = facts.silences.get(muting.by)
    occurrences = [each for _, each in pairs]
    rules, count = names_of(occurrences)
    return MutedLine(
        kind=muting.kind,
        by=muting.by,
        created_by=muting.created_by if silence is None else silence.created_by,
        comment=muting.comment if silence is None else silence.comment,
        ends_at=muting.ends_at if silence is None else silence.ends_at,
        occurrences=len(occurrences),
        open=sum(facts.is_open(each.episode) for each in occurrences),
        rules=rules,
        rule_count=count,
    )


def _silence_lines(still_open: Iterable[NightOccurrence], facts: NightFacts) -> list[SilenceLine]:
    """The silences that end before the next night; those that mute something open first, then the first to end."""
    muted = Counter(by for each in still_open for by in {m.by for m in each.mutings if m.kind == "silenced"})
    ending = [each for each in facts.silences_ahead if _is_ending(each.ends_at, facts)]
    lines = [
        SilenceLine(each.id, each.created_by, each.comment, matchers_text(each), each.ends_at, muted[each.id])
        for each in ending
    ]
    return sorted(lines, key=lambda line: (not line.open, line.ends_at, line.id))


def _is_ending(ends_at: datetime, facts: NightFacts) -> bool:
    return facts.span.until <= ends_at < facts.span.next_night_at


def matchers_text(silence: Silence) -> str:
    """The matchers of a silence as Prometheus writes them: `{alertname="DiskFull"}`, sets with `or` between."""
    return " or ".join(f"{{{', '.join(map(_matcher_text, some))}}}" for some in silence.matchers)


def _matcher_text(matcher: Mapping[str, str]) -> str:
    return f'{matcher.get("name", "?")}{matcher.get("op", "=")}"{matcher.get("value", "?")}"'
