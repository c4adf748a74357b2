"""What became of an occurrence at a receiver of Alertmanager, in one sentence, and what would have become of it.

What is known and what follows from a configuration are worded apart: what follows says so. Must not show a time: the
caller says how times look.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from alert_history.domain.alertmanager.outcome import (
    Counterfactual,
    InhibitingAlert,
    Muting,
    MutingSilence,
    ReceiverOutcome,
)
from alert_history.domain.visible import alert_name, visible

SayTime = Callable[[datetime], str]
"""Writes a time as its reader wants to read it."""

_MOST_NAMED = 3
_MOST_LABELS = 4
_ID_CHARACTERS = 8
_LONGEST_COMMENT = 80
_LONGEST_VALUE = 60
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def outcome_sentence(outcome: ReceiverOutcome, *, say_time: SayTime) -> str:
    """What became of it there, and why; with the full stop."""
    clause = _CLAUSES[outcome.kind](outcome, say_time)
    if outcome.basis != "follows":
        return f"{clause}."
    return f"By the configuration of {_whose(outcome)} {clause}{_assumption(outcome)}."


def counterfactual_sentence(outcome: ReceiverOutcome, *, say_time: SayTime) -> str | None:
    """What would have become of it without what muted it; None where nothing can be said."""
    clauses = [_without(each, outcome, say_time) for each in outcome.counterfactuals]
    return " ".join(f"{clause}." for clause in clauses) or None


def rule_text(sources: str, targets: str, equal: Sequence[str]) -> str:
    """An inhibit rule by its matchers: `severity="critical" mutes severity="warning" where cluster is equal`."""
    where = f" where {_listed(equal)} {'is' if len(equal) == 1 else 'are'} equal" if equal else ""
    return f"{sources or 'any alert'} mutes {targets or 'any alert'}{where}"


def length_text(length: timedelta) -> str:
    """A length of time in its two largest units: `31 s`, `5 min`, `4 h 30 min`, `2 d 4 h`."""
    seconds = round(length.total_seconds())
    for size, unit, smaller, name in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size} {unit} {rest} {name}" if rest else f"{seconds // size} {unit}"
    if 0 < length.total_seconds() < 1:
        return "less than 1 s"
    return f"{seconds} s"


def muting_text(muting: Muting, *, say_time: SayTime) -> str:
    """What mutes it, as the rest of a sentence: `silence 7c1f0a2e by ada until 04:00 (“disk swap”) muted it`."""
    parts = [f"{_inhibitors(muting.inhibitors, say_time)} inhibited it"] if muting.inhibitors else []
    if muting.intervals:
        until = f" until {say_time(muting.until)}" if muting.until and not muting.inhibitors else ""
        word = "time interval" if len(muting.intervals) == 1 else "time intervals"
        parts.append(f"the {word} {_listed(muting.intervals)} of its route muted it{until}")
    if muting.silences:
        parts.append(f"{_silences(muting.silences, say_time)} muted it")
    return ", and ".join(parts)


def outcome_steps(outcome: ReceiverOutcome, *, say_time: SayTime) -> list[tuple[datetime | None, str]]:
    """The steps that led there, oldest first; where a route leads there, or more than the sentence is known."""
    if not outcome.route or outcome.kind == "no_integration":
        return []
    group = ", ".join(f'{name}="{_clipped(value, _LONGEST_VALUE)}"' for name, value in outcome.group.items())
    steps: list[tuple[datetime | None, str]] = [
        (None, f"route {outcome.route} leads to {_receiver(outcome)}, in the group {{{group}}}")
    ]
    for look in outcome.looks:
        why = "nothing muted it" if look.muting is None else muting_text(look.muting, say_time=say_time)
        steps.append((look.at, f"its group was due, and {why}"))
    if outcome.at is not None and outcome.kind == "notified":
        word = "Alertmanager notified" if outcome.basis == "known" else "its group was due, and nothing muted it:"
        steps.append(
            (outcome.at, f"{word} {_receiver(outcome)}" + ("" if outcome.basis == "known" else " was notified"))
        )
    if outcome.ended_at is not None:
        steps.append((outcome.ended_at, "the alert was over"))
    if outcome.due_at is not None and outcome.kind in {"waiting", "resolved_early"}:
        steps.append((outcome.due_at, "its group is due" if outcome.kind == "waiting" else "its group was due"))
    if outcome.end_at is not None:
        steps.append((outcome.end_at, f"{_receiver(outcome)} was notified of its end"))
    return steps


# --- What became of it ------------------------------------------------------------------------------------------------


def _notified(outcome: ReceiverOutcome, say_time: SayTime) -> str:
    by = f" ({_listed(outcome.integrations)})" if outcome.integrations else ""
    after = "" if outcome.after is None else f", {length_text(outcome.after)} after it began to fire"
    end = _end(outcome, say_time)
    before = f"; until then {muting_text(outcome.muting, say_time=say_time)}" if outcome.muting else ""
    at = "" if outcome.at is None else f" at {say_time(outcome.at)}"
    if outcome.basis == "known":
        return f"{outcome.source or 'Alertmanager'} notified {_receiver(outcome)}{by}{at}{after}{before}{end}"
    about = (
        f" by {say_time(outcome.at)}" if outcome.is_at_latest and outcome.at else at.replace(" at ", " at about ", 1)
    )
    return f"{_receiver(outcome)} was notified{by}{about}{after}{before}{end}"


def _end(outcome: ReceiverOutcome, say_time: SayTime) -> str:
    """What is added about the end."""
    if outcome.end_at is not None:
        return f"; of its end at {say_time(outcome.end_at)}"
    if outcome.ended_at is None:
        return ""
    if not outcome.sends_end:
        return "; not of its end, because send_resolved is off"
    return (
        ""
        if outcome.end_muting is None
        else f"; not of its end, because {muting_text(outcome.end_muting, say_time=say_time)}"
    )


def _muted(outcome: ReceiverOutcome, say_time: SayTime) -> str:
    source_clause = f", as {outcome.source} says" if outcome.basis == "known" and outcome.source else ""
    was = "has not been notified yet" if outcome.ended_at is None else "was not notified"
    why = muting_text(outcome.muting, say_time=say_time) if outcome.muting else "it was muted"
    return f"{_receiver(outcome)} {was}: {why}{source_clause}"


def _waiting(outcome: ReceiverOutcome, say_time: SayTime) -> str:
    until = "" if outcome.until is None else f" until {say_time(outcome.until)}"
    return f"{_receiver(outcome)} has not been notified yet: the alert waits for its group{until}"


def _resolved_early(outcome: ReceiverOutcome, say_time: SayTime) -> str:
    ended = "" if outcome.ended_at is None else f" at {say_time(outcome.ended_at)}"
    due = "" if outcome.due_at is None else f", before its group was due at {say_time(outcome.due_at)}"
    wait = f" (group_wait is {length_text(outcome.group_wait)})" if outcome.group_wait else ""
    return f"{_receiver(outcome)} was not notified: the alert was over{ended}{due}{wait}"


def _repeated(outcome: ReceiverOutcome, say_time: SayTime) -> str:
    until = "" if outcome.until is None else f", and repeats that at {say_time(outcome.until)} at the earliest"
    return (
        f"{_receiver(outcome)} was not notified anew: its group had been notified of the same labels before and not of "
        f"their end{until}"
    )


def _cut_off(outcome: ReceiverOutcome, say_time: SayTime) -> str:
    at = "" if outcome.due_at is None else f" at {say_time(outcome.due_at)}"
    return (
        f"{_receiver(outcome)} was not notified of this alert, although it was of its group{at}: the receiver takes no "
        "more alerts (max_alerts), and others come first"
    )


def _not_routed(outcome: ReceiverOutcome, say_time: SayTime) -> str:  # noqa: ARG001  # the shape of all clauses
    return f"no route leads to {_receiver(outcome)} with these labels"


def _no_integration(outcome: ReceiverOutcome, say_time: SayTime) -> str:  # noqa: ARG001  # the shape of all clauses
    return f"its route leads to {_receiver(outcome)}, which notifies nobody: it has no integration"


def _unreachable(outcome: ReceiverOutcome, say_time: SayTime) -> str:
    since = "" if outcome.at is None else f" after {say_time(outcome.at)}"
    until = "" if outcome.until is None else f" until {say_time(outcome.until)}"
    reason = f" ({_clipped(outcome.reason)})" if outcome.reason else ""
    return (
        f"Whether {_receiver(outcome)} was notified is not known, because Alertmanager {outcome.cluster} did not answer"
        f"{since}{until}{reason}"
    )


def _unknown(outcome: ReceiverOutcome, say_time: SayTime) -> str:
    until = "" if outcome.until is None else f" {say_time(outcome.until)}"
    reason = f"{outcome.reason or 'nothing is on record'}{until}"
    if not outcome.receiver:
        return f"Whom {'else ' if outcome.is_rest else ''}{_whose(outcome)} notified is not known, because {reason}"
    return f"Whether {_receiver(outcome)} was notified is not known, because {reason}"


_CLAUSES: Mapping[str, Callable[[ReceiverOutcome, SayTime], str]] = {
    "notified": _notified,
    "silenced": _muted,
    "inhibited": _muted,
    "time_muted": _muted,
    "waiting": _waiting,
    "resolved_early": _resolved_early,
    "repeated": _repeated,
    "cut_off": _cut_off,
    "not_routed": _not_routed,
    "no_integration": _no_integration,
    "unreachable": _unreachable,
    "unknown": _unknown,
}


def _whose(outcome: ReceiverOutcome) -> str:
    return f"Alertmanager {outcome.cluster}" if outcome.cluster else "Alertmanager"


def _assumption(outcome: ReceiverOutcome) -> str:
    return ", if it received the alert" if outcome.is_assumed else ""


def _receiver(outcome: ReceiverOutcome) -> str:
    return visible(outcome.receiver) or '""'


# --- What would have become of it -------------------------------------------------------------------------------------


def _without(each: Counterfactual, outcome: ReceiverOutcome, say_time: SayTime) -> str:
    name = _muting_name(each.without)
    if each.at is None:
        return f"Without {name} it would not have gone to {_receiver(outcome)} either"
    return f"Without {name} it would have gone to {_receiver(outcome)} at {say_time(each.at)}"


def _muting_name(muting: Muting) -> str:
    """What mutes it, by its name alone."""
    names = [_inhibitor_name(each) for each in muting.inhibitors[:_MOST_NAMED]]
    names += [f"the time interval {name}" for name in muting.intervals]
    names += [_silence_name(each) for each in muting.silences[:_MOST_NAMED]]
    return _listed(names)


# --- What mutes it ----------------------------------------------------------------------------------------------------


def _silences(silences: Sequence[MutingSilence], say_time: SayTime) -> str:
    texts = [_silence(each, say_time) for each in silences[:_MOST_NAMED]]
    return _listed([*texts, *_more(len(silences), "silence")])


def _silence(silence: MutingSilence, say_time: SayTime) -> str:
    until = "" if silence.ends_at is None else f" until {say_time(silence.ends_at)}"
    by = f" by {_clipped(silence.created_by)}" if visible(silence.created_by) else ""
    why = f" (“{_clipped(silence.comment)}”)" if visible(silence.comment) else ""
    return f"{_silence_name(silence)}{by}{until}{why}"


def _silence_name(silence: MutingSilence) -> str:
    return f"silence {silence.id[:_ID_CHARACTERS]}"


def _inhibitors(inhibitors: Sequence[InhibitingAlert], say_time: SayTime) -> str:
    texts = [_inhibitor(each, say_time) for each in inhibitors[:_MOST_NAMED]]
    return _listed([*texts, *_more(len(inhibitors), "alert")])


def _inhibitor(inhibitor: InhibitingAlert, say_time: SayTime) -> str:
    since = "" if inhibitor.starts_at is None else f" from {say_time(inhibitor.starts_at)}"
    until = "" if inhibitor.ends_at is None else f" until {say_time(inhibitor.ends_at)}"
    rule = f" (by the rule: {inhibitor.rule})" if inhibitor.rule and inhibitor.is_named else ""
    return f"{_inhibitor_name(inhibitor)}{rule}, which fired{since}{until}," if since else _inhibitor_name(inhibitor)


def _inhibitor_name(inhibitor: InhibitingAlert) -> str:
    if not inhibitor.is_named:
        return "another alert that you may not see"
    if not inhibitor.labels:
        return f"the alert with the fingerprint {inhibitor.fingerprint}"
    others = {name: value for name, value in sorted(inhibitor.labels.items()) if name != "alertname"}
    shown = [f'{name}="{_clipped(value, _LONGEST_VALUE)}"' for name, value in list(others.items())[:_MOST_LABELS]]
    more = ", …" if len(others) > _MOST_LABELS else ""
    return f"{alert_name(inhibitor.labels)}{{{', '.join(shown)}{more}}}"


# --- Words ------------------------------------------------------------------------------------------------------------


def _more(count: int, word: str) -> list[str]:
    left = count - _MOST_NAMED
    return [f"{left} more {word}{'' if left == 1 else 's'}"] if left > 0 else []


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _clipped(text: str, longest: int = _LONGEST_COMMENT) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"
