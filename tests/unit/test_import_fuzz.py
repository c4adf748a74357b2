"""Whatever a file holds, an import of it takes or refuses each row, or refuses the file; nothing else happens.

Holds: `origins.imports.jsonl`, `origins.imports.csv`, `origins.imports.columns`, `origins.imports.lines`.
"""

import asyncio
import json
import tempfile
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from alert_history.domain.past_firing import PastFiring
from alert_history.errors import ImportFault
from alert_history.origins.imports.columns import Columns
from alert_history.origins.imports.lines import CutLine, read_lines
from alert_history.origins.imports.rows import Row
from tests.imports import Past, read_past

GOOD = {"alertname": "A", "starts_at": "2026-01-31T10:00:00Z"}
NAMES = [*sorted(Row.__struct_encode_fields__), "label.a", "annotations.b", "alerts", "other"]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["resolved", "firing", "2026-01-31T10:00:00Z", "9999-12-31T23:59:59.999999999-01:00", "1e400"]),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), parts),
    max_leaves=8,
)
rows = st.dictionaries(st.sampled_from(NAMES), json_values).map(lambda row: {**GOOD, **row})


def past_of(format_: str, content: bytes) -> Past:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(content)
        return asyncio.run(read_past(format_, file=path))


def is_whole(firing: PastFiring) -> bool:
    """Whether it is what the type promises."""
    times = [time for time in (firing.starts_at, firing.ends_at, firing.last_seen_at) if time is not None]
    texts = [*firing.labels.items(), *firing.annotations.items(), (firing.receiver, firing.source)]
    return (
        all(time.utcoffset() == timedelta() and time.year > 1 for time in times)
        and all(isinstance(text, str) for pair in texts for text in pair)
        and bool(firing.labels)
        and "" not in firing.labels.values()
    )


@settings(max_examples=150, deadline=None)
@given(row=rows | json_values)
@example(row={**GOOD, "labels": {"a": 10**4200}})
@example(row={**GOOD, "receiver": 10**4200, "repeat_count": "9" * 5000})
@example(row={**GOOD, "endsAt": "9999-12-31T23:59:59.999999999Z"})
def test_a_line_of_any_json_leaves_its_neighbours_be(row: object) -> None:
    line = json.dumps(GOOD)
    past = past_of("jsonl", f"{line}\n{json.dumps(row)}\n{line}\n".encode())
    assert past.firings[0].place.endswith("line 1")
    assert past.firings[-1].place.endswith("line 3")
    assert all(map(is_whole, past.firings))


@settings(max_examples=100, deadline=None)
@given(cells=st.lists(st.sampled_from(NAMES), unique=True, min_size=1), line=st.binary(max_size=60))
def test_a_record_of_any_bytes_leaves_those_before_be(cells: list[str], line: bytes) -> None:
    names = ["alertname", "starts_at", *(name for name in cells if name not in GOOD)]
    good = ["A", GOOD["starts_at"], *[""] * (len(names) - 2)]
    past = past_of("csv", b"\n".join([",".join(names).encode(), ",".join(good).encode(), line]))
    assert past.firings[0].place.endswith("line 2")
    assert all(map(is_whole, past.firings))


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200))
def test_a_file_of_any_bytes_is_read_or_refused(content: bytes) -> None:
    for format_ in ("jsonl", "csv", "parquet"):
        with suppress(ImportFault):
            assert all(map(is_whole, past_of(format_, content).firings))


@settings(deadline=None)
@given(lines=st.lists(st.integers(0, 5_000_000), min_size=1, max_size=8), is_ended=st.booleans())
@example(lines=[262_143, 262_144, 262_145, 4_194_304, 10_000_000, 3], is_ended=False)
def test_lines_are_those_of_the_file_but_for_the_long_ones(lines: list[int], *, is_ended: bool) -> None:
    texts = [b"%d" % number * (size // max(len(b"%d" % number), 1)) for number, size in enumerate(lines, 1)]
    blocks = list(read_lines(BytesIO(b"\n".join(texts) + b"\n" * is_ended)))
    read = [line for block in blocks for line in block.lines]
    whole = texts if is_ended or texts[-1] else texts[:-1]
    assert [len(line) if not isinstance(line, CutLine) else None for line in read] == [
        len(text) if not isinstance(line, CutLine) else None for line, text in zip(read, whole, strict=True)
    ]
    assert all(text.startswith(line) for line, text in zip(read, whole, strict=True))
    assert all(len(text) > 4 * 1024 * 1024 for line, text in zip(read, whole, strict=True) if isinstance(line, CutLine))
    assert all(one.first + len(one.lines) == next_.first for one, next_ in pairwise(blocks))


def test_the_columns_that_are_tried_are_those_that_are_read() -> None:
    assert [name for name in Row.__struct_encode_fields__ if not Columns([name]).used] == []
