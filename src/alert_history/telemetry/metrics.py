"""The registry of a process and its text. An alert's own labels never become metric labels."""

import os
import platform
from collections.abc import Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics

from alert_history import __version__

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""In seconds, for what a sender waits for."""

_MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def process_registry() -> CollectorRegistry:
    """A registry that shows the process itself and its version."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)  # of one process: with several workers it is left out
    build = gauge("build_info", "1, labelled with the version.", registry, ["version", "python"], of_workers="max")
    build.labels(__version__, platform.python_version()).set(1)
    return registry


def gauge(
    name: str,
    text: str,
    registry: CollectorRegistry,
    labels: Sequence[str] = (),
    *,
    of_workers: Literal["mostrecent", "livemin", "livemax", "livesum", "max"] = "mostrecent",
) -> Gauge:
    """A gauge; `of_workers` says which of several workers' values is shown."""
    return Gauge(f"alert_history_{name}", text, labels, registry=registry, multiprocess_mode=of_workers)


class Exposition:
    """The text of a registry; with several workers, that of all of them together."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def text(self, accept: str) -> tuple[str, bytes]:
        """Content type and text: OpenMetrics for whoever accepts it, else the Prometheus format."""
        registry = self._registry
        folder = os.environ.get(_MULTIPROCESS_FOLDER)
        if folder:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
        if "application/openmetrics-text" in accept:
            text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
            return openmetrics.CONTENT_TYPE_LATEST, text
        return CONTENT_TYPE_LATEST, generate_latest(registry)
