"""What the history knows of an alert when it is classified: how often, how long, when, and what else."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from alert_history.domain.alert import Alert
from alert_history.domain.classification import Case, Past, shape_of
from alert_history.ports import Store
from alert_history.storage import open_store
from alert_history.storage.postgres import past as postgres_past
from alert_history.storage.sqlite import past as sqlite_past
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, receipt
from tests.conformance.test_classifications import verdict

HOUR = timedelta(hours=1)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = open_store(database_url)
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


def case_of(alert: Alert) -> Case:
    return Case(shape_of(alert.labels), alert.fingerprint, alert.labels, alert.annotations, alert.starts_at)


async def _fire(store: Store, *ago: timedelta, lasting: timedelta, name: str = "DiskFull", **labels: str) -> None:
    """Record that it fired so long ago for so long; nobody told of it before it was over."""
    for age in ago:
        start, end = NOW - age, NOW - age + lasting
        await store.recorder.commit(
            [receipt(alert(name, "resolved", starts_at=start, ends_at=end, labels=labels), at=end)]
        )


NEW = alert(starts_at=NOW)


async def test_an_alert_nobody_saw_before_has_no_past(store: Store) -> None:
    past = await store.classification_history.past(case_of(NEW))
    assert (past.month, past.median_seconds, past.similar, past.around) == (0, None, (), ())


async def test_it_is_counted_by_day_week_and_month(store: Store) -> None:
    await _fire(store, HOUR, 2 * DAY, 20 * DAY, 40 * DAY, lasting=10 * MINUTE)
    past = await store.classification_history.past(case_of(NEW))
    assert (past.day, past.week, past.month, past.days_seen) == (1, 2, 3, 3)
    assert (past.median_seconds, past.brief) == (600, 0)


async def test_those_that_ended_within_a_minute_and_in_the_same_hour_are_counted(store: Store) -> None:
    await _fire(store, DAY, 2 * DAY, lasting=30 * SECOND)
    await _fire(store, 3 * DAY + 5 * HOUR, lasting=HOUR)
    past = await store.classification_history.past(case_of(NEW))
    assert (past.brief, past.same_hour, past.month) == (2, 2, 3)


async def test_another_namespace_is_another_past(store: Store) -> None:
    await _fire(store, HOUR, lasting=MINUTE, namespace="bank")
    assert (await store.classification_history.past(case_of(NEW))).month == 0


async def test_another_pod_of_the_same_alert_is_the_same_past_but_no_flapping_of_its_own(store: Store) -> None:
    await _fire(store, *(n * 5 * MINUTE for n in range(1, 6)), lasting=MINUTE, pod="web-1")
    past = await store.classification_history.past(case_of(NEW))
    assert (past.day, past.flaps, past.is_flapping) == (5, 0, False)


async def test_its_own_changes_of_the_last_hour_are_flapping_when_there_are_many(store: Store) -> None:
    await _fire(store, *(n * 5 * MINUTE for n in range(1, 6)), lasting=MINUTE)
    past = await store.classification_history.past(case_of(NEW))
    assert (past.flaps, past.is_flapping) == (10, True)


async def test_what_else_began_around_it_is_named(store: Store) -> None:
    await _fire(store, 2 * MINUTE, lasting=MINUTE, name="NodeDown")
    await _fire(store, HOUR, lasting=MINUTE, name="Unrelated")
    await _fire(store, MINUTE, lasting=SECOND)
    assert (await store.classification_history.past(case_of(NEW))).around == ("NodeDown",)


async def test_what_began_long_before_it_was_received_did_not_begin_around_it(store: Store) -> None:
    late = alert("LongBroken", "firing", starts_at=NOW - DAY)
    await store.recorder.commit([receipt(late, at=NOW)])
    assert (await store.classification_history.past(case_of(NEW))).around == ()


async def test_what_began_just_before_and_was_received_after_the_group_waited_is_around(store: Store) -> None:
    waited = alert("NodeDown", "firing", starts_at=NOW - 4 * MINUTE)
    await store.recorder.commit([receipt(waited, at=NOW + 6 * MINUTE)])
    assert (await store.classification_history.past(case_of(NEW))).around == ("NodeDown",)


@pytest.mark.parametrize("start", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
async def test_an_alert_at_the_edge_of_the_calendar_has_no_past(store: Store, start: datetime) -> None:
    assert await store.classification_history.past(case_of(alert(starts_at=start))) == Past()


async def test_only_so_many_of_a_rule_that_fires_all_the_time_are_looked_through(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sqlite_past, postgres_past):
        monkeypatch.setattr(module, "MOST_OF_A_NAME", 3)
    await _fire(store, HOUR, lasting=MINUTE)
    await _fire(store, *(n * MINUTE for n in range(1, 4)), lasting=SECOND, namespace="bank")
    assert (await store.classification_history.past(case_of(NEW))).month == 0
    await _fire(store, 30 * SECOND, lasting=SECOND)
    assert (await store.classification_history.past(case_of(NEW))).month == 1


async def test_earlier_ones_come_with_what_was_recommended_then(store: Store) -> None:
    await _fire(store, HOUR, DAY, lasting=MINUTE)
    await store.classifications.keep([verdict("info")], now=NOW)
    similar = (await store.classification_history.past(case_of(NEW))).similar
    assert [(earlier.lasted_seconds, earlier.severity, earlier.recommendations) for earlier in similar] == [
        (60, "info", ("Look.",))
    ] * 2
