"""CONTRIBUTING sends nobody to a file that is not there, and tells of everything that is added often."""

import re

import pytest

from tests.unit.test_docs import ROOT, text

DOCUMENT = ROOT / "CONTRIBUTING.md"
TOKEN = re.compile(r"(?<!`)`([^`\s]+)`")
PATH = re.compile(r"\.?[\w-]+(?:/[\w.-]+)+/?|[\w-]+\.(?:py|toml|md|jinja)")
EXAMPLES = {"NOUN.py", "SLUG.KIND.md"}
FOLDERS = [ROOT, ROOT / "src/alert_history", ROOT / "src/alert_history/web/pages/templates", ROOT / "changelog.d"]


def prose() -> str:
    return re.sub(r"^```.*?^```", "", text(DOCUMENT), flags=re.MULTILINE | re.DOTALL)


def named_paths(words: str) -> set[str]:
    tokens = {token for token in TOKEN.findall(words) if PATH.fullmatch(token)}
    return {token for token in tokens if token not in EXAMPLES and not token.endswith(".fixed.md")}


def recipes() -> dict[str, str]:
    """The lists of "How to add …", by what is added."""
    (section,) = re.findall(r"^## How to add …$(.*?)^## ", prose(), re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", section, re.MULTILINE | re.DOTALL))


def test_every_path_that_is_named_exists() -> None:
    paths = named_paths(prose())
    assert len(paths) > 30
    assert sorted(path for path in paths if not any((folder / path).exists() for folder in FOLDERS)) == []


@pytest.mark.parametrize(
    "what",
    [
        "a migration",
        "a table or a query",
        "a column of the database",
        "a metric",
        "a page",
        "an HTTP call",
        "a source",
        "a target",
        "a setting",
    ],
)
def test_each_recipe_is_numbered_and_names_files_of_the_code(what: str) -> None:
    recipe = recipes()[what]
    steps = re.findall(r"^(\d+)\. ", recipe, re.MULTILINE)
    assert steps == [str(i) for i in range(1, len(steps) + 1)]
    assert 3 <= len(steps) <= 5
    assert any(path.startswith("src/alert_history/") for path in named_paths(recipe))
    assert any(path.startswith("tests/") for path in named_paths(recipe)) or "make test" in recipe
