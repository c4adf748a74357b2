"""Enrichment: find out what alerts mean, while the alerts themselves go on.

An alert whose shape is unknown waits in the outbox, which lets it go at its deadline whatever becomes of this
process. So all work of this module may be late, fail or be forgotten: it can only make a wait shorter.

One classification serves all alerts of a shape. Shapes are claimed in the database before they are asked for, so
several replicas ask once; cases of one alertname go out in one call.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import groupby
from uuid import uuid4

import msgspec
import structlog

from alert_history.domain.alert import Alert
from alert_history.domain.classification import Case, Verdict, shape_of
from alert_history.engine.arrivals import Arrival, Arrivals
from alert_history.engine.intake import MakeId
from alert_history.engine.questions import EnrichmentObserver, Questions
from alert_history.engine.storms import Storms, rule_of
from alert_history.engine.switchboard import Classified, Switchboard
from alert_history.errors import AlertHistoryError, Rejected, Retryable
from alert_history.ports import Allowance, Clock, Enricher, KeptVerdict, Store, Unanswered

MAX_WAITING_SHAPES = 2_000
"""Shapes beyond this number go at their deadline, unenriched: a storm of thousands of *different* alerts."""

_MAX_OWED = 1_000  # alerts of one shape that get a follow-up
_CALLS_AT_ONCE = 4
_POLL_SECONDS = 0.25  # for what another replica is asking
_RETRY_SECONDS = 1.0
_STORE_RETRY_SECONDS = 1.0
_CLAIM_GRACE = timedelta(seconds=5)
_OWED_SINCE = timedelta(minutes=10)

_log = structlog.get_logger()


class EnrichmentPolicy(msgspec.Struct, frozen=True):
    """How long deliveries wait, how long a call may take, and how long an answer serves."""

    deadline: timedelta
    call_timeout: timedelta
    serves_for: timedelta


class _Waiting(msgspec.Struct):
    """A shape to classify. `owed` are targets that get a follow-up on its alerts: (fingerprint, start, target)."""

    case: Case
    deadline: datetime
    owed: list[tuple[str, datetime, str]]
    is_asked: bool = False


class Enrichment:
    """Classifies arrivals in the background. `run` never returns by itself.

    `takes_follow_ups` says which targets accept a classification after the alert itself.
    """

    def __init__(  # noqa: PLR0913  # it joins five rooms
        self,
        store: Store,
        enricher: Enricher,
        *,
        arrivals: Arrivals,
        policy: EnrichmentPolicy,
        allowance: Allowance,
        takes_follow_ups: Callable[[str], bool],
        clock: Clock,
        make_id: MakeId,
        observer: EnrichmentObserver,
        switchboard: Switchboard,
    ) -> None:
        self._make_id = make_id
        self._arrivals = arrivals
        self._store = store.classifications
        self._history = store.classification_history
        self.enricher = enricher
        self.policy = policy
        self._takes_follow_ups = takes_follow_ups
        self._switchboard = switchboard
        self._clock = clock
        self._observer = observer
        self._storms = Storms(enricher.most_of_a_rule)
        self._owner = str(uuid4())
        self._fresh: dict[str, datetime] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._wake = asyncio.Event()
        self._calls = asyncio.Semaphore(_CALLS_AT_ONCE)
        self.questions = Questions(
            enricher,
            spending=store.spending,
            allowance=allowance,
            breaker=arrivals.breaker,
            timeout=policy.call_timeout,
            clock=clock,
            observer=observer,
        )

    def wake(self) -> None:
        """Look for alerts that have arrived. Cheap; call it from the loop's thread."""
        if self._arrivals:
            self._wake.set()

    async def run(self) -> None:
        """Classify arrivals until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS if self._waiting or self._fresh else None):
                        await self._wake.wait()
                self._wake.clear()
                self._collect()
                try:
                    await self._let_stragglers_go()
                    for cases in await self._to_ask():
                        tasks.create_task(self._ask(cases))
                except AlertHistoryError as error:
                    _log.warning("enrichment_waits", reason=str(error))
                    await asyncio.sleep(_STORE_RETRY_SECONDS)

    async def recover(self) -> None:
        """Take up the follow-ups of a process that died. Call it once, when mode and targets are known.

        That process had its follow-ups in memory alone. Where another replica takes them up, too, each target gets one.
        """
        if self._arrivals.mode != "transparent_with_recommendations":
            return
        now = self._clock()
        owed: dict[tuple[str, datetime], list[Unanswered]] = {}
        for unanswered in await self._store.unanswered(since=now - _OWED_SINCE):
            if self._takes_follow_ups(unanswered.target):
                owed.setdefault((unanswered.fingerprint, unanswered.starts_at), []).append(unanswered)
        until = now + self.policy.call_timeout + _CLAIM_GRACE + self.policy.deadline  # the dead one's claim runs out
        for (fingerprint, starts_at), follow_ups in owed.items():
            alert = Alert(fingerprint, "firing", follow_ups[0].labels, follow_ups[0].annotations, starts_at)
            targets = tuple(unanswered.target for unanswered in follow_ups)
            shape = shape_of(alert.labels)
            self._arrivals.add(Arrival(shape, alert, starts_at, targets, until))
        if owed:
            _log.info("follow_ups_taken_up", alerts=len(owed))
            self.wake()

    def fault(self) -> str | None:
        """Why the enricher is left alone at the moment; None while it is asked."""
        return self.questions.breaker.reason

    def waiting(self) -> int:
        """How many shapes wait for an answer."""
        return len(self._waiting)

    def look(self) -> None:
        """Look for answers that another replica has stored."""
        if self._waiting:
            self._wake.set()

    async def classify(self, case: Case) -> KeptVerdict:
        """Classify a case now, whatever is known, and store the verdict. Raises Retryable or Rejected."""
        try:
            verdicts = await self.questions.ask([await self._with_past(case)])
            if verdicts[0] is None:
                raise Rejected(f"{self.enricher.name} gave no answer for it")
            verdict = self._kept_verdict(case, verdicts[0])
            if corrected := await self._corrected([case.shape]):
                return corrected[case.shape]
            await self._store.keep([verdict], now=self._clock())
        finally:
            self.questions.release([case])
        self.learn(verdict)
        return verdict

    def learn(self, verdict: KeptVerdict) -> None:
        """Take a verdict as known from now on."""
        now = self._clock()
        self._fresh[verdict.shape] = now + self.policy.deadline
        self._arrivals.learn(verdict.shape, now=now, until=now + self.policy.serves_for)

    async def _let_stragglers_go(self) -> None:
        """Let deliveries go that were routed just before their shape was known and committed just after."""
        now = self._clock()
        self._fresh = {shape: until for shape, until in self._fresh.items() if until > now}
        if self._fresh and await self._store.let_go(list(self._fresh), unenriched=None, now=now):
            self._switchboard.say(Classified())

    def _collect(self) -> None:
        """Sort arrivals by shape; forget shapes whose deadline has passed."""
        now = self._clock()
        for shape in [
            shape for shape, waiting in self._waiting.items() if waiting.deadline < now and not waiting.is_asked
        ]:
            del self._waiting[shape]
        while (arrival := self._arrivals.take()) is not None:
            waiting = self._waiting.get(arrival.shape)
            if waiting is None:
                if len(self._waiting) >= MAX_WAITING_SHAPES:
                    self._observer.failed("too_many_shapes")
                    continue
                waiting = self._waiting[arrival.shape] = _Waiting(_case(arrival), arrival.deadline, [])
            else:
                waiting.case = msgspec.structs.replace(waiting.case, waiting=waiting.case.waiting + 1)
                waiting.deadline = max(waiting.deadline, arrival.deadline)
            room = _MAX_OWED - len(waiting.owed)
            key = (arrival.alert.fingerprint, arrival.starts_at)
            waiting.owed += [(*key, name) for name in arrival.targets if self._takes_follow_ups(name)][: max(room, 0)]

    async def _to_ask(self) -> list[list[Case]]:
        """The cases that only this replica asks about now, those of one alertname together."""
        shapes = [shape for shape, waiting in self._waiting.items() if not waiting.is_asked]
        if not shapes:
            return []
        now = self._clock()
        known = await self._store.newest(shapes, since=now - self.policy.serves_for)
        for shape in shapes:
            self._observer.cache("database", is_hit=shape in known)
        if known:
            await self._follow_up_known(known)
        unknown = [shape for shape in shapes if shape in self._waiting and shape not in known]
        unknown = await self._without_storms(unknown)
        lasts = self.policy.call_timeout + _CLAIM_GRACE
        mine = await self._store.claim(unknown, owner=self._owner, lasts=lasts) if unknown else []
        known = await self._store.newest(mine, since=now - self.policy.serves_for) if mine else {}
        if known:  # another replica got its answer and released its claim between our two queries
            await self._follow_up_known(known)
            mine = [shape for shape in mine if shape not in known]
        for shape in mine:
            self._waiting[shape].is_asked = True
        cases = [self._waiting[shape].case for shape in mine]
        self._storms.ask(cases, now)
        return list(_calls(cases, most=self.enricher.most_cases))

    async def _without_storms(self, shapes: Sequence[str]) -> list[str]:
        """The shapes that a storm leaves room for; deliveries of the others are let go."""
        now = self._clock()
        beyond = set(self._storms.beyond((self._waiting[shape].case for shape in shapes), now))
        if beyond:
            await self._store.let_go(sorted(beyond), unenriched=self._storms.reason, now=now)
            for shape in beyond:
                del self._waiting[shape]
                self._observer.failed("storm")
            self._switchboard.say(Classified())
        return [shape for shape in shapes if shape not in beyond]

    async def _follow_up_known(self, verdicts: Mapping[str, KeptVerdict]) -> None:
        now = self._clock()
        await self._store.let_go(list(verdicts), unenriched=None, now=now)
        for shape, verdict in verdicts.items():
            self.learn(verdict)
            waiting = self._waiting.pop(shape, None)
            if waiting is not None:
                await self._store.follow_up(verdict, targets=waiting.owed, now=now)
        self._switchboard.say(Classified())

    async def _ask(self, cases: Sequence[Case]) -> None:
        """Ask until there is an answer or its deadline; then store the answer, or note why it is missing."""
        shapes = [case.shape for case in cases]
        try:
            verdicts, reason = await self._answer(cases)
            await self._keep(cases, verdicts)
            failed = [case.shape for case, verdict in zip(cases, verdicts, strict=True) if verdict is None]
            if failed:
                await self._store.let_go(failed, unenriched=reason, now=self._clock())
        except AlertHistoryError as error:
            _log.warning("classification_not_kept", reason=str(error))
        except Exception:  # noqa: BLE001  # an enricher's bug must not end the service that records
            _log.exception("classification_failed")
        finally:
            self.questions.release(cases)
            for shape in shapes:
                self._waiting.pop(shape, None)
            self._switchboard.say(Classified())

    async def _answer(self, cases: Sequence[Case]) -> tuple[Sequence[Verdict | None], str]:
        """The verdicts, and the reason for those that are missing."""
        none = [None] * len(cases)
        cases = [await self._with_past(case) for case in cases]
        deadline = max(self._waiting[case.shape].deadline for case in cases)
        while True:
            try:
                async with self._calls:
                    return await self.questions.ask(cases), f"{self.enricher.name} gave no answer for it"
            except Rejected as error:
                return none, str(error)
            except Retryable as error:
                wait = max(error.after_seconds or _RETRY_SECONDS, self.questions.breaker.seconds_left)
                is_worth_waiting = self._clock() + timedelta(seconds=wait) < deadline
                is_down = self.questions.breaker.reason is not None and not self.questions.breaker.is_over_by(deadline)
                if is_down or not is_worth_waiting:
                    return none, str(error)
                await asyncio.sleep(wait)

    async def _keep(self, cases: Sequence[Case], verdicts: Sequence[Verdict | None]) -> None:
        now = self._clock()
        answers = [self._kept_verdict(case, verdict) for case, verdict in zip(cases, verdicts, strict=True) if verdict]
        if corrected := await self._corrected([verdict.shape for verdict in answers]):
            await self._follow_up_known(corrected)
            answers = [verdict for verdict in answers if verdict.shape not in corrected]
        await self._store.keep(answers, now=now)
        for verdict in answers:
            self.learn(verdict)
            waiting = self._waiting.get(verdict.shape)
            if waiting is not None:
                self._collect()
                await self._store.follow_up(verdict, targets=waiting.owed, now=now)

    async def _corrected(self, shapes: Sequence[str]) -> dict[str, KeptVerdict]:
        """The verdicts of persons on these shapes, perhaps from meanwhile: they come before any answer."""
        newest = await self._store.newest(shapes, since=self._clock()) if shapes else {}
        return {
            shape: verdict for shape, verdict in newest.items() if verdict.verdict.classification.source == "person"
        }

    async def _with_past(self, case: Case) -> Case:
        """The case with its past, if the history answers; else the case with the alert alone."""
        try:
            return msgspec.structs.replace(case, past=await self._history.past(case))
        except AlertHistoryError as error:
            _log.warning("past_unknown", reason=str(error))
            return case

    def _kept_verdict(self, case: Case, verdict: Verdict) -> KeptVerdict:
        return KeptVerdict(self._make_id(self._clock()), case.shape, case.fingerprint, verdict)


def _case(arrival: Arrival) -> Case:
    alert = arrival.alert
    return Case(arrival.shape, alert.fingerprint, dict(alert.labels), dict(alert.annotations), arrival.starts_at)


def _calls(cases: Sequence[Case], *, most: int) -> Iterator[list[Case]]:
    """Cases in calls: those of one alertname together, at most `most` a call."""
    for _, alike in groupby(sorted(cases, key=rule_of), key=rule_of):
        group = list(alike)
        for start in range(0, len(group), most):
            yield group[start : start + most]
