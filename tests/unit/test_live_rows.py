"""Rows of the live page: their times are in order, and an old row does not say that its alert still fires.

Holds: `web.pages.live`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from alert_history.engine.live import Frame as LiveFrame
from alert_history.engine.live import Happening
from alert_history.ports import StoredAlert
from alert_history.web.pages.frame import Frame
from alert_history.web.pages.live import Rows, frame_rows, rows_of, words
from alert_history.web.pages.page import rendered
from tests.unit.test_history_rows import stored

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def happened(number: int, kind: str, at: datetime, alert: StoredAlert, state: Any = "firing") -> Happening:
    return Happening(number, kind, at, state, alert)


def test_times_of_rows_are_in_order_whenever_their_alerts_began() -> None:
    new = stored(1, starts_at=NOW - HOUR, timestamp=NOW - HOUR)
    late = stored(2, starts_at=NOW - 9 * HOUR, timestamp=NOW - HOUR / 2)
    ahead = stored(3, timestamp=NOW - HOUR / 4)
    rows = rows_of(
        [
            happened(1, "fired", NOW - HOUR, new),
            happened(2, "fired", NOW - 9 * HOUR, late),
            happened(3, "resolved", NOW - 2 * HOUR, new, "resolved"),
            happened(4, "fired", NOW + HOUR, ahead),
        ],
        NOW,
    )
    assert [row.happening.number for row in rows] == [4, 3, 2, 1]
    assert [row.received_at for row in rows] == [NOW, NOW - HOUR / 2, NOW - HOUR / 2, NOW - HOUR]


def test_a_row_of_an_alert_that_has_resolved_since_says_so() -> None:
    gone = stored(1, status="resolved", state="resolved")
    rows = rows_of([happened(1, "fired", NOW, gone), happened(2, "resolved", NOW, gone, "resolved")], NOW)
    assert [row.is_past for row in rows] == [False, True]
    frame = Frame(root="../", current="", nonce="n", tz="UTC", zone=UTC, now=NOW)
    html = rendered("live/rows.html.jinja", frame=frame, rows=Rows(rows), words=words)
    assert html.count("is-firing") == 0
    assert "now resolved" in html


def test_a_page_that_fell_behind_says_how_much_it_left_out_and_leads_to_the_history_of_that_time() -> None:
    frame = Frame(root="../../", current="", nonce="n", tz="UTC", zone=UTC, now=NOW)
    told = LiveFrame(9000, skipped=1234, skipped_since=NOW - HOUR / 2)
    html = rendered("live/rows.html.jinja", frame=frame, rows=frame_rows(told, frame, "severity=critical"), words=words)
    assert "1 234 things happened so quickly" in html
    asked = "query=severity%3Dcritical&amp;since=2026-11-24T11%3A29%3A00Z&amp;until=2026-11-24T12%3A00%3A01Z"
    assert f'href="../../dashboard/history?{asked}"' in html
