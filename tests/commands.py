"""Our own commands as a user runs them: a process each, with nothing in its environment but what a test puts there."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import alert_history

SOURCE_FOLDER = Path(alert_history.__path__[0]).parent
TIMEOUT_SECONDS = 60


def environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a command sees: a path, a language, where the code is, and `env`."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONPATH": str(SOURCE_FOLDER), **(env or {})}


def command(*args: str | Path) -> list[str]:
    """The words that start one of our commands."""
    return [sys.executable, "-m", "alert_history", *map(str, args)]


def run(
    *args: str | Path,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
    stdin: bytes = b"",
    under: Sequence[str] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Run one command to its end, in `folder`, by the words of `under`, whatever its exit code."""
    return subprocess.run(
        [*under, *command(*args)],
        env=environment(env),
        cwd=folder,
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def lines(output: bytes) -> list[str]:
    """Its lines, without the empty ones."""
    return [line for line in output.decode().splitlines() if line.strip()]
