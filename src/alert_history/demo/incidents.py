"""The two incidents of the demo's company, each with a storm of alerts within minutes. Pure."""

from collections.abc import Iterator
from datetime import datetime

from alert_history.demo.chance import Chance
from alert_history.demo.company import (
    AMERICA,
    EUROPE,
    SERVICES,
    Cluster,
    Place,
    consumer,
    deployment,
    front,
    node,
    places,
    pod,
    provider,
    replica,
)
from alert_history.demo.dates import Span, outage, partition
from alert_history.demo.days import firing
from alert_history.demo.firing import Firing

_OUTAGE_PODS = 48
_LOST_NODES = 16
_PODS_A_NODE = 16
_RECOVERY_SECONDS = 20 * 60


class _Storm:
    """The alerts of one incident: each begins some minutes into it, and ends while all recovers."""

    def __init__(self, cluster: Cluster, span: Span, chance: Chance) -> None:
        self._cluster = cluster
        self._span = span
        self._chance = chance

    def alert(self, rule: str, place: Place, *, minute: float, within: float) -> Firing:
        """An alert that begins at `minute` of the incident, or up to `within` minutes later."""
        starts_at = self._span.begin + self._chance.seconds(60 * minute, 60 * (minute + within))
        ends_at = self._span.end + self._chance.seconds(0, _RECOVERY_SECONDS)
        return firing(rule, self._cluster, place, starts_at, ends_at)

    def short_alert(self, rule: str, place: Place, *, minute: float, within: float) -> Firing:
        """As `alert`, but it is over before the incident is."""
        alert = self.alert(rule, place, minute=minute, within=within)
        ends_at = alert.starts_at + self._chance.minutes(25, spread=0.3)
        return Firing(alert.rule, alert.labels, alert.starts_at, min(ends_at, self._span.end))


def firings(today: datetime, *, seed: int) -> Iterator[Firing]:
    """What fires in both incidents. `today` is the midnight after the last whole day."""
    yield from _outage(_Storm(EUROPE, outage(today), Chance(seed, "outage")))
    yield from _partition(_Storm(AMERICA, partition(today), Chance(seed, "partition")))


def _outage(storm: _Storm) -> Iterator[Firing]:
    """The primary of the checkout database is lost; within ten minutes all that stores orders fails."""
    yield storm.alert("PostgresDown", replica("checkout-db", 0), minute=0, within=0.1)
    for number in (1, 2):
        yield storm.alert("PostgresReplicationLag", replica("checkout-db", number), minute=0.5, within=1)
    for service in SERVICES:
        yield storm.alert("LatencyP99High", front(service), minute=1, within=3)
        if service.team == "checkout":
            yield storm.alert("HighErrorRate", front(service), minute=1, within=2)
            yield storm.alert("SLOBurnRateFast", front(service), minute=4, within=3)
            yield storm.alert("KubeDeploymentReplicasMismatch", deployment(service), minute=8, within=3)
            for number in range(_OUTAGE_PODS):
                place = pod(service, EUROPE, 0, number=number)
                yield storm.alert("KubePodNotReady", place, minute=2, within=6)
                if number % 2:
                    yield storm.short_alert("KubePodCrashLooping", place, minute=5, within=7)
    for name in ("northbank", "cardnet"):
        yield storm.alert("PaymentProviderErrors", provider(name), minute=3, within=3)
    for place in places(EUROPE, 0)["consumer"]:
        yield storm.alert("ConsumerLagGrowing", place, minute=6, within=5)
    yield storm.alert("ConsumerLagGrowing", consumer("stock-sync-north", "stock"), minute=7, within=4)


def _partition(storm: _Storm) -> Iterator[Firing]:
    """A zone cannot be reached: its nodes and all that runs on them seem to be gone within four minutes."""
    for number in range(_LOST_NODES):
        place = node(AMERICA, f"zone-b-{number + 1}")
        yield storm.alert("NodeNotReady", place, minute=0.5, within=2)
        for job, port in (("node-exporter", 9100), ("kubelet", 10250)):
            scraped = {**place, "instance": f"{place['node']}.{AMERICA.domain}:{port}", "job": job}
            yield storm.alert("TargetDown", scraped, minute=0.2, within=2)
        for turn in range(_PODS_A_NODE):
            service = SERVICES[(number + turn) % len(SERVICES)]
            lost = pod(service, AMERICA, 1, number=100 + number * _PODS_A_NODE + turn)
            yield storm.alert("KubePodNotReady", lost, minute=1, within=3)
    for service in SERVICES:
        yield storm.alert("LatencyP99High", front(service), minute=0.5, within=2)
        yield storm.alert("KubeDeploymentReplicasMismatch", deployment(service), minute=2, within=2)
    for place in places(AMERICA, 1)["host"]:
        yield storm.alert("ProbeFailed", place, minute=0.3, within=1)
    for name in ("zone-a-1", "zone-a-2", "zone-a-3"):
        yield storm.alert("NodeNetworkReceiveErrs", {**node(AMERICA, name), "device": "bond0"}, minute=0, within=0.5)
