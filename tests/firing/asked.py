"""What those who are asked answer, taken up by the rules without a database: the code that compares is the real one."""

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from alert_history.domain.claim import SECOND_US
from alert_history.domain.correcting import OpenLabelSet, Sign, let_answer
from alert_history.domain.decision import Decision, Known
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Occurrence
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.reconciling import Answer, Listed
from alert_history.domain.standing import Rules, Standing, Witnesses
from alert_history.engine.listing import alertmanager_listing, prometheus_listings
from alert_history.engine.origins import Round
from alert_history.ports import Conflict
from tests.senders.asking import Answered, Asking
from tests.senders.network import moment

_LONGEST_APART_SECONDS = 60.0

T = TypeVar("T")


def read(answered: Answered, asking: Asking, witnesses: Witnesses) -> Round:
    """What is said by all who answer, in the words of the rules."""
    now = moment(answered.at)
    apart_us = round(min(2 * asking.every, _LONGEST_APART_SECONDS) * SECOND_US)
    listings = [
        alertmanager_listing(poll, now, is_publishing=asking.is_publishing, apart_us=apart_us)
        for poll in answered.alertmanagers
    ]
    for polls, silent in answered.prometheuses:
        listings += prometheus_listings(
            polls, now, silent=silent, witnesses=witnesses, is_publishing=asking.is_publishing
        )
    return Round(sorted(listings, key=lambda listing: listing.asked.asked_us), dict(answered.faults))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do work that waits for nothing."""
    while True:
        try:
            work.send(None)
        except StopIteration as done:
            result: T = done.value
            return result


class Remembered(Protocol):
    """What is decided, kept in memory."""

    occurrences: dict[tuple[str, int], Occurrence]
    witnesses: Witnesses

    def standing(self, fingerprint: str) -> Standing: ...

    def known(self, fingerprint: str, *, now: datetime | None = None) -> Known | None: ...

    def alertname(self, fingerprint: str) -> str: ...

    def write(self, decisions: Sequence[Decision]) -> None: ...


class MemoryReconciling:
    """See `ports.Reconciling` and `ports.ClaimRecorder`: as much of both as a comparison needs."""

    def __init__(self, memory: Remembered, *, rules: Rules) -> None:
        self._memory = memory
        self._rules = rules

    @property
    def witnesses(self) -> Witnesses:
        return self._memory.witnesses

    def take_up_witnesses(self, witnesses: Witnesses) -> None:
        self._memory.witnesses = witnesses

    async def read_open(self) -> AsyncIterator[list[OpenLabelSet]]:
        yield [
            OpenLabelSet(
                name,
                self._memory.alertname(name),
                self._memory.standing(name),
                occurrence.claim,
                to_us(occurrence.last_received_at),
            )
            for (name, _), occurrence in self._memory.occurrences.items()
            if occurrence.status == "firing"
        ]

    async def confirm(self, signs: Sequence[Sign]) -> None:
        for sign in signs:
            occurrence = self._memory.occurrences[sign.fingerprint, sign.key_us]
            if occurrence.status == "firing" and occurrence.claim == sign.claim:
                occurrence.last_received_at = max(occurrence.last_received_at, from_us(sign.at_us))
                occurrence.confirmed_at = None

    async def answer(
        self,
        answers: Mapping[str, Sequence[Answer]],
        now: datetime,
        *,
        witnesses: Witnesses,
        is_dry_run: bool = False,
    ) -> list[Decision]:
        assert not is_dry_run
        decisions = []
        for name, its in answers.items():
            known = self._memory.known(name, now=now)
            if known is not None or any(isinstance(answer, Listed) for answer in its):
                decisions.append(let_answer(name, known, its, now=now, rules=self._rules, witnesses=witnesses))
        self._memory.write(decisions)
        return decisions

    async def keep_silences(self, silences: Sequence[object]) -> None:
        """They are kept by nobody here."""

    async def take_turn(self, holder: str, *, lasts: timedelta) -> bool:
        raise AssertionError((holder, lasts))

    async def repair(self, now: datetime, *, after: str = "", limit: int = 100, is_dry_run: bool) -> list[Decision]:
        raise AssertionError((now, after, limit, is_dry_run))

    async def conflicts(self, since: datetime, *, limit: int) -> list[Conflict]:
        raise AssertionError((since, limit))

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        raise AssertionError(receipts)
