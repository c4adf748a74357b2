"""Probes, metrics and logs of a running service.

Holds: `web.api.health`, `cli.serve`.
"""

import json
import os
import re
import signal
import subprocess
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from alert_history import __version__
from tests.conftest import StartService
from tests.payloads import alert, webhook
from tests.processes import Server, find_program, wait_until
from tests.servers import PostgresServer, unstarted_service

_JSON = {"Content-Type": "application/json"}
_OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
_PROMISED = {
    "alert_history_webhook_events",
    "alert_history_webhook_errors",
    "alert_history_request_latency_seconds",
    "alert_history_ingest_commit_seconds",
    "alert_history_ingest_batch_alerts",
    "alert_history_alerts_stored",
    "alert_history_database_operations",
    "alert_history_build_info",
}


def _families(client: httpx.Client) -> dict[str, Metric]:
    return {family.name: family for family in parse_text(client.get("/metrics").text)}


def _value(client: httpx.Client, sample_name: str, **labels: str) -> float:
    """One sample, 0 where it is not there yet."""
    samples = (sample for family in _families(client).values() for sample in family.samples)
    return next((s.value for s in samples if s.name == f"alert_history_{sample_name}" and s.labels == labels), 0.0)


def _post(client: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    return client.post("/webhook", content=body, headers={**_JSON, **headers})


def test_a_live_service_says_so(client: httpx.Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_ready_service_says_what_it_checked(client: httpx.Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "checks": {"database": "ok", "schema": "ok"}})


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probe_may_ask_by_head(client: httpx.Client, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("outage", ["stopped", "paused"])
def test_service_without_its_database_lives_but_is_not_ready(
    postgres_url: str, postgres_server: PostgresServer, service: StartService, outage: str
) -> None:
    server = service({"DATABASE_URL": postgres_url})
    if outage == "stopped":
        postgres_server.terminate()
    else:
        postgres_server.pause()
    with httpx.Client(base_url=server.url, trust_env=False, timeout=10) as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
        assert ready.json()["checks"]["database"] not in {"ok", ""}
        assert ready.elapsed.total_seconds() < 8  # it is 2 where nothing else runs
        assert client.get("/healthz").status_code == 200
        postgres_server.recover()
        wait_until(lambda: client.get("/readyz").status_code == 200, "it is ready again")


def test_service_started_without_its_database_becomes_ready_when_that_is_there(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    postgres_server.terminate()
    with unstarted_service({"DATABASE_URL": postgres_url}) as server:
        server.launch()
        with httpx.Client(base_url=server.url, trust_env=False, timeout=10) as client:
            wait_until(lambda: _is_listening(client), "it answers")
            ready = client.get("/readyz")
            assert (ready.status_code, ready.json()["checks"]["startup"]) == (503, "not finished")
            assert _post(client, webhook(alert(1))).status_code == 503
            postgres_server.recover()
            wait_until(lambda: client.get("/readyz").status_code == 200, "it is ready")
            assert _post(client, webhook(alert(1))).status_code == 200


def _is_listening(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.ConnectError:
        return False


def test_readiness_shows_no_password(service: StartService, postgres_url: str, postgres_server: PostgresServer) -> None:
    server = service({"DATABASE_URL": postgres_url.replace("postgres@", "postgres:hunter2@")})
    postgres_server.terminate()
    answer = httpx.get(f"{server.url}/readyz", trust_env=False)
    assert "hunter2" not in answer.text + server.log()


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_promised_metrics_are_there(client: httpx.Client) -> None:
    assert _families(client).keys() >= _PROMISED


def test_metrics_are_openmetrics_for_whoever_asks(client: httpx.Client) -> None:
    answer = client.get("/metrics", headers=_OPENMETRICS)
    families = parse_openmetrics(answer.text)  # type: ignore[no-untyped-call]
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert {family.name for family in families} >= {name.removesuffix("_info") for name in _PROMISED} - {
        "alert_history_build"
    }


def test_metrics_are_text_for_everybody_else(client: httpx.Client) -> None:
    assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=")


def test_promtool_finds_nothing_to_say_about_the_metrics(client: httpx.Client) -> None:
    promtool = find_program("promtool", package="prometheus")
    _post(client, webhook(alert(1)))
    _post(client, b"no JSON")
    client.get("/history")
    exposed = client.get("/metrics").content
    done = subprocess.run([promtool, "check", "metrics"], input=exposed, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_build_info_names_the_version(client: httpx.Client) -> None:
    (sample,) = _families(client)["alert_history_build_info"].samples
    assert (sample.labels["version"], sample.value) == (__version__, 1)


def test_an_accepted_request_moves_the_metrics_of_ingest(client: httpx.Client) -> None:
    watched: list[tuple[str, dict[str, str]]] = [
        ("webhook_events_total", {"status": "firing", "source": "alertmanager"}),
        ("webhook_events_total", {"status": "resolved", "source": "alertmanager"}),
        ("webhook_events_total", {"status": "quarantined", "source": "alertmanager"}),
        ("alerts_stored_total", {}),
        ("ingest_commit_seconds_count", {}),
        ("ingest_batch_alerts_sum", {}),
        ("database_operations_total", {"operation": "commit", "status": "success"}),
        ("request_latency_seconds_count", {"endpoint": "/webhook"}),
    ]
    before = [_value(client, name, **labels) for name, labels in watched]
    name = f"Alert{uuid4().hex}"
    sent = [alert(1, alertname=name), alert(2, alertname=name, status="resolved"), {"labels": {}}]
    assert _post(client, webhook(*sent)).status_code == 200
    after = [_value(client, name, **labels) for name, labels in watched]
    assert [now - was for now, was in zip(after, before, strict=True)] == [1, 1, 1, 2, 1, 3, 1, 1]


def test_a_repeat_is_received_and_not_stored(client: httpx.Client) -> None:
    body = webhook(alert(1, alertname=f"Alert{uuid4().hex}"))
    _post(client, body)
    stored = _value(client, "alerts_stored_total")
    _post(client, body)
    assert _value(client, "alerts_stored_total") == stored


@pytest.mark.parametrize(
    "body, headers, reason",
    [
        (b"no JSON", {}, "malformed-payload"),
        (b"{}", {"Content-Type": "text/plain"}, "unsupported-media-type"),
        (b" " * (11 * 1024 * 1024), {}, "payload-too-large"),
    ],
    ids=["malformed", "type", "size"],
)
def test_a_refused_request_is_counted_by_its_reason(
    client: httpx.Client, body: bytes, headers: dict[str, str], reason: str
) -> None:
    before = _value(client, "webhook_errors_total", reason=reason)
    _post(client, body, **headers)
    assert _value(client, "webhook_errors_total", reason=reason) == before + 1


def test_latency_is_told_by_route_and_never_by_what_a_caller_wrote(client: httpx.Client) -> None:
    for path in ("/history?query=secret", "/api/v1/alerts/secret", "/secret", "/webhook/secret"):
        client.get(path)
    endpoints = {s.labels["endpoint"] for s in _families(client)["alert_history_request_latency_seconds"].samples}
    assert endpoints >= {"/history", "/api/v1/alerts/{id}", "unknown"}
    assert not any("secret" in endpoint for endpoint in endpoints)


def test_no_label_of_an_alert_becomes_a_label_of_a_metric(client: httpx.Client) -> None:
    secret = f"secret-{uuid4().hex}"
    _post(client, webhook(alert(1, alertname=secret, pod=secret, status=secret), alert(2, **{secret: "x"})))
    assert secret not in client.get("/metrics").text


def test_several_workers_are_counted_together(service: StartService, postgres_url: str) -> None:
    server = service({"DATABASE_URL": postgres_url, "WORKERS": "2"})
    with httpx.Client(base_url=server.url, trust_env=False, timeout=10) as client:
        for number in range(20):
            httpx.post(f"{server.url}/webhook", content=webhook(alert(number)), headers=_JSON, trust_env=False)
        assert _value(client, "alerts_stored_total") == 20


# --- logs -------------------------------------------------------------------------------------------------------------


def _events(server: Server) -> list[dict[str, Any]]:
    whole_lines = server.log().split("\n")[:-1]
    return [json.loads(line) for line in whole_lines]


def _events_of(server: Server, request_id: str) -> list[dict[str, Any]]:
    def events() -> list[dict[str, Any]]:
        return [event for event in _events(server) if event.get("request_id") == request_id]

    return wait_until(events, f"an event of request {request_id}")


def test_every_line_of_the_log_is_an_event(live: Server, client: httpx.Client) -> None:
    client.get("/nope%0A%0d%00%E2%80%A8%22")
    _post(client, b'{"alerts":"\n"')
    assert all({"event", "level", "timestamp"} <= event.keys() for event in _events(live))


def test_request_is_logged_once_under_its_id(live: Server, client: httpx.Client) -> None:
    request_id = uuid4().hex
    client.get("/history?limit=1", headers={"X-Request-ID": request_id})
    (event,) = _events_of(live, request_id)
    assert (event["event"], event["method"], event["path"], event["status"]) == ("request", "GET", "/history", 200)


def test_refused_webhook_is_logged_once_with_its_reason(live: Server, client: httpx.Client) -> None:
    request_id = uuid4().hex
    answer = _post(client, b"no JSON", **{"X-Request-ID": request_id})
    (event,) = _events_of(live, request_id)
    assert (event["event"], event["level"], event["status"]) == ("webhook_refused", "warning", 400)
    assert event["reason"] == answer.json()["detail"]


def test_probes_and_accepted_alerts_leave_the_log_alone(live: Server, client: httpx.Client) -> None:
    request_ids = [uuid4().hex for _ in range(4)]
    for path, request_id in zip(("/healthz", "/readyz", "/metrics"), request_ids, strict=False):
        client.get(path, headers={"X-Request-ID": request_id})
    _post(client, webhook(alert(1)), **{"X-Request-ID": request_ids[3]})
    last = uuid4().hex
    client.get("/history", headers={"X-Request-ID": last})
    assert _events_of(live, last)
    assert not any(event.get("request_id") in request_ids for event in _events(live))


def test_first_start_tells_of_the_migration_in_one_event(service: StartService, database_url: str) -> None:
    server = service({"DATABASE_URL": database_url})
    events = _events(server)
    assert [event["was"] for event in events if event["event"] == "schema_migrated"] == [None]
    assert not any(str(event.get("logger", "")).startswith("alembic") for event in events)


def test_second_start_migrates_nothing(service: StartService, database_url: str) -> None:
    service({"DATABASE_URL": database_url}).terminate()
    assert "schema_migrated" not in service({"DATABASE_URL": database_url}).log()


# --- pages and errors of no route in particular -----------------------------------------------------------------------


def test_problem_is_the_same_in_body_and_headers(client: httpx.Client) -> None:
    answer = client.get("/nope", headers={"X-Request-ID": "abc-1"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:alert-history:problem:no-such-path",
        "title": "Not Found",
        "status": 404,
        "detail": "GET /nope",
        "request_id": "abc-1",
    }


def test_documentation_needs_no_other_host(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    loaded = r"""(?:src=|<link\b[^>]*\shref=)["']?(?:https?:)?//"""  # a link that a reader may follow is not loaded
    assert not re.search(loaded, page.text)


def test_root_leads_to_a_page(client: httpx.Client) -> None:
    answer = client.get("/", follow_redirects=True)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_a_terminal_that_closes_stops_the_service_as_sigterm_does(sqlite_url: str, service: StartService) -> None:
    server = service({"DATABASE_URL": sqlite_url})
    os.kill(server.pid, signal.SIGHUP)
    assert server.wait() == 0
