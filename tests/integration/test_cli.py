"""The command line as a whole: help, version, and how errors end.

Holds: `__main__`, `cli.app`, `cli.console`, `cli.router`, `cli.store`.
"""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import alert_history
from tests.commands import environment, lines, run

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
COMMANDS = ["serve", "migrate", "doctor", "send", "export"]
HEAVY = {"asyncpg", "httpx", "pydantic", "sqlalchemy", "starlette", "uvicorn"}


@pytest.mark.parametrize("flags", [["--help"], ["-h"], []])
def test_help_names_every_command(flags: list[str]) -> None:
    done = run(*flags)
    assert done.returncode == 0
    assert [name for name in COMMANDS if f" {name} " not in done.stdout.decode()] == []


def test_version_is_that_of_the_package() -> None:
    assert run("--version").stdout.decode().strip() == alert_history.__version__


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_names_every_option(name: str) -> None:
    options = set(re.findall(r"(?<= )--?[a-z]+(?= )", run(name, "--help").stdout.decode()))
    section = PAGE.read_text().partition(f"\n## alert-history {name}\n")[2].partition("\n## ")[0]
    assert {option for option in options if f"`{option}`" not in section} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0
    assert lines(done.stdout)[0].startswith(f"Usage: alert-history {name}")


def test_help_imports_nothing_that_takes_long() -> None:
    script = "import sys; from alert_history.cli.app import run; run(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.splitlines()[-1].split()) == set()


@pytest.mark.parametrize(
    "args",
    [["migrat"], ["migrate", "--chek"], ["serve", "--port", "http"], ["export", "--format", "xml"], ["send"]],
)
def test_wrong_usage_is_one_line_and_exit_2(args: list[str], tmp_path: Path) -> None:
    done = run(*args, folder=tmp_path)
    assert done.returncode == 2
    assert len(lines(done.stderr)) == 1
    assert done.stderr.startswith(b"error: ")
    assert done.stdout == b""


@pytest.mark.parametrize("name", ["serve", "migrate", "export"])
def test_a_wrong_configuration_is_a_line_for_each_fault_and_exit_2(name: str, tmp_path: Path) -> None:
    done = run(name, env={"PORT": "x", "AUTH_MODE": "basic"}, folder=tmp_path)
    assert done.returncode == 2
    assert [line.split("=")[0] for line in lines(done.stderr)] == ["error: PORT", "error: AUTH_MODE"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_one_line(tmp_path: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--host", "127.0.0.1", "--port", str(port), "--workers", workers, folder=tmp_path)
    assert done.returncode == 1
    assert lines(done.stderr) == [f"error: 127.0.0.1:{port}: Address already in use"]


@pytest.mark.parametrize("host", ["203.0.113.9", "nowhere.invalid"])
def test_a_host_that_is_not_ours_is_one_line(tmp_path: Path, host: str) -> None:
    done = run("serve", "--host", host, folder=tmp_path)
    assert done.returncode == 2
    assert [line.partition(" is no address")[0] for line in lines(done.stderr)] == [f"error: HOST={host!r}"]


@pytest.mark.parametrize("command", [["migrate"], ["migrate", "--check"], ["export"], ["replay", "--dead-letters"]])
def test_a_database_that_is_away_is_named(tmp_path: Path, command: list[str]) -> None:
    url = f"sqlite:///{tmp_path}/none/history.db"
    done = run(*command, env={"DATABASE_URL": url}, folder=tmp_path)
    assert done.returncode == 1
    assert [line.startswith(f"error: {url}: ") for line in lines(done.stderr)] == [True]


def test_an_option_that_is_not_allowed_is_told_as_its_variable(tmp_path: Path) -> None:
    done = run("serve", "--port", "70000", folder=tmp_path)
    assert done.returncode == 2
    assert lines(done.stderr) == ["error: PORT='70000' is not allowed; give a whole number from 1 to 65535"]
