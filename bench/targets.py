"""Targets for the service under measurement: the fast one's process, and a folder that names as many as are wanted."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.processes import HOST, free_port

from bench.notifications import FOLDER

_RATE = "20000/s"  # above what the service can do: nothing is held back by our own limit
_START_SECONDS = 20


class FastTarget:
    """The process of `bench.target`."""

    def __init__(self, port: int) -> None:
        self.port = port

    def calls(self) -> dict[str, list[float]]:
        """By path, ms after the start of its alert for each call since this was asked last."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            connection.request("GET", "/calls")
            calls: dict[str, list[float]] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return calls

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            self.calls()
        except OSError:
            return False
        return True


@contextmanager
def fast_target() -> Iterator[FastTarget]:
    """One that is running."""
    target = FastTarget(free_port())
    process = subprocess.Popen([sys.executable, "-m", "bench.target", str(target.port)], cwd=FOLDER.parent)
    try:
        end = time.monotonic() + _START_SECONDS
        while not target.is_ready():
            assert time.monotonic() < end, "the fast target did not start"
            time.sleep(0.05)
        yield target
    finally:
        process.kill()
        process.wait()


def target_environment(folder: Path, urls: Mapping[str, str]) -> dict[str, str]:
    """What the service is told so that it has webhooks by these names, written to `folder`."""
    for name, url in urls.items():
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        (target / "url").write_text(url)
        (target / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=webhook\n")
        (target / "annotations").write_text(f"alert-history.io/rate-limit={_RATE}\n")
    return {"TARGETS_DIR": str(folder), "ALLOW_PRIVATE_TARGETS": "true"}
