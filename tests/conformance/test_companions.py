"""What begins together is counted as it is worked out by hand, and the answer says what was read.

Holds: engine.companions, storage.shared.surroundings.
"""

from datetime import timedelta

import pytest
import yaml

from alert_history.domain.together import TogetherRules
from alert_history.engine import companions as companions_module
from alert_history.engine.companions import Companions, TogetherAnswer
from alert_history.ports import Store
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, receipt
from tests.histories import Firing, record, span

SINCE = NOW - 10 * DAY
HOUR = timedelta(hours=1)
PODS = {"cluster": "c1"}


def outages(number: int, *, pods: int = 2) -> list[Firing]:
    """A node goes down every eight hours, each time in another cluster, and a minute later its pods crash."""
    firings = []
    for place in range(number):
        at, cluster = SINCE + (1 + 8 * place) * HOUR, {"cluster": f"c{place % 3}"}
        firings.append(Firing("NodeDown", at, at + HOUR, cluster))
        firings += [
            Firing("PodCrash", at + MINUTE, at + 30 * MINUTE, cluster | {"pod": str(pod)}) for pod in range(pods)
        ]
    return firings


async def answer(
    store: Store, *, rule: str | None = None, query: str = "", same: tuple[str, ...] = ()
) -> TogetherAnswer:
    asked = span(SINCE, NOW, query=query)
    return await Companions(store.surroundings).together(asked, TogetherRules(same=same), rule=rule)


async def test_rule_has_its_companions_with_what_chance_would_give(store: Store) -> None:
    await record(store, *outages(20), Firing("Backup", SINCE + 30 * MINUTE, SINCE + HOUR))
    together = await answer(store, rule="NodeDown")
    [pair] = together.pairs
    assert (pair.other, pair.count, pair.of, pair.before, pair.after) == ("PodCrash", 20, 20, 0, 20)
    assert pair.median_lag_seconds == 60
    assert pair.expected == pytest.approx(20 * (1 - 2.718281828 ** (-40 * 600 / 864_000)), rel=1e-6)
    assert together.begins == 61
    assert (together.covers.since, together.covers.until, together.covers.is_exact) == (SINCE, NOW, True)


async def test_explained_rule_has_an_inhibit_rule_on_the_labels_that_belong_together(store: Store) -> None:
    await record(store, *outages(20))
    [pair] = (await answer(store)).pairs
    assert pair.explained_by == "NodeDown"
    assert pair.inhibit_rule is not None
    [rule] = yaml.safe_load(pair.inhibit_rule)["inhibit_rules"]
    assert rule == {
        "source_matchers": ['alertname="NodeDown"'],
        "target_matchers": ['alertname="PodCrash"'],
        "equal": ["cluster", "namespace"],
    }


async def test_only_alike_alerts_are_together_where_that_is_asked(store: Store) -> None:
    apart = [Firing("PodCrash", SINCE + place * 5 * HOUR, None, {"cluster": f"x{place}"}) for place in range(9)]
    nodes = [
        Firing("NodeDown", SINCE + place * 5 * HOUR, SINCE + (place * 5 + 1) * HOUR, {"cluster": "y"})
        for place in range(9)
    ]
    await record(store, *apart, *nodes)
    assert len((await answer(store)).pairs) == 1
    assert (await answer(store, same=("cluster",))).pairs == []


async def test_condition_says_which_alerts_are_compared(store: Store) -> None:
    await record(store, *outages(6))
    assert (await answer(store, query='{alertname="PodCrash"}')).begins == 12
    assert (await answer(store, query='{cluster="c1"}')).begins == 6


async def test_storm_is_found_with_its_first_rule(store: Store) -> None:
    at = NOW - 5 * DAY
    calm = [Firing("Calm", SINCE + (place + 0.5) * HOUR, SINCE + (place + 0.5) * HOUR + MINUTE) for place in range(200)]
    storm = [Firing(f"Service{place % 5}", at + place * 5 * SECOND, None, {"pod": str(place)}) for place in range(40)]
    await record(store, *calm, *storm)
    [alert_storm] = (await answer(store)).storms
    assert (alert_storm.since, alert_storm.until) == (at, at + 195 * SECOND)
    assert (alert_storm.begun, alert_storm.alerts) == (40, 40)
    assert (alert_storm.first_rule, alert_storm.most, alert_storm.usual) == ("Service0", 40, 0)


async def test_span_before_is_answered_beside(store: Store) -> None:
    await record(store, *outages(20))
    middle = SINCE + 5 * DAY
    asked = span(middle, NOW)
    together = await Companions(store.surroundings).together(asked, TogetherRules(), is_compared=True)
    assert together.compared is not None
    assert (together.begins, together.compared.begins) == (15, 45)
    assert (together.compared.covers.since, together.compared.covers.until) == (SINCE, middle)


async def test_begin_is_when_senders_say_so_and_what_began_before_the_span_is_told(store: Store) -> None:
    late = alert("Late", starts_at=SINCE - DAY)
    soon = alert("Soon", starts_at=SINCE + MINUTE)
    await store.recorder.commit([receipt(late, at=SINCE + HOUR), receipt(soon, at=SINCE + HOUR)])
    together = await answer(store)
    assert together.begins == 1
    assert together.covers.left_out == ("1 occurrences that began outside of the span by their senders' clocks",)


async def test_only_the_newest_are_read_and_the_answer_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companions_module, "MOST_EPISODES", 10)
    await record(store, *outages(6))
    together = await answer(store)
    assert (together.begins, together.covers.is_exact) == (
        9,
        False,
    )  # one of two pods that came at once is read, and left out
    assert together.covers.since > SINCE + (1 + 8 * 2) * HOUR
