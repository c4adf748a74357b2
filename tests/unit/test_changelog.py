"""What waits in changelog.d has the form that CONTRIBUTING tells, and a release shows its text alone."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alert_history import __version__
from tests.unit.test_docs import ROOT, relative, text

FOLDER = ROOT / "changelog.d"
FRAGMENTS = sorted(path for path in FOLDER.iterdir() if path.name != "README.md")
NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+){1,4}\.(?:added|changed|fixed|removed|security)\.md")
GUIDES = [ROOT / "docs/deployment-guide.md", ROOT / "docs/deployment-guide.ru.md"]
RELEASE_WORDS = 1000  # read in five minutes


def is_well_named(name: str) -> bool:
    return NAME.fullmatch(name) is not None


@pytest.mark.parametrize("name", ["pages-nobody.fixed.md", "routes-in-one-file.added.md", "url-password-2.security.md"])
def test_a_slug_and_a_kind_name_a_fragment(name: str) -> None:
    assert is_well_named(name)


@pytest.mark.parametrize(
    "name", ["11.fixed.md", "11.fixed.2.md", "+turns.fixed.md", "Pages-nobody.fixed.md", "pages.fixed.md", "a-b.doc.md"]
)
def test_a_number_or_another_kind_names_no_fragment(name: str) -> None:
    assert not is_well_named(name)


def test_every_fragment_that_waits_is_well_named() -> None:
    assert [relative(path) for path in FRAGMENTS if not is_well_named(path.name)] == []


def test_every_fragment_that_waits_is_one_paragraph_that_ends() -> None:
    assert [relative(path) for path in FRAGMENTS if not re.fullmatch(r"(?:\S.*\n)*\S.*\.\n", text(path))] == []


def test_a_release_shows_the_text_of_a_fragment_without_its_slug(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "changelog.d").mkdir()
    shutil.copy(FOLDER / "README.md", tmp_path / "changelog.d")
    (tmp_path / "changelog.d/pages-nobody.fixed.md").write_text("An alert pages somebody.\n", encoding="utf-8")
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9", "--date", "2030-01-02"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stdout.splitlines() if line]
    assert lines == ["## 9.9.9 (2030-01-02)", "### Fixed", "- An alert pages somebody."]


def test_the_changelog_begins_with_this_version_and_is_read_in_five_minutes() -> None:
    newest = text(ROOT / "CHANGELOG.md").split("\n## ")[1]
    assert newest.startswith(f"{__version__} (")
    assert len(newest.split()) <= RELEASE_WORDS


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_a_guide_installs_this_version(guide: Path) -> None:
    assert set(re.findall(r"--version (\S+)", text(guide))) == {__version__}
