"""Times as other programs write them. Holds: `origins.imports.times`."""

from datetime import UTC, datetime
from typing import Any

import pytest

from alert_history.origins.imports.times import cut_to_milliseconds, read_past_time

NOON = datetime(2025, 10, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2025-10-08T12:00:00Z",
        "2025-10-08T12:00:00",
        "2025-10-08 12:00:00+00:00",
        "2025-10-08 14:00:00+02",
        "2025-10-08T15:30:00+0330",
        "2025-10-08 12:00:00 +0000 UTC",
        "2025-10-08 12:00:00 +0000 UTC m=+0.007",
        "2025-10-08 14:00:00 +0200 CEST",
        " 2025-10-08T12:00:00.000000000Z ",
        "1759924800",
        1_759_924_800,
        1_759_924_800.0,
        1_759_924_800_000,
        "1759924800000",
        1_759_924_800_000_000,
        1_759_924_800_000_000_000,
    ],
)
def test_a_time_is_read_in_each_form(text: Any) -> None:
    assert read_past_time(text) == NOON


@pytest.mark.parametrize("value", [None, "", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", 0, -1, 0.0])
def test_what_means_no_time_is_none(value: Any) -> None:
    assert read_past_time(value) is None


@pytest.mark.parametrize(
    "value",
    ["soon", "infinity", "2025-13-01T00:00:00Z", "2025-10-08", "9999-12-31T23:59:59-01:00", True, [], {}, 1e30, "nan"],
)
def test_what_is_no_time_is_said_to_be_none(value: Any) -> None:
    with pytest.raises(ValueError, match="is no time"):
        read_past_time(value)


def test_a_fraction_is_cut_and_not_rounded() -> None:
    assert read_past_time("2025-10-08T12:00:00.1239999Z") == NOON.replace(microsecond=123_999)
    assert cut_to_milliseconds(NOON.replace(microsecond=123_999)) == NOON.replace(microsecond=123_000)
    assert read_past_time("2025-10-08T12:00:00.5") == NOON.replace(microsecond=500_000)
