"""Messages to send to vendors: one alert, ordinary or hostile, in every state it goes through."""

from datetime import UTC, datetime
from typing import Any

from alert_history.domain.classification import Classification
from alert_history.domain.target import Message, Outgoing, OutgoingAct

STARTED = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
ENDED = datetime(2026, 11, 24, 12, 7, tzinfo=UTC)
FINGERPRINT = "507a62d79ee76c9a"


def outgoing(**changes: Any) -> Outgoing:
    """A firing alert, with these fields other than usual."""
    usual: dict[str, Any] = {
        "occurrence_id": f"{FINGERPRINT}-1795521600123456",
        "fingerprint": FINGERPRINT,
        "status": "firing",
        "event": "fired",
        "labels": {
            "alertname": "DiskFull",
            "severity": "warning",
            "namespace": "shop",
            "instance": "db-1:9100",
            "job": "node",
        },
        "annotations": {
            "summary": "/var is 97 % full",
            "description": "It fills up at 2 GB an hour.",
            "runbook_url": "https://runbooks.example/disk-full",
        },
        "starts_at": STARTED,
        "ends_at": None,
        "at": STARTED,
        "generator_url": "https://prometheus.example/graph?g0.expr=up",
        "receiver": "team-db",
        "group_key": '{}:{alertname="DiskFull"}',
        "external_url": "https://alertmanager.example",
        "details": {"groupLabels": {"alertname": "DiskFull"}},
    }
    return Outgoing(**(usual | changes))


def resolved(**changes: Any) -> Outgoing:
    """The same alert, resolved."""
    return outgoing(**({"status": "resolved", "event": "resolved", "ends_at": ENDED, "at": ENDED} | changes))


def acknowledged(**changes: Any) -> Outgoing:
    """What a person did about the same alert: an acknowledgement unless `event` says otherwise."""
    act = OutgoingAct("ada", "I look into it", ENDED)
    return outgoing(**({"event": "acknowledged", "act": act, "at": ENDED, "group_key": "", "details": {}} | changes))


def classification(**changes: Any) -> Classification:
    """What the alert means, with these fields other than usual."""
    usual: dict[str, Any] = {
        "severity": "critical",
        "confidence": 0.92,
        "category": "capacity",
        "summary": "The volume is full within an hour",
        "probable_cause": "Logs of a crash loop are not rotated",
        "recommendations": ("Rotate the logs", "Grow the volume"),
        "reasoning": "It grew by 2 GB an hour all day",
        "tags": ("disk", "logs"),
        "source": "llm",
        "model": "gpt-4",
        "at": STARTED,
    }
    return Classification(**(usual | changes))


def classified(**changes: Any) -> Outgoing:
    """The same alert, known to the target, about which its classification follows."""
    ends_at = ENDED if changes.get("status") == "resolved" else None
    return outgoing(**({"event": "classified", "classification": classification(), "ends_at": ends_at} | changes))


SHOUT = "<!channel> @here @everyone </script> *x* [a](javascript:alert(1)) \u202e\x00\r\nX-Injected: yes "


def message(alert: Outgoing | None = None, *, key: str = "01936a3c-fired") -> Message:
    """A message that says one alert."""
    return Message(idempotency_key=key, alerts=(alert or outgoing(),))


BLANK = ("", " ", "\t\n", "\u200b\u2060", "\u3164", "\x00")
"""Names that nobody can see."""

HOSTILE: dict[str, Outgoing] = {
    "bare": outgoing(
        labels={}, annotations={}, generator_url="", external_url="", receiver="", group_key="", details={}
    ),
    "blank": outgoing(
        labels=dict.fromkeys(("alertname", "severity", "namespace", "instance", "job", "empty"), " \t") | {"empty": ""},
        annotations=dict.fromkeys(("summary", "description", "runbook_url", "dashboard"), " "),
        receiver=" ",
        group_key=" ",
    ),
    "large": outgoing(
        labels={"alertname": "A" * 5000} | {f"label_{i}": "v" * 2000 for i in range(300)},
        annotations={"summary": "s" * 1_000_000, "description": "d" * 1_000_000},
        generator_url="https://prometheus.example/" + "x" * 100_000,
    ),
    "wide": outgoing(labels={f"{'n' * 1000}{i}": "v" * 1000 for i in range(3000)}),
    "unicode and markup": outgoing(
        labels={"alertname": "Überlauf <!channel> 🔥", "instance": "<script>alert(1)</script>"},
        annotations={
            "summary": "\u202e日本語 & 'quotes' \"\\ \u2028",
            "description": "a\r\nX-Injected: yes\r\n\r\nb\x00",
        },
    ),
    "header injection": outgoing(
        labels={"alertname": "x\r\nX-Injected: yes", "instance": "a\r\n\r\nGET / HTTP/1.1"},
        receiver="r\r\nX-Injected: yes",
        group_key="g\r\nX-Injected: yes",
    ),
    "bad links": outgoing(
        annotations={"runbook_url": "javascript:alert(1)", "dashboard": "http://[::1", "summary": " "},
        generator_url="not a url",
        external_url="ftp://user:pass@x",
    ),
    "loud classification": outgoing(
        classification=classification(
            **dict.fromkeys(("category", "summary", "probable_cause", "reasoning", "model"), SHOUT * 400),
            recommendations=(SHOUT * 400, "") * 50,
            tags=(SHOUT,) * 500,
            confidence=7.0,
        )
    ),
    "empty classification": outgoing(
        classification=classification(
            **dict.fromkeys(("category", "summary", "probable_cause", "reasoning", "model"), ""),
            recommendations=(),
            tags=(),
            severity="noise",
        )
    ),
    "loud reason": outgoing(unenriched=SHOUT * 400),
    "earliest and latest": outgoing(
        starts_at=datetime(1, 1, 1, tzinfo=UTC),
        ends_at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        status="resolved",
    ),
}
"""Alerts that a target must get past its vendor all the same, by what is hard about them."""
