"""The names of the rules of a real Prometheus, and of one that is silent.

Holds: engine.prometheus_rules.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from alert_history.domain.origin import parse_origins
from alert_history.engine.prometheus_rules import PrometheusRules
from tests import servers
from tests.asking import now
from tests.processes import Server

RULES = """
groups:
  - name: one
    rules:
      - {alert: NodeDown, expr: 'vector(0) > 1'}
      - {alert: DiskFull, expr: 'vector(0) > 1', labels: {severity: page}}
      - {record: load, expr: 'vector(1)'}
  - name: two
    rules:
      - {alert: DiskFull, expr: 'vector(0) > 2'}
"""


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Server]:
    """A Prometheus with two alerting rules, of which nothing fires."""
    with servers.prometheus_server("rule_files: [rules.yml]", RULES) as server:
        yield server


async def test_names_are_those_of_alerting_rules(prometheus: Server) -> None:
    rules = PrometheusRules(parse_origins(f"eu={prometheus.url}"), clock=now)
    assert await rules.names() == (frozenset({"NodeDown", "DiskFull"}), ())


async def test_silent_server_is_told_and_the_names_of_others_stay(prometheus: Server) -> None:
    rules = PrometheusRules(parse_origins(f"eu={prometheus.url},us=http://127.0.0.1:9"), clock=now)
    names, silent = await rules.names()
    assert names == {"NodeDown", "DiskFull"}
    [reason] = silent
    assert reason.startswith("the rules of prometheus/us: http://127.0.0.1:9: ")


async def test_names_are_remembered_for_a_minute(prometheus: Server) -> None:
    times = [datetime.now().astimezone()]
    rules = PrometheusRules(parse_origins(f"eu={prometheus.url}"), clock=lambda: times[-1])
    names, _ = await rules.names()
    rules._origins = parse_origins("eu=http://127.0.0.1:9")  # noqa: SLF001  # as if the server stopped
    times.append(times[0] + timedelta(seconds=59))
    assert await rules.names() == (names, ())
    times.append(times[0] + timedelta(seconds=61))
    assert (await rules.names())[0] == frozenset()
