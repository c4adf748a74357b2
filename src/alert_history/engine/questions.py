"""The questions to an enricher: asked within budget, time limit and circuit breaker; their usage is counted."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter
from typing import Protocol

import msgspec
import structlog

from alert_history.domain.classification import Case, Past, Usage, Verdict
from alert_history.domain.past import supports_noise
from alert_history.engine.breaker import Breaker
from alert_history.errors import AlertHistoryError, Rejected, Retryable
from alert_history.ports import Allowance, Clock, Enricher, Spending

_RETRY_SECONDS = 1.0

_log = structlog.get_logger()


class EnrichmentObserver(Protocol):
    """Counts what enrichment does."""

    def classified(self, severity: str, model: str, seconds: float) -> None:
        """A shape was classified."""
        ...

    def failed(self, error_type: str) -> None:
        """A call, or a case of it, failed."""
        ...

    def spent(self, prompt: int, completion: int, usd: float) -> None:
        """A call used so many tokens and US dollars."""
        ...

    def cache(self, cache_type: str, *, is_hit: bool) -> None:
        """A shape was looked up in `memory` or the `database`."""
        ...


class Questions:
    """Asks one enricher; a call lasts at most `timeout`."""

    def __init__(
        self,
        enricher: Enricher,
        *,
        spending: Spending,
        allowance: Allowance,
        breaker: Breaker,
        timeout: timedelta,
        clock: Clock,
        observer: EnrichmentObserver,
    ) -> None:
        self.breaker = breaker
        self._enricher = enricher
        self._spending = spending
        self._allowance = allowance
        self._timeout = timeout
        self._clock = clock
        self._observer = observer
        self._unaccounted = Usage()
        self._under_way: dict[str, int] = {}  # cases of a call whose usage is still to be stored, by its first shape

    async def ask(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """One call within budget, breaker and timeout, to be followed by `release`. Raises Retryable or Rejected."""
        if (reason := self.breaker.reason) is not None:
            raise Retryable(reason, after_seconds=self.breaker.seconds_left)
        await self._reserve(cases)
        begin = perf_counter()
        try:
            verdicts = await self._asked(cases)
        except AlertHistoryError:
            self.release(cases)
            raise
        finally:
            await self._account()
        self.breaker.succeeded()
        self._count(verdicts, perf_counter() - begin)
        return [verdict and _with_history(case.past, verdict) for case, verdict in zip(cases, verdicts, strict=True)]

    async def _asked(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """The enricher's verdicts, within its time. Raises Retryable or Rejected, and counts them."""
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await self._enricher.classify(cases)
        except TimeoutError:
            error = Retryable(f"{self._enricher.name} did not answer in {self._timeout.total_seconds():g} s")
            self._note_failure("timeout", error)
            raise error from None
        except Retryable as error:
            self._note_failure("unavailable", error)
            raise
        except Rejected:
            self._observer.failed("rejected")
            raise

    async def _account(self) -> None:
        """Count the usage of unusable answers. If storing fails, the next call stores it: the answer matters more."""
        used = self._enricher.take_unusable()
        self._observer.spent(used.prompt_tokens, used.completion_tokens, used.cost_usd)
        self._unaccounted += used
        owed, self._unaccounted = self._unaccounted, Usage()
        if owed == Usage():
            return
        try:
            await self._spending.keep_unusable(owed, model=self._enricher.name, now=self._clock())
        except AlertHistoryError as error:
            self._unaccounted += owed
            _log.warning("usage_not_kept", reason=str(error))

    async def _reserve(self, cases: Sequence[Case]) -> None:
        """Take the likely usage of a call from the budget, until its usage is known. Raises Retryable."""
        now = self._clock()
        minute = await self._spending.spent(since=now - timedelta(minutes=1))
        day = await self._spending.spent(since=now.replace(hour=0, minute=0, second=0, microsecond=0))
        if (refusal := self._allowance(minute, day, len(cases), [], now)) is not None:
            self._observer.failed("budget")
            raise refusal
        if self._allowance(minute, day, len(cases), [*self._under_way.values()], now) is not None:
            raise Retryable("calls that are under way may use up the budget", after_seconds=_RETRY_SECONDS)
        self._under_way[cases[0].shape] = len(cases)

    def _note_failure(self, error_type: str, error: Retryable) -> None:
        self._observer.failed(error_type)
        self.breaker.failed(str(error), after_seconds=error.after_seconds)

    def _count(self, verdicts: Sequence[Verdict | None], seconds: float) -> None:
        for verdict in verdicts:
            if verdict is None:
                self._observer.failed("no_answer")
            else:
                self._observer.classified(verdict.classification.severity, self._enricher.name, seconds)
                usage: Usage = verdict.usage
                self._observer.spent(usage.prompt_tokens, usage.completion_tokens, usage.cost_usd)

    def release(self, cases: Sequence[Case]) -> None:
        """Release what was reserved for a call, once its usage is stored or given up."""
        self._under_way.pop(cases[0].shape, None)


def _with_history(past: Past, verdict: Verdict) -> Verdict:
    """The verdict, with what the history alone says about noise in place of the enricher's own word."""
    classification = msgspec.structs.replace(verdict.classification, is_noise_by_history=supports_noise(past))
    return msgspec.structs.replace(verdict, classification=classification)
