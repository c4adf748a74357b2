"""JSON lines: what a person, our export and Alertmanager write becomes firings, and a bad line costs no other line.

Holds: `origins.imports.jsonl`, `origins.imports.lines`, `origins.imports.files`, `origins.imports.rows`.
"""

import asyncio
import gzip
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from alert_history.domain.past_firing import PastFiring
from alert_history.errors import ConfigurationError, ImportFault
from alert_history.origins.imports.jsonl import ORIGIN
from alert_history.ports.past_origins import ImportRequest
from alert_history.zstd import compress
from tests.imports import NOW, Past, read_past

START = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
END = datetime(2026, 1, 31, 11, 30, tzinfo=UTC)
SMALLEST = {"alertname": "DiskFull", "starts_at": "2026-01-31T10:00:00Z", "ends_at": "2026-01-31T11:30:00Z"}


def file_of(folder: Path, *rows: Any, name: str = "alerts.jsonl") -> Path:
    path = folder / name
    lines = [row if isinstance(row, bytes) else row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    return path


async def taken(folder: Path, *rows: Any) -> Past:
    return await read_past("jsonl", file=file_of(folder, *rows))


async def only(folder: Path, row: Any) -> PastFiring:
    past = await taken(folder, row)
    assert past.refused == []
    (firing,) = past.firings
    return firing


async def refusal(folder: Path, row: Any) -> str:
    """Why the row is refused, between two rows that are taken."""
    past = await taken(folder, SMALLEST, row, SMALLEST)
    assert past.named == ["DiskFull", "DiskFull"]
    ((place, reason),) = past.reasons
    assert place == f"{folder / 'alerts.jsonl'}, line 2"
    return reason


async def test_a_name_and_two_times_are_enough(tmp_path: Path) -> None:
    assert await only(tmp_path, SMALLEST) == PastFiring(
        {"alertname": "DiskFull"}, START, END, place=f"{tmp_path / 'alerts.jsonl'}, line 1"
    )


async def test_four_labels_may_be_columns(tmp_path: Path) -> None:
    named = {"alertname": "A", "severity": "critical", "namespace": "shop", "instance": "db-1"}
    assert (await only(tmp_path, {**named, "starts_at": "2026-01-31"})).labels == named


async def test_labels_stand_before_columns_of_the_same_name(tmp_path: Path) -> None:
    row = {**SMALLEST, "severity": "info", "labels": {"alertname": "A", "pod": "p"}}
    assert (await only(tmp_path, row)).labels == {"alertname": "A", "pod": "p", "severity": "info"}


async def test_labels_may_be_columns_of_their_own(tmp_path: Path) -> None:
    row = {**SMALLEST, "label.pod": "p", "labels.port": 9100, "label.empty": "", "annotations.summary": "full"}
    firing = await only(tmp_path, row)
    assert firing.labels == {"alertname": "DiskFull", "pod": "p", "port": "9100"}
    assert firing.annotations == {"summary": "full"}


async def test_an_object_of_labels_stands_before_columns_of_single_labels(tmp_path: Path) -> None:
    row = {**SMALLEST, "labels": {"alertname": "A"}, "label.pod": "p"}
    for annotations in ({}, {"annotations": {"summary": "s"}}):
        assert (await only(tmp_path, {**row, **annotations})).labels == {"alertname": "A"}


async def test_a_label_without_a_value_is_no_label(tmp_path: Path) -> None:
    row = {**SMALLEST, "labels": {"alertname": "A", "empty": ""}}
    assert (await only(tmp_path, row)).labels == {"alertname": "A"}
    assert (await only(tmp_path, {**row, "labels": {"alertname": "A", "none": None}})).labels == {"alertname": "A"}


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T10:00:00Z",
        "2026-01-31T13:00:00+03:00",
        "2026-01-31T10:00:00.000000000Z",
        "2026-01-31T10:00:00",
        "2026-01-31 10:00:00",
        "2026-01-31 10:00",
        1769853600,
        1769853600.0,
        1769853600000,
        "1769853600",
        "1769853600000",
    ],
)
async def test_a_time_may_be_written_as(text: str | int, tmp_path: Path) -> None:
    assert (await only(tmp_path, {**SMALLEST, "starts_at": text})).starts_at == START


async def test_a_date_is_its_midnight_in_utc(tmp_path: Path) -> None:
    assert (await only(tmp_path, {**SMALLEST, "starts_at": "2026-01-31"})).starts_at == START.replace(hour=0)


async def test_unix_times_keep_their_fraction(tmp_path: Path) -> None:
    for value in (1769853600.25, "1769853600.25", 1769853600250):
        firing = await only(tmp_path, {**SMALLEST, "starts_at": value})
        assert firing.starts_at == START + timedelta(milliseconds=250)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "-24h",
        "now",
        "20260131",
        20260131,
        True,
        {"at": 1},
        [],
        "2026-02-30T00:00:00Z",
        1e300,
        -1e12,
        "9" * 400,
    ],
)
async def test_a_start_that_is_no_time_refuses_the_row(text: Any, tmp_path: Path) -> None:
    assert "starts_at is" in await refusal(tmp_path, {**SMALLEST, "starts_at": text})


async def test_a_row_without_an_end_fires_still(tmp_path: Path) -> None:
    firing = await only(tmp_path, {"alertname": "A", "starts_at": "2026-01-31T10:00:00Z"})
    assert (firing.ends_at, firing.last_seen_at) == (None, None)


async def test_an_end_that_is_ahead_is_none_without_a_status(tmp_path: Path) -> None:
    """Prometheus posts when a firing alert ends unless it is sent again."""
    ahead = (NOW + timedelta(minutes=4)).isoformat()
    assert (await only(tmp_path, {**SMALLEST, "ends_at": ahead})).ends_at is None
    assert (await only(tmp_path, {**SMALLEST, "ends_at": NOW.isoformat()})).ends_at == NOW


@pytest.mark.parametrize(
    "row, reason",
    [
        ({"starts_at": "2026-01-31"}, "it has no labels"),
        ({"alertname": "A"}, "it has no starts_at"),
        ({"alertname": "A", "startsAt": "0001-01-01T00:00:00Z"}, "it has no starts_at"),
        ({**SMALLEST, "labels": {"a": 1.5}}, "the value of label 'a' is a number, not a text"),
        ({**SMALLEST, "labels": ["a"]}, "labels is a list, not an object of texts"),
        ({**SMALLEST, "status": "pending"}, "its status is 'pending', neither firing nor resolved"),
        ({**SMALLEST, "status": "resolved", "ends_at": None}, "it is resolved, and has no ends_at"),
        ({**SMALLEST, "repeat_count": -1}, "repeat_count is no whole number from 0 on"),
        ({**SMALLEST, "repeat_count": 2**63}, "repeat_count is no whole number from 0 on"),
        ({**SMALLEST, "ended_by": "me"}, "ended_by is 'me', none of expired, inferred, reconciled, resolved"),
        ({**SMALLEST, "scope": "a b"}, "its scope is no name of letters, digits, dots, hyphens and underscores"),
        (7, "it is a number, not an object"),
        ("[[]]", "it is a list, not an object"),
        (b'{"alertname": "\xff", "starts_at": "2026-01-31"}', "it is no JSON: 'utf-8' codec can't decode byte 0xff"),
        ('{"alertname": "A", "starts_at": "2026-01', "it is no JSON: Input data was truncated"),
        ('{"a": ' * 5000, "it is no JSON: "),
    ],
)
async def test_a_bad_row_says_why_and_its_neighbours_go_on(row: Any, reason: str, tmp_path: Path) -> None:
    if row == "[[]]":
        past = await taken(tmp_path, SMALLEST, row, SMALLEST)
        assert past.reasons == [(f"{tmp_path / 'alerts.jsonl'}, line 2, alert 1", reason)]
    else:
        assert (await refusal(tmp_path, row)).startswith(reason)


async def test_a_refused_row_is_handed_on_as_it_came(tmp_path: Path) -> None:
    (refused,) = (await taken(tmp_path, SMALLEST, '{"alertname":  "A"}')).refused
    assert refused.raw == b'{"alertname":  "A"}'


async def test_what_only_describes_is_made_to_fit(tmp_path: Path) -> None:
    row = {**SMALLEST, "annotations": {"n": 1, "o": {"a": [1]}, "none": None}, "receiver": 7, "details": "none"}
    firing = await only(tmp_path, row)
    assert firing.annotations == {"n": "1", "o": '{"a":[1]}'}
    assert (firing.receiver, firing.details) == ("7", None)


# --- what Alertmanager writes -----------------------------------------------------------------------------------------

WEBHOOK_ALERT = {
    "status": "resolved",
    "labels": {"alertname": "A", "severity": "page"},
    "annotations": {"summary": "s"},
    "startsAt": "2026-01-31T10:00:00.25Z",
    "endsAt": "2026-01-31T11:30:00Z",
    "generatorURL": "http://prometheus/graph",
    "fingerprint": "0011223344556677",
}
MESSAGE = {
    "receiver": "team",
    "status": "firing",
    "alerts": [
        {**WEBHOOK_ALERT, "status": "firing", "endsAt": "0001-01-01T00:00:00Z"},
        WEBHOOK_ALERT,
        "no alert",
    ],
    "groupLabels": {"alertname": "A"},
    "version": "4",
}
HELD = {
    **{name: value for name, value in WEBHOOK_ALERT.items() if name != "status"},
    "endsAt": "2026-01-31T10:05:00Z",
    "updatedAt": "2026-01-31T10:01:00Z",
    "receivers": [{"name": "team"}, {"name": "all"}],
    "status": {"inhibitedBy": [], "silencedBy": ["x"], "state": "suppressed"},
}


async def test_an_alert_of_a_webhook_is_a_row(tmp_path: Path) -> None:
    firing = await only(tmp_path, WEBHOOK_ALERT)
    assert (firing.labels, firing.annotations) == (WEBHOOK_ALERT["labels"], WEBHOOK_ALERT["annotations"])
    assert (firing.starts_at, firing.ends_at) == (START + timedelta(milliseconds=250), END)
    assert firing.generator_url == "http://prometheus/graph"


async def test_a_webhook_message_has_a_row_for_each_alert(tmp_path: Path) -> None:
    past = await taken(tmp_path, MESSAGE)
    assert [firing.ends_at for firing in past.firings] == [None, END]
    assert [firing.receiver for firing in past.firings] == ["team", "team"]
    assert past.firings[1].place == f"{tmp_path / 'alerts.jsonl'}, line 1, alert 2"
    assert past.reasons == [(f"{tmp_path / 'alerts.jsonl'}, line 1, alert 3", "it is a text, not an object")]


async def test_an_alert_that_alertmanager_holds_fires_until_it_was_seen_last(tmp_path: Path) -> None:
    for row in (HELD, {**HELD, "labels": {**WEBHOOK_ALERT["labels"], "n": 1}}):  # type: ignore[dict-item]  # an object
        firing = await only(tmp_path, row)
        assert (firing.ends_at, firing.last_seen_at) == (None, datetime(2026, 1, 31, 10, 1, tzinfo=UTC))
        assert firing.receiver == "team"


async def test_an_answer_of_the_api_is_read_as_it_came(tmp_path: Path) -> None:
    past = await taken(tmp_path, [HELD] * 9000)
    assert len(past.firings) == 9000
    assert len(past.done) >= 3  # in batches


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, compress, lambda text: gzip.compress(text[:50]) + gzip.compress(text[50:])]
)
async def test_a_packed_file_is_read_whatever_it_is_called(pack: Any, tmp_path: Path) -> None:
    path = file_of(tmp_path, SMALLEST, SMALLEST)
    path.write_bytes(pack(path.read_bytes()))
    assert (await read_past("jsonl", file=path)).named == ["DiskFull"] * 2


@pytest.mark.parametrize("pack", [gzip.compress, compress])
async def test_a_packed_file_that_is_damaged_is_named_with_the_byte(pack: Any, tmp_path: Path) -> None:
    path = file_of(tmp_path, *[{**SMALLEST, "pod": str(i)} for i in range(20_000)])
    packed = pack(path.read_bytes())
    for damaged in (packed[: len(packed) // 2], packed[:1000] + bytes(1000) + packed[2000:]):
        path.write_bytes(damaged)
        with pytest.raises(ImportFault, match=rf"^{path}: the compressed file is damaged before byte [\d,]+: "):
            await read_past("jsonl", file=path)


async def test_marks_and_ends_of_other_systems_are_passed_by(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n\r\n".join([json.dumps(SMALLEST).encode()] * 2))
    past = await read_past("jsonl", file=path)
    assert (past.named, past.reasons) == (["DiskFull"] * 2, [])
    assert past.firings[1].place.endswith("line 3")


async def test_utf16_is_named(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(json.dumps(SMALLEST).encode("utf-16"))
    with pytest.raises(ImportFault, match=r"alerts\.jsonl, byte 0: it is a text in UTF-16"):
        await read_past("jsonl", file=path)


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100, b"a,b\n1,2\n", json.dumps([SMALLEST], indent=2).encode()],
)
async def test_a_file_that_is_no_json_lines_is_refused_as_a_whole(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(content)
    with pytest.raises(ImportFault, match="picture, line 1: neither this line nor one of the next is a JSON object"):
        await read_past("jsonl", file=path)


async def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    past = await taken(tmp_path)
    assert (past.firings, past.refused) == ([], [])


async def test_several_files_are_one_import_and_each_row_names_its_own(tmp_path: Path) -> None:
    files = [file_of(tmp_path, SMALLEST, name=name) for name in ("a.jsonl", "b.jsonl")]
    past = await read_past("jsonl", file=files)
    assert [firing.place for firing in past.firings] == [f"{path}, line 1" for path in files]
    assert past.done == [0.5, 1.0]


async def test_a_file_that_is_not_there_is_named_before_anything_is_read(tmp_path: Path) -> None:
    files = [file_of(tmp_path, SMALLEST), tmp_path / "none.jsonl"]
    with pytest.raises(ImportFault, match=r"none\.jsonl: it can't be read: No such file or directory"):
        await read_past("jsonl", file=files)


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ImportFault, match="it can't be read: Is a directory"):
        await read_past("jsonl", file=tmp_path)


async def test_standard_input_is_read_and_its_end_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    text = gzip.compress(json.dumps(SMALLEST).encode())
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    past = await read_past("jsonl", file="-")
    assert past.firings[0].place == "-, line 1"
    assert past.done == [None]


async def test_standard_input_can_be_named_once() -> None:
    with pytest.raises(ConfigurationError, match="standard input can be read once"):
        await read_past("jsonl", file=["-", "-"])
    with pytest.raises(ConfigurationError, match="no file is named"):
        await read_past("jsonl")


async def test_only_what_began_in_the_asked_span_is_taken(tmp_path: Path) -> None:
    rows = [{"alertname": str(day), "starts_at": f"2026-01-0{day}"} for day in range(1, 6)]
    span = {"start": datetime(2026, 1, 2, tzinfo=UTC), "end": datetime(2026, 1, 4, tzinfo=UTC)}
    past = await read_past("jsonl", file=file_of(tmp_path, *rows), **span)  # type: ignore[arg-type]  # two times
    assert past.named == ["2", "3"]


# --- bounds -----------------------------------------------------------------------------------------------------------


async def test_a_line_that_is_too_long_is_refused_and_never_held_twice(tmp_path: Path) -> None:
    long = b'{"alertname": "' + b"x" * 10 * 1024 * 1024 + b'"}'
    path = file_of(tmp_path, SMALLEST, long, SMALLEST, long)
    del long
    tracemalloc.start()
    past = await read_past("jsonl", file=path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert past.named == ["DiskFull"] * 2
    assert past.reasons == [(f"{path}, line {n}", "it has more than 4,194,304 bytes") for n in (2, 4)]
    assert peak < 10 * 1024 * 1024
    assert all(len(row.raw) == 64 * 1024 for row in past.refused)


async def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak_of(rows: int) -> int:
        path = file_of(tmp_path, *[{**SMALLEST, "annotations": {"a": "x" * 300}}] * rows)
        tracemalloc.start()
        asyncio.run(_drop(path))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    small = await asyncio.to_thread(peak_of, 2_000)
    assert await asyncio.to_thread(peak_of, 20_000) < small * 1.5


async def _drop(path: Path) -> None:
    async for _ in ORIGIN.read(ImportRequest({"file": (str(path),)}, NOW)):
        pass


async def test_a_long_row_below_the_bound_is_taken(tmp_path: Path) -> None:
    row = {**SMALLEST, "annotations": {"a": "x" * 3_000_000}}
    past = await taken(tmp_path, row, SMALLEST)
    assert len(past.firings[0].annotations["a"]) == 3_000_000


async def test_an_import_that_is_stopped_lets_go_of_its_file(tmp_path: Path) -> None:
    path = file_of(tmp_path, *[SMALLEST] * 20_000)
    batches = ORIGIN.read(ImportRequest({"file": (str(path),)}, NOW))
    await anext(batches)
    await batches.aclose()  # type: ignore[attr-defined]  # a generator
    assert str(path) not in [file.path for file in psutil.Process().open_files()]
