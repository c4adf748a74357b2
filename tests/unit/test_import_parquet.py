"""Parquet: maps, structs and JSON, times of any unit; what can't be a firing is refused by its row.

Holds: `origins.imports.parquet`.
"""

import io
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alert_history.domain.past_firing import PastFiring
from alert_history.errors import ImportFault
from tests.imports import Past, read_past

START = datetime(2026, 1, 31, 10, 0, 0, 123_000, tzinfo=UTC)
LABELS = {"alertname": "A", "pod": "p"}


def file_of(folder: Path, columns: Mapping[str, Any], **how: Any) -> Path:
    path = folder / "alerts.parquet"
    pq.write_table(pa.table(dict(columns)), path, **how)
    return path


async def taken(folder: Path, columns: Mapping[str, Any]) -> Past:
    return await read_past("parquet", file=file_of(folder, columns))


async def only(folder: Path, columns: Mapping[str, Any]) -> PastFiring:
    past = await taken(folder, columns)
    assert past.refused == []
    (firing,) = past.firings
    return firing


TEXTS = pa.map_(pa.string(), pa.string())


@pytest.mark.parametrize(
    "columns",
    [
        {"labels": pa.array([list(LABELS.items())], TEXTS)},
        {"labels": pa.array([{**LABELS, "none": None}])},
        {"labels": ['{"alertname":"A","pod":"p"}']},
        {"label.pod": ["p"], "alertname": ["A"]},
        {"labels.pod": ["p"], "labels.alertname": pa.array(["A"]).dictionary_encode()},
    ],
)
async def test_labels_may_be_a_map_a_struct_json_or_columns(columns: dict[str, Any], tmp_path: Path) -> None:
    assert await only(tmp_path, {**columns, "starts_at": [START]}) == PastFiring(
        LABELS, START, place=f"{tmp_path / 'alerts.parquet'}, row 1"
    )


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
async def test_times_may_have_any_unit_and_zone(unit: str, zone: str | None, tmp_path: Path) -> None:
    nanoseconds = int(START.timestamp() * 1000) * 1_000_000 + (456 if unit == "ns" else 0)
    value = nanoseconds // {"ms": 1_000_000, "us": 1000, "ns": 1}[unit]
    starts = pa.array([value]).cast(pa.timestamp(unit, tz=zone))
    assert (await only(tmp_path, {"alertname": ["A"], "starts_at": starts})).starts_at == START


async def test_a_time_may_be_a_date_a_number_or_a_text(tmp_path: Path) -> None:
    for starts in ([date(2026, 1, 31)], [1769817600], ["2026-01-31T00:00:00Z"]):
        firing = await only(tmp_path, {"alertname": ["A"], "starts_at": starts})
        assert firing.starts_at == datetime(2026, 1, 31, tzinfo=UTC)


async def test_columns_that_nobody_knows_are_passed_by(tmp_path: Path) -> None:
    columns = {"alertname": ["A"], "x": [b"\xff"], "starts_at": [START], "labelled": [[1, 2]]}
    assert (await only(tmp_path, columns)).labels == {"alertname": "A"}


async def test_a_bad_row_says_why_and_its_neighbours_go_on(tmp_path: Path) -> None:
    starts = pa.array([1, None, 2**62, 3]).cast(pa.timestamp("us", tz="UTC"))
    past = await taken(tmp_path, {"alertname": ["A", "B", "C", "D"], "starts_at": starts})
    assert past.named == ["A", "D"]
    path = tmp_path / "alerts.parquet"
    assert past.reasons[0] == (f"{path}, row 2", "it has no starts_at")
    assert past.reasons[1][0] == f"{path}, row 3"
    assert past.reasons[1][1].startswith("starts_at is 'beyond what a time can be")
    assert past.refused[0].raw == b'{"alertname":"B"}'


async def test_rows_are_counted_over_batches_and_row_groups(tmp_path: Path) -> None:
    names = ["A"] * 2500 + [""] + ["B"] * 2500
    path = file_of(tmp_path, {"alertname": names, "starts_at": [START] * 5001}, row_group_size=700)
    past = await read_past("parquet", file=path)
    assert past.reasons == [(f"{path}, row 2501", "it has no labels")]
    assert past.firings[-1].place == f"{path}, row 5001"
    assert past.done[-1] == pytest.approx(1.0)
    assert len(past.done) >= 6


@pytest.mark.parametrize("content", [b"", b"PAR1", b"alertname,starts_at\n", b"PAR1" + bytes(5000) + b"PAR1"])
async def test_a_file_that_is_no_parquet_is_refused_as_a_whole(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "alerts.parquet"
    path.write_bytes(content)
    with pytest.raises(ImportFault, match=rf"^{path}, byte 0: it is no sound Parquet file: "):
        await read_past("parquet", file=path)


async def test_a_file_that_is_damaged_is_named_with_the_row(tmp_path: Path) -> None:
    names = [f"{i:x}" * 50 for i in range(20_000)]
    path = file_of(tmp_path, {"alertname": names, "starts_at": [START] * 20_000}, row_group_size=5_000)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes(2000) + content[middle + 2000 :])
    with pytest.raises(ImportFault, match=rf"^{path}, row [\d]+: it is no sound Parquet file: "):
        await read_past("parquet", file=path)


async def test_a_table_without_a_start_is_refused_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(ImportFault, match="byte 0: the file has no such rows: no column is called starts_at"):
        await taken(tmp_path, {"alertname": ["A"]})


async def test_a_table_without_rows_holds_nothing(tmp_path: Path) -> None:
    assert (await taken(tmp_path, {"alertname": [], "starts_at": []})).firings == []


async def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = file_of(tmp_path, {"alertname": ["A"], "starts_at": [START]})
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(path.read_bytes())))
    assert (await read_past("parquet", file="-")).named == ["A"]
