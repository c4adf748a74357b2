"""Payloads as Alertmanager sends them, with as many different alerts as a test needs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from alert_history.domain.alert import fingerprint

STARTED_AT = datetime(2026, 11, 24, 3, 12, 45, 123000, tzinfo=UTC)


def alert(number: int, *, status: str = "firing", alertname: str = "DiskFull", **labels: str) -> dict[str, Any]:
    """One alert of an Alertmanager webhook; `number` makes it another one."""
    all_labels = {"alertname": alertname, "instance": f"db-{number}:9100", "severity": "critical", **labels}
    ends_at = "0001-01-01T00:00:00Z" if status == "firing" else (STARTED_AT + timedelta(minutes=5)).isoformat()
    return {
        "status": status,
        "labels": all_labels,
        "annotations": {"summary": f"The disk of db-{number} is full"},
        "startsAt": STARTED_AT.isoformat(),
        "endsAt": ends_at,
        "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=up",
        "fingerprint": fingerprint(all_labels),
    }


def webhook(*alerts: dict[str, Any], receiver: str = "default") -> bytes:
    """An Alertmanager v4 webhook body with these alerts."""
    body = {
        "version": "4",
        "receiver": receiver,
        "status": "firing",
        "groupKey": '{}:{alertname="DiskFull"}',
        "truncatedAlerts": 0,
        "groupLabels": {"alertname": "DiskFull"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com:9093",
        "alerts": list(alerts),
    }
    return msgspec.json.encode(body)
