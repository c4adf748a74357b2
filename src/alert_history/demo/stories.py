"""The slow stories of the demo's company: what comes back, what nobody sees, and what nobody gets to.

A nightly backup that fails and heals by itself, a disk that flaps, a fault that a silence hid, and a few alerts that
still fire. The incidents stand in `incidents`. Pure.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from alert_history.demo.chance import Chance
from alert_history.demo.company import AMERICA, EUROPE, SERVICES, front, node
from alert_history.demo.dates import DAYS, FLAPS_FROM, FLAPS_TO, Span, silence
from alert_history.demo.days import firing
from alert_history.demo.firing import Firing

_FLAPS_AT_ONCE = 3
_HEALS_AFTER = timedelta(minutes=12)
_LAST_END_BEFORE = timedelta(minutes=10)
_NOISE_MINUTES = (10, 44, 131, 1025, 1290, 2460)
_FAULT_BEGINS, _FAULT_LASTS = timedelta(hours=19, minutes=31), timedelta(hours=7, minutes=38)


def firings(today: datetime, *, until: datetime, seed: int) -> Iterator[Firing]:
    """What fires in these stories. `today` is the midnight after the last whole day, `until` when all is told."""
    yield from _backups(today, Chance(seed, "backups"))
    yield from _flapping(today, Chance(seed, "flapping"))
    yield from _settlement(silence(today))
    yield from _left_alone(today, until=until)


def _backups(today: datetime, chance: Chance) -> Iterator[Firing]:
    """Each night the backup fails, and the second try succeeds."""
    place = {"job_name": "nightly-backup", "namespace": "databases", "service": "checkout-db", "team": "platform"}
    for number in range(DAYS, -1, -1):
        starts_at = today - timedelta(days=number) + timedelta(hours=2, minutes=30) + chance.seconds(0, 20)
        yield firing("BackupFailed", EUROPE, place, starts_at, starts_at + _HEALS_AFTER)


def _flapping(today: datetime, chance: Chance) -> Iterator[Firing]:
    """A disk errs thrice within an hour, eight times a day, until the machine is emptied."""
    place = {**node(EUROPE, "worker-3"), "device": "sdb"}
    at, until = today - timedelta(days=FLAPS_FROM), today - timedelta(days=FLAPS_TO)
    while (at := at + chance.seconds(110 * 60, 170 * 60)) < until:
        for _ in range(_FLAPS_AT_ONCE):
            ends_at = at + chance.seconds(3 * 60, 6 * 60)
            yield firing("NodeDiskErrors", EUROPE, place, at, ends_at)
            at = ends_at + chance.seconds(7 * 60, 11 * 60)


def _settlement(span: Span) -> Iterator[Firing]:
    """Noise that a silence was made for, and the fault that it hid on the day after."""
    place = front(SERVICES[-1])
    for minutes in _NOISE_MINUTES:
        starts_at = span.begin + timedelta(minutes=minutes)
        yield firing("SettlementRetriesHigh", EUROPE, place, starts_at, starts_at + timedelta(minutes=9))
    begin = span.begin + _FAULT_BEGINS
    yield firing("SettlementBacklogGrowing", EUROPE, {**place, "queue": "settlements"}, begin, begin + _FAULT_LASTS)


def _left_alone(today: datetime, *, until: datetime) -> Iterator[Firing]:
    """What still fires, and the alert that always does; in Europe another Watchdog follows with the incident."""
    secret = {"host": "login.us1.example.com", "namespace": "identity", "secret_name": "login-us1-tls"}
    job = {"job": "kube-state-metrics", "job_name": "tax-export-2932", "namespace": "batch"}
    disk = {**node(AMERICA, "worker-5"), "mountpoint": "/var/log"}
    yield firing("Watchdog", AMERICA, {"namespace": "monitoring"}, _ago(today, days=DAYS), None)
    yield firing("Watchdog", EUROPE, {"namespace": "monitoring"}, _ago(today, days=DAYS), until - _LAST_END_BEFORE)
    yield firing("NodeClockSkew", AMERICA, node(AMERICA, "edge-2"), _ago(today, days=20, hours=4), None)
    yield firing("CertExpiringSoon", AMERICA, secret, _ago(today, days=9, hours=6), None)
    yield firing("KubeJobFailed", AMERICA, job, _ago(today, days=3, hours=1), None)
    yield firing("NodeFilesystemSpaceFillingUp", AMERICA, disk, _ago(today, days=1, hours=17), None)


def _ago(today: datetime, *, days: int, hours: int = 0) -> datetime:
    return today - timedelta(days=days) + timedelta(hours=hours, minutes=4, seconds=11)
