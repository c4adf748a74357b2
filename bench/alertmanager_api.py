"""Alertmanager's API v2: ours beside a real Alertmanager that holds the same 1 000 alerts, and ours at past moments.

Both are asked in turn, in one run, so both have the same machine. The past lies in a filled history of which about
1 000 fire at each moment, and the configuration of then is known.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from tests.processes import Server, wait_until
from tests.servers import alertmanager_server, service

from alert_history.ports import StoredConfiguration
from alert_history.storage import open_store
from bench.databases import Database
from bench.fill import fill
from bench.load import percentile
from bench.moments import lasting
from bench.past import YEAR
from bench.plan import Plan
from bench.report import Measured, at_most, grouped

ALERTS = 1_000
CALLS = 60
_WARM_CALLS = 5
_PATHS = ("alerts", "alerts/groups")
_PROMISED_MS = {"PostgreSQL": 100, "SQLite": 200}
_GROUPS_FACTOR = 1.5
_PROMISED_TIMES = 2
_CLUSTER = "main"

_CONFIGURATION = """
route:
  receiver: default
  group_by: [alertname, namespace]
  routes:
  - matchers: [team=~"db|storage"]
    receiver: db
    continue: true
  - matchers: [severity="critical"]
    receiver: pager
  - matchers: [cluster=~"eu-.*", severity!="info"]
    receiver: europe
inhibit_rules:
- source_matchers: [severity="critical"]
  target_matchers: [severity=~"warning|info"]
  equal: [instance]
receivers:
- name: default
- name: db
- name: pager
- name: europe
"""


def measure(database: Database, plan: Plan) -> list[Measured]:
    """Side by side now, then the past."""
    return [*_side_by_side(database, plan), *_past(database, plan)]


def _side_by_side(database: Database, plan: Plan) -> list[Measured]:
    url = database.fresh()
    plan.say(f"{database.name}: beside an Alertmanager")
    lines = []
    with alertmanager_server(_CONFIGURATION) as theirs:
        settings = {"DATABASE_URL": url, "ALERTMANAGER_URLS": f"{_CLUSTER}={theirs.url}", "LOG_LEVEL": "warning"}
        with service(settings) as ours, httpx.Client(trust_env=False, timeout=60) as client:
            for server in (theirs, ours):
                client.post(f"{server.url}/api/v2/alerts", json=_alerts()).raise_for_status()
            wait_until(lambda: _is_polled(client, ours), "ours has polled the Alertmanager")
            for path in _PATHS:
                lines += _compared(database, client, ours=ours, theirs=theirs, path=path)
    database.drop(url)
    return lines


def _compared(database: Database, client: httpx.Client, *, ours: Server, theirs: Server, path: str) -> list[Measured]:
    """Ours and theirs in turn; the share of the medians counts, because both share a machine with others."""
    took: dict[str, list[float]] = {"ours": [], "theirs": []}
    for turn in range(CALLS + _WARM_CALLS):
        for name, server in (("ours", ours), ("theirs", theirs)):
            milliseconds, number = _ask(client, f"{server.url}/api/v2/{path}")
            assert path != "alerts" or number == ALERTS, (name, number)
            if turn >= _WARM_CALLS:
                took[name].append(milliseconds)
    own, other = percentile(took["ours"], 0.5), percentile(took["theirs"], 0.5)
    note = f"p50 {own:.1f} ms, theirs {other:.1f} ms; p95 {percentile(took['ours'], 0.95):.1f} and "
    note += f"{percentile(took['theirs'], 0.95):.1f} ms"
    what = f"/api/v2/{path} now, {grouped(ALERTS)} alerts ÷ an Alertmanager's"
    return [Measured(database.name, what, own / other, "", at_most(_PROMISED_TIMES), note)]


def _past(database: Database, plan: Plan) -> list[Measured]:
    url = database.fresh()
    now = datetime.now(UTC)
    plan.say(f"{database.name}: filling {grouped(plan.history)} occurrences")
    fill(database, url, lasting(plan.history, until=now), number=plan.history)
    asyncio.run(_prepare(url, since=now - 2 * YEAR))
    chance = random.Random(5)
    moments = [now - YEAR * chance.uniform(0.001, 0.95) for _ in range(CALLS)]
    lines = []
    with service({"DATABASE_URL": url, "LOG_LEVEL": "warning"}) as ours:
        for path, factor in zip(_PATHS, (1, _GROUPS_FACTOR), strict=True):
            took, numbers = _asked_at(ours, path, moments)
            note = f"p50 {percentile(took, 0.5):.1f} ms; {min(numbers)} to {max(numbers)} in the answer"
            what = f"/api/v2/{path} at a past moment, p95"
            limit = at_most(_PROMISED_MS[database.name] * factor)
            lines.append(Measured(database.name, what, percentile(took, 0.95), "ms", limit, note))
    database.drop(url)
    return lines


def _asked_at(ours: Server, path: str, moments: Sequence[datetime]) -> tuple[list[float], list[int]]:
    with httpx.Client(trust_env=False, timeout=60) as client:
        answers = [
            _ask(client, f"{ours.url}/api/v2/{path}?at={moment:%Y-%m-%dT%H:%M:%SZ}")
            for moment in [*moments[:_WARM_CALLS], *moments]
        ][_WARM_CALLS:]
    return [milliseconds for milliseconds, _ in answers], [number for _, number in answers]


def _ask(client: httpx.Client, url: str) -> tuple[float, int]:
    """Milliseconds of the whole answer, and how many entries it has."""
    begin = time.perf_counter()
    answer = client.get(url).raise_for_status()
    milliseconds = (time.perf_counter() - begin) * 1_000
    return milliseconds, len(answer.json())


def _is_polled(client: httpx.Client, ours: Server) -> bool:
    status: Any = client.get(f"{ours.url}/api/v2/status").json()
    receivers: Callable[[], Any] = client.get(f"{ours.url}/api/v2/receivers").json
    return "inhibit_rules" in status["config"]["original"] and len(receivers()) > 1


async def _prepare(url: str, *, since: datetime) -> None:
    """Keep a configuration, and count the history, which else goes on while the service is asked."""
    store = open_store(url)
    await store.lifecycle.open()
    try:
        seen = StoredConfiguration(_CLUSTER, since, since + timedelta(days=1), _CONFIGURATION, {})
        await store.configurations.keep([seen])
        while await store.rollups.fold():
            pass
    finally:
        await store.lifecycle.close()


def _alerts() -> list[dict[str, Any]]:
    ends_at = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    return [
        {
            "labels": {
                "alertname": f"Alert{n % 40}",
                "severity": ("critical", "warning", "info")[n % 3],
                "instance": f"host-{n // 2}:9100",
                "job": "node",
                "cluster": f"eu-{n % 2}",
                "namespace": f"shop-{n % 20}",
                "team": ("db", "web", "storage")[n % 3],
            },
            "annotations": {
                "summary": f"Something is wrong with host-{n}",
                "description": "A longer text on what is wrong here, with a value of 3.14 in it",
                "runbook_url": "https://runbooks.example.com/alert",
            },
            "startsAt": "2026-01-31T10:00:00Z",
            "endsAt": ends_at,
            "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=up&g0.tab=1",
        }
        for n in range(ALERTS)
    ]
