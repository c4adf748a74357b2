"""Opsgenie's Alert API, as its OpenAPI document and its page of search queries describe it.

It takes what Alertmanager sends, and gives lists, single alerts, notes and logs in pages, with the limits of the real
one: 100 a page, and `offset` plus `limit` at most 20 000. Source: opsgenie-oas.json 2.0.0, 2 August 2021.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID, uuid5

import msgspec

from tests.vendors.server import Reply, Request, json_reply

API_KEY = "0f3b6c5e-5d0c-4e0e-9d0a-6f1f2e3d4c5b"

_ONE = re.compile(r"/v2/alerts/(?P<id>[^/]+)(?:/(?P<call>notes|logs|close))?")
_CONDITION = re.compile(r"(?P<field>createdAt|status)\s*(?P<operator>>=|<|:)\s*(?P<value>\w+)")
_UNLISTED = frozenset({"actions", "entity", "description", "details"})
"""What a list leaves out."""


def at(milliseconds: int) -> str:
    """A time as Opsgenie writes it."""
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def alert(number: int, *, created_ms: int, **fields: Any) -> dict[str, Any]:
    """A closed alert of an integration of its API, with all fields."""
    alert_id = str(uuid5(UUID(int=0), str(number)))
    return {
        "id": alert_id,
        "tinyId": str(number),
        "alias": f"event_{number}",
        "message": f"Message {number}",
        "status": "closed",
        "acknowledged": False,
        "isSeen": True,
        "tags": [],
        "snoozed": False,
        "count": 1,
        "lastOccurredAt": at(created_ms),
        "createdAt": at(created_ms),
        "updatedAt": at(created_ms + 60_000),
        "source": "Isengard",
        "owner": "",
        "priority": "P3",
        "responders": [],
        "integration": {"id": str(UUID(int=1)), "name": "Nebuchadnezzar", "type": "API"},
        "report": {"closeTime": 60_000, "closedBy": "Alert API"},
        "actions": [],
        "entity": "",
        "description": "",
        "details": {},
    } | fields


@dataclass
class Opsgenie:
    """One account. `notes` and `logs` hold the entries by the alert's id, oldest first."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    logs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    last_row: int = 20_000

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"GenieKey {API_KEY}":
            return _refusal(401, "Api Key is not valid")
        parts = urlsplit(request.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/v2/alerts":
            return self._list(query) if request.method == "GET" else self._create(request.json())
        match = _ONE.fullmatch(parts.path)
        one = match and self._find(unquote(match["id"]), query.get("identifierType", "id"))
        if match is None or one is None:
            return _refusal(404, "Alert not found")
        if match["call"] is None:
            return json_reply(200, {"data": one, "took": 0.001, "requestId": "r"})
        if match["call"] == "close":
            return self._close(one)
        entries = (self.notes if match["call"] == "notes" else self.logs).get(one["id"], [])
        return _entries(entries, query, path=parts.path)

    def _find(self, name: str, kind: str) -> dict[str, Any] | None:
        own = "alias" if kind == "alias" else "id"
        return next((each for each in reversed(self.alerts) if each[own] == name), None)

    def _list(self, query: dict[str, str]) -> Reply:
        offset, limit = int(query.get("offset", "0")), int(query.get("limit", "20"))
        if limit > 100 or offset + limit > self.last_row:
            return _refusal(422, "Request body is not processable")
        if (query.get("sort"), query.get("order")) != ("createdAt", "asc"):
            return _refusal(422, "This test's server sorts by createdAt only")
        rows = sorted((each for each in self.alerts if _is_asked(each, query["query"])), key=lambda a: a["createdAt"])
        page = [{name: row[name] for name in row if name not in _UNLISTED} for row in rows[offset : offset + limit]]
        return json_reply(200, {"data": page, "paging": {}, "took": 0.1, "requestId": "r"})

    def _create(self, document: Any) -> Reply:
        """As from Alertmanager: an open alert of the same alias counts one more."""
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        same = next((a for a in self.alerts if a["alias"] == document["alias"] and a["status"] == "open"), None)
        if same is not None:
            same |= {"count": same["count"] + 1, "lastOccurredAt": at(now_ms), "updatedAt": at(now_ms)}
        else:
            new = alert(len(self.alerts), created_ms=now_ms, status="open", report={})
            new["integration"] = {"id": str(UUID(int=2)), "name": "Prometheus", "type": "Prometheus"}
            known = {name: value for name, value in document.items() if name in new}
            self.alerts.append(new | known)
        return json_reply(202, {"result": "Request will be processed", "took": 0.1, "requestId": "r"})

    def _close(self, one: dict[str, Any]) -> Reply:
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        took = now_ms - int(_ms(one["createdAt"]))
        one |= {"status": "closed", "updatedAt": at(now_ms), "report": {"closeTime": took, "closedBy": "Prometheus"}}
        return json_reply(202, {"result": "Request will be processed", "took": 0.1, "requestId": "r"})


def _entries(entries: list[dict[str, Any]], query: dict[str, str], *, path: str) -> Reply:
    limit = int(query.get("limit", "20"))
    if limit > 100 or query.get("order") != "asc":
        return _refusal(422, "Request body is not processable")
    begin = 0
    if "offset" in query:
        begin = next(place for place, entry in enumerate(entries) if entry["offset"] == query["offset"]) + 1
    page = entries[begin : begin + limit]
    paging = {"first": f"https://api.opsgenie.com{path}?order=asc&limit={limit}"}
    if page:
        paging["next"] = f"https://api.opsgenie.com{path}?order=asc&limit={limit}&offset={page[-1]['offset']}"
    return json_reply(200, {"data": page, "paging": paging, "took": 0.1, "requestId": "r"})


def _is_asked(one: dict[str, Any], query: str) -> bool:
    conditions = list(_CONDITION.finditer(query))
    assert conditions, f"this test's server does not know the query {query!r}"
    return all(_holds(one, condition) for condition in conditions)


def _holds(one: dict[str, Any], condition: re.Match[str]) -> bool:
    if condition["field"] == "status":
        return bool(one["status"] == condition["value"])
    created, asked = _ms(one["createdAt"]), int(condition["value"])
    return created >= asked if condition["operator"] == ">=" else created < asked


def _ms(time: str) -> int:
    return round(msgspec.convert(time, datetime).timestamp() * 1000)


def _refusal(status: int, message: str) -> Reply:
    return json_reply(status, {"message": message, "took": 0.0, "requestId": "r"})
