"""Bad input over HTTP: it gets its answer or goes to quarantine, nothing else is lost, and the service goes on."""

import gzip
import re
import select
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import psutil
import pytest

from tests.payloads import alert, webhook
from tests.processes import Server, wait_until
from tests.wire import connection, post_head, read_answer, send_raw

_JSON = {"Content-Type": "application/json"}
_GZIP = {**_JSON, "Content-Encoding": "gzip"}
_MEBIBYTE = 1024 * 1024
_BODY_BOUND = 10 * _MEBIBYTE
_DEEP = 100_000
_SOUND: dict[str, Any] = {"status": "firing", "labels": {"alertname": "A"}, "startsAt": "2026-11-24T07:39:06.241Z"}


@pytest.fixture
def name() -> str:
    """The name of alerts that no other test has."""
    return f"Alert{uuid4().hex}"


@pytest.fixture(autouse=True)
def goes_on(client: httpx.Client) -> Iterator[None]:
    """Whatever a test sends, the next alert is kept."""
    yield
    last = f"Last{uuid4().hex}"
    _post(client, webhook(alert(1, alertname=last)))
    assert _kept(client, last) == 1


def _post(
    client: httpx.Client, body: Any, headers: dict[str, str] = _JSON, *, path: str = "/webhook"
) -> httpx.Response:
    return client.post(path, content=body, headers=headers)


def _kept(client: httpx.Client, alertname: str) -> int:
    """How many occurrences of that name the history holds."""
    total: int = client.get("/history", params={"alertname": alertname, "total": "exact"}).json()["total"]
    return total


def _quarantined(client: httpx.Client, receipt_id: str) -> list[tuple[int, str]]:
    """Position and reason of each alert refused in that request."""
    page = client.get("/api/v1/quarantine", params={"limit": 1000}).json()["quarantine"]
    return [(q["position"], q["reason"]) for q in page if q["receipt_id"] == receipt_id]


def _sound(**fields: Any) -> bytes:
    return msgspec.json.encode({**_SOUND, **fields})


# One alert each that can't be kept, and why.
_BAD_ALERTS: dict[str, tuple[bytes, str]] = {
    "a number": (b"5", "an alert is an object; this is a number"),
    "null": (b"null", "an alert is an object; this is null"),
    "an array": (b"[1]", "an alert is an object; this is an array"),
    "nothing in it": (b"{}", "labels are null, not an object"),
    "labels of a wrong type": (_sound(labels=[1]), "labels are an array, not an object"),
    "label value of a wrong type": (_sound(labels={"a": 1}), "the value of label 'a' is a number, not a string"),
    "startsAt of a wrong type": (_sound(startsAt=5), "startsAt is a number, not an RFC 3339 time"),
    "no labels": (_sound(labels={}), "it has no labels"),
    "label of 1 MB": (_sound(labels={"a": "x" * _MEBIBYTE}), "the value of label 'a' has 1048576 bytes"),
    "label name of 1 MB": (_sound(labels={"x" * _MEBIBYTE: "a"}), "the name of label"),
    "bomb of nesting": (b"[" * _DEEP + b"]" * _DEEP, "it is nested too deeply"),
    "bomb of nesting in a label": (
        b'{"labels":' + b'{"a":' * _DEEP + b"1" + b"}" * _DEEP + b"}",
        "it is nested too deeply",
    ),
    "NUL": (_sound(labels={"a": "b\0"}), "the value of label 'a' holds a NUL character"),
    "NUL in a name": (_sound(labels={"a\0": "b"}), r"the name of label 'a\x00' holds a NUL character"),
    "lone surrogate": (b'{"labels":{"a":"\\ud800"}}', "the value of label 'a' is no Unicode text"),
    "invalid UTF-8": (b'{"labels":{"a":"\xff\xfe"}}', "the value of label 'a' is no Unicode text"),
    "endsAt before startsAt": (_sound(status="resolved", endsAt="2026-11-24T07:39:05Z"), "endsAt is before startsAt"),
    "startsAt in the year 1": (_sound(startsAt="0001-01-01T00:00:00Z"), "startsAt is not set"),
    "startsAt in the year 10000": (_sound(startsAt="10000-01-01T00:00:00Z"), "startsAt is '10000-01-01T00:00:00Z'"),
    "startsAt without a zone": (_sound(startsAt="2026-11-24T07:39:06"), "startsAt has no time zone"),
    "unknown status": (_sound(status="pending"), "its status is 'pending', neither firing nor resolved"),
}
_bad_alerts = pytest.mark.parametrize("bad, reason", _BAD_ALERTS.values(), ids=_BAD_ALERTS)


@_bad_alerts
def test_bad_alert_is_quarantined_and_its_neighbours_are_kept(
    client: httpx.Client, name: str, bad: bytes, reason: str
) -> None:
    good = [msgspec.json.encode(alert(number, alertname=name)) for number in (1, 2)]
    answer = _post(client, b'{"version":"4","alerts":[' + b",".join([good[0], bad, good[1]]) + b"]}")
    counts = {key: answer.json().get(key) for key in ("received", "stored", "repeated", "quarantined")}
    assert (answer.status_code, counts) == (200, {"received": 3, "stored": 2, "repeated": 0, "quarantined": 1})
    ((position, shown_reason),) = _quarantined(client, answer.json()["receipt_id"])
    assert (position, shown_reason.startswith(reason), _kept(client, name)) == (1, True, 2)


_CUT = "its annotations have 1048596 bytes together, more than 262144: cut"


@pytest.mark.parametrize("path", ["/webhook", "/api/v2/alerts"])
def test_alert_with_1_mb_of_annotations_is_kept_cut_and_is_whole_in_quarantine(
    client: httpx.Client, name: str, path: str
) -> None:
    payload = alert(1, alertname=name) | {"annotations": {"summary": "no space", "text": "x" * _MEBIBYTE, "a": ""}}
    before = _causes(client)
    answer = _post(client, webhook(payload) if path == "/webhook" else msgspec.json.encode([payload]), path=path)
    counts = {key: answer.json().get(key) for key in ("received", "stored", "repeated", "quarantined")}
    assert (answer.status_code, counts) == (200, {"received": 1, "stored": 1, "repeated": 0, "quarantined": 0})
    (occurrence,) = client.get("/history", params={"alertname": name}).json()["alerts"]
    assert occurrence["annotations"]["summary"] == "no space"
    assert occurrence["annotations"]["text"].endswith(" bytes)")
    assert _quarantined(client, answer.json()["receipt_id"]) == [(0, _CUT)]
    assert _causes(client) - before == {"annotations_cut": 1}


def test_alert_with_1_mb_of_annotations_that_is_sent_again_is_a_repeat(client: httpx.Client, name: str) -> None:
    payload = alert(1, alertname=name) | {"annotations": {"summary": "no space", "text": "x" * _MEBIBYTE}}
    answers = [_post(client, webhook(payload)).json() for _ in range(3)]
    assert [(answer["stored"], answer["repeated"]) for answer in answers] == [(1, 0), (0, 1), (0, 1)]
    assert [len(_quarantined(client, answer["receipt_id"])) for answer in answers] == [1, 0, 0]


def test_what_is_quarantined_is_counted_by_what_is_wrong_with_it(client: httpx.Client) -> None:
    bad = [_BAD_ALERTS[name][0] for name in ("no labels", "label of 1 MB", "startsAt in the year 1", "a number")]
    before = _causes(client)
    _post(client, b'{"alerts":[' + b",".join(bad) + b"]}")
    assert _causes(client) - before == {"labels": 2, "times": 1, "shape": 1}


def _causes(client: httpx.Client) -> Counter[str]:
    """How many alerts were quarantined, by why."""
    counter = re.compile(r'^alert_history_quarantined_total{reason="(\w+)"} (\S+)', re.MULTILINE)
    samples = counter.findall(client.get("/metrics").text)
    return Counter({cause: int(float(count)) for cause, count in samples})


_AS_PROMETHEUS = {
    key: value
    for key, value in _BAD_ALERTS.items()
    if key not in {"startsAt in the year 1", "unknown status", "endsAt before startsAt"}  # it knows no such thing
}


@pytest.mark.parametrize("bad, reason", _AS_PROMETHEUS.values(), ids=_AS_PROMETHEUS)
def test_alertmanager_api_keeps_what_is_valid_and_answers_400(
    client: httpx.Client, name: str, bad: bytes, reason: str
) -> None:
    good = [msgspec.json.encode({"labels": {"alertname": name, "n": str(number)}}) for number in (1, 2)]
    answer = _post(client, b"[" + b",".join([good[0], bad, good[1]]) + b"]", path="/api/v2/alerts")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (400, "urn:alert-history:problem:invalid-alerts")
    assert [(e["position"], e["reason"].startswith(reason)) for e in problem["errors"]] == [(1, True)]
    assert _quarantined(client, problem["request_id"]) == [(1, problem["errors"][0]["reason"])]
    assert _kept(client, name) == 2


def test_alertmanager_api_refuses_an_end_before_the_start(client: httpx.Client, name: str) -> None:
    times = {"startsAt": "2026-11-24T07:39:06Z", "endsAt": "2026-11-24T07:39:05Z"}
    body = [{"labels": {"alertname": name}}, {"labels": {"alertname": name, "n": "2"}, **times}]
    answer = _post(client, msgspec.json.encode(body), path="/api/v2/alerts")
    assert (answer.status_code, answer.json()["errors"][0]["position"], _kept(client, name)) == (400, 1, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"startsAt": "9999-12-31T23:59:59.999999999Z"},
        {"startsAt": "9999-12-31T23:59:59-14:00"},
        {"startsAt": "0002-01-01T00:00:00Z"},
        {"endsAt": "0001-01-01T00:00:00Z"},
        {"endsAt": "9999-12-31T23:59:59Z"},
        {"annotations": {"a\0": "b\0", "c": "\ud7ff\uffff"}},
        {"annotations": None, "generatorURL": None, "fingerprint": 5},
        {"labels": {"alertname": "A", **{f"l{n}": "é" * 32_768 for n in range(16)}}},
        {"labels": {"alertname": "A", **{f"l{n}": "x" for n in range(20_000)}}},
        {"labels": {"alertname": "<script>alert(1)</script>", "a'; DROP TABLE alerts; --": "\\"}},
    ],
    ids=[
        "9999",
        "9999 and a zone",
        "year 2",
        "ends year 1",
        "ends 9999",
        "NUL in text",
        "nulls",
        "1 MB",
        "many",
        "code",
    ],
)
def test_odd_alert_that_can_be_kept_is_kept(client: httpx.Client, name: str, fields: dict[str, Any]) -> None:
    labels = {**fields.get("labels", {}), "test": name}
    answer = _post(client, b'{"alerts":[' + msgspec.json.encode({**_SOUND, **fields, "labels": labels}) + b"]}")
    assert (answer.status_code, answer.json().get("stored")) == (200, 1)
    (occurrence,) = client.get("/history", params={"query": f'{{test="{name}"}}'}).json()["alerts"]
    assert occurrence["labels"] == labels
    assert client.get(f"/api/v1/alerts/{occurrence['id']}/timeline").status_code == httpx.codes.OK


def test_what_was_refused_is_kept_as_it_was_sent(client: httpx.Client) -> None:
    answer = _post(client, b'{"alerts":[{"labels":{"a":"\xff","b":"\\u0000\\ud800"}}]}')
    page = client.get("/api/v1/quarantine").json()["quarantine"]
    (refused,) = [q for q in page if q["receipt_id"] == answer.json()["receipt_id"]]
    assert refused["raw"] == '{"labels":{"a":"\ufffd","b":"\\u0000\\ud800"}}'


# Whole bodies that nothing can be kept of: headers, body, status, last part of the problem's type.
_BAD_BODIES: dict[str, tuple[dict[str, str], bytes, int, str]] = {
    "empty": (_JSON, b"", 400, "malformed-payload"),
    "not JSON": (_JSON, b"alert!", 400, "malformed-payload"),
    "form": (_JSON, b"a=1&b=2", 400, "malformed-payload"),
    "cut": (_JSON, webhook(alert(1))[:-3], 400, "malformed-payload"),
    "two documents": (_JSON, webhook(alert(1)) * 2, 400, "malformed-payload"),
    "UTF-16": (_JSON, webhook(alert(1)).decode().encode("utf-16"), 400, "malformed-payload"),
    "raw NUL": (_JSON, b'{"alerts":[{"labels":{"a":"\0"}}]}', 400, "malformed-payload"),
    "another object": (_JSON, b'{"hello":1}', 400, "malformed-payload"),
    "alerts of a wrong type": (_JSON, b'{"alerts":{}}', 400, "malformed-payload"),
    "array of numbers": (_JSON, b"[1,2]", 400, "malformed-payload"),
    "bomb of nesting": (_JSON, b"[" * _DEEP, 400, "malformed-payload"),
    "bomb of objects": (_JSON, b'{"a":' * _DEEP, 400, "malformed-payload"),
    "10 MB of brackets": (_JSON, b"[" * _BODY_BOUND, 400, "malformed-payload"),
    "number of a million digits": (_JSON, b'{"alerts":' + b"1" * 1_000_000 + b"}", 400, "malformed-payload"),
    "over 10 MB": (_JSON, b" " * (_BODY_BOUND + 1), 413, "payload-too-large"),
    "100 000 alerts": (_JSON, b'{"alerts":[' + b",".join([_sound()] * 100_000) + b"]}", 413, "payload-too-large"),
    "100 000 numbers": (_JSON, b'{"alerts":[' + b",".join([b"1"] * 100_000) + b"]}", 413, "payload-too-large"),
    "text": ({"Content-Type": "text/plain"}, webhook(alert(1)), 415, "unsupported-media-type"),
    "a web form": ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=1", 415, "unsupported-media-type"),
    "no type": ({}, webhook(alert(1)), 415, "unsupported-media-type"),
    "unknown encoding": ({**_JSON, "Content-Encoding": "br"}, b"x", 415, "unsupported-media-type"),
    "not gzip": (_GZIP, webhook(alert(1)), 400, "malformed-payload"),
    "empty gzip": (_GZIP, b"", 400, "malformed-payload"),
    "cut gzip": (_GZIP, gzip.compress(webhook(alert(1)))[:-9], 400, "malformed-payload"),
    "gzip of wrong sum": (_GZIP, gzip.compress(webhook(alert(1)))[:-8] + b"\0" * 8, 400, "malformed-payload"),
    "gzip and more": (_GZIP, gzip.compress(webhook(alert(1))) + b"{}", 400, "malformed-payload"),
}


@pytest.mark.parametrize("headers, body, status, kind", _BAD_BODIES.values(), ids=_BAD_BODIES)
def test_body_that_is_useless_gets_its_problem(
    client: httpx.Client, headers: dict[str, str], body: bytes, status: int, kind: str
) -> None:
    answer = _post(client, body, headers)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["type"]) == (
        status,
        status,
        f"urn:alert-history:problem:{kind}",
    )
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["detail"]


def test_chunked_body_over_the_bound_is_refused_before_its_end(live: Server) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with connection(live) as made:
        made.sendall(post_head("/webhook", "Transfer-Encoding: chunked"))
        for _ in range(_BODY_BOUND // 0x10000 + 1):
            made.sendall(chunk)
        answer = read_answer(made)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_declared_body_over_the_bound_is_refused_before_it_is_sent(live: Server) -> None:
    answer = send_raw(live, post_head("/webhook", f"Content-Length: {_BODY_BOUND + 1}"))
    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: -5"],
        ["Content-Length: five"],
        ["Content-Length: 99999999999999999999999"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked"],
    ],
    ids=", ".join,
)
def test_request_of_no_clear_length_is_a_bad_request(live: Server, headers: list[str]) -> None:
    assert send_raw(live, post_head("/webhook", *headers) + b"{}\r\n").status == 400


@pytest.mark.parametrize(
    "head",
    [
        [b"GET /healthz?", b"a" * 20_000],
        [b"GET /healthz HTTP/1.1\r\nHost: test\r\nX-Endless: ", b"a" * 65_536],
        [b"GET /healthz HTTP/1.1\r\nHost: test\r\n", b"X-Many: a\r\n" * 1000],
        [b"GET /healthz HTTP/1.1\r\nHost: test\r\n", b"a" * 65_536],
        [post_head("/webhook", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\nX-Trailer: ", b"a" * 65_536],
    ],
    ids=["address", "value", "headers", "name", "trailer"],
)
def test_head_without_end_is_refused_early(live: Server, head: list[bytes]) -> None:
    begin, more = head
    answer = b""
    with connection(live) as made, suppress(ConnectionError):
        made.sendall(begin)
        for _ in range(1000):
            made.sendall(more)
            if select.select([made], [], [], 0)[0]:
                answer = made.recv(_MEBIBYTE)
                break
    # The rest of the head may overtake the answer, and then the system ends the connection before it is read.
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    assert psutil.Process(live.pid).memory_info().rss < 400 * _MEBIBYTE


def test_head_that_is_too_large_is_a_problem(live: Server) -> None:
    headers = [f"X-{number}: {'a' * 1000}" for number in range(150)]
    answer = send_raw(live, post_head("/webhook", *headers))
    assert (answer.status, answer.headers["connection"]) == (431, "close")
    assert msgspec.json.decode(answer.body)["type"] == "urn:alert-history:problem:head-too-large"


def test_what_is_no_http_is_a_problem(live: Server) -> None:
    answer = send_raw(live, b"what is this\r\n\r\n")
    assert answer.headers["content-type"] == "application/problem+json"
    assert msgspec.json.decode(answer.body)["status"] == answer.status == 400


def test_bytes_after_the_declared_length_are_no_part_of_the_body(live: Server) -> None:
    answer = send_raw(live, post_head("/webhook", "Content-Length: 13") + b'{"alerts":[]}')
    assert msgspec.json.decode(answer.body)["received"] == 0


def test_sender_that_breaks_off_is_counted_and_nothing_is_kept(live: Server, client: httpx.Client, name: str) -> None:
    before = _disconnected(client)
    body = webhook(alert(1, alertname=name))
    with connection(live) as made:
        made.sendall(post_head("/webhook", f"Content-Length: {len(body)}") + body[:-1])
    wait_until(lambda: _disconnected(client) == before + 1, "the broken request is counted")
    assert _kept(client, name) == 0


def _disconnected(client: httpx.Client) -> float:
    prefix = 'alert_history_webhook_errors_total{reason="disconnected"} '
    lines = client.get("/metrics").text.splitlines()
    return float(next((line.removeprefix(prefix) for line in lines if line.startswith(prefix)), 0))


def test_body_that_does_not_come_holds_up_nobody(live: Server, client: httpx.Client, name: str) -> None:
    body = webhook(alert(1, alertname=name))
    with connection(live) as slow:
        slow.sendall(post_head("/webhook", f"Content-Length: {len(body)}") + body[:20])
        assert _post(client, webhook(alert(2, alertname=name))).status_code == httpx.codes.OK
        slow.sendall(body[20:])
        assert read_answer(slow).status == 200
    assert _kept(client, name) == 2


def test_gzip_body_is_kept(client: httpx.Client, name: str) -> None:
    answer = _post(client, gzip.compress(webhook(alert(1, alertname=name))), _GZIP)
    assert (answer.status_code, _kept(client, name)) == (200, 1)


def test_chunked_body_is_kept(client: httpx.Client, name: str) -> None:
    body = webhook(alert(1, alertname=name))
    answer = _post(client, iter([body[:30], body[30:]]))
    assert (answer.status_code, _kept(client, name)) == (200, 1)


def _bomb() -> bytes:
    """10 MB of gzip that unpack to 10 GB."""
    packer = zlib.compressobj(9, wbits=-15)
    megabytes = packer.compress(b"\0" * 10 * _MEBIBYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    header = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    return header + megabytes * (_BODY_BOUND // len(megabytes) - 1)


def test_gzip_bomb_costs_no_more_than_an_honest_body(live: Server, client: httpx.Client) -> None:
    bomb = _bomb()
    before = psutil.Process(live.pid).memory_info().rss
    Path(f"/proc/{live.pid}/clear_refs").write_text("5")  # what follows sets the peak anew
    answer = _post(client, bomb, _GZIP)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:alert-history:problem:payload-too-large")
    assert _peak(live.pid) - before < 6 * _BODY_BOUND


def _peak(pid: int) -> int:
    """The most memory it had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_body_of_10_mb_is_kept_whole(client: httpx.Client, name: str) -> None:
    body = webhook(*(alert(number, alertname=name, pad="x" * 700) for number in range(9_000)))
    body += b" " * (_BODY_BOUND - len(body))
    answer = _post(client, body)
    assert (answer.status_code, answer.json().get("stored"), _kept(client, name)) == (200, 9_000, 9_000)


def test_10_000_bad_alerts_are_all_quarantined(client: httpx.Client) -> None:
    answer = _post(client, b'{"alerts":[' + b",".join([b"{}"] * 10_000) + b"]}")
    assert answer.json()["quarantined"] == 10_000


@pytest.mark.parametrize("is_odd", [False, True], ids=["sound", "odd"])
def test_of_duplicate_keys_the_last_counts(client: httpx.Client, name: str, is_odd: bool) -> None:  # noqa: FBT001  # a parameter
    text = r"\u0000" if is_odd else ""  # which is read with more care
    opening = f'{{"startsAt":"2026-11-24T07:39:06Z","labels":{{"alertname":"other","alertname":"{name}"}},'
    answer = _post(client, f'{{"alerts":[{opening}"annotations":{{"a":"{text}"}}}}]}}'.encode())
    assert (answer.status_code, _kept(client, name)) == (200, 1)


@pytest.mark.parametrize(
    "accept,media",
    [
        ("application/json", "application/json"),
        ("application/json;q=0.9", "application/json"),
        ("application/json, application/problem+json", "application/problem+json"),
        ("application/json, */*", "application/problem+json"),
        ("", "application/problem+json"),
    ],
)
def test_callers_of_alertmanagers_api_get_errors_they_accept(client: httpx.Client, *, accept: str, media: str) -> None:
    for body in (b"{}", b'[{"labels": {}}]'):
        answer = _post(client, body, {**_JSON, "Accept": accept}, path="/api/v2/alerts")
        assert (answer.status_code, answer.headers["content-type"]) == (400, media)
        assert isinstance(answer.json(), str) == (media == "application/json")


def test_only_alertmanagers_api_sends_errors_as_text(client: httpx.Client) -> None:
    answer = _post(client, b"{}", {**_JSON, "Accept": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
