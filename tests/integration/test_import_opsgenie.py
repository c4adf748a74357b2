"""Opsgenie's API, asked over HTTP: pages, windows, bad days; and what a real Alertmanager sent to it.

Holds: `origins.imports.opsgenie_api`, `origins.imports.http`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from alert_history.domain.past_firing import PastFiring
from alert_history.errors import ConfigurationError, ImportFault, OriginUnavailable
from alert_history.origins.imports import opsgenie_api
from alert_history.origins.imports.opsgenie import read
from alert_history.ports.past_origins import ImportRequest, PastBatch
from tests.processes import Server
from tests.servers import alertmanager_server
from tests.vendors.opsgenie import API_KEY, Opsgenie, alert, at
from tests.vendors.server import VendorServer, echoes, replies, resets, serving

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CREATED_MS = 1_790_000_000_000
CREATED = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=CREATED_MS)
TIMEOUT_SECONDS = 30


@pytest.fixture
def account() -> Opsgenie:
    return Opsgenie()


@pytest.fixture
async def server(account: Opsgenie) -> AsyncIterator[VendorServer]:
    async with serving(account) as running:
        yield running


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the origin waited before it asked again; nobody waits in truth."""
    seconds: list[float] = []

    async def note(wait: float) -> None:
        seconds.append(wait)

    monkeypatch.setattr(asyncio, "sleep", note)
    return seconds


async def batches(server: VendorServer, **options: str) -> list[PastBatch]:
    start, end = (datetime.fromisoformat(options.pop(name)) if name in options else None for name in ("start", "end"))
    given = {"url": server.url, "api-key": API_KEY} | {name.replace("_", "-"): text for name, text in options.items()}
    request = ImportRequest({name: (text,) for name, text in given.items()}, NOW, start=start, end=end)
    return [batch async for batch in read(request)]


async def imported(server: VendorServer, **options: str) -> list[PastFiring]:
    return [firing for batch in await batches(server, **options) for firing in batch.firings]


def texts(firings: list[PastFiring]) -> list[str]:
    return [firing.annotations["summary"] for firing in firings]


def entries(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"owner": "neo@x.io", "createdAt": at(CREATED_MS + n), "offset": f"{CREATED_MS}_{n}", "type": "system"} | fields
        for n in range(count)
    ]


async def test_what_the_list_leaves_out_is_asked_for_each_alert(account: Opsgenie, server: VendorServer) -> None:
    account.alerts = [alert(1, created_ms=CREATED_MS, details={"zone": "a"}, description="long")]
    (firing,) = await imported(server)
    assert firing.labels["zone"] == "a"
    assert firing.annotations["description"] == "long"


async def test_all_pages_of_notes_and_of_the_log_are_read(account: Opsgenie, server: VendorServer) -> None:
    own = alert(1, created_ms=CREATED_MS)
    account.alerts = [own]
    account.notes[own["id"]] = entries(250, note="still looking")
    account.logs[own["id"]] = [*entries(150, log="Viewed on [web]"), *entries(1, log="Alert acknowledged via web")]
    account.logs[own["id"]][-1]["offset"] = "last"
    (firing,) = await imported(server)
    kinds = [act.kind for act in firing.acts]
    assert (kinds.count("noted"), kinds.count("acknowledged")) == (250, 1)


async def test_notes_and_logs_are_not_asked_for_where_nobody_wants_them(
    account: Opsgenie, server: VendorServer
) -> None:
    account.alerts = [alert(1, created_ms=CREATED_MS)]
    account.notes[account.alerts[0]["id"]] = entries(1, note="n")
    (firing,) = await imported(server, without_acts="yes")
    assert not firing.acts
    assert not [request for request in server.requests if "/notes" in request.path or "/logs" in request.path]


async def test_windows_go_on_past_the_last_row_that_opsgenie_gives(
    account: Opsgenie, server: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """700 alerts of three a millisecond, where a query gives 200: windows begin amid a millisecond."""
    account.last_row = 200
    monkeypatch.setattr(opsgenie_api, "LAST_ROW", 200)
    account.alerts = [alert(number, created_ms=CREATED_MS + number // 3) for number in range(700)]
    found = await batches(server, without_acts="yes")
    firings = [firing for batch in found for firing in batch.firings]
    assert texts(firings) == [f"Message {number}" for number in range(700)]
    shares = [batch.done or 0.0 for batch in found]
    assert shares == sorted(shares)


async def test_more_alerts_of_one_millisecond_than_opsgenie_gives_are_a_fault(
    account: Opsgenie, server: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.last_row = 100
    monkeypatch.setattr(opsgenie_api, "LAST_ROW", 100)
    account.alerts = [alert(number, created_ms=CREATED_MS) for number in range(101)]
    with pytest.raises(ImportFault, match="one millisecond"):
        await batches(server, without_acts="yes")


async def test_only_the_asked_span_and_search_are_asked_for(account: Opsgenie, server: VendorServer) -> None:
    account.alerts = [alert(number, created_ms=CREATED_MS + number * 1000) for number in range(4)]
    account.alerts[1]["status"] = "open"
    start, end = CREATED + timedelta(seconds=1), CREATED + timedelta(seconds=3)
    found = await imported(server, start=start.isoformat(), end=end.isoformat(), query="status:closed")
    assert texts(found) == ["Message 2"]


async def test_an_alert_deleted_after_it_was_listed_is_taken_as_listed(account: Opsgenie, server: VendorServer) -> None:
    account.alerts = [alert(1, created_ms=CREATED_MS)]
    listed = account.answer

    def forgetful(request: Any) -> Any:
        answer = listed(request)
        if request.path.startswith("/v2/alerts?"):
            account.alerts.clear()
        return answer

    account.answer = forgetful  # type: ignore[method-assign]
    (firing,) = await imported(server)
    assert firing.labels["alias"] == "event_1"


async def test_rows_that_make_no_sense_are_refused_and_the_others_taken(
    account: Opsgenie, server: VendorServer
) -> None:
    account.alerts = [alert(number, created_ms=CREATED_MS + number) for number in range(3)]
    account.alerts[1]["count"] = "many"
    account.alerts[2]["report"] = {"closeTime": 10**18}
    found = await batches(server)
    assert sum(len(batch.firings) for batch in found) == 1
    (row, one) = [refused for batch in found for refused in batch.refused]
    assert "count" in row.reason
    assert "row 2" in row.place
    assert account.alerts[2]["id"] in one.place


async def test_a_server_that_is_busy_is_asked_again_as_late_as_it_says(
    account: Opsgenie, server: VendorServer, waits: list[float]
) -> None:
    account.alerts = [alert(1, created_ms=CREATED_MS)]
    server.script(
        replies(429, '{"message": "You are making too many requests!"}', X_RateLimit_Period_In_Sec="7"),
        replies(503, "", Retry_After="3"),
        replies(500, "oops"),
        resets,
    )
    assert len(await imported(server)) == 1
    assert waits[:2] == [7.0, 3.0]
    assert len(waits) == 4


async def test_a_server_that_stays_busy_is_unavailable(server: VendorServer) -> None:
    server.script(*[replies(429, "too many")] * 6)
    with pytest.raises(OriginUnavailable, match="429"):
        await batches(server)


async def test_a_wrong_key_is_said_and_not_shown(server: VendorServer) -> None:
    with pytest.raises(OriginUnavailable, match="401") as refused:
        await batches(server, api_key="wrong-key-0815")
    assert "0815" not in str(refused.value)


async def test_a_failure_at_one_alert_ends_the_import_and_names_it(account: Opsgenie, server: VendorServer) -> None:
    account.alerts = [alert(1, created_ms=CREATED_MS)]
    list_answer = account.answer

    def failing(request: Any) -> Any:
        return list_answer(request) if request.path.startswith("/v2/alerts?") else echo

    echo = type("R", (), {"status": 200, "body": b"<html>", "headers": {}})()
    account.answer = failing  # type: ignore[method-assign]
    with pytest.raises(ImportFault, match=account.alerts[0]["id"]):
        await batches(server)


async def test_an_answer_that_is_none_and_a_key_that_is_none_are_faults(server: VendorServer) -> None:
    server.script(echoes(200))
    with pytest.raises(ImportFault, match="not what was expected"):
        await batches(server)
    with pytest.raises(ConfigurationError, match="api-key"):
        await batches(server, api_key="ключ")


# --- A real Alertmanager sends ----------------------------------------------------------------------------------------

CONFIG = """
route:
  receiver: genie
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
receivers:
  - name: genie
    opsgenie_configs:
      - api_url: {url}/
        api_key: {key}
"""
SENT = [
    {"alertname": "DiskFull", "instance": "n1:9100", "device": "a = b", "note": "one\ntwo", "team": "wéb"},
    {"alertname": "DiskFull", "instance": "n2:9100", "team": "wéb"},
    {"alertname": "Down", "instance": "n3", "severity": "page"},
]


async def _until(claim: Callable[[], bool]) -> None:
    """Wait until a claim of the account holds; the server answers in this loop, so it must go on."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not claim():
            await _turn()


async def _turn() -> None:
    loop = asyncio.get_running_loop()
    turned = loop.create_future()
    loop.call_later(0.05, turned.set_result, None)
    await turned


async def _post(alertmanager: Server, **fields: str) -> None:
    alerts = [
        {"labels": labels, "annotations": {"summary": "s"}, "generatorURL": "http://p/g"} | fields for labels in SENT
    ]
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.post(f"{alertmanager.url}/api/v2/alerts", json=alerts)).raise_for_status()


async def test_what_alertmanager_sent_has_alertmanagers_fingerprints(account: Opsgenie, server: VendorServer) -> None:
    with alertmanager_server(CONFIG.format(url=server.url, key=API_KEY)) as alertmanager:
        await _post(alertmanager)
        async with httpx.AsyncClient(trust_env=False) as client:
            shown = (await client.get(f"{alertmanager.url}/api/v2/alerts")).json()
        await _until(lambda: {one["details"]["alertname"] for one in account.alerts} == {"DiskFull", "Down"})
        await _post(alertmanager, endsAt=datetime.now(UTC).isoformat())
        await _until(lambda: all(one["status"] == "closed" for one in account.alerts))
    firings = await imported(server, end=(datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    assert {firing.fingerprint for firing in firings} == {one["fingerprint"] for one in shown}
    assert {firing.receiver for firing in firings} == {"genie"}
    assert all(firing.ends_at is not None and firing.ended_by == "resolved" for firing in firings)
    assert [labels for labels in SENT if labels not in [firing.labels for firing in firings]] == []
