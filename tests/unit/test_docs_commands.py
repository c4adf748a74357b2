"""What the documents tell a reader to type is there: options, calls, values of the chart.

The deployment guide has tests of its own besides.
"""

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from alert_history.bootstrap import make_application, make_service
from alert_history.config import load_settings
from tests.unit.test_docs import ROOT, documents, links, relative, repository_files, text

DOCUMENTS_FOLDER = ROOT / "docs"
CHART = ROOT / "charts" / "alert-history"
COMMAND = re.compile(
    r"(?:^|`|-- |&& )alert-history (token [a-z]+|import [a-z]+|[a-z]+)((?: [^\s`|;&]+)*)", re.MULTILINE
)
OPTION = re.compile(r"(?<=\s)--?[a-z][a-z-]*")
CALL = re.compile(r"localhost:8080(/[\w./:{}-]*)")
SET = re.compile(r"--set(?:-string)? ([\w.\[\]-]+)=")
WITHOUT_A_DESCRIPTION = {"/docs", "/classifications"}  # pages


def whole_lines(document: Path) -> str:
    """Its text with shell lines that go on in the next one joined."""
    return re.sub(r" *\\\n *", " ", text(document))


HINT = re.compile(r"pip install '([^']+)'")


def test_what_is_to_be_installed_is_a_requirement_of_ours_by_the_name_an_index_has() -> None:
    """We are on no package index ourselves, so `alert-history[parquet]` would be nobody's package, or a stranger's."""
    extras = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    files = [
        path
        for path in repository_files()
        if path.suffix in {".md", ".py"} and "tests" not in path.relative_to(ROOT).parts
    ]
    hints = {hint for path in files for hint in HINT.findall(text(path))}
    assert hints == {requirement for extra in extras.values() for requirement in extra}


@cache
def options_of(command: str) -> frozenset[str]:
    done = subprocess.run(
        [sys.executable, "-m", "alert_history", *command.split(), "--help"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={"COLUMNS": "200", "TERM": "dumb"},
    )
    return frozenset(OPTION.findall(" " + re.sub(r"[│╭╰(),]", " ", done.stdout)))


@pytest.mark.long
def test_every_option_that_a_document_tells_to_give_exists() -> None:
    uses = {
        (relative(document), command, option)
        for document in documents()
        for command, words in COMMAND.findall(whole_lines(document))
        for option in OPTION.findall(words)
    }
    assert {command for _, command, _ in uses} >= {"archive", "classify", "export", "migrate", "replay", "restore"}
    assert sorted(each for each in uses if each[2] not in options_of(each[1])) == []


async def test_every_call_that_a_document_makes_exists() -> None:
    application: Any = make_application(make_service(load_settings({"DATABASE_URL": "sqlite:///never-opened.db"})))
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        described = (await client.get("/openapi.json")).json()["paths"]
    patterns = [re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) for path in described]
    called = {(relative(d), path) for d in documents() for path in CALL.findall(text(d)) if path != "/"}
    assert called
    unknown = {each for each in called if not any(re.fullmatch(pattern, each[1]) for pattern in patterns)}
    assert sorted(each for each in unknown if each[1] not in WITHOUT_A_DESCRIPTION) == []


def test_every_value_of_the_chart_that_a_document_sets_exists() -> None:
    set_there = {(relative(d), key) for d in documents() for key in SET.findall(whole_lines(d))}
    assert set_there
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert sorted((where, key) for where, key in set_there if not is_there(defaults, key)) == []


def is_there(values: object, key: str) -> bool:
    """Whether the chart has it. What stands in a list has no default."""
    for part in key.split("."):
        name = part.partition("[")[0]
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
        if "[" in part:
            return isinstance(values, list)
    return True


@pytest.mark.parametrize("folder", ["", "reference/targets", "runbooks"])
def test_an_index_lists_every_page_once(folder: str) -> None:
    index = DOCUMENTS_FOLDER / folder / "index.md"
    below = {path.parent for path in index.parent.rglob("index.md")} - {index.parent}
    pages = [path for path in index.parent.rglob("*.md") if path != index and not below & {*path.parents}]
    listed = [(index.parent / link.partition("#")[0]).resolve() for link in links(index)]
    assert pages
    assert {relative(path): listed.count(path) for path in pages if listed.count(path) != 1} == {}
