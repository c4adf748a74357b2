"""One OpenAI-compatible proxy: how it is reached, in which form it takes a question, and what its errors mean.

Knows nothing of alerts. The `openai` package is an extra and takes long to import, so it is imported in a thread when
first needed. Nothing that the proxy says gets into an error's text: it may repeat the question or the key.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from alert_history.config import Settings
from alert_history.enrichers.answer import NAME, SCHEMA, NotAsked, Reply, read_reply
from alert_history.errors import Rejected, Retryable
from alert_history.urls.secret import revealed

if TYPE_CHECKING:
    import httpx2
    import openai

T = TypeVar("T")

MAX_ANSWER_BYTES = 512 * 1024
MAX_ANSWER_TOKENS = 8_000

_CONNECT_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 24 * 3600.0
_IDLE_SECONDS = 30.0
_TRY_AGAIN = frozenset({408, 409, 425, 429})
_WRONG_FORM = frozenset({400, 404, 405, 415, 422, 501})
_WRONG_KEY = frozenset({401, 403})
_SERVER_ERROR = 500
_VERSION = re.compile(r"/v\d+(?:alpha|beta)?\d*(?=/|$)", re.ASCII)
_ENDPOINT = re.compile(r"/chat/completions/?$")
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_CODES = {
    "invalid_api_key": "the key is wrong",
    "insufficient_quota": "the account has no quota left",
    "model_not_found": "the model is not known there",
    "context_length_exceeded": "the question is longer than the model takes",
    "content_filter": "a content filter refuses it",
    "content_policy_violation": "a content filter refuses it",
}
"""What a proxy's codes mean. Other codes are left out of errors: they may hold anything."""
_FINAL_CODES = frozenset(_CODES) - {"insufficient_quota"}
_TOOL_CALL = {"type": "function", "function": {"name": NAME}}
_OF_THIS_MACHINE = "x-stainless-"
_RAW = "x-stainless-raw-response"  # the client reads it back from the request; it is harmless


class _Way(NamedTuple):
    """A form of asking: what is added to the request, and to the instruction."""

    options: Mapping[str, Any]
    words: str = ""


_FORMAT = {"type": "json_schema", "json_schema": {"name": NAME, "strict": True, "schema": SCHEMA}}
_TOOL = {"type": "function", "function": {"name": NAME, "description": "Hand in the result.", "parameters": SCHEMA}}
_WORDS = "\nAnswer with one JSON document and nothing else, by this schema:\n" + msgspec.json.encode(SCHEMA).decode()
_WAYS = (
    _Way({"response_format": _FORMAT, "max_completion_tokens": MAX_ANSWER_TOKENS}),
    _Way({"tools": [_TOOL], "tool_choice": _TOOL_CALL, "max_tokens": MAX_ANSWER_TOKENS}),
    _Way({"max_tokens": MAX_ANSWER_TOKENS}, _WORDS),
)
"""Structured output first; then, for older proxies, a call of a tool; then plain words."""


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class _WrongForm(Rejected):
    """The proxy refuses the request as such, perhaps for its form."""


def llm_available() -> str | None:
    """None if the `openai` package is there; else what is missing and how to get it. Imports nothing."""
    if find_spec("openai") is not None:
        return None
    return "the openai package is not installed: pip install 'openai>=3'"


def base_url(url: str) -> str:
    """The URL of the API: `/v1` is added unless the path names a version."""
    url = _ENDPOINT.sub("", url).rstrip("/")
    path = url.partition("://")[2].partition("/")[2]
    return url if _VERSION.search(f"/{path}") else f"{url}/v1"


class Proxy:
    """The proxy of LLM_PROXY_URL. Remembers which way of asking it understands. To be closed.

    `unusable` is called for each answer that is none to the question, with its body and the question.
    """

    def __init__(
        self,
        settings: Settings,
        http_client: "httpx2.AsyncClient | None" = None,
        *,
        unusable: Callable[[bytes, str], None] = lambda _body, _question: None,
    ) -> None:
        self._settings = settings
        self._unusable = unusable
        self._http_client = http_client
        self._client: openai.AsyncOpenAI | None = None
        self._connecting = asyncio.Lock()
        self._way: _Way | None = None

    async def ask(self, system: str, user: str, *, read: Callable[[Reply], T]) -> tuple[Reply, T]:
        """The answer, and what `read` makes of it; if that raises NotAsked, the next way is tried.

        At most three requests, and one as soon as a way has worked; no longer than LLM_TIMEOUT_SECONDS together.

        Raises: Retryable, Rejected.
        """
        async with self._in_time():
            if self._way is not None:
                return await self._ask_known(self._way, system, user, read)
            first: Rejected | None = None
            for way in _WAYS:
                try:
                    answer = await self._ask(way, system, user, read)
                except (_WrongForm, NotAsked) as error:
                    first = first or error
                else:
                    self._way = way
                    return answer
            raise Rejected(str(first))

    async def models(self) -> list[str] | None:
        """The names of the models that the proxy lists; None if it has no list. Raises: Retryable, Rejected."""
        async with self._in_time():
            client = await self._connected()
            try:
                with _as_ours():
                    answer = await client.models.with_raw_response.list(extra_headers=self._login())
            except _WrongForm:
                return None
        try:
            return [model.id for model in msgspec.json.decode(answer.content, type=_Models).data]
        except (msgspec.DecodeError, RecursionError):
            raise Rejected("the answer is no list of models") from None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _ask_known(self, way: _Way, system: str, user: str, read: Callable[[Reply], T]) -> tuple[Reply, T]:
        """Ask in the way that has worked. After a failure the next call tries all ways anew."""
        try:
            return await self._ask(way, system, user, read)
        except (_WrongForm, NotAsked) as error:
            self._way = None
            raise Rejected(str(error)) from None

    async def _ask(self, way: _Way, system: str, user: str, read: Callable[[Reply], T]) -> tuple[Reply, T]:
        client = await self._connected()
        messages: Any = [{"role": "system", "content": system + way.words}, {"role": "user", "content": user}]
        options: Any = dict(way.options)
        with _as_ours():
            answer = await client.chat.completions.with_raw_response.create(
                model=self._settings.llm_model, messages=messages, extra_headers=self._login(), **options
            )
        try:
            reply = read_reply(answer.content)
            return reply, read(reply)
        except Rejected:
            self._unusable(answer.content, system + way.words + user)
            raise

    def _login(self) -> Any:
        """The headers of the login. The client sends a key by itself; a missing key must be stated in each request."""
        import openai

        return {} if self._settings.llm_api_key else {"Authorization": openai.omit}

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Bound the whole exchange, however slowly it drips: the client's own timeouts begin anew with every byte."""
        seconds = self._settings.llm_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise Retryable(f"no answer within {seconds} s") from None

    async def _connected(self) -> "openai.AsyncOpenAI":
        async with self._connecting:
            if self._client is None:
                self._client = await asyncio.to_thread(_client, self._settings, self._http_client)
            return self._client


def _client(settings: Settings, http_client: "httpx2.AsyncClient | None") -> "openai.AsyncOpenAI":
    """A client that ignores `OPENAI_*` variables and hides what this machine is."""
    if (missing := llm_available()) is not None:
        raise Rejected(missing)
    import httpx2
    import openai

    for name in ("httpx2", "httpcore2", "openai"):
        logging.getLogger(name).setLevel(logging.WARNING)  # below that they log URLs and whole requests
    unsaid: Any = dict.fromkeys(("OpenAI-Organization", "OpenAI-Project"), openai.omit)
    try:
        return openai.AsyncOpenAI(
            api_key=revealed(settings.llm_api_key) or "",
            admin_api_key="",
            base_url=base_url(str(revealed(settings.llm_proxy_url))),
            max_retries=0,
            timeout=httpx2.Timeout(settings.llm_timeout_seconds, connect=_CONNECT_SECONDS),
            default_headers={"User-Agent": "alert-history", **unsaid},
            http_client=http_client or bounded_client(),
        )
    except (httpx2.InvalidURL, ValueError):  # whose text may hold the URL
        raise Rejected("the URL of the proxy, or one in HTTPS_PROXY and the like, can't be used") from None


def bounded_client() -> "httpx2.AsyncClient":
    """Reads no more than MAX_ANSWER_BYTES of an answer, follows no redirect; `HTTPS_PROXY` and `NO_PROXY` count."""
    import httpx2

    return httpx2.AsyncClient(
        limits=httpx2.Limits(keepalive_expiry=_IDLE_SECONDS),
        follow_redirects=False,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"request": [_strip], "response": [_bound]},
    )


async def _strip(request: "httpx2.Request") -> None:
    """Python's version, the operating system and the like are nobody's business."""
    for name in [name for name in request.headers if name.startswith(_OF_THIS_MACHINE) and name != _RAW]:
        del request.headers[name]


async def _bound(response: "httpx2.Response") -> None:
    import httpx2

    inner = response.stream
    response.headers.pop("content-encoding", None)  # none was asked for; a small answer must not become a large one

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for part in inner:  # type: ignore[union-attr]  # an asynchronous client's
                size += len(part)
                if size > MAX_ANSWER_BYTES:
                    raise Rejected(f"the answer is larger than {MAX_ANSWER_BYTES // 1024} KiB")
                yield part

        async def aclose(self) -> None:
            await inner.aclose()  # type: ignore[union-attr]

    response.stream = Bounded()


# --- What its errors mean ---------------------------------------------------------------------------------------------


@contextmanager
def _as_ours() -> Iterator[None]:
    import openai

    try:
        yield
    except openai.APITimeoutError:
        raise Retryable("no answer in time") from None
    except openai.APIConnectionError:
        raise Retryable("it can't be reached, or the connection broke") from None
    except openai.APIStatusError as error:
        raise refusal(error.status_code, error.response.headers, code=error.code, now=datetime.now(UTC)) from None
    except openai.OpenAIError:
        raise Rejected("the client refuses the request") from None


def refusal(status: int, headers: Mapping[str, str], *, code: object, now: datetime) -> Retryable | Rejected:
    """What an answer other than 2xx means. `now` counts where the answer has no `Date` of its own."""
    meaning = _CODES.get(code) if isinstance(code, str) else None
    reason = f"it answered {status}: {meaning}" if meaning else f"it answered {status}"
    if status in _TRY_AGAIN or (status >= _SERVER_ERROR and status not in _WRONG_FORM):
        return Retryable(reason, after_seconds=_wait_seconds(headers, now))
    if status in _WRONG_KEY:
        return Rejected(f"{reason}; LLM_API_KEY is missing, wrong, or may not use this model")
    if status in _WRONG_FORM and code not in _FINAL_CODES:
        return _WrongForm(reason)
    return Rejected(reason)


def _wait_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """`Retry-After`, in seconds or as a date, or OpenAI's in milliseconds."""
    wait = _date_wait(headers, now)
    for name, unit in (("retry-after", 1.0), ("retry-after-ms", 0.001)):
        if _SECONDS.fullmatch(text := headers.get(name, "").strip()):
            wait = float(text) * unit
    return None if wait is None else min(max(wait, 0.0), _LONGEST_WAIT_SECONDS)


def _date_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    until = _date(headers.get("retry-after", ""))
    return (until - (_date(headers.get("date", "")) or now)).total_seconds() if until else None


def _date(text: str) -> datetime | None:
    with suppress(ValueError, TypeError, OverflowError):
        date = parsedate_to_datetime(text)
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    return None
