"""The days of the demo's company: what fires on any day, more in office hours and after deployments, less at weekends.

Pure: a day and a seed in, firings out. The dated stories stand in `stories`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.demo.chance import Chance
from alert_history.demo.company import AMERICA, EUROPE, SERVICES, Cluster, Place, consumer, labels, places
from alert_history.demo.firing import Firing
from alert_history.demo.rules import RULES

_SATURDAY = 5
_OFFICE = (1, 1, 1, 1, 1, 1, 2, 5, 10, 14, 15, 14, 10, 12, 15, 14, 12, 8, 4, 3, 2, 2, 1, 1)
_ALWAYS = (1,) * 24
_NIGHT = (8, 9, 8, 7, 5, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 5)
_EVENING = (2, 1, 1, 1, 1, 1, 1, 2, 3, 4, 4, 5, 6, 5, 5, 5, 6, 8, 11, 13, 12, 9, 6, 4)


class Rhythm(msgspec.Struct, frozen=True):
    """How often something happens in each hour of a day, and which part of that is left at a weekend."""

    hours: Sequence[int]
    weekend: float


_RHYTHMS = {
    "office": Rhythm(_OFFICE, 0.12),
    "always": Rhythm(_ALWAYS, 0.8),
    "night": Rhythm(_NIGHT, 0.6),
    "evening": Rhythm(_EVENING, 1.1),
}


class Habit(msgspec.Struct, frozen=True):
    """What a rule does on a working day: how often it fires, where, for how long (median), and in which rhythm.

    It fires about up to `at_once` neighbours at once, such as the pods of a service.
    """

    rule: str
    kind: str
    daily: float
    minutes: float
    rhythm: str = "office"
    at_once: int = 1


_HABITS = (
    Habit("CPUThrottlingHigh", "container", 5, 14, at_once=3),
    Habit("NodeCPUHigh", "node", 3, 18, at_once=3),
    Habit("LatencyP99High", "service", 5, 14, "evening"),
    Habit("ConsumerLagGrowing", "consumer", 2.2, 22, "evening", at_once=3),
    Habit("PostgresSlowQueries", "database", 2.5, 17, at_once=2),
    Habit("KubePodCrashLooping", "pod", 2, 12, at_once=3),
    Habit("PostgresReplicationLag", "replica", 3, 9, "night"),
    Habit("KubePodNotReady", "pod", 2, 13, at_once=3),
    Habit("NodeNetworkReceiveErrs", "card", 2.2, 8, "always"),
    Habit("IngressBadGateway", "service", 2, 8),
    Habit("KubeHpaMaxedOut", "autoscaler", 2, 40, "evening"),
    Habit("PaymentDeclinesHigh", "provider", 2, 25, "evening"),
    Habit("KubeDeploymentReplicasMismatch", "deployment", 1.5, 15),
    Habit("TargetDown", "exporter", 1.5, 9, "always"),
    Habit("StockSyncLate", "warehouse", 1.4, 45, "night"),
    Habit("NodeMemoryPressure", "node", 0.8, 24, at_once=3),
    Habit("KubeContainerOOMKilled", "pod", 0.8, 10, at_once=3),
    Habit("LoginFailuresHigh", "login", 1, 19, "evening"),
    Habit("SLOBurnRateSlow", "service", 1, 95, "evening"),
    Habit("PostgresDeadlocks", "database", 1, 12),
    Habit("PostgresTooManyConnections", "database", 1, 14),
    Habit("RedisEvictions", "cache", 1, 30, "evening"),
    Habit("SearchIndexStale", "index", 1, 35),
    Habit("HighErrorRate", "service", 0.7, 11),
    Habit("RedisMemoryHigh", "cache", 0.6, 50, "evening"),
    Habit("KubeQuotaAlmostFull", "quota", 0.5, 120),
    Habit("NodeFilesystemSpaceFillingUp", "disk", 0.5, 260, "always"),
    Habit("PaymentProviderErrors", "provider", 0.4, 10, "evening"),
    Habit("KubeJobFailed", "job", 0.4, 170, "night"),
    Habit("NodeClockSkew", "node", 0.4, 60, "always"),
    Habit("KubePersistentVolumeFillingUp", "volume", 0.3, 300, "always"),
    Habit("KafkaUnderReplicated", "topic", 0.3, 12, "always"),
    Habit("ProbeFailed", "host", 0.3, 7, "always"),
    Habit("SLOBurnRateFast", "service", 0.25, 16, "evening"),
    Habit("NodeFilesystemAlmostOutOfSpace", "disk", 0.12, 80, "always"),
    Habit("NodeNotReady", "node", 0.1, 12, "always"),
    Habit("TrafficDropped", "service", 0.08, 20, "evening"),
)
"""What fires without a story, the most frequent first."""

_IN_AMERICA = 0.35
_DEPLOYMENTS = (2, 6, 2, 6, 1, 0, 0)  # from Monday on: the company releases on Tuesdays and Thursdays
_GOES_WRONG = 0.6


def firings(day: datetime, *, number: int, seed: int) -> Iterator[Firing]:
    """What fires on the day that begins at `day`, in no order. `number` names the day, whatever its date."""
    chance = Chance(seed, "day", number)
    business = chance.between(0.65, 1.1)
    for habit in _HABITS:
        rhythm = _RHYTHMS[habit.rhythm]
        part = rhythm.weekend if day.weekday() >= _SATURDAY else 1.0
        for _ in range(chance.count(habit.daily * part * business)):
            starts_at = day + timedelta(hours=chance.weigh(rhythm.hours)) + chance.seconds(0, 3600)
            yield from _happening(habit, starts_at, week=number // 7, chance=chance)
    yield from _deployments(day, week=number // 7, chance=Chance(seed, "deployments", number))


def firing(rule: str, cluster: Cluster, place: Place, starts_at: datetime, ends_at: datetime | None) -> Firing:
    """A firing of a rule about a place."""
    return Firing(RULES[rule], labels(RULES[rule], cluster, place), starts_at, ends_at)


def _happening(habit: Habit, starts_at: datetime, *, week: int, chance: Chance) -> Iterator[Firing]:
    """The firings of a habit at one time, and what they bring about."""
    cluster = AMERICA if chance.happens(_IN_AMERICA) else EUROPE
    where = places(cluster, week)
    place = chance.favour(where[habit.kind])
    lasts = max(chance.minutes(habit.minutes, spread=0.6), timedelta(minutes=2))
    yield firing(habit.rule, cluster, place, starts_at, starts_at + lasts)
    neighbours = [other for other in where[habit.kind] if other is not place and _are_neighbours(other, place)]
    for other in neighbours[: chance.count(chance.between(0, habit.at_once - 1))]:
        begin = starts_at + chance.seconds(0, 20)
        yield firing(habit.rule, cluster, other, begin, begin + lasts)
    yield from _consequences(firing(habit.rule, cluster, place, starts_at, starts_at + lasts), cluster, where, chance)


def _are_neighbours(place: Place, other: Place) -> bool:
    return all(place.get(name) == other.get(name) for name in ("namespace", "container"))


def _consequences(
    cause: Firing, cluster: Cluster, where: Mapping[str, Sequence[Place]], chance: Chance
) -> Iterator[Firing]:
    """What often follows a firing within minutes."""
    begin, end = cause.starts_at + chance.seconds(60, 240), cause.starts_at + timedelta(minutes=12)
    if cause.ends_at is not None:
        end = cause.ends_at + chance.seconds(120, 600)
    match cause.rule.name:
        case "PostgresReplicationLag" if chance.happens(0.65):
            slow = where["service"][0 if cause.labels["service"] == "checkout-db" else 1]
            yield firing("LatencyP99High", cluster, slow, begin, end)
        case "StockSyncLate" if chance.happens(0.85):
            lagging = consumer(f"stock-sync-{cause.labels['warehouse']}", "stock")
            yield firing("ConsumerLagGrowing", cluster, lagging, begin, end)
        case "NodeMemoryPressure" if chance.happens(0.5):
            yield firing("KubeContainerOOMKilled", cluster, chance.pick(where["pod"]), begin, end)
        case "PaymentProviderErrors" if chance.happens(0.7):
            yield firing("HighErrorRate", cluster, where["service"][2], begin, end)


_BROKEN_BY_RELEASES = (
    ("KubePodCrashLooping", "pod"),
    ("HighErrorRate", "service"),
    ("LatencyP99High", "service"),
    ("KubePodNotReady", "pod"),
    ("KubeDeploymentRolloutStuck", "deployment"),
    ("IngressBadGateway", "service"),
    ("KubeDeploymentReplicasMismatch", "deployment"),
)


def _deployments(day: datetime, *, week: int, chance: Chance) -> Iterator[Firing]:
    """What breaks in the quarter of an hour after each deployment that goes wrong, all about one service."""
    for _ in range(_DEPLOYMENTS[day.weekday()]):
        at = day + timedelta(hours=9) + chance.seconds(0, 7 * 3600)
        if not chance.happens(_GOES_WRONG):
            continue
        cluster = AMERICA if chance.happens(_IN_AMERICA) else EUROPE
        service = chance.favour(SERVICES)
        for _ in range(3 + chance.count(2)):
            rule, kind = chance.favour(_BROKEN_BY_RELEASES)
            about = [place for place in places(cluster, week)[kind] if _is_about(place, service.name)]
            starts_at = at + chance.seconds(20, 900)
            yield firing(rule, cluster, chance.pick(about), starts_at, starts_at + chance.minutes(11, spread=0.4))


def _is_about(place: Place, service: str) -> bool:
    return service in {place.get("container"), place.get("service"), place.get("deployment")}
