"""How origins of imports are asked over HTTP: TLS and login as Prometheus' `http_config` has them, tries, and bounds.

Answers are bounded in size and time, redirects are not followed, and no message holds a password. A server that is busy
is asked again, later each time, and as it says itself (`Retry-After`).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import uniform
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from alert_history import __version__
from alert_history.errors import ConfigurationError, ImportFault, OriginUnavailable
from alert_history.origins.asking import reason_of
from alert_history.origins.imports.guard import guard_hooks
from alert_history.ports.past_origins import ImportRequest, Option
from alert_history.urls.masking import MASK

MAX_ANSWER_BYTES = 128 * 1024 * 1024
_TRIES = 6
_FIRST_TRIES = 2
"""Of a server that has not answered yet: a wrong address is told at once."""
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 60.0
_TIMEOUT = httpx.Timeout(120.0, connect=10.0)
_TRIED_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_NOT_THERE = frozenset({404, 405})
_WORDS_BYTES, _SECRET_CHARACTERS = 3000, 4

URL = Option("url", "Where it is, as in http://prometheus:9090.", kind="url", is_required=True)

HTTP_OPTIONS = (
    Option("header", "A header of each request, as in X-Scope-OrgID=team-a.", kind="pairs"),
    Option("user", "The user to log in as."),
    Option("password", "The password of the user.", kind="secret"),
    Option("token", "A bearer token.", kind="secret"),
    Option("ca-file", "The certificates to trust, PEM.", kind="path"),
    Option("cert-file", "The certificate to show, PEM.", kind="path"),
    Option("key-file", "The key of that certificate, PEM.", kind="path"),
    Option("insecure", "Do not check the server's certificate.", kind="flag"),
)
"""What every origin that is asked over HTTP takes beside `url`."""


class Server:
    """One server that is asked. Made by `open_server`."""

    def __init__(self, client: httpx.AsyncClient, *, url: str, secrets: Sequence[str] = ()) -> None:
        self._client = client
        self._secrets = secrets
        self._has_answered = False
        self.url = url
        """Where it is, without user and password, so it may be shown."""

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> bytes:
        """The body of an answer of status 200. Raises: OriginUnavailable, with the status and the server's words."""
        return await self._ask("GET", path, params=params)

    async def post(self, path: str, *, form: Mapping[str, Any] | None = None, json: Any = None) -> bytes:
        """As `get`, with a form or JSON; for questions that are too long for an address. Nothing is changed by it."""
        return await self._ask("POST", path, data=form, json=json)

    async def get_json(self, path: str, params: Mapping[str, Any] | None = None, *, type_: Any = Any) -> Any:
        """The answer read as a type of msgspec. Raises: OriginUnavailable, ImportFault where it is something else."""
        return self.read(await self.get(path, params), path, type_=type_)

    def read(self, body: bytes, path: str, *, type_: Any = Any) -> Any:
        """An answer as a type of msgspec. Raises: ImportFault."""
        try:
            return msgspec.json.decode(body, type=type_)
        except (ValueError, RecursionError) as error:
            raise ImportFault(f"{self.url}{path}: the answer is not what was expected: {error}") from None

    async def _ask(self, method: str, path: str, **content: Any) -> bytes:
        wait = _FIRST_WAIT_SECONDS
        for left in reversed(range(_TRIES)):
            try:
                return await self._once(method, path, **content)
            except _AskAgain as again:
                if left == 0 or (not self._has_answered and _TRIES - left >= _FIRST_TRIES):
                    raise OriginUnavailable(f"{self.url}{path}: {again}") from None
                await asyncio.sleep(min(again.after_seconds or uniform(wait / 2, wait), _LONGEST_WAIT_SECONDS))  # noqa: S311  # no secret
                wait *= 3
        raise AssertionError("the last try returned or raised")

    async def _once(self, method: str, path: str, **content: Any) -> bytes:
        """Raises: _AskAgain, OriginUnavailable."""
        try:
            async with self._client.stream(method, self.url + path, **content) as response:
                body = await self._body(response, path)
        except httpx.InvalidURL:
            raise OriginUnavailable(f"{self.url}{path}: its URL can't be used") from None
        except httpx.HTTPError as error:
            reason = reason_of(error)
            raise _AskAgain(f"{reason}: {error}" if isinstance(error, httpx.ConnectError) else reason) from None
        self._has_answered = True
        if response.status_code in _TRIED_AGAIN:
            raise _AskAgain(f"it answers {response.status_code}: {self._words(body)}", _asked_wait(response.headers))
        if response.is_redirect:
            raise OriginUnavailable(f"{self.url}{path}: it answers {response.status_code}, a redirect, not followed")
        if response.status_code in _NOT_THERE:
            raise NotThere(f"{self.url}{path}: it answers {response.status_code}: {self._words(body)}")
        if response.is_client_error:
            raise Refused(f"{self.url}{path}: it answers {response.status_code}: {self._words(body)}")
        if response.status_code != httpx.codes.OK:
            raise OriginUnavailable(f"{self.url}{path}: it answers {response.status_code}: {self._words(body)}")
        return body

    async def _body(self, response: httpx.Response, path: str) -> bytes:
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise OriginUnavailable(f"{self.url}{path}: it answers more than {MAX_ANSWER_BYTES} bytes")
        return bytes(body)

    def _words(self, body: bytes) -> str:
        """The beginning of what a server says, on one line. Some repeat a key that is wrong."""
        text = body[:_WORDS_BYTES].decode(errors="replace")
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return " ".join(text.split())[:300] or "nothing"


class Refused(OriginUnavailable):
    """The server answered that it won't answer this question: a status 4xx."""


class NotThere(Refused):
    """What was asked for is not there: the server answered 404, or 405 to a question that it does not know."""


class _AskAgain(Exception):
    """The same question may be answered later."""

    def __init__(self, reason: str, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.after_seconds = (
            float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else 0
        )


@asynccontextmanager
async def open_server(
    request: ImportRequest, *, option: str = "url", headers: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """The server that an option of the request names, asked with the options of `HTTP_OPTIONS` that were given.

    `headers` are those of the origin itself. Raises: ConfigurationError.
    """
    url, login = _url(request.text(option), option=option)
    async with httpx.AsyncClient(
        timeout=_TIMEOUT,
        follow_redirects=False,
        trust_env=False,
        event_hooks=guard_hooks(request),
        verify=_tls(request),
        auth=_login(request) or login,
        headers={
            "Accept": "application/json",
            "User-Agent": f"alert-history/{__version__}",
            **(headers or {}),
            **_bearer(request),
            **request.pairs("header"),
        },
    ) as client:
        yield Server(client, url=url, secrets=_secrets(request, headers or {}))


def _url(text: str, *, option: str) -> tuple[str, httpx.BasicAuth | None]:
    """The URL without a login and without a slash at its end, and the login."""
    fault = ConfigurationError([f"--{option}: no http or https URL, or it has a query"])
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise fault from None
    if host is None or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        raise fault
    place = f"[{host}]" if ":" in host else host
    place = place if port is None else f"{place}:{port}"
    shown = urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))
    url = httpx.URL(text.strip())
    return shown, httpx.BasicAuth(url.username, url.password) if url.username or url.password else None


def _login(request: ImportRequest) -> httpx.BasicAuth | None:
    return httpx.BasicAuth(request.text("user"), request.text("password")) if request.is_set("user") else None


def _bearer(request: ImportRequest) -> dict[str, str]:
    return {"Authorization": f"Bearer {request.text('token').strip()}"} if request.is_set("token") else {}


def _secrets(request: ImportRequest, headers: Mapping[str, str]) -> list[str]:
    """What no message may hold: long ones first, so that none leaves a rest of another."""
    values = [*headers.values(), *request.pairs("header").values(), request.text("token"), request.text("password")]
    words = {word for value in values for word in (value, *value.split()) if len(word) >= _SECRET_CHARACTERS}
    return sorted(words, key=len, reverse=True)


def _tls(request: ImportRequest) -> ssl.SSLContext:
    """Raises: ConfigurationError where a file can't be used."""
    try:
        context = httpx.create_ssl_context(verify=not request.is_set("insecure"))
        if request.is_set("ca-file"):
            context.load_verify_locations(request.text("ca-file"))
        if request.is_set("cert-file"):
            context.load_cert_chain(request.text("cert-file"), request.text("key-file") or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError([f"a certificate or key can't be used: {error}"]) from None
    return context


def _asked_wait(headers: httpx.Headers) -> str | None:
    """How many seconds a server asks to wait; Opsgenie names its own header for it."""
    wait: str | None = headers.get("retry-after") or headers.get("x-ratelimit-period-in-sec")
    return wait
