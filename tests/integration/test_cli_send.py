"""`alert-history send`, against a server that answers what a test tells it to, and against our own.

Holds: `cli.send`, `cli.payloads`.
"""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest

from tests.commands import lines, run
from tests.conftest import StartService
from tests.processes import free_port

ALERT = {"labels": {"alertname": "DiskFull"}, "annotations": {}, "startsAt": "2026-11-24T11:00:00Z"}
GROUP = {
    "version": "4",
    "groupKey": "{}",
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "team",
    "groupLabels": {},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager.example.com",
    "alerts": [{**ALERT, "status": "firing", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "0" * 16}],
}
RECEIPT = {"status": "success", "receipt_id": "r-1", "received": 3, "stored": 2, "repeated": 1, "quarantined": 0}
EVENT = {"@timestamp": "2026-11-24T11:00:00Z", "instance": "am-0", "data": {}}


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Listener:
    """Answers the statuses in `script` one after another, then 200; keeps what it was sent."""

    def __init__(self) -> None:
        self.script: list[int] = []
        self.requests: list[Request] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.requests.append(Request(self.path, dict(self.headers.items()), body))
                status = listener.script.pop(0) if listener.script else 200
                answer = json.dumps(RECEIPT if status == 200 else {"detail": f"because of {status}"}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    with listening.server as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield listening
        server.shutdown()
        thread.join()


def write(folder: Path, name: str, *payloads: Any) -> Path:
    path = folder / name
    path.write_text("\n".join(map(json.dumps, payloads)))
    return path


def test_a_payload_is_posted_byte_for_byte(listener: Listener, tmp_path: Path) -> None:
    file = write(tmp_path, "group.json", GROUP)
    assert run("send", file, "--to", listener.url).returncode == 0
    assert [request.body for request in listener.requests] == [file.read_bytes()]


def test_it_looks_like_alertmanager(listener: Listener, tmp_path: Path) -> None:
    run("send", write(tmp_path, "group.json", GROUP), "--to", listener.url)
    headers = listener.requests[0].headers
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("Alertmanager/")


def test_the_receipt_of_each_payload_is_printed(listener: Listener, tmp_path: Path) -> None:
    file = write(tmp_path, "group.json", GROUP)
    done = run("send", file, file, "--to", listener.url)
    assert lines(done.stdout) == [f"{file}: 3 received, 2 stored, 1 repeated, 0 quarantined (receipt r-1)"] * 2


def test_a_name_that_the_terminal_has_no_letters_for_is_escaped(listener: Listener, tmp_path: Path) -> None:
    write(tmp_path, "größe.json", GROUP)
    done = run("send", "größe.json", "--to", listener.url, env={"PYTHONIOENCODING": "ascii"}, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(rb"gr\xf6\xdfe.json: 3 received")


@pytest.mark.parametrize(
    "payload,path",
    [
        (GROUP, "/webhook/proxy"),
        ([ALERT], "/api/v2/alerts"),
        ([EVENT], "/webhook/proxy"),
        ([], "/webhook/proxy"),
        ("text", "/webhook/proxy"),
    ],
)
def test_the_shape_of_a_payload_decides_its_path(
    listener: Listener, tmp_path: Path, *, payload: Any, path: str
) -> None:
    run("send", write(tmp_path, "payload.json", payload), "--to", f"{listener.url}/")
    assert listener.paths == [path]


@pytest.mark.parametrize("path", ["/webhook", "/webhook/proxy", "/api/v2/alerts"])
def test_a_full_url_is_taken_as_it_is(listener: Listener, tmp_path: Path, *, path: str) -> None:
    run("send", write(tmp_path, "group.json", GROUP), "--to", f"{listener.url}{path}")
    assert listener.paths == [path]


def test_a_jsonl_file_is_a_payload_a_line(listener: Listener, tmp_path: Path) -> None:
    file = write(tmp_path, "mixed.jsonl", GROUP, [ALERT])
    with file.open("a") as more:
        more.write("\n\n")
    done = run("send", file, "--to", listener.url)
    assert listener.paths == ["/webhook/proxy", "/api/v2/alerts"]
    assert [line.split(": ")[0] for line in lines(done.stdout)] == [f"{file}:1", f"{file}:2"]


def test_a_dash_is_standard_input(listener: Listener) -> None:
    body = json.dumps(GROUP).encode()
    assert run("send", "-", "--to", listener.url, stdin=body).returncode == 0
    assert [request.body for request in listener.requests] == [body]


def test_a_5xx_is_tried_again(listener: Listener, tmp_path: Path) -> None:
    listener.script = [503, 500]
    done = run("send", write(tmp_path, "group.json", GROUP), "--to", listener.url)
    assert done.returncode == 0
    assert len(listener.requests) == 3


@pytest.mark.parametrize("status", [400, 413, 429, 302])
def test_other_refusals_are_final(listener: Listener, tmp_path: Path, *, status: int) -> None:
    listener.script = [status]
    file = write(tmp_path, "group.json", GROUP)
    done = run("send", file, "--to", listener.url)
    assert done.returncode == 1
    assert lines(done.stderr) == [f"error: {file}: {listener.url}/webhook/proxy answered {status}: because of {status}"]
    assert len(listener.requests) == 1


def test_a_5xx_that_stays_is_given_up(listener: Listener, tmp_path: Path) -> None:
    listener.script = [503] * 100
    done = run("send", write(tmp_path, "group.json", GROUP), "--to", listener.url)
    assert done.returncode == 1
    assert len(listener.requests) == 6


def test_what_follows_a_refused_payload_is_sent_all_the_same(listener: Listener, tmp_path: Path) -> None:
    listener.script = [400]
    file = write(tmp_path, "group.json", GROUP)
    done = run("send", file, tmp_path / "missing.json", file, "--to", listener.url)
    assert done.returncode == 1
    assert len(listener.requests) == 2
    assert len(lines(done.stdout)) == 1
    assert len(lines(done.stderr)) == 2


def test_a_service_that_is_away_is_one_line(tmp_path: Path) -> None:
    done = run("send", write(tmp_path, "group.json", GROUP), "--to", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert len(lines(done.stderr)) == 1


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://localhost", "http://"])
def test_a_url_that_is_none_is_wrong_usage(url: str) -> None:
    assert run("send", "-", "--to", url).returncode == 2


@pytest.mark.parametrize("login", ["ada:s3[cret", "ada:s3/cret", "ada:s3%cret"])
def test_a_url_that_can_not_be_read_shows_no_password(login: str) -> None:
    done = run("send", "-", "--to", f"http://{login}@localhost:8080")
    assert (done.returncode, len(lines(done.stderr))) == (2, 1)
    assert not {b"s3", b"cret"} & {done.stderr[at : at + size] for size in (2, 4) for at in range(len(done.stderr))}


def test_a_service_that_is_away_is_told_without_the_password(tmp_path: Path) -> None:
    url = f"http://ada:s3cret@127.0.0.1:{free_port()}"
    done = run("send", write(tmp_path, "group.json", GROUP), "--to", url)
    assert done.returncode == 1
    assert b"s3cret" not in done.stderr


def test_a_misspelt_option_is_not_taken_for_a_file(listener: Listener) -> None:
    assert run("send", "--too", listener.url).returncode == 2
    assert listener.requests == []


def test_our_own_service_takes_what_is_sent(service: StartService, sqlite_url: str, tmp_path: Path) -> None:
    server = service({"DATABASE_URL": sqlite_url})
    files = [write(tmp_path, "group.json", GROUP), write(tmp_path, "alerts.json", [ALERT])]
    done = run("send", *files, "--to", server.url)
    assert done.returncode == 0, done.stderr
    assert [line.split(": ")[1].split(",")[0] for line in lines(done.stdout)] == ["1 received", "1 received"]
