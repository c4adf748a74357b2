"""An archive's files hold rows exactly, whichever release wrote them."""

from datetime import UTC, datetime

import msgspec
import pytest

from alert_history.domain.archive_tables import EVENTS, QUARANTINE, Column, Row
from alert_history.errors import ArchiveFault
from alert_history.storage.shared.parquet import ParquetFormat

LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)
ROWS: list[Row] = [
    ("a" * 16, FIRST, 1, "fired", LAST, None, '{"b":1}'),
    ("b" * 16, LAST, 2**62, "resolved", FIRST, "r-ü", None),
]


def test_rows_come_out_as_they_went_in() -> None:
    data = ParquetFormat().encode(EVENTS, ROWS)
    assert list(ParquetFormat().decode(EVENTS, data)) == ROWS
    assert list(ParquetFormat().decode(EVENTS, data, only=["key", "at"])) == [(row[2], row[4]) for row in ROWS]


def test_what_an_earlier_release_did_not_know_is_missing() -> None:
    data = ParquetFormat().encode(EVENTS, ROWS)
    later = msgspec.structs.replace(EVENTS, columns=(*EVENTS.columns, Column("actor", "text", is_nullable=True)))
    assert list(ParquetFormat().decode(later, data)) == [(*row, None) for row in ROWS]


def test_what_only_a_later_release_knows_is_left_out() -> None:
    later = msgspec.structs.replace(EVENTS, columns=(*EVENTS.columns, Column("actor", "text", is_nullable=True)))
    data = ParquetFormat().encode(later, [(*row, "ada") for row in ROWS])
    assert list(ParquetFormat().decode(EVENTS, data)) == ROWS


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no file of ours" * 99])
def test_what_is_no_parquet_is_refused(data: bytes) -> None:
    with pytest.raises(ArchiveFault):
        list(ParquetFormat().decode(EVENTS, data))


def test_a_file_of_another_table_is_refused() -> None:
    with pytest.raises(ArchiveFault):
        list(ParquetFormat().decode(QUARANTINE, ParquetFormat().encode(EVENTS, ROWS)))
