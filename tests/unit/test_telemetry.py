"""Metrics count what happened and show no alert's labels; logs are one JSON object a line."""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from alert_history.bootstrap import make_metrics
from alert_history.domain.alert import Alert, AlertGroup, Refused, Source, Status, fingerprint
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.target import TargetSpec
from alert_history.engine.switchboard import CommitEnded
from alert_history.service import Metrics
from tests.processes import find_program

_NOW = datetime(2026, 11, 24, 3, 12, 45, tzinfo=UTC)
_TEXT = "text/plain;version=0.0.4"
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def _alert(status: Status = "firing", **labels: str) -> Alert:
    return Alert(fingerprint(labels), status, labels, {}, _NOW, _NOW if status == "resolved" else None)


def _group(*alerts: Alert, source: Source = "alertmanager", refused: Sequence[Refused] = ()) -> AlertGroup:
    return AlertGroup(source, "default", "", "", list(alerts), list(refused))


def _outcome(*, received: int, stored: int, quarantined: int = 0) -> Outcome:
    repeated = received - stored - quarantined
    return Outcome("1", received=received, stored=stored, repeated=repeated, quarantined=quarantined)


def _committed(*groups: AlertGroup, seconds: float = 0.1) -> CommitEnded:
    receipts = [Receipt("1", _NOW, "/webhook", False, group, b"", b"") for group in groups]
    outcomes = [_outcome(received=group.received, stored=group.received) for group in groups]
    return CommitEnded(receipts, outcomes, seconds, pending_bytes=0)


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"alert_history_{name}", labels)


def _exposed(metrics: Metrics, accept: str = _TEXT) -> str:
    return metrics.exposition.text(accept)[1].decode()


def test_alerts_are_counted_by_what_they_say_and_who_sent_them() -> None:
    metrics = make_metrics()
    group = _group(_alert(a="1"), _alert(a="2"), _alert("resolved", a="3"), refused=[Refused(3, "no labels", b"{}")])
    metrics.requests.accepted(group, _outcome(received=4, stored=2, quarantined=1))
    counted = {
        status: _value(metrics, "webhook_events_total", status=status, source="alertmanager")
        for status in ("firing", "resolved", "quarantined")
    }
    assert counted == {"firing": 2, "resolved": 1, "quarantined": 1}


def test_only_alerts_that_change_the_history_count_as_stored() -> None:
    metrics = make_metrics()
    metrics.requests.accepted(_group(_alert(a="1"), _alert(a="2")), _outcome(received=2, stored=1))
    assert _value(metrics, "alerts_stored_total") == 1


def test_commit_is_counted_with_its_size_and_time() -> None:
    metrics = make_metrics()
    metrics.commits.committed(_committed(_group(_alert(a="1")), _group(_alert(a="2")), seconds=0.25))
    assert (
        _value(metrics, "ingest_batch_alerts_sum"),
        _value(metrics, "ingest_commit_seconds_sum"),
        _value(metrics, "database_operations_total", operation="commit", status="success"),
    ) == (2, 0.25, 1)


def test_commit_that_failed_counts_as_a_failure_alone() -> None:
    metrics = make_metrics()
    failed = msgspec.structs.replace(_committed(_group(_alert(a="1"))), outcomes=None)
    metrics.commits.committed(failed)
    assert (
        _value(metrics, "database_operations_total", operation="commit", status="failure"),
        _value(metrics, "ingest_commit_seconds_count"),
    ) == (1, 0)


def test_refused_requests_are_counted_by_reason() -> None:
    metrics = make_metrics()
    metrics.requests.failed("malformed-payload")
    assert _value(metrics, "webhook_errors_total", reason="malformed-payload") == 1


def test_what_alerts_are_raised_on_is_counted_from_nothing() -> None:
    """A series that begins at 1 is no increase to Prometheus."""
    metrics = make_metrics()
    metrics.publishing.discovered([TargetSpec("slack", "slack", {}), TargetSpec("odd", "odd", {}, fault="unknown")])
    assert (
        _value(metrics, "webhook_events_total", status="quarantined", source="grafana"),
        _value(metrics, "publishing_total", target="slack", status="dead"),
        _value(metrics, "classification_errors_total", error_type="budget"),
        _value(metrics, "webhook_errors_total", reason="storage-unavailable"),
        _value(metrics, "enrichment_mode_switches_total", from_mode="enriched", to_mode="transparent"),
        _value(metrics, "cache_hits_total", cache_type="database"),
    ) == (0, 0, 0, 0, 0, 0)
    assert (_value(metrics, "publishing_targets_discovered"), _value(metrics, "publishing_targets_broken")) == (2, 1)


def test_the_process_shows_its_memory() -> None:
    assert (make_metrics().registry.get_sample_value("process_resident_memory_bytes") or 0) > 1_000_000


def test_no_text_of_an_alert_is_shown() -> None:
    metrics = make_metrics()
    group = _group(_alert(alertname="SecretName", pod="secret-pod"), refused=[Refused(0, "secret-reason", b"secret")])
    metrics.requests.accepted(group, _outcome(received=2, stored=1, quarantined=1))
    metrics.commits.committed(_committed(group))
    assert "secret" not in _exposed(metrics).lower()


def test_both_formats_say_the_same() -> None:
    metrics = make_metrics()
    metrics.requests.failed("malformed-payload")
    metrics.requests.answered("/webhook", 0.02)
    as_text = {(s.name, str(s.labels)): s.value for f in parse_text(_exposed(metrics)) for s in f.samples}
    families = parse_openmetrics(_exposed(metrics, _OPENMETRICS))  # type: ignore[no-untyped-call]
    as_openmetrics = {(s.name, str(s.labels)): s.value for family in families for s in family.samples}
    moving = {key for key in as_text if key[0].endswith("_created") or key[0].startswith("process_")}
    assert {key: as_text[key] for key in as_text.keys() - moving}.items() <= as_openmetrics.items()


@pytest.mark.parametrize(
    "accept, content_type",
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        (_TEXT, "text/plain"),
        (_OPENMETRICS, "application/openmetrics-text"),
        (f"{_OPENMETRICS};q=0.5,{_TEXT};q=0.3", "application/openmetrics-text"),
    ],
)
def test_the_format_is_the_one_accepted(accept: str, content_type: str) -> None:
    assert make_metrics().exposition.text(accept)[0].startswith(content_type)


def test_promtool_finds_nothing_to_say_about_the_metrics() -> None:
    promtool = find_program("promtool", package="prometheus")
    metrics = make_metrics()
    metrics.requests.accepted(_group(_alert(a="1")), _outcome(received=1, stored=1))
    metrics.commits.committed(_committed(_group(_alert(a="1"))))
    metrics.requests.failed("malformed-payload")
    metrics.requests.answered("/webhook", 0.02)
    exposed = metrics.exposition.text(_TEXT)[1]
    done = subprocess.run([promtool, "check", "metrics"], input=exposed, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# --- logs: configured in a process of their own, because that can't be undone -----------------------------------------


def _logged(program: str, *, level: str = "info", is_json: bool = True) -> str:
    setup = f"""
import logging, structlog
from alert_history.telemetry.logs import configure_logging
configure_logging(level={level!r}, is_json={is_json})
log = structlog.get_logger()
"""
    done = subprocess.run(
        [sys.executable, "-c", setup + program], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == ""
    return done.stderr


def _events(program: str, *, level: str = "info") -> list[dict[str, Any]]:
    return [json.loads(line) for line in _logged(program, level=level).split("\n") if line]


def test_event_is_one_line_of_json() -> None:
    (event,) = _events('log.info("request", path="/a\\nb", milliseconds=1.5)')
    assert event.pop("timestamp").endswith("Z")
    assert event == {"event": "request", "level": "info", "path": "/a\nb", "milliseconds": 1.5}


def test_hostile_text_can_not_break_the_log() -> None:
    events = _events('log.info("a", path="\\ud800\\x00\\u2028"); log.info("b")')
    assert [event["event"] for event in events] == ["a", "b"]


@pytest.mark.parametrize("is_json", [True, False], ids=["json", "console"])
def test_hostile_text_can_not_command_a_terminal(is_json: bool) -> None:  # noqa: FBT001  # a parameter
    hostile = "\x1b[2J\x9b31m\x7f\u202e"
    program = f"log.info('a', path={hostile!r}); logging.getLogger('x').warning('%s', {hostile!r})"
    text = _logged(program, is_json=is_json)
    assert text.count("\\u001b[2J\\u009b31m\\u007f\\u202e") == 2
    assert not set(hostile) & set("\x1b\x9b\x7f\u202e") & set(text)


def test_hostile_text_adds_no_line_to_a_log_for_people() -> None:
    assert _logged('log.info("a", path="/a\\nready")', is_json=False).count("\n") == 1


@pytest.mark.parametrize("is_json", [True, False], ids=["json", "console"])
def test_exception_is_told_without_the_values_of_variables(is_json: bool) -> None:  # noqa: FBT001  # a parameter
    program = """
def fail(password):
    raise ValueError("it broke")
try:
    fail("2retnuh"[::-1])
except ValueError:
    log.exception("failed")
"""
    text = _logged(program, is_json=is_json)
    assert "it broke" in text
    assert "hunter2" not in text


def test_libraries_log_the_same_way() -> None:
    (event,) = _events('logging.getLogger("uvicorn.error").warning("gone %s", "away")')
    assert (event["event"], event["level"], event["logger"]) == ("gone away", "warning", "uvicorn.error")


def test_the_migrator_is_heard_only_when_something_is_wrong() -> None:
    events = _events("""
logging.getLogger("alembic.runtime.migration").info("Running upgrade")
logging.getLogger("alembic.runtime.migration").warning("something is wrong")
""")
    assert [event["event"] for event in events] == ["something is wrong"]


@pytest.mark.parametrize("library", ["httpx", "httpcore", "httpcore.connection"])
def test_http_clients_log_no_url(library: str) -> None:
    assert _logged(f"import logging; logging.getLogger({library!r}).info('POST https://hooks.slack.com/secret')") == ""


def test_events_below_the_level_are_not_logged() -> None:
    events = _events('log.info("a"); log.warning("b"); logging.getLogger("x").info("c")', level="warning")
    assert [event["event"] for event in events] == ["b"]


def test_libraries_never_log_their_debugging() -> None:
    events = _events('log.debug("a"); logging.getLogger("x").debug("c")', level="debug")
    assert [event["event"] for event in events] == ["a"]


def test_people_get_text() -> None:
    assert "request" in _logged('log.info("request", path="/a")', is_json=False)
