"""The configurations of deploy/compose, with real servers in place of containers: the first alert comes by itself."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from tests import servers
from tests.processes import Server, wait_until

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
RESEND_SOON = ["--rules.alert.resend-delay=1s"]  # the first is lost: Prometheus has not found its Alertmanager yet
HOST_AND_PORT = re.compile(r"\b(alert-history|alertmanager):\d{4}\b")


def moved(text: str, places: Mapping[str, Server]) -> str:
    """With the containers' names replaced by where the servers are, and nothing waited for longer than a second."""
    there = HOST_AND_PORT.sub(
        lambda match: urlsplit(places[match[1]].url).netloc if match[1] in places else match[0], text
    )
    return re.sub(r"(interval|wait): 1[05]s", r"\1: 1s", there)


def prometheus_config(places: Mapping[str, Server]) -> str:
    """Compose's, with the watchdog alone: the other rules have tests of their own."""
    config = yaml.safe_load(moved((COMPOSE / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"), places))
    return yaml.safe_dump(config | {"rule_files": ["rules.yml"]})


def alertmanager_config(places: Mapping[str, Server]) -> str:
    """Compose's, without the event recorder, which the packaged Alertmanager is too old for."""
    config = yaml.safe_load(moved((COMPOSE / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"), places))
    return yaml.safe_dump({name: value for name, value in config.items() if name != "event_recorder"})


def alerts(history: Server) -> list[dict[str, Any]]:
    answer = httpx.get(f"{history.url}/history", params={"alertname": "Watchdog"}, timeout=10, trust_env=False)
    occurrences: list[dict[str, Any]] = answer.json()["alerts"]
    return occurrences


def is_heard(history: Server) -> bool:
    """Whether the metrics show that Alertmanager spoke."""
    text = httpx.get(f"{history.url}/metrics", timeout=10, trust_env=False).text
    return 'alert_history_watchdog_last_seen_seconds{source="alertmanager"}' in text


def test_the_watchdog_comes_all_the_way(sqlite_url: str) -> None:
    watchdog = (COMPOSE / "prometheus" / "watchdog.yml").read_text(encoding="utf-8")
    with ExitStack() as stack:
        history = stack.enter_context(servers.service({"DATABASE_URL": sqlite_url}))
        places = {"alert-history": history}
        places["alertmanager"] = stack.enter_context(servers.alertmanager_server(alertmanager_config(places)))
        stack.enter_context(servers.prometheus_server(prometheus_config(places), watchdog, args=RESEND_SOON))
        (alert,) = wait_until(lambda: alerts(history), "the watchdog is recorded")
        assert (alert["status"], alert["receiver"]) == ("firing", "alert-history-proxy")
        wait_until(lambda: is_heard(history), "Alertmanager is shown as heard")
