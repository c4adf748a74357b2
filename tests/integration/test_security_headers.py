"""The headers that browsers are told by: on every answer of a running service, whatever it is asked."""

import re
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from alert_history.web.http.security_headers import SECURITY_HEADERS
from tests.processes import Server
from tests.unit.test_permissions import NEEDS

_PATHS = [name.split() for names in NEEDS.values() for name in names]
_POLICY = "content-security-policy"
_ALL = {name.decode(): value.decode() for name, value in SECURITY_HEADERS}
_FIXED = {name: value for name, value in _ALL.items() if name != _POLICY}


@pytest.fixture(scope="module")
def live(live_on: Callable[[str], Server]) -> Server:
    """One database is enough: headers know of none."""
    return live_on("sqlite")


@pytest.fixture(scope="module")
def client(live: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live.url, trust_env=False, timeout=30) as made:
        yield made


def _headers(client: httpx.Client, method: str, path: str) -> httpx.Headers:
    """Of an answer whose body may never end."""
    with client.stream(method, path) as answer:
        return answer.headers


def _check(headers: httpx.Headers, *, kept: str = "no-store") -> None:
    expected = {**_FIXED, "cache-control": kept}
    assert {name: headers.get_list(name) for name in expected} == {name: [value] for name, value in expected.items()}
    [policy] = headers.get_list(_POLICY)
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("method, path", _PATHS, ids=" ".join)
def test_every_route_is_answered_with_them(client: httpx.Client, method: str, path: str) -> None:
    headers = _headers(client, method, re.sub(r"{[^}]*}", "none-of-ours", path))
    _check(headers)
    if not headers.get("content-type", "").startswith("text/html"):
        assert headers[_POLICY] == _ALL[_POLICY]  # what is no page loads nothing


def test_a_file_that_pages_load_has_them(client: httpx.Client) -> None:
    style = re.search(r'href="([^"]*frame\.css)"', client.get("/dashboard").text)
    assert style is not None
    answer = client.get(httpx.URL(client.base_url).join("/dashboard").join(style.group(1)))
    assert answer.status_code == 200
    _check(answer.headers, kept="public, max-age=31536000, immutable")  # its address changes with it


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/no/such/path", 404),
        ("GET", "/dashboard/no-such-page", 404),
        ("DELETE", "/history", 405),
        ("GET", "/webhook", 405),
        ("POST", "/webhook", 415),
    ],
)
def test_an_error_has_them(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    _check(answer.headers)


def test_an_accepted_alert_has_them(client: httpx.Client) -> None:
    answer = client.post("/api/v2/alerts", json=[{"labels": {"alertname": "SecurityHeaders"}}])
    assert answer.status_code == 200
    _check(answer.headers)


@pytest.mark.parametrize(
    "sent, status",
    [
        (b"GET / HTTP/1.1\r\nHost: test\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n", 431),
        (b"no request at all\r\n\r\n", 400),
    ],
)
def test_what_is_refused_before_it_is_read_has_them(live: Server, sent: bytes, status: int) -> None:
    address = urlsplit(live.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(sent)
        head = connection.makefile("rb").read().partition(b"\r\n\r\n")[0].decode()
    first, *lines = head.split("\r\n")
    assert first.split()[1] == str(status)
    _check(httpx.Headers([(name, value) for name, _, value in (line.partition(": ") for line in lines)]))
