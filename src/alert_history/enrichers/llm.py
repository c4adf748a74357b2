"""Classification by a model behind any OpenAI-compatible proxy.

Its answer is data from a stranger: read within bounds, checked against a schema, capped. What it can't do is change
the severity of what it was not asked about, or call a critical alert harmless without the history saying so, too.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from alert_history.config import Settings
from alert_history.domain.classification import Case, Classification, Severity, Usage, Verdict, capped
from alert_history.enrichers.prompt import SCHEMA, SYSTEM, is_suspicious, question
from alert_history.enrichers.redaction import Redactor
from alert_history.errors import Rejected, Retryable
from alert_history.ports import Clock

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_MAX_ANSWER_BYTES = 512 * 1024
_TOOL = "classify_alerts"
_CHARACTERS_A_TOKEN = 4
_REFUSES_FORM = frozenset({400, 404, 422})
_MIN_BRIEF = 5
_MOSTLY = 0.8

Form = Literal["schema", "tool", "text"]
_FORMS: tuple[Form, ...] = ("schema", "tool", "text")


class _Said(msgspec.Struct):
    id: int
    severity: Severity
    confidence: float
    category: str = ""
    summary: str = ""
    probable_cause: str = ""
    recommendations: list[str] = []
    reasoning: str = ""
    tags: list[str] = []


class LlmEnricher:
    """See `ports.Enricher`. Remembers in which form this proxy answers: a schema, a tool call, or plain JSON."""

    most_cases = 8

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        self.name = settings.llm_model
        self._settings = settings
        self._clock = clock
        self._client: AsyncOpenAI | None = None
        self._form: Form = "schema"
        prompt, completion = settings.llm_usd_per_million_tokens.split("/")
        self._usd = float(prompt) / 1e6, float(completion) / 1e6

    async def classify(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """See `ports.Enricher.classify`. Suspicious cases are asked about alone: they speak for no others."""
        alone = [number for number, case in enumerate(cases) if is_suspicious(case)]
        together = [number for number in range(len(cases)) if number not in alone]
        verdicts: list[Verdict | None] = [None] * len(cases)
        for numbers in [*([together] if together else []), *([number] for number in alone)]:
            answers = await self._ask([cases[number] for number in numbers])
            for number, verdict in zip(numbers, answers, strict=True):
                verdicts[number] = verdict
        return verdicts

    async def close(self) -> None:
        """See `ports.Enricher.close`."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _ask(self, cases: Sequence[Case]) -> list[Verdict | None]:
        asked = question(cases, Redactor(self._settings.llm_redact))
        answer = await self._answer(asked)
        usage = self._usage(answer, asked)
        said = _said(answer)
        now = self._clock()
        share = Usage(
            usage.prompt_tokens // len(cases), usage.completion_tokens // len(cases), usage.cost_usd / len(cases)
        )
        verdicts: list[Verdict | None] = []
        for number, case in enumerate(cases):
            one = said.get(number)
            told = None if one is None else _guarded(_classification(one, model=self.name, now=now), case)
            verdicts.append(None if told is None else Verdict(told, share, asked))
        return verdicts

    async def _answer(self, asked: str) -> dict[str, Any]:
        """The proxy's answer as JSON, in the first form that it takes."""
        status: int | None = None
        for form in _FORMS[_FORMS.index(self._form) :]:
            status, answer = await self._post(asked, form)
            if status in _REFUSES_FORM and form != _FORMS[-1]:
                continue
            if status is None:
                self._form = form
                return answer
            break
        raise Rejected(f"{self.name}: the proxy refuses the request with {status}")

    async def _post(self, asked: str, form: Form) -> tuple[int | None, dict[str, Any]]:
        """The answer, or the status of a refusal. Raises Retryable or Rejected."""
        import openai

        client = await self._connected()
        messages: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]
        try:
            async with client.chat.completions.with_streaming_response.create(
                model=self.name, messages=messages, **_form(form)
            ) as response:
                return None, _decoded(await _bounded(response.iter_bytes()))
        except openai.APIStatusError as error:
            if error.status_code in {408, 409, 425, 429} or error.status_code >= 500:  # noqa: PLR2004
                reason = f"{self.name}: the proxy answered {error.status_code}"
                raise Retryable(reason, after_seconds=_retry_after(error.response.headers)) from None
            return error.status_code, {}
        except openai.APIConnectionError:
            raise Retryable(f"{self.name}: the proxy can't be reached") from None

    async def _connected(self) -> "AsyncOpenAI":
        if self._client is None:
            await asyncio.to_thread(__import__, "openai")  # it takes a second
            from openai import AsyncOpenAI

            url = str(self._settings.llm_proxy_url).rstrip("/")
            self._client = AsyncOpenAI(
                api_key=self._settings.llm_api_key or "none",
                base_url=url if url.endswith("/v1") else f"{url}/v1",
                max_retries=0,
                timeout=self._settings.llm_timeout_seconds,
            )
        return self._client

    def _usage(self, answer: dict[str, Any], asked: str) -> Usage:
        """What the proxy counted; an estimate if it counts nothing."""
        counted = answer.get("usage")
        counted = counted if isinstance(counted, dict) else {}
        prompt = _count(counted.get("prompt_tokens"), len(SYSTEM) + len(asked))
        completion = _count(counted.get("completion_tokens"), len(_content(answer) or ""))
        return Usage(prompt, completion, prompt * self._usd[0] + completion * self._usd[1])


def _form(form: Form) -> dict[str, Any]:
    if form == "schema":
        schema = {"name": _TOOL, "strict": True, "schema": SCHEMA}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    if form == "tool":
        tool = {
            "type": "function",
            "function": {"name": _TOOL, "description": "Say what they mean.", "parameters": SCHEMA},
        }
        return {"tools": [tool], "tool_choice": {"type": "function", "function": {"name": _TOOL}}}
    return {}


async def _bounded(chunks: Any) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            raise Rejected(f"the answer has more than {_MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Rejected("the answer is not JSON") from None
    if not isinstance(answer, dict):
        raise Rejected("the answer is no JSON object")
    return answer


def _message(answer: dict[str, Any]) -> dict[str, Any]:
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    return message if isinstance(message, dict) else {}


def _content(answer: dict[str, Any]) -> str | None:
    """What the model wrote: the arguments of its tool call, or its text without a code fence around it."""
    message = _message(answer)
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls and isinstance(calls[0], dict):
        function = calls[0].get("function")
        arguments = function.get("arguments") if isinstance(function, dict) else None
        return arguments if isinstance(arguments, str) else None
    content = message.get("content")
    if not isinstance(content, str):
        return None
    start, end = content.find("{"), content.rfind("}")
    return content[start : end + 1] if start >= 0 else content


def _said(answer: dict[str, Any]) -> dict[int, _Said]:
    """What it says by id. One that makes no sense is left out; Raises Rejected if none does."""
    if _message(answer).get("refusal"):
        raise Rejected("the model refuses to answer")
    content = _content(answer)
    if content is None:
        raise Rejected("the answer holds no text")
    said: dict[int, _Said] = {}
    alerts = _decoded(content.encode()).get("alerts")
    for one in alerts if isinstance(alerts, list) else []:
        try:
            read = msgspec.convert(one, _Said)
        except msgspec.ValidationError:
            continue
        said.setdefault(read.id, read)
    if not said:
        raise Rejected("the answer is not what the schema asks for")
    return said


def _classification(said: _Said, *, model: str, now: Any) -> Classification:
    texts = said.category, said.summary, said.probable_cause, tuple(said.recommendations), said.reasoning
    return capped(Classification(said.severity, said.confidence, *texts, tuple(said.tags), "llm", model, now))


def _guarded(told: Classification, case: Case) -> Classification:
    """A critical alert is not harmless on a model's word alone: the history has to say so, too."""
    past = case.past
    is_shown = past.is_flapping or (past.month >= _MIN_BRIEF and past.brief >= _MOSTLY * past.month)
    is_label_critical = case.labels.get("severity", "").lower() in {"critical", "page", "p1"}
    if is_shown or not is_label_critical or told.severity in {"critical", "warning"}:
        return told
    trace = f"The model said {told.severity}; its label says critical and its history does not disagree, so: warning."
    raised = msgspec.structs.replace(told, severity="warning", reasoning=f"{trace} {told.reasoning}")
    return capped(raised)


def _retry_after(headers: Any) -> float | None:
    try:
        return max(float(headers.get("retry-after")), 0.0)
    except (TypeError, ValueError):
        return None


def _count(counted: Any, characters: int) -> int:
    if isinstance(counted, int) and not isinstance(counted, bool) and 0 <= counted < 10_000_000:  # noqa: PLR2004
        return counted
    return characters // _CHARACTERS_A_TOKEN
