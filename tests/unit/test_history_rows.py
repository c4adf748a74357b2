"""Rows of the history: how an alert looks in a table of any columns, and what a slow or a huge search says.

Holds: `web.pages.history_rows`, `web.pages.history_columns`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any

import msgspec
import pytest

from alert_history.engine.analysis import Asked
from alert_history.errors import InvalidQuery
from alert_history.ports import HistoryFilter, HistoryPage, PageRequest, StoredAlert
from alert_history.web.pages.frame import Frame
from alert_history.web.pages.history_columns import KNOWN, columns_of
from alert_history.web.pages.history_rows import read_lanes, read_table
from alert_history.web.pages.history_state import State
from alert_history.web.pages.page import environment, rendered
from alert_history.web.pages.travel import Travel
from tests.conformance.samples import DAY, MINUTE, NOW

HOSTILE = "<b onload='x'>\u202e"
FRAME = Frame(root="../", current="", nonce="n", tz="UTC", zone=UTC, now=NOW)


def stored(number: int = 0, **changes: Any) -> StoredAlert:
    values: dict[str, Any] = {
        "id": f"id{number}",
        "fingerprint": f"{number:016x}",
        "alertname": "Disk",
        "namespace": "shop",
        "severity": "critical",
        "status": "firing",
        "labels": {"alertname": "Disk", "n": str(number)},
        "annotations": {"summary": "full"},
        "starts_at": NOW - 90 * MINUTE,
        "ends_at": None,
        "expires_at": None,
        "timestamp": NOW - number * MINUTE,
        "last_received_at": NOW,
        "repeat_count": 3,
        "generator_url": "",
        "source": "grafana",
        "receiver": "pager",
        "state": "firing",
    }
    return StoredAlert(**{**values, **changes})


class Answering:
    """A history that answers each page with this one, and remembers what was asked."""

    def __init__(self, page: HistoryPage) -> None:
        self.page_ = page
        self.asked: list[PageRequest] = []

    async def page(self, _: HistoryFilter, page: PageRequest) -> HistoryPage:
        self.asked.append(page)
        return self.page_


def row(alert: StoredAlert, cols: str, *, takers: Sequence[str] = ()) -> str:
    template = environment().from_string(
        '{% from "history/row.html.jinja" import row with context %}{{ row(alert, columns, takers) }}'
    )
    return template.render(frame=FRAME, alert=alert, columns=columns_of(cols), takers=takers)


async def table(page: HistoryPage, *, takers: Mapping[str, Sequence[str]] | None = None, **state: Any) -> str:
    asked = Asked(HistoryFilter(), NOW - DAY, NOW, NOW)
    shown = State(**state)
    made = await read_table(Answering(page), asked, shown)  # type: ignore[arg-type]
    made = msgspec.structs.replace(made, takers=takers or {})
    values = {"state": shown, "known_columns": list(KNOWN.values()), "all_history": State(since="1971-01-01")}
    return rendered("history/table.html.jinja", frame=FRAME, table=made, **values)


def test_a_row_has_a_cell_for_each_column_and_escapes_all() -> None:
    alert = stored(
        alertname=HOSTILE,
        namespace=HOSTILE,
        severity=HOSTILE,
        labels={HOSTILE: HOSTILE},
        annotations={"summary": HOSTILE},
        source=HOSTILE,
        receiver=HOSTILE,
        ends_at=NOW - DAY,
    )
    for name in [*KNOWN, "label:state", HOSTILE.replace(",", "")]:
        html = row(alert, name)
        assert "<b onload" not in html
        assert html.count("<td") == (1 if name in {"alert", "alertname"} else 2)
        assert 'href="../dashboard/alerts/id0"' in html, "a row can be opened"


async def test_a_row_says_who_acknowledged_by_a_mark_or_in_a_column() -> None:
    page = HistoryPage([stored(1), stored(2)], 2, True, None)
    marked = await table(page, takers={"id2": ["ada", HOSTILE]})
    before, after = marked.split('id="alert-id2"')
    assert "acknowledged by" not in before
    assert 'title="acknowledged by ada, &lt;b' in after
    assert "<b onload" not in marked
    assert re.search(r'data-title="Acknowledged by">\s*<span>ada</span>', row(stored(), "acknowledged", takers=["ada"]))


def test_how_long_an_alert_fired_is_never_negative() -> None:
    assert "1 h 30 min" in row(stored(), "lasted")
    assert ">0 s<" in row(stored(ends_at=NOW - DAY), "lasted")


async def test_a_search_that_stopped_says_how_far_it_looked_and_goes_on() -> None:
    html = await table(HistoryPage([], 0, False, "further", NOW - 3 * MINUTE))
    assert "Searched back to" in html
    assert "nothing was found so far" in html
    assert 'href="?cursor=further"' in html
    assert "No alert matches" not in html


async def test_nothing_leads_to_all_history() -> None:
    html = await table(HistoryPage([], 0, True, None), query="x")
    assert 'href="?since=1971-01-01"' in html
    assert "Leave out all conditions" in html


async def test_a_table_leads_to_its_query_live() -> None:
    html = await table(HistoryPage([stored()], 1, True, None), query='{pod="a&b"}', status="firing")
    assert 'href="../dashboard/history/live?query=%7Bpod%3D%22a%26b%22%7D"' in html
    assert "Follow this query live" in html
    assert "not the other conditions" in html
    assert "Follow all live" in await table(HistoryPage([], 0, True, None))


async def test_thousands_of_alerts_are_suggested_by_rule() -> None:
    assert "show them by rule" in await table(HistoryPage([stored()], 10_000, False, "x"))
    assert "show them by rule" not in await table(HistoryPage([stored()], 999, True, "x"))


async def test_a_page_before_is_asked_in_the_opposite_order_and_turned_round() -> None:
    history = Answering(HistoryPage([stored(1), stored(2)], 9, True, "newest", previous_cursor="oldest"))
    asked = Asked(HistoryFilter(), NOW - DAY, NOW, NOW)
    made = await read_table(history, asked, State(newer="here", sort="-alertname"))  # type: ignore[arg-type]
    assert (history.asked[0].cursor, history.asked[0].sort) == ("here", "alertname")
    assert [alert.id for alert in made.page.alerts] == ["id2", "id1"]
    assert made.newer is not None
    assert made.older is not None
    assert (made.newer.newer, made.older.cursor) == ("newest", "oldest")
    with pytest.raises(InvalidQuery, match="exclude each other"):
        await read_table(history, asked, State(newer="x", cursor="y"))  # type: ignore[arg-type]


async def test_lanes_show_the_part_of_a_span_that_is_drawn() -> None:
    asked = Asked(HistoryFilter(), NOW - 7 * DAY, NOW, NOW)
    for next_cursor, begin in ((None, NOW - 7 * DAY), ("more", NOW - 90 * MINUTE)):
        alerts = [stored(number, labels={"alertname": "Disk", "n": str(number)}) for number in range(60)]
        history = Answering(HistoryPage(alerts, 60, True, next_cursor))
        made = await read_lanes(history, asked, state=State(), frame=FRAME)  # type: ignore[arg-type]
        assert (len(made.chart.lanes), made.others, made.is_cut) == (40, 20, next_cursor is not None)
        assert made.chart.lanes[0].note == "n=0", "what tells it from the others"
        share = timedelta(minutes=90) / (NOW - begin) * 100
        assert made.chart.lanes[0].stretches[0].width == pytest.approx(max(share, 0.4), abs=0.01)


async def test_lanes_also_show_what_began_before_the_span_and_fired_in_it() -> None:
    class Filtering:
        async def page(self, wanted: HistoryFilter, _: PageRequest) -> HistoryPage:
            assert wanted.since is None or wanted.since >= NOW - 8 * DAY
            alerts = {
                None: [],
                "firing": [stored(1, timestamp=NOW - 30 * DAY)],
                "resolved": [
                    stored(2, timestamp=NOW - 2 * DAY, ends_at=NOW - DAY / 2),
                    stored(3, timestamp=NOW - 2 * DAY, ends_at=NOW - DAY - MINUTE),
                ],
            }[wanted.status]
            return HistoryPage(alerts, len(alerts), True, None)

    asked = Asked(HistoryFilter(), NOW - DAY, NOW, NOW)
    history = Filtering()
    made = await read_lanes(history, asked, state=State(), frame=FRAME)  # type: ignore[arg-type]
    assert [lane.href for lane in made.chart.lanes] == ["../dashboard/alerts/id2", "../dashboard/alerts/id1"]


async def test_lanes_of_the_past_look_once_at_what_began_before_the_span() -> None:
    class Counting:
        asked = 0

        async def page(self, wanted: HistoryFilter, _: PageRequest) -> HistoryPage:
            self.asked += 1
            alerts = [
                stored(1, timestamp=NOW - 2 * DAY, starts_at=NOW - 2 * DAY),
                stored(2, timestamp=NOW - 3 * DAY, ends_at=NOW - DAY / 2),
                stored(3, timestamp=NOW - 3 * DAY, ends_at=NOW - DAY - MINUTE),
                stored(4, timestamp=NOW - 30 * DAY, ends_at=NOW - DAY / 2),
            ]
            return HistoryPage([] if wanted.since else alerts, 4, True, None)

    asked, history = Asked(HistoryFilter(since=NOW - DAY), NOW - DAY, NOW, NOW), Counting()
    past = msgspec.structs.replace(FRAME, travel=Travel(at=NOW, now=NOW + DAY, text="x"))
    made = await read_lanes(history, asked, state=State(), frame=past)  # type: ignore[arg-type]
    assert [lane.href for lane in made.chart.lanes] == ["../dashboard/alerts/id1", "../dashboard/alerts/id2"]
    assert history.asked == 2
    assert made.chart.lanes[0].stretches[0].text.endswith("then")


async def test_a_span_in_which_nothing_began_says_what_fired() -> None:
    asked = Asked(HistoryFilter(), NOW - DAY, NOW, NOW)
    shown = State(since="-1h")
    made = await read_table(Answering(HistoryPage([], 0, True, None)), asked, shown)  # type: ignore[arg-type]
    values = {"state": shown, "known_columns": [], "all_history": State(since="1971-01-01"), "default_span": "-7d"}
    html = rendered("history/table.html.jinja", frame=FRAME, table=made, firing_then=3, **values)
    assert "3 were firing" in html
    assert 'href="../dashboard?since=-1h&amp;count=open"' in html
    assert 'href="?since=-1h&amp;view=lanes"' in html
