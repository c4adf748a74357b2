"""A receiver of Alertmanager's webhook that takes only what an Alertmanager would send."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.vendors.server import Reply, Request

PATH = "/alerts/from-alertmanager"
KEY = "abcdefghijklmnopqrstuvwxyz"

FORMAT = "alertmanager"
SECRETS = (KEY,)

_GROUP: dict[str, type] = {
    "receiver": str,
    "status": str,
    "alerts": list,
    "groupLabels": dict,
    "commonLabels": dict,
    "commonAnnotations": dict,
    "externalURL": str,
    "version": str,
    "groupKey": str,
    "truncatedAlerts": int,
}
_NEWER: dict[str, type] = {"routeLabels": dict, "notification_reason": str}
_ALERT: dict[str, type] = {
    "status": str,
    "labels": dict,
    "annotations": dict,
    "startsAt": str,
    "endsAt": str,
    "generatorURL": str,
    "fingerprint": str,
}


def fields(url: str) -> dict[str, str]:
    """A target's keys for the server at `url`."""
    return {"url": f"{url}{PATH}?key={KEY}"}


def wrong_fields(url: str) -> dict[str, str]:
    """The same, with a key that the receiver does not know."""
    return {"url": f"{url}{PATH}?key=not-one-of-ours"}


@dataclass
class AlertmanagerReceiver:
    """One receiver. `bodies` holds what it took, oldest first."""

    bodies: list[bytes] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def taken(self) -> int:
        return len(self.bodies)

    def answer(self, request: Request) -> Reply:
        if request.path != f"{PATH}?key={KEY}":
            return self._refuse(401, "wrong key")
        if request.headers.get("content-type") != "application/json":
            return self._refuse(415, "not JSON")
        try:
            group = request.json()
        except msgspec.DecodeError:
            return self._refuse(400, "bad JSON")
        if fault := next(_faults(group), None):
            return self._refuse(422, fault)
        self.bodies.append(request.body)
        return Reply(200)

    def _refuse(self, status: int, reason: str) -> Reply:
        self.refusals.append(reason)
        return Reply(status, reason.encode())


def _faults(group: dict[str, Any]) -> Iterator[str]:
    yield from _field_faults(group, _GROUP, _NEWER)
    if group["version"] != "4":
        yield "version"
    states = [alert["status"] for alert in group["alerts"]]
    if group["status"] != ("firing" if "firing" in states else "resolved"):
        yield "status"
    for alert in group["alerts"]:
        yield from _field_faults(alert, _ALERT, {})
        if (alert["endsAt"] == "0001-01-01T00:00:00Z") != (alert["status"] == "firing"):
            yield "endsAt"


def _field_faults(value: dict[str, Any], wanted: dict[str, type], allowed: dict[str, type]) -> Iterator[str]:
    yield from (f"{name} is missing" for name in wanted if name not in value)
    yield from (f"{name} is unknown" for name in value if name not in wanted and name not in allowed)
    yield from (name for name, kind in (wanted | allowed).items() if name in value and type(value[name]) is not kind)
