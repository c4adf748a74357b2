"""PagerDuty's Events API v2, as its reference describes it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from tests.vendors.server import Reply, Request, json_reply

ROUTING_KEY = "0123456789abcdef0123456789abcdef"

FORMAT = "pagerduty"
SECRETS = (ROUTING_KEY,)

_EVENT = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}
_PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
_SEVERITIES = {"critical", "error", "warning", "info"}
_ACTIONS = {"trigger", "acknowledge", "resolve"}
_EVENT_BYTES = 512 * 1024


def fields(url: str) -> dict[str, str]:
    """A target's keys for the server at `url`."""
    return {"integration_key": ROUTING_KEY, "url": url}


def wrong_fields(url: str) -> dict[str, str]:
    """The same, with a key that the vendor does not know."""
    return fields(url) | {"integration_key": "not-one-of-ours"}


@dataclass
class PagerDuty:
    """One service. `open_alerts` holds the newest payload by dedup key; `resolved` the keys it closed, in order."""

    taken: int = 0
    refusals: list[str] = field(default_factory=list)
    open_alerts: dict[str, Any] = field(default_factory=dict)
    resolved: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        if (request.method, request.path) != ("POST", "/v2/enqueue"):
            return Reply(404)
        if len(request.body) > _EVENT_BYTES:
            return self._refuse(["Event size exceeds the limit of 512 KB"])
        try:
            event = request.json()
        except msgspec.DecodeError:
            return self._refuse(["Invalid JSON"])
        if faults := _faults(event):
            return self._refuse(faults)
        if event["routing_key"] != ROUTING_KEY:
            return json_reply(400, {"status": "invalid event", "message": "Invalid routing key"})
        self.taken += 1
        self._take(event)
        answer = {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
        return json_reply(202, answer)

    def _take(self, event: dict[str, Any]) -> None:
        key = event["dedup_key"]
        if event["event_action"] == "trigger":
            self.open_alerts[key] = event
        elif event["event_action"] == "acknowledge" and key in self.open_alerts:
            self.acknowledged.append(key)
        elif event["event_action"] == "resolve" and self.open_alerts.pop(key, None):
            self.resolved.append(key)

    def _refuse(self, errors: list[str]) -> Reply:
        self.refusals += errors
        return json_reply(400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors})


def _faults(event: dict[str, Any]) -> list[str]:
    wrong = {
        "Length of 'routing_key' is incorrect (should be 32 characters)": len(event.get("routing_key", "")) != 32,
        "'event_action' is invalid": event.get("event_action") not in _ACTIONS,
        "'dedup_key' is invalid": not 0 < len(event.get("dedup_key", "")) <= 255,
        "unknown fields": bool(set(event) - _EVENT),
        "'links' is invalid": not all(_is_link(link) for link in event.get("links", [])),
    }
    faults = [text for text, is_wrong in wrong.items() if is_wrong]
    return faults + (_payload_faults(event.get("payload")) if event.get("event_action") == "trigger" else [])


def _payload_faults(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    wrong = {
        "'payload.summary' is missing or blank": not payload.get("summary", "").strip(),
        "'payload.summary' is too long": len(payload.get("summary", "")) > 1024,
        "'payload.source' is missing or blank": not payload.get("source", "").strip(),
        "'payload.severity' is invalid": payload.get("severity") not in _SEVERITIES,
        "'payload.timestamp' is invalid": not _is_time(payload.get("timestamp")),
        "unknown fields of the payload": bool(set(payload) - _PAYLOAD),
    }
    return [text for text, is_wrong in wrong.items() if is_wrong]


def _is_link(link: Any) -> bool:
    return isinstance(link, dict) and str(link.get("href", "")).startswith(("http://", "https://"))


def _is_time(text: Any) -> bool:
    return text is None or datetime.fromisoformat(text).tzinfo is not None
