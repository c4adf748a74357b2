"""Why targets were notified of an occurrence or not: one sentence, and the steps that led there.

Reads the ledger and what Alertmanager said that it did; `domain.notified_sentence` words the sentence. Must not decide
who is notified.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from alert_history.domain.delivery import TOLD_EVENTS
from alert_history.domain.notified_sentence import (
    NewsFate,
    NotifiedFacts,
    ReceiverNotice,
    SayTime,
    TargetFate,
    notified_sentence,
)
from alert_history.domain.occurrence import ENDINGS
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


class WhyAnswer(msgspec.Struct, frozen=True):
    """Who was notified of an occurrence, who was not, and why: in one sentence, and step by step, oldest first.

    `is_complete` is false where older steps were left out.
    """

    id: str
    sentence: str
    steps: list[WhyStep]
    is_complete: bool


class Explaining:
    """Explains by the id of an occurrence. Every call may raise StorageUnavailable or QueryTimeout."""

    def __init__(self, tracing: Tracing, *, clock: Clock) -> None:
        self._tracing = tracing
        self._clock = clock

    async def why(self, occurrence_id: str, *, target: str | None = None) -> WhyAnswer | Moved:
        """The answer for all targets, or for one. Raises NotFound for an unknown occurrence or target."""
        records = await self._tracing.records(occurrence_id)
        if isinstance(records, Moved):
            return records
        now = self._clock()
        ledger = records.ledger(now)
        facts = facts_of(records, ledger, now=now, say_time=utc_text)
        if target is not None:
            facts = _about(facts, target)
        steps = [step for step in steps_of(ledger) if target is None or step.target in {None, target}]
        return WhyAnswer(records.alert.id, notified_sentence(facts, say_time=utc_text), steps, ledger.is_complete)


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


def _about(facts: NotifiedFacts, target: str) -> NotifiedFacts:
    """The facts of one target alone. Raises NotFound where none is about it."""
    fates = [each for each in facts.targets if each.target == target]
    if not fates and not facts.nobody:
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
