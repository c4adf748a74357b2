"""What an import is called holds no secret; how far it is is said by what has changed since the first look.

Holds: `engine.import_words`, `engine.import_wishes`, `web.pages.import_progress`, `web.pages.import_forms`.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from alert_history.engine.import_wishes import ImportWish
from alert_history.engine.import_words import what_of
from alert_history.ports.imports import ImportCounts, ImportRecord
from alert_history.ports.past_origins import ImportRequest, Option, PastBatch, PastOrigin
from alert_history.web.pages.import_forms import again, form_of, wish_of
from alert_history.web.pages.import_progress import are_the_same, progress_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def _read(_: ImportRequest) -> AsyncIterator[PastBatch]:
    yield PastBatch()


ORIGIN = PastOrigin(
    "old",
    "Old system",
    "It remembers.",
    (
        Option("url", "Where.", kind="url", is_required=True),
        Option("token", "A token.", kind="secret"),
        Option("header", "Headers.", kind="pairs"),
        Option("all", "All of it.", kind="flag"),
        Option("query", "Which.", is_repeated=True),
        Option("ca-file", "A file.", kind="path"),
        Option("file", "A file to send.", kind="file"),
    ),
    _read,
)


def test_the_words_are_the_command_without_its_secrets() -> None:
    given = {
        "url": ("https://ada:hush@old:9/x?key=hush",),
        "token": ("hush",),
        "header": ("X-Key=hush", "X-Org=hush"),
        "all": ("yes",),
        "query": ("a=1", "postgresql://u:hush@h/d"),
        "file": ("past.jsonl",),
    }
    what = what_of(ORIGIN, given, {"start": "-90d", "end": None, "scope": ""})
    assert what == (
        "old --url https://ada:***@old:9/x?*** --token-file … --header X-Key=… --header X-Org=… --all "
        "--query a=1 --query postgresql://u:***@h/d past.jsonl --start -90d"
    )


@pytest.mark.parametrize(
    "what, is_dry_run", [("old --dry-run --url x", True), ("old --dry-run", True), ("old x", False)]
)
def test_a_dry_run_is_known_by_its_words(what: str, *, is_dry_run: bool) -> None:
    assert ImportRecord("1", "old", what, "running", NOW).is_dry_run is is_dry_run


def test_a_process_that_is_silent_is_taken_for_dead() -> None:
    record = ImportRecord("1", "old", "old", "running", NOW, beat_at=NOW)
    assert record.is_at_work(NOW + timedelta(seconds=14))
    assert record.is_broken_off(NOW + timedelta(seconds=16))
    assert not msgspec.structs.replace(record, state="done").is_broken_off(NOW + timedelta(days=1))


def _reading(read: int, share: float | None) -> ImportRecord:
    return ImportRecord("1", "old", "old", "running", NOW, share=share, counts=ImportCounts(read=read))


def test_rate_and_rest_are_those_since_the_first_look() -> None:
    first = progress_of(_reading(1000, 0.1), (), now=NOW)
    assert (first.rate, first.rest_seconds, first.percent) == (None, None, 10)
    later = progress_of(_reading(3000, 0.3), ["nonsense", first.first.text], now=NOW + timedelta(seconds=10))
    assert (later.rate, later.percent) == (200.0, 30)
    assert later.rest_seconds == pytest.approx(35.0)
    assert are_the_same([later], [first.first.text])


def test_another_phase_begins_anew() -> None:
    first = progress_of(_reading(1000, 0.1), (), now=NOW)
    counts = ImportCounts(read=1010, refused=10, taken=5000, merged=700)
    writing = msgspec.structs.replace(_reading(1000, 0.5), phase="writing", counts=counts)
    later = progress_of(writing, [first.first.text], now=NOW + timedelta(seconds=10))
    assert (later.words, later.number, later.rate, later.rest_seconds) == ("Writing", 500, None, None)
    assert not are_the_same([later], [first.first.text])
    assert not are_the_same([], [first.first.text])


def test_a_share_that_nobody_knows_has_no_rest() -> None:
    first = progress_of(_reading(1000, None), (), now=NOW)
    later = progress_of(_reading(3000, None), [first.first.text], now=NOW + timedelta(seconds=10))
    assert (later.percent, later.rate, later.rest_seconds) == (None, 200.0, None)


def test_a_form_is_read_by_the_kinds_of_its_options() -> None:
    fields = {
        "option.url": [" http://old:9 "],
        "option.token": [" hush \r\n"],
        "option.header": ["A=1\r\n\r\nB=2"],
        "option.query": ["x\ny"],
        "option.all": ["yes"],
        "option.ca-file": [""],
        "start": ["-90d"],
        "keep_days": ["30"],
        "dry_run": ["yes"],
    }
    assert wish_of(ORIGIN, fields) == ImportWish(
        origin="old",
        options={
            "url": ["http://old:9"],
            "token": [" hush "],
            "header": ["A=1", "B=2"],
            "all": ["yes"],
            "query": ["x", "y"],
        },
        start="-90d",
        keep_days=30,
        is_dry_run=True,
    )


def test_a_secret_and_a_file_have_to_be_given_again() -> None:
    wish = ImportWish(origin="old", options={"url": ["http://old"], "token": ["hush"]}, start="-1d")
    form = form_of(ORIGIN, again(wish, ORIGIN, has_file=True))
    assert sorted(form.lacks) == ["file", "token"]
    assert form.hidden == [("option.url", "http://old"), ("start", "-1d")]
    assert form.elsewhere == ["ca-file"]
    assert "hush" not in repr(form)
