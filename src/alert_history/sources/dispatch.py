"""Recognises the sender of a webhook's body by its shape, and hands the body to the sender's module."""

from datetime import datetime

from alert_history.domain.alert import AlertGroup
from alert_history.errors import MalformedPayload
from alert_history.sources import alertmanager, event_recorder
from alert_history.sources.json_document import Document, read_document

_KNOWN = "an Alertmanager or Grafana notification (`alerts`) or an event of the event recorder (`@timestamp`, `data`)"


def decode_webhook(body: bytes, *, received_at: datetime, max_alerts: int) -> AlertGroup:
    """Decode a notification of Alertmanager or Grafana, or one event or an array of them of the event recorder.

    Raises:
        MalformedPayload: nothing in the body can be used; the message says what is wrong, and where.
        PayloadTooLarge: more than `max_alerts` alerts or events.
    """
    group = alertmanager.decode_sound(body, received_at=received_at, max_alerts=max_alerts)
    if group is not None:
        return group
    document = read_document(body, max_items=max_alerts)
    if event_recorder.is_events(document):
        return event_recorder.decode_events(document, max_things=max_alerts)
    if not alertmanager.is_notification(document):
        raise MalformedPayload(_what_is_wrong(document))
    return alertmanager.decode_each(document, received_at=received_at)


def _what_is_wrong(document: Document) -> str:
    if document.is_array:
        return f"$ is an array without an event of the event recorder; expected {_KNOWN}"
    if "alerts" in document.fields:
        return "$.alerts is not an array"
    return f"$ is an object of no known shape; expected {_KNOWN}"
