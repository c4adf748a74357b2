"""The hook lets a message pass that keeps the rules of CONTRIBUTING, and says of another what is wrong."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.test_docs import ROOT

HOOK = ROOT / ".githooks" / "commit_message.py"
faults = runpy.run_path(str(HOOK))["faults"]
WHY = "\n\nAlertmanager sends it twice.\n"
LONGEST = "A" * 72


def run(message: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "COMMIT_EDITMSG"
    path.write_text(message, encoding="utf-8")
    return subprocess.run([sys.executable, HOOK, path], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "message",
    [
        f"Count a repeat once{WHY}",
        f"{LONGEST}{WHY}",
        f"Pass the deadline on{WHY}",
        f"Bring the schema to its head{WHY}",
        f"Seed the random numbers{WHY}",
        "Count a repeat once\n\nIt came twice.\n\nSigned-off-by: A <a@example.org>\n",
        f"\n# Please enter a message\nCount a repeat once{WHY}# On branch main\n",
        f"Count a repeat once{WHY}# ------------------------ >8 ------------------------\ndiff --git a/x b/x\n",
        "Merge branch 'storage'\n",
        "fixup! Count a repeat once\n",
        "squash! count a repeat once\n",
        'Revert "Count a repeat once"\n\nThis reverts commit 0123456.\n',
    ],
)
def test_a_good_message_has_no_faults(message: str) -> None:
    assert faults(message) == []


@pytest.mark.parametrize(
    "message, complaint",
    [
        (f"{LONGEST}A{WHY}", "73 characters"),
        (f"count a repeat once{WHY}", "capital letter"),
        (f"Count a repeat once.{WHY}", "without a period"),
        (f"Added a counter{WHY}", "imperative"),
        (f"Fixes the counter{WHY}", "imperative"),
        (f"Counting a repeat once{WHY}", "imperative"),
        (f"Made a counter{WHY}", "imperative"),
        ("Count a repeat once\nAlertmanager sends it twice.\n", "second line"),
        ("Count a repeat once\n", "body says why"),
        ("Count a repeat once\n\n# only a comment\n", "body says why"),
        ("Count a repeat once\n\nSigned-off-by: A <a@example.org>\n", "body says why"),
        ("# nothing\n", "empty"),
    ],
)
def test_a_bad_message_has_the_fault(message: str, complaint: str) -> None:
    (fault,) = faults(message)
    assert complaint in fault


def test_the_hook_lets_a_good_message_pass(tmp_path: Path) -> None:
    result = run(f"Count a repeat once{WHY}", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_hook_refuses_a_bad_message_and_names_each_fault(tmp_path: Path) -> None:
    result = run("added a counter.\n", tmp_path)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 4


def test_one_command_installs_the_hook() -> None:
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = {hook["id"]: hook for repo in configuration["repos"] for hook in repo["hooks"]}
    assert hooks["commit-message"]["stages"] == ["commit-msg"]
    assert hooks["commit-message"]["entry"].split()[-1] == str(HOOK.relative_to(ROOT))
    assert "commit-msg" in configuration["default_install_hook_types"]
