"""Who may call: with AUTH_MODE=token nothing is told to strangers, and ingest stays open until it was closed.

Holds: `web.http.gate`, `web.api.tokens`, `cli.token`.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import servers
from tests.commands import lines, run
from tests.payloads import alert, webhook
from tests.processes import Server

_JSON = {"content-type": "application/json"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'alert_history.db'}"


@pytest.fixture
def server(url: str) -> Iterator[Server]:
    with servers.service({"DATABASE_URL": url, "AUTH_MODE": "token"}) as running:
        yield running


def make(url: str, name: str, *options: str) -> str:
    """A token of the command line."""
    done = run("token", "create", name, *options, env={"DATABASE_URL": url, "AUTH_MODE": "token"})
    assert done.returncode == 0, done.stderr
    return lines(done.stdout)[-1]


def ask(server: Server, method: str, path: str, token: str = "", **options: Any) -> httpx.Response:
    headers = {**options.pop("headers", {}), **({"authorization": f"Bearer {token}"} if token else {})}
    return httpx.request(method, server.url + path, headers=headers, trust_env=False, timeout=20, **options)


def send(server: Server, token: str = "", *, path: str = "/webhook", name: str = "A") -> httpx.Response:
    return ask(server, "POST", path, token, content=webhook(alert(1, alertname=name)), headers=_JSON)


def test_a_stranger_is_told_nothing_not_even_what_is_not_there(server: Server) -> None:
    for method, path in [
        ("GET", "/history"),
        ("GET", "/api/v1/alerts/1"),
        ("GET", "/no/such/path"),
        ("PUT", "/history"),
        ("GET", "/webhook"),
        ("POST", "/enrichment/mode"),
        ("GET", "/dashboard"),
        ("GET", "/dashboard/no-such-page"),
        ("GET", "/"),
        ("POST", "/healthz"),
    ]:
        answer = ask(server, method, path)
        assert (path, answer.status_code) == (path, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (path, ask(server, "GET", path).status_code) == (path, 200)


def test_a_wrong_token_is_refused_and_public_paths_answer_all_the_same(server: Server) -> None:
    for value in ("Bearer wrong", "Bearer", "Basic !!", "Basic d3Jvbmc6d3Jvbmc=", "Digest x", ""):
        answer = httpx.get(f"{server.url}/history", headers={"authorization": value}, trust_env=False)
        assert (value, answer.status_code, answer.json()["type"]) == (
            value,
            401,
            "urn:alert-history:problem:not-signed-in",
        )
        answer = httpx.get(f"{server.url}/healthz", headers={"authorization": value}, trust_env=False)
        assert (value, answer.status_code) == (value, 200)


def test_each_scope_does_its_own(server: Server, url: str) -> None:
    tokens = {scope: make(url, scope, "--scope", scope) for scope in ("read", "operate", "admin")}
    mode = {"mode": "enriched", "by": "x"}
    for scope, reads, operates, administers in [
        ("read", 200, 403, 403),
        ("operate", 200, 200, 403),
        ("admin", 200, 200, 200),
    ]:
        token = tokens[scope]
        assert (scope, ask(server, "GET", "/history", token).status_code) == (scope, reads)
        assert (scope, ask(server, "POST", "/enrichment/mode", token, json=mode).status_code) == (scope, operates)
        assert (scope, ask(server, "GET", "/api/v1/tokens", token).status_code) == (scope, administers)
        assert ask(server, "GET", "/no/such/path", token).status_code == 404
    basic = httpx.get(f"{server.url}/history", auth=("prometheus", tokens["read"]), trust_env=False)
    assert basic.status_code == 200


def test_ingest_is_open_until_there_is_a_token_for_it(server: Server, url: str) -> None:
    assert send(server).status_code == 200
    admin = make(url, "root", "--scope", "admin")
    assert send(server).status_code == 200
    token = make(url, "alertmanager", "--scope", "ingest", "--ingest-scope", "eu-1")
    assert send(server, token, name="Closed").status_code == 200
    for path in ("/webhook", "/webhook/proxy", "/api/v2/alerts"):
        assert (path, send(server, path=path).status_code) == (path, 401)
        assert (path, send(server, admin, path=path).status_code) == (path, 403)
    assert ask(server, "GET", "/history", token).status_code == 403
    [found] = ask(server, "GET", "/history?alertname=Closed", admin).json()["alerts"]
    assert found["scope"] == "eu-1"


def test_a_revoked_token_is_refused_within_two_seconds(server: Server, url: str) -> None:
    admin, token = make(url, "root", "--scope", "admin"), make(url, "reader", "--scope", "read")
    assert ask(server, "GET", "/history", token).status_code == 200
    assert ask(server, "DELETE", "/api/v1/tokens/reader", admin).status_code == 200
    time.sleep(2)
    assert ask(server, "GET", "/history", token).status_code == 401


def test_tokens_over_http_are_good_at_once_and_shown_once(server: Server, url: str) -> None:
    admin = make(url, "root", "--scope", "admin")
    made = ask(server, "POST", "/api/v1/tokens", admin, json={"name": "tv", "scopes": ["read"], "expires": "7d"})
    assert made.status_code == 200, made.text
    assert made.headers["cache-control"] == "no-store"
    secret = made.json()["secret"]
    assert ask(server, "GET", "/history", secret).status_code == 200
    listed = ask(server, "GET", "/api/v1/tokens", admin)
    assert [(each["name"], each["created_by"]) for each in listed.json()["tokens"]][:1] == [("tv", "root")]
    assert secret not in listed.text
    fresh = ask(server, "POST", "/api/v1/tokens/tv/rotate", admin, json={"overlap": "1h"}).json()["secret"]
    assert [ask(server, "GET", "/history", each).status_code for each in (secret, fresh)] == [200, 200]


def test_ingest_that_must_have_a_token_is_closed_from_the_start(url: str) -> None:
    with servers.service({"DATABASE_URL": url, "INGEST_AUTH": "required", "METRICS_AUTH": "required"}) as server:
        assert send(server).status_code == 401
        assert ask(server, "GET", "/history").status_code == 200  # AUTH_MODE is unset: reading is open


def test_none_written_out_in_production_must_be_accepted(url: str) -> None:
    env = {"DATABASE_URL": url, "AUTH_MODE": "none", "ENVIRONMENT": "production"}
    done = run("migrate", env=env)
    assert done.returncode == 2
    assert "AUTH_NONE_ACCEPTED=true" in done.stderr.decode()
    with servers.service({**env, "AUTH_NONE_ACCEPTED": "true"}) as server:
        assert ask(server, "GET", "/history").status_code == 200


def test_the_command_lists_and_revokes(url: str, tmp_path: Path) -> None:
    env = {"DATABASE_URL": url, "AUTH_MODE": "token"}
    assert run("migrate", env=env, folder=tmp_path).returncode == 0
    first = run("token", "create", "am", "--scope", "ingest", env=env)
    assert "From now on whoever sends alerts needs a token" in first.stderr.decode()
    secret = lines(first.stdout)[-1]
    listed = run("token", "list", env=env).stdout.decode()
    assert "am" in listed
    assert secret[:10] in listed
    assert secret not in listed
    revoked = run("token", "revoke", "am", env=env)
    assert "revoked: am" in revoked.stdout.decode()
    assert "the last token for ingest" in revoked.stderr.decode()
    assert run("token", "revoke", "am", env=env).returncode == 2
    assert run("token", "create", "b", "--scope", "root", env=env).returncode == 2
    assert run("token", "create", "b", "--scope", "read", "--match", " ", env=env).returncode == 2
