"""All pages that people see, and a history that is hostile in every place where others write."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from tests.payloads import alert, webhook
from tests.processes import Server

PATHS = [
    "",
    "dashboard",
    "dashboard/history",
    "dashboard/history/live",
    "dashboard/notifications",
    "dashboard/night",
    "dashboard/rules",
    "dashboard/silences",
    "dashboard/targets",
    "dashboard/quarantine",
    "dashboard/sources",
    "dashboard/imports",
    "dashboard/imports/alertmanager",
    "dashboard/audit",
    "classifications",
    "dashboard/settings",
    "dashboard/tokens",
]
"""The pages that need no id, by their paths below the root."""

INNER = {"dashboard/history/live", "dashboard/imports/alertmanager"}
"""Those of them to which another page leads, and not the navigation."""

HOSTILE = (
    """<script>window.hit = 1</script><img src=//evil.example/x onerror="window.hit=1"><a href="javascript:hit=1">x"""
)
HOSTILE_PATHS = [*PATHS, "dashboard/night?since=-12h", f"dashboard/rules?rule={quote(HOSTILE)}0"]
"""The same, and those that show what the hostile history did today."""

_LONG = "a-very-long-value-without-any-space-" * 8


def fill_hostile(server: Server) -> None:
    """Alerts that fire and that are over, notes, and refused ones, all with hostile texts."""
    labels = {"namespace": HOSTILE, HOSTILE: HOSTILE, "long": _LONG, "runbook": "javascript:window.hit=1"}
    annotations = {"summary": HOSTILE, "runbook_url": "javascript:window.hit=1", HOSTILE: _LONG}
    alerts: list[dict[str, Any]] = [
        {
            **alert(number, status=status, alertname=f"{HOSTILE}{number}", severity=severity, **labels),
            "annotations": annotations,
            "generatorURL": "javascript:window.hit=1",
        }
        for number, (status, severity) in enumerate([("firing", "critical"), ("firing", HOSTILE), ("resolved", "info")])
    ]
    refused = {"status": HOSTILE, "labels": {"alertname": HOSTILE}, "startsAt": HOSTILE}
    _post(server, "/webhook/proxy", webhook(*alerts, refused, receiver=HOSTILE))
    _post(server, "/webhook", _silence_event())
    for occurrence in find_alerts(server):
        for path in ("acknowledge", "notes"):
            _post(server, f"/api/v1/alerts/{occurrence['id']}/{path}", {"by": HOSTILE[:100], "text": HOSTILE})
        _post(server, "/classification/classify", {"fingerprint": occurrence["fingerprint"]})


def _silence_event() -> dict[str, Any]:
    """A silence that is in force, as the event recorder tells of it."""
    now = datetime.now(UTC)
    matcher = {"type": "TYPE_EQUAL", "name": HOSTILE, "pattern": _LONG}
    silence = {
        "id": "s-1",
        "matcherSets": [{"matchers": [matcher, {**matcher, "name": "alertname", "pattern": HOSTILE}]}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=5)).isoformat(),
        "createdBy": HOSTILE,
        "comment": f"{HOSTILE} {_LONG}",
    }
    return {"@timestamp": now.isoformat(), "instance": HOSTILE[:60], "data": {"silenceCreated": {"silence": silence}}}


def fill_storm(server: Server) -> None:
    """Ten thousand alerts of some rules at once."""
    for start in range(0, 10_000, 1000):
        numbers = range(start, start + 1000)
        rules = ("NodeDown", "KubePodNotReady", "TargetDown", "EtcdNoLeader", "HighLatency")
        _post(server, "/webhook", webhook(*(alert(each, alertname=rules[each % len(rules)]) for each in numbers)))


def find_alerts(server: Server, **asked: str) -> list[dict[str, Any]]:
    """A page of the history."""
    answer = httpx.get(f"{server.url}/history", params=asked, trust_env=False, timeout=20)
    alerts: list[dict[str, Any]] = answer.raise_for_status().json()["alerts"]
    return alerts


def _post(server: Server, path: str, document: bytes | dict[str, Any]) -> None:
    content, json = (document, None) if isinstance(document, bytes) else (None, document)
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{server.url}{path}", content=content, json=json, headers=headers, trust_env=False, timeout=60)
    answer.raise_for_status()
