"""What PagerDuty and Rootly send to us of what people did there, signed as they sign.

Written after their documentation, because no account is at hand: PagerDuty's overview of V3 webhooks, with the event of
*Send Test Event*; Rootly's pages on outgoing webhooks and event payloads.
"""

import hmac
from hashlib import sha256
from typing import Any
from uuid import uuid4

import msgspec

PAGERDUTY_KEY = "9dDuNlSmXZ0kQ1vT7cRf"
ROOTLY_KEY = "rootly-5f2c0a91d7e84b3f"
INCIDENT = "PGR0VU2"
ROOTLY_ALERT = "13c82722-ec52-4eda-aaa2-771f7c81c01c"

_ADA = {
    "html_url": "https://acme.pagerduty.com/users/PLH1HKV",
    "id": "PLH1HKV",
    "self": "https://api.pagerduty.com/users/PLH1HKV",
    "summary": "Ada Lovelace",
    "type": "user_reference",
}
OUR_INTEGRATION = {
    "id": "PIJ90N7",
    "summary": "Events API V2",
    "type": "events_api_v2_inbound_integration_reference",
}


def pagerduty_event(
    event_type: str,
    *,
    data: dict[str, Any],
    event_id: str | None = None,
    agent: dict[str, Any] | None = _ADA,
    at: str = "2026-11-24T03:20:00.169Z",
) -> bytes:
    """The body of a V3 webhook; each event has an id of its own unless it is given."""
    event = {
        "id": event_id or uuid4().hex,
        "event_type": event_type,
        "resource_type": event_type.partition(".")[0],
        "occurred_at": at,
        "agent": agent,
        "client": {"name": "PagerDuty"},
        "data": data,
    }
    return msgspec.json.encode({"event": event})


def incident(key: str | None, *, incident_id: str = INCIDENT, **more: Any) -> dict[str, Any]:
    """The `data` of most events of an incident, which was made for our key."""
    return {
        "id": incident_id,
        "type": "incident",
        "self": f"https://api.pagerduty.com/incidents/{incident_id}",
        "html_url": f"https://acme.pagerduty.com/incidents/{incident_id}",
        "number": 2,
        "status": "triggered",
        "incident_key": key,
        "created_at": "2026-11-24T03:12:50Z",
        "title": "DiskFull: The disk of db-1 is full",
        "service": {"id": "PF9KMXH", "summary": "API Service", "type": "service_reference"},
        "assignees": [_ADA],
        "escalation_policy": {"id": "PUS0KTE", "summary": "Default", "type": "escalation_policy_reference"},
        "teams": [],
        "priority": None,
        "urgency": "high",
        "conference_bridge": None,
        "resolve_reason": None,
        **more,
    }


def incident_note(content: str, *, incident_id: str = INCIDENT) -> dict[str, Any]:
    """The `data` of `incident.annotated`, which names the incident and not its key."""
    reference = {"id": incident_id, "summary": "DiskFull", "type": "incident_reference"}
    return {"incident": reference, "id": "P2LA89X", "content": content, "trimmed": False, "type": "incident_note"}


def ping() -> bytes:
    """What *Send Test Event* sends."""
    agent = {"id": "PVE0ZR9", "type": "user_reference"}
    return pagerduty_event("pagey.ping", data={"message": "Hello from your friend Pagey!", "type": "ping"}, agent=agent)


def pagerduty_signature(body: bytes, *keys: str) -> dict[str, str]:
    """The header with a signature for each of these secrets."""
    made = [hmac.new(key.encode(), body, sha256).hexdigest() for key in keys or (PAGERDUTY_KEY,)]
    return {"X-PagerDuty-Signature": ",".join(f"v1={signature}" for signature in made)}


def rootly_event(event_type: str, *, at: str = "2026-11-23T19:20:00.546-08:00", **alert: Any) -> bytes:
    """The body of one of Rootly's webhooks about an alert."""
    event = {"id": str(uuid4()), "type": event_type, "issued_at": at}
    data = {
        "id": ROOTLY_ALERT,
        "team_id": 1,
        "source": "alertmanager",
        "summary": "DiskFull: The disk of db-1 is full",
        "labels": [],
        "data": {},
        "external_id": None,
        "external_url": None,
        "started_at": "2026-11-23T19:12:45.123-08:00",
        "ended_at": None,
        "created_at": "2026-11-23T19:12:50.546-08:00",
        "updated_at": "2026-11-23T19:20:00.546-08:00",
        **alert,
    }
    return msgspec.json.encode({"event": event, "data": data})


def rootly_signature(body: bytes, *, key: str = ROOTLY_KEY, timestamp: str = "1795490400") -> dict[str, str]:
    """The header: a time, and the signature of the time and the body."""
    made = hmac.new(key.encode(), timestamp.encode() + body, sha256).hexdigest()
    return {"X-Rootly-Signature": f"t={timestamp},v1={made}"}
