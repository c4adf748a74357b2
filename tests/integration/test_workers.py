"""A run with workers leaves no server behind, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import find_program, is_alive, wait_until

_SECONDS = 120.0
_CONFTEST = "from tests.conftest import pytest_configure as pytest_configure\n"
_HANGING = """
import signal
from pathlib import Path
from tests import servers

def test_that_hangs():
    with servers.redis_server() as redis:
        Path(__file__).with_name("started").write_text(f"{redis.pid} {redis.folder}")
        Path(__file__).with_name("started").rename(Path(__file__).with_name("running"))
        signal.pause()
"""


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=lambda ending: ending.name)
def test_workers_end_their_servers_and_tidy_up_when_the_run_is_ended(tmp_path: Path, ending: signal.Signals) -> None:
    find_program("redis-server", package="redis-server")
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_hanging.py").write_text(_HANGING)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "1",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
        str(tmp_path),
    ]
    running = tmp_path / "running"
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        wait_until(running.exists, "the server of the test runs", timeout_seconds=_SECONDS)
        pid, folder = running.read_text().split()
        os.kill(run.pid, ending)
        wait_until(
            lambda: not is_alive(int(pid)) and not Path(folder).exists(),
            "the server and its folder are gone",
            timeout_seconds=_SECONDS,
        )
