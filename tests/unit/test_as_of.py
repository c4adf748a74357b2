"""Records as they stood at a past moment: nothing of later is in them, and what ended later is open.

Holds: `engine.as_of`.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.episode import Episode
from alert_history.engine.as_of import HistoryAsOf, alert_as_of, episodes_as_of, history_as_of, records_as_of
from alert_history.engine.history import Records
from alert_history.ports import (
    History,
    HistoryFilter,
    HistoryPage,
    PageRequest,
    QuarantinedAlert,
    StoredAlert,
    StoredDelivery,
    StoredEvent,
)
from alert_history.ports.history import QuarantinePage

THEN = datetime(2026, 3, 4, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)


def alert(begin: timedelta, end: timedelta | None) -> StoredAlert:
    """One that began so long after the moment, and ended so long after it."""
    return StoredAlert(
        id=f"{begin}",
        fingerprint="f",
        alertname="DiskFull",
        namespace="",
        severity="critical",
        status="firing" if end is None else "resolved",
        labels={"alertname": "DiskFull"},
        annotations={"summary": "new"},
        starts_at=THEN + begin,
        ends_at=None if end is None else THEN + end,
        expires_at=None,
        timestamp=THEN + begin,
        last_received_at=THEN + 3 * HOUR,
        repeat_count=7,
        generator_url="",
        source="alertmanager",
        receiver="r",
        state="firing" if end is None else "resolved",
        ended_by=None if end is None else "resolved",
        confirmed_at=THEN + 2 * HOUR,
    )


def event(kind: Any, after: timedelta, **detail: Any) -> StoredEvent:
    return StoredEvent(kind, THEN + after, None, None, None, detail)


def delivery(created: timedelta, settled: timedelta | None) -> StoredDelivery:
    log = [{"at": (THEN + each).isoformat(), "outcome": "retried"} for each in (created, settled) if each is not None]
    return StoredDelivery(
        id="d",
        occurrence_id="o",
        fingerprint="f",
        target="pager",
        event="fired",
        state="pending" if settled is None else "delivered",
        created_at=THEN + created,
        due_at=None,
        settled_at=None if settled is None else THEN + settled,
        attempts=len(log),
        log=log,
        external_id="pd-1",
    )


def test_an_alert_that_ended_later_fires_and_was_last_received_by_then() -> None:
    as_of = alert_as_of(alert(-HOUR, HOUR), THEN)
    assert (as_of.status, as_of.state, as_of.ends_at, as_of.ended_by) == ("firing", "firing", None, None)
    assert (as_of.last_received_at, as_of.confirmed_at) == (THEN, THEN)


def test_an_alert_that_was_over_stays_as_it_ended() -> None:
    over = alert(-2 * HOUR, -HOUR)
    assert alert_as_of(over, THEN).ends_at == over.ends_at
    assert alert_as_of(over, THEN).state == "resolved"


def test_records_hold_nothing_of_later_and_the_annotations_of_then() -> None:
    records = Records(
        alert(-HOUR, HOUR),
        [
            event("fired", -HOUR),
            event("annotations_changed", HOUR / 2, before={"summary": "old"}),
            event("resolved", HOUR),
        ],
        [delivery(-HOUR, HOUR), delivery(HOUR, 2 * HOUR)],
        [],
        None,
    )
    as_of = records_as_of(records, THEN)
    assert [each.kind for each in as_of.events] == ["fired"]
    assert as_of.alert.annotations == {"summary": "old"}
    (waiting,) = as_of.deliveries
    assert (waiting.state, waiting.attempts, waiting.settled_at, waiting.external_id) == ("pending", 1, None, None)


def test_a_delivery_that_was_settled_stays_so() -> None:
    settled = delivery(-HOUR, -HOUR / 2)
    assert records_as_of(Records(alert(-HOUR, None), [], [settled], [], None), THEN).deliveries == [settled]


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 9)), max_size=20))
def test_of_episodes_those_are_left_that_had_been_received_and_open_are_those_that_ended_later(
    pairs: list[tuple[int, int]],
) -> None:
    episodes = [
        Episode(
            f"{n}",
            "f",
            "r",
            "",
            "",
            THEN + begin * HOUR,
            THEN + (begin + lasts) * HOUR,
            THEN + begin * HOUR,
            "resolved",
        )
        for n, (begin, lasts) in enumerate(pairs)
    ]
    as_of = episodes_as_of(episodes, THEN)
    assert [each.id for each in as_of] == [each.id for each in episodes if each.received_at <= THEN]
    assert all(each.ends_at is None or each.ends_at <= THEN for each in as_of)
    assert episodes_as_of(episodes, None) == episodes


class Kept(msgspec.Struct):
    """A history of some alerts, newest first, in pages of two."""

    alerts: Sequence[StoredAlert]

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        assert wanted.status is None
        assert wanted.until == THEN
        begin = int(page.cursor or 0)
        rows = [each for each in self.alerts if each.timestamp < THEN][begin:]
        end = begin + 2 if len(rows) > 2 else None
        return HistoryPage(list(rows[:2]), len(self.alerts), True, None if end is None else str(end))

    async def export(self, wanted: HistoryFilter, *, batch_size: int = 1000) -> AsyncIterator[list[StoredAlert]]:
        assert wanted.until == THEN
        yield list(self.alerts[:batch_size])

    async def quarantine(self, *, limit: int, cursor: str | None, wanted: object) -> QuarantinePage:  # noqa: ARG002  # the port's shape
        assert cursor is not None
        refused = [
            QuarantinedAlert(str(n), THEN + n * timedelta(microseconds=1), "r", 0, "", "", "", "") for n in (1, 0, -1)
        ]
        return QuarantinePage(refused[:limit], 9, True, None)


FOUR = [alert(-HOUR, HOUR), alert(-2 * HOUR, -HOUR), alert(-3 * HOUR, None), alert(-4 * HOUR, -HOUR)]


def history() -> History:
    return HistoryAsOf(cast(History, Kept(FOUR)), THEN)


@pytest.mark.parametrize("status, begins", [("firing", [-1, -3]), ("resolved", [-2, -4]), (None, [-1, -2])])
async def test_a_status_is_that_of_then(status: str | None, begins: list[int]) -> None:
    answer = await history().page(HistoryFilter(status=status), PageRequest(limit=2))
    assert [each.starts_at for each in answer.alerts] == [THEN + hours * HOUR for hours in begins]
    exported = [each async for batch in history().export(HistoryFilter(status=status)) for each in batch]
    assert [each.status for each in exported if status] == [status] * 2 if status else len(exported) == 4


async def test_what_was_refused_later_is_not_listed() -> None:
    page = await history().quarantine(limit=10, cursor=None)
    assert [each.id for each in page.quarantine] == ["0", "-1"]


def test_without_a_moment_the_history_is_as_it_is() -> None:
    kept = cast(History, Kept(FOUR))
    assert history_as_of(kept, None) is kept
