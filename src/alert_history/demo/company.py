"""The company of the demo: its clusters and services, and the places in them that alerts are about.

A shop with eight services in six namespaces, on a large cluster in Europe and a smaller one in the United States. Pods
get new names each week, as deployments give them.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b

import msgspec

from alert_history.demo.firing import Rule

_PODS_A_SERVICE = 3
_NODES = 9
_TIGHTLY_LIMITED = frozenset({"search-api", "storefront", "order-mailer"})
_POD_LETTERS = "bcdfghjklmnpqrstvwxz2456789"

Place = Mapping[str, str]
"""The labels that say what an alert is about."""


class Cluster(msgspec.Struct, frozen=True):
    """A cluster with a Prometheus and an Alertmanager of its own."""

    name: str
    domain: str
    prometheus: str
    alertmanager: str


class Service(msgspec.Struct, frozen=True):
    """A service, and the team that answers for it."""

    name: str
    namespace: str
    team: str


EUROPE = Cluster(
    "production-eu1", "eu1.example.com", "http://prometheus.example.com:9090", "http://alertmanager.example.com:9093"
)
AMERICA = Cluster(
    "production-us1",
    "us1.example.com",
    "http://prometheus.us1.example.com:9090",
    "http://alertmanager.us1.example.com:9093",
)

SERVICES = (
    Service("checkout-api", "checkout", "checkout"),
    Service("search-api", "catalog", "catalog"),
    Service("payments-api", "payments", "checkout"),
    Service("storefront", "edge", "catalog"),
    Service("cart-api", "checkout", "checkout"),
    Service("login-api", "identity", "identity"),
    Service("order-mailer", "messaging", "identity"),
    Service("settlement", "payments", "checkout"),
)
"""All services, those that make trouble most often first."""


def labels(rule: Rule, cluster: Cluster, place: Place) -> dict[str, str]:
    """The labels of an alert of this rule about a place, by name."""
    owner = {"team": rule.team} if rule.team else {}
    own = {"alertname": rule.name, "cluster": cluster.name, "severity": rule.severity}
    return dict(sorted({**place, **owner, **own}.items()))


# --- places -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=128)
def places(cluster: Cluster, week: int) -> Mapping[str, Sequence[Place]]:
    """The places of a cluster by kind, in a week of the demo; those that make trouble most often first."""
    return {**_workloads(cluster, week), **_services(cluster), **_machines(cluster), **_databases(), **_queues()}


def pod(service: Service, cluster: Cluster, week: int, *, number: int) -> Place:
    """One pod of a service; its name changes with the week."""
    version = _letters(f"{service.name} {cluster.name} {week}", 9)
    own = _letters(f"{version} {number}", 5)
    return {
        "container": service.name,
        "instance": "kube-state-metrics:8080",
        "job": "kube-state-metrics",
        "namespace": service.namespace,
        "pod": f"{service.name}-{version}-{own}",
        "team": service.team,
    }


def deployment(service: Service) -> Place:
    """The deployment of a service."""
    return {
        "deployment": service.name,
        "job": "kube-state-metrics",
        "namespace": service.namespace,
        "team": service.team,
    }


def front(service: Service) -> Place:
    """A service as its users see it."""
    return {"namespace": service.namespace, "service": service.name, "team": service.team}


def node(cluster: Cluster, name: str) -> Place:
    """One machine, as its node-exporter names it."""
    return {
        "instance": f"{name}.{cluster.domain}:9100",
        "job": "node-exporter",
        "namespace": "monitoring",
        "node": name,
    }


def replica(name: str, number: int) -> Place:
    """One replica of a database."""
    return {
        "job": "postgres-exporter",
        "namespace": "databases",
        "pod": f"{name}-{number}",
        "service": name,
        "team": "platform",
    }


def consumer(group: str, topic: str) -> Place:
    """One consumer group."""
    return {"consumergroup": group, "job": "kafka-exporter", "namespace": "messaging", "topic": topic}


def provider(name: str) -> Place:
    """Who takes payments for the shop."""
    return {"namespace": "payments", "provider": name, "service": "payments-api", "team": "checkout"}


def _workloads(cluster: Cluster, week: int) -> Mapping[str, Sequence[Place]]:
    pods = [pod(service, cluster, week, number=number) for number in range(_PODS_A_SERVICE) for service in SERVICES]
    volumes = (("kafka-data-0", "messaging"), ("prometheus-data-0", "monitoring"), ("search-index-0", "catalog"))
    throttled = [each for each in pods if each["container"] in _TIGHTLY_LIMITED]
    jobs = [f"{name}-{2940 + week}" for name in ("report-export", "ledger-close", "newsletter")]
    return {
        "pod": pods,
        "deployment": [deployment(service) for service in SERVICES],
        "autoscaler": [{**front(s), "horizontalpodautoscaler": s.name} for s in SERVICES[:4]],
        "quota": [{"namespace": s.namespace, "resource": "memory"} for s in SERVICES[:3]],
        "container": [{**each, "job": "cadvisor"} for each in throttled],
        "volume": [{"namespace": namespace, "persistentvolumeclaim": name} for name, namespace in volumes],
        "job": [{"job": "kube-state-metrics", "job_name": name, "namespace": "batch"} for name in jobs],
    }


def _services(cluster: Cluster) -> Mapping[str, Sequence[Place]]:
    hosts = [f"https://{name}.{cluster.domain}" for name in ("shop", "login")]
    return {
        "service": [front(service) for service in SERVICES],
        "login": [front(SERVICES[5])],
        "provider": [provider("northbank"), provider("cardnet")],
        "host": [{"job": "blackbox", "namespace": "edge", "target": host} for host in hosts],
        "index": [{"index": name, "namespace": "catalog", "team": "catalog"} for name in ("products", "offers")],
        "warehouse": [{"namespace": "catalog", "team": "catalog", "warehouse": name} for name in ("north", "south")],
    }


def _machines(cluster: Cluster) -> Mapping[str, Sequence[Place]]:
    nodes = [node(cluster, f"worker-{number}") for number in range(1, _NODES + 1)]
    return {
        "node": nodes,
        "disk": [{**place, "mountpoint": "/var/lib/containerd"} for place in nodes],
        "card": [{**node(cluster, name), "device": "eth1"} for name in ("worker-7", "worker-2")],
        "exporter": [
            {"instance": "kafka-exporter:9308", "job": "kafka-exporter", "namespace": "messaging"},
            {"instance": "postgres-exporter:9187", "job": "postgres-exporter", "namespace": "databases"},
        ],
    }


def _databases() -> Mapping[str, Sequence[Place]]:
    owner = {"namespace": "databases", "team": "platform"}
    return {
        "replica": [replica("checkout-db", 1), replica("checkout-db", 2), replica("catalog-db", 1)],
        "database": [{**owner, "service": name} for name in ("checkout-db", "catalog-db", "identity-db")],
        "cache": [{**owner, "service": name} for name in ("session-cache", "cart-cache")],
    }


def _queues() -> Mapping[str, Sequence[Place]]:
    groups = (("invoice-writer", "invoices"), ("order-mailer", "orders"), ("analytics-export", "orders"))
    return {
        "consumer": [consumer(group, topic) for group, topic in groups],
        "topic": [{"namespace": "messaging", "topic": name} for name in ("orders", "invoices", "stock")],
    }


def _letters(text: str, number: int) -> str:
    """Letters as Kubernetes makes names of."""
    return "".join(
        _POD_LETTERS[byte % len(_POD_LETTERS)] for byte in blake2b(text.encode(), digest_size=number).digest()
    )
