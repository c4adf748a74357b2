"""A real server as a child process: how it is found, started, paused, killed and ended.

On Linux a child also dies with the test run itself, however that ends.
Must not know which server it is (that is `servers`) or what any test checks.
"""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

HOST = "127.0.0.1"
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 60.0
_POLL_SECONDS = 0.02
_LOG_TAIL_LINES = 60

T = TypeVar("T")


def wait_until(claim: Callable[[], T], what: str, *, timeout_seconds: float = START_TIMEOUT_SECONDS) -> T:
    """The first true answer of `claim`, asked again and again.

    Raises: AssertionError naming `what` and the last answer when none came in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while not (answer := claim()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_seconds:g} s: {what}; last answer: {answer!r}")
        time.sleep(_POLL_SECONDS)
    return answer


def free_port() -> int:
    """A port nobody listens on, and that is given to nobody else while this process lives, other test runs included.

    It lies below the range the system hands to clients: so it is still free after a restart.
    """
    for port in random.SystemRandom().sample(_PORTS, 1000):
        if _claims(port) and _is_free(port):
            return port
    raise RuntimeError("no free port among a thousand tried")


_PORTS = range(15000, 32000)
_given: set[int] = set()


def _claims(port: int) -> bool:
    """Takes the lock of the port's own byte in a file that all test runs share; it is let go with the process."""
    if port in _given:  # a process may lock again what it has locked
        return False
    try:
        fcntl.lockf(_port_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _given.add(port)
    return True


@cache
def _port_locks() -> int:
    """The shared file; it must never be closed, since the first close would let all locks go."""
    return os.open(Path(tempfile.gettempdir()) / f"alert-history-ports-{os.geteuid()}", os.O_RDWR | os.O_CREAT, 0o600)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def find_program(*names: str, package: str, places: Sequence[str] = ()) -> str:
    """The path of the first of `names` that is installed; `places` are looked into before PATH.

    When none is, the test is skipped with the apt package to install; with CI=true in the environment it fails.
    """
    path = os.pathsep.join([*places, os.environ.get("PATH", os.defpath)])
    for name in names:
        if program := shutil.which(name, path=path):
            return program
    reason = f"{names[0]} is not installed: apt-get install {package}"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class Server:
    """A real server as a child process. It can be stopped and started again: same port, same data folder."""

    name: str
    command: Sequence[str]
    folder: Path
    port: int
    url: str
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    _process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process is there (paused counts)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the running server. Raises: AssertionError when it isn't running."""
        assert self.is_running, f"{self.name} is not running"
        assert self._process is not None
        return self._process.pid

    def start(self, *, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Starts it and returns when it is ready. Raises: AssertionError with its log when it isn't in time."""
        assert not self.is_running, f"{self.name} is already running"
        self.launch()
        try:
            wait_until(self._is_ready_or_gone, f"{self.name} is ready", timeout_seconds=timeout_seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._log_tail()}") from None
        assert self.is_running, f"{self.name} ended at once\n{self._log_tail()}"

    def launch(self) -> None:
        """Starts it and returns at once, ready or not."""
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*_leash(), *self.command],
                cwd=self.folder,
                env={**_clean_environment(), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for pytest, which then ends this one
            )

    def wait(self, *, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> int:
        """Its exit code, once it has ended by itself (minus the signal's number if one killed it)."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.wait(timeout_seconds)

    def terminate(self, *, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> int:
        """Asks it to end (SIGTERM; SIGINT to PostgreSQL, its fast shutdown) and returns its exit code.

        Raises: subprocess.TimeoutExpired when it doesn't end in time; it is still there then.
        """
        os.kill(self.pid, self.stop_signal)
        return self.wait(timeout_seconds=timeout_seconds)

    def kill(self) -> None:
        """`kill -9` to it and all below it; returns when none of them is left. Nothing if it isn't running."""
        if not self.is_running:
            return
        family = self.pause()
        for pid in family:
            _signal(pid, signal.SIGKILL)
        self.wait()
        wait_until(lambda: not any(map(is_alive, family)), f"all processes of {self.name} are gone")

    def pause(self) -> list[int]:
        """SIGSTOP to it and all below it, as a hung machine would look. Returns their ids."""
        _signal(self.pid, signal.SIGSTOP)  # first the parent, so that it makes no new children
        family = [self.pid, *_descendants(self.pid)]
        for pid in family:
            _signal(pid, signal.SIGSTOP)
        return family

    def resume(self) -> None:
        """SIGCONT to it and all below it."""
        for pid in [*_descendants(self.pid), self.pid]:
            _signal(pid, signal.SIGCONT)

    def log(self) -> str:
        """All it has written to its standard output and error so far, over all its starts."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def close(self) -> None:
        """Ends it for certain; its log goes to standard error, which pytest shows when the test failed."""
        self.kill()
        sys.stderr.write(self._log_tail())

    @property
    def _log_path(self) -> Path:
        return self.folder / "server.log"

    def _log_tail(self) -> str:
        lines = self.log().splitlines()[-_LOG_TAIL_LINES:]
        return "".join(f"[{self.name}] {line}\n" for line in lines)

    def _is_ready_or_gone(self) -> bool:
        return not self.is_running or self.is_ready()


def _leash() -> list[str]:
    """Words before a command that let the kernel kill it when the test run dies without cleaning up."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _clean_environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONUNBUFFERED": "1"}


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself in the meantime


def _process_stat(pid: int | str) -> tuple[str, int] | None:
    """State letter and parent id from /proc, or None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)


def is_alive(pid: int) -> bool:
    """Whether this process exists and has not ended (a zombie has)."""
    stat = _process_stat(pid)
    return stat is not None and stat[0] not in "ZX"


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if stat := _process_stat(entry.name):
            children.setdefault(stat[1], []).append(int(entry.name))
    pids, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        pids += below
        waiting += below
    return pids
