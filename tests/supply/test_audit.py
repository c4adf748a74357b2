"""`make audit` fails for a vulnerability, and for nothing that is not there."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.processes import HOST, free_port
from tests.supply import audit
from tests.supply.locked import ROOT

_HASH = "0" * 64
_FAULTY = {
    "id": "GHSA-0000-0000-0000",
    "aliases": ["CVE-2000-0001"],
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "summary": "It is made up.",
    "affected": [
        {
            "package": {"name": "a-package", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}

Answer = Callable[[str], dict[str, object]]


@contextmanager
def _service(answer: Answer) -> Iterator[str]:
    """A server that is asked as OSV is, and answers this of a package."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps(answer(asked["package"]["name"])).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it overrides
            """Say nothing."""

    server = HTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, HOST)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text("".join(f"{name}==1.0 \\\n    --hash=sha256:{_HASH}\n" for name in ("a-package", "another")))
    return path


def test_a_known_vulnerability_fails(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with _service(lambda name: {"vulns": [_FAULTY]} if name == "a-package" else {}) as url:
        assert audit.main([lock], service=url) == 1
    assert "a-package 1.0: CVE-2000-0001, GHSA-0000-0000-0000; mended in 1.1" in capsys.readouterr().out


def test_packages_without_one_pass(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with _service(lambda _: {}) as url:
        assert audit.main([lock], service=url) == 0
    assert "2 packages audited, 0 faults." in capsys.readouterr().out


def test_where_no_service_can_be_reached_it_says_so_and_passes(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main([lock], service=f"http://{HOST}:{free_port()}/v1/query") == 0
    assert "NOT AUDITED" in capsys.readouterr().out


def test_a_lock_file_that_can_not_be_read_fails_where_the_service_answers(tmp_path: Path) -> None:
    path = tmp_path / "requirements.lock"
    path.write_text("a-package\n")
    with _service(lambda _: {}) as url:
        assert audit.main([path], service=url) == 1


def test_a_package_that_was_not_audited_is_a_fault() -> None:
    report = {"dependencies": [{"name": "a-package", "skip_reason": "it is not known"}]}
    assert list(audit.faults_of(report)) == ["a-package was not audited: it is not known"]


def test_every_lock_file_of_ours_is_audited() -> None:
    assert {path.name for path in ROOT.glob("*.lock")} == set(audit.LOCKS)
