"""What an occurrence is like and what was around it, as it is seen in a small history.

Holds: engine.neighbours, storage.shared.surroundings.
"""

from datetime import datetime, timedelta

import pytest

from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import occurrence_id
from alert_history.engine.neighbours import AroundAnswer, Neighbours, SimilarAnswer
from alert_history.engine.people_acts import NO_ACTS, KeptActs
from alert_history.errors import NotFound
from alert_history.ports import Store
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, receipt
from tests.histories import Firing, PersonsActs, act, record

HOUR = timedelta(hours=1)
AT = NOW - DAY
POD = {"pod": "b"}


def id_of(firing: Firing) -> str:
    fingerprint = alert(firing.alertname, labels=firing.labels).fingerprint
    return occurrence_id(fingerprint, to_us(firing.begins))


def before(hours: float, *, minutes: int = 10, alertname: str = "Disk", **labels: str) -> Firing:
    begins = AT - hours * HOUR
    return Firing(alertname, begins, begins + minutes * MINUTE, labels)


OWN = Firing("Disk", AT, AT + HOUR)


async def similar(store: Store, *, most: int = 10, acts: KeptActs | None = None) -> SimilarAnswer:
    neighbours = Neighbours(store.history, store.surroundings, clock=lambda: NOW, acts=acts)
    answer = await neighbours.similar(id_of(OWN), most=most)
    assert isinstance(answer, SimilarAnswer)
    return answer


async def around(store: Store, within: timedelta = 15 * MINUTE, *, top: int = 50) -> AroundAnswer:
    neighbours = Neighbours(store.history, store.surroundings, clock=lambda: NOW)
    answer = await neighbours.around(id_of(OWN), within, top=top)
    assert isinstance(answer, AroundAnswer)
    return answer


async def test_earlier_episodes_come_newest_first_the_same_alert_before_its_like(store: Store) -> None:
    same = [before(hours, minutes=minutes) for hours, minutes in ((5, 1), (30, 3), (70, 8))]
    alike = [before(4, pod="b"), before(9, pod="c")]
    others = [before(3, namespace="other"), before(2, alertname="Cpu")]
    later = Firing("Disk", AT + 2 * HOUR, AT + 3 * HOUR)
    await record(store, *same, *alike, *others, OWN, later, Firing("Disk", AT + 3 * HOUR, None, POD))
    answer = await similar(store)
    assert [each.id for each in answer.same_alert] == [id_of(each) for each in same]
    assert [each.id for each in answer.same_shape] == [id_of(each) for each in alike]
    assert [(each.seconds, each.ended_by) for each in answer.same_alert] == [
        (60, "resolved"),
        (180, "resolved"),
        (480, "resolved"),
    ]
    sums = answer.sums
    assert (sums.episodes, sums.is_all, sums.median_seconds, sums.open) == (3, True, 180, 0)
    assert sums.ended_by == {"resolved": 3}
    assert (answer.alertname, answer.namespace) == ("Disk", "shop")
    assert answer.covers.left_out == (NO_ACTS,)


async def test_only_so_many_are_shown_and_more_are_summed_up(store: Store) -> None:
    await record(store, *(before(hours) for hours in range(1, 13)), OWN)
    answer = await similar(store, most=2)
    assert (len(answer.same_alert), answer.sums.episodes) == (2, 12)


async def test_what_people_did_stands_beside_each_episode(store: Store) -> None:
    same = before(5)
    acts = PersonsActs([act(same), act(same, kind="noted", after=2 * MINUTE, by="bob")])
    await record(store, same, before(6), OWN)
    first, second = (await similar(store, acts=acts)).same_alert
    assert [(each.kind, each.by) for each in first.acts] == [("acknowledged", "ada"), ("noted", "bob")]
    assert second.acts == []


async def test_begins_that_are_near_are_told_by_rule_with_their_lag(store: Store) -> None:
    severities = [*["warning"] * 6, "critical"]
    pods = [
        Firing("PodCrash", AT + 90 * SECOND + place * SECOND, None, {"pod": str(place), "severity": severity})
        for place, severity in enumerate(severities)
    ]
    node = Firing("NodeDown", AT - MINUTE, AT + HOUR, {"severity": "info"})
    far = [Firing("Far", AT - 16 * MINUTE, AT - 15.5 * MINUTE), Firing("Far", AT + 16 * MINUTE)]
    await record(store, OWN, node, *pods, *far)
    answer = await around(store)
    assert [(rule.alertname, rule.began, rule.fired, rule.lag_seconds) for rule in answer.rules] == [
        ("NodeDown", 1, 0, -60),
        ("PodCrash", 7, 0, 90),
    ]
    assert [rule.severity for rule in answer.rules] == ["info", "critical"]
    assert [each.lag_seconds for each in answer.rules[1].alerts] == [90, 91, 92, 93, 94]
    assert (answer.began, answer.fired, answer.within_seconds) == (8, 0, 900)
    assert (answer.covers.since, answer.covers.until) == (AT - 15 * MINUTE, AT + 15 * MINUTE)


@pytest.mark.parametrize("ends", [None, AT + HOUR, AT - 14 * MINUTE])
async def test_what_fired_already_comes_behind_what_began(store: Store, ends: datetime | None) -> None:
    old = Firing("Slow", AT - 3 * HOUR, ends)
    over = Firing("Over", AT - 3 * HOUR, AT - HOUR)
    await record(store, old, over, Firing("Slow", AT - 2 * HOUR, None, POD), OWN, Firing("Cpu", AT + 10 * MINUTE))
    answer = await around(store)
    assert [(rule.alertname, rule.began, rule.fired) for rule in answer.rules] == [("Cpu", 1, 0), ("Slow", 0, 2)]
    assert answer.rules[1].lag_seconds == -7200


async def test_group_that_was_received_late_is_near_by_its_start(store: Store) -> None:
    late = alert("Late", starts_at=AT + MINUTE)
    await record(store, OWN)
    await store.recorder.commit([receipt(late, at=AT + 20 * MINUTE)])
    [rule] = (await around(store)).rules
    assert (rule.alertname, rule.lag_seconds) == ("Late", 60)


async def test_occurrence_that_nobody_knows_is_not_found(store: Store) -> None:
    neighbours = Neighbours(store.history, store.surroundings, clock=lambda: NOW)
    for answer in (neighbours.similar(id_of(OWN), most=1), neighbours.around(id_of(OWN), MINUTE, top=1)):
        with pytest.raises(NotFound):
            await answer
