"""What a silence muted, from when to when, held against what mutes at each single moment.

Holds: `engine.silence_mutings`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.silencing import Silencing
from alert_history.engine.silence_mutings import MutedSpan, SilenceMutings, told_spans
from alert_history.errors import NotFound
from alert_history.ports import (
    History,
    HistoryFilter,
    HistoryPage,
    MutedAlerts,
    PageRequest,
    Silences,
    StoredAlert,
    StoredEvent,
)

ZERO = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW = 20
"""Hours behind `ZERO`, as all numbers here."""


def silence(begin: int, end: int, updated: int, name: str) -> Silence:
    matchers = [[{"name": "alertname", "op": "=", "value": name}]]
    return Silence("s-1", matchers, ZERO + begin * HOUR, ZERO + end * HOUR, ZERO + updated * HOUR, "ada", "")


def alert(number: int, name: str, begin: int, end: int | None) -> StoredAlert:
    fields: dict[str, Any] = dict.fromkeys(("namespace", "severity", "generator_url", "source", "receiver"), "")
    start = ZERO + begin * HOUR
    return StoredAlert(
        id=f"{number}",
        fingerprint=f"{number}",
        alertname=name,
        status="firing" if end is None else "resolved",
        labels={"alertname": name},
        annotations={},
        starts_at=start,
        ends_at=None if end is None else ZERO + end * HOUR,
        timestamp=start,
        last_received_at=start,
        expires_at=None,
        repeat_count=0,
        **fields,
    )


class Kept(msgspec.Struct):
    """A history and silences of which nobody told that they muted anything."""

    alerts: Sequence[StoredAlert]

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        until = wanted.until
        assert until is not None
        own = [each for each in self.alerts if wanted.query.matches(each.labels, {}) and each.timestamp < until]
        return HistoryPage(own[: page.limit], len(own), True, None)

    async def muted(self, ids: Sequence[str], *, newest: int) -> dict[str, MutedAlerts]:
        assert (list(ids), newest > 0) == (["s-1"], True)
        return {}

    async def find(self, occurrence_id: str) -> StoredAlert:
        raise NotFound(occurrence_id)


names = st.sampled_from(["A", "B"])
versions_drawn = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 15), names), min_size=1, max_size=4, unique_by=lambda each: each[0]
)
alerts_drawn = st.lists(st.tuples(names, st.integers(-5, 12), st.none() | st.integers(1, 9)), max_size=6)


@given(versions_drawn, alerts_drawn)
async def test_the_spans_are_the_moments_at_which_a_version_mutes_an_open_alert(
    drawn: list[tuple[int, int, str]], firings: list[tuple[str, int, int | None]]
) -> None:
    first = min(updated for updated, _, _ in drawn)
    versions = [silence(first, updated + lasts, updated, name) for updated, lasts, name in sorted(drawn)]
    alerts = [
        alert(number, name, begin, None if lasts is None else begin + lasts)
        for number, (name, begin, lasts) in enumerate(firings)
    ]
    kept = Kept(alerts)
    mutings = SilenceMutings(cast(Silences, kept), cast(History, kept))
    spans = (await mutings.of(versions, now=ZERO + NOW * HOUR)).spans
    silencing = Silencing(versions)
    for half_hours in range(-11, 2 * NOW, 2):
        at = ZERO + half_hours * HOUR / 2
        muted = {
            each.id
            for each in alerts
            if each.starts_at <= at
            and (each.ends_at is None or at < each.ends_at)
            and silencing.silenced_by(each.labels, at=at)
        }
        assert {span.id for span in spans if _covers(span, at)} == muted
    assert all(span.way == "matched" for span in spans)


def _covers(span: MutedSpan, at: datetime) -> bool:
    return span.begin <= at and (span.end is None or at < span.end)


def event(kind: Any, hour: int, **detail: str) -> StoredEvent:
    return StoredEvent(kind, ZERO + hour * HOUR, None, None, None, detail)


def test_what_is_told_begins_with_the_first_word_and_ends_with_the_next_that_contradicts() -> None:
    events = [
        event("fired", 0),
        event("silenced", 1, silence_id="s-1"),
        event("silenced", 2, silence_id="s-1"),
        event("unsilenced", 3),
        event("silenced", 4, silence_id="s-2"),
        event("silenced", 5, silence_id="s-1"),
    ]
    spans = told_spans(alert(1, "A", 0, None), events, silence(0, 9, 0, "A"), now=ZERO + NOW * HOUR)
    assert [((each.begin - ZERO) / HOUR, each.end and (each.end - ZERO) / HOUR) for each in spans] == [(1, 3), (5, 9)]
