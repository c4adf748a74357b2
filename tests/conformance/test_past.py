"""What the history knows of an alert when it is classified: how often, how long, when, and what else."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from alert_history.domain.alert import Alert
from alert_history.domain.classification import Case, shape_of
from alert_history.ports import Store
from alert_history.storage import open_store
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, receipt
from tests.conformance.test_classifications import verdict

HOUR = timedelta(hours=1)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = open_store(database_url)
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


def case_of(one: Alert) -> Case:
    return Case(shape_of(one.labels), one.fingerprint, one.labels, one.annotations, one.starts_at)


async def _fire(store: Store, *ago: timedelta, lasting: timedelta, name: str = "DiskFull", **labels: str) -> None:
    for one in ago:
        start = NOW - one
        over = alert(name, "resolved", starts_at=start, ends_at=start + lasting, labels=labels)
        await store.recorder.commit([receipt(over, at=start)])


NEW = alert(starts_at=NOW)


async def test_an_alert_nobody_saw_before_has_no_past(store: Store) -> None:
    past = await store.classifications.past(case_of(NEW))
    assert (past.month, past.median_seconds, past.similar, past.around) == (0, None, (), ())


async def test_it_is_counted_by_day_week_and_month(store: Store) -> None:
    await _fire(store, HOUR, 2 * DAY, 20 * DAY, 40 * DAY, lasting=10 * MINUTE)
    past = await store.classifications.past(case_of(NEW))
    assert (past.day, past.week, past.month, past.days_seen) == (1, 2, 3, 3)
    assert (past.median_seconds, past.brief) == (600, 0)


async def test_those_that_ended_within_a_minute_and_in_the_same_hour_are_counted(store: Store) -> None:
    await _fire(store, DAY, 2 * DAY, lasting=30 * SECOND)
    await _fire(store, 3 * DAY + 5 * HOUR, lasting=HOUR)
    past = await store.classifications.past(case_of(NEW))
    assert (past.brief, past.same_hour, past.month) == (2, 2, 3)


async def test_another_namespace_is_another_past(store: Store) -> None:
    await _fire(store, HOUR, lasting=MINUTE, namespace="bank")
    assert (await store.classifications.past(case_of(NEW))).month == 0


async def test_another_pod_of_the_same_alert_is_the_same_past_but_no_flapping_of_its_own(store: Store) -> None:
    await _fire(store, *(n * 5 * MINUTE for n in range(1, 6)), lasting=MINUTE, pod="web-1")
    past = await store.classifications.past(case_of(NEW))
    assert (past.day, past.flaps, past.is_flapping) == (5, 0, False)


async def test_its_own_changes_of_the_last_hour_are_flapping_when_there_are_many(store: Store) -> None:
    await _fire(store, *(n * 5 * MINUTE for n in range(1, 6)), lasting=MINUTE)
    past = await store.classifications.past(case_of(NEW))
    assert (past.flaps, past.is_flapping) == (10, True)


async def test_what_else_began_around_it_is_named(store: Store) -> None:
    await _fire(store, 2 * MINUTE, lasting=MINUTE, name="NodeDown")
    await _fire(store, HOUR, lasting=MINUTE, name="Unrelated")
    await _fire(store, MINUTE, lasting=SECOND)
    assert (await store.classifications.past(case_of(NEW))).around == ("NodeDown",)


async def test_earlier_ones_come_with_what_was_recommended_then(store: Store) -> None:
    await _fire(store, HOUR, DAY, lasting=MINUTE)
    await store.classifications.keep([verdict("info")], now=NOW)
    similar = (await store.classifications.past(case_of(NEW))).similar
    assert [(one.lasted_seconds, one.severity, one.recommendations) for one in similar] == [
        (60, "info", ("Look.",))
    ] * 2
