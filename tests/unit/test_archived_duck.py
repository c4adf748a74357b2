"""DuckDB is locked: it opens the files of a question and nothing else, and stops in time.

Holds: `storage.archived.duck`.
"""

import shutil
from pathlib import Path

import pytest

from alert_history.errors import ArchiveFault, QueryTimeout
from alert_history.storage.archived import duck
from alert_history.storage.archived.duck import Duck, Question


@pytest.fixture
def own(tmp_path: Path) -> str:
    """The path of a file that a question may open."""
    path = tmp_path / "own.csv"
    path.write_text("a\n1\n")
    return str(path)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_parquet('{other}')",
        "COPY (SELECT 1) TO '{other}.csv'",
        "ATTACH '{other}.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET lock_configuration = false",
        "SELECT * FROM glob('/etc/*')",
    ],
)
async def test_a_question_reaches_its_own_files_and_nothing_else(own: str, sql: str) -> None:
    other = shutil.copy(own, own.replace("own", "other"))
    reads_own = Question("SELECT count(*) > 0 FROM read_csv(?)", [own], [own])
    assert await Duck().ask(reads_own) == [(True,)]
    with pytest.raises(ArchiveFault):
        await Duck().ask(Question(sql.replace("{other}", other), [], [own]))


async def test_a_question_that_takes_too_long_is_broken_off(own: str) -> None:
    reader = Duck()
    with pytest.raises(QueryTimeout):
        await reader.ask(Question("SELECT sum(hash(range)) FROM range(100000000000)", [], [own]), seconds=0.2)
    assert await reader.ask(Question("SELECT 1", [], [own])) == [(1,)]


async def test_a_question_that_needs_too_much_memory_is_refused(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duck, "_OPEN", {**duck._OPEN, "memory_limit": "20MB"})  # noqa: SLF001
    with pytest.raises(QueryTimeout, match="memory"):
        await Duck().ask(Question("SELECT list(range ORDER BY hash(range)) FROM range(9000000)", [], [own]), seconds=60)
