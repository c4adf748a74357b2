"""The Alertmanagers of the demo's company: firings in, the messages of groups out, in order of time.

They wait and repeat as the real one does with `group_wait: 30s`, `group_interval: 5m` and `repeat_interval: 12h` (4 h
for critical alerts), grouped by alertname, cluster and namespace. What begins and ends between two looks at its group
is never sent. Source: `dispatch` and `notify` of prometheus/alertmanager. Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from alert_history.demo.company import AMERICA, EUROPE, Cluster
from alert_history.demo.firing import Firing, Message, Rule, Severity

GROUP_WAIT = timedelta(seconds=30)
GROUP_INTERVAL = timedelta(minutes=5)
_REPEAT_INTERVAL = timedelta(hours=12)
_REPEAT_INTERVAL_OF_CRITICAL = timedelta(hours=4)
_ON_THE_WAY = timedelta(milliseconds=140)
_UNSET = "0001-01-01T00:00:00Z"
_PATH = "/webhook"  # to be recorded only, so that no target of today is notified of the past
_CLUSTERS = {cluster.name: cluster for cluster in (EUROPE, AMERICA)}
_TEAMS = frozenset({"platform", "checkout", "network"})
_GROUPED_BY = ("alertname", "cluster", "namespace")


class Notice(msgspec.Struct, frozen=True):
    """One message about alerts of a severity, and the firings whose beginning or end it is the first to name."""

    message: Message
    severity: Severity
    begun: Sequence[Firing]
    ended: Sequence[Firing]


def apart(firings: Iterable[Firing]) -> list[Firing]:
    """Those firings that an Alertmanager would tell apart, in order of time.

    Two firings of one label set lie at least a look at their group apart; what comes sooner is left out.
    """
    free_from: dict[str, datetime] = {}
    distinct_firings: list[Firing] = []
    for firing in sorted(firings, key=lambda firing: (firing.starts_at, firing.fingerprint)):
        begin = free_from.get(firing.fingerprint)
        if begin is None or firing.starts_at >= begin:
            end = firing.ends_at or datetime.max.replace(tzinfo=firing.starts_at.tzinfo)
            free_from[firing.fingerprint] = end if firing.ends_at is None else end + GROUP_INTERVAL + GROUP_WAIT
            distinct_firings.append(firing)
    return distinct_firings


def notices(firings: Iterable[Firing], *, until: datetime) -> list[Notice]:
    """All messages about these firings, which are `apart`, that are received before `until`, in order of time."""
    groups: dict[tuple[str, ...], list[Firing]] = defaultdict(list)
    for firing in firings:
        groups[receiver(firing), *(firing.labels[name] for name in _GROUPED_BY)].append(firing)
    all_notices = [notice for members in groups.values() for notice in _of_group(members, until=until)]
    return sorted(all_notices, key=lambda notice: (notice.message.received_at, notice.message.body))


def receiver(firing: Firing) -> str:
    """The receiver that the routes of the company choose."""
    match firing.rule.severity:
        case "critical":
            return "major-incident"
        case "warning":
            team = firing.labels.get("team", "")
            return f"team-{team}" if team in _TEAMS else "ops-chat"
        case "info":
            return "noise-chat"
        case "none":
            return "dead-mans-switch"


def _of_group(firings: Sequence[Firing], *, until: datetime) -> Iterator[Notice]:
    """The messages of one group. A group that is empty is forgotten, and begins anew."""
    waiting = [firing for firing in reversed(firings) if firing.starts_at + GROUP_WAIT + _ON_THE_WAY < until]
    while waiting:
        yield from _of_one_life(waiting, until=until)


def _of_one_life(waiting: list[Firing], *, until: datetime) -> Iterator[Notice]:
    """The messages until the group is empty; takes its firings out of `waiting`, whose last is the next."""
    look = sent_at = waiting[-1].starts_at + GROUP_WAIT
    repeats_after = _repeats_after(waiting[-1].rule)
    members: dict[str, Firing] = {}
    sent: frozenset[str] = frozenset()
    while look + _ON_THE_WAY < until:
        while waiting and waiting[-1].starts_at <= look:
            begins = waiting.pop()
            members[begins.fingerprint] = begins
        fires = {name: each for name, each in members.items() if each.ends_at is None or each.ends_at > look}
        begun = [each for name, each in fires.items() if name not in sent]
        ended = [each for name, each in members.items() if name in sent and name not in fires]
        if begun or ended or look - sent_at >= repeats_after:
            severity = next(iter(members.values())).rule.severity
            yield Notice(_message([*fires.values()], ended, look=look), severity, begun, ended)
            sent, sent_at = frozenset(fires), look
        members = fires
        if not members:
            return
        due = [each.ends_at for each in members.values() if each.ends_at is not None]
        due += [waiting[-1].starts_at] if waiting else []
        wait = min([*due, sent_at + repeats_after]) - look
        look += GROUP_INTERVAL * max(-(-wait // GROUP_INTERVAL), 1)
    waiting.clear()


def _repeats_after(rule: Rule) -> timedelta:
    return _REPEAT_INTERVAL_OF_CRITICAL if rule.severity == "critical" else _REPEAT_INTERVAL


# --- the body of a message --------------------------------------------------------------------------------------------


def _message(fires: Sequence[Firing], ended: Sequence[Firing], *, look: datetime) -> Message:
    return Message.of(look + _ON_THE_WAY, _PATH, msgspec.json.encode(_body(fires, ended)))


def _body(fires: Sequence[Firing], ended: Sequence[Firing]) -> dict[str, Any]:
    """The body that Alertmanager sends to a webhook."""
    named = [*fires, *ended]
    first = named[0]
    cluster = _CLUSTERS[first.labels["cluster"]]
    group = {name: first.labels[name] for name in _GROUPED_BY}
    to = receiver(first)
    shown = ", ".join(f'{name}="{value}"' for name, value in group.items())
    return {
        "receiver": to,
        "status": "firing" if fires else "resolved",
        "alerts": [_alert(each, cluster) for each in fires] + [_alert(each, cluster, is_over=True) for each in ended],
        "groupLabels": group,
        "commonLabels": _common([firing.labels for firing in named]),
        "commonAnnotations": _common([firing.annotations for firing in named]),
        "externalURL": cluster.alertmanager,
        "version": "4",
        "groupKey": f'{{}}/{{receiver="{to}"}}:{{{shown}}}',
        "truncatedAlerts": 0,
    }


def _alert(firing: Firing, cluster: Cluster, *, is_over: bool = False) -> dict[str, Any]:
    return {
        "status": "resolved" if is_over else "firing",
        "labels": firing.labels,
        "annotations": firing.annotations,
        "startsAt": firing.starts_at,
        "endsAt": firing.ends_at if is_over else _UNSET,
        "generatorURL": cluster.prometheus + firing.rule.link,
        "fingerprint": firing.fingerprint,
    }


def _common(texts: Sequence[dict[str, str]]) -> dict[str, str]:
    """The pairs of name and text that all have."""
    first, *others = texts
    return first if not others else dict(sorted(set(first.items()).intersection(*(each.items() for each in others))))
