"""What an import makes of a real VictoriaMetrics equals what the vmalert that writes there had posted.

Holds: `origins.imports.prometheus`, for servers that hold the samples of others.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from alert_history.domain.alert import fingerprint
from alert_history.domain.past_firing import PastFiring
from alert_history.origins.imports.prometheus import ORIGIN
from alert_history.ports.past_origins import ImportRequest
from tests import servers
from tests.processes import HOST, Server, wait_until

RULES = """
groups:
  - name: clock
    interval: 1s
    rules:
      - {alert: Always, expr: vector(3.5), labels: {empty: ''}, annotations: {summary: 'it is {{ $value }}'}}
      - {alert: Brief, expr: 'vector(time() % 4 < 2) > 0'}
      - {alert: Held, expr: 'vector(time() % 5 < 3) > 0', for: 1s}
"""
SECOND = timedelta(seconds=1)


@dataclass
class Posted:
    """What vmalert posted: the last end by name and start, and the labels by name. Ends in the past are ends."""

    ends: dict[tuple[str, datetime], datetime] = field(default_factory=dict)
    over: set[tuple[str, datetime]] = field(default_factory=set)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)

    def take(self, body: bytes) -> None:
        for alert in json.loads(body):
            name, ends_at = alert["labels"]["alertname"], _whole(alert["endsAt"])
            key = (name, _whole(alert["startsAt"]))
            self.ends[key] = ends_at
            self.labels[name] = {label: value for label, value in alert["labels"].items() if value}
            if ends_at < datetime.now(UTC):
                self.over.add(key)

    def has_gone_on(self, name: str) -> bool:
        """Whether its last end is some seconds ago."""
        return all(datetime.now(UTC) - end >= 2 * SECOND for _, end in self.firings(name))

    def firings(self, name: str) -> set[tuple[datetime, datetime]]:
        """Start and end of what is over."""
        return {(start, self.ends[key, start]) for key, start in self.over if key == name}


def _whole(text: str) -> datetime:
    return datetime.fromisoformat(text[:19] + "+00:00")


@pytest.fixture(scope="module")
def posted() -> Iterator[tuple[Posted, str]]:
    taken = Posted()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield taken, f"http://{HOST}:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def victoria_metrics(posted: tuple[Posted, str]) -> Iterator[Server]:
    """One whose vmalert was killed and started again."""
    taken, place = posted
    with ExitStack() as stack:
        stored = stack.enter_context(servers.victoria_metrics_server(args=["-search.latencyOffset=0s"]))
        args = [f"-datasource.url={stored.url}", f"-notifier.url={place}", "-external.label=cluster=eu"]
        args += [f"-remoteWrite.url={stored.url}", "-remoteWrite.flushInterval=100ms"]
        vmalert = stack.enter_context(servers.vmalert_server(RULES, args=args))
        wait_until(lambda: _count(taken, "Brief") > 0 and _count(taken, "Held") > 0, "each ended once")
        wait_until(lambda: taken.has_gone_on("Brief") and taken.has_gone_on("Held"), "what ended was stored, too")
        vmalert.kill()
        counts = _count(taken, "Brief"), _count(taken, "Held")
        vmalert.start()
        wait_until(lambda: _count(taken, "Brief") > counts[0] and _count(taken, "Held") > counts[1], "each ended again")
        known = Posted(dict(taken.ends), set(taken.over), dict(taken.labels))
        asked_at = datetime.now(UTC)
        wait_until(lambda: datetime.now(UTC) - asked_at > 2 * SECOND, "what was posted is stored, too")
        taken.ends, taken.over, taken.labels = known.ends, known.over, known.labels
        yield stored


def _count(posted: Posted, name: str) -> int:
    return len(posted.firings(name))


@pytest.fixture(scope="module")
def firings(victoria_metrics: Server, tmp_path_factory: pytest.TempPathFactory) -> list[PastFiring]:
    rules = tmp_path_factory.mktemp("rules") / "rules.yml"
    rules.write_text(RULES)
    return _imported(victoria_metrics.url, rules)


def _imported(url: str, rules: Path) -> list[PastFiring]:
    async def read() -> list[PastFiring]:
        given = {"url": (url,), "rules": (str(rules),), "values": ("yes",)}
        request = ImportRequest(given=given, now=datetime.now(UTC), start=datetime.now(UTC) - timedelta(minutes=10))
        return [firing async for batch in ORIGIN.read(request) for firing in batch.firings]

    return asyncio.run(read())


def named(firings: list[PastFiring], name: str) -> list[PastFiring]:
    return sorted((f for f in firings if f.labels["alertname"] == name), key=lambda firing: firing.starts_at)


def test_labels_are_those_that_were_posted(firings: list[PastFiring], posted: tuple[Posted, str]) -> None:
    """VictoriaMetrics holds the external labels, and alertgroup, as vmalert posts them."""
    for name in ("Always", "Brief", "Held"):
        assert {firing.fingerprint for firing in named(firings, name)} == {fingerprint(posted[0].labels[name])}


def test_starts_and_ends_are_the_seconds_that_were_posted(
    firings: list[PastFiring], posted: tuple[Posted, str]
) -> None:
    """What fired at the kill and goes on after it is one firing, with the first start, which never had an end."""
    for name in ("Brief", "Held"):
        read = {firing.ends_at: firing.starts_at for firing in named(firings, name)}
        unresolved = {start for key, start in posted[0].ends.keys() - posted[0].over if key == name}
        over = posted[0].firings(name)
        assert len(over) >= 2
        assert {end for _, end in over} <= read.keys()
        assert all(read[end] == start or read[end] in unresolved for start, end in over), (read, over, unresolved)


def test_a_kill_of_vmalert_does_not_cut_what_fires_on(firings: list[PastFiring], posted: tuple[Posted, str]) -> None:
    starts = sorted(start for name, start in posted[0].ends if name == "Always")
    assert len(starts) == 2
    (always,) = named(firings, "Always")
    assert (always.starts_at, always.ends_at) == (starts[0], None)


def test_a_value_is_asked_of_the_rules_of_a_file(firings: list[PastFiring]) -> None:
    (always,) = named(firings, "Always")
    assert always.annotations == {"summary": "it is 3.5"}
