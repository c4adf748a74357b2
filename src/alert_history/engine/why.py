"""Why targets were notified of an occurrence or not, and the receivers of Alertmanagers: in sentences and steps.

Reads the ledger and what is on record of Alertmanagers; `domain.notified_sentence` and
`domain.alertmanager.outcome_sentence` word it. Must not decide who is notified.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from alert_history.domain.alertmanager.outcome import Basis, OutcomeKind, ReceiverOutcome
from alert_history.domain.alertmanager.outcome_sentence import counterfactual_sentence, outcome_sentence, outcome_steps
from alert_history.domain.delivery import TOLD_EVENTS
from alert_history.domain.notified_sentence import (
    NewsFate,
    NotifiedFacts,
    ReceiverNotice,
    SayTime,
    TargetFate,
    notified_sentence,
    target_sentence,
)
from alert_history.domain.occurrence import ENDINGS
from alert_history.domain.target_outcome import TargetOutcomeKind, target_outcome
from alert_history.engine.alertmanager_explaining import AlertmanagerExplaining
from alert_history.engine.history import Moved, Records, Tracing
from alert_history.engine.ledger import Ledger, LedgerEvent, LedgerLine
from alert_history.errors import NotFound
from alert_history.ports import Clock, StoredEvent

_SO_NOBODY = ", so nobody is told"
_LONGEST_COMMENT = 80
_MOST_MUTINGS = 3
_BEGINNINGS = frozenset({"fired", "refired", "published"})

StepName = Literal["received", "recorded", "noted", "enriched", "routed", "delivered", "target", "act"]


class WhyStep(msgspec.Struct, frozen=True):
    """One step on the way, in words. `at` is null while it is not done; `target` is set where it is about one."""

    at: datetime | None
    event: str
    step: StepName
    text: str
    target: str | None = None


class ReceiverStep(msgspec.Struct, frozen=True):
    """One step on the way to what a receiver of an Alertmanager did. `at` is null where it has no time."""

    at: datetime | None
    text: str


class ReceiverWhy(msgspec.Struct, frozen=True):
    """What became of an occurrence at one receiver of an Alertmanager; `at` is when it was notified.

    `basis`: `known` is what an Alertmanager said or sent to us; `follows` is what its configuration, its silences and
    the other alerts of then lead to; else it is `unknown`. `until` is when what `outcome` says is over.
    `counterfactual` says what would have become of it without what muted it. `connect` says what to connect to know
    more. `receiver` is empty where none is known, `alertmanager` where it is not known which Alertmanager that is.
    """

    receiver: str
    alertmanager: str
    outcome: OutcomeKind
    basis: Basis
    sentence: str
    at: datetime | None
    until: datetime | None
    steps: list[ReceiverStep]
    counterfactual: str | None
    connect: str | None


class TargetWhy(msgspec.Struct, frozen=True):
    """What became of an occurrence at one of our targets, as it is on record; `unknown` where that is forgotten."""

    target: str
    outcome: TargetOutcomeKind
    basis: Basis
    sentence: str
    at: datetime | None
    until: datetime | None
    steps: list[WhyStep]
    counterfactual: str | None


class WhyAnswer(msgspec.Struct, frozen=True):
    """Who was notified of an occurrence, who was not, and why: in one sentence, and step by step, oldest first.

    `is_complete` is false where older steps were left out. `targets` are ours, `receivers` those of Alertmanagers.
    """

    id: str
    sentence: str
    steps: list[WhyStep]
    is_complete: bool
    targets: list[TargetWhy] = []
    receivers: list[ReceiverWhy] = []


class Explaining:
    """Explains by the id of an occurrence. Every call may raise StorageUnavailable or QueryTimeout."""

    def __init__(self, tracing: Tracing, *, alertmanagers: AlertmanagerExplaining, clock: Clock) -> None:
        self._tracing = tracing
        self._alertmanagers = alertmanagers
        self._clock = clock

    async def why(self, occurrence_id: str, *, target: str | None = None) -> WhyAnswer | Moved:
        """The answer for all targets and receivers, or for those of one name.

        Raises NotFound for an unknown occurrence, target or receiver.
        """
        records = await self._tracing.records(occurrence_id)
        if isinstance(records, Moved):
            return records
        now = self._clock()
        ledger = records.ledger(now)
        outcomes = await self._alertmanagers.outcomes(records, now=now)
        facts = facts_of(records, ledger, now=now, say_time=utc_text)
        if target is not None:
            outcomes = [outcome for outcome in outcomes if outcome.receiver == target]
            facts = _about(facts, target, is_receiver=bool(outcomes))
        steps = [step for step in steps_of(ledger) if target is None or step.target in {None, target}]
        return WhyAnswer(
            records.alert.id,
            notified_sentence(facts, say_time=utc_text),
            steps,
            ledger.is_complete,
            [_target_why(fate, steps, ledger) for fate in facts.targets],
            [receiver_why(outcome, say_time=utc_text) for outcome in outcomes],
        )


def receiver_why(outcome: ReceiverOutcome, *, say_time: SayTime) -> ReceiverWhy:
    """What became of it at a receiver, in words."""
    return ReceiverWhy(
        outcome.receiver,
        outcome.cluster,
        outcome.kind,
        outcome.basis,
        outcome_sentence(outcome, say_time=say_time),
        outcome.at if outcome.kind == "notified" else None,
        outcome.until,
        [ReceiverStep(at, text) for at, text in outcome_steps(outcome, say_time=say_time)],
        counterfactual_sentence(outcome, say_time=say_time),
        outcome.connect or None,
    )


def _target_why(fate: TargetFate, steps: Sequence[WhyStep], ledger: Ledger) -> TargetWhy:
    """What became of it at a target; of one whose quiet hours hold it, what it would have been without them."""
    kind, news = target_outcome(fate), fate.beginning or fate.end
    own = [step for step in steps if step.target == fate.target]
    would = None
    if kind == "quiet_hours" and (due_at := _queued_at(ledger, fate.target)) is not None:
        would = f"Without the quiet hours of its route it would have gone to {fate.target} at {utc_text(due_at)}."
    return TargetWhy(
        fate.target,
        kind,
        "unknown" if kind == "unknown" else "known",
        target_sentence(fate, say_time=utc_text),
        news.at if news is not None and news.fate == "delivered" else None,
        None if news is None else news.next_try_at,
        own,
        would,
    )


def utc_text(time: datetime) -> str:
    """A time to the second, as answers of programs show it within a sentence."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def facts_of(records: Records, ledger: Ledger, *, now: datetime, say_time: SayTime) -> NotifiedFacts:
    """What the sentence is made of."""
    return NotifiedFacts(
        targets=list(_fates(ledger, now)),
        nobody=_nobody(ledger.events),
        mutings=list(_mutings(records.events, say_time)),
        receivers=list(_receivers(records.events)),
    )


def steps_of(ledger: Ledger) -> list[WhyStep]:
    """The ledger as one list, oldest first."""
    steps: list[WhyStep] = []
    for event in ledger.events:
        steps += [WhyStep(step.at, event.event, step.step, step.reason) for step in event.steps]
        steps += [_step_of(event.event, line, event.at) for line in event.targets]
    for act in ledger.acts:
        text = f"{act.by}: {act.text}" if act.text else f"by {act.by}"
        steps.append(WhyStep(act.at, act.kind, "act", text))
        steps += [_step_of(act.kind, line, act.at) for line in act.targets]
    return steps


def _step_of(event: str, line: LedgerLine, decided_at: datetime) -> WhyStep:
    """The step at a target: when it was settled, or when it was decided that there is nothing to settle."""
    fate = "not notified" if line.fate == "not_told" else line.fate
    attempts = f" after {line.attempts} attempts" if line.attempts > 1 else ""
    at = line.at if line.delivery_id is not None else decided_at
    return WhyStep(at, event, "target", f"{line.target} {fate}{attempts}: {line.reason}", line.target)


def _queued_at(ledger: Ledger, target: str) -> datetime | None:
    """When the first event was that concerned a target."""
    return next((event.at for event in ledger.events if any(line.target == target for line in event.targets)), None)


def _about(facts: NotifiedFacts, target: str, *, is_receiver: bool) -> NotifiedFacts:
    """The facts of one target alone. Raises NotFound where none is about it, and it is the name of no receiver."""
    fates = [each for each in facts.targets if each.target == target]
    if not fates and not facts.nobody and not is_receiver:
        names = ", ".join(each.target for each in facts.targets)
        raise NotFound(f"nothing is on record of a target {target!r}; there is something of {names}")
    return NotifiedFacts(targets=fates, nobody=facts.nobody)


def _fates(ledger: Ledger, now: datetime) -> Iterator[TargetFate]:
    """What became of the news at each target, by name."""
    firing, ending = _lines(ledger.events, is_end=False), _lines(ledger.events, is_end=True)
    for short in ledger.targets:
        taken = firing.get(short.target, [])
        first = next((line for line in taken if line.fate == "delivered"), taken[-1] if taken else None)
        beginning = _news(first, now)
        end = _news(ending[short.target][-1] if short.target in ending else None, now)
        if short.is_told and not any(news is not None and news.fate == "delivered" for news in (beginning, end)):
            beginning = NewsFate("delivered", at=short.told_at)  # of an event that is too old to be in the ledger
        yield TargetFate(short.target, beginning, end)


def _lines(events: Iterable[LedgerEvent], *, is_end: bool) -> dict[str, list[LedgerLine]]:
    """The lines of each target, oldest first: those of ends, or those of other news."""
    lines: dict[str, list[LedgerLine]] = {}
    for event in events:
        if event.event in TOLD_EVENTS and (event.event in ENDINGS) == is_end:
            for line in event.targets:
                lines.setdefault(line.target, []).append(line)
    return lines


def _news(line: LedgerLine | None, now: datetime) -> NewsFate | None:
    if line is None:
        return None
    failed = [attempt.reason for attempt in line.log if attempt.outcome not in {"delivered", "handed_back"}]
    answer = failed[-1] if failed else ""
    next_try_at = line.next_try_at if line.next_try_at is not None and line.next_try_at > now else None
    return NewsFate(line.fate, line.reason, line.at, line.attempts, next_try_at, answer)


def _nobody(events: Sequence[LedgerEvent]) -> str:
    """Why no target was chosen, by the last decision that chose none; empty where targets were."""
    notable = [event for event in events if event.event in TOLD_EVENTS]
    if any(event.targets for event in notable):
        return ""
    decisive = [event for event in notable if event.event in _BEGINNINGS] or notable
    reasons = [step.reason for event in decisive[-1:] for step in event.steps if step.step == "routed"]
    return reasons[0].removesuffix(_SO_NOBODY) if reasons else ""


def _mutings(events: Iterable[StoredEvent], say_time: SayTime) -> Iterator[str]:
    """What muted it in Alertmanager, each once, as clauses."""
    clauses = dict.fromkeys(_muting(event, say_time) for event in events if event.kind in {"silenced", "inhibited"})
    yield from list(clauses)[-_MOST_MUTINGS:]


def _muting(event: StoredEvent, say_time: SayTime) -> str:
    detail = event.detail or {}
    if event.kind == "inhibited":
        by = ", ".join(map(str, detail.get("inhibited_by") or ())) or "another alert"
        return f"in Alertmanager it was inhibited by {by} at {say_time(event.at)}"
    by = f" by {detail['created_by']}" if detail.get("created_by") else ""
    until = f" until {say_time(datetime.fromisoformat(detail['ends_at']))}" if detail.get("ends_at") else ""
    why = f" (“{_clipped(str(detail['comment']))}”)" if detail.get("comment") else ""
    return f"in Alertmanager it was silenced{by}{until}{why}"


def _receivers(events: Iterable[StoredEvent]) -> Iterator[ReceiverNotice]:
    """The receivers that Alertmanager notified that it fires, each once."""
    seen: set[tuple[Any, ...]] = set()
    for event in events:
        detail = event.detail or {}
        key = (detail.get("receiver", "?"), detail.get("integration", ""))
        if event.kind == "notified" and detail.get("role", "firing") == "firing" and key not in seen:
            seen.add(key)
            yield ReceiverNotice(str(detail.get("instance", "")), str(key[0]), str(key[1]), event.at)


def _clipped(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_COMMENT else f"{line[: _LONGEST_COMMENT - 1]}…"
