"""PagerDuty: one alert an event, through Events API v2; a resolve closes what its firing opened.

Holds the event and how it stays within PagerDuty's limits. For users: docs/reference/targets/pagerduty.md. Source:
PagerDuty's reference of Events API v2 (`dedup_key` ≤ 255, `summary` ≤ 1024 characters, an event ≤ 512 KB, 202 taken).
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal

import httpx
import msgspec

from alert_history.domain.target import Message, Outgoing, Sent, TargetSpec
from alert_history.domain.visible import first_visible
from alert_history.targets import answers, explaining
from alert_history.targets.fitting import clipped, fitted, sound_url
from alert_history.targets.wording import (
    act_words,
    annotated_urls,
    description_of,
    name_words,
    place_words,
    summary,
    unsaid_words,
    urgency,
)

Severity = Literal["critical", "error", "warning", "info"]

DEFAULT_URL = "https://events.pagerduty.com"

_PATH = "/v2/enqueue"
_SUMMARY_CHARACTERS = 1024
_DEDUP_KEY_CHARACTERS = 255
_DETAILS_BYTES = 400 * 1024  # of 512 KB: the rest of an event is cut to far less than what is left
_FIELD_CHARACTERS = 255
_CRITICAL = frozenset({"critical", "crit", "fatal", "emergency", "emerg", "disaster", "blocker", "page", "p1", "sev1"})
_SOURCES = ("instance", "node", "host", "pod", "service", "job", "cluster")
_COMPONENTS = ("component", "service", "container", "app", "job")
_GROUPS = ("namespace", "cluster", "environment", "env", "team")


def make(spec: TargetSpec, client: httpx.AsyncClient) -> "PagerDutyTarget":
    """A PagerDuty integration's target. Raises ValueError naming the key that is missing or wrong."""
    routing_key = answers.required(spec, "routing_key", "integration_key")
    url = answers.url_of(spec, "url", default=DEFAULT_URL).rstrip("/")
    return PagerDutyTarget(url if url.endswith(_PATH) else url + _PATH, client, routing_key=routing_key)


class PagerDutyTarget:
    """One integration. PagerDuty joins events by `dedup_key`, so that one sent twice is one alert."""

    speaks_of_groups = False
    default_rate_per_minute = 120.0  # what PagerDuty takes of one integration key
    takes_follow_ups = True  # joined to the open alert by `dedup_key`, in its log, without another call
    shown_acts = frozenset({"acknowledged"})  # Events API v2 knows no notes

    def __init__(self, url: str, client: httpx.AsyncClient, *, routing_key: str) -> None:
        self._url = url
        self._client = client
        self._routing_key = routing_key

    async def send(self, message: Message) -> Sent:
        (alert,) = message.alerts
        body = msgspec.json.encode({"routing_key": self._routing_key} | event(alert))
        answer = await answers.post(self._client, self._url, body=body, secrets=[self._routing_key])
        if not _is_taken(answer):
            raise answers.not_its_own(answer, "PagerDuty", secrets=[self._routing_key])
        return Sent(external_id=dedup_key(alert))

    def url_shown(self) -> str:
        return answers.url_shown(self._url)


def event(alert: Outgoing) -> dict[str, Any]:
    """The event for PagerDuty, but for the routing key: a resolve, or a trigger that opens its alert or renews it.

    A classification that follows after the end is a resolve too: a trigger would open a new alert. An acknowledgement
    stops the calls of an open alert; PagerDuty drops it where none is open.
    """
    if alert.act is not None:
        return {"event_action": "acknowledge", "dedup_key": dedup_key(alert), "payload": _acknowledged(alert)}
    if alert.status == "resolved":
        return {"event_action": "resolve", "dedup_key": dedup_key(alert)} | _unsaid(alert)
    trigger = {
        "event_action": "trigger",
        "dedup_key": dedup_key(alert),
        "client": "Alert History",
        "client_url": sound_url(alert.external_url),
        "links": _links(alert),
        "payload": _payload(alert),
    }
    return {name: value for name, value in trigger.items() if value}


def _acknowledged(alert: Outgoing) -> dict[str, Any]:
    """The payload for PagerDuty's log of an acknowledgement: who, and in which words."""
    payload = {"severity": severity(alert), "source": _first(alert.labels, _SOURCES) or "unknown"}
    return {"summary": clipped(f"{name_words([alert])}: {act_words(alert)}", _SUMMARY_CHARACTERS), **payload}


def _unsaid(alert: Outgoing) -> dict[str, Any]:
    """The payload for PagerDuty's log of an end that no sender said; other resolves need no payload."""
    words = unsaid_words(alert, lambda time: f"{time:%Y-%m-%d %H:%M} UTC")
    payload = {"severity": severity(alert), "source": _first(alert.labels, _SOURCES) or "unknown"}
    return (
        {"payload": {"summary": clipped(f"{name_words([alert])}: {words}", _SUMMARY_CHARACTERS), **payload}}
        if words
        else {}
    )


def dedup_key(alert: Outgoing) -> str:
    """The occurrence's id, so the same from its firing to its resolve, and another when it fires anew."""
    key = alert.occurrence_id
    return key if len(key) <= _DEDUP_KEY_CHARACTERS else sha256(key.encode()).hexdigest()


def severity(alert: Outgoing) -> Severity:
    """PagerDuty's word for how urgent it is: by its classification, noise being info, or else the label `severity`.

    An unknown word, or none, is an error: that still pages.
    """
    level = urgency(alert)
    if level != "critical" or alert.classification is not None:
        return level
    return "critical" if alert.labels.get("severity", "").strip().lower() in _CRITICAL else "error"


def _payload(alert: Outgoing) -> dict[str, Any]:
    payload = {
        "summary": clipped(_headline(alert), _SUMMARY_CHARACTERS),
        "severity": severity(alert),
        "source": _first(alert.labels, _SOURCES) or "unknown",
        "timestamp": alert.starts_at,
        "component": _first(alert.labels, _COMPONENTS),
        "group": _first(alert.labels, _GROUPS),
        "class": _first(alert.labels, ("alertname",)),
        "custom_details": _details(alert),
    }
    return {name: value for name, value in payload.items() if value}


def _headline(alert: Outgoing) -> str:
    text = summary(alert.annotations) or description_of(alert.annotations)
    name = name_words([alert])
    return f"{name}: {text}" if text else " · ".join([name, *place_words([alert])])


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    return clipped(first_visible(labels, *names), _FIELD_CHARACTERS)


def _details(alert: Outgoing) -> dict[str, Any]:
    """All labels and annotations, cut only where they would not fit; labels are cut last."""
    labels = fitted(alert.labels, max_bytes=_DETAILS_BYTES // 2)
    return _classification(alert) | {
        "labels": labels,
        "annotations": fitted(alert.annotations, max_bytes=_DETAILS_BYTES // 2),
        "firing_since": alert.starts_at,
        "receiver": clipped(alert.receiver, _FIELD_CHARACTERS),
        "fingerprint": alert.fingerprint,
    }


def _classification(alert: Outgoing) -> dict[str, Any]:
    if alert.classification is not None:
        return {"classification": explaining.fields(alert.classification)}
    reasons = explaining.unexplained([alert])
    return {"classification": reasons[0]} if reasons else {}


def _links(alert: Outgoing) -> list[dict[str, str]]:
    wanted = annotated_urls(alert.annotations) | {"Source": alert.generator_url}
    return [{"href": sound_url(url), "text": words} for words, url in wanted.items() if sound_url(url)]


def _is_taken(answer: answers.Answer) -> bool:
    try:
        document = msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.DecodeError:
        return False
    return answer.status == httpx.codes.ACCEPTED and document.get("status") == "success"
