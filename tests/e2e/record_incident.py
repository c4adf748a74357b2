"""Records the demo incident from a real Prometheus and a real Alertmanager: `python -m tests.e2e.record_incident OUT`.

Takes four minutes: two hours, thirty times as fast. Every body is kept as it arrived, its times included; whoever
replays it stretches them (`alert_history.demo.replay`). OUT is zstd over lines of JSON: one `header`, then `messages`.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from alert_history.zstd import compress
from tests import servers
from tests.e2e import incident_story
from tests.e2e.exporter import exporter
from tests.e2e.incident_story import SCALE, Job
from tests.processes import HOST, Server

RULES = Path(__file__).parents[1] / "data" / "incident"
RESEND_SECONDS = {"production": 2, "staging": 20}
Message = dict[str, Any]


def main(out: Path) -> None:
    """Plays the story once and writes what was sent to `out`."""
    messages: list[Message] = []
    with ExitStack() as stack:
        url = stack.enter_context(_recorder(messages))
        clock = _StoryClock()
        scraped = stack.enter_context(exporter(clock.render))
        alertmanager = stack.enter_context(_alertmanager(url))
        staging = stack.enter_context(_prometheus("staging", incident_story.STAGING_JOBS, scraped=scraped, alerted=url))
        jobs = incident_story.PRODUCTION_JOBS
        stack.enter_context(_prometheus("production", jobs, scraped=scraped, alerted=alertmanager.url))
        clock.start()
        header = _header(clock.started_at, prometheus=staging, alertmanager=alertmanager)
        print(f"recording for {incident_story.LENGTH_MINUTES * 60 / SCALE:.0f} s …", file=sys.stderr)
        time.sleep(incident_story.LENGTH_MINUTES * 60 / SCALE)
        lines = [_line(message, clock.started_at) for message in messages if message["at"] >= clock.started_at]
    out.write_bytes(_packed([header, *lines]))
    print(f"{len(lines)} messages, {out.stat().st_size} bytes", file=sys.stderr)


class _StoryClock:
    """Turns real time into minutes of the story, from `start` on."""

    def __init__(self) -> None:
        self.started_at = datetime.max.replace(tzinfo=UTC)

    def start(self) -> None:
        self.started_at = datetime.now(UTC)

    def render(self, path: str) -> str | None:
        real_seconds = (datetime.now(UTC) - self.started_at).total_seconds()
        return incident_story.metrics(path.rpartition("/")[2], max(real_seconds * SCALE / 60, 0.0))


def _alertmanager(url: str) -> Any:
    config = (RULES / "alertmanager.yml").read_text().replace("WEBHOOK_URL", f"{url}/webhook/proxy")
    return servers.alertmanager_server(config, args=["--web.external-url=http://alertmanager.example.com:9093"])


def _prometheus(cluster: str, jobs: Mapping[str, Job], *, scraped: str, alerted: str) -> Any:
    config = {
        "global": {
            "scrape_interval": "1s",
            "evaluation_interval": "1s",
            "external_labels": {"cluster": f"{cluster}-eu1"},
        },
        "rule_files": ["rules.yml"],
        "scrape_configs": [_scrape(name, job, scraped=scraped) for name, job in jobs.items()],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [urlsplit(alerted).netloc]}]}]},
    }
    host = "prometheus.example.com" if cluster == "production" else f"prometheus.{cluster}.example.com"
    args = [f"--web.external-url=http://{host}:9090", f"--rules.alert.resend-delay={RESEND_SECONDS[cluster]}s"]
    rules = (RULES / f"{cluster}-rules.yml").read_text()
    return servers.prometheus_server(json.dumps(config), rules, args=args)  # YAML takes JSON as it is


def _scrape(name: str, job: Job, *, scraped: str) -> dict[str, Any]:
    return {
        "job_name": name,
        "honor_labels": True,
        "metrics_path": f"/metrics/{name}",
        "static_configs": [{"targets": [scraped], "labels": job._asdict()}],
    }


def _header(started_at: datetime, *, prometheus: Server, alertmanager: Server) -> dict[str, Any]:
    build = httpx.get(f"{prometheus.url}/api/v1/status/buildinfo", trust_env=False).json()["data"]
    status = httpx.get(f"{alertmanager.url}/api/v2/status", trust_env=False).json()
    return {
        "started_at": started_at.isoformat(),
        "scale": SCALE,
        "prometheus": build["version"],
        "alertmanager": status["versionInfo"]["version"],
    }


def _line(message: Message, started_at: datetime) -> Message:
    offset = (message["at"] - started_at).total_seconds()
    return {"offset_seconds": round(offset, 3), "path": message["path"], "body": message["body"]}


def _packed(lines: list[dict[str, Any]]) -> bytes:
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    return compress(text.encode(), level=19)


@contextmanager
def _recorder(messages: list[Message]) -> Iterator[str]:
    """An HTTP server that takes every POST and appends it to `messages`; yields its URL."""
    server = ThreadingHTTPServer((HOST, 0), _handler(messages.append))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(keep: Callable[[Message], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            at = datetime.now(UTC)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            keep({"at": at, "path": self.path, "body": json.loads(body)})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing: the recording is what counts."""

    return Handler


if __name__ == "__main__":
    main(Path(sys.argv[1]))
