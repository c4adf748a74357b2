"""The documents keep their word: links lead somewhere, what they name exists; and no file speaks of one machine."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
MAKE_TARGET = re.compile(r"(?:^|`)(?:[A-Z_]+=\S+ )?make ([a-z]+)", re.MULTILINE)
COMMAND = re.compile(r"(?:^|`|-- )alert-history ([a-z]+)", re.MULTILINE)
NAMED_PATH = re.compile(r"`((?:bench|changelog\.d|charts|deploy|docs|monitoring|src|tests)(?:/[a-z\d_.-]+)*/?)`")
OF_ONE_MACHINE = {
    "a home or work folder": re.compile(r"(?<![\w.~-])/(?:home|Users|root|work)/[\w.-]+"),
    "a package index": re.compile(r"https?://[\w.:@/-]+/simple\b|--(?:extra-)?index-url[= ]\w|--find-links[= ]\S"),
    "a registry in a package lock": re.compile(r'"resolved": *"https?:'),
}


@cache
def repository_files() -> list[Path]:
    """Every file that is committed or would be."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return [ROOT / name for name in sorted(set(names)) if name and (ROOT / name).is_file()]


def documents() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".md"]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def links(document: Path) -> list[str]:
    """Where it links to inside the repository."""
    return [link for link in LINK.findall(FENCE.sub("", text(document))) if not re.match(r"[a-z]+:", link)]


def anchors(document: Path) -> set[str]:
    headings = HEADING.findall(FENCE.sub("", text(document)))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_broken(document: Path, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = document.parent / path if path else document
    return not target.exists() or bool(anchor and anchor not in anchors(target))


def test_every_link_inside_the_repository_leads_somewhere() -> None:
    broken = [(relative(d), link) for d in documents() for link in links(d) if is_broken(d, link)]
    assert broken == []


def test_every_document_that_a_page_of_the_service_links_exists_and_is_called_so() -> None:
    templates = (ROOT / "src/alert_history/web/pages/templates").rglob("*.jinja")
    texts = {path.name: path.read_text() for path in templates}
    links = [link for text in texts.values() for link in re.findall(r'\{\{ doc\("([^"]+)", "([^"]+)"\) \}\}', text)]
    assert len(links) >= 10
    for path, words in links:
        document = ROOT / "docs" / path
        assert document.is_dir() or HEADING.search(document.read_text())[1] == words  # type: ignore[index]  # it has one
    assert [name for name, text in texts.items() if re.search(r"<code>docs/[a-z]", text)] == []


def test_every_document_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        document = ahead.pop().resolve()
        if document.suffix == ".md" and document.is_file() and document not in reached:
            reached.add(document)
            ahead += [document.parent / link.partition("#")[0] for link in links(document)]
    folders_of_fragments = {ROOT / "changelog.d"}
    unreached = {d for d in documents() if d.parent not in folders_of_fragments} - reached
    assert sorted(map(relative, unreached)) == []


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", text(ROOT / "Makefile"), re.MULTILINE))
    named = {target for document in documents() for target in MAKE_TARGET.findall(text(document))}
    assert named
    assert named - targets == set()


def test_every_command_that_a_document_names_exists() -> None:
    command = [sys.executable, "-m", "alert_history", "--help"]
    usage = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    named = {name for document in documents() for name in COMMAND.findall(text(document))}
    assert named
    assert named - set(re.findall(r"[a-z]+", usage)) == set()


def test_every_path_that_a_document_names_exists() -> None:
    named = {(relative(d), path) for d in documents() for path in NAMED_PATH.findall(text(d))}
    assert named
    assert sorted((where, path) for where, path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("what", OF_ONE_MACHINE)
def test_no_file_names(what: str) -> None:
    places = []
    for path in repository_files():
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        places += [f"{relative(path)}:{i}" for i, line in enumerate(lines, 1) if OF_ONE_MACHINE[what].search(line)]
    assert places == []
