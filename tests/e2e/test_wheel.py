"""The wheel is enough: installed alone into an empty environment it runs, and it stays small."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest

import alert_history

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
SIZE_LIMIT_MB = 120
INSTALL_TIMEOUT_SECONDS = 300


def run(command: Sequence[str | Path]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_SECONDS, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder])
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it needs, at the versions of the lock file. No pip, as in a container."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run([UV, "venv", "--quiet", "--python", sys.executable, folder])
    install: list[str | Path] = [UV, "pip", "install", "--quiet", "--python", folder / "bin/python"]
    run([*install, "--require-hashes", "--requirements", ROOT / "requirements.lock"])
    run([*install, "--offline", wheel])
    return folder


def sizes_mb(environment: Path) -> dict[str, float]:
    """What each package takes on disk. Bytecode is not counted: Python writes it by itself, for what it imports."""
    sizes: dict[str, float] = {}
    for path in environment.rglob("*"):
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
            parts = path.relative_to(environment).parts
            name = parts[3] if parts[2:3] == ("site-packages",) else parts[0]
            sizes[name] = sizes.get(name, 0.0) + path.stat().st_blocks * 512 / 1e6
    return sizes


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    package = ROOT / "src" / "alert_history"
    written = {str(p.relative_to(ROOT / "src")) for p in package.rglob("*") if p.is_file()}
    assert {name for name in written if "__pycache__" not in name} - set(ZipFile(wheel).namelist()) == set()


@pytest.mark.timeout(2 * INSTALL_TIMEOUT_SECONDS)
def test_the_installed_wheel_runs_alone(environment: Path) -> None:
    assert run([environment / "bin/alert-history", "--version"]).split()[-1] == alert_history.__version__


@pytest.mark.timeout(2 * INSTALL_TIMEOUT_SECONDS)
def test_a_runtime_install_stays_under_its_limit(environment: Path) -> None:
    sizes = sizes_mb(environment)
    largest = sorted(((round(size, 1), name) for name, size in sizes.items()), reverse=True)[:12]
    assert sum(sizes.values()) <= SIZE_LIMIT_MB, largest


def test_asking_for_the_version_imports_nothing_else() -> None:
    script = "import sys; before = set(sys.modules); import alert_history; print(*set(sys.modules) - before)"
    assert run([sys.executable, "-c", script]).split() == ["alert_history"]
