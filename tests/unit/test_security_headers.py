"""The headers that browsers are told by: which an answer lacks, and who is believed that the caller speaks TLS."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from alert_history.bootstrap import make_application, make_service
from alert_history.config import load_settings
from alert_history.domain.permission import Permission
from alert_history.web.http.client import came_over_tls
from alert_history.web.http.security_headers import SECURITY_HEADERS, TLS_HEADERS, missing_headers
from alert_history.web.pages.page import Page

_PROXIES = (ip_network("10.0.0.0/8"),)
_PROXY = "10.1.2.3"
_OVER_TLS = {name.decode(): value.decode() for name, value in TLS_HEADERS}


def _scope(*, client: str | None, proto: bytes | None = None, scheme: str = "http") -> dict[str, Any]:
    headers = [] if proto is None else [(b"x-forwarded-proto", proto)]
    return {"scheme": scheme, "client": client and (client, 1234), "headers": headers}


@pytest.mark.parametrize(
    "scope, is_tls",
    [
        (_scope(client="192.0.2.1", scheme="https"), True),
        (_scope(client="192.0.2.1"), False),
        (_scope(client=_PROXY, proto=b"https"), True),
        (_scope(client=_PROXY, proto=b"HTTPS, http"), True),
        (_scope(client=_PROXY, proto=b"http, https"), False),
        (_scope(client=_PROXY), False),
        (_scope(client="192.0.2.1", proto=b"https"), False),
        (_scope(client=None, proto=b"https"), False),
    ],
)
def test_tls_is_what_we_see_or_what_a_trusted_proxy_says(scope: dict[str, Any], is_tls: bool) -> None:  # noqa: FBT001  # a parameter of the test
    assert came_over_tls(scope, _PROXIES) is is_tls


def test_no_proxy_is_believed_unless_it_is_trusted() -> None:
    assert not came_over_tls(_scope(client=_PROXY, proto=b"https"), ())


def test_an_answer_keeps_the_policy_that_it_brings() -> None:
    own = (b"content-security-policy", b"default-src 'self'")
    missing = missing_headers([own], _scope(client=None))
    assert missing == [header for header in SECURITY_HEADERS if header[0] != own[0]]


async def _broken(_: Request) -> Response:
    raise RuntimeError("a fault of ours")


def _application(tmp_path: Path, **env: str) -> Any:
    return make_application(make_service(load_settings({"DATABASE_URL": f"sqlite:///{tmp_path}/unopened.db", **env})))


def test_a_fault_of_ours_is_answered_with_them(tmp_path: Path) -> None:
    application = _application(tmp_path)
    for path in ("/broken", "/dashboard/broken"):  # a problem, and a page
        page = Page(path=path, handle=_broken, needs=Permission.READ)
        application._router.routes.append(page.for_router())  # noqa: SLF001  # nothing that is served is broken
        answer = TestClient(application).get(path)
        assert answer.status_code == 500
        assert {name.decode() for name, _ in SECURITY_HEADERS} <= set(answer.headers)


def test_browsers_are_bound_to_tls_where_a_trusted_proxy_says_that_they_speak_it(tmp_path: Path) -> None:
    told = {"x-forwarded-proto": "https"}
    client = TestClient(_application(tmp_path, TRUSTED_PROXIES="10.0.0.0/8"), client=(_PROXY, 1234))
    assert client.get("/docs", headers=told).headers.items() >= _OVER_TLS.items()
    assert not _OVER_TLS.keys() & client.get("/docs").headers.keys()
    stranger = TestClient(_application(tmp_path), client=(_PROXY, 1234))
    assert not _OVER_TLS.keys() & stranger.get("/docs", headers=told).headers.keys()
