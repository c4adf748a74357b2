"""`alert-history serve`: run the service until SIGTERM or SIGINT."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn
import uvloop

from alert_history.bootstrap import Service, make_routes
from alert_history.config import Settings, load_settings
from alert_history.telemetry import configure_logging
from alert_history.web.application import Application

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75  # over Go's 90 s would be safer still, but idle connections cost memory

_log = structlog.get_logger()


class _Server(uvicorn.Server):
    """A server that stops for a signal and then returns, so that the process can end with 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The original raises the signal again at the end, which kills the process with it."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        yield

    def _stop(self) -> None:
        self.should_exit = True

    def _interrupt(self) -> None:
        self.force_exit = self.should_exit  # whoever presses Ctrl-C again does not want to wait
        self.should_exit = True


def serve(settings: Settings, *, is_demo: bool) -> None:
    """Serve in this process, or in `WORKERS` of them. Returns after a graceful stop."""
    if settings.workers == 1:
        uvloop.run(_serve(settings, is_demo=is_demo))
        return
    make_routes(settings)  # a fault in it is told here and once, not by each worker over and over
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
    return Service(settings).application


async def _serve(settings: Settings, *, is_demo: bool) -> None:
    _configure_logging(settings)
    service = Service(settings)
    server = _Server(uvicorn.Config(service.application, **_options(settings)))
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
        "http": "httptools",
        "ws": "none",
        "lifespan": "on",
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": settings.shutdown_grace_seconds,
    }
