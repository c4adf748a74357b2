"""What callers change, export and are refused is in the audit, over HTTP, on its page and in the log.

Holds: `web.http.auditing`, `web.api.audit`, `web.pages.audit`, `cli.doctor_audit`.
"""

import json
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import servers
from tests.commands import lines, run
from tests.payloads import alert, webhook
from tests.processes import Server, wait_until

_JSON = {"content-type": "application/json"}
_HOSTILE = "<script>window.hit = 1</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def env(folder: Path) -> dict[str, str]:
    return {"DATABASE_URL": f"sqlite:///{folder / 'alert_history.db'}", "AUTH_MODE": "token"}


@pytest.fixture(scope="module")
def server(env: dict[str, str]) -> Iterator[Server]:
    with servers.service({**env, "TRUSTED_PROXIES": "127.0.0.0/8"}) as running:
        yield running


@pytest.fixture(scope="module")
def admin(server: Server, env: dict[str, str]) -> str:
    del server
    return make(env, "root", "admin")


def make(env: dict[str, str], name: str, scope: str) -> str:
    done = run("token", "create", name, "--scope", scope, env=env)
    assert done.returncode == 0, done.stderr
    return lines(done.stdout)[-1]


def ask(server: Server, method: str, path: str, token: str = "", **options: Any) -> httpx.Response:
    bearer = {"authorization": f"Bearer {token}"} if token else {}
    headers = {"x-forwarded-for": "198.51.100.7", **options.pop("headers", {}), **bearer}
    return httpx.request(method, server.url + path, headers=headers, trust_env=False, timeout=20, **options)


def entries(server: Server, admin: str, **wanted: str) -> list[dict[str, Any]]:
    answer = ask(server, "GET", "/api/v1/audit", admin, params=wanted)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["entries"]
    return found


def newest(server: Server, admin: str, **wanted: str) -> dict[str, Any]:
    return entries(server, admin, **wanted)[0]


def test_a_switch_of_the_mode_names_who_from_where_before_and_after(server: Server, admin: str) -> None:
    for mode in ("enriched", "transparent"):
        assert ask(server, "POST", "/enrichment/mode", admin, json={"mode": mode}).status_code == 200
    entry = newest(server, admin, action="enrichment_mode_switched")
    assert (entry["actor"], entry["from_address"], entry["before"], entry["after"]) == (
        "root",
        "198.51.100.7",
        "enriched",
        "transparent",
    )
    assert entry["detail"]["request"] == "POST /enrichment/mode"
    assert entries(server, admin, action="POST /enrichment/mode") == []


def test_a_token_of_the_command_and_of_a_call_is_there_without_its_secret(server: Server, admin: str) -> None:
    wish = {"name": "grafana", "scopes": ["read"], "match": '{team="pay"}'}
    secret = ask(server, "POST", "/api/v1/tokens", admin, json=wish).json()["secret"]
    assert ask(server, "DELETE", "/api/v1/tokens/grafana", admin).status_code == 200
    made = newest(server, admin, action="token_created")
    assert (made["actor"], made["after"]["match"], made["before"]) == ("root", '{team="pay"}', None)
    assert newest(server, admin, action="token_revoked")["after"] is None
    [first] = [each for each in entries(server, admin, action="token_created") if "root" in each["detail"].values()]
    assert first["actor"].endswith("(command)")
    everything = ask(server, "GET", "/api/v1/audit", admin, params={"limit": "1000"}).text
    assert secret not in everything
    assert admin not in everything


def test_a_call_without_words_of_its_own_is_there_by_its_path(server: Server, admin: str) -> None:
    assert ask(server, "POST", "/webhook", headers=_JSON, content=webhook(alert(1))).status_code == 200
    [occurrence] = ask(server, "GET", "/history", admin).json()["alerts"]
    path = f"/api/v1/alerts/{occurrence['id']}/notes"
    assert ask(server, "POST", path, admin, json={"by": "x", "text": "mended"}).status_code == 200
    entry = newest(server, admin, actor="root")
    assert entry["action"] == "POST /api/v1/alerts/{id}/notes"
    assert entry["detail"] == {"status": 200, "id": occurrence["id"]}


def test_an_export_is_there_with_its_query_and_other_reads_are_not(server: Server, admin: str) -> None:
    before = entries(server, admin, limit="1000")
    for path in ("/history", "/dashboard/history", "/dashboard/settings"):
        assert ask(server, "GET", path, admin).status_code == 200
    assert ask(server, "POST", "/webhook", headers=_JSON, content=webhook(alert(2))).status_code == 200
    assert ask(server, "GET", "/dashboard/history/export?format=csv&q=disk", admin).status_code == 200
    [added] = [each for each in entries(server, admin, limit="1000") if each not in before]
    assert (added["action"], added["outcome"]) == ("GET /dashboard/history/export", "done")
    assert added["detail"]["query"] == "format=csv&q=disk"


def test_a_flood_of_refusals_becomes_a_few_entries(server: Server, admin: str) -> None:
    for number in range(60):
        headers = {"x-forwarded-for": "203.0.113.9"}
        assert ask(server, "GET", f"/no/such/{number}", headers=headers).status_code == 401
    refused = wait_until(lambda: entries(server, admin, action="refused"), "refusals to be kept")
    of_flood = [each for each in refused if each["from_address"] == "203.0.113.9"]
    assert len(of_flood) == 3
    assert {each["detail"]["status"] for each in of_flood} == {401}


def test_nobody_fills_the_audit_with_what_needs_no_sign_in(server: Server, admin: str) -> None:
    """Forms of the pages to sign in and out are taken from everybody, also when they change nothing, or never end."""
    headers = {"x-forwarded-for": "203.0.113.77", "sec-fetch-site": "same-origin"}
    for _ in range(8):
        assert ask(server, "POST", "/logout", headers=headers).status_code == 303
        hang_up_early(server, "POST /login", headers)

    def of_nobody() -> list[dict[str, Any]]:
        return [each for each in entries(server, admin, limit="1000") if each["from_address"] == "203.0.113.77"]

    added = wait_until(of_nobody, "an entry")
    assert {each["action"] for each in added} == {"failed"}
    assert len(added) <= 3
    assert {each["detail"]["status"] for each in added} == {400}  # and no fault of ours


def test_a_token_in_an_address_is_kept_neither_in_the_audit_nor_in_the_log(server: Server, admin: str) -> None:
    """It should not stand there, but people paste, and what is kept of an address is read by others."""
    assert ask(server, "GET", f"/dashboard/history/export?format=csv&token={admin}", admin).status_code == 200
    headers = {"x-forwarded-for": "203.0.113.78"}
    assert ask(server, "GET", f"/history/{admin}", headers=headers).status_code == 401
    kept = wait_until(
        lambda: [each for each in entries(server, admin) if each["from_address"] == "203.0.113.78"], "the refusal"
    )
    assert kept[0]["detail"]["request"] == f"GET /history/{admin[:10]}…"
    exported = newest(server, admin, action="GET /dashboard/history/export")
    assert exported["detail"]["query"] == f"format=csv&token={admin[:10]}…"
    assert admin not in json.dumps(entries(server, admin, limit="1000"))
    assert admin not in server.log()


def hang_up_early(server: Server, line: str, headers: dict[str, str]) -> None:
    """Send the head of a request and a part of its body, and go."""
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port or 80), timeout=20) as connection:
        given = {"host": address.netloc.decode(), "content-length": "100", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        connection.sendall(f"{line} HTTP/1.1\r\n{head}\r\ntoken=".encode())


def test_an_alert_that_is_refused_is_there_and_one_that_is_taken_is_not(env: dict[str, str]) -> None:
    with servers.service({**env, "INGEST_AUTH": "required"}) as closed:
        token = make(env, "closed", "admin")
        assert ask(closed, "POST", "/webhook", headers=_JSON, content=webhook(alert(3))).status_code == 401
        assert ask(closed, "POST", "/webhook", token, headers=_JSON, content=webhook(alert(3))).status_code == 403
        sent = make(env, "sender", "ingest")
        assert ask(closed, "POST", "/webhook", sent, headers=_JSON, content=webhook(alert(3))).status_code == 200

        def refused() -> list[int]:
            found = entries(closed, token, action="refused")
            return [each["detail"]["status"] for each in found if each["detail"]["request"] == "POST /webhook"]

        assert sorted(wait_until(lambda: refused() if len(refused()) > 1 else [], "refusals")) == [401, 403]


def test_who_may_not_make_tokens_sees_nothing_of_it(server: Server, env: dict[str, str]) -> None:
    token = make(env, "operator", "operate")
    for path in ("/api/v1/audit", "/api/v1/audit/chains", "/dashboard/audit"):
        assert (path, ask(server, "GET", path, token).status_code) == (path, 403)
    assert "dashboard/audit" not in ask(server, "GET", "/dashboard/settings", token).text


def test_the_page_tells_each_entry_and_filters_by_its_url(server: Server, admin: str) -> None:
    assert ask(server, "POST", "/api/v1/tokens", admin, json={"name": "wide", "scopes": ["read"]}).status_code == 200
    path = f"/no/{_HOSTILE}"
    ask(server, "GET", path, headers={"x-forwarded-for": "203.0.113.77"})
    page = ask(server, "GET", "/dashboard/audit?action=token_created", admin)
    assert page.status_code == 200
    assert "made the token wide" in page.text
    assert "switched the enrichment mode</p>" not in page.text
    wait_until(lambda: "203.0.113.77" in ask(server, "GET", "/dashboard/audit", admin).text, "the refusal on the page")
    assert _HOSTILE not in ask(server, "GET", "/dashboard/audit", admin).text
    assert ask(server, "GET", "/dashboard/audit?since=tomorrow", admin).status_code == 400
    for edge in ("0001-01-01", "9999-12-31"):
        path = f"/dashboard/audit?since={edge}&until={edge}&tz=Asia/Tokyo"
        assert (edge, ask(server, "GET", path, admin).status_code) == (edge, 200)
        times = {"since": f"{edge}T00:00:00+14:00", "until": f"{edge}T23:59:59-12:00"}
        assert entries(server, admin, **times) == []


def test_each_entry_is_a_line_of_the_log_with_its_digest(server: Server, admin: str) -> None:
    assert ask(server, "POST", "/publishing/targets/refresh", admin).status_code in {200, 503}
    entry = newest(server, admin, action="POST /publishing/targets/refresh")
    told = [json.loads(line) for line in server.log().splitlines() if entry["id"] in line]
    [line] = [each for each in told if each["event"] == "audit"]
    assert {name: line[name] for name in ("actor", "action", "digest", "position", "kept")} == {
        "actor": "root",
        "action": entry["action"],
        "digest": entry["digest"],
        "position": entry["position"],
        "kept": True,
    }


def test_what_was_answered_is_in_the_audit_though_the_process_is_killed(env: dict[str, str], folder: Path) -> None:
    own = {**env, "DATABASE_URL": f"sqlite:///{folder / 'killed.db'}", "AUTH_MODE": "none"}
    with servers.service(own) as running:
        for mode in ("enriched", "transparent", "enriched") * 3:
            assert ask(running, "POST", "/enrichment/mode", json={"mode": mode}).status_code == 200
        running.kill()
    file = sqlite3.connect(folder / "killed.db")
    assert file.execute("SELECT count(*) FROM audit WHERE action = 'enrichment_mode_switched'").fetchone() == (9,)
    file.close()


def test_doctor_names_the_entry_that_somebody_changed(env: dict[str, str], folder: Path, admin: str) -> None:
    del admin
    done = run("doctor", env={**env, "COLUMNS": "400"})
    assert any("are as they were written" in line for line in lines(done.stdout))
    file = sqlite3.connect(folder / "alert_history.db")
    [(id_,)] = file.execute("SELECT id FROM audit ORDER BY id LIMIT 1 OFFSET 2").fetchall()
    file.execute("UPDATE audit SET actor = 'nobody' WHERE id = ?", (id_,))
    file.commit()
    file.close()
    done = run("doctor", "--whole-audit", env={**env, "COLUMNS": "400"})
    assert done.returncode == 1
    assert any(f"entry {id_}: it was changed" in line for line in lines(done.stdout))
