"""`AUTH_MODE=proxy`: the proxies that are trusted say who calls, and nobody else does.

Holds: `web.http.proxy`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import servers
from tests.commands import lines, run
from tests.processes import Server

_ROLES = 'sre=admin; payments=operate {team="payments"}; staff=read'
_SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('proxy') / 'alert_history.db'}"


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    env = {
        "DATABASE_URL": url,
        "AUTH_MODE": "proxy",
        "TRUSTED_PROXIES": "127.0.0.1,::1",
        "OIDC_ROLE_MAP": _ROLES,
        "METRICS_AUTH": "required",
    }
    with servers.service(env) as running:
        yield running


def client_at(server: Server, address: str) -> httpx.Client:
    """One that calls from an address of this machine."""
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=server.url, transport=transport, timeout=20, headers={"accept": "text/html"})


@pytest.fixture
def proxy(server: Server) -> Iterator[httpx.Client]:
    with client_at(server, "127.0.0.1") as client:
        yield client


def as_(user: str, *groups: str) -> dict[str, str]:
    return {"x-forwarded-user": user, "x-forwarded-groups": ",".join(groups)}


def test_groups_decide_what_a_person_may_do(proxy: httpx.Client) -> None:
    for groups, reads, administers in (
        (["staff"], 200, 403),
        (["payments", "x"], 200, 403),
        (["sre", "staff"], 200, 200),
    ):
        headers = as_("ada", *groups)
        assert (groups, proxy.get("/dashboard/history", headers=headers).status_code) == (groups, reads)
        assert (groups, proxy.get("/dashboard/tokens", headers=headers).status_code) == (groups, administers)
    page = proxy.get("/dashboard/settings", headers=as_("ada@example.com", "staff")).text
    assert "Signed in as</i> <b>ada@example.com</b>" in page
    assert "Sign out" not in page  # that is the proxy's to do
    assert "Switch the mode" not in page
    assert "Switch the mode" in proxy.get("/dashboard/settings", headers=as_("ada", "sre")).text


def test_who_has_no_role_is_told_so_and_sees_nothing(proxy: httpx.Client) -> None:
    answer = proxy.get("/history", headers=as_("eve", "guests"))
    assert answer.status_code == 403
    assert "eve" in answer.text


def test_headers_of_anybody_else_are_ignored(server: Server) -> None:
    with client_at(server, "127.0.0.2") as stranger:
        for headers in (
            as_("ada", "sre"),
            {**as_("ada", "sre"), "x-forwarded-for": "127.0.0.1"},
            {**as_("ada", "sre"), "forwarded": "for=127.0.0.1"},
        ):
            assert stranger.get("/history", headers=headers).status_code == 303
            assert stranger.get("/history", headers={**headers, "accept": "*/*"}).status_code == 401
            assert stranger.get("/metrics", headers={**headers, "accept": "*/*"}).status_code == 401


def test_a_proxy_that_lets_the_header_of_a_client_through_is_not_believed(proxy: httpx.Client) -> None:
    twice = [("x-forwarded-user", "ada"), ("x-forwarded-user", "eve"), ("x-forwarded-groups", "sre")]
    assert proxy.get("/history", headers=[*twice, ("accept", "*/*")]).status_code == 401
    assert proxy.get("/history", headers={**as_("", "sre"), "accept": "*/*"}).status_code == 401


def test_tokens_work_as_well_and_what_a_proxy_leaves_in_authorization_is_none(
    server: Server, url: str, proxy: httpx.Client
) -> None:
    done = run("token", "create", "grafana", "--scope", "read", env={"DATABASE_URL": url})
    token = {"authorization": f"Bearer {lines(done.stdout)[-1]}"}
    with client_at(server, "127.0.0.2") as stranger:
        assert stranger.get("/history", headers=token).status_code == 200
    assert proxy.get("/dashboard/tokens", headers={**token, **as_("ada", "sre")}).status_code == 403  # the token's own
    for left in ("Basic YWRhOnB3", "Bearer eyJhbGciOi", "Negotiate x"):
        assert (left, proxy.get("/history", headers={**as_("ada", "staff"), "authorization": left}).status_code) == (
            left,
            200,
        )
        assert proxy.get("/history", headers={"authorization": left}).status_code == 401


def test_a_form_of_another_site_is_refused_for_who_the_proxy_signed_in(proxy: httpx.Client) -> None:
    wish = {"name": "x", "scopes": "admin"}
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {}):
        assert proxy.post("/dashboard/tokens", data=wish, headers=as_("ada", "sre") | headers).status_code == 403
    made = proxy.post("/dashboard/tokens", data=wish, headers=as_("ada", "sre") | _SAME)
    assert made.status_code == 200
    assert re.search(r"Made now by ada|Made <time[^>]*>[^<]*</time> by ada", made.text)


def test_a_mode_that_lacks_what_it_needs_stops_the_start(tmp_path: Path) -> None:
    done = run("migrate", env={"DATABASE_URL": f"sqlite:///{tmp_path}/a.db", "AUTH_MODE": "proxy"})
    assert done.returncode == 2
    told = done.stderr.decode()
    assert "TRUSTED_PROXIES is unset, but AUTH_MODE=proxy needs it" in told
    assert "OIDC_ROLE_MAP is unset, but AUTH_MODE=proxy needs it" in told
