"""A cluster for Helm's engine to ask what is there already."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.cluster import Cluster, ClusterApi
from tests.chart.rendering import NAMESPACE


@pytest.fixture
def api() -> Iterator[ClusterApi]:
    server = ClusterApi()
    server.start()
    server.add_namespace(NAMESPACE)
    yield server
    server.stop()


@pytest.fixture
def cluster(api: ClusterApi, tmp_path: Path) -> Cluster:
    return Cluster(api, tmp_path)
