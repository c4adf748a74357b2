"""Imports over HTTP: started, seen by every replica, taken up after a stop and a kill, and taken back; files are sent.

Holds: `engine.import_jobs`, `engine.import_wishes`, `web.api.imports`, `web.http.upload`.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import servers
from tests.gated_origin import Gate
from tests.processes import Server, wait_until
from tests.servers import PostgresServer

pytestmark = pytest.mark.migrated

_SECRET = "s3cret-of-nobody"  # noqa: S105  # made up
_ROWS = (
    b'{"labels": {"alertname": "A", "severity": "critical"}, "starts_at": "2026-01-02T03:04:05Z", '
    b'"ends_at": "2026-01-02T03:14:05Z"}\n{"labels": 5}\n'
)


class Place:
    """A service with the gated origin, a database, and a folder for temporary files."""

    def __init__(self, folder: Path, url: str, **env: str) -> None:
        (folder / "plugin").mkdir()
        (folder / "tmp").mkdir()
        self.gate = Gate(folder / "plugin")
        self.files = folder / "tmp"
        self.url = url
        self._env = {"DATABASE_URL": url, "TMPDIR": str(self.files), "RETENTION_DAYS": "3650", **env}

    def serving(self) -> Any:
        return servers.service({**self._env, **self.gate.environment})


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield Place(tmp_path, request.getfixturevalue("sqlite_url"))
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    yield Place(tmp_path, request.getfixturevalue("postgres_url"))
    assert server.is_running


@pytest.fixture
def on_sqlite(tmp_path: Path, sqlite_url: str) -> Place:
    return Place(tmp_path, sqlite_url)


def ask(server: Server, method: str, path: str, **options: Any) -> httpx.Response:
    return httpx.request(method, f"{server.url}{path}", trust_env=False, timeout=30, **options)


def start(server: Server, origin: str = "gated", **body: Any) -> dict[str, Any]:
    answer = ask(server, "POST", "/api/v1/imports", json={"origin": origin, **body})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = ask(server, "GET", f"/api/v1/{answer.headers['location']}").json()
    assert found["id"] == answer.json()["id"]
    return found


def find(server: Server, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(server, "GET", f"/api/v1/imports/{id_}").raise_for_status().json()
    return found


def await_state(server: Server, id_: str, *states: str) -> dict[str, Any]:
    wait_until(lambda: find(server, id_)["state"] in states, f"the import is {states}")
    return find(server, id_)


def await_half(server: Server, id_: str) -> None:
    wait_until(lambda: find(server, id_)["counts"]["read"] > 0, "half of it is read")


def past_alerts(server: Server) -> list[dict[str, Any]]:
    answer = ask(server, "GET", "/history?limit=1000&since=2020-01-01")
    alerts: list[dict[str, Any]] = answer.raise_for_status().json()["alerts"]
    return alerts


def test_an_import_is_seen_while_it_runs_and_taken_back(place: Place) -> None:
    with place.serving() as server:
        options = {"url": "http://ada:hush@old:9", "key": _SECRET, "header": [f"X-Key={_SECRET}"]}
        begun = start(server, options=options, scope="eu")
        await_half(server, begun["id"])
        running = find(server, begun["id"])
        assert (running["state"], running["phase"], running["by"]) == ("running", "reading", "api")
        assert running["what"] == "gated --url http://ada:***@old:9 --key-file … --header X-Key=… --scope eu"
        place.gate.open()
        done = await_state(server, begun["id"], "done", "failed")
        assert (done["state"], done["fault"], done["share"]) == ("done", None, 1.0)
        assert (done["counts"]["read"], done["counts"]["taken"], done["counts"]["refused"]) == (401, 400, 1)
        assert done["reasons"] == [{"reason": "it has no start", "rows": 1}]
        alerts = past_alerts(server)
        assert {(each["import_id"], each["scope"]) for each in alerts} == {(begun["id"], "eu")}
        assert len(alerts) == 400
        undo = ask(server, "POST", f"/api/v1/imports/{begun['id']}/undo")
        assert (undo.status_code, undo.json()["state"]) == (202, "undoing")
        undone = await_state(server, begun["id"], "undone", "done")
        assert (undone["state"], undone["counts"]["taken"]) == ("undone", 400)
        assert past_alerts(server) == []
        assert ask(server, "POST", f"/api/v1/imports/{begun['id']}/undo").status_code == 400
        audit = ask(server, "GET", "/api/v1/audit").json()["entries"]
        assert {"import_started", "import_undone"} <= {entry["action"] for entry in audit}
        assert _SECRET not in f"{audit}{server.log()}{ask(server, 'GET', '/api/v1/imports').text}"


def test_every_replica_shows_it_and_none_does_it_twice(tmp_path: Path, postgres_url: str) -> None:
    place = Place(tmp_path, postgres_url)
    with place.serving() as server, place.serving() as other:
        begun = start(server, scope="both")
        await_half(other, begun["id"])
        assert "Reading 50 %" in ask(other, "GET", f"/dashboard/imports/gated/{begun['id']}").text
        again = ask(other, "POST", "/api/v1/imports", json={"origin": "gated", "scope": "both"})
        assert (again.status_code, "under way" in again.json()["detail"]) == (503, True)
        assert ask(other, "POST", f"/api/v1/imports/{begun['id']}/undo").status_code == 503
        place.gate.open()
        await_state(other, begun["id"], "done")


def test_a_dry_run_is_counted_and_writes_nothing(on_sqlite: Place) -> None:
    on_sqlite.gate.open()
    with on_sqlite.serving() as server:
        tried = await_state(server, start(server, dry_run=True)["id"], "tried", "failed")
        assert (tried["state"], tried["counts"]["taken"], tried["what"]) == ("tried", 400, "gated --dry-run")
        assert past_alerts(server) == []
        assert ask(server, "GET", "/api/v1/quarantine").json()["quarantine"] == []


def test_one_import_runs_at_a_time(on_sqlite: Place) -> None:
    with on_sqlite.serving() as server:
        first = start(server)
        answer = ask(server, "POST", "/api/v1/imports", json={"origin": "gated", "scope": "other"})
        assert answer.status_code == 503
        assert "one runs at a time" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        assert ask(server, "POST", f"/api/v1/imports/{first['id']}/undo").status_code == 503
        on_sqlite.gate.open()
        await_state(server, first["id"], "done")
        await_state(server, start(server, scope="other")["id"], "done")


def test_a_stop_is_quick_and_the_same_asked_again_goes_on(place: Place) -> None:
    with place.serving() as server:
        begun = start(server)
        await_half(server, begun["id"])
        began = time.monotonic()
        server.terminate(timeout_seconds=20)
        assert time.monotonic() - began < 15
        place.gate.open()
        server.start()
        stopped = find(server, begun["id"])
        assert (stopped["state"], stopped["fault"]) == ("failed", "it was stopped; asked again, it goes on")
        again = start(server)
        assert again["id"] == begun["id"]
        done = await_state(server, again["id"], "done", "failed")
        assert (done["state"], done["counts"]["taken"], len(past_alerts(server))) == ("done", 400, 400)


def test_an_import_that_was_killed_goes_on_under_its_id(on_sqlite: Place) -> None:
    with on_sqlite.serving() as server:
        begun = start(server)
        await_half(server, begun["id"])
        server.kill()
        on_sqlite.gate.open()
        server.start()
        refused = ask(server, "POST", "/api/v1/imports", json={"origin": "gated"})
        assert (refused.status_code, "if its process was killed" in refused.text) == (503, True)
        _age_by_two_minutes(on_sqlite.url)
        page = ask(server, "GET", f"/dashboard/imports/gated/{begun['id']}").text
        assert "its process is silent" in page
        assert ">Go on</button>" in page
        assert start(server)["id"] == begun["id"]
        await_state(server, begun["id"], "done")
        assert len(past_alerts(server)) == 400


def _age_by_two_minutes(url: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE imports SET beat_at = beat_at - 120000000")
    connection.close()


def _send(server: Server, content: bytes = _ROWS, *, name: str = "alerts.jsonl", **fields: str) -> httpx.Response:
    files = {"file": (name, content)}
    return ask(server, "POST", "/api/v1/imports", data={"origin": "jsonl", **fields}, files=files)


def test_a_file_is_sent_and_called_as_its_sender_did(on_sqlite: Place) -> None:
    with on_sqlite.serving() as server:
        answer = _send(server, name="../../etc/-alerts.jsonl")
        assert answer.status_code == 202, answer.text
        done = await_state(server, answer.json()["id"], "done", "failed")
        assert (done["what"], done["counts"]["taken"], done["counts"]["refused"]) == ("jsonl alerts.jsonl", 1, 1)
        (refused,) = ask(server, "GET", "/api/v1/quarantine").json()["quarantine"]
        assert refused["reason"].startswith("alerts.jsonl, line 2: ")
        broken = _send(server, b"no JSON at all\n")
        failed = await_state(server, broken.json()["id"], "failed")
        assert failed["fault"].startswith("alerts.jsonl, line 1: ")
        wait_until(lambda: list(on_sqlite.files.iterdir()) == [], "no file is left")


def test_a_file_that_is_too_large_leaves_nothing(tmp_path: Path, sqlite_url: str) -> None:
    place = Place(tmp_path, sqlite_url, MAX_IMPORT_BYTES="2048")
    with place.serving() as server:
        answer = _send(server, _ROWS * 100)
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:alert-history:problem:payload-too-large")
        assert "MAX_IMPORT_BYTES" in answer.json()["detail"]
        assert list(place.files.iterdir()) == []
        assert ask(server, "GET", "/api/v1/imports").json() == {"imports": []}
        assert _send(server).status_code == 202, "the place for a job is free again"


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service in which nothing is brought in."""
    folder = tmp_path_factory.mktemp("quiet")
    with Place(folder, f"sqlite:///{folder}/alert_history.db").serving() as server:
        yield server


_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"origin": "nix"}, "origin: 'nix' is no origin"),
    ({"origin": "gated", "options": {"rules": "/etc/passwd"}}, "it is for the command line alone"),
    ({"origin": "jsonl", "options": {"file": "/etc/passwd"}}, "file: send the file itself"),
    ({"origin": "jsonl"}, "send the file to import"),
    ({"origin": "gated", "options": {"nope": "1"}}, "nope: gated has no such option"),
    ({"origin": "gated", "options": {"mood": "odd"}}, "mood: one of good, bad"),
    ({"origin": "gated", "options": {"mood": ["good", "bad"]}}, "mood: it is given more than once"),
    ({"origin": "gated", "options": {"header": "X"}}, "header: it is not NAME=VALUE"),
    ({"origin": "gated", "options": {"url": "http://x\u0000"}}, "url: it holds a character"),
    ({"origin": "gated", "start": "long ago"}, "start: 'long ago' is no time"),
    ({"origin": "gated", "scope": "a b"}, "scope: a scope has letters"),
    ({"origin": "alertmanager"}, "url: it is needed"),
    ({"origin": "gated", "options": {"url": "http://169.254.169.254/"}}, "a cloud's metadata address"),
    ({"origin": "gated", "options": {"url": "http://2852039166/"}}, "a cloud's metadata address"),
    ({"origin": "gated", "options": {"url": "http://[fd00:ec2::254]/"}}, "a cloud's metadata address"),
    ({"origin": "gated", "options": {"url": "http://[::ffff:169.254.1.1]/"}}, "a link-local address"),
    ({"origin": "gated", "options": {"url": "http://[fe80::1%25lo]/"}}, "a link-local address"),
]


@pytest.mark.parametrize("body, words", _WRONG)
def test_what_is_wrong_is_told_before_anything_begins(quiet: Server, body: dict[str, Any], words: str) -> None:
    answer = ask(quiet, "POST", "/api/v1/imports", json=body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert ask(quiet, "GET", "/api/v1/imports").json() == {"imports": []}


def _form(server: Server, content: bytes, *, boundary: str = "; boundary=x") -> httpx.Response:
    headers = {"content-type": f"multipart/form-data{boundary}"}
    return ask(server, "POST", "/api/v1/imports", content=content, headers=headers)


def _send_twice(server: Server) -> httpx.Response:
    files = [("file", ("a.jsonl", _ROWS)), ("file", ("b.jsonl", _ROWS))]
    return ask(server, "POST", "/api/v1/imports", data={"origin": "jsonl"}, files=files)


_FORMS: list[tuple[Callable[[Server], httpx.Response], int]] = [
    (lambda server: _send(server, nope="1"), 422),
    (lambda server: _send(server, keep_days="-1"), 422),
    (lambda server: _send(server, b""), 422),
    (lambda server: _form(server, b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n--x--"), 400),
    (lambda server: _form(server, b'--x\r\nContent-Disposition: form-data; name="origin"\r\n\r\njsonl'), 400),
    (lambda server: _form(server, b"nothing", boundary=""), 415),
    (_send_twice, 422),
]


@pytest.mark.parametrize("send, status", _FORMS)
def test_a_form_that_is_wrong_is_refused(quiet: Server, send: Callable[[Server], httpx.Response], status: int) -> None:
    assert send(quiet).status_code == status
    assert ask(quiet, "GET", "/api/v1/imports").json() == {"imports": []}


def test_another_site_starts_no_import_by_a_visitor(quiet: Server) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    answer = ask(quiet, "POST", "/api/v1/imports", files={"file": ("a", _ROWS)}, headers=headers)
    assert answer.status_code == 403
    assert (
        ask(quiet, "POST", "/dashboard/imports/gated", files={"file": ("a", b"x")}, headers=headers).status_code == 403
    )
