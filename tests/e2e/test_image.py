"""Each step of the Dockerfile does what it says, and what comes of it is small, and does what a pod needs."""

import base64
import csv
import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e import image

SIZE_LIMIT_MB = 113
TIMEOUT_SECONDS = 60
# Every compiled extension, by the name that it is imported by, but for those of packages' own tests.
IMPORT_ALL_EXTENSIONS = """
import importlib, pathlib, sysconfig
root = pathlib.Path(sysconfig.get_path("purelib"))
paths = [path.relative_to(root) for path in root.rglob("*.so")]
names = [".".join(path.with_name(path.name.split(".")[0]).parts) for path in paths if "tests" not in path.parts]
print(len([importlib.import_module(name) for name in names]))
"""
pytestmark = pytest.mark.timeout(3 * image.STEP_TIMEOUT_SECONDS)


def run(built: image.Stage, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = built.entry(words, writable={"/tmp": "16m"})  # noqa: S108  # the folder a pod may write to
    return subprocess.run(command, env=built.env, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)


def test_it_is_small(built: image.Stage) -> None:
    """Without bytecode, as everywhere; the sum is shown where it is too much."""
    files = [path for path in (built.changes / "opt").rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_blocks * 512 for path in files if "__pycache__" not in path.parts) / 1e6
    assert size <= SIZE_LIMIT_MB


def test_what_is_stripped_still_loads(built: image.Stage) -> None:
    extensions = [path for path in (built.changes / "opt").rglob("*.so") if "tests" not in path.parts]
    assert extensions
    done = run(built, ["python", "-c", IMPORT_ALL_EXTENSIONS])
    assert (done.stdout.strip(), done.returncode) == (str(len(extensions)), 0), done.stderr


def test_no_hash_is_claimed_that_a_file_does_not_have(built: image.Stage) -> None:
    wrong = []
    for record in (built.changes / "opt").rglob("RECORD"):
        for path, claimed, _ in csv.reader(record.read_text(encoding="utf-8").splitlines()):
            if claimed:
                digest = hashlib.sha256((record.parents[1] / path).read_bytes()).digest()
                has = f"sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
                wrong += [path] if claimed != has else []
    assert wrong == []


def test_it_knows_time_zones_without_its_base(built: image.Stage) -> None:
    """This machine stands in for the base, so what counts is that the Dockerfile asks for them itself."""
    installed = [rest for word, rest in image.instructions(image.DOCKERFILE.read_text()) if "apt-get install" in rest]
    assert "tzdata" in installed[-1].split()
    script = "import zoneinfo; print(zoneinfo.ZoneInfo('Europe/Berlin').key, len(zoneinfo.available_timezones()) > 400)"
    assert run(built, ["python", "-c", script]).stdout.split() == ["Europe/Berlin", "True"]


def test_it_runs_as_a_user_without_rights(built: image.Stage) -> None:
    assert run(built, ["id"]).stdout.startswith("uid=10001(alert-history) gid=10001(alert-history)")
    assert (built.user, built.command) == ("10001:10001", ["alert-history", "serve"])


def test_it_can_write_to_nothing_but_what_a_pod_gives(built: image.Stage) -> None:
    assert run(built, ["sh", "-c", "touch /tmp/a"]).returncode == 0
    for path in ("/a", "/data/a", "/opt/alert-history/a", "/etc/a"):
        assert "Read-only file system" in run(built, ["touch", path]).stderr


@pytest.mark.parametrize(
    "words",
    [
        ["alert-history", "--version"],
        ["python", "-c", "import asyncpg, openai, apprise, alert_history"],  # the guide's way to look into a pod
        ["curl", "--version"],
        ["sleep", "0"],  # what a pod does before it stops
    ],
    ids=lambda words: words[0],
)
def test_what_a_pod_and_the_guide_call_is_there(built: image.Stage, words: list[str]) -> None:
    done = run(built, words)
    assert done.returncode == 0, done.stderr


def test_bytecode_is_there_and_holds_no_times(built: image.Stage) -> None:
    flags = {path.read_bytes()[4:8] for path in (built.changes / "opt").rglob("*.pyc")}
    assert flags == {b"\x01\x00\x00\x00"}  # PEP 552: by hash, and not checked


def test_two_builds_are_the_same(built: image.Stage, tmp_path: Path) -> None:
    def files(stage: image.Stage) -> dict[str, str]:
        root = stage.changes / "opt"
        paths = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
        return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    first, second = files(built), files(image.build(tmp_path / "again"))
    assert {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)} == set()


def test_a_build_sees_nothing_but_what_it_needs() -> None:
    sent = image.context_files((image.ROOT / ".dockerignore").read_text(encoding="utf-8"))
    assert {path.parts[0] for path in sent} == {
        "LICENSE",
        "README.md",
        "hatch_build.py",
        "package-lock.json",
        "package.json",
        "pyproject.toml",
        "requirements-build.lock",
        "requirements-dev.lock",
        "requirements-node.lock",
        "requirements.lock",
        "src",
    }
    assert not [path for path in sent if "vendor" in path.parts], "the build brings them itself"
