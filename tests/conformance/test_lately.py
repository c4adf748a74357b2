"""What the page "Now and lately" compares and counts: spans, and what became of deliveries; on both databases.

Holds: `engine.span_changes`, `engine.delivery_counts`.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Literal

import msgspec
import pytest

from alert_history.domain.delivery import Attempt, Settlement
from alert_history.engine.analysis import Analysis
from alert_history.engine.delivery_counts import DeliveryCounting
from alert_history.engine.span_changes import ChangeCounting, Changed
from alert_history.engine.value_counts import ValueCounting
from alert_history.ports import Store
from alert_history.storage import open_store
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, receipt
from tests.histories import Firing, record, span
from tests.pager import route_all

HOUR = 60 * MINUTE


def analysis_of(store: Store) -> Analysis:
    return Analysis(store.analytics, store.rollups, clock=lambda: NOW)


def firings(name: str, *, now: int, before: int, severity: str = "warning") -> list[Firing]:
    """So many in the last hour, and in the hour before it."""
    begins = [NOW - HOUR + (number + 1) * MINUTE for number in range(now)]
    begins += [NOW - 2 * HOUR + (number + 1) * MINUTE for number in range(before)]
    return [Firing(name, begin, begin + SECOND, {"severity": severity}) for begin in begins]


async def test_a_span_is_compared_with_the_span_before_it(store: Store) -> None:
    await record(
        store,
        *firings("More", now=5, before=1),
        *firings("New", now=2, before=0, severity="critical"),
        *firings("Less", now=1, before=3),
        *firings("Gone", now=0, before=1),
        *firings("Same", now=2, before=2),
        Firing("Older", NOW - DAY, NOW - DAY + SECOND),
    )
    counting = ChangeCounting(ValueCounting(analysis_of(store), store.statistics))
    changes = await counting.changes(span(NOW - HOUR, NOW), top=5)
    assert changes.whole == Changed("", 10, 7)
    assert changes.severities == [Changed("critical", 2, 0), Changed("warning", 8, 7)]
    assert changes.more == [Changed("More", 5, 1), Changed("New", 2, 0)]
    assert changes.less == [Changed("Less", 1, 3), Changed("Gone", 0, 1)]
    assert changes.covers.is_exact


async def test_two_empty_spans_have_no_changes(store: Store) -> None:
    counting = ChangeCounting(ValueCounting(analysis_of(store), store.statistics))
    changes = await counting.changes(span(NOW - HOUR, NOW), top=5)
    assert (changes.whole, changes.severities, changes.more, changes.less) == (Changed("", 0, 0), [], [], [])


@pytest.fixture
async def publishing(database_url: str) -> AsyncIterator[Store]:
    """A store whose pager is told of everything."""
    opened = open_store(database_url, router=route_all)
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


async def _settle(store: Store, name: str, state: Literal["delivered", "dead"], *, at: datetime) -> None:
    """Queue one delivery and settle it then."""
    sent = receipt(alert(name, starts_at=at), at=at)
    await store.recorder.commit([msgspec.structs.replace(sent, publish=True)])
    leased, _ = await store.outbox.lease("pager", now=at, limit=9, lease_for=timedelta(seconds=30))
    attempt = Attempt(at, state, "ok", 10)
    await store.outbox.settle([(each, Settlement(each.id, state, attempt, due_at=None)) for each in leased])


async def test_deliveries_are_counted_by_target_and_what_waits_beside_them(publishing: Store) -> None:
    await _settle(publishing, "Old", "delivered", at=NOW - 2 * HOUR)
    await _settle(publishing, "First", "delivered", at=NOW - 30 * MINUTE)
    await _settle(publishing, "Second", "dead", at=NOW - 20 * MINUTE)
    await _settle(publishing, "Third", "delivered", at=NOW - 10 * SECOND)
    waiting = receipt(alert("Waits", starts_at=NOW), at=NOW)
    await publishing.recorder.commit([msgspec.structs.replace(waiting, publish=True)])
    counts = await DeliveryCounting(analysis_of(publishing), publishing.delivery_log).by_target(span(NOW - HOUR, NOW))
    (pager,) = counts.targets
    assert (pager.target, pager.delivered, pager.dead, pager.superseded) == ("pager", 2, 1, 0)
    assert (pager.waiting, pager.waiting_since) == (1, NOW)
    assert counts.is_whole


async def test_dead_letters_of_other_times_are_counted_beside_the_span(publishing: Store) -> None:
    await _settle(publishing, "Old", "dead", at=NOW - 3 * HOUR)
    await _settle(publishing, "Older", "dead", at=NOW - 4 * HOUR)
    counting = DeliveryCounting(analysis_of(publishing), publishing.delivery_log)
    (pager,) = (await counting.by_target(span(NOW - HOUR, NOW))).targets
    assert (pager.target, pager.dead, pager.other_dead) == ("pager", 0, 2)
    (pager,) = (await counting.by_target(span(NOW - 4 * HOUR, NOW))).targets
    assert (pager.dead, pager.other_dead) == (2, 0)


async def test_without_a_delivery_there_is_no_target(store: Store) -> None:
    counts = await DeliveryCounting(analysis_of(store), store.delivery_log).by_target(span(NOW - HOUR, NOW))
    assert (counts.targets, counts.is_whole) == ([], True)
