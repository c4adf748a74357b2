"""The ingest routes over HTTP: what they answer, and what happens when nothing can be committed."""

import asyncio
import time
from collections import Counter
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from tests.conftest import StartService
from tests.payloads import alert, webhook
from tests.processes import Server, wait_until
from tests.servers import PostgresServer
from tests.wire import post_head, send_raw

_JSON = {"Content-Type": "application/json"}
_PATHS = ("/webhook", "/webhook/proxy", "/api/v2/alerts")
_ANSWER_WITHIN_SECONDS = 20.0

pytestmark = pytest.mark.migrated


@pytest.fixture
def name() -> str:
    """The name of alerts that no other test has."""
    return f"Alert{uuid4().hex}"


def _body(path: str, *alerts: dict[str, object]) -> bytes:
    return msgspec.json.encode(alerts) if path == "/api/v2/alerts" else webhook(*alerts)


def _post(client: httpx.Client, body: bytes, *, path: str = "/webhook", **headers: str) -> httpx.Response:
    return client.post(path, content=body, headers={**_JSON, **headers})


@pytest.mark.parametrize("path", _PATHS)
def test_answer_counts_what_became_of_each_alert(client: httpx.Client, name: str, path: str) -> None:
    _post(client, _body(path, alert(1, alertname=name)), path=path)
    answer = _post(client, _body(path, alert(1, alertname=name), alert(2, alertname=name)), path=path)
    counts = answer.json()
    receipt_id = counts.pop("receipt_id")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert UUID(receipt_id).version == 7
    assert counts == {"status": "success", "received": 2, "stored": 1, "repeated": 1, "quarantined": 0, "deliveries": 0}


@pytest.mark.parametrize("path", _PATHS)
def test_answered_alert_is_in_the_history(client: httpx.Client, name: str, path: str) -> None:
    _post(client, _body(path, alert(1, alertname=name)), path=path)
    (occurrence,) = client.get("/history", params={"alertname": name}).json()["alerts"]
    assert (occurrence["labels"], occurrence["status"]) == (alert(1, alertname=name)["labels"], "firing")


def test_the_same_notification_twice_is_one(client: httpx.Client, name: str) -> None:
    body = webhook(alert(1, alertname=name), alert(2, alertname=name))
    answers = [_post(client, body).json() for _ in range(2)]
    assert [(a["stored"], a["repeated"]) for a in answers] == [(2, 0), (0, 2)]


def test_resolve_ends_the_occurrence_that_was_firing(client: httpx.Client, name: str) -> None:
    _post(client, webhook(alert(1, alertname=name)))
    _post(client, webhook(alert(1, alertname=name, status="resolved")))
    (occurrence,) = client.get("/history", params={"alertname": name}).json()["alerts"]
    assert (occurrence["status"], occurrence["ends_at"] is not None) == ("resolved", True)


def test_notification_without_alerts_is_accepted(client: httpx.Client) -> None:
    answer = _post(client, webhook())
    assert (answer.status_code, answer.json()["received"]) == (200, 0)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/vnd.api+json"],
)
def test_every_way_to_say_json_is_understood(client: httpx.Client, content_type: str) -> None:
    assert client.post("/webhook", content=webhook(), headers={"Content-Type": content_type}).status_code == 200


@pytest.mark.parametrize("path", [path for path in _PATHS if path != "/api/v2/alerts"])  # it is read, too
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_ingest_takes_nothing_but_post(client: httpx.Client, path: str, method: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["type"] == "urn:alert-history:problem:method-not-allowed"


def test_head_of_an_ingest_path_says_what_is_allowed(client: httpx.Client) -> None:
    answer = client.head("/webhook")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")


@pytest.mark.parametrize("path", ["/webhooks", "/webhook/other/", "/WEBHOOK", "/webhook/other", "/api/v2"])
def test_post_to_an_unknown_path_is_not_found(client: httpx.Client, path: str) -> None:
    answer = _post(client, webhook(), path=path)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:alert-history:problem:no-such-path")


@pytest.mark.parametrize("path", ["/api/v2/alerts/", "//api/v2/alerts", "/webhook//proxy/", "/webhook%2f"])
def test_slashes_too_many_change_nothing(live: Server, name: str, path: str) -> None:
    body = _body("/api/v2/alerts" if "api" in path else "/webhook", alert(1, alertname=name))
    answer = send_raw(live, post_head(path, f"Content-Length: {len(body)}") + body)
    assert (answer.status, msgspec.json.decode(answer.body)["stored"]) == (200, 1)


def test_query_string_changes_nothing(client: httpx.Client) -> None:
    assert _post(client, webhook(), path="/webhook?source=%00&x").status_code == 200


@pytest.mark.parametrize("body", [webhook(), b"no JSON"])
def test_the_callers_request_id_is_given_back(client: httpx.Client, body: bytes) -> None:
    assert _post(client, body, **{"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"


def test_problem_names_the_callers_request_id(client: httpx.Client) -> None:
    assert _post(client, b"no JSON", **{"X-Request-ID": "abc-1"}).json()["request_id"] == "abc-1"


@pytest.mark.parametrize("value", ["", "a" * 129, "a\tb", "\xe9\xff"])
def test_hostile_request_id_is_replaced(live: Server, value: str) -> None:
    sent = post_head("/webhook", f"X-Request-ID: {value}", "Content-Length: 13") + b'{"alerts":[]}'
    assert UUID(send_raw(live, sent).headers["x-request-id"]).version == 7


def test_one_connection_serves_many_requests(live: Server) -> None:
    request = post_head("/webhook", "Content-Length: 13") + b'{"alerts":[]}'
    assert send_raw(live, request * 3).status == 200


def test_requests_that_arrive_together_share_transactions(live: Server, client: httpx.Client, name: str) -> None:
    before = _commits(client)

    async def send_all() -> list[int]:
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(base_url=live.url, trust_env=False, limits=limits, timeout=30) as many:
            bodies = [webhook(alert(number, alertname=name)) for number in range(100)]
            answers = await asyncio.gather(*(many.post("/webhook", content=b, headers=_JSON) for b in bodies))
            return [answer.status_code for answer in answers]

    assert set(asyncio.run(send_all())) == {200}
    assert _commits(client) - before < 100


def _commits(client: httpx.Client) -> int:
    prefix = "alert_history_ingest_commit_seconds_count "
    lines = client.get("/metrics").text.splitlines()
    return int(float(next(line.removeprefix(prefix) for line in lines if line.startswith(prefix))))


# --- when nothing can be committed ------------------------------------------------------------------------------------


def _timed(url: str, body: bytes) -> tuple[httpx.Response, float]:
    begin = time.monotonic()
    answer = httpx.post(f"{url}/webhook", content=body, headers=_JSON, trust_env=False, timeout=30)
    return answer, time.monotonic() - begin


@pytest.mark.parametrize("outage", ["stopped", "paused"])
def test_database_that_is_away_is_503_within_5_s_until_it_is_back(
    postgres_url: str, postgres_server: PostgresServer, service: StartService, name: str, outage: str
) -> None:
    server = service({"DATABASE_URL": postgres_url})
    body = webhook(alert(1, alertname=name))
    if outage == "stopped":
        postgres_server.terminate()
    else:
        postgres_server.pause()
    answer, seconds = _timed(server.url, body)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:alert-history:problem:storage-unavailable")
    assert (int(answer.headers["retry-after"]) > 0, seconds < _ANSWER_WITHIN_SECONDS) == (True, True)
    postgres_server.recover()
    wait_until(lambda: _timed(server.url, body)[0].status_code == 200, "it commits again")
    page = httpx.get(f"{server.url}/history", params={"alertname": name}, trust_env=False).json()
    assert page["total"] == 1


def test_full_queue_is_503_and_never_429_until_there_is_room(
    postgres_url: str, postgres_server: PostgresServer, service: StartService, name: str
) -> None:
    server = service({"DATABASE_URL": postgres_url, "MAX_PENDING_BYTES": "100000"})
    body = webhook(alert(1, alertname=name, pad="x" * 10_000))
    postgres_server.pause()

    async def send_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as many:
            posts = (many.post("/webhook", content=body, headers=_JSON) for _ in range(40))
            return await asyncio.gather(*posts)

    answers = asyncio.run(send_all())
    kinds = Counter(answer.json()["type"].rpartition(":")[2] for answer in answers)
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert kinds["overloaded"] >= 30
    assert kinds["overloaded"] + kinds["storage-unavailable"] == 40
    postgres_server.resume()
    wait_until(lambda: _timed(server.url, body)[0].status_code == 200, "it takes requests again")
