"""What a model answers: the form that is asked for, and how much of an answer is believed.

An answer is data: read strictly, each case's part by itself, so that one bad part spoils no other. Must not know how
the model was asked. Errors' texts repeat nothing of an answer, as a model may repeat what it was sent.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from alert_history.domain.classification import MAX_RECOMMENDATIONS, MAX_TAGS
from alert_history.domain.severity import Severity
from alert_history.errors import Rejected

NAME = "classifications"

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_PROPERTIES: dict[str, Any] = {
    "id": _TEXT,
    "severity": {"type": "string", "enum": ["critical", "warning", "info", "noise"]},
    "confidence": {"type": "number"},
    "category": _TEXT,
    "summary": _TEXT,
    "probable_cause": _TEXT,
    "recommendations": _TEXTS,
    "reasoning": _TEXT,
    "tags": _TEXTS,
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        NAME: {
            "type": "array",
            "items": {
                "type": "object",
                "properties": _PROPERTIES,
                "required": list(_PROPERTIES),
                "additionalProperties": False,
            },
        }
    },
    "required": [NAME],
    "additionalProperties": False,
}
"""In the part of JSON Schema that every proxy's strict mode takes: no lengths, no ranges. We check these ourselves."""

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL)
_MOST_LISTED = 1_000
_CUT_SHORT = "length"
_FILTERED = "content_filter"


class Answer(msgspec.Struct, frozen=True):
    """A model's answer about one case. Fields that older models leave out are empty."""

    id: str
    severity: Severity
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)]
    summary: Annotated[str, msgspec.Meta(min_length=1)]
    category: str = ""
    probable_cause: str = ""
    recommendations: list[str] = msgspec.field(default_factory=list)
    reasoning: str = ""
    tags: list[str] = msgspec.field(default_factory=list)


class Tokens(NamedTuple):
    """The tokens of a call as the proxy counts them; None where the proxy gives no count."""

    prompt: int | None
    completion: int | None


class Reply(NamedTuple):
    """A chat completion: the texts that may hold the answer, the likeliest first."""

    texts: tuple[str, ...]
    tokens: Tokens

    @property
    def characters(self) -> int:
        return sum(map(len, self.texts))


class NotAsked(Rejected):
    """The answer is in no form that was asked for: the proxy may know another one."""


class _Function(msgspec.Struct):
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: Annotated[int, msgspec.Meta(ge=0, le=100_000_000)] | None = None
    completion_tokens: Annotated[int, msgspec.Meta(ge=0, le=100_000_000)] | None = None


class _Completion(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Billed(msgspec.Struct):
    choices: list[msgspec.Raw] = []
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Document(msgspec.Struct):
    classifications: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=_MOST_LISTED)]


class _Named(msgspec.Struct):
    id: str


def read_reply(body: bytes) -> Reply:
    """The chat completion in the body. Raises Rejected: it is none, or the model refuses or was cut short."""
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except (msgspec.DecodeError, RecursionError):
        raise Rejected("the answer is no chat completion") from None
    choice = completion.choices[0]
    if choice.message.refusal or choice.finish_reason == _FILTERED:
        raise Rejected("the model refuses to classify this")
    if choice.finish_reason == _CUT_SHORT:
        raise Rejected("the answer was cut off: it is longer than the model may write")
    arguments = [call.function.arguments for call in choice.message.tool_calls or []]
    texts = tuple(text for text in [*arguments, choice.message.content] if text)
    return Reply(texts, _tokens(completion.usage))


def read_classifications(reply: Reply, ids: Sequence[str]) -> list[Answer | None]:
    """The answer about each id; None for an id without a sensible answer. Ids that nobody asked for are passed over.

    Raises: NotAsked if the reply is no such document; Rejected if nothing in it can be used.
    """
    parts = _parts(reply)
    answers = [_answer([part for part in parts if _id(part) == name]) for name in ids]
    if not any(answers):
        raise Rejected("the answer holds no classification that fits the schema")
    return answers


def _parts(reply: Reply) -> list[msgspec.Raw]:
    for text in reply.texts:
        for candidate in _candidates(text):
            try:
                return msgspec.json.decode(candidate, type=_Document).classifications
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
                continue
    raise NotAsked("the answer is not JSON of the form that was asked for")


def _candidates(text: str) -> Iterator[str]:
    """The text itself, the code fenced in it, and the part between its outer braces."""
    yield text
    yield from (fence[1] for fence in _FENCED.finditer(text))
    first, last = text.find("{"), text.rfind("}")
    if 0 <= first < last:
        yield text[first : last + 1]


def _id(part: msgspec.Raw) -> str | None:
    try:
        return msgspec.json.decode(part, type=_Named).id
    except (msgspec.DecodeError, RecursionError):
        return None


def _answer(parts: list[msgspec.Raw]) -> Answer | None:
    """The answer about one id. Two parts for one id count as none: another case's text may have written one of them."""
    if len(parts) != 1:
        return None
    try:
        answer = msgspec.json.decode(parts[0], type=Answer)
    except (msgspec.DecodeError, RecursionError):
        return None
    lists_fit = len(answer.recommendations) <= 10 * MAX_RECOMMENDATIONS and len(answer.tags) <= 10 * MAX_TAGS
    return answer if lists_fit and answer.summary.strip() else None


def tokens_of_unusable(body: bytes) -> tuple[Tokens, int] | None:
    """The tokens of an answer that can't be used, and how many characters a model wrote; None if no model wrote it."""
    try:
        completion = msgspec.json.decode(body, type=_Billed)
    except (msgspec.DecodeError, RecursionError):
        return None
    tokens = _tokens(completion.usage)
    is_written = bool(completion.choices) or tokens != Tokens(None, None)
    return (tokens, sum(len(bytes(choice)) for choice in completion.choices)) if is_written else None


def _tokens(usage: msgspec.Raw) -> Tokens:
    """The counted tokens. An answer stays usable where the proxy's usage is odd."""
    try:
        counted = msgspec.json.decode(usage, type=_Usage | None)
    except (msgspec.DecodeError, RecursionError):
        counted = None
    return Tokens(counted.prompt_tokens, counted.completion_tokens) if counted else Tokens(None, None)
