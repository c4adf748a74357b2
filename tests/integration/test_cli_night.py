"""`alert-history night`: the hand-over on a terminal, as Markdown and as JSON.

Holds: `cli.night`.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from alert_history.domain.alert import Status
from alert_history.storage import open_store
from tests.commands import lines, run
from tests.conformance.samples import alert, receipt

EVENING = datetime(2026, 3, 4, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.migrated


async def _record(url: str) -> None:
    """NodeDown fires since 22:00, DiskFull did for an hour; both were sent to be recorded only."""
    store = open_store(url)
    await store.lifecycle.open()
    sent: list[tuple[str, Status, int]] = [
        ("NodeDown", "firing", 2),
        ("DiskFull", "firing", 3),
        ("DiskFull", "resolved", 4),
    ]
    for name, status, hours in sent:
        start = EVENING + (3 if name == "DiskFull" else 2) * HOUR
        ends_at = EVENING + hours * HOUR if status == "resolved" else None
        made = alert(name, status, starts_at=start, ends_at=ends_at)
        await store.recorder.commit([receipt(made, at=EVENING + hours * HOUR)])
    await store.lifecycle.close()


@pytest.fixture
def recorded(database_url: str) -> str:
    asyncio.run(_record(database_url))
    return database_url


def _night(url: str, *args: str) -> bytes:
    done = run("night", *args, env={"DATABASE_URL": url})
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_a_night_is_printed_as_text(recorded: str) -> None:
    printed = lines(_night(recorded, "--date", "2026-03-04"))
    assert printed[:2] == [
        "The night of 2026-03-04: 2026-03-04 20:00 to 2026-03-05 08:00 UTC",
        "Began: 2 occurrences of 2 rules. Open before: 0. Ended: 1 (1 resolved). Open at its end: 1.",
    ]
    assert "  NodeDown, critical, shop: since 22:00" in printed


def test_a_night_is_printed_as_markdown(recorded: str) -> None:
    printed = lines(_night(recorded, "--date", "2026-03-04", "--format", "markdown"))
    assert printed[0].startswith("# The night of 2026-03-04")
    assert "- NodeDown, critical, shop: since 22:00" in printed


def test_json_is_what_the_http_interface_answers(recorded: str) -> None:
    night = json.loads(
        _night(recorded, "--since", "2026-03-04T22:30:00Z", "--until", "2026-03-05T06:00:00Z", "--format", "json")
    )
    assert (night["since"], night["counts"]["began"], night["counts"]["open_before"]) == ("2026-03-04T22:30:00Z", 1, 1)
    assert [line["alertname"] for line in night["open"]["lines"]] == ["NodeDown"]


def test_the_hours_are_those_of_the_zone(recorded: str) -> None:
    night = json.loads(_night(recorded, "--date", "2026-03-04", "--tz", "Asia/Kathmandu", "--format", "json"))
    assert (night["since"], night["until"]) == ("2026-03-04T14:15:00Z", "2026-03-05T02:15:00Z")


def test_without_a_date_it_is_last_night(recorded: str) -> None:
    night = json.loads(_night(recorded, "--format", "json"))
    assert msgspec.convert(night["until"], datetime) - msgspec.convert(night["since"], datetime) == 12 * HOUR


@pytest.mark.parametrize(
    "args", [["--date", "today"], ["--tz", "Mars"], ["--date", "2026-03-04", "--since", "-1h"], ["--format", "html"]]
)
def test_what_is_no_night_is_wrong_usage(database_url: str, args: list[str]) -> None:
    done = run("night", *args, env={"DATABASE_URL": database_url})
    assert (done.returncode, done.stdout, len(lines(done.stderr))) == (2, b"", 1)
