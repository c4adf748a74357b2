"""Pages: every row exactly once, in order, with an honest total; or a refusal that says what is wrong."""

import base64
import itertools
import json
import random

import pytest

from alert_history.domain.query import parse_query
from alert_history.errors import InvalidQuery
from alert_history.ports import HistoryFilter, PageRequest, Store
from alert_history.storage.postgres import history as postgres_history
from alert_history.storage.postgres import search as postgres_search
from alert_history.storage.shared import reads
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, all_pages, everything, receipt


@pytest.fixture
async def populated(store: Store) -> Store:
    """A store with 60 occurrences, many of which tie in every column that can be sorted by."""
    rng = random.Random(9)
    alerts = [
        alert(
            rng.choice(["Ärger", "apple", "Apple", "", "b_c"]),
            rng.choice(["firing", "resolved"]),
            starts_at=NOW - rng.randrange(3) * MINUTE,
            labels={"n": str(n), "namespace": rng.choice(["", "a", "B"]), "severity": rng.choice(["", "info"])},
        )
        for n in range(60)
    ]
    for n in range(4):
        await store.recorder.commit([receipt(*alerts[n::4], at=NOW + n // 2 * SECOND)])
    await store.recorder.commit([receipt(*rng.sample(alerts, 20), at=NOW + rng.randrange(5) * SECOND)])
    return store


@pytest.mark.parametrize("name", reads.SORTABLE)
async def test_cursor_visits_every_row_once(populated: Store, name: str) -> None:
    expected = sorted(occurrence.id for occurrence in await everything(populated))
    for sort in (name, f"-{name}"):
        assert (
            sorted(occurrence.id for occurrence in await all_pages(populated, HistoryFilter(), sort=sort)) == expected
        )


@pytest.mark.parametrize("query", ["", '{namespace!="none"}'], ids=["columns", "words and regexes"])
@pytest.mark.parametrize("name", reads.SORTABLE)
async def test_the_previous_cursor_leads_back_to_the_page_before(populated: Store, name: str, query: str) -> None:
    wanted, sort = HistoryFilter(query=parse_query(query)), f"-{name}"
    first = await populated.history.page(wanted, PageRequest(limit=7, sort=sort))
    second = await populated.history.page(wanted, PageRequest(limit=7, sort=sort, cursor=first.next_cursor))
    back = await populated.history.page(wanted, PageRequest(limit=7, sort=name, cursor=second.previous_cursor))
    assert back.alerts[::-1] == first.alerts
    assert back.next_cursor is None
    again = await populated.history.page(wanted, PageRequest(limit=7, sort=sort, cursor=back.previous_cursor))
    assert again.alerts == second.alerts


async def test_an_empty_page_has_no_page_before(store: Store) -> None:
    assert (await store.history.page(HistoryFilter(), PageRequest())).previous_cursor is None


@pytest.mark.parametrize("name", reads.SORTABLE)
async def test_pages_are_in_order(populated: Store, name: str) -> None:
    for sort in (name, f"-{name}"):
        seen = [getattr(occurrence, name) for occurrence in await all_pages(populated, HistoryFilter(), sort=sort)]
        by_bytes = (lambda value: value.encode()) if isinstance(seen[0], str) else None
        assert seen == sorted(seen, key=by_bytes, reverse=sort.startswith("-"))


@pytest.mark.parametrize("recent_rows, few_matches", [(4000, 4000), (5, 4000), (5, 0)])
@pytest.mark.parametrize("sort", ["-timestamp", "timestamp", "-starts_at"])
async def test_cursor_visits_every_row_of_a_label_once(
    populated: Store, sort: str, recent_rows: int, few_matches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_search, "_RECENT_ROWS", recent_rows)
    monkeypatch.setattr(postgres_history, "FEW_MATCHES", few_matches)
    await populated.recorder.commit(
        [receipt(*(alert(f"P{n}", labels={"pod": "web"}, starts_at=NOW - n * 3 * 1440 * MINUTE) for n in range(9)))]
    )
    wanted = HistoryFilter(parse_query('{pod="web"}'))
    seen = [occurrence.alertname for occurrence in await all_pages(populated, wanted, sort=sort, limit=2)]
    assert sorted(seen) == [f"P{n}" for n in range(9)]


@pytest.mark.parametrize("query", ["", '{severity="info"}', '{alertname="arriving"}', '{pod="web"}'])
async def test_rows_that_arrive_disturb_no_one_who_pages_newest_first(store: Store, query: str) -> None:
    labels = {"pod": "web", "severity": "info"}
    alerts = [alert("arriving", labels=labels | {"n": str(n)}) for n in range(40)]
    await store.recorder.commit([receipt(*alerts[:20])])
    wanted, seen, cursor = HistoryFilter(parse_query(query)), [], None
    for n in range(20, 40):
        page = await store.history.page(wanted, PageRequest(limit=3, cursor=cursor))
        seen += [occurrence.labels["n"] for occurrence in page.alerts]
        cursor = page.next_cursor
        if cursor is None:
            break
        await store.recorder.commit([receipt(alerts[n], at=NOW + n * SECOND)])
    assert sorted(seen, key=int) == [str(n) for n in range(20)]


@pytest.mark.parametrize("query", ["", '{pod="web"}'])
async def test_offset_skips_rows(store: Store, query: str) -> None:
    for n in range(9):
        await store.recorder.commit([receipt(alert(f"A{n}", labels={"pod": "web"}), at=NOW + n * SECOND)])
    page = await store.history.page(HistoryFilter(parse_query(query)), PageRequest(limit=3, offset=4))
    assert [occurrence.alertname for occurrence in page.alerts] == ["A4", "A3", "A2"]


async def test_offset_beyond_the_end_is_an_empty_page(populated: Store) -> None:
    page = await populated.history.page(HistoryFilter(), PageRequest(offset=61))
    assert (page.alerts, page.total, page.next_cursor) == ([], 60, None)


async def test_last_page_has_no_cursor_even_if_it_is_full(populated: Store) -> None:
    page = await populated.history.page(HistoryFilter(), PageRequest(limit=60))
    assert (len(page.alerts), page.next_cursor) == (60, None)


async def test_empty_store_has_an_empty_page(store: Store) -> None:
    page = await store.history.page(HistoryFilter(), PageRequest())
    assert (page.alerts, page.total, page.is_total_exact, page.next_cursor) == ([], 0, True, None)


@pytest.mark.parametrize("query", ["", '{pod="web"}', '{pod=~"w.+"}', "no space"])
async def test_total_is_exact_up_to_the_bound(store: Store, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "COUNT_BOUND", 20)
    monkeypatch.setattr(reads, "COUNT_BUDGET_MS", 0.001)
    await store.recorder.commit([receipt(*(alert(f"A{n}", labels={"pod": "web"}) for n in range(20)))])
    page = await store.history.page(HistoryFilter(parse_query(query)), PageRequest(limit=1))
    assert (page.total, page.is_total_exact) == (20, True)


@pytest.mark.parametrize("query", ["", '{pod="web"}', '{pod=~"w.+"}', "no space"])
async def test_total_above_the_bound_is_exact_or_says_it_is_not(
    store: Store, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "COUNT_BOUND", 20)
    monkeypatch.setattr(reads, "COUNT_BUDGET_MS", 1)
    monkeypatch.setattr(reads, "SMALL_STORE_ROWS", 100)
    monkeypatch.setattr(reads, "SMALL_STORE_BYTES", 100)
    await store.recorder.commit([receipt(*(alert(f"A{n}", labels={"pod": "web"}) for n in range(5000)), body=b"")])
    page = await store.history.page(HistoryFilter(parse_query(query)), PageRequest(limit=1))
    assert (page.total, page.is_total_exact) in {(5000, True), (20, False)}


@pytest.mark.parametrize("query", ["", '{pod="web"}', '{pod=~"w.+"}', "no space"])
async def test_total_of_a_small_store_is_exact_however_busy_the_machine(
    store: Store, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "COUNT_BOUND", 20)
    monkeypatch.setattr(reads, "COUNT_SOME_MS", 1)
    monkeypatch.setattr(reads, "COUNT_BUDGET_MS", 0.001)
    await store.recorder.commit([receipt(*(alert(f"A{n}", labels={"pod": "web"}) for n in range(5000)), body=b"")])
    page = await store.history.page(HistoryFilter(parse_query(query)), PageRequest(limit=1))
    assert (page.total, page.is_total_exact) == (5000, True)


async def test_exact_total_is_counted_to_the_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "COUNT_BOUND", 20)
    monkeypatch.setattr(reads, "COUNT_BUDGET_MS", 1)
    await store.recorder.commit([receipt(*(alert(f"A{n}") for n in range(3000)), body=b"")])
    page = await store.history.page(HistoryFilter(), PageRequest(limit=1, wants_exact_total=True))
    assert (page.total, page.is_total_exact) == (3000, True)


async def test_total_counts_all_pages_from_any_page(populated: Store) -> None:
    first = await populated.history.page(HistoryFilter(), PageRequest(limit=7))
    second = await populated.history.page(HistoryFilter(), PageRequest(limit=7, cursor=first.next_cursor))
    assert (first.total, second.total) == (60, 60)


def _cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


_WRONG_CURSORS = [
    "x",
    "é",
    "\ud800",
    "%00",
    " ",
    _cursor([]),
    _cursor({}),
    _cursor(None),
    _cursor(["-timestamp"]),
    _cursor(["-timestamp", None, None, None]),
    _cursor(["-timestamp", "x", "x", "x"]),
    _cursor(["-timestamp", True, True, True]),
    _cursor(["timestamp", 1]),
    _cursor([["-timestamp"], 1]),
    base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
]


async def test_wrong_cursor_is_refused(store: Store) -> None:
    for cursor in _WRONG_CURSORS:
        with pytest.raises(InvalidQuery):
            await store.history.page(HistoryFilter(), PageRequest(cursor=cursor))


_FORGED = [2**31, 2**62, 2**63, -(2**70), "\0", "\ud800", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00", None, 1.5]


@pytest.mark.parametrize("sort", ["-timestamp", "-alertname", "repeat_count"])
async def test_forged_cursor_is_answered_or_refused(populated: Store, sort: str) -> None:
    page = await populated.history.page(HistoryFilter(), PageRequest(sort=sort, limit=1))
    true = json.loads(base64.urlsafe_b64decode(f"{page.next_cursor}=="))
    for place, value in itertools.product(range(1, len(true)), _FORGED):
        forged = _cursor([*true[:place], value, *true[place + 1 :]])
        try:
            await populated.history.page(HistoryFilter(), PageRequest(sort=sort, cursor=forged))
        except InvalidQuery:
            continue


async def test_cursor_of_another_sort_is_refused(populated: Store) -> None:
    page = await populated.history.page(HistoryFilter(), PageRequest(limit=1))
    with pytest.raises(InvalidQuery):
        await populated.history.page(HistoryFilter(), PageRequest(sort="timestamp", cursor=page.next_cursor))


@pytest.mark.parametrize("sort", ["", "-", "id", "labels", "--timestamp", "timestamp; DROP TABLE alerts", "\0"])
async def test_wrong_sort_is_refused(store: Store, sort: str) -> None:
    with pytest.raises(InvalidQuery):
        await store.history.page(HistoryFilter(), PageRequest(sort=sort))


@pytest.mark.parametrize(
    "page",
    [
        PageRequest(limit=0),
        PageRequest(limit=-1),
        PageRequest(limit=1001),
        PageRequest(offset=-1),
        PageRequest(offset=10_001),
        PageRequest(offset=1, cursor="x"),
    ],
)
async def test_page_out_of_bounds_is_refused(store: Store, page: PageRequest) -> None:
    with pytest.raises(InvalidQuery):
        await store.history.page(HistoryFilter(), page)
