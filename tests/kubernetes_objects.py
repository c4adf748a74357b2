"""What a Kubernetes API server keeps and how it shows it: objects with their history, selectors, patches, events.

Must not know HTTP: that is `kubernetes_api`.
"""

import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

Object = dict[str, Any]

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "AlreadyExists",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    500: "InternalError",
}


class Refusal(Exception):
    """An answer that is a `Status` of failure."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def body(self) -> Object:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": _REASONS.get(self.code, "InternalError"),
            "code": self.code,
        }


class Change(NamedTuple):
    """One entry of the history: an object before and after."""

    version: int
    resource: str
    before: Object | None
    after: Object | None


@dataclass
class Etcd:
    """What is kept: objects by resource, namespace and name, and how they came to be so."""

    version: int = 100
    compacted: int = 0
    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)

    def put(self, resource: str, namespace: str, new: Object) -> Object:
        """Create or replace an object; as it is kept. The same content again changes nothing."""
        key = (resource, namespace, new["metadata"]["name"])
        before = self.objects.get(key)
        if before is not None and _content(before) == _content(new):
            return before
        self.version += 1
        new["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = new
        self.history.append(Change(self.version, resource, before, new))
        return new

    def remove(self, resource: str, namespace: str, name: str) -> Object:
        """Raises: KeyError."""
        before = self.objects.pop((resource, namespace, name))
        self.version += 1
        self.history.append(Change(self.version, resource, before, None))
        return before


def named(kind: str, name: str) -> Object:
    return checked({"kind": kind, "apiVersion": "v1", "metadata": {"name": name}}, None)


def checked(new: Object, old: Object | None) -> Object:
    """What the server fills in and refuses before it keeps an object."""
    metadata = new["metadata"]
    if old is None:
        metadata |= {"uid": str(uuid4()), "creationTimestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    for key, text in (new.pop("stringData", None) or {}).items():
        new.setdefault("data", {})[key] = b64encode(text.encode()).decode()
    if new["kind"] == "Secret":
        new["type"] = new.get("type") or "Opaque"
        for key, value in (new.get("data") or {}).items():
            with suppress(NotBase64, TypeError):
                b64decode(value, validate=True)
                continue
            raise Refusal(400, f"Secret in version v1 cannot be handled: illegal base64 data in {key}")
    return new


def _content(item: Object) -> Object:
    copy = deepcopy(item)
    copy["metadata"].pop("resourceVersion", None)
    return copy


def merged(document: Any, patch: Any) -> Any:
    """RFC 7386, which for the maps of a Secret is also what a strategic merge does."""
    if not isinstance(patch, dict):
        return patch
    result = deepcopy(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def selects(query: Mapping[str, str], item: Object) -> bool:
    labels = item["metadata"].get("labels") or {}
    fields = {"metadata.name": item["metadata"]["name"], "metadata.namespace": item["metadata"].get("namespace", "")}
    return _meets(query.get("labelSelector", ""), labels) and _meets(query.get("fieldSelector", ""), fields)


def _meets(selector: str, values: Mapping[str, str]) -> bool:
    return all(_meets_one(term, values) for term in selector.split(",") if term)


def _meets_one(term: str, values: Mapping[str, str]) -> bool:
    if "!=" in term:
        name, _, value = term.partition("!=")
        return values.get(name) != value
    name, equals, value = term.replace("==", "=").partition("=")
    return values.get(name) == value if equals else (name in values) != name.startswith("!")


def seen(change: Change, namespace: str, query: Mapping[str, str]) -> bytes | None:
    """How a watch sees a change: what ceases to be selected is DELETED, with the version of the change."""
    before = change.before if change.before and selects(query, change.before) else None
    after = change.after if change.after and selects(query, change.after) else None
    shown = after or before
    if shown is None or (namespace and shown["metadata"].get("namespace") != namespace):
        return None
    if after:
        return event_line("MODIFIED" if before else "ADDED", after)
    gone = deepcopy(shown)
    gone["metadata"]["resourceVersion"] = str(change.version)
    return event_line("DELETED", gone)


def bookmark(resource: str, version: int) -> Object:
    kind = "Secret" if resource == "secrets" else "Namespace"
    return {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": str(version), "creationTimestamp": None}}


def event_line(kind: str, item: Object) -> bytes:
    return json.dumps({"type": kind, "object": item}, ensure_ascii=False).encode() + b"\n"
