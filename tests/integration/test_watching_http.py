"""What the metrics tell of a service in trouble, and after a restart."""

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.conftest import StartService
from tests.payloads import alert, webhook
from tests.processes import HOST, Server, wait_until
from tests.servers import PostgresServer

_JSON = {"Content-Type": "application/json"}
_SCRAPE_SECONDS = 10.0  # as long as Prometheus waits

pytestmark = pytest.mark.migrated


def _metrics(server: Server) -> dict[str, dict[str, float]]:
    """Samples by name; each by its labels' values, joined by commas."""
    text = httpx.get(f"{server.url}/metrics", timeout=_SCRAPE_SECONDS, trust_env=False).text
    samples: dict[str, dict[str, float]] = {}
    for family in parse_text(text):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[",".join(sample.labels.values())] = sample.value
    return samples


def _value(server: Server, name: str, labels: str = "") -> float | None:
    return _metrics(server).get(f"alert_history_{name}", {}).get(labels)


def _send(server: Server) -> None:
    answer = httpx.post(
        f"{server.url}/webhook/proxy", content=webhook(alert(1)), headers=_JSON, timeout=10, trust_env=False
    )
    assert answer.status_code == httpx.codes.OK


def test_a_database_that_is_down_shows_and_holds_up_no_scrape(
    postgres_server: PostgresServer, postgres_url: str, service: StartService
) -> None:
    server = service({"DATABASE_URL": postgres_url})
    wait_until(lambda: _value(server, "check_up", "database") == 1, "the database is shown as up")
    postgres_server.kill()
    wait_until(lambda: _value(server, "check_up", "database") == 0, "the database is shown as down")
    postgres_server.start()
    wait_until(lambda: _value(server, "check_up", "database") == 1, "the database is shown as up again")


def test_a_restart_does_not_forget_who_has_fallen_silent(sqlite_url: str, service: StartService) -> None:
    server = service({"DATABASE_URL": sqlite_url})
    assert _value(server, "watchdog_last_seen_seconds", "alertmanager") is None
    _send(server)
    wait_until(lambda: _value(server, "watchdog_last_seen_seconds", "alertmanager") is not None, "it was heard")
    server.terminate()
    server.start()
    wait_until(lambda: _value(server, "watchdog_last_seen_seconds", "alertmanager") is not None, "it is remembered")


def test_all_workers_of_a_process_tell_the_same(postgres_url: str, service: StartService) -> None:
    server = service({"DATABASE_URL": postgres_url, "WORKERS": "2"})
    _send(server)
    wait_until(lambda: _value(server, "watchdog_last_seen_seconds", "alertmanager") is not None, "it was heard")
    metrics = _metrics(server)
    assert metrics["alert_history_check_up"]["database"] == 1
    assert "process_resident_memory_bytes" not in metrics


def test_a_dead_letter_shows(sqlite_url: str, tmp_path: Path, service: StartService) -> None:
    """Loopback is refused for good, because ALLOW_PRIVATE_TARGETS is off."""
    folder = tmp_path / "targets" / "hook"
    folder.mkdir(parents=True)
    (folder / "url").write_text(f"http://{HOST}:9/hook")
    (folder / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=webhook\n")
    server = service({"DATABASE_URL": sqlite_url, "TARGETS_DIR": str(folder.parent)})
    wait_until(lambda: _value(server, "publishing_total", "dead,hook") == 0, "it is counted from nothing")
    _send(server)
    wait_until(lambda: _value(server, "dead_letters", "hook") == 1, "the dead letter is shown")
    assert _value(server, "publishing_total", "dead,hook") == 1
    assert _value(server, "target_paused", "hook") == 0
