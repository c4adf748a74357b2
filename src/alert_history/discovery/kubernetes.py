"""Targets from Secrets: those of one namespace that carry the label, listed and then watched.

Every break, whatever its cause, ends in a new list, so that no change in between is missed. Until then, and while
the API server is away, the targets last known stay.
"""

import asyncio
import os
import random
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import httpx
import msgspec
import structlog

from alert_history.discovery.cluster import SERVICE_ACCOUNT, Cluster, NoCluster, find_cluster
from alert_history.discovery.specs import SELECTOR, read_spec, with_faults
from alert_history.domain.target import TargetSpec
from alert_history.errors import AlertHistoryError
from alert_history.ports import Clock, DiscoveryState, TargetsFound

_PAGE = 500
_WATCH_SECONDS = (45, 75)  # then the server ends the watch; the next goes on from the same version, with a fresh token
_READ_GRACE_SECONDS = 10.0
_LIST_SECONDS = 10.0
_CONNECT_SECONDS = 5.0
_MAX_EVENT_BYTES = 16 * 1024 * 1024  # a Secret holds 1 MiB at most, in base64, with its history in annotations
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 8.0
_REFRESH_SECONDS = 10.0
_SHOWN_CHARACTERS = 200

_log = structlog.get_logger()

T = TypeVar("T")


class Expired(AlertHistoryError):
    """The API server has forgotten the version that we were at (410)."""


class NoAnswer(AlertHistoryError):
    """The API server gave another answer than was asked for, or none. `is_reached`: it answered at all."""

    def __init__(self, reason: str, *, is_reached: bool = True) -> None:
        super().__init__(reason)
        self.is_reached = is_reached


class Metadata(msgspec.Struct, frozen=True):
    """What is read of an object's metadata."""

    name: str = ""
    resource_version: Annotated[str, msgspec.Meta(max_length=256)] = msgspec.field(default="", name="resourceVersion")
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Secret(msgspec.Struct, frozen=True):
    """A Secret. Its values are base64."""

    metadata: Metadata
    data: dict[str, str] | None = None


class ListMetadata(msgspec.Struct, frozen=True):
    """Where a list stands; `more` is set while it has further pages."""

    resource_version: str = msgspec.field(default="", name="resourceVersion")
    more: str = msgspec.field(default="", name="continue")


class SecretList(msgspec.Struct, frozen=True):
    """A page of a list."""

    metadata: ListMetadata
    items: list[Secret]


class Change(msgspec.Struct, frozen=True):
    """One line of a watch."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: msgspec.Raw


class Status(msgspec.Struct, frozen=True):
    """What is read of an error."""

    code: int = 0


class KubernetesDiscovery:
    """See `ports.Discovery`. Without a cluster, discovery is unavailable and looks for a cluster now and then."""

    def __init__(
        self,
        namespace: str | None,
        *,
        clock: Clock,
        kubeconfig: Path | None = None,
        environ: Mapping[str, str] = os.environ,
        service_account: Path = SERVICE_ACCOUNT,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._namespace = namespace
        self._clock = clock
        self._kubeconfig = kubeconfig
        self._environ = environ
        self._service_account = service_account
        self._chance = chance
        self._known: dict[str, TargetSpec] = {}
        self._last_report: tuple[TargetSpec, ...] | None = None
        self._failures = 0
        self._is_watching = False
        self._wake = asyncio.Event()
        self._looked = asyncio.Event()
        self._turn = 0  # of looking: each refresh begins another
        self._looked_in_turn = 0
        self._state = DiscoveryState("kubernetes", is_available=False, refreshed_at=None)

    async def watch(self, listener: TargetsFound) -> None:
        """See `ports.Discovery`. `listener` is first called after the first list; until then nothing is known."""
        self._last_report = None
        self._is_watching = True
        try:
            while True:
                self._wake.clear()
                self._turn += 1
                await _first_of(self._go_on(listener), self._wake.wait())
        finally:
            self._is_watching = False

    async def refresh(self) -> None:
        """See `ports.Discovery`. Returns when the new list is there, or when the list has failed.

        The running `watch` does the look; without one, nothing happens.
        """
        if not self._is_watching:
            return
        turn = self._turn + 1  # the look under way may have listed before this was asked
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_REFRESH_SECONDS):
                while self._looked_in_turn < turn:
                    self._looked.clear()
                    await self._looked.wait()

    def state(self) -> DiscoveryState:
        """See `ports.Discovery`."""
        return self._state

    async def _go_on(self, listener: TargetsFound) -> None:
        while True:
            try:
                await self._follow(listener)
            except Expired:
                _log.info("watch_expired", kind="kubernetes")
            except NoCluster as error:
                self._fail(str(error), is_available=False)
            except NoAnswer as error:
                self._fail(str(error), is_available=error.is_reached)
            self._have_looked()
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        """Full jitter, so that the replicas don't all come back at once."""
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * float(1 << min(self._failures, 16)))
        self._failures += 1
        return (0.1 + 0.9 * self._chance()) * longest

    async def _follow(self, listener: TargetsFound) -> None:
        """List, then watch for as long as nothing breaks."""
        # Anew each time: certificates are rotated too.
        cluster = find_cluster(self._kubeconfig, self._environ, service_account=self._service_account)
        secrets = Secrets(cluster, self._namespace or cluster.namespace)
        try:
            self._known, version = await secrets.read_all()
            self._report(listener)
            while True:
                version = await self._watch_once(secrets, version, listener)
                self._failures = 0  # the server ended it, as it does
                await asyncio.sleep(_FIRST_PAUSE_SECONDS)
        finally:
            await secrets.close()

    async def _watch_once(self, secrets: "Secrets", version: str, listener: TargetsFound) -> str:
        """Take in changes until the server ends the watch; returns the version reached."""
        async with secrets.watch(version, seconds=self._watch_seconds()) as changes:
            self._work()
            async for change in changes:
                version = self._take(change) or version
                self._failures = 0
                self._work()
                self._report(listener)
        return version

    def _watch_seconds(self) -> int:
        low, high = _WATCH_SECONDS
        return low + int(self._chance() * (high - low))

    def _take(self, change: Change) -> str:
        """Take in a change; returns the version reached."""
        if change.type == "BOOKMARK":
            return _decode(change.object, Secret).metadata.resource_version
        secret = _decode(change.object, Secret)
        spec = None if change.type == "DELETED" else to_spec(secret)
        if spec is None:
            self._known.pop(secret.metadata.name, None)
        else:
            self._known[spec.name] = spec
        return secret.metadata.resource_version

    def _report(self, listener: TargetsFound) -> None:
        targets = tuple(self._known[name] for name in sorted(self._known))
        if targets == self._last_report:
            return
        self._last_report = targets
        listener(targets)

    def _work(self) -> None:
        """State that discovery works: called once a watch stands, as a list alone is a fault still."""
        self._state = DiscoveryState("kubernetes", is_available=True, refreshed_at=self._clock())
        self._have_looked()

    def _have_looked(self) -> None:
        self._looked_in_turn = self._turn
        self._looked.set()

    def _fail(self, fault: str, *, is_available: bool) -> None:
        if fault != self._state.fault:
            _log.warning("discovery_failed", kind="kubernetes", reason=fault)
        at = self._state.refreshed_at
        self._state = DiscoveryState("kubernetes", is_available=is_available, refreshed_at=at, fault=fault)


class Secrets:
    """The labelled Secrets of a namespace, as the API server hands them out."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._client = cluster.client()
        self._extensions = cluster.extensions
        self._namespace = namespace

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def read_all(self) -> tuple[dict[str, TargetSpec], str]:
        """All targets by name, and the version to watch from. Raises: NoAnswer, NoCluster, Expired."""
        specs: dict[str, TargetSpec] = {}
        more = ""
        while True:
            page = await self._page(more)
            specs |= {spec.name: spec for item in page.items if (spec := to_spec(item)) is not None}
            more = page.metadata.more
            if not more:
                return specs, page.metadata.resource_version

    @asynccontextmanager
    async def watch(self, version: str, *, seconds: int) -> AsyncIterator[AsyncIterator[Change]]:
        """Entered when the server has agreed: changes since `version`, as they happen, until the server ends the watch.

        Raises: as `read_all`.
        """
        parameters = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        response = await self._answer("watch", parameters, read_seconds=seconds + _READ_GRACE_SECONDS)
        try:
            yield _changes(response)
        except httpx.RequestError as error:
            raise NoAnswer(f"the watch broke off: {_words(error)}", is_reached=False) from error
        finally:
            await response.aclose()

    async def _page(self, more: str) -> SecretList:
        parameters = {"limit": str(_PAGE), **({"continue": more} if more else {})}
        response = await self._answer("list", parameters, read_seconds=_LIST_SECONDS)
        try:
            return _decode(await response.aread(), SecretList)
        except httpx.RequestError as error:
            raise NoAnswer(f"the list broke off: {_words(error)}", is_reached=False) from error
        finally:
            await response.aclose()

    async def _answer(self, verb: str, parameters: Mapping[str, str], *, read_seconds: float) -> httpx.Response:
        request = self._client.build_request(
            "GET",
            f"/api/v1/namespaces/{self._namespace}/secrets",
            params={"labelSelector": SELECTOR, **parameters},
            headers={"Accept": "application/json"},
            timeout=httpx.Timeout(_CONNECT_SECONDS, read=read_seconds),
            extensions=self._extensions,
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.RequestError as error:
            raise NoAnswer(f"the API server can't be reached: {_words(error)}", is_reached=False) from error
        if response.status_code != httpx.codes.OK:
            await response.aclose()
            raise self._refusal(verb, response.status_code)
        return response

    def _refusal(self, verb: str, code: int) -> AlertHistoryError:
        match code:
            case 410:
                return Expired("the version is too old")
            case 401:
                return NoAnswer("the API server does not accept our token (401)")
            case 403:
                return NoAnswer(
                    f"no permission to {verb} secrets in namespace {self._namespace} (403): "
                    f"a Role must allow get, list and watch on secrets there"
                )
            case _:
                return NoAnswer(f"the API server answered {code} when asked to {verb} secrets")


def to_spec(secret: Secret) -> TargetSpec | None:
    """The target that a Secret describes; None if the Secret describes none."""
    fields: dict[str, bytes] = {}
    faults: list[str] = []
    for key, value in (secret.data or {}).items():
        try:
            fields[key] = b64decode(value, validate=True)
        except NotBase64:
            faults.append(f"key {key} is not base64")
    metadata = secret.metadata
    spec = read_spec(metadata.name, labels=metadata.labels or {}, annotations=metadata.annotations or {}, fields=fields)
    return spec if spec is None else with_faults(spec, faults)


async def _changes(response: httpx.Response) -> AsyncIterator[Change]:
    async for line in _lines(response):
        yield _checked(_decode(line, Change))


def _checked(change: Change) -> Change:
    """The change itself. Raises: Expired, NoAnswer where the change says that the watch is over."""
    if change.type != "ERROR":
        return change
    code = _decode(change.object, Status).code
    if code == httpx.codes.GONE:
        raise Expired("the version is too old")
    raise NoAnswer(f"the API server ended the watch with {code}")


def _decode(content: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Raises: NoAnswer, with none of the content in its text: the content may be secret."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NoAnswer("the API server sent what is no answer of Kubernetes") from None


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """The response's lines. They end at line feeds only, unlike httpx's: an annotation may hold other separators."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
        if len(rest) > _MAX_EVENT_BYTES:
            raise NoAnswer("the API server sent an event that is too large")


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:_SHOWN_CHARACTERS] or type(error).__name__


async def _first_of(*coroutines: Any) -> None:
    """Run coroutines side by side until one ends; the others are cancelled. Raises what that coroutine raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
