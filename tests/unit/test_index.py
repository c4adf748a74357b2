"""The index of which tests hold which module is true, and has a line for every module."""

from pathlib import Path

import pytest

from tests import index


def test_the_index_is_what_the_tests_say() -> None:
    assert index.INDEX.read_text(encoding="utf-8") == index.render(), "write it anew: make index"


def test_every_module_is_held_by_a_test_or_by_those_of_who_imports_it() -> None:
    rows = index.render().splitlines()
    assert [row for row in rows if row.endswith("|  |")] == []


def test_a_name_that_a_package_hands_on_counts_for_the_module_that_defines_it(tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text("from alert_history.ports import HistoryFilter")
    assert index.held_by(path, index.source_modules()) == {"alert_history.ports.history"}


def test_a_line_of_the_docstring_names_what_no_import_shows(tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text('"""Export.\n\nHolds: `cli.export`, `errors`.\n"""')
    assert index.held_by(path, index.source_modules()) == {"alert_history.cli.export", "alert_history.errors"}


def test_a_line_that_names_no_module_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text('"""Holds: `cli.no_such_module`."""')
    with pytest.raises(ValueError, match=r"test_x\.py holds cli\.no_such_module"):
        index.held_by(path, index.source_modules())
