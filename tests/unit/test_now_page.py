"""What the first page says of what fires, and where its numbers lead.

Holds: `web.pages.now`, `web.pages.lately`.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from alert_history.domain.acts import Act
from alert_history.domain.calendar import buckets
from alert_history.domain.covers import Covers
from alert_history.domain.occurrence import Key
from alert_history.domain.query import ALL, Query
from alert_history.engine.acknowledged import Acknowledged
from alert_history.engine.firing_now import FiringNow
from alert_history.engine.firing_then import FiringThen
from alert_history.engine.series import OtherSeries, Series, SeriesAnswer, SeriesBucket
from alert_history.engine.span_changes import Changed, SpanChanges
from alert_history.ports import Acts, FiringGroup, History, HistoryFilter, HistoryPage, Mute, PageRequest, StoredAlert
from alert_history.web.pages.frame import Firing, Frame, Frames
from alert_history.web.pages.lately import Counting, Lately, changed_tiles, timeline_of
from alert_history.web.pages.now import RULES_SHOWN, NowPage

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def stored(name: str, number: int, **labels: str) -> StoredAlert:
    return StoredAlert(
        id=f"id-{number}",
        fingerprint="f",
        alertname=name,
        namespace="",
        severity="critical",
        status="firing",
        labels={"alertname": name, "severity": "critical", **labels},
        annotations={},
        starts_at=NOW - MINUTE,
        ends_at=None,
        expires_at=None,
        timestamp=NOW - MINUTE,
        last_received_at=NOW,
        repeat_count=0,
        generator_url="",
        source="alertmanager",
        receiver="r",
    )


class Reads(msgspec.Struct):
    """What fires, as a test says."""

    found: Sequence[FiringGroup]

    async def by_severity(self) -> dict[str, int]:
        return {}

    async def groups(self, now: datetime, *, query: Query = ALL) -> Sequence[FiringGroup]:  # noqa: ARG002  # the port's shape
        return self.found


class Newest(msgspec.Struct):
    """The newest that fire."""

    alerts: list[StoredAlert]

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        assert (wanted, page.sort) == (HistoryFilter(status="firing"), "-timestamp")
        return HistoryPage(self.alerts, len(self.alerts), True, None)


class KeptActs(msgspec.Struct):
    """What people did."""

    acts: Sequence[Act]

    async def of_occurrences(self, keys: Collection[Key]) -> list[Act]:
        return [act for act in self.acts if act.key in keys]


def firing_part(groups: Sequence[FiringGroup], alerts: Sequence[StoredAlert] = (), *, acts: Sequence[Act] = ()) -> str:
    async def nobody() -> Firing | None:
        return None

    firing = FiringNow(Reads(groups), clock=lambda: NOW)
    page = NowPage(
        firing,
        cast(History, Newest(list(alerts))),
        then=cast(FiringThen, None),
        acknowledged=Acknowledged(cast(Acts, KeptActs(acts))),
        lately=Lately(cast(Counting, None)),
        frames=Frames(clock=lambda: NOW, count_firing=nobody),
    )
    with TestClient(Starlette(routes=[each.for_router() for each in page.pages()])) as client:
        answer = client.get("/dashboard?part=firing")
    assert answer.status_code == 200
    return answer.text


def group(
    name: str, number: int = 1, *, severity: str = "critical", muted: Mute | None = None, is_unconfirmed: bool = False
) -> FiringGroup:
    return FiringGroup(name, severity, is_unconfirmed, muted, number, NOW - HOUR, NOW - MINUTE)


def test_where_nothing_fires_it_says_so() -> None:
    html = firing_part([])
    assert "Nothing fires now." in html
    assert 'data-firing="0" data-worst="none"' in html


def test_what_is_unconfirmed_silenced_and_inhibited_is_counted_among_what_fires() -> None:
    html = firing_part(
        [
            group("A", 5),
            group("A", 3, muted="silenced"),
            group("B", 2, muted="inhibited", severity="warning"),
            group("C", 4, is_unconfirmed=True),
        ]
    )
    assert 'data-firing="14" data-worst="critical"' in html
    for words in ("4 unconfirmed", "3 silenced", "2 inhibited"):
        assert html.count(words) == 2, "of all, and of its rule"
    assert html.index(">A<") < html.index(">C<") < html.index(">B<")


def test_what_is_acknowledged_is_counted_and_named() -> None:
    act = Act("1", "f" * 16, NOW - HOUR, "A", "critical", "", NOW, "acknowledged", "ada <b>")
    alone = msgspec.structs.replace(stored("A", 1), id=act.occurrence_id)
    groups = [FiringGroup("A", "critical", False, None, 1, NOW, NOW, is_acknowledged=True), group("B", 2)]
    html = firing_part(groups, [alone], acts=[act])
    assert "1 acknowledged" in html, "among all"
    assert 'title="acknowledged by ada &lt;b&gt;"' in html.split('class="fires-labels"')[1]
    assert "None is acknowledged" in firing_part([group("B", 2)])
    both = " ".join(firing_part([*groups, group("C", is_unconfirmed=True)]).split())
    assert '1 unconfirmed</span> and <span class="state is-ok">1 acknowledged' in both


def test_a_storm_of_many_rules_shows_the_first_and_counts_the_rest() -> None:
    html = firing_part([group(f"Rule{number:03}", 100) for number in range(RULES_SHOWN + 85)])
    assert html.count("data-row") == RULES_SHOWN
    assert "85 more rules" in html
    assert "with 8 500 alerts" in html


def test_an_alert_alone_leads_to_its_story_and_several_show_what_tells_them_apart() -> None:
    alone = firing_part([group("A")], [stored("A", 1, namespace="shop", pod="web-1")])
    assert 'href="./dashboard/alerts/id-1"' in alone
    assert "web-1" in alone
    several = firing_part(
        [group("A", 2)], [stored("A", number, namespace="shop", pod=f"web-{number}") for number in (1, 2)]
    )
    assert "web-1" in several
    assert "web-2" in several
    assert "shop" not in several, "both have it"


@pytest.mark.parametrize("severity", ['x"}', "<b>", "\\", ""])
def test_a_number_leads_to_its_alerts_whatever_the_severity_is_called(severity: str) -> None:
    html = firing_part([group("A", severity=severity)])
    href = html.split('<li class="tile')[1].split('href="')[1].split('"')[0].replace("&amp;", "&")
    asked = parse_qs(urlsplit(href).query)
    assert (asked["status"], asked["since"]) == (["firing"], ["2026-03-04T10:59:00Z"])
    assert "<b>" not in html


@pytest.mark.parametrize("others, words", [([], []), ([Changed("odd", 1, 0), Changed("", 0, 4)], ["other"])])
def test_the_tiles_of_what_changed_add_up(others: list[Changed], words: list[str]) -> None:
    severities = [Changed("critical", 9, 2), Changed("warning", 100, 50), Changed("info", 30, 1), *others]
    whole = Changed("", sum(each.now for each in severities), sum(each.before for each in severities))
    covers = Covers(since=NOW - HOUR, until=NOW, fresh_as_of=NOW, counted_from="rollups")
    tiles = changed_tiles(SpanChanges(whole, severities, [], [], covers))
    assert [name for name, _ in tiles] == ["critical", "warning", "info", *words]
    assert sum(each.now for _, each in tiles) == whole.now
    assert sum(each.change for _, each in tiles) == whole.change


def test_an_odd_severity_has_no_red_tile_and_a_sentence_is_no_tile() -> None:
    html = firing_part([group("A", severity="-critical")])
    assert html.count('<li class="tile') == 1
    assert '<li class="tile is-other">' in html
    assert "None of them is unconfirmed, silenced or inhibited." in html.split("</ul>")[1]


def test_the_timeline_stands_on_the_worst_severity_and_each_bar_leads_into_its_span() -> None:
    slots = buckets(NOW - 2 * HOUR, NOW, step=HOUR, tz=UTC)
    answer = SeriesAnswer(
        count="begun",
        by="severity",
        step="1h",
        tz="UTC",
        total=7,
        buckets=[SeriesBucket(each.begin, each.end, each.is_whole, 0) for each in slots],
        series=[Series("info", 3, [1, 2]), Series("", 1, [0, 1]), Series("critical", 2, [2, 0])],
        other=OtherSeries(1, 1, [1, 0]),
        covers=Covers(since=NOW - 2 * HOUR, until=NOW, fresh_as_of=NOW, counted_from="rollups"),
    )
    here = [("since", "-2h"), ("count", "begun"), ("part", "timeline")]
    frame = Frame(root="./", current="dashboard", nonce="n", tz="UTC", zone=UTC, now=NOW, here=here)
    chart = timeline_of(answer, frame, "begun")
    assert [(key.name, key.mark) for key in chart.keys] == [
        ("critical", "is-critical"),
        ("no severity", "is-other"),
        ("info", "is-info"),
        ("other", "is-rest"),
    ]
    where = urlsplit(chart.bars[0].href)
    assert where.fragment == "lately"
    assert parse_qs(where.query) == {
        "count": ["begun"],
        "since": ["2026-03-04T10:00:00Z"],
        "until": ["2026-03-04T11:00:00Z"],
    }
