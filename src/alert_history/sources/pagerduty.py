"""PagerDuty's V3 webhooks: what people did about an incident there.

Source: PagerDuty's overview of V3 webhooks. An event of type `incident.annotated` holds the id of its incident, and not
its key; the others hold both.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from alert_history.domain.acts import ActKind
from alert_history.domain.vendor_event import VendorEvent
from alert_history.errors import MalformedPayload

_KINDS: dict[str, ActKind] = {
    "incident.acknowledged": "acknowledged",
    "incident.unacknowledged": "unacknowledged",
    "incident.resolved": "resolved",
    "incident.annotated": "noted",
    "incident.status_update_published": "noted",
}
_OF_INCIDENTS = "incident."
_OUR_AGENT = "integration"  # in the type of an agent that is the integration which our events go to
_MERGED = "merge_resolve_reason"


class _Agent(msgspec.Struct, frozen=True):
    id: str | None = None
    type: str | None = None
    summary: str | None = None


class _Event(msgspec.Struct, frozen=True):
    id: str
    event_type: str
    occurred_at: datetime
    data: dict[str, Any]
    agent: _Agent | None = None


class _Webhook(msgspec.Struct, frozen=True):
    event: _Event


_decode = msgspec.json.Decoder(_Webhook).decode


def decode_pagerduty(body: bytes) -> VendorEvent:
    """The event of a webhook. Raises MalformedPayload, which says what is wrong."""
    try:
        event = _decode(body).event
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedPayload(f"no V3 webhook of PagerDuty: {error}") from None
    agent, data = event.agent or _Agent(), event.data
    at = event.occurred_at if event.occurred_at.tzinfo else event.occurred_at.replace(tzinfo=UTC)
    if not event.event_type.startswith(_OF_INCIDENTS):
        return VendorEvent("pagerduty", event.id, event.event_type, at)
    return VendorEvent(
        "pagerduty",
        event.id,
        event.event_type,
        at.astimezone(UTC),
        incident=_incident(data),
        occurrence_id=_text(data.get("incident_key")),
        kind=_KINDS.get(event.event_type),
        by=agent.summary or agent.id or "",
        text=_words(data),
        is_ours=_OUR_AGENT in (agent.type or ""),
    )


def _incident(data: dict[str, Any]) -> str:
    """The id of the incident: of the data itself, or of what the data is about."""
    incident = data.get("incident")
    return _text(incident.get("id")) if isinstance(incident, dict) else _text(data.get("id"))


def _words(data: dict[str, Any]) -> str:
    reason = data.get("resolve_reason")
    if isinstance(reason, dict) and reason.get("type") == _MERGED:
        return "merged into another incident"
    return _text(data.get("content")) or _text(data.get("message"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
