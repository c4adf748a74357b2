"""Rootly's outgoing webhooks: what people did about an alert there.

Source: Rootly's documentation of outgoing webhooks and of their payloads. It does not say where a payload names who did
it, so the likely places are looked at.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from alert_history.domain.acts import ActKind
from alert_history.domain.vendor_event import VendorEvent
from alert_history.errors import MalformedPayload

_KINDS: dict[str, ActKind] = {"alert.acknowledged": "acknowledged", "alert.resolved": "resolved"}
_OF_ALERTS = "alert."
_BY = {"alert.acknowledged": ("acknowledged_by", "user"), "alert.resolved": ("resolved_by", "user")}
_NAMES = ("full_name", "name", "email")


class _Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    issued_at: datetime


class _Webhook(msgspec.Struct, frozen=True):
    event: _Event
    data: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Webhook).decode


def decode_rootly(body: bytes) -> VendorEvent:
    """The event of a webhook. Raises MalformedPayload, which says what is wrong."""
    try:
        webhook = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedPayload(f"no webhook of Rootly: {error}") from None
    event, data = webhook.event, webhook.data or {}
    at = event.issued_at if event.issued_at.tzinfo else event.issued_at.replace(tzinfo=UTC)
    if not event.type.startswith(_OF_ALERTS):
        return VendorEvent("rootly", event.id, event.type, at)
    return VendorEvent(
        "rootly",
        event.id,
        event.type,
        at.astimezone(UTC),
        incident=_text(data.get("id")),
        occurrence_id=_text(data.get("deduplication_key")) or _text(data.get("external_id")),
        kind=_KINDS.get(event.type),
        by=_by(event.type, data),
        text=_text(data.get("resolution_message")),
    )


def _by(event_type: str, data: dict[str, Any]) -> str:
    """Who did it; empty where the payload does not say so."""
    for name in _BY.get(event_type, ()):
        person = data.get(name)
        names = [person.get(key) for key in _NAMES] if isinstance(person, dict) else [person]
        if author := next((text for text in map(_text, names) if text), ""):
            return author
    return ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
