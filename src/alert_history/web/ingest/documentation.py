"""The ingest paths in the OpenAPI document: they are served by `webhook`, outside the router."""

from typing import Any

from alert_history.domain.speaker import SCOPE_PATTERN
from alert_history.web.http.operation import problem_response, schema_ref
from alert_history.web.ingest.webhook import Accepted

_ALERT = {
    "labels": {"alertname": "DiskFull", "instance": "db-1:9100", "severity": "critical"},
    "annotations": {"summary": "The disk of db-1 is full"},
    "startsAt": "2026-11-24T03:12:45.123Z",
    "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=up",
}
_WEBHOOK = {
    "version": "4",
    "receiver": "default",
    "status": "firing",
    "groupKey": '{}:{alertname="DiskFull"}',
    "externalURL": "http://alertmanager.example.com:9093",
    "alerts": [{"status": "firing", "endsAt": "0001-01-01T00:00:00Z", **_ALERT}],
}
_WEBHOOK_SCHEMA = {
    "description": "An Alertmanager v4 or Grafana webhook, or one event or an array of events of Alertmanager's "
    "event recorder; told apart by shape. Unknown fields pass.",
    "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}],
}
_ALERTS_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["labels"],
        "properties": {
            "labels": {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
            "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
            "startsAt": {"type": "string", "format": "date-time"},
            "endsAt": {"type": "string", "format": "date-time"},
            "generatorURL": {"type": "string"},
        },
    },
}


_SCOPE = {
    "name": "scope",
    "in": "query",
    "description": "Keeps apart label sets that only look alike, as of clusters without a label of their own.",
    "schema": {"type": "string", "pattern": f"^{SCOPE_PATTERN}$"},
    "example": "eu-1",
}


def ingest_paths() -> dict[str, Any]:
    """The path items of the three ingest paths."""
    return {
        "/webhook/proxy": _path(
            "Record alerts and pass them on",
            schema=_WEBHOOK_SCHEMA,
            example=_WEBHOOK,
            description="For Alertmanager, Grafana and Alertmanager's event recorder. 200 is sent after the commit. "
            "An alert that can't be kept goes to the quarantine; the others are kept. So does the whole of one whose "
            "annotations were too large and are cut.",
        ),
        "/webhook": _path(
            "Record alerts only",
            schema=_WEBHOOK_SCHEMA,
            example=_WEBHOOK,
            description="As `/webhook/proxy`, but nothing is passed on.",
        ),
        "/api/v2/alerts": _path(
            "Record alerts as Alertmanager's API does",
            schema=_ALERTS_SCHEMA,
            example=[_ALERT],
            description="For Prometheus and amtool. Valid alerts are kept even when the answer is 400. An error "
            "is a problem, or for callers that accept `application/json` alone its text, as Alertmanager sends it.",
        ),
    }


def ingest_types() -> list[type]:
    """The structs these paths answer with."""
    return [Accepted]


def _path(summary: str, *, schema: Any, example: Any, description: str) -> dict[str, Any]:
    accepted = {"application/json": {"schema": schema_ref(Accepted)}}
    return {
        "post": {
            "operationId": "post_" + summary.lower().replace("'", "").replace(" ", "_"),
            "summary": summary,
            "description": description,
            "tags": ["Ingest"],
            "parameters": [_SCOPE],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": schema, "example": example}},
            },
            "responses": {
                "200": {"description": "CommitEnded", "content": accepted},
                **{str(status): problem_response(status) for status in (400, 401, 403, 413, 415, 503)},
            },
        }
    }
