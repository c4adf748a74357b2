"""The way from the senders to us: what they send as bytes, and what is lost, doubled or late on its way.

A receipt is made of the bytes as the service makes it, at the time it arrives.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b, sha256
from typing import Any, Literal

import msgspec

from alert_history.domain.alert import fingerprint
from alert_history.domain.receipt import RANDOM_ID_BYTES, Receipt, time_ordered_id
from alert_history.engine.intake import WAYS_IN
from tests.senders.alertmanager import Listed, Payload, Reported
from tests.senders.prometheus import Posted
from tests.senders.world import World

START = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
"""Second 0 of every story."""

TroubleKind = Literal["lost", "doubled", "late"]

_encode = msgspec.json.Encoder().encode


class Trouble(msgspec.Struct, frozen=True):
    """For some time all requests on a path are lost, or come twice, or come late by up to some seconds."""

    kind: TroubleKind
    begin: float
    end: float


class Arrival(msgspec.Struct, frozen=True):
    """A request as it arrived, and what its alerts are about: fingerprint → which true firing of its site."""

    at: float
    receipt: Receipt
    numbers: dict[str, int]
    site: str


class Network:
    """Takes what senders send; `arrivals` is what came of it, in the order in which it came."""

    def __init__(self, world: World, troubles: Sequence[Trouble], *, name: str, scope: str = "") -> None:
        self._world = world
        self._troubles = troubles
        self._name = name
        self._scope = scope
        self._sent = 0
        self.arrivals: list[Arrival] = []

    def trouble(self, kind: TroubleKind, seconds: float) -> None:
        """From now on there is trouble for so long."""
        self._troubles = [*self._troubles, Trouble(kind, self._world.now, self._world.now + seconds)]

    def labels_of(self, member: str) -> dict[str, str]:
        """The labels of a member, which are the same in every site."""
        return {"alertname": "DiskFull", "instance": member, "severity": "critical"}

    def fingerprint_of(self, member: str) -> str:
        """The fingerprint under which a member is kept."""
        plain = self.plain_fingerprint_of(member)
        return f"{plain}@{self._scope}" if self._scope else plain

    def plain_fingerprint_of(self, member: str) -> str:
        """The fingerprint of a member as Alertmanager knows it."""
        return fingerprint(self.labels_of(member))

    def external_url(self, peer: str) -> str:
        """What an Alertmanager calls itself."""
        return f"http://{peer}.{self._name}:9093"

    def post(self, posted: Sequence[Posted], *, client: str) -> None:
        """What a Prometheus posts."""
        body = [
            {
                "labels": self.labels_of(alert.member),
                "annotations": {"summary": "full"},
                "startsAt": time_of(alert.start),
                "endsAt": time_of(alert.end),
                "generatorURL": f"{alert.origin}/graph?g0.expr=x",
            }
            for alert in posted
        ]
        self._send(
            "/api/v2/alerts", body, client, {self.fingerprint_of(alert.member): alert.number for alert in posted}
        )

    def payload(self, payload: Payload) -> bool:
        """What a peer sends to its receiver; whether it was taken."""
        alerts = [
            {
                "status": "firing" if alert.end is None else "resolved",
                "labels": self.labels_of(alert.member),
                "annotations": {"summary": "full"},
                "startsAt": time_of(alert.start),
                "endsAt": "0001-01-01T00:00:00Z" if alert.end is None else time_of(alert.end),
                "generatorURL": f"{alert.origin}/graph?g0.expr=x",
                "fingerprint": fingerprint(self.labels_of(alert.member)),
            }
            for alert in payload.alerts
        ]
        body = {
            "receiver": payload.receiver.name,
            "status": "firing" if any(alert.end is None for alert in payload.alerts) else "resolved",
            "alerts": alerts,
            "externalURL": self.external_url(payload.peer),
            "version": "4",
            "groupKey": '{}:{alertname="DiskFull"}',
            "truncatedAlerts": payload.truncated,
        }
        return self._send(payload.receiver.path, body, payload.peer, self._numbers(payload.alerts))

    def report(self, reported: Reported) -> None:
        """What a peer's recorder says."""
        event = {
            "@timestamp": time_of(self._world.now),
            "instance": f"{reported.peer}.{self._name}",
            "data": self._event(reported),
        }
        listed = [reported.alert] if reported.alert and reported.kind in {"created", "resolved"} else []
        self._send("/webhook", event, reported.peer, self._numbers(listed))

    def _event(self, reported: Reported) -> dict[str, Any]:
        alert = reported.alert
        if alert is None:
            return {"alertmanagerStartupEvent": {"version": "0.33.0"}}
        details = self._details(alert)
        match reported.kind:
            case "created":
                return {"alertCreated": {"alert": details}}
            case "resolved":
                return {"alertResolved": {"alert": {"details": details | {"resolved": True}}}}
            case _:
                silence = {"createdBy": "ada", "comment": "later"}
                if reported.silence is not None:
                    silence |= {"id": reported.silence.id, "endsAt": time_of(reported.silence.end)}
                return {"silenceMutedAlert": {"silence": silence, "mutedAlert": details}}

    def _details(self, alert: Listed) -> dict[str, Any]:
        labels = self.labels_of(alert.member)
        return {
            "fingerprint": str(int(fingerprint(labels), 16)),
            "labels": {"labels": [{"key": key, "value": value} for key, value in labels.items()]},
            "annotations": {"labels": [{"key": "summary", "value": "full"}]},
            "startsAt": time_of(alert.start),
            "endsAt": time_of(alert.end if alert.end is not None else self._world.now + 240),
        }

    def _numbers(self, listed: Sequence[Listed]) -> dict[str, int]:
        return {self.fingerprint_of(alert.member): alert.number for alert in listed}

    def _send(self, path: str, body: Any, client: str, numbers: dict[str, int]) -> bool:
        """Send it through whatever trouble there is; whether it was taken."""
        self._sent += 1
        kinds = {trouble.kind for trouble in self._troubles if trouble.begin <= self._world.now < trouble.end}
        if "lost" in kinds:
            return False
        content = _encode(body)
        delays = [_unlike(self._sent, 4)] if "late" in kinds else [0.0]
        if "doubled" in kinds:
            delays.append(delays[0] + _unlike(self._sent + 7, 3))
        for delay in delays:
            arrival = self._arrival(path, content, client, numbers, at=round(self._world.now + delay, 3))
            self._world.at(arrival.at, partial(self.arrivals.append, arrival))
        return True

    def _arrival(self, path: str, content: bytes, client: str, numbers: dict[str, int], *, at: float) -> Arrival:
        way_in = WAYS_IN[path]
        received_at = moment(at)
        group = way_in.decode(content, received_at=received_at, max_alerts=1_000)
        name = f"{self._name} {client} {self._sent} {at}"
        randomness = blake2b(name.encode(), digest_size=RANDOM_ID_BYTES).digest()
        receipt_id = time_ordered_id(received_at, randomness=randomness)
        digest = sha256(content).digest()
        receipt = Receipt(receipt_id, received_at, path, way_in.publishes, group, content, digest, client, self._scope)
        return Arrival(at, receipt, numbers, self._name)


def moment(second: float) -> datetime:
    """A second of the story on the clock."""
    return START + timedelta(milliseconds=round(second * 1_000))


def time_of(second: float) -> str:
    """A second of the story as senders write it."""
    return moment(second).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unlike(number: int, below: int) -> float:
    """A fraction that looks random, the same for the same number."""
    return (number * 2_654_435_761 % 2**32) / 2**32 * below
