"""Silences of the demo's company, as the event recorder of the Alertmanager in Europe tells of them.

An alert that is silenced never reaches the webhook, so the recorder alone tells that it fired. Pure.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from alert_history.demo.dates import Span
from alert_history.demo.firing import Firing, Message

_INSTANCE = "alertmanager-0.eu1.example.com:9093"
_PATH = "/webhook"
_LOOKED_AT_AFTER = timedelta(seconds=30)
_ON_THE_WAY = timedelta(milliseconds=60)
_RECOVERED = timedelta(seconds=1)


class Silenced(msgspec.Struct, frozen=True):
    """A silence: its id, which labels it matches, when, who made it, and why."""

    id: str
    matches: dict[str, str]
    span: Span
    created_by: str
    comment: str

    def on_wire(self) -> dict[str, Any]:
        """The silence as protojson."""
        matchers = [{"type": "TYPE_EQUAL", "name": name, "pattern": value} for name, value in self.matches.items()]
        return {
            "id": self.id,
            "matchers": matchers,
            "matcherSets": [{"matchers": matchers}],
            "startsAt": self.span.begin,
            "endsAt": self.span.end,
            "updatedAt": self.span.begin,
            "createdBy": self.created_by,
            "comment": self.comment,
        }


def over_settlement(span: Span) -> Silenced:
    """The silence that hid a fault."""
    return Silenced(
        "5d0c7f8e-4b61-4a0e-9a37-2f1c6b9e0d42",
        {"namespace": "payments", "service": "settlement"},
        span,
        "mara@example.com",
        "The settlement worker moves to new machines over the weekend, its retries are noise until then",
    )


def over_cable(today: datetime) -> Silenced:
    """A silence that is in force now: somebody waits for a part."""
    return Silenced(
        "c1a5b0d4-77e2-4d3b-8b0e-6f4f0c2f9a11",
        {"alertname": "NodeNetworkReceiveErrs", "node": "worker-2"},
        Span(today - timedelta(days=2, hours=-10), today + timedelta(days=9)),
        "jonas@example.com",
        "The cable of worker-2 is ordered, it comes next week",
    )


def created(silence: Silenced) -> Message:
    """Somebody made a silence."""
    return _message(silence.span.begin, "silenceCreated", {"silence": silence.on_wire()})


def muted(firings: Iterable[Firing], silence: Silenced) -> Iterator[Message]:
    """All that is told of firings which a silence mutes: each began, was muted, and ended."""
    for firing in firings:
        alert = _alert(firing)
        yield _message(firing.starts_at, "alertCreated", {"alert": alert})
        looked_at = firing.starts_at + _LOOKED_AT_AFTER
        named = {"labels": alert["labels"], "fingerprint": alert["fingerprint"]}
        yield _message(looked_at, "silenceMutedAlert", {"silence": silence.on_wire(), "mutedAlert": named})
        if firing.ends_at is not None:
            over = {**alert, "endsAt": firing.ends_at, "resolved": True}
            yield _message(firing.ends_at + _RECOVERED, "alertResolved", {"alert": {"details": over}})


def _message(at: datetime, kind: str, payload: dict[str, Any]) -> Message:
    event = {"@timestamp": at, "instance": _INSTANCE, "data": {kind: payload}}
    return Message.of(at + _ON_THE_WAY, _PATH, msgspec.json.encode(event))


def _alert(firing: Firing) -> dict[str, Any]:
    return {
        "labels": _pairs(firing.labels),
        "annotations": _pairs(firing.annotations),
        "startsAt": firing.starts_at,
        "fingerprint": str(int(firing.fingerprint, 16)),
    }


def _pairs(texts: dict[str, str]) -> dict[str, Any]:
    return {"labels": [{"key": name, "value": value} for name, value in texts.items()]}
