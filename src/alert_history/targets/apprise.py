"""Apprise: the hundred and more services of the `apprise` package (Telegram, Teams, Discord, e-mail, SMS, …).

Holds how apprise is kept in check: it is synchronous, so it runs in a thread with a deadline; it connects by itself, so
every connection of that thread is checked; it logs, so its log is kept from ours. Its URLs are secrets as a whole.
What people read is in `apprise_text`. For users: docs/reference/targets/apprise.md.
"""

import asyncio
import logging
import re
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from types import ModuleType
from typing import Any

import httpx
import msgspec

from alert_history.domain.addresses import why_forbidden
from alert_history.domain.target import Message, Sent, TargetSpec
from alert_history.errors import Rejected, Retryable
from alert_history.targets import answers
from alert_history.targets.apprise_text import Text, text_of
from alert_history.targets.guard import GuardedClient

PLAIN_WEBHOOKS = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
OF_THIS_MACHINE = frozenset({"dbus", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})

_BETWEEN_URLS = re.compile(r"[\s,]+(?=[a-z][a-z0-9+.-]{1,20}://)", re.IGNORECASE)
_STATUS = re.compile(r"error=(\d{3})\b")
_CONNECTING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_TALKATIVE = ("oauthlib", "requests_oauthlib", "urllib3")  # they log URLs when debugging
_TRY_AGAIN = frozenset({408, 425, 429})
_GONE = 410
_MOST_PER_MINUTE = 60.0
_PAUSES_SECONDS = 10.0  # what apprise may wait between the requests of one message, together
_WITHOUT_TIMEOUT_SECONDS = 10.0

_here = threading.local()


class _Outcome(msgspec.Struct, frozen=True):
    """How one service took a message. `status` is that of its answer, if the status is known."""

    service: str
    is_taken: bool
    status: int | None = None
    forbidden: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether another try can never succeed."""
        if self.status is None:
            return self.forbidden is not None
        return httpx.codes.MULTIPLE_CHOICES <= self.status < httpx.codes.INTERNAL_SERVER_ERROR and (
            self.status not in _TRY_AGAIN
        )

    @property
    def reason(self) -> str:
        """Why the message was not taken."""
        if self.forbidden:
            return f"{self.service} is at {self.forbidden}"
        return f"{self.service} answered {self.status}" if self.status else f"{self.service} did not take it"


class _Watch:
    """Watches one service in one thread: where it may connect to, and which answer its log shows."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self.status: int | None = None
        self.forbidden: str | None = None

    def connecting(self, address: Any) -> None:
        """Called before a connection. Raises PermissionError if the address is forbidden."""
        if reason := _why_forbidden(address, allow_private=self._allow_private):
            self.forbidden = reason
            raise PermissionError(reason)

    def logged(self, record: logging.LogRecord) -> None:
        """Take from a line of apprise's log the status that the service answered."""
        with suppress(TypeError, ValueError):
            if match := _STATUS.search(record.getMessage()):
                self.status = int(match[1])


def make(spec: TargetSpec, client: httpx.AsyncClient) -> "AppriseTarget":
    """A target of one or more apprise URLs. `client` gives the timeouts, and whether private addresses are allowed.

    Raises: ValueError when apprise is not installed, or `url` is missing or holds a URL that can't be used.
    """
    urls = [url for url in _BETWEEN_URLS.split(answers.required(spec, "url").strip(" \t\r\n,")) if url]
    allow_private = isinstance(client, GuardedClient) and client.allow_private
    services = [_service(url, number, allow_private=allow_private) for number, url in enumerate(urls, 1)]
    for service in services:
        _tame(service, client.timeout)
    return AppriseTarget(services, deadline_seconds=_deadline_seconds(client.timeout), allow_private=allow_private)


def prepare() -> None:
    """Load the package and all its services, which takes more than half a second. Raises as `make` does."""
    _library().Apprise.instantiate("json://localhost", suppress_exceptions=True)


class AppriseTarget:
    """Some of apprise's services, called one after the other. If one of them fails, all are called again."""

    speaks_of_groups = True
    takes_follow_ups = False  # to most services it would be one more message that wakes somebody

    def __init__(self, services: Sequence[Any], *, deadline_seconds: float, allow_private: bool) -> None:
        self._services = services
        self._deadline_seconds = deadline_seconds
        self._allow_private = allow_private
        self._is_free = asyncio.Semaphore(1)
        slowest = max((service.request_rate_per_sec for service in services), default=0.0)
        self.default_rate_per_minute = min(60 / slowest, _MOST_PER_MINUTE) if slowest else _MOST_PER_MINUTE

    async def send(self, message: Message) -> Sent:
        text = text_of(message.alerts)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._is_free.acquire()  # until the thread ends, even where nobody waits for it any more
                outcomes = await _in_thread(lambda: self._notify(text), self._is_free.release)
        except TimeoutError:
            raise Retryable("no answer in time") from None
        _raise_failures(outcomes)
        return Sent()

    def url_shown(self) -> str:
        return f"apprise: {', '.join(dict.fromkeys(str(service.service_name) for service in self._services))}"

    def _notify(self, text: Text) -> list[_Outcome]:
        return [_outcome(service, text, _Watch(allow_private=self._allow_private)) for service in self._services]


def _raise_failures(outcomes: Sequence[_Outcome]) -> None:
    failures = [outcome for outcome in outcomes if not outcome.is_taken]
    if not failures:
        return
    reason = "; ".join(failure.reason for failure in failures)
    if len(outcomes) > 1:
        reason = f"{len(failures)} of {len(outcomes)} services failed: {reason}"
    if not all(failure.is_final for failure in failures):
        raise Retryable(reason)
    raise Rejected(reason, is_gone=all(outcome.status == _GONE for outcome in outcomes))


# --- In the thread ----------------------------------------------------------------------------------------------------


async def _in_thread(work: Callable[[], list[_Outcome]], when_ended: Callable[[], None]) -> list[_Outcome]:
    """What `work` gives, from a thread that holds up neither the loop nor the end of the process."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[_Outcome]] = loop.create_future()

    def settle(result: list[_Outcome]) -> None:
        when_ended()
        if not answer.done():
            answer.set_result(result)

    def run() -> None:
        result = work()
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, result)

    try:
        threading.Thread(target=run, name="apprise", daemon=True).start()
    except RuntimeError:
        when_ended()
        raise Retryable("no thread is free") from None
    return await answer


def _outcome(service: Any, text: Text, watch: _Watch) -> _Outcome:
    _here.watch = watch
    try:
        is_taken = bool(
            service.notify(
                title=text.title,
                body=text.body,
                notify_type=text.kind,
                body_format="text",
                overflow="truncate" if service.overflow_mode == "upstream" else None,
            )
        )
    except Exception:  # noqa: BLE001  # a hundred plug-ins may raise anything, and the text may hold the URL
        is_taken = False
    finally:
        _here.watch = None
    return _Outcome(str(service.service_name), is_taken, watch.status, watch.forbidden)


def _why_forbidden(address: Any, *, allow_private: bool) -> str | None:
    """Why a socket must not connect to that address; None if it may, or if it is connected already."""
    if address is None:
        return None
    if not isinstance(address, tuple):
        return "a socket file, which is no target"
    try:
        ip = ip_address(str(address[0]))
    except ValueError:
        return "a name that was not looked up"
    reason = why_forbidden(ip, allow_private=allow_private)
    return f"{ip}, {reason}" if reason else None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Python calls this before anything connects, in any thread of the process."""
    if event in _CONNECTING and (watch := getattr(_here, "watch", None)):
        watch.connecting(arguments[1])


class _Listener(logging.Handler):
    """The only handler of apprise's log."""

    def emit(self, record: logging.LogRecord) -> None:
        if watch := getattr(_here, "watch", None):
            watch.logged(record)


# --- What apprise makes of a URL --------------------------------------------------------------------------------------


@cache
def _library() -> ModuleType:
    """The package, made silent and watched. Raises ValueError when it is not installed."""
    log = logging.getLogger("apprise")
    log.handlers, log.propagate = [_Listener()], False
    log.setLevel(logging.WARNING)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        import apprise
    except ImportError:
        raise ValueError("format apprise needs more: pip install 'apprise>=2.3'") from None
    sys.addaudithook(_audit)
    return apprise


def _service(url: str, number: int, *, allow_private: bool) -> Any:
    """Apprise's own object for the URL. Raises ValueError that names the URL's number alone, as a URL is secret."""
    apprise = _library()
    scheme = url.partition("://")[0].lower()
    if scheme in OF_THIS_MACHINE:
        raise ValueError(f"key url: URL {number} begins with {scheme}://, which would tell this machine alone")
    if scheme in PLAIN_WEBHOOKS and not allow_private:
        raise ValueError(
            f"key url: URL {number} begins with {scheme}://, which needs ALLOW_PRIVATE_TARGETS; "
            "the format webhook is made for it"
        )
    asset = apprise.AppriseAsset(
        app_id="Alert History",
        app_desc="Alert History",
        storage_mode="memory",
        http_redirects=False,
        allow_templates=False,
    )
    service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        raise ValueError(f"key url: URL {number} is none that apprise understands")
    if any(isinstance(value, apprise.AppriseAttachment) and len(value) for value in vars(service).values()):
        raise ValueError(f"key url: URL {number} names a file to read, which is not allowed")
    return service


def _tame(service: Any, timeout: httpx.Timeout) -> None:
    """Let the service follow no redirect, whatever its URL says, and wait no longer than other targets may."""
    service.redirects = False
    service.socket_connect_timeout = timeout.connect or _WITHOUT_TIMEOUT_SECONDS
    service.socket_read_timeout = timeout.read or _WITHOUT_TIMEOUT_SECONDS
    service.request_rate_per_sec = min(service.request_rate_per_sec, _PAUSES_SECONDS / max(len(service), 1))


def _deadline_seconds(timeout: httpx.Timeout) -> float:
    parts = [timeout.pool, timeout.connect, timeout.write, timeout.read]
    return sum(_WITHOUT_TIMEOUT_SECONDS if part is None else part for part in parts)
