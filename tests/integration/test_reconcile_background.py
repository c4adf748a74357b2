"""The service asks by itself: it corrects, counts each correction once, and says who does not answer."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import servers
from tests.ageing import aged
from tests.conftest import StartService
from tests.processes import Server, wait_until

CONFIG = "{route: {receiver: nobody}, receivers: [{name: nobody}]}"
DISK = {"alertname": "DiskFull", "node": "a"}

pytestmark = pytest.mark.migrated


@pytest.fixture
def alertmanager() -> Iterator[Server]:
    with servers.alertmanager_server(CONFIG) as server:
        yield server


@pytest.fixture
def environment(alertmanager: Server) -> Iterator[dict[str, str]]:
    with aged(alertmanager) as url:
        yield {"ALERTMANAGER_URLS": f"eu={url}", "RECONCILE_INTERVAL_SECONDS": "5"}


def send(server: Server, *, is_over: bool = False) -> None:
    now = datetime.now(UTC)
    alert: dict[str, Any] = {"labels": DISK, "startsAt": (now - timedelta(minutes=1)).isoformat()}
    if is_over:
        alert = {"labels": DISK, "endsAt": now.isoformat()}
    httpx.post(f"{server.url}/api/v2/alerts", json=[alert], trust_env=False).raise_for_status()


def states(server: Server) -> list[str]:
    occurrences: list[dict[str, Any]] = httpx.get(f"{server.url}/history", trust_env=False).json()["alerts"]
    return [f"{occurrence['state']} {occurrence['ended_by'] or ''}".strip() for occurrence in occurrences]


def ready(server: Server) -> tuple[int, str, str]:
    answer = httpx.get(f"{server.url}/readyz", trust_env=False)
    return answer.status_code, answer.json()["status"], answer.json()["checks"]["origins"]


def metric(server: Server, name: str, **labels: str) -> float:
    """The sum over all its labels but these."""
    text = httpx.get(f"{server.url}/metrics", trust_env=False).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def test_what_is_listed_is_opened_and_what_is_not_any_more_ended(
    alertmanager: Server, environment: dict[str, str], sqlite_url: str, service: StartService
) -> None:
    history = service({"DATABASE_URL": sqlite_url, **environment})
    send(alertmanager)
    wait_until(lambda: states(history) == ["firing"], "it is opened")
    send(alertmanager, is_over=True)
    wait_until(lambda: states(history) == ["resolved reconciled"], "it is ended")
    counted = {
        kind: metric(history, "alert_history_corrections_total", source="alertmanager/eu", kind=kind)
        for kind in ("opened", "ended", "reopened")
    }
    assert counted == {"opened": 1, "ended": 1, "reopened": 0}
    assert ready(history) == (200, "ok", "ok")


def test_two_replicas_correct_and_count_once(
    alertmanager: Server, environment: dict[str, str], postgres_url: str, service: StartService
) -> None:
    replicas = [service({"DATABASE_URL": postgres_url, **environment}) for _ in range(2)]
    send(alertmanager)
    wait_until(lambda: states(replicas[0]) == ["firing"], "it is opened")
    send(alertmanager, is_over=True)
    wait_until(lambda: states(replicas[1]) == ["resolved reconciled"], "it is ended")
    wait_until(
        lambda: all(metric(replica, "alert_history_origin_answered_timestamp_seconds") for replica in replicas),
        "both know of it",
    )
    assert sum(metric(replica, "alert_history_corrections_total") for replica in replicas) == 2


def test_an_origin_that_is_down_is_told_and_the_service_stays_ready(
    alertmanager: Server, environment: dict[str, str], sqlite_url: str, service: StartService
) -> None:
    history = service({"DATABASE_URL": sqlite_url, **environment})
    wait_until(lambda: metric(history, "alert_history_origin_answered_timestamp_seconds") > 0, "it was asked")
    alertmanager.kill()
    wait_until(lambda: ready(history)[1] == "degraded", "its fault is told")
    code, _, fault = ready(history)
    assert code == 200
    assert fault.startswith("alertmanager/eu: http://127.0.0.1:")
    wait_until(lambda: metric(history, "alert_history_check_up", check="origins") == 0, "the check is down")


def test_who_is_stopped_leaves_the_turn_to_the_next(
    alertmanager: Server, environment: dict[str, str], sqlite_url: str, service: StartService
) -> None:
    """A turn outlasts who has it by half a minute and more, in which nobody would ask."""
    first = service({"DATABASE_URL": sqlite_url, **environment})
    wait_until(lambda: metric(first, "alert_history_origin_answered_timestamp_seconds") > 0, "it has the turn")
    first.terminate()
    send(alertmanager)
    history = service({"DATABASE_URL": sqlite_url, **environment})
    wait_until(lambda: states(history) == ["firing"], "the next one asks", timeout_seconds=20)
