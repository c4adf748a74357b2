"""The page on importing files keeps its word: its example comes to what it says, in each of its forms.

Holds: `origins.imports.csv`, `origins.imports.jsonl`, `origins.imports.columns`.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from alert_history.origins.imports.columns import Columns
from alert_history.ports import StoredAlert
from tests.imports import Past, read_past

PAGE = (Path(__file__).parents[2] / "docs/how-to/import-files.md").read_text()
PROSE = " ".join(PAGE.split())


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


@pytest.fixture
async def incidents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Past:
    """What becomes of the table of the page."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "incidents.csv").write_text(block("csv"))
    return await read_past("csv", file="incidents.csv")


async def test_the_example_has_the_firings_that_the_page_says(incidents: Past) -> None:
    first, second, late = incidents.firings
    assert first.labels == {"alertname": "DiskFull", "severity": "critical", "instance": "db-1", "team": "storage"}
    assert second.starts_at == datetime(2026, 2, 2, 22, 10, tzinfo=UTC)
    assert second.annotations == {"summary": "/var is full\nagain"}
    assert late.labels == {"alertname": "BackupLate", "severity": "warning", "team": "storage"}
    assert (late.starts_at, late.ends_at) == (datetime(2026, 2, 3, tzinfo=UTC), None)


async def test_the_example_is_refused_in_the_words_of_the_page(incidents: Past) -> None:
    ((place, reason),) = incidents.reasons
    assert f"*{place}: {reason}*" in PROSE


async def test_the_line_of_json_is_the_first_row_of_the_table(incidents: Past, tmp_path: Path) -> None:
    (tmp_path / "line.jsonl").write_text(block("json"))
    (line,) = (await read_past("jsonl", file="line.jsonl")).firings
    assert replace(line, place="") == replace(incidents.firings[0], place="")


def test_the_page_names_each_column_that_is_read_and_no_other() -> None:
    table = PAGE.partition("| column |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [line.split("|")[1:3] for line in table]
    named = {name for row in cells for cell in row for name in re.findall(r"`([\w.]+)`", cell)}
    assert named == {name for name in named if Columns([name]).used}
    exported = {name for name in StoredAlert.__struct_fields__ if Columns([name]).used}
    assert exported <= named
    left_out = set(StoredAlert.__struct_fields__) - exported
    derived = {"id", "fingerprint", "timestamp", "expires_at", "state", "state_reason", "imported_at", "import_id"}
    derived.add("is_archived")
    assert left_out == derived
