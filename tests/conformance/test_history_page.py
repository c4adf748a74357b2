"""The history page on both databases: it turns pages, groups, exports just its view, and keeps views that are shared.

Holds: `web.pages.history`, `web.pages.history_rows`, `web.pages.history_file`, `web.pages.saved_views`,
`engine.saved_views`, `engine.rule_groups`, `engine.export_rows`.
"""

import asyncio
import csv
import html
import io
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest
from markupsafe import escape
from starlette.applications import Starlette

from alert_history.bootstrap_statistics import make_statistics
from alert_history.config import load_settings
from alert_history.engine.acknowledged import Acknowledged
from alert_history.engine.saved_views import MOST_VIEWS, SavedViews
from alert_history.ports import Store
from alert_history.web.pages.frame import Frames
from alert_history.web.pages.history import HistoryCounting, HistoryPage
from alert_history.web.pages.saved_views import SavedViewForms
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import MINUTE, NOW, alert, receipt

HOSTILE = "<script>alert(1)</script>\"'`{}=,\\"
OURS = {"origin": "http://history.example"}


@pytest.fixture
async def client(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the pages of that store, a day after the samples."""
    async with pages_of(store) as asking:
        yield asking


def pages_of(store: Store) -> httpx.AsyncClient:
    def clock() -> datetime:
        return NOW + timedelta(days=1)

    async def nobody_counts() -> None:
        return None

    statistics = make_statistics(load_settings({}), store, clock=clock)
    views = SavedViews(store.settings, clock=clock)
    page = HistoryPage(
        store.history,
        HistoryCounting(
            analysis=statistics.analysis, facets=statistics.facets, series=statistics.series, rules=statistics.groups
        ),
        views=views,
        acknowledged=Acknowledged(store.acts),
        frames=Frames(clock=clock, count_firing=nobody_counts),
    )
    served = [*page.pages(), *SavedViewForms(views).pages()]
    application = Starlette(routes=[each.for_router() for each in served])
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://history.example/dashboard/")


async def fill(store: Store) -> None:
    """120 alerts of two rules, of which the odd ones fire, and one with hostile texts."""
    alerts = [
        alert("Disk" if number % 3 else "CPU", "firing" if number % 2 else "resolved", labels={"n": f"{number:03}"})
        for number in range(120)
    ]
    await store.recorder.commit([receipt(each, at=NOW + place * MINUTE) for place, each in enumerate(alerts)])
    hostile = alert(
        HOSTILE, labels={HOSTILE: HOSTILE, "severity": HOSTILE, "namespace": "=cmd|' /C calc'!A0", "n": "x"}
    )
    await store.recorder.commit([receipt(hostile, at=NOW + 130 * MINUTE)])


def rows_of(text: str) -> list[str]:
    return re.findall(r'<tr data-row id="([^"]+)"', text)


def link(text: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', text)
    assert found, f"there is no link {rel}"
    return "history" + html.unescape(found[1])


async def test_pages_are_turned_by_links_there_and_back(store: Store, client: httpx.AsyncClient) -> None:
    await fill(store)
    for query in ("history", 'history?query={n!=""}', "history?sort=alertname"):
        pages = [(await client.get(query)).text]
        while 'quiet" rel="next"' in pages[-1]:
            pages.append((await client.get(link(pages[-1], "next"))).text)
        seen = [row for page in pages for row in rows_of(page)]
        assert (len(seen), len({*seen}), len(pages)) == (121, 121, 5)
        page = pages[-1]
        for before in pages[-2::-1]:
            page = (await client.get(link(page, "prev"))).text
            assert rows_of(page) == rows_of(before)
        assert 'quiet" rel="prev"' not in pages[0]


async def test_rules_have_the_same_numbers_from_rollups_and_from_occurrences(
    store: Store, client: httpx.AsyncClient
) -> None:
    await fill(store)
    tables = []
    for query in ("", 'query={n!=""}'):
        text = (await client.get(f"history?group=rule&part=rows&{query}")).text
        rows = re.findall(
            r"<tr data-row>.*?</span> (.*?)</a>.*?<td class=\"number\">(\d+)</td>\s*(.*?)</td>", text, re.DOTALL
        )
        tables.append([(name, number, re.sub(r"<[^>]+>|\D", "", firing)) for name, number, firing in rows])
    assert tables[0] == tables[1] == [("Disk", "80", "40"), ("CPU", "40", "20"), (str(escape(HOSTILE)), "1", "1")]


async def test_a_rule_opens_to_its_newest_occurrences(store: Store, client: httpx.AsyncClient) -> None:
    await fill(store)
    text = (await client.get("history", params={"group": "rule", "open": "CPU", "part": "rows"})).text
    assert len(rows_of(text)) == 10
    assert "All 40 alerts of this rule" in text
    hostile = (await client.get("history", params={"group": "rule", "open": HOSTILE, "part": "rows"})).text
    assert len(rows_of(hostile)) == 1


@pytest.mark.parametrize(
    "query",
    [
        "",
        "group=rule",
        "view=lanes",
        "view=lanes&lane=namespace",
        "cols=summary,labels,n",
        "facet=n",
        "part=everything",
        "since=1971-01-01",
        "status=firing&source=alertmanager&not_receiver=x",
    ],
)
async def test_nothing_that_others_wrote_is_markup(store: Store, client: httpx.AsyncClient, query: str) -> None:
    await fill(store)
    answer = await client.get(f"history?{query}")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert escape(HOSTILE) in answer.text
    assert 'class="fault"' not in answer.text


async def test_a_facet_of_a_hostile_value_leads_to_its_alerts(store: Store, client: httpx.AsyncClient) -> None:
    await fill(store)
    text = (await client.get("history", params={"facet": HOSTILE, "part": "facets"})).text
    links = re.findall(rf'<a class="add" href="([^"]+)"[^>]*>{re.escape(str(escape(HOSTILE)))}</a>', text)
    assert len(links) == 3  # as a severity, an alertname, and a label of its own
    for href in links:
        assert len(rows_of((await client.get("history" + html.unescape(href))).text)) == 1


async def test_a_query_that_can_not_be_read_is_shown_with_its_fault(client: httpx.AsyncClient) -> None:
    answer = await client.get("history", params={"query": '{a="<b>",c=~"("}'})
    assert answer.status_code == 400
    assert "<code>{a=&#34;&lt;b&gt;&#34;,c=~&#34;<mark>(</mark>&#34;}</code>" in answer.text
    assert (await client.get("history?since=yesterdayish")).status_code == 400


# --- the file ---------------------------------------------------------------------------------------------------------


async def test_just_the_view_is_exported(store: Store, client: httpx.AsyncClient) -> None:
    await fill(store)
    view = {"query": '{alertname!="CPU"}', "status": "firing", "since": "2020-01-01"}
    answer = await client.get("history/export", params={**view, "format": "jsonl"})
    assert re.fullmatch(r'attachment; filename="alerts-[-\d]+\.jsonl"', answer.headers["content-disposition"])
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) == 41
    assert {(line["status"], line["alertname"] == "CPU") for line in lines} == {("firing", False)}
    table = list(
        csv.DictReader(io.StringIO((await client.get("history/export", params={**view, "format": "csv"})).text))
    )
    assert [row["id"] for row in table] == [line["id"] for line in lines]
    assert table[-1]["namespace"] == "'=cmd|' /C calc'!A0", "a spreadsheet runs no formula of strangers"


async def test_an_export_of_nothing_is_a_file(client: httpx.AsyncClient) -> None:
    assert (await client.get("history/export")).text == ""
    assert (await client.get("history/export?format=csv")).text.startswith("id,fingerprint,alertname,")


@pytest.mark.parametrize("query", ["format=xlsx", "query={", "since=x"])
async def test_an_export_that_can_not_be_read_is_a_page_that_says_so(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"history/export?{query}")
    assert answer.status_code == 400
    assert "text/html" in answer.headers["content-type"]


# --- saved views ------------------------------------------------------------------------------------------------------


async def post(client: httpx.AsyncClient, path: str, /, **fields: str) -> httpx.Response:
    return await client.post(f"history/views{path}", data=fields, headers=OURS)


async def saved(store: Store) -> list[tuple[str, str]]:
    return [(view.name, view.state) for view in await SavedViews(store.settings, clock=lambda: NOW).all()]


async def test_a_view_is_saved_renamed_and_deleted(store: Store, client: httpx.AsyncClient) -> None:
    state = "query=%7Ba%3D%22%26%22%7D&status=firing"
    answer = await post(client, "", name=f" {HOSTILE} ", state=f"{state}&cursor=abc&tz=UTC")
    assert (answer.status_code, answer.headers["location"]) == (303, f"../history?{state}")
    assert await saved(store) == [(HOSTILE, state)]
    page = (await client.get("history")).text
    assert f'<a href="?{escape(state)}">{escape(HOSTILE)}</a>' in page
    view_id = (await SavedViews(store.settings, clock=lambda: NOW).all())[0].id
    assert (await post(client, f"/{view_id}/rename", name="Night")).headers["location"] == "../../../history"
    assert await saved(store) == [("Night", state)]
    assert (await post(client, f"/{view_id}/delete", state=state)).status_code == 303
    assert await saved(store) == []
    assert (await post(client, f"/{view_id}/delete")).status_code == 404


async def test_people_who_save_at_once_lose_nothing(store: Store, open_replica: OpenReplica) -> None:
    async with pages_of(store) as one, pages_of(await open_replica()) as other:
        names = [f"view {number}" for number in range(10)]
        answers = await asyncio.gather(
            *(post((one, other)[number % 2], "", name=name, state="") for number, name in enumerate(names))
        )
        assert {answer.status_code for answer in answers} == {303}
        assert [name for name, _ in await saved(store)] == names
        again = await asyncio.gather(*(post(each, "", name="The Same", state="") for each in (one, other)))
        assert sorted(answer.status_code for answer in again) == [303, 422]


@pytest.mark.parametrize("name", ["", " \u200b ", "x" * 81, "two\nlines"])
async def test_a_name_that_is_none_is_refused(store: Store, client: httpx.AsyncClient, name: str) -> None:
    assert (await post(client, "", name=name, state="")).status_code == 422
    assert await saved(store) == []


async def test_views_are_bounded_in_number_and_size(store: Store, client: httpx.AsyncClient) -> None:
    many = [{"id": str(number), "name": f"n{number}", "state": ""} for number in range(MOST_VIEWS)]
    await store.settings.write("history_views", many)
    full = await post(client, "", name="one more", state="")
    assert (full.status_code, "no room for more" in full.text) == (422, True)
    assert (await post(client, "/0/rename", name="N1")).status_code == 422
    await store.settings.write("history_views", [])
    assert (await post(client, "", name="long", state=f"query={'x' * 3990}&since=-1h&facet=team")).status_code == 422
    assert (await post(client, "", name="none", state="view=cards")).status_code == 400


async def test_a_form_of_another_site_changes_nothing(store: Store, client: httpx.AsyncClient) -> None:
    answer = await client.post("history/views", data={"name": "x"}, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    assert await saved(store) == []
