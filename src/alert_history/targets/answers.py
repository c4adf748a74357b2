"""One HTTP exchange with a target, and what its answer means: taken, to be tried again, or refused for good.

Holds what all targets over HTTP have in common: the address among their keys, the exchange itself, the reading of
`Retry-After`, and texts that hold no secret. Must not know any vendor. Source of the meanings: RFC 9110.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote

import httpx
import msgspec

from alert_history.domain.target import TargetSpec
from alert_history.errors import Rejected, Retryable

MAX_ANSWER_BYTES = 512 * 1024  # some repeat the whole message in their answer
MAX_EXCERPT_CHARACTERS = 200
LONGEST_WAIT_SECONDS = 24 * 3600.0

_WITHOUT_TIMEOUTS_SECONDS = 60.0
_TRY_AGAIN = frozenset({408, 425, 429})
_GONE = 410
_LIMITED = 429
_FIRST_EPOCH_SECONDS = 1_000_000_000  # a reset this large is a time, a smaller one a wait
_SECONDS = re.compile(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)
_TAG = re.compile(r"<[^<>]{0,500}>")
_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_SHORTEST_SECRET = 4
_CAUSES = ((ssl.SSLError, "TLS could not be agreed on"), (socket.gaierror, "its name can't be resolved"))
_ERRORS = (
    (httpx.ConnectTimeout, "no connection in time"),
    (httpx.PoolTimeout, "no free connection in time"),
    (httpx.TimeoutException, "no answer in time"),
    (TimeoutError, "no answer in time"),
    (httpx.ConnectError, "can't connect"),
)
_TOKEN_CHARACTERS = 12  # a part of a path this long is no word but a token


class Answer(msgspec.Struct, frozen=True):
    """A 2xx answer. `body` is its beginning, at most MAX_ANSWER_BYTES."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, undecodable bytes replaced."""
        return self.body.decode(errors="replace")


def utc_now() -> datetime:
    """Now, aware UTC: the clock of a target that is given no other."""
    return datetime.now(UTC)


async def post(
    client: httpx.AsyncClient,
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    secrets: Collection[str] = (),
    method: str = "POST",
    says_gone: Callable[[Answer], bool] = lambda _: False,
) -> Answer:
    """Send `body` (JSON unless `headers` say otherwise); the answer if the target took it.

    One attempt, no longer than the client's timeouts together, however slowly the answer drips. Errors' texts hold
    neither the URL's own secrets nor any of `secrets`, even where the answer repeats one. `says_gone` knows the
    vendor's own words, besides 410, for wanting no message any more.

    Raises:
        Retryable: the target was not reached, did not answer in time, or asks to be tried again.
        Rejected: the target refuses the message.
    """
    sent = {"content-type": "application/json", "accept-encoding": "identity"} | _lower(headers or {})
    try:
        async with asyncio.timeout(_longest_seconds(client.timeout)):
            answer = await _exchange(client, client.build_request(method, url, content=body, headers=sent))
    except (httpx.HTTPError, TimeoutError) as error:
        raise Retryable(_why_unreached(error)) from None
    if not httpx.codes.is_success(answer.status):
        refused = refusal(answer, now=utc_now(), secrets=[*secrets, *_secrets_of(url)])
        if isinstance(refused, Rejected) and says_gone(answer):
            raise Rejected(str(refused), is_gone=True)
        raise refused
    return answer


def refusal(answer: Answer, *, now: datetime, secrets: Collection[str] = ()) -> Retryable | Rejected:
    """What an answer other than 2xx means. `now` counts where the answer has no `Date` of its own."""
    excerpt = _excerpt(answer.text, secrets)
    reason = f"answered {answer.status}: {excerpt}" if excerpt else f"answered {answer.status}"
    if answer.status in _TRY_AGAIN or answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Retryable(reason, after_seconds=_wait_seconds(answer, now))
    if answer.status < httpx.codes.BAD_REQUEST:
        return Rejected(f"answered {answer.status}: redirects are not followed")
    return Rejected(reason, is_gone=answer.status == _GONE)


def required(spec: TargetSpec, *keys: str) -> str:
    """The first of the keys that is given. Raises ValueError naming them when none is."""
    for key in keys:
        if spec.fields.get(key):
            return spec.fields[key]
    raise ValueError(f"key {' or '.join(keys)} is missing")


def url_of(spec: TargetSpec, key: str, *, default: str | None = None) -> str:
    """The http(s) URL under the key. Raises ValueError naming the key when there is none or it is no such URL."""
    text = spec.fields.get(key) or default or required(spec, key)
    try:
        url = httpx.URL(text)
        is_sound = url.scheme in {"http", "https"} and bool(url.host) and not re.search(r"[\s\x00-\x1f\x7f]", text)
    except (httpx.InvalidURL, ValueError):
        is_sound = False
    if not is_sound:
        raise ValueError(f"key {key} is no http:// or https:// URL")
    return text


def url_shown(url: str) -> str:
    """The URL with secrets masked: its scheme, host and port, `/…` for the rest."""
    parsed = httpx.URL(url)
    origin = f"{parsed.scheme}://{parsed.netloc.decode()}"
    return origin if parsed.raw_path in {b"", b"/"} else f"{origin}/…"


def not_its_own(answer: Answer, vendor: str, *, secrets: Collection[str] = ()) -> Retryable:
    """For a 2xx from something between the vendor and us: whether the message was taken is unknown."""
    excerpt = _excerpt(answer.text, secrets)
    return Retryable(f"answered {answer.status}, but not as {vendor} does: {excerpt or 'nothing said'}")


async def _exchange(client: httpx.AsyncClient, request: httpx.Request) -> Answer:
    response = await client.send(request, stream=True)
    try:
        body = b""
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) >= MAX_ANSWER_BYTES:
                break
    finally:
        await response.aclose()
    return Answer(response.status_code, _lower(response.headers), body[:MAX_ANSWER_BYTES])


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _longest_seconds(timeout: httpx.Timeout) -> float:
    parts = [timeout.pool, timeout.connect, timeout.write, timeout.read]
    return sum(part for part in parts if part is not None) or _WITHOUT_TIMEOUTS_SECONDS


# --- Why a target was not reached -------------------------------------------------------------------------------------


def _why_unreached(error: Exception) -> str:
    """Why a target was not reached, in our own words: a library's words may hold the URL."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if words := _words(cause, _CAUSES):
            return words
    return _words(error, _ERRORS) or "the connection broke before it answered"


def _words(error: BaseException, table: Sequence[tuple[type[BaseException], str]]) -> str:
    return next((words for kind, words in table if isinstance(error, kind)), "")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


# --- When to try again ------------------------------------------------------------------------------------------------


def _wait_seconds(answer: Answer, now: datetime) -> float | None:
    """`Retry-After`, in seconds or as a date; on a 429 also the reset of the common rate-limit headers."""
    names = ["retry-after"]
    if answer.status == _LIMITED:
        names += ["ratelimit-reset", "x-ratelimit-reset"]
    sent_at = _date(answer.headers.get("date", "")) or now
    waits = (_wait(answer.headers.get(name, "").strip(), sent_at) for name in names)
    wait = next((wait for wait in waits if wait is not None), None)
    return None if wait is None else min(max(wait, 0.0), LONGEST_WAIT_SECONDS)


def _wait(text: str, sent_at: datetime) -> float | None:
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return seconds - sent_at.timestamp() if seconds >= _FIRST_EPOCH_SECONDS else seconds
    until = _date(text)
    return (until - sent_at).total_seconds() if until else None


def _date(text: str) -> datetime | None:
    with suppress(ValueError, TypeError, OverflowError):
        date = parsedate_to_datetime(text)
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    return None


# --- An answer in brief -----------------------------------------------------------------------------------------------


def _excerpt(text: str, secrets: Collection[str]) -> str:
    """The beginning of an answer's text, on one line, without markup and secrets."""
    without = _redactor(secrets)
    line = " ".join(_UNSHOWABLE.sub(" ", _TAG.sub(" ", without(text))).split())
    shown = without(line)
    return shown if len(shown) <= MAX_EXCERPT_CHARACTERS else f"{shown[: MAX_EXCERPT_CHARACTERS - 1]}…"


def _redactor(secrets: Collection[str]) -> Callable[[str], str]:
    known = sorted({text for text in secrets if len(text) >= _SHORTEST_SECRET}, key=len, reverse=True)
    if not known:
        return str
    pattern = re.compile("|".join(map(re.escape, known)))
    return lambda text: pattern.sub("***", text)


def _secrets_of(url: str) -> list[str]:
    """The parts of a URL that may be secret: the whole, its login, its query, and long parts of its path."""
    parsed = httpx.URL(url)
    parts = [part for part in parsed.path.split("/") if len(part) >= _TOKEN_CHARACTERS]
    query = parsed.query.decode(errors="replace")
    values = [value for _, value in parse_qsl(query)]
    path = parsed.raw_path.decode(errors="replace")
    return [url, path, unquote(path), query, *values, *parts, parsed.username, parsed.password]
