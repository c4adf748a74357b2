"""How soon people acknowledged is reckoned as it is worked out by hand.

Holds: engine.people_response.
"""

from datetime import timedelta

import pytest

from alert_history.engine.people_response import PeopleResponse
from alert_history.ports import Store
from tests.conformance.samples import DAY, MINUTE, NOW
from tests.histories import Firing, PersonsActs, act, record, span

SINCE = NOW - DAY
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def worked() -> tuple[list[Firing], PersonsActs]:
    """The worked example of docs/explanation/noise.md: 60, 120 and 600 s; one ended after 90 s, one waits for 300 s."""
    ended = [Firing("Disk", SINCE + place * HOUR, SINCE + place * HOUR + 20 * MINUTE) for place in range(3)]
    unanswered = Firing("Disk", SINCE + 4 * HOUR, SINCE + 4 * HOUR + 90 * SECOND)
    waiting = Firing("Cpu", NOW - 5 * MINUTE)
    acts = [
        act(firing, after=after * SECOND, by=by)
        for firing, after, by in zip(ended, (60, 120, 600), ("ada", "bob", "ada"), strict=True)
    ]
    later = act(ended[0], after=900 * SECOND, by="bob")
    noted = act(unanswered, kind="noted", after=3 * HOUR)
    return [*ended, unanswered, waiting], PersonsActs([*acts, later, noted])


async def test_worked_response_is_of_all_by_rule_and_by_person(store: Store) -> None:
    firings, acts = worked()
    await record(store, *firings)
    answer = await PeopleResponse(store.analytics, acts=acts).response(span(SINCE, NOW), top=10)
    times = answer.times
    assert (times.begun, times.acknowledged, times.acted, times.censored) == (5, 3, 4, 2)
    assert (times.share, times.p50_seconds, times.p90_seconds) == (0.6, 600.0, 600.0)
    assert (times.share_low, times.share_high) == pytest.approx((0.231, 0.882), abs=5e-4)
    assert [(each.rule, each.times.begun, each.times.acknowledged) for each in answer.rules] == [
        ("Cpu", 1, 0),
        ("Disk", 4, 3),
    ]
    assert [(each.by, each.acknowledged, each.p50_seconds) for each in answer.people] == [
        ("ada", 2, 60.0),
        ("bob", 1, 120.0),
    ]
    assert (answer.covers.is_exact, answer.covers.left_out) == (True, ())


async def test_condition_and_bound_narrow_the_answer(store: Store) -> None:
    firings, acts = worked()
    await record(store, *firings)
    response = PeopleResponse(store.analytics, acts=acts)
    asked = span(SINCE, NOW, query='{alertname="Cpu"}')
    assert (await response.response(asked, top=10)).times.begun == 1
    answer = await response.response(span(SINCE, NOW), top=1)
    assert (len(answer.rules), len(answer.people)) == (1, 1)


async def test_span_before_is_compared(store: Store) -> None:
    firings, acts = worked()
    before = Firing("Disk", SINCE - 3 * HOUR, SINCE - 2 * HOUR)
    await record(store, before, *firings)
    acts = PersonsActs([*acts.acts, act(before, after=30 * SECOND)])
    answer = await PeopleResponse(store.analytics, acts=acts).response(span(SINCE, NOW), top=10, is_compared=True)
    compared = answer.compared
    assert compared is not None
    assert (compared.times.begun, compared.times.p50_seconds, compared.change_p50_seconds) == (1, 30.0, 570.0)
    assert compared.change_share == pytest.approx(-0.4)


async def test_without_acts_nothing_is_acknowledged_and_the_answer_says_why(store: Store) -> None:
    await record(store, *worked()[0])
    answer = await PeopleResponse(store.analytics).response(span(SINCE, NOW), top=10)
    assert (answer.times.begun, answer.times.acknowledged, answer.people) == (5, 0, ())
    assert "acknowledgements" in answer.covers.left_out[0]
