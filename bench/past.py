"""A year of history that never happened: occurrences as plain values, oldest first, the same ones in every run.

Which labels there are is what the queries of `history` are about: some are in every second alert, some in one of
two hundred, some in a handful, some in one, and some stopped being used eleven months ago.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from bench.notifications import ALERT_NAMES

DEPLOYMENTS = 200
INSTANCES = 50_000
NAMESPACES = 40
YEAR = timedelta(days=365)
_REGIONS = ("eu-west-1", "eu-west-1", "us-east-1", "us-east-1", "ap-south-1")
_RETIRED_SHARE = 0.08  # of the time: as long did the cluster live that is gone since
_FIRING = 500
_SPREAD = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1
_MICROSECONDS = 1_000_000


class Occurrence(NamedTuple):
    """One firing, times in microseconds since 1970; `ends_at` None while it fires. Labels and annotations as JSON."""

    fingerprint: str
    starts_at: int
    received_at: int
    ends_at: int | None
    alertname: str
    namespace: str
    severity: str
    labels: str
    annotations: str
    words: tuple[str, ...]
    """Each label as `name=value`."""


def occurrences(number: int, *, until: datetime, span: timedelta = YEAR) -> Iterator[Occurrence]:
    """So many of them, evenly over the span before `until`."""
    end = int(until.timestamp() * _MICROSECONDS)
    length = int(span / timedelta(microseconds=1))
    retired_until = int(number * _RETIRED_SHARE)
    for place in range(number):
        chance = (place * _SPREAD) & _MASK
        starts_at = end - length + place * length // number
        is_firing = place >= number - _FIRING
        ends_at = None if is_firing else min(starts_at + (5 + chance % 60) * 60 * _MICROSECONDS, end)
        cluster = "retired" if place < retired_until and chance % 16 == 0 else "prod-eu1"
        yield _occurrence(place, chance, starts_at=starts_at, ends_at=ends_at, cluster=cluster)


def _occurrence(place: int, chance: int, *, starts_at: int, ends_at: int | None, cluster: str) -> Occurrence:
    deployment = f"deploy-{(chance >> 8) % DEPLOYMENTS}"
    alertname = ALERT_NAMES[(chance >> 16) % len(ALERT_NAMES)]
    namespace = f"shop-{(chance >> 24) % NAMESPACES}"
    severity = "critical" if (chance >> 30) % 4 == 0 else "warning"
    region = _REGIONS[(chance >> 32) % len(_REGIONS)]
    pod = f"{deployment}-{place:x}"
    labels = {
        "alertname": alertname,
        "cluster": cluster,
        "deployment": deployment,
        "instance": f"node-{(chance >> 40) % INSTANCES}:9100",
        "namespace": namespace,
        "pod": pod,
        "region": region,
        "severity": severity,
        "team": f"team-{(chance >> 36) % 12}",
        "zone": f"{region}{'abc'[chance % 3]}",
    }
    summary = f"{alertname} on {pod}"
    return Occurrence(
        fingerprint=f"{chance:016x}",
        starts_at=starts_at,
        received_at=starts_at + 15 * _MICROSECONDS + chance % _MICROSECONDS,
        ends_at=ends_at,
        alertname=alertname,
        namespace=namespace,
        severity=severity,
        labels="{" + ",".join([f'"{name}":"{value}"' for name, value in labels.items()]) + "}",
        annotations=f'{{"runbook_url":"https://runbooks.example.com/{alertname}","summary":"{summary}"}}',
        words=tuple([f"{name}={value}" for name, value in labels.items()]),
    )
