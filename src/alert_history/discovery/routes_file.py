"""The routes file: read at the start, and again whenever its content changes.

Contents are compared, as `stat` may stay the same: a mounted ConfigMap is swapped by a symbolic link, and some
programs keep a file's times.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from alert_history.discovery.directory import read_file
from alert_history.discovery.routes_document import MAX_BYTES, read_routes
from alert_history.domain.routes import Routes
from alert_history.errors import ConfigurationError
from alert_history.ports import Clock, RoutesState

POLL_SECONDS = 0.5

_log = structlog.get_logger()


class RoutesFile:
    """See `ports.RoutesSource`. Change and fault are noticed within two polls: a file half written is not taken up.

    Raises: ConfigurationError when the file can't be used at the start, with all its faults.
    """

    def __init__(self, path: Path, *, clock: Clock, poll_seconds: float = POLL_SECONDS) -> None:
        self._path = path
        self._clock = clock
        self._poll_seconds = poll_seconds
        try:
            self._seen = self._taken = read_content(path)
            routes = read_content_as_routes(self._taken)
        except ConfigurationError as error:
            raise ConfigurationError([f"ROUTES_FILE={str(path)!r} {fault}" for fault in error.faults]) from None
        self._state = RoutesState(str(path), routes, read_at=clock())

    def state(self) -> RoutesState:
        """See `ports.RoutesSource`."""
        return self._state

    async def watch(self, changed: Callable[[Routes], None]) -> None:
        """See `ports.RoutesSource`."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                content = await asyncio.to_thread(read_content, self._path)
            except ConfigurationError as error:
                self._seen = self._taken = b""
                self._fail(error.faults)
                continue
            is_settled, self._seen = content == self._seen, content
            if is_settled and content != self._taken:
                self._take(content, changed)

    def _take(self, content: bytes, changed: Callable[[Routes], None]) -> None:
        self._taken = content
        try:
            routes = read_content_as_routes(content)
        except ConfigurationError as error:
            self._fail(error.faults)
            return
        self._state = RoutesState(str(self._path), routes, read_at=self._clock())
        _log.info("routes_changed", path=str(self._path), routes=len(routes))
        changed(routes)

    def _fail(self, faults: list[str]) -> None:
        """Keep the routes in force, with the faults of the file beside them."""
        if self._state.faults != tuple(faults):
            _log.warning("routes_not_changed", path=str(self._path), faults=faults)
        state = self._state
        self._state = RoutesState(state.path, state.routes, read_at=state.read_at, faults=tuple(faults))


def read_content(path: Path) -> bytes:
    """The bytes of the file. Raises: ConfigurationError if the file can't be read."""
    try:
        content = read_file(path, MAX_BYTES)
    except OSError as error:
        raise ConfigurationError([f"can't be read: {error.strerror}"]) from None
    if len(content) > MAX_BYTES:
        raise ConfigurationError([f"has more than {MAX_BYTES} bytes"])
    return content


def read_content_as_routes(content: bytes) -> Routes:
    """See `read_routes`."""
    try:
        return read_routes(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigurationError(["is not UTF-8 text"]) from None
