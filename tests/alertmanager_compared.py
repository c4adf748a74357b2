"""What a real Alertmanager answered, compared with what ours says: statuses, groups and webhooks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from alert_history.domain.alertmanager.behaviour import Behaviour
from alert_history.domain.alertmanager.configuration import Configuration
from tests.alertmanager_worlds import Answer, Grouped, Look, Run, Status, Told, World, answers


@dataclass
class Comparison:
    """How many cases were compared, by kind, how many were not because time decides them, and what differs."""

    counts: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def case(self, kind: str, *, ours: object, theirs: object, where: str) -> None:
        """Count one case, and note where it differs."""
        self.counts[kind] += 1
        if ours != theirs:
            self.differences.append(f"{kind} {where}:\n  ours   {ours}\n  theirs {theirs}")


def compare(run: Run, configuration: Configuration, *, behaviour: Behaviour, shows_muted: bool) -> Comparison:
    """All worlds of a run. `shows_muted`: its groups say which time intervals mute them (0.28 and newer)."""
    comparison = Comparison()
    for world in run.worlds:
        tries = answers(world, run, configuration, behaviour=behaviour)
        for place, look in enumerate(run.looks):
            _compare_statuses(comparison, world, look, [each.statuses[place] for each in tries])
            groups = [each.groups[place] for each in tries]
            if len(set(groups)) > 1:
                comparison.undecided["groups"] += len(groups[0])
            else:
                ours = groups[0] if shows_muted else frozenset(map(_unmuted, groups[0]))
                _compare_groups(comparison, world, look, ours)
        _compare_webhooks(comparison, world, run, tries)
    return comparison


def _compare_statuses(comparison: Comparison, world: World, look: Look, tries: Sequence[dict[str, Status]]) -> None:
    theirs = {name: alert for name, alert in look.alerts.items() if alert["labels"]["world"] == world.name}
    if all(each.keys() == tries[0].keys() for each in tries):
        where = f"{world.name} at {look.at}"
        comparison.case("list", ours=sorted(tries[0]), theirs=sorted(theirs), where=where)
    else:
        comparison.undecided["list"] += 1
    for name, alert in theirs.items():
        ours = tries[0].get(name)
        if ours is None or any(each.get(name) != ours for each in tries):
            comparison.undecided["status"] += 1
            continue
        comparison.case("status", ours=ours, theirs=_status(alert, ours), where=f"{world.name} {name} at {look.at}")


def _status(alert: dict[str, Any], ours: Status) -> Status:
    """What it says; the inhibitors are ours where it names one of them."""
    status = alert["status"]
    names = tuple(status["inhibitedBy"])
    is_of_ours = len(names) == 1 and names[0] in ours.inhibitors
    return Status(
        status["state"] == "suppressed",
        tuple(each["name"] for each in alert["receivers"]),
        tuple(status["silencedBy"]),
        ours.inhibitors if is_of_ours else names,
    )


def _compare_groups(comparison: Comparison, world: World, look: Look, ours: frozenset[Grouped]) -> None:
    theirs = {_grouped(each) for each in look.groups if each["labels"].get("world") == world.name}
    for name in {(each.receiver, each.labels) for each in ours | theirs}:
        one, other = (sorted(each for each in some if (each.receiver, each.labels) == name) for some in (ours, theirs))
        comparison.case("group", ours=one, theirs=other, where=f"{world.name} {name} at {look.at}")


def _grouped(group: dict[str, Any]) -> Grouped:
    alerts = group["alerts"]
    return Grouped(
        group["receiver"]["name"],
        tuple(sorted(group["labels"].items())),
        tuple(alert["fingerprint"] for alert in alerts),
        tuple(alerts[0]["status"].get("mutedBy", ())),
    )


def _unmuted(group: Grouped) -> Grouped:
    return msgspec.structs.replace(group, muted_by=())


def _compare_webhooks(comparison: Comparison, world: World, run: Run, tries: Sequence[Answer]) -> None:
    """Those of each group in their order; that they came when ours says is within the tries' hundredths."""
    theirs = [
        _told(body) for at, body in run.webhooks if body["groupLabels"]["world"] == world.name and at < run.looks[-1].at
    ]
    for name in sorted({(each.receiver, each.group_key) for each in (*theirs, *tries[0].told)}):
        ours = [_of(each.told, name) for each in tries]
        if any(each != ours[0] for each in ours):
            comparison.undecided["webhooks of a group"] += 1
            continue
        comparison.case("webhooks of a group", ours=ours[0], theirs=_of(theirs, name), where=f"{world.name} {name}")
        comparison.counts["webhook"] += len(ours[0])


def _of(told: Sequence[Told], name: tuple[str, str]) -> list[Told]:
    return [each for each in told if (each.receiver, each.group_key) == name]


def _told(body: dict[str, Any]) -> Told:
    firing, resolved = (
        tuple(alert["fingerprint"] for alert in body["alerts"] if alert["status"] == status)
        for status in ("firing", "resolved")
    )
    return Told(body["receiver"], body["groupKey"], firing, resolved)
