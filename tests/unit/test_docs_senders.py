"""What the page on senders tells is tested: no line of its tables is without a test, and each test is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "senders.md").read_text()
NAMED = re.compile(r"`(test_\w+)`")


def existing_tests() -> set[str]:
    """The names of all tests against real senders."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tests" / "e2e").glob("test_real_*.py")]
    nodes = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name for node in nodes if node.name.startswith("test_")}


def rows() -> list[list[str]]:
    """The cells of each row in tables that say by what a line is held."""
    tables = re.findall(r"^\|.*held by \|\n\|[ |-]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [line.strip("|\n").split(" | ") for table in tables for line in table.splitlines()]


def test_every_test_that_the_page_names_exists() -> None:
    named = set(NAMED.findall(PAGE))
    assert named
    assert named - existing_tests() == set()


def test_every_line_that_was_seen_names_the_test_that_holds_it() -> None:
    assert rows()
    assert [cells for cells in rows() if not NAMED.search(cells[-1])] == []
