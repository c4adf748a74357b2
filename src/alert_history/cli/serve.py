"""`alert-history serve`: run the service until SIGTERM or SIGINT."""

import asyncio
import errno
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn
import uvloop

from alert_history.bootstrap import make_application, make_routes, make_service
from alert_history.config import Settings, load_settings
from alert_history.errors import ConfigurationError
from alert_history.telemetry.logs import configure_logging
from alert_history.web.application import Application
from alert_history.web.http.connection import Connection

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75  # over Go's 90 s would be safer still, but idle connections cost memory

_NOT_TO_HAVE = {errno.EADDRINUSE, errno.EACCES}

_log = structlog.get_logger()


class _Server(uvicorn.Server):
    """A server that stops for a signal and then returns, so that the process can end with 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The original raises the signal again at the end, which kills the process with it."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup's
            loop.add_signal_handler(signal.SIGHUP, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True

    def _interrupt(self) -> None:
        self.force_exit = self.should_exit  # a second Ctrl-C asks for an end at once
        self.should_exit = True


def serve(settings: Settings, *, is_demo: bool) -> None:
    """Serve in this process, or in `WORKERS` of them. Returns after a graceful stop.

    Raises: ConfigurationError or OSError where the address can't be used.
    """
    _try_address(settings)
    if settings.workers == 1:
        uvloop.run(_serve(settings, is_demo=is_demo))
        return
    make_routes(settings)  # here a fault of the file is reported once, instead of by each worker again and again
    with tempfile.TemporaryDirectory(prefix="alert-history-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        os.environ["WORKERS"] = str(settings.workers)
        uvicorn.run(
            "alert_history.cli.serve:worker",
            factory=True,
            workers=settings.workers,
            **_options(settings),
        )


def worker() -> Application:
    """The application of one of several workers, from the environment they share."""
    settings = load_settings(os.environ)
    _configure_logging(settings)
    return make_application(make_service(settings))


def _try_address(settings: Settings) -> None:
    """Report a wrong address in a line; uvicorn would log it between others, and end the process by itself."""
    host, port = settings.host, settings.port
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigurationError([f"HOST={host!r} is no address or host name of this machine"]) from None
    faults = [fault for address in addresses if (fault := _fault_of(address)) is not None]
    for fault in faults:
        if fault.errno in _NOT_TO_HAVE:
            raise OSError(fault.errno, os.strerror(fault.errno), f"{host}:{port}")
    if len(faults) == len(addresses):
        raise ConfigurationError([f"HOST={host!r} is no address of this machine: {faults[0].strerror}"])


def _fault_of(address: tuple[Any, ...]) -> OSError | None:
    family, kind, protocol, _, place = address
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        return error
    return None


async def _serve(settings: Settings, *, is_demo: bool) -> None:
    _configure_logging(settings)
    service = make_service(settings)
    server = _Server(uvicorn.Config(make_application(service), **_options(settings)))
    replaying = asyncio.create_task(service.replay_demo()) if is_demo else None
    await server.serve()
    if replaying is not None and not replaying.done():
        replaying.cancel()
    if replaying is not None:
        await asyncio.gather(replaying, return_exceptions=True)


def _configure_logging(settings: Settings) -> None:
    configure_logging(level=settings.log_level, is_json=settings.log_format == "json")


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        "backlog": _BACKLOG,
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "loop": "uvloop",
        "http": Connection,
        "ws": "none",
        "lifespan": "on",
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": settings.shutdown_grace_seconds,
    }
