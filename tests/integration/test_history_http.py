"""Reading over HTTP: every parameter of /history, cursors, totals, occurrences, quarantine, and hostile queries.

Holds: `web.api.history`, `web.api.quarantine`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.payloads import alert, webhook
from tests.processes import Server
from tests.wire import RawAnswer, send_raw

_JSON = {"Content-Type": "application/json"}
_COUNT = 7
_FIELDS = {
    "id", "fingerprint", "alertname", "namespace", "severity", "status", "labels", "annotations", "starts_at",
    "ends_at", "expires_at", "timestamp", "last_received_at", "repeat_count", "generator_url", "source", "receiver",
    "details", "scope", "state", "state_reason", "ended_by", "confirmed_at",
    "imported_at", "import_id", "is_archived",
}  # fmt: skip


@pytest.fixture(scope="module")
def namespace(live: Server) -> str:
    """Where the tests' seven alerts are: `Even` and `Odd`, number 0 resolved, number 1 a warning."""
    made = f"ns-{uuid4().hex}"
    for number in range(_COUNT):
        sent = alert(
            number,
            alertname="Odd" if number % 2 else "Even",
            status="firing" if number else "resolved",
            namespace=made,
            severity="warning" if number == 1 else "critical",
        )
        answer = httpx.post(f"{live.url}/webhook", content=webhook(sent), headers=_JSON, trust_env=False)
        assert answer.status_code == 200
    return made


def _search(client: httpx.Client, namespace: str, **parameters: Any) -> Any:
    answer = client.get("/history", params={"namespace": namespace, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def _numbers(page: Any) -> list[int]:
    return [int(a["labels"]["instance"].removeprefix("db-").removesuffix(":9100")) for a in page["alerts"]]


def test_page_has_its_alerts_newest_first_and_says_how_many_there_are(client: httpx.Client, namespace: str) -> None:
    page = _search(client, namespace)
    numbers = _numbers(page)
    del page["alerts"]
    assert numbers == [6, 5, 4, 3, 2, 1, 0]
    assert page == {
        "total": 7,
        "is_total_exact": True,
        "limit": 50,
        "offset": 0,
        "next_cursor": None,
        "searched_until": None,
    }


def test_alert_of_a_page_has_all_its_fields(client: httpx.Client, namespace: str) -> None:
    (occurrence,) = _search(client, namespace, limit=1)["alerts"]
    assert occurrence.keys() == _FIELDS


@pytest.mark.parametrize(
    "parameters, numbers",
    [
        ({"alertname": "Odd"}, [5, 3, 1]),
        ({"alertname": "odd"}, []),
        ({"status": "resolved"}, [0]),
        ({"status": "firing", "alertname": "Even"}, [6, 4, 2]),
        ({"severity": "warning"}, [1]),
        ({"query": '{instance=~"db-[12]:.*"}'}, [2, 1]),
        ({"query": '{instance!="db-6:9100",alertname="Even"} "db-4 is full"'}, [4]),
        ({"query": "DB-3"}, [3]),
        ({"query": 'Odd{severity!~"warn.*"}'}, [5, 3]),
        ({"query": '{pod=""}', "limit": 2}, [6, 5]),
        ({"query": '{pod!=""}'}, []),
        ({"query": ""}, [6, 5, 4, 3, 2, 1, 0]),
        ({"since": "-1h"}, [6, 5, 4, 3, 2, 1, 0]),
        ({"since": "now"}, []),
        ({"until": "-1h"}, []),
        ({"until": "2020-01-01"}, []),
        ({"since": "0", "until": "now"}, [6, 5, 4, 3, 2, 1, 0]),
        ({"limit": 2}, [6, 5]),
        ({"limit": 2, "offset": 3}, [3, 2]),
        ({"offset": 7}, []),
        ({"sort": "timestamp", "limit": 3}, [0, 1, 2]),
        ({"sort": "-severity", "limit": 1}, [1]),
        ({"total": "exact", "limit": 1}, [6]),
    ],
    ids=str,
)
def test_parameter_selects(
    client: httpx.Client, namespace: str, parameters: dict[str, Any], numbers: Sequence[int]
) -> None:
    assert _numbers(_search(client, namespace, **parameters)) == numbers


def test_fingerprint_selects_one(client: httpx.Client, namespace: str) -> None:
    occurrence = _search(client, namespace, limit=1)["alerts"][0]
    assert _search(client, namespace, fingerprint=occurrence["fingerprint"])["alerts"] == [occurrence]


def test_since_includes_and_until_excludes_its_moment(client: httpx.Client, namespace: str) -> None:
    moment = _search(client, namespace, alertname="Even", query="db-4")["alerts"][0]["timestamp"]
    numbers = [_numbers(_search(client, namespace, **{name: moment})) for name in ("since", "until")]
    assert numbers == [[6, 5, 4], [3, 2, 1, 0]]


@pytest.mark.parametrize("sort", ["timestamp", "-timestamp", "alertname", "-severity", "status", "-starts_at"])
@pytest.mark.parametrize("limit", [1, 3])
def test_cursors_lead_through_everything_once(client: httpx.Client, namespace: str, sort: str, limit: int) -> None:
    walked: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = _search(client, namespace, sort=sort, limit=limit, **cursor)
        walked += _numbers(page)
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert walked == _numbers(_search(client, namespace, sort=sort))
    assert len(walked) == _COUNT


def test_last_page_has_no_next_cursor(client: httpx.Client, namespace: str) -> None:
    assert _search(client, namespace, limit=_COUNT)["next_cursor"] is None


def test_what_comes_in_during_a_walk_moves_nothing(client: httpx.Client) -> None:
    namespace = f"ns-{uuid4().hex}"
    for number in range(3):
        client.post("/webhook", content=webhook(alert(number, namespace=namespace)), headers=_JSON)
    first = _search(client, namespace, limit=2)
    client.post("/webhook", content=webhook(alert(9, namespace=namespace)), headers=_JSON)
    rest = _search(client, namespace, limit=2, cursor=first["next_cursor"])
    assert _numbers(first) + _numbers(rest) == [2, 1, 0]


def test_total_is_that_of_all_pages(client: httpx.Client, namespace: str) -> None:
    pages = [_search(client, namespace, limit=3), _search(client, namespace, limit=3, offset=3)]
    assert [(page["total"], page["is_total_exact"]) for page in pages] == [(_COUNT, True)] * 2


def test_parameter_without_a_value_is_not_given(client: httpx.Client, namespace: str) -> None:
    nothing = dict.fromkeys(("status", "query", "since", "until", "limit", "offset", "cursor", "sort", "total"))
    assert _search(client, namespace, **nothing) == _search(client, namespace)


def test_exact_total_says_that_it_is_exact(client: httpx.Client, namespace: str) -> None:
    page = _search(client, namespace, total="exact", alertname="Odd")
    assert (page["total"], page["is_total_exact"]) == (3, True)


def test_api_v1_alerts_is_the_history(client: httpx.Client, namespace: str) -> None:
    page = client.get("/api/v1/alerts", params={"namespace": namespace, "limit": 2}).json()
    assert page == _search(client, namespace, limit=2)


@pytest.mark.parametrize(
    "query, named",
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1&limit=2", "limit"),
        ("offset=-1", "offset"),
        ("offset=10001", "offset"),
        ("offset=1&cursor=AAAA", "cursor"),
        ("status=pending", "status"),
        ("status=firing&status=resolved", "status"),
        ("total=all", "total"),
        ("sort=labels", "sort"),
        ("sort=--timestamp", "sort"),
        ("sort=timestamp%20desc;DROP%20TABLE%20alerts", "sort"),
        ("since=yesterday", "since"),
        ("since=2026-02-30T00:00:00Z", "since"),
        ("until=99999999999999999999", "until"),
        ("until=-999999999y", "until"),
        ("until=" + "1" * 9_000, "until"),
        ("cursor=AAAA", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=é", "cursor"),
        ("cursor=" + "W1tb" * 5_000, "cursor"),
        ("query=%7Ba=", "query"),
        ("query=%7Ba=~%22(%22%7D", "query"),
        ("query=%00", "query"),
        ("query=" + "x" * 9_000, "query"),
        ("query=" + "%7B" * 3_000, "query"),
        ("alertname=%00", "alertname"),
        ("severity=%00", "severity"),
        ("namespace=a%00b", "namespace"),
        ("fingerprint=%00", "fingerprint"),
        ("page=2", "page"),
        ("page=", "page"),
        ("limit=&limit=2", "limit"),
        ("%27=1", "'"),
        ("a%0d%0aSet-Cookie:b=1", "Set-Cookie"),
    ],
    ids=lambda value: value[:40],
)
def test_wrong_parameter_is_named(client: httpx.Client, query: str, named: str) -> None:
    answer = client.get(f"/history?{query}")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (400, "urn:alert-history:problem:invalid-query")
    assert named in problem["detail"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "query",
    [
        "query=%ED%A0%80",
        "query=%FF%FE",
        "query=%25%5F%5C",
        "alertname=%27%20OR%201=1--",
        "alertname=%25",
        "namespace=" + "x" * 20_000,
        "fingerprint=%E2%80%AE",
        "query=%7Ba=~%22(a%7Ca)%2B%22%7D",
        "query=%7Ba=~%22(x%2Bx%2B)%2By%22%7D",
        "query=%7B%22a%27%5B%22=%22%25%22%7D",
        "since=0001-01-01&until=9999-12-31T23:59:59.999999999Z",
        "alertname&severity",
        "&&&",
    ],
    ids=lambda value: value[:40],
)
def test_odd_query_is_answered_and_finds_nothing_it_should_not(
    client: httpx.Client, namespace: str, query: str
) -> None:
    scope = "" if "namespace" in query else f"namespace={namespace}&"
    answer = client.get(f"/history?{scope}{query}")
    is_everything = query in {"&&&", "since=0001-01-01&until=9999-12-31T23:59:59.999999999Z"}
    assert (answer.status_code, answer.json()["total"]) == (200, _COUNT if is_everything else 0)


def _get_raw(live: Server, target: bytes) -> RawAnswer:
    return send_raw(live, b"GET " + target + b" HTTP/1.1\r\nHost: test\r\n\r\n")


@pytest.mark.parametrize("target", [b"/history?query=\xff", b"/\xff", b"/history?" + b"a" * 100_000, b"history"])
def test_target_that_is_no_url_is_a_bad_request(live: Server, target: bytes) -> None:
    assert _get_raw(live, target).status == 400


@pytest.mark.parametrize("host", [b"[::1", b"", b"evil.example", b"a b"])
@pytest.mark.parametrize("path", [b"/nope", b"/history/", b"/docs/", b"//evil.example/history"])
def test_unknown_path_is_a_404_whatever_the_host_is_called(live: Server, path: bytes, host: bytes) -> None:
    answer = send_raw(live, b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    assert b"evil.example" not in answer.body.replace(path, b"")


def test_occurrence_is_found_by_its_id_with_its_ledger(client: httpx.Client, namespace: str) -> None:
    occurrence = _search(client, namespace, limit=1)["alerts"][0]
    traced = client.get(f"/api/v1/alerts/{occurrence['id']}").json()
    ledger = traced.pop("ledger")
    assert traced == occurrence
    assert [step["step"] for step in ledger["events"][0]["steps"]][:2] == ["received", "recorded"]


def test_timeline_tells_what_happened_oldest_first(client: httpx.Client) -> None:
    name = f"Alert{uuid4().hex}"
    receipts = [
        client.post("/webhook", content=webhook(alert(1, alertname=name, status=status)), headers=_JSON).json()
        for status in ("firing", "resolved")
    ]
    (occurrence,) = client.get("/history", params={"alertname": name}).json()["alerts"]
    timeline = client.get(f"/api/v1/alerts/{occurrence['id']}/timeline").json()
    assert timeline["alert"] == occurrence
    assert [(e["kind"], e["receipt_id"]) for e in timeline["events"]] == [
        ("fired", receipts[0]["receipt_id"]),
        ("resolved", receipts[1]["receipt_id"]),
    ]


@pytest.mark.parametrize("suffix", ["", "/timeline"])
@pytest.mark.parametrize(
    "id_", ["x", "0123456789abcdef-1", "%00", "..%2f..", "%ED%A0%80-1", "0123456789abcdef-" + "9" * 400, "-", "1-2-3"]
)
def test_unknown_occurrence_is_not_found(client: httpx.Client, id_: str, suffix: str) -> None:
    answer = client.get(f"/api/v1/alerts/{id_}{suffix}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_quarantine_is_read_page_by_page(client: httpx.Client) -> None:
    receipt_id = client.post("/webhook", content=b'{"alerts":[{},5,null]}', headers=_JSON).json()["receipt_id"]
    first = client.get("/api/v1/quarantine", params={"limit": 2}).json()
    second = client.get("/api/v1/quarantine", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    rows = [*first["quarantine"], *second["quarantine"]][:3]
    assert {row["receipt_id"] for row in rows} == {receipt_id}
    assert {row["position"]: row["raw"] for row in rows} == {0: "{}", 1: "5", 2: "null"}
    assert first["total"] >= 3


@pytest.mark.parametrize("query, named", [("limit=0", "limit"), ("cursor=x", "cursor"), ("offset=1", "offset")])
def test_wrong_parameter_of_quarantine_is_named(client: httpx.Client, query: str, named: str) -> None:
    answer = client.get(f"/api/v1/quarantine?{query}")
    assert (answer.status_code, named in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("path", ["/history", "/api/v1/alerts", "/api/v1/quarantine"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_reading_takes_no_other_method(client: httpx.Client, path: str, method: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})


def test_a_path_with_several_methods_names_them_all(client: httpx.Client) -> None:
    answer = client.delete("/enrichment/mode")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_head_is_get_without_the_body(client: httpx.Client, namespace: str) -> None:
    answers = [client.request(method, "/history", params={"namespace": namespace}) for method in ("GET", "HEAD")]
    lengths = [answer.headers["content-length"] for answer in answers]
    assert (answers[1].status_code, answers[1].content, lengths[0]) == (200, b"", lengths[1])


def test_times_are_utc_and_recent(client: httpx.Client, namespace: str) -> None:
    first = _search(client, namespace, limit=1)["alerts"][0]["timestamp"]
    assert first.endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(first)).total_seconds()) < 300


def test_browser_may_not_guess_the_type_of_what_a_sender_wrote(client: httpx.Client) -> None:
    assert client.get("/history").headers["x-content-type-options"] == "nosniff"
