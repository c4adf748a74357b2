"""Classification by a model behind an OpenAI-compatible proxy.

Joins the parts: what is asked (`prompt`), what is blanked (`redaction`), the exchange (`proxy`), what is believed
(`answer`), and what may stand (`floor`). Waiting, retrying, budgets and who asks are the engine's.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import structlog

from alert_history.config import Settings
from alert_history.domain.classification import Case, Classification, Usage, Verdict, capped
from alert_history.enrichers.answer import Answer, Reply, Tokens, read_classifications, tokens_of_unusable
from alert_history.enrichers.budget import priced, shares
from alert_history.enrichers.floor import held_up, is_suspicious
from alert_history.enrichers.prompt import Prompt, prompt
from alert_history.enrichers.proxy import Proxy
from alert_history.enrichers.redaction import Redactor
from alert_history.errors import Rejected, Retryable
from alert_history.ports import Clock

if TYPE_CHECKING:
    import httpx2

_CHARACTERS_A_TOKEN = 3
_SENSELESS_IN_A_ROW = 5
_PAUSE_SECONDS = 60.0

_log = structlog.get_logger()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class LlmEnricher:
    """See `ports.Enricher`. Named by its model. To be closed."""

    most_cases = 8
    most_of_a_rule: int | None = 32

    def __init__(
        self,
        settings: Settings,
        http_client: "httpx2.AsyncClient | None" = None,
        *,
        clock: Clock = _utc_now,
    ) -> None:
        self.name = settings.llm_model
        self._settings = settings
        self._clock = clock
        self._proxy = Proxy(settings, http_client, unusable=self._note_unusable)
        self._redactor = Redactor(settings.llm_redact)
        self._senseless = 0
        self._unusable = Usage()

    async def classify(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """See `ports.Enricher`. A case with a suspicious text is asked about alone, as it could speak for others.

        The verdicts of one part stand even if another part failed; an error is raised only if all parts failed.
        """
        suspected = await asyncio.to_thread(_suspected, cases)
        others = [number for number in range(len(cases)) if number not in suspected]
        parts = [*([others] if others else []), *([number] for number in suspected)]
        asking = [self._part([cases[n] for n in part], is_suspected=part != others) for part in parts]
        outcomes = await asyncio.gather(*asking)
        verdicts: list[Verdict | None] = [None] * len(cases)
        for part, outcome in zip(parts, outcomes, strict=True):
            if isinstance(outcome, list):
                for number, verdict in zip(part, outcome, strict=True):
                    verdicts[number] = verdict
        _raise_if_all([outcome for outcome in outcomes if not isinstance(outcome, list)], len(parts))
        return verdicts

    async def offered(self) -> list[str] | None:
        """See `ports.Enricher.offered`."""
        return await self._proxy.models()

    def take_unusable(self) -> Usage:
        """See `ports.Enricher.take_unusable`."""
        taken, self._unusable = self._unusable, Usage()
        return taken

    async def close(self) -> None:
        """Close the connections."""
        await self._proxy.close()

    async def _part(self, cases: Sequence[Case], *, is_suspected: bool) -> list[Verdict | None] | Retryable | Rejected:
        """The verdicts of one question, or its error."""
        try:
            verdicts = await self._asked(cases, is_suspected=is_suspected)
        except Retryable as error:
            return Retryable(f"{self.name}: {error}", after_seconds=error.after_seconds)
        except Rejected as error:
            return self._senseless_answer(error)
        self._senseless = 0
        return verdicts

    def _senseless_answer(self, error: Rejected) -> Retryable | Rejected:
        """The error for a senseless answer. After several in a row the proxy is left alone, as each costs money."""
        self._senseless += 1
        _log.info("llm_rejected", model=self.name, reason=str(error), in_a_row=self._senseless)
        if self._senseless < _SENSELESS_IN_A_ROW:
            return Rejected(f"{self.name}: {error}")
        return Retryable(f"{self.name}: {error}, {self._senseless} times in a row", after_seconds=_PAUSE_SECONDS)

    async def _asked(self, cases: Sequence[Case], *, is_suspected: bool) -> list[Verdict | None]:
        asked = await asyncio.to_thread(prompt, cases, self._redactor.begin())
        read = partial(read_classifications, ids=asked.ids)
        reply, answers = await self._proxy.ask(asked.system, asked.user, read=read)
        usages = iter(shares(self._usage(asked, reply), sum(answer is not None for answer in answers)))
        return [
            None
            if answer is None
            else Verdict(self._stands(answer, case, is_suspected=is_suspected), next(usages), sent)
            for answer, case, sent in zip(answers, cases, asked.sent, strict=True)
        ]

    def _usage(self, asked: Prompt, reply: Reply) -> Usage:
        return self._priced(reply.tokens, prompt=asked.tokens, written=_guessed(reply.characters))

    def _note_unusable(self, body: bytes, question: str) -> None:
        """Count the usage of an answer that can't be used: it is paid for like any other."""
        counts = tokens_of_unusable(body)
        if counts is not None:
            tokens, characters = counts
            self._unusable += self._priced(tokens, prompt=_guessed(len(question)), written=_guessed(characters))

    def _priced(self, tokens: Tokens, *, prompt: int, written: int) -> Usage:
        """The usage by the proxy's own count, or else by the length of the texts."""
        prompt = prompt if tokens.prompt is None else tokens.prompt
        return priced(prompt, written if tokens.completion is None else tokens.completion, self._settings)

    def _stands(self, answer: Answer, case: Case, *, is_suspected: bool) -> Classification:
        """The classification in a model's answer, cut to our limits and compared with labels and history."""
        classification = Classification(
            answer.severity,
            answer.confidence,
            answer.category,
            answer.summary,
            answer.probable_cause,
            tuple(answer.recommendations),
            answer.reasoning,
            tuple(answer.tags),
            "llm",
            self.name,
            self._clock(),
        )
        return capped(held_up(capped(classification), case, is_suspected=is_suspected))


def _guessed(characters: int) -> int:
    """The tokens that a text of that length takes, about."""
    return characters // _CHARACTERS_A_TOKEN + 1


def _suspected(cases: Sequence[Case]) -> list[int]:
    """The numbers of suspicious cases. For a thread: a hostile text may take tens of milliseconds."""
    return [number for number, case in enumerate(cases) if is_suspicious(case)]


def _raise_if_all(errors: Sequence[Retryable | Rejected], parts: int) -> None:
    """Raise an error if all parts failed, first of all one that may pass later."""
    if parts and len(errors) == parts:
        raise next((error for error in errors if isinstance(error, Retryable)), errors[0])
