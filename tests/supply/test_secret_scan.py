"""`make secrets` sees a secret that somebody adds, and says nothing of what was accepted."""

import subprocess
from pathlib import Path

import pytest

from tests.supply import secret_scan
from tests.supply.locked import ROOT
from tests.supply.secret_scan import files_of, scan, unknown

# Put together here, so that the scan finds none in this file.
_OWN_TOKEN = "aht_" + "fL3" * 14 + "x"
_AWS_KEY = "AKIA" + "QWERTYUIOPASDF12"
_PASSWORD = "password = " + '"hunter2-and-more"'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Another repository, with a few files of ours."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name in ("src/alert_history/ids.py", "docs/index.md", "tests/payloads.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / secret_scan.BASELINE).write_text('{"results": {}}')
    return tmp_path


def test_files_without_a_secret_pass(checkout: Path) -> None:
    assert secret_scan.main(checkout) == 0


@pytest.mark.parametrize(
    "name, planted",
    [
        ("src/alert_history/ids.py", _OWN_TOKEN),
        ("src/alert_history/ids.py", _PASSWORD),
        ("docs/index.md", _OWN_TOKEN),
        ("tests/payloads.py", _AWS_KEY),
        ("new.env", f"KEY={_AWS_KEY}"),
    ],
)
def test_a_planted_secret_is_found(checkout: Path, name: str, planted: str, capsys: pytest.CaptureFixture[str]) -> None:
    with (checkout / name).open("a") as file:
        file.write(f"\n{planted}\n")
    assert secret_scan.main(checkout) == 1
    said = capsys.readouterr().out
    assert f"{name}:" in said
    assert planted not in said


def test_a_secret_that_was_accepted_passes_and_the_next_one_fails(checkout: Path) -> None:
    path = checkout / "src/alert_history/ids.py"
    path.write_text(f"{path.read_text()}\n{_PASSWORD}\n")
    assert secret_scan.main(checkout, accepts=True) == 0
    assert _PASSWORD not in (checkout / secret_scan.BASELINE).read_text()
    path.write_text(f"# moved down\n{path.read_text()}")
    assert secret_scan.main(checkout) == 0
    path.write_text(path.read_text() + _AWS_KEY)
    assert secret_scan.main(checkout) == 1


def test_a_password_that_is_made_up_for_a_test_is_none(checkout: Path) -> None:
    (checkout / "tests/payloads.py").write_text(_PASSWORD)
    assert secret_scan.main(checkout) == 0


def test_the_baseline_knows_the_made_up_keys_of_our_tests() -> None:
    name = "tests/unit/test_llm_redaction.py"
    assert name in files_of(ROOT)
    assert unknown(ROOT, scan(ROOT, [name])) == []
    assert scan(ROOT, [name])[name]
