"""The script of the demo incident: what every exporter would have said at each minute of two hours.

A database node's disk fills, its Postgres turns read-only, checkout fails, queues grow, pods crash, all is repaired.
Pure. The rules that turn these numbers into alerts are in `tests/data/incident`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

SCALE = 30
"""Story seconds in one real second."""

LENGTH_MINUTES = 122.0

Course = Sequence[tuple[float, float]]
"""(minute, value) points in order of time; straight lines between, two points in one minute are a step."""


class Series(NamedTuple):
    """One time series. `course` is its value, or for a counter its growth in a real second."""

    job: str
    sample: str
    course: Course
    is_counter: bool = False

    def at(self, minute: float) -> float:
        """What an exporter says of it at this minute."""
        return _grown(self.course, minute) if self.is_counter else _value(self.course, minute)


class Job(NamedTuple):
    """Labels that Prometheus adds to what it scrapes from one exporter."""

    instance: str
    namespace: str


PRODUCTION_JOBS = {
    "node-exporter": Job("db-1.eu1.example.com:9100", "monitoring"),
    "postgres-exporter": Job("checkout-db-exporter:9187", "databases"),
    "checkout-api": Job("checkout-api:8080", "checkout"),
    "kafka-exporter": Job("kafka-exporter:9308", "messaging"),
    "kube-state-metrics": Job("kube-state-metrics:8080", "monitoring"),
    "cadvisor": Job("worker-4.eu1.example.com:10250", "ingress"),
    "certificate-exporter": Job("certificate-exporter:9793", "edge"),
}
STAGING_JOBS = {"staging": Job("edge-3.staging.example.com:9100", "staging")}

_UNREACHABLE = {"kafka-exporter": (48.0, 57.0)}


def metrics(job: str, minute: float) -> str | None:
    """What this job's exporter answers at this minute; None while it can't be reached."""
    begin, end = _UNREACHABLE.get(job, (0.0, 0.0))
    if begin <= minute < end:
        return None
    return "".join(f"{series.sample} {series.at(minute):.6g}\n" for series in STORY if series.job == job)


def _value(course: Course, minute: float) -> float:
    after = bisect_right(course, minute, key=_minute)
    if after in (0, len(course)):
        return course[max(after - 1, 0)][1]
    (begin, low), (end, high) = course[after - 1], course[after]
    return low + (high - low) * (minute - begin) / (end - begin)


def _grown(course: Course, minute: float) -> float:
    """The area under the course up to this minute, in real seconds."""
    inner = [point for point in course if point[0] < minute]
    points = [(0.0, _value(course, 0.0)), *inner, (minute, _value(course, minute))]
    area = sum((end - begin) * (low + high) / 2 for (begin, low), (end, high) in pairwise(points))
    return area * 60 / SCALE


def _minute(point: tuple[float, float]) -> float:
    return point[0]


def _during(*spans: tuple[float, float], on: float = 1.0, off: float = 0.0) -> Course:
    """`on` inside the spans of minutes, `off` outside."""
    steps = [(0.0, off)]
    for begin, end in spans:
        steps += [(begin, off), (begin, on), (end, on), (end, off)]
    return steps


def _blinking(begin: float, *, on_minutes: float, off_minutes: float) -> Iterable[tuple[float, float]]:
    while begin < LENGTH_MINUTES:
        yield begin, begin + on_minutes
        begin += on_minutes + off_minutes


def _crash_looping(pod: str, *span: float) -> Series:
    labels = f'namespace="checkout",pod="order-worker-{pod}",container="worker",reason="CrashLoopBackOff"'
    return Series(
        "kube-state-metrics",
        f"kube_pod_container_status_waiting_reason{{{labels}}}",
        _during((span[0], span[1])),
    )


def _consumer_lag(group: str, topic: str, *, course: Course) -> Series:
    return Series("kafka-exporter", f'kafka_consumergroup_lag{{consumergroup="{group}",topic="{topic}"}}', course)


_DISK = 'device="/dev/nvme1n1",mountpoint="/var/lib/postgresql",node="db-1"'
_CHECKOUT = 'namespace="checkout",service="checkout-api"'

STORY: tuple[Series, ...] = (
    # 12: the disk of db-1 runs full; 71: somebody makes it bigger
    Series("node-exporter", f"node_filesystem_size_bytes{{{_DISK}}}", [(0, 500e9)]),
    Series(
        "node-exporter",
        f"node_filesystem_avail_bytes{{{_DISK}}}",
        [(0, 110e9), (8, 90e9), (14, 65e9), (22, 8e9), (26, 3e9), (70, 0.4e9), (71, 210e9), (122, 200e9)],
    ),
    # 25: Postgres refuses writes, and its replicas have nothing new to replay
    Series(
        "postgres-exporter",
        'pg_primary_writable{service="checkout-db",pod="checkout-db-0"}',
        _during((25, 73), on=0, off=1),
    ),
    Series(
        "postgres-exporter",
        'pg_replication_lag_seconds{service="checkout-db",pod="checkout-db-1"}',
        [(0, 0.2), (24, 0.2), (28, 120), (74, 2880), (78, 0.3)],
    ),
    Series(
        "postgres-exporter",
        'pg_replication_lag_seconds{service="checkout-db",pod="checkout-db-2"}',
        [(0, 0.3), (26, 0.3), (36, 400), (75, 2740), (82, 0.4)],
    ),
    # 26: checkout can't store orders
    Series(
        "checkout-api",
        f'http_requests_total{{{_CHECKOUT},code="200"}}',
        [(0, 180), (25, 180), (29, 110), (73, 95), (78, 170), (95, 190)],
        is_counter=True,
    ),
    Series(
        "checkout-api",
        f'http_requests_total{{{_CHECKOUT},code="500"}}',
        [(0, 0.4), (25, 0.4), (28, 40), (60, 70), (74, 60), (78, 1.5), (84, 0.3)],
        is_counter=True,
    ),
    Series(
        "checkout-api",
        f"service:http_request_duration_seconds:p99{{{_CHECKOUT}}}",
        [(0, 0.28), (25, 0.3), (30, 2.4), (50, 3.8), (75, 2.0), (80, 0.5), (95, 0.27)],
    ),
    Series(
        "checkout-api",
        'service:http_request_duration_seconds:p99{namespace="checkout",service="cart-api"}',
        [(0, 0.2), (34, 0.3), (40, 1.9), (70, 2.2), (79, 0.4), (95, 0.2)],
    ),
    Series(
        "checkout-api",
        'payment_authorizations_failed_total{namespace="payments",service="payments-api",provider="northbank"}',
        [(0, 0.1), (27, 0.1), (31, 6), (74, 7), (77, 0.1)],
        is_counter=True,
    ),
    Series(
        "checkout-api",
        'payment_authorizations_failed_total{namespace="payments",service="payments-api",provider="cardnet"}',
        [(0, 0.1), (32, 0.1), (38, 3), (70, 5), (76, 0.1)],
        is_counter=True,
    ),
    # 32: messages pile up; 48 to 57 nobody sees it, because the exporter is down too
    _consumer_lag("order-mailer", "orders", course=[(0, 40), (28, 60), (34, 26e3), (74, 210e3), (88, 900), (95, 50)]),
    _consumer_lag(
        "invoice-writer", "invoices", course=[(0, 10), (30, 20), (37, 30e3), (74, 140e3), (92, 800), (98, 20)]
    ),
    _consumer_lag("stock-sync", "stock", course=[(0, 90), (33, 90), (42, 24e3), (76, 90e3), (85, 600)]),
    _consumer_lag("analytics-export", "orders", course=[(0, 300), (40, 900), (60, 28e3), (122, 310e3)]),
    # 38: workers crash on start-up
    _crash_looping("7d9c5b6f4-x2k8p", 38, 84),
    _crash_looping("7d9c5b6f4-h5wqn", 41, 86),
    _crash_looping("7d9c5b6f4-tz9cd", 47, 86),
    _crash_looping("7d9c5b6f4-m4r7j", 55, 92),
    Series(
        "kube-state-metrics", 'kube_deployment_spec_replicas{namespace="checkout",deployment="order-worker"}', [(0, 6)]
    ),
    Series(
        "kube-state-metrics",
        'kube_deployment_status_replicas_available{namespace="checkout",deployment="order-worker"}',
        _during((40, 89), on=2, off=6),
    ),
    Series(
        "kube-state-metrics",
        'kube_job_failed{namespace="batch",job_name="ledger-close-29401440"}',
        _during((62, 200)),
    ),
    # all along: what has nothing to do with it
    Series(
        "node-exporter",
        'node_network_receive_errs_total{device="eth1",node="worker-7",instance="worker-7.eu1.example.com:9100"}',
        _during(*_blinking(5, on_minutes=4, off_minutes=5), on=400),
        is_counter=True,
    ),
    Series(
        "cadvisor",
        'container_cpu_cfs_throttled_ratio{pod="ingress-nginx-controller-5b8wk",container="controller"}',
        _during(*_blinking(3, on_minutes=1.5, off_minutes=1.5), on=0.41, off=0.08),
    ),
    Series("certificate-exporter", 'x509_cert_days_left{secret_name="shop-tls",host="shop.example.com"}', [(0, 13)]),
    Series(
        "certificate-exporter",
        'x509_cert_days_left{namespace="identity",secret_name="login-tls",host="login.example.com"}',
        _during((50, 200), on=20, off=21),
    ),
    # staging, which tells us without an Alertmanager
    Series("staging", 'smoke_test_success{test="pay with card"}', _during((33, 77), on=0, off=1)),
    Series("staging", 'smoke_test_success{test="guest checkout"}', _during((35, 76), on=0, off=1)),
    Series("staging", 'node_timex_offset_seconds{node="edge-3"}', [(0, 0.001), (86, 0.001), (122, 0.19)]),
)
