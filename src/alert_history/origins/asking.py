"""One GET to a server that is asked: bounded in time and size, without redirects, and with no password in any message.

Holds what Alertmanager and Prometheus have in common as servers. Must not know what they say.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
import msgspec

from alert_history import __version__
from alert_history.domain.origin import Origin, Server
from alert_history.errors import OriginUnavailable
from alert_history.ports.clock import Clock

MAX_ANSWER_BYTES = 32 * 1024 * 1024
POLL_SECONDS = 10.0
"""How long a whole poll of one server may take."""

_CONNECT_SECONDS = 5.0
_LEAST_LEAD = timedelta(seconds=2)  # the Date header has whole seconds
_ERRORS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectTimeout, "no connection in time"),
    (httpx.TimeoutException, "no answer in time"),
    (httpx.ConnectError, "can't connect"),
    (httpx.RemoteProtocolError, "the answer broke off, or is no HTTP"),
    (httpx.HTTPError, "the connection broke"),
    (httpx.InvalidURL, "its URL can't be used"),
)

_Answers = TypeVar("_Answers")
_Poll = TypeVar("_Poll")


class Answer(msgspec.Struct, frozen=True):
    """What a server answered. `lead` is how far its clock is ahead of ours, 0 where that is unknown."""

    status: int
    body: bytes
    lead: timedelta

    @property
    def is_ok(self) -> bool:
        """Whether the status is 200."""
        return self.status == httpx.codes.OK

    def our_time(self, theirs: datetime) -> datetime:
        """The same moment by our clock."""
        return theirs - self.lead


def origin_client() -> httpx.AsyncClient:
    """A client to ask with. It uses no proxy of the environment. To be closed by the caller."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(POLL_SECONDS, connect=_CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
        verify=_tls(),
        headers={
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # so that no small answer can become a large one
            "User-Agent": f"alert-history/{__version__}",
        },
    )


def _tls() -> ssl.SSLContext:
    """Trusts what httpx trusts; SSL_CERT_FILE and SSL_CERT_DIR name others."""
    return httpx.create_ssl_context()


@asynccontextmanager
async def _deadline(server: Server, seconds: float) -> AsyncIterator[None]:
    """Bound the work inside to `seconds`. Raises: OriginUnavailable."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise OriginUnavailable(f"{server.url}: no answer within {seconds:g} s") from None


async def poll_servers(
    origin: Origin,
    client: httpx.AsyncClient,
    *,
    clock: Clock,
    seconds: float,
    ask: Callable[["Connection"], Awaitable[_Answers]],
    read: Callable[[_Answers, Server], _Poll],
) -> tuple[list[_Poll], dict[str, OriginUnavailable]]:
    """The polls of an origin's servers, asked at once, and why each other server, by URL, failed to answer in time.

    `ask` gets one server's answers, and `read` makes a poll of them, in a thread; both may raise OriginUnavailable.

    Raises: OriginUnavailable where no server answers whole and well, with the reason of each.
    """

    async def poll(server: Server) -> _Poll | OriginUnavailable:
        try:
            async with _deadline(server, seconds):
                return await asyncio.to_thread(read, await ask(Connection(server, client, clock=clock)), server)
        except OriginUnavailable as error:
            return error

    polls: list[_Poll] = []
    silent: dict[str, OriginUnavailable] = {}
    for server, answer in zip(origin.servers, await asyncio.gather(*map(poll, origin.servers)), strict=True):
        if isinstance(answer, OriginUnavailable):
            silent[server.url] = answer
        else:
            polls.append(answer)
    if not polls:
        raise OriginUnavailable("; ".join(map(str, silent.values())))
    return polls, silent


class Connection:
    """Asks one server."""

    def __init__(self, server: Server, client: httpx.AsyncClient, *, clock: Clock) -> None:
        self._server = server
        self._client = client
        self._clock = clock

    def now(self) -> datetime:
        """The time by our clock."""
        return self._clock()

    async def get(self, path: str) -> Answer:
        """The server's answer of status 200. Raises: OriginUnavailable."""
        answer = await self.get_if_there(path)
        if not answer.is_ok:
            raise self.fault(f"it answers {answer.status} to {_shown(path)}")
        return answer

    async def get_if_there(self, path: str) -> Answer:
        """The server's answer of status 200 or 4xx. Raises: OriginUnavailable on any other, and without an answer."""
        with self._failures():
            async with self._client.stream("GET", self._server.url + path, auth=self._auth()) as response:
                return await self._read(response, path)

    def fault(self, reason: str) -> OriginUnavailable:
        """The error for a reason, with the server's name before it."""
        return OriginUnavailable(f"{self._server.url}: {reason}")

    def _auth(self) -> httpx.BasicAuth | None:
        server = self._server
        return httpx.BasicAuth(server.user, server.password) if server.user or server.password else None

    async def _read(self, response: httpx.Response, path: str) -> Answer:
        status = response.status_code
        if response.is_redirect:
            raise self.fault(f"it answers {status}, a redirect, and those are not followed")
        if status != httpx.codes.OK and not response.is_client_error:
            raise self.fault(f"it answers {status} to {_shown(path)}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self.fault("it packs its answer, though it was asked not to")
        now = self._clock()
        return Answer(status, await self._body(response), _lead(response.headers.get("date"), now))

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise self.fault(f"it answers more than {MAX_ANSWER_BYTES} bytes")
        return bytes(body)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Give failures our own words: httpx's may repeat what the server sent."""
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self.fault(reason_of(error)) from None


def reason_of(error: httpx.HTTPError | httpx.InvalidURL) -> str:
    """Why a request came to nothing, in our own words."""
    return next(reason for kind, reason in _ERRORS if isinstance(error, kind))


def _shown(path: str) -> str:
    return path.partition("?")[0]


def _lead(date: str | None, now: datetime) -> timedelta:
    """How far the clock that wrote this Date header is ahead; 0 where it is absent, unreadable, or as good as ours."""
    try:
        lead = parsedate_to_datetime(date or "").astimezone(UTC) - now
    except (ValueError, OverflowError):
        return timedelta()
    return lead if abs(lead) > _LEAST_LEAD else timedelta()
