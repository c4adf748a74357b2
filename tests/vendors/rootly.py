"""Rootly's alerts, as its OpenAPI document describes them: JSON:API, strict about every attribute."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import msgspec

from tests.vendors.server import Reply, Request, json_reply

API_KEY = "rootly_5f2c0a91d7e84b3f"
SERVICE_ID = "7c1d3e52-0000-4000-8000-0123456789ab"

FORMAT = "rootly"
SECRETS = (API_KEY,)

_MEDIA = "application/vnd.api+json"
_SOURCES = {"rootly", "manual", "api", "web", "alertmanager", "generic_webhook", "grafana"}
_TEXTS = {"summary", "description", "external_id", "external_url", "deduplication_key"}
_TIMES = {"started_at", "ended_at"}
_NEW = _TEXTS | _TIMES | {"source", "status", "labels", "service_ids", "data", "noise"}
_CHANGED = _NEW - {"status", "deduplication_key"}
_RESOLUTION = {"resolution_message", "resolve_related_incidents"}
_NOTE = {"kind", "details"}
_ONE = re.compile(r"/v1/alerts/(?P<id>[0-9a-f-]{36})(?:/(?P<call>resolve|acknowledge|events))?")


def fields(url: str) -> dict[str, str]:
    """A target's keys for the server at `url`."""
    return {"url": url, "api_key": API_KEY, "organization_id": "acme", "service_id": SERVICE_ID}


def wrong_fields(url: str) -> dict[str, str]:
    """The same, with a key that the vendor does not know."""
    return fields(url) | {"api_key": "rootly_of_somebody_else"}


@dataclass
class Rootly:
    """One organisation. `alerts` holds each alert's attributes by id; `status` is that of its whole life."""

    taken: int = 0
    refusals: list[str] = field(default_factory=list)
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def of_status(self, status: str) -> list[str]:
        """The ids of the alerts that have it, oldest first."""
        return [alert_id for alert_id, alert in self.alerts.items() if alert["status"] == status]

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {API_KEY}":
            return self._refuse(401, "Invalid token")
        if request.headers.get("content-type") != _MEDIA:
            return self._refuse(415, f"The content type must be {_MEDIA}")
        try:
            document = request.json()
        except msgspec.DecodeError:
            return self._refuse(400, "The document is no JSON")
        if (request.method, request.path) == ("POST", "/v1/alerts"):
            return self._create(document)
        return self._one(request, document)

    def _create(self, document: Any) -> Reply:
        faults = _faults(document, allowed=_NEW, required={"source", "summary"})
        if faults:
            return self._refuse(422, faults)
        attributes = document["data"]["attributes"]
        key = attributes.get("deduplication_key")
        same = [i for i, alert in self.alerts.items() if alert.get("deduplication_key") == key]
        still_open = [i for i in same if self.alerts[i]["status"] != "resolved"] if key else []
        if still_open:
            return self._take(201, still_open[0])
        alert_id = str(uuid5(UUID(int=0), str(len(self.alerts))))
        self.alerts[alert_id] = {"status": "open", **attributes}
        return self._take(201, alert_id)

    def _one(self, request: Request, document: Any) -> Reply:
        match = _ONE.fullmatch(request.path)
        if match is None or match["id"] not in self.alerts:
            return self._refuse(404, "Not found or unauthorized")
        call = match["call"]
        if request.method != ("PATCH" if call is None else "POST"):
            return self._refuse(404, "Not found or unauthorized")
        if call == "events":
            return self._note(match["id"], document)
        allowed = {"resolve": _RESOLUTION, "acknowledge": set()}.get(call or "", _CHANGED)
        if faults := _faults(document, allowed=allowed, required=set()):
            return self._refuse(422, faults)
        states = {"resolve": {"status": "resolved"}, "acknowledge": {"status": "acknowledged"}}
        self.alerts[match["id"]].update(states.get(call or "", document["data"]["attributes"]))
        return self._take(200, match["id"])

    def _note(self, alert_id: str, document: Any) -> Reply:
        if faults := _faults(document, allowed=_NOTE, required=_NOTE, kind="alert_events"):
            return self._refuse(422, faults)
        self.taken += 1
        self.notes.append((alert_id, document["data"]["attributes"]["details"]))
        resource = {"id": f"note-{len(self.notes)}", "type": "alert_events", "attributes": {}}
        return json_reply(201, {"data": resource}, media=_MEDIA)

    def _take(self, status: int, alert_id: str) -> Reply:
        self.taken += 1
        resource = {"id": alert_id, "type": "alerts", "attributes": self.alerts[alert_id]}
        return json_reply(status, {"data": resource}, media=_MEDIA)

    def _refuse(self, status: int, title: str) -> Reply:
        self.refusals.append(title)
        return json_reply(status, {"errors": [{"title": title, "status": str(status)}]}, media=_MEDIA)


def _faults(document: Any, *, allowed: set[str], required: set[str], kind: str = "alerts") -> str:
    data = document.get("data", {})
    attributes = data.get("attributes", {})
    unknown = sorted(set(attributes) - allowed)
    missing = sorted(required - set(attributes))
    wrong = sorted(name for name, value in attributes.items() if not _is_sound(name, value))
    faults = {"type": data.get("type") != kind, "unknown": unknown, "missing": missing, "wrong": wrong}
    return "; ".join(f"{name}: {fault}" for name, fault in faults.items() if fault)


def _is_sound(name: str, value: Any) -> bool:
    if name in _TIMES:
        return datetime.fromisoformat(value).tzinfo is not None
    if name == "labels":
        return all(
            set(label) == {"key", "value"} and all(isinstance(v, str) and v.strip() for v in label.values())
            for label in value
        )
    if name == "service_ids":
        return all(isinstance(service_id, str) for service_id in value)
    allowed: set[Any] | None = {"source": _SOURCES, "status": {"open", "triggered"}}.get(name)
    if allowed is not None:
        return value in allowed
    return isinstance(value, dict) if name == "data" else isinstance(value, str) and bool(value.strip())
