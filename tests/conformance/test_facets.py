"""Facets count values of labels, and their parts add up.

Holds: `storage.shared.statistics`, `engine.value_counts`, `domain.stacks`.
"""

from collections import Counter
from datetime import timedelta
from random import Random

import pytest

from alert_history.domain.query import parse_query
from alert_history.engine.facets import DEFAULT_LABELS, Facets
from alert_history.ports import Store
from tests.conformance.samples import DAY, NOW, SECOND, alert, receipt
from tests.numbers import fold_all
from tests.statistics import answering, span

TICK = timedelta(microseconds=1)


async def record(store: Store, number: int, *, days: float) -> list[tuple[timedelta, dict[str, str]]]:
    """So many alerts, each with its time before NOW and its labels."""
    random = Random(3)
    ages = sorted((days * DAY * random.random() for _ in range(number)), reverse=True)
    made = []
    for place, age in enumerate(ages):
        labels = {
            "alertname": f"A{random.randrange(12)}",
            "severity": f"s{random.randrange(3)}",
            "namespace": f"n{random.randrange(4)}",
            "pod": f"p{random.randrange(6)}",
            "instance": str(place),
        }
        made.append((age, labels))
    receipts = [
        receipt(alert(labels["alertname"], starts_at=NOW - age, labels=labels), at=NOW - age) for age, labels in made
    ]
    await store.recorder.commit(receipts[: number // 2])
    await fold_all(store)
    await store.recorder.commit(receipts[number // 2 :])
    return made


def check_sums(facets: Facets) -> None:
    for facet in facets.facets:
        assert facet.total == facets.total
        assert sum(value.begun for value in facet.values) + facet.other.begun == facet.total
        shares = sum(value.share for value in facet.values) + facet.other.share
        assert shares == pytest.approx(1.0 if facet.total else 0.0)


@pytest.mark.parametrize("query", ["", '{severity="s1"}', '{pod!="p1"} '])
@pytest.mark.parametrize("since, until", [(6 * DAY + 31 * SECOND, 7 * SECOND), (5 * DAY, DAY), (0.4 * DAY, TICK)])
async def test_values_are_counted_exactly(store: Store, query: str, since: timedelta, until: timedelta) -> None:
    made = await record(store, 120, days=8)
    made = [(age, labels) for age, labels in made if until < age <= since]
    made = [(age, labels) for age, labels in made if parse_query(query).matches(labels, {})]
    labels = ["alertname", "pod", "severity", "nowhere"]
    facets = await answering(store).facets.facets(span(NOW - since, NOW - until, query=query), labels, top=3)
    check_sums(facets)
    assert facets.total == len(made)
    for facet in facets.facets:
        counts = Counter(of_alert.get(facet.by, "") for _, of_alert in made)
        expected = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        assert [(value.value, value.begun) for value in facet.values] == expected[:3]
        assert facet.other.values == len(expected[3:])
    assert [facet.by for facet in facets.facets] == labels


async def test_change_is_against_the_same_values(store: Store) -> None:
    made = await record(store, 60, days=4)
    facets = await answering(store).facets.facets(span(NOW - 2 * DAY, NOW), DEFAULT_LABELS, top=2, is_compared=True)
    assert facets.compared is not None
    check_sums(facets.compared)
    assert (facets.compared.covers.since, facets.compared.covers.until) == (NOW - 4 * DAY, NOW - 2 * DAY)
    before = Counter(labels["alertname"] for age, labels in made if age > 2 * DAY)
    now = Counter(labels["alertname"] for age, labels in made if age <= 2 * DAY)
    assert facets.compared.change == now.total() - before.total()
    alertnames = facets.compared.facets[0]
    assert [value.value for value in alertnames.values] == [value.value for value in facets.facets[0].values]
    assert {value.value: (value.begun, value.change) for value in alertnames.values} == {
        value.value: (before[value.value], now[value.value] - before[value.value]) for value in alertnames.values
    }
    assert alertnames.other.begun + sum(value.begun for value in alertnames.values) == before.total()


async def test_empty_history_has_facets_of_nothing(store: Store) -> None:
    facets = await answering(store).facets.facets(span(NOW - DAY, NOW), ["alertname", "pod"], top=3)
    assert (facets.total, [facet.values for facet in facets.facets]) == (0, [[], []])
    check_sums(facets)


async def test_sample_adds_up_and_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alert_history.engine.value_counts.MOST_READ", 200)
    await record(store, 600, days=2)
    facets = await answering(store).facets.facets(span(NOW - 2 * DAY, NOW), ["pod", "alertname"], top=2)
    assert facets.covers.sampled_share == pytest.approx(1 / 3, abs=0.01)
    assert not facets.covers.is_exact
    assert facets.total == pytest.approx(600, rel=0.4)
    pods, alertnames = facets.facets
    assert sum(value.begun for value in pods.values) + pods.other.begun == pods.total == facets.total
    assert alertnames.covers.is_exact
    assert alertnames.total == 600
