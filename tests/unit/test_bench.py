"""The benchmark keeps its word: its load is real notifications, its history is found, its table tells no lies."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from bench import builds
from bench.against import ratios
from bench.backlog import fill_queue, lease_times
from bench.builds import Figures, older_build
from bench.command import write
from bench.databases import Sqlite, migrate
from bench.fill import fill
from bench.importing import import_rows, write_rows
from bench.load import full_load, percentile
from bench.notifications import Notifications
from bench.pages import questions
from bench.past import occurrences
from bench.plan import Plan
from bench.report import Limit, Measured, at_least, at_most
from bench.targets import fast_target

from alert_history.domain.query import parse_query
from alert_history.ports import HistoryFilter, PageRequest
from alert_history.sources import decode_prometheus, decode_webhook
from alert_history.storage import open_store
from tests.conftest import StartService

NOW = datetime(2026, 7, 1, tzinfo=UTC)
NUMBER = 20_000

pytestmark = pytest.mark.long


def test_every_alert_of_the_paced_load_is_sound_and_new() -> None:
    notifications = Notifications("/webhook", alerts=10, seed=1)
    groups = [decode_webhook(notifications.body().encode(), received_at=NOW, max_alerts=10) for _ in range(20)]
    assert not [refused for group in groups for refused in group.refused]
    assert len({(alert.fingerprint, alert.starts_at) for group in groups for alert in group.alerts}) == 200


def test_an_alert_whose_start_is_to_be_known_begins_when_its_request_is_due() -> None:
    body = Notifications("/webhook/proxy", alerts=1, seed=1).render(1_800_000_000.25).partition(b"\r\n\r\n")[2]
    group = decode_webhook(body, received_at=NOW, max_alerts=1)
    assert [alert.starts_at.timestamp() for alert in group.alerts] == [1_800_000_000.25]


def test_the_fast_target_counts_calls_by_path_and_how_late_they_are() -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)
    with fast_target() as target, httpx.Client(trust_env=False) as client:
        url = f"http://127.0.0.1:{target.port}"
        for _ in range(3):
            assert client.post(f"{url}/one", content=f'{{"starts_at":"{began.isoformat()}"}}').is_success
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"{url}/hang/two", content=f'{{"starts_at":"{began.isoformat()}"}}', timeout=0.2)
        calls = target.calls()
        assert target.calls() == {}
    assert (list(calls), len(calls["/one"])) == (["/one"], 3)
    assert all(5_000 <= milliseconds < 20_000 for milliseconds in calls["/one"])


def test_a_queue_that_is_filled_is_what_a_target_is_told_of(tmp_path: Path) -> None:
    database = Sqlite(tmp_path)
    url = database.fresh()
    fill_queue(database, url, "fast", number=1000)
    assert len(asyncio.run(lease_times(url, "fast", leases=2, batch=64))) == 2
    store = open_store(url)
    depth = asyncio.run(store.delivery_log.depth())
    asyncio.run(store.lifecycle.close())
    assert depth["fast"].waiting == 1000 - 2 * 64


def test_all_rows_that_are_imported_are_those_of_the_history(tmp_path: Path) -> None:
    database = Sqlite(tmp_path)
    url, path = database.fresh(), tmp_path / "past.jsonl"
    past = list(occurrences(500, until=datetime.now(UTC), span=timedelta(days=300)))
    assert write_rows(path, past) == (500, 500)
    migrate(url)
    seconds, reading = asyncio.run(import_rows(url, path, number=500))
    assert 0 < reading < seconds
    assert database.count_alerts(url) == 500


def test_a_request_of_the_paced_load_says_how_long_it_is() -> None:
    head, _, body = Notifications("/webhook", alerts=3, seed=1).render().partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


def test_prometheus_is_acted_by_the_bare_list_of_alerts() -> None:
    body = Notifications("/api/v2/alerts", alerts=3, seed=1).body().encode()
    group = decode_prometheus(body, received_at=datetime.now(UTC), max_alerts=3)
    assert (len(group.alerts), len(group.refused)) == (3, 0)


@pytest.mark.parametrize("path", ["/webhook", "/api/v2/alerts"])
def test_every_alert_of_the_full_load_is_sound_and_new(service: StartService, sqlite_url: str, path: str) -> None:
    server = service({"DATABASE_URL": sqlite_url})
    load = full_load(server.url, seconds=1, path=path)
    page = httpx.get(f"{server.url}/history", params={"total": "exact", "limit": 1}, trust_env=False).json()
    assert (load.refused, load.broken) == (0, 0)
    assert load.alerts <= page["total"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a filled SQLite database."""
    database = Sqlite(tmp_path_factory.mktemp("bench"))
    url = database.fresh()
    fill(database, url, occurrences(NUMBER, until=NOW), number=NUMBER)
    return url


@pytest.mark.parametrize(
    "name,share",
    [
        ("newest page", 1),
        ("alertname, 5 %", 0.05),
        ("namespace, 2.5 %", 0.025),
        ("a label of 40 %", 0.4),
        ("a label of 0.5 %", 0.005),
        ("a label of one alert", 1 / NUMBER),
        ("a label last seen 11 months ago", 0.005),
        ("a label nobody has", 0),
        ("two common labels that exclude each other", 0),
        ("a regex of 5 %", 0.05),
    ],
)
async def test_a_question_finds_as_much_as_its_name_says(filled: str, name: str, share: float) -> None:
    [question] = [question for question in questions(NUMBER) if question.name == name]
    query = parse_query(question.parameters(7).get("query", ""))
    store = open_store(filled)
    page = await store.history.page(HistoryFilter(query=query), PageRequest(limit=1, wants_exact_total=True))
    await store.lifecycle.close()
    assert page.total == pytest.approx(share * NUMBER, rel=0.4)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([float(n) for n in range(100)], 0.99) == 99
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2


@pytest.mark.parametrize(
    "value,limit,verdict",
    [
        (20, at_least(10), "✓ 2.00 ×"),
        (5, at_least(10), "✗ 0.50 ×"),
        (5, at_most(10), "✓ 0.50 ×"),
        (20, at_most(10), "✗ 2.00 ×"),
    ],
)
def test_a_verdict_says_whether_the_promise_is_kept_and_how_far(value: float, limit: Limit, verdict: str) -> None:
    assert Measured("SQLite", "speed", value, "alerts/s", limit).verdict == verdict


def test_writing_replaces_the_table_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("before\n<!-- table: bench/run.py --write -->\nold\n<!-- end of table -->\nafter\n")
    plan = Plan(seconds=1, rounds=1, history=1, old=1, folder=tmp_path)
    write(page, [Measured("SQLite", "speed", 20_000, "alerts/s", at_least(10_000))], plan)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| SQLite | speed | 20 000 alerts/s | ≥ 10 000 alerts/s | ✓ 2.00 × |" in text
    assert "old" not in text


def test_a_page_may_hold_the_tables_of_several_runs(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    marks = [f"<!-- table: bench/run.py{names} --write -->" for names in ("", " peers", " disk workers")]
    tables = "".join(f"{mark}\nold\n<!-- end of table -->\n" for mark in marks)
    page.write_text(f"Before a table stands a mark, such as `{marks[2]}`.\n{tables}")
    plan = Plan(seconds=1, rounds=1, history=1, old=1, folder=tmp_path)
    write(page, [Measured("SQLite", "speed", 20_000, "alerts/s")], plan, names=["disk", "workers"])
    text = page.read_text()
    assert text.count("old") == 2
    assert text.index("20 000") > text.rindex(marks[2]) > text.rindex("old")


def test_a_page_without_the_mark_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no table\n")
    with pytest.raises(SystemExit, match="has no line"):
        write(page, [], Plan(seconds=1, rounds=1, history=1, old=1, folder=tmp_path), names=["peers"])
    assert page.read_text() == "no table\n"


def test_two_builds_are_compared_by_their_medians_and_each_round() -> None:
    old = [Figures(100, 100, 100, 1, 80, 120), Figures(200, 100, 100, 1, 80, 120), Figures(300, 100, 100, 1, 80, 120)]
    new = [figures._replace(distinct_per_second=figures.distinct_per_second * 1.5) for figures in reversed(old)]
    rows = {name: (ratio, spread) for name, _, _, ratio, spread in ratios(list(zip(old, new, strict=True)))}
    assert (rows["distinct per second"], rows["idle mib"]) == (("1.50", "0.50 to 4.50"), ("1.00", "1.00 to 1.00"))


def test_an_older_build_is_a_checkout_that_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "SETUP", ("true",))
    with older_build("HEAD", folder=tmp_path) as build:
        assert (build.folder / "pyproject.toml").is_file()
    assert not build.folder.exists()
