"""CSV: tables of people, of other programs and of our export become firings; a bad record costs no other record.

Holds: `origins.imports.csv`, `origins.imports.columns`.
"""

import gzip
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alert_history.domain.past_firing import PastFiring
from alert_history.errors import ImportFault
from alert_history.origins.imports.csv import ORIGIN
from alert_history.ports.past_origins import ImportRequest
from tests.imports import NOW, Past, read_past

START = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
END = datetime(2026, 1, 31, 11, 30, tzinfo=UTC)
HEADER = "alertname,starts_at,ends_at,label.pod,note"
ROW = "DiskFull,2026-01-31T10:00:00Z,2026-01-31T11:30:00Z,web-1,x"


def file_of(folder: Path, content: str | bytes) -> Path:
    path = folder / "alerts.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


async def taken(folder: Path, content: str | bytes) -> Past:
    return await read_past("csv", file=file_of(folder, content))


async def only(folder: Path, content: str | bytes) -> PastFiring:
    past = await taken(folder, content)
    assert past.refused == []
    (firing,) = past.firings
    return firing


async def test_a_table_that_a_person_wrote_is_taken(tmp_path: Path) -> None:
    table = "alertname,severity,instance,starts_at,ends_at\nDiskFull,page,db-1,2026-01-31 10:00,2026-01-31 11:30\n"
    assert await only(tmp_path, table) == PastFiring(
        {"alertname": "DiskFull", "severity": "page", "instance": "db-1"},
        START,
        END,
        place=f"{tmp_path / 'alerts.csv'}, line 2",
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_what_a_spreadsheet_saves_is_taken(delimiter: str, end: str, tmp_path: Path) -> None:
    text = end.join(["", *[line.replace(",", delimiter) for line in (HEADER, ROW, ROW)], ""]).lstrip()
    past = await taken(tmp_path, b"\xef\xbb\xbf" + text.encode())
    assert [firing.labels for firing in past.firings] == [{"alertname": "DiskFull", "pod": "web-1"}] * 2
    assert past.refused == []


async def test_columns_that_nobody_knows_are_passed_by(tmp_path: Path) -> None:
    text = "who,alertname,why,starts_at,who\nada,A,,2026-01-31T10:00:00Z,grace\n"
    assert (await only(tmp_path, text)).labels == {"alertname": "A"}


async def test_labels_and_annotations_may_be_json(tmp_path: Path) -> None:
    text = (
        "labels,annotations,starts_at,details\n"
        '"{""alertname"":""A"",""n"":7,""e"":""""}","{""s"":[1]}",2026-01-31T10:00:00Z,"{""a"":1}"\n'
    )
    firing = await only(tmp_path, text)
    assert (firing.labels, firing.annotations) == ({"alertname": "A", "n": "7"}, {"s": "[1]"})
    assert firing.details == {"a": 1}


async def test_lines_are_those_of_the_file_where_cells_span_several(tmp_path: Path) -> None:
    spanning = 'DiskFull,2026-01-31T10:00:00Z,2026-01-31T11:30:00Z,"a\nb\n\nc",x'
    past = await taken(tmp_path, f"{HEADER}\n{spanning}\n\nbad,row\n{spanning}\n{ROW}")
    assert [firing.labels["pod"] for firing in past.firings] == ["a\nb\n\nc", "a\nb\n\nc", "web-1"]
    path = tmp_path / "alerts.csv"
    assert [firing.place for firing in past.firings] == [f"{path}, line {n}" for n in (2, 8, 12)]
    assert past.reasons == [(f"{path}, line 7", "it has 2 cells, and there are 5 columns")]


async def test_the_mark_before_a_formula_is_taken_off_and_other_marks_stay(tmp_path: Path) -> None:
    cells = ["'=1+1", "''-1", "'quoted'", "'", "x"]
    text = "\n".join(["alertname,starts_at", *(f"{cell},2026-01-31T10:00:00Z" for cell in cells)])
    assert (await taken(tmp_path, text)).named == ["=1+1", "'-1", "'quoted'", "'", "x"]


@pytest.mark.parametrize(
    "bad, reason",
    [
        ("DiskFull,soon,,,", "starts_at is 'soon', no time: write RFC 3339, as in 2026-01-31T12:00:00Z"),
        (",2026-01-31T10:00:00Z,,,", "it has no labels"),
        ('"DiskFull"x,2026-01-31T10:00:00Z,,,', "',' expected after '\"'"),
        ("DiskFull,2026-01-31T10:00:00Z,,\rx,", "new-line character seen in unquoted field"),
        ("DiskFull,2026-01-31T10:00:00Z,,,,", "it has 6 cells, and there are 5 columns"),
    ],
)
async def test_a_bad_record_says_why_and_its_neighbours_go_on(bad: str, reason: str, tmp_path: Path) -> None:
    past = await taken(tmp_path, f"{HEADER}\n{ROW}\n{bad}\n{ROW}")
    assert past.named == ["DiskFull", "DiskFull"]
    ((place, said),) = past.reasons
    assert place == f"{tmp_path / 'alerts.csv'}, line 3"
    assert said.startswith(reason)
    assert past.refused[0].raw == bad.encode()


async def test_bytes_that_are_no_utf8_refuse_their_record_alone(tmp_path: Path) -> None:
    bad = b'DiskFull,2026-01-31T10:00:00Z,,"a\n\xff\nb",x'
    past = await taken(tmp_path, b"\n".join([HEADER.encode(), ROW.encode(), bad, ROW.encode()]))
    assert past.named == ["DiskFull", "DiskFull"]
    assert past.reasons == [(f"{tmp_path / 'alerts.csv'}, line 3", "it is no UTF-8")]
    assert past.refused[0].raw == bad


async def test_a_quotation_mark_that_is_never_closed_costs_its_line_alone(tmp_path: Path) -> None:
    past = await taken(tmp_path, f'{HEADER}\n{ROW}\nDiskFull,"2026\n{ROW}\n{ROW}')
    assert past.named == ["DiskFull"] * 3
    assert past.reasons == [(f"{tmp_path / 'alerts.csv'}, line 3", "unexpected end of data")]


@pytest.mark.parametrize("line, number", [(ROW, 60_000), ("", 140_000)])
async def test_a_quotation_mark_that_is_never_closed_does_not_swallow_a_large_file(
    line: str, number: int, tmp_path: Path
) -> None:
    path = file_of(tmp_path, "\n".join([HEADER, 'DiskFull,"2026', *[line] * number, ROW, ""]))
    firings, refused = 0, []
    tracemalloc.start()
    async for batch in ORIGIN.read(ImportRequest({"file": (str(path),)}, NOW)):
        firings += len(batch.firings)
        refused += [(row.place, row.reason) for row in batch.refused]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reason = "it has more than 4,194,304 bytes, or a quotation mark that is not closed"
    assert refused == [(f"{path}, line 2", reason)]
    assert firings == (number * bool(line) + 1)
    assert peak < 40 * 1024 * 1024


async def test_a_record_that_is_too_long_is_refused(tmp_path: Path) -> None:
    past = await taken(tmp_path, "\n".join([HEADER, ROW, f"{'x' * 10_000_000},2026-01-31,,,", ROW]))
    assert past.named == ["DiskFull", "DiskFull"]
    assert [place for place, _ in past.reasons] == [f"{tmp_path / 'alerts.csv'}, line 3"]
    assert len(past.refused[0].raw) == 64 * 1024


async def test_a_cell_may_be_longer_than_the_module_allows_by_itself(tmp_path: Path) -> None:
    firing = await only(tmp_path, f'alertname,starts_at,annotations.a\nA,2026-01-31,"{"x" * 200_000}"\n')
    assert len(firing.annotations["a"]) == 200_000


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "the file is empty; a CSV file begins with a header"),
        (b"\n\n", "this is no header of a CSV file: it is empty"),
        (b"alertname,began\nA,2026-01-31\n", "this is no header of a CSV file: no column is called starts_at"),
        (b"starts_at,alertname,starts_at\n", "this is no header of a CSV file: two columns are called 'starts_at'"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "this is no header of a CSV file: "),
        (b"\x00" * 9_000_000, "it has more than 4,194,304 bytes"),
    ],
)
async def test_a_file_that_is_no_such_table_is_refused_as_a_whole(content: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ImportFault) as caught:
        await taken(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'alerts.csv'}, line 1: {reason}")


async def test_a_packed_table_is_read_and_how_far_it_is_read_is_known(tmp_path: Path) -> None:
    path = file_of(tmp_path, gzip.compress("\n".join([HEADER, *[ROW] * 20_000]).encode()))
    past = await read_past("csv", file=path)
    assert len(past.firings) == 20_000
    assert past.done == sorted(past.done)  # type: ignore[type-var]  # each is a number
    assert past.done[-1] == 1.0
