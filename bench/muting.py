"""Muting: 10 000 firing alerts through 50 inhibit rules, 1 000 alerts against 1 000 silences, and a simulated week.

No database is asked. Each round prepares rules and silences anew. One thread; its own seconds on the processor count,
of the best round (the week has one only), as the others tell of what else the machine did. Inhibition is checked
against its definition before.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from alert_history.domain.alert import Silence, fingerprint
from alert_history.domain.alertmanager.configuration import Configuration, InhibitRule, Integration, Receiver, Route
from alert_history.domain.alertmanager.dispatch import simulate
from alert_history.domain.alertmanager.inhibition import Inhibition, Inhibitor, Source
from alert_history.domain.alertmanager.matchers import matching
from alert_history.domain.alertmanager.notification import Notification, Outcome
from alert_history.domain.alertmanager.posting import Post
from alert_history.domain.alertmanager.silencing import Silencing
from alert_history.domain.query import Matcher
from bench.databases import Database
from bench.plan import Plan
from bench.report import Measured, at_least, at_most

FIRING = 10_000
RULES = 50
SILENCES = 1_000
_SILENCED = 1_000
_POSTS = 20_000
_ROUNDS = 3
_INHIBITION_SECONDS = 1.0
_SILENCE_SECONDS = 0.1
_POSTS_PER_SECOND = 5_000
_NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
_WEEK = timedelta(days=7)

Labels = Mapping[str, str]


def measure(database: Database, plan: Plan) -> list[Measured]:
    """All three, once: no database is asked."""
    if database.name != "SQLite":
        return []
    plan.say(f"muting: {FIRING} alerts, {RULES} inhibit rules; {SILENCES} silences; a simulated week")
    alerts, rules = firing(FIRING), inhibit_rules()
    _check(rules, alerts[:200])
    inhibited = sum(each is not None for each in inhibitors(rules, alerts))
    seconds = _best(lambda: inhibitors(rules, alerts))
    silences = made_silences()
    silence_seconds = _best(lambda: silenced(silences, alerts[:_SILENCED]))
    posts, configuration = week(alerts), _configuration(rules)
    outcomes: list[Outcome] = []
    rate = len(posts) / _seconds(lambda: outcomes.extend(simulate(posts, configuration, until=_NOON + _WEEK)))
    told = sum(isinstance(each, Notification) for each in outcomes)
    best = f"best of {_ROUNDS} rounds"
    return [
        Measured("", "inhibition", seconds, "s", at_most(_INHIBITION_SECONDS), f"{inhibited} inhibited; {best}"),
        Measured("", "silences", silence_seconds, "s", at_most(_SILENCE_SECONDS), best),
        Measured("", "dispatch", rate, "posts a second", at_least(_POSTS_PER_SECOND), f"{told} notifications"),
    ]


def firing(count: int) -> list[tuple[str, Labels]]:
    """Distinct alerts, as clusters of many teams send them, each with its fingerprint."""
    random = Random(7)
    label_sets = [_alert(random, number) for number in range(count)]
    return [(fingerprint(labels), labels) for labels in label_sets]


def _alert(random: Random, number: int) -> dict[str, str]:
    return {
        "alertname": random.choice([f"Disk{number % 40}", f"Down{number % 25}", f"Slow{number % 300}"]),
        "severity": random.choice(["critical", "warning", "warning", "info"]),
        "team": f"team{random.randrange(25)}",
        "cluster": f"eu-{number % 7}",
        "namespace": f"{random.choice(['prod', 'stage'])}-{random.randrange(60)}",
        "instance": f"10.{number % 250}.{number // 250}.7:9100",
    }


def inhibit_rules() -> list[InhibitRule]:
    """A critical one of the same place over lesser ones, a host over what runs on it, by team; half with regexes."""
    return [_rule(position) for position in range(RULES)]


def _rule(position: int) -> InhibitRule:
    team = Matcher("team", "=", f"team{position % 25}")
    if position % 2:
        sources = (Matcher("alertname", "=~", f"Down{position % 25}|Node.*"), Matcher("severity", "=", "critical"))
        targets = (Matcher("alertname", "!~", "Down.*|Node.*"), Matcher("severity", "=~", "warning|info"))
        return InhibitRule(position, sources, targets, ("cluster", "namespace"))
    sources = (team, Matcher("severity", "=", "critical"))
    return InhibitRule(position, sources, (team, Matcher("severity", "!=", "critical")), ("cluster", "alertname"))


def inhibitors(rules: Sequence[InhibitRule], alerts: Sequence[tuple[str, Labels]]) -> list[Inhibitor | None]:
    """The inhibitor of each, all of them firing."""
    inhibition = Inhibition(rules)
    sides = [inhibition.sides(labels) for _, labels in alerts]
    for (name, _), each in zip(alerts, sides, strict=True):
        inhibition.put(Source(name, _NOON + _WEEK), each)
    return [inhibition.inhibitor(each, at=_NOON) for each in sides]


def made_silences() -> list[Silence]:
    """Of one alert on one host, of an alert in some namespaces, of all of a cluster but for some."""
    return [_silence(number) for number in range(SILENCES)]


def _silence(number: int) -> Silence:
    kinds = [
        [("alertname", "=", f"Disk{number % 40}"), ("instance", "=", f"10.{number % 250}.{number % 40}.7:9100")],
        [("alertname", "=", f"Slow{number % 300}"), ("namespace", "=~", f"(prod|stage)-{number % 60}")],
        [("cluster", "=", f"eu-{number % 9}"), ("team", "=~", f"team{number % 25}.*"), ("severity", "!=", "critical")],
    ]
    matchers = [{"name": name, "op": op, "value": value} for name, op, value in kinds[number % len(kinds)]]
    return Silence(f"{number:04}", [matchers], _NOON, _NOON + _WEEK, _NOON, "bench", "")


def silenced(silences: Sequence[Silence], alerts: Sequence[tuple[str, Labels]]) -> int:
    """How many of the alerts are silenced."""
    silencing = Silencing(silences)
    return sum(bool(silencing.silenced_by(labels, at=_NOON)) for _, labels in alerts)


def week(alerts: Sequence[tuple[str, Labels]]) -> list[Post]:
    """Each fires a few times in a week, from minutes to a day; the posts of begins and ends in order."""
    random = Random(11)
    posts: list[Post] = []
    while len(posts) < _POSTS:
        name, labels = random.choice(alerts)
        begin = _NOON + _WEEK * random.random()
        end = begin + timedelta(minutes=5) * random.choice([1, 2, 5, 20, 300])
        posts += [Post(begin, name, labels, begin, _NOON + 10 * _WEEK), Post(end, name, labels, begin, end)]
    return sorted(posts, key=lambda post: post.at)


def _configuration(rules: Sequence[InhibitRule]) -> Configuration:
    pager = Receiver("pager", (Integration("webhook", 0, sends_resolved=True),))
    route = Route("pager", "{}", "{}", group_by=("alertname", "cluster", "team"))
    return Configuration(route, (pager,), tuple(rules))


def _best(call: Callable[[], object]) -> float:
    return min(_seconds(call) for _ in range(_ROUNDS))


def _seconds(call: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        begin = time.thread_time()
        call()
        return time.thread_time() - begin
    finally:
        gc.enable()


def _check(rules: Sequence[InhibitRule], alerts: Sequence[tuple[str, Labels]]) -> None:
    tests = [(rule, matching(rule.sources), matching(rule.targets)) for rule in rules]
    for (_, labels), found in zip(alerts, inhibitors(rules, alerts), strict=True):
        defined = any(
            is_target(labels)
            and is_source(other)
            and all(labels.get(name, "") == other.get(name, "") for name in rule.equal)
            and not (is_source(labels) and is_target(other))
            for rule, is_source, is_target in tests
            for _, other in alerts
        )
        assert defined is (found is not None)
