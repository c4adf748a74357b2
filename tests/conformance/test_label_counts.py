"""Which labels there are, with which values, and how often.

Holds: `storage.shared.label_counts`, `storage.shared.label_reads`, `engine.labels`.
"""

from collections.abc import Awaitable, Callable
from unittest.mock import patch

import pytest

from alert_history.engine.labels import Labels
from alert_history.errors import InvalidQuery
from alert_history.ports import LabelName, LabelValue, Store, ValuesFound
from alert_history.storage.shared import label_counts, label_reads
from tests.conformance.samples import MINUTE, NOW, alert, receipt
from tests.numbers import fold_all

Fold = Callable[[Store], Awaitable[None]]


async def leave(_: Store) -> None:
    """What waits, waits."""


@pytest.fixture(params=[leave, fold_all], ids=["waiting", "added up"])
def fold(request: pytest.FixtureRequest) -> Fold:
    """Adds up what waits, or leaves it: no answer depends on it."""
    chosen: Fold = request.param
    return chosen


async def record(store: Store, *values: str, name: str = "pod") -> None:
    """An occurrence for each value of a label."""
    for number, value in enumerate(values):
        await store.recorder.commit([receipt(alert(f"A{number}", labels={name: value}), at=NOW + number * MINUTE)])


def counts(label_values: ValuesFound) -> dict[str, int]:
    return {value.value: value.occurrences for value in label_values.values}


async def test_names_come_with_their_numbers_the_most_frequent_first(store: Store, fold: Fold) -> None:
    await record(store, "a", "b", "a")
    await fold(store)
    names = await store.label_counts.names()
    assert [name.name for name in names] == ["alertname", "namespace", "pod", "severity"]
    assert names[2] == LabelName("pod", occurrences=3, value_count=2, other_occurrences=0)


async def test_values_come_with_their_numbers_the_most_frequent_first(store: Store, fold: Fold) -> None:
    await record(store, "a", "b", "c", "b")
    await fold(store)
    pod_values = await store.label_counts.values("pod", prefix="", limit=100)
    assert pod_values == ValuesFound(
        LabelName("pod", 4, 3, 0), [LabelValue("b", 2), LabelValue("a", 1), LabelValue("c", 1)], is_complete=True
    )


async def test_what_is_added_up_and_what_waits_are_one_answer(store: Store) -> None:
    await record(store, "a", "b")
    await fold_all(store)
    await store.recorder.commit([receipt(alert("Later", labels={"pod": "b"}), alert("Too", labels={"pod": "c"}))])
    pod_values = await store.label_counts.values("pod", prefix="", limit=100)
    assert (pod_values.label, counts(pod_values)) == (LabelName("pod", 4, 3, 0), {"b": 2, "a": 1, "c": 1})


async def test_repeat_and_end_are_no_further_occurrence(store: Store, fold: Fold) -> None:
    for status in ("firing", "firing", "resolved"):
        await store.recorder.commit([receipt(alert("A", status, labels={"pod": "a"}))])
    await fold(store)
    assert counts(await store.label_counts.values("pod", prefix="", limit=100)) == {"a": 1}


async def test_limit_cuts_and_says_so(store: Store, fold: Fold) -> None:
    await record(store, "a", "b", "b")
    await fold(store)
    pod_values = await store.label_counts.values("pod", prefix="", limit=1)
    assert (counts(pod_values), pod_values.is_complete) == ({"b": 2}, False)
    assert (await store.label_counts.values("pod", prefix="", limit=2)).is_complete


ODD = [
    "web-0",
    "web-1",
    "WEB-2",
    "we",
    "50%",
    "50_",
    "501",
    "\\x",
    "Ünï/",
    "Ü\U0010ffff",
    "\U0010ffffz",
    "\ud7ffz",
    "'",
]


@pytest.mark.parametrize(
    "prefix", ["web", "WEB", "50%", "50_", "5", "\\", "Ü", "Ün", "Ü\U0010ffff", "\U0010ffff", "\ud7ff", "'", "nothing"]
)
async def test_prefix_is_taken_as_it_is_written(store: Store, fold: Fold, prefix: str) -> None:
    await record(store, *ODD)
    await fold(store)
    pod_values = await store.label_counts.values("pod", prefix=prefix, limit=100)
    assert counts(pod_values) == {value: 1 for value in ODD if value.startswith(prefix)}


@pytest.mark.parametrize("name", ["a/b", "größe", "with space", "%2F", "x" * 200])
async def test_name_may_be_odd(store: Store, fold: Fold, name: str) -> None:
    await record(store, "a", name=name)
    await fold(store)
    assert counts(await store.label_counts.values(name, prefix="", limit=100)) == {"a": 1}


async def test_label_that_nothing_has_has_no_values(store: Store) -> None:
    assert await store.label_counts.values("none", prefix="", limit=9) == ValuesFound(LabelName("none"), [], True)


@pytest.mark.parametrize("name, prefix", [("a\0", ""), ("a", "\0"), ("a", "\ud800")])
async def test_text_that_no_alert_has_is_an_error(store: Store, name: str, prefix: str) -> None:
    with pytest.raises(InvalidQuery):
        await store.label_counts.values(name, prefix=prefix, limit=9)


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label keeps two values by name, for as long as the store is open."""
    for module in (label_counts, label_reads):
        monkeypatch.setattr(module, "MOST_VALUES", 2)


@pytest.mark.usefixtures("bound")
async def test_values_beyond_the_bound_are_counted_together(store: Store, fold: Fold) -> None:
    await record(store, "a", "b")
    await fold_all(store)
    await record(store, "c", "a", "d", "x" * 401)
    await fold(store)
    pod_values = await store.label_counts.values("pod", prefix="", limit=100)
    assert counts(pod_values) == {"a": 2, "b": 1}
    assert pod_values.label == LabelName("pod", occurrences=6, value_count=2, other_occurrences=3)


async def test_values_of_what_matches_a_query(store: Store) -> None:
    await record(store, "a", "b", "a", "ab")
    labels = Labels(store.label_counts, store.history, store.rollups, clock=lambda: NOW)
    answer = await labels.values("pod", query="alertname=~A[0-2]")
    assert [(value.value, value.occurrences) for value in answer.values] == [("a", 2), ("b", 1)]
    assert (answer.covers.is_exact, answer.covers.counted_from, answer.covers.occurrences_read) == (
        True,
        "occurrences",
        3,
    )
    answer = await labels.values("pod", query="namespace=shop", prefix="a")
    assert [(value.value, value.occurrences) for value in answer.values] == [("a", 2), ("ab", 1)]


async def test_values_of_a_query_that_much_matches_are_those_of_the_newest(store: Store) -> None:
    await record(store, *(f"p{number}" for number in range(6)))
    labels = Labels(store.label_counts, store.history, store.rollups, clock=lambda: NOW)
    with patch("alert_history.engine.labels.MOST_READ", 4), patch("alert_history.engine.labels._PAGE", 2):
        answer = await labels.values("pod", query="namespace=shop")
    assert [value.value for value in answer.values] == ["p2", "p3", "p4", "p5"]
    covers = answer.covers
    assert (covers.is_exact, covers.occurrences_read, covers.since) == (False, 4, NOW + 2 * MINUTE)
