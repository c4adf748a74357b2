"""The report of a night as text and as Markdown."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from alert_history.domain.acts import Act, ActKind, takers_of
from alert_history.domain.night_facts import Muting
from alert_history.domain.night_span import night_of
from alert_history.domain.night_text import LINE_CHARACTERS, PageAddress, markdown_of, text_of
from tests.nights import MINUTE, SPAN, at, failure, occurrence, report, silence

MOST_LINES = 60

BUSY = report(
    occurrence("NodeDown", "02:13", severity="critical", namespace="infra"),
    occurrence("Backup", "03:00", minutes=42),
    occurrence("DiskFull", "22:00", minutes=3, unnotified="there are no targets"),
    occurrence("DiskFull", "22:30", minutes=3),
    occurrence("DiskFull", "23:00", minutes=3),
    before=[occurrence("Old", SPAN.since - timedelta(days=2), mutings=(Muting("silenced", "s-1", "ada"),))],
    failures=[failure("NodeDown", severity="critical")],
    silences={"s-1": silence(ends=SPAN.until + 60 * MINUTE)},
    silences_ahead=[silence(ends=SPAN.until + 60 * MINUTE)],
    known=("DiskFull", "NodeDown", "Old"),
    left_out=["what was received long ago"],
)

TEXT = """\
The night of 2026-03-04: 2026-03-04 20:00 to 2026-03-05 08:00 UTC
Began: 5 occurrences of 3 rules. Open before: 1. Ended: 4 (4 resolved). Open at its end: 2.
Look at first (3)
  NodeDown, critical, infra: critical, and open since 02:13; critical, and a delivery failed: pager: HTTP 404
  Old, warning, shop: open, and silence s-1 ends at 09:00; open since 2026-03-02 20:00
  Backup, warning, shop: new rule, first at 03:00
New rules (1)
  Backup, warning, shop: first at 03:00, 0 open
Rules still open (2)
  NodeDown, critical, infra: since 02:13
  Old, warning, shop: since 2026-03-02 20:00
Nobody notified (1)
  1 occurrence of DiskFull: there are no targets
Failed deliveries, by target (1)
  pager: 1 dead letter, 1 critical, last at 23:00: HTTP 404
Silenced or inhibited (1)
  1 occurrence of Old, silence s-1 by ada until 09:00 (disk swap); 1 open
Silences that end before the next night (1)
  09:00 {alertname="DiskFull"} by ada (disk swap); 1 that it mutes are open
Rules healed (2)
  DiskFull, warning, shop, 3 times: ended, the longest after 3 min
  Backup, warning, shop: ended, the longest after 42 min
Known rules that began (2)
  NodeDown, critical, infra, last seen before 2026-03-03 20:00
  DiskFull, warning, shop, 3 times, last seen before 2026-03-03 20:00
Noise (1)
  DiskFull, warning, shop, 3 times: 3 were over within five minutes
None: acknowledgements and notes; storms; rules unconfirmed.
Counted by when they were first received, as of 2026-03-05 08:05:00 UTC.
Left out: what was received long ago.
"""


def test_the_text_of_a_night() -> None:
    assert text_of(BUSY) == TEXT


def test_the_guide_shows_this_very_text() -> None:
    guide = Path(__file__).parents[2] / "docs" / "how-to" / "night.md"
    assert f"```text\n{TEXT}```" in guide.read_text(encoding="utf-8")


def test_markdown_has_the_same_lines_as_lists() -> None:
    lines = markdown_of(BUSY).splitlines()
    assert lines[0] == "# The night of 2026-03-04: 2026-03-04 20:00 to 2026-03-05 08:00 UTC"
    assert "**Noise (1)**" in lines
    assert "- NodeDown, critical, infra: since 02:13" in lines
    assert sum(line.startswith("- ") for line in lines) == sum(line.startswith("  ") for line in TEXT.splitlines())


def test_markdown_of_a_page_leads_to_it_and_to_each_alert_and_its_notes_are_paragraphs() -> None:
    lines = markdown_of(BUSY, PageAddress("https://alerts.example/", "dashboard/night/2026-03-04?tz=UTC")).splitlines()
    assert lines[0].endswith("08:00 UTC](https://alerts.example/dashboard/night/2026-03-04?tz=UTC)")
    node = BUSY.open.lines[0].examples[0]
    assert f"- [NodeDown](https://alerts.example/dashboard/alerts/{node}), critical, infra: since 02:13" in lines
    foot = lines[-5:]
    assert [line.partition(" ")[0] for line in foot] == ["None:", "", "Counted", "", "Left"]


def test_who_took_an_alert_stands_beside_it_and_near_the_top() -> None:
    disk = occurrence("DiskFull", "22:00")
    key = (disk.episode.fingerprint, disk.episode.starts_at)
    acts = [
        Act("1", *key, "DiskFull", "warning", "shop", at("22:05"), "acknowledged", "ada"),
        Act("2", *key, "DiskFull", "warning", "shop", at("22:40"), "noted", "bob", "swapped\n# the disk"),
        Act("3", *key, "DiskFull", "warning", "shop", at("22:50"), "resolved", "eve", source="pagerduty"),
    ]
    lines = text_of(report(disk, acts=acts, takers=takers_of(acts))).splitlines()
    assert lines[3:8] == [
        "  DiskFull, warning, shop, taken by ada: open since 22:00",
        "Acknowledgements and notes (3)",
        "  DiskFull: eve resolved it (pagerduty) at 22:50",
        "  DiskFull: bob noted at 22:40: swapped # the disk",
        "  DiskFull: ada acknowledged it at 22:05",
    ]
    page = markdown_of(report(disk, acts=acts), PageAddress("https://alerts.example/", "dashboard/night/2026-03-04"))
    assert f"](https://alerts.example/dashboard/alerts/{disk.episode.id}): ada acknowledged it" in page


def test_who_gave_an_alert_back_has_not_taken_it() -> None:
    key = ("f", SPAN.since)
    kinds: list[tuple[ActKind, str]] = [
        ("acknowledged", "ada"),
        ("unacknowledged", "bob"),
        ("acknowledged", "eve"),
        ("acknowledged", "eve"),
    ]
    acts = [
        Act(f"{number}", *key, "A", "", "", SPAN.since + number * MINUTE, kind, by)
        for number, (kind, by) in enumerate(kinds)
    ]
    assert list(takers_of(reversed(acts)).values()) == [["eve"]]


def test_a_hostile_name_stays_within_its_link() -> None:
    made = report(occurrence("a](javascript:b) [c", "22:00"), known=())
    text = markdown_of(made, PageAddress("https://alerts.example/", "dashboard/night/2026-03-04"))
    assert "- [a\\](javascript:b) \\[c](https://alerts.example/dashboard/alerts/" in text


def test_a_new_rule_is_of_the_time_when_it_began_everywhere() -> None:
    late = occurrence("Backup", "03:00")
    late = msgspec.structs.replace(late, episode=msgspec.structs.replace(late.episode, received_at=at("03:07")))
    made = report(late, known=())
    assert [reason.at for reason in made.look_first.lines[0].reasons] == [at("03:00"), at("03:00")]
    assert "03:07" not in text_of(made)


def test_times_are_those_of_the_zone() -> None:
    span = night_of(date(2026, 10, 24), ZoneInfo("Europe/Berlin"))  # the clocks are set back at 03:00
    first, second = (span.since + timedelta(hours=hours, minutes=30) for hours in (6, 7))
    made = report(occurrence("A", first), occurrence("B", second), span=span, now=span.until, known=())
    text = text_of(made)
    assert "2026-10-24 20:00 to 2026-10-25 08:00 Europe/Berlin" in text
    assert text.count(": first at 02:30") == 2


def test_a_silence_for_ever_has_an_end_in_every_zone() -> None:
    ever = datetime.max.replace(tzinfo=UTC)
    muted = occurrence(mutings=(Muting("silenced", "s-1", ends_at=ever),))
    span = night_of(date(2026, 3, 4), ZoneInfo("Asia/Kathmandu"))
    assert "silence s-1 until 9999-12-31 23:59 UTC" in text_of(report(muted, span=span))


def test_a_night_that_goes_on_says_so() -> None:
    text = text_of(report(occurrence(), now=at("23:30")))
    assert "it goes on" in text
    assert "Open now: 1." in text


def test_numbers_that_are_lower_bounds_say_so() -> None:
    assert "Numbers are lower bounds." in text_of(report(is_exact=False))


def _crowded(alerts: int) -> str:
    """A night of so many alerts in which every list is longer than the text shows."""
    ends = SPAN.until + 60 * MINUTE
    ahead = [silence(f"s-{n}", ends=ends) for n in range(9)]
    crowd = [
        occurrence(
            f"A rule with quite a long name, number {n % 40}",
            SPAN.since + timedelta(seconds=n * 43_000 / alerts),
            minutes=None if n % 3 == 0 else 2,
            severity="critical" if n % 2 else "warning",
            namespace=f"namespace-{n % 11}",
            pod=n,
            unconfirmed="its sender is silent" if n % 6 == 0 else None,
            unnotified=f"reason {n % 5}",
            mutings=(Muting("silenced", f"s-{n % 9}", "somebody", "c" * 500, ends),),
        )
        for n in range(alerts)
    ]
    storms = [occurrence(f"Storm{h}", SPAN.since + h * 60 * MINUTE, pod=n) for h in range(5) for n in range(30)]
    failures = [failure(target=f"target-{n}", reason="r" * 500) for n in range(9)]
    acts = [
        Act(f"{n}", "f", SPAN.since, "A rule", "", "", SPAN.since + n * MINUTE, "noted", "ada", "n" * 500)
        for n in range(9)
    ]
    known = tuple(f"A rule with quite a long name, number {n}" for n in range(20))
    more = {"failures": failures, "silences_ahead": ahead, "acts": acts, "left_out": ["a", "b"]}
    return text_of(report(*crowd, *storms, known=known, **more))


@pytest.mark.parametrize("alerts", [500, 5_000])
def test_a_night_of_many_alerts_is_read_at_hand_over(alerts: int) -> None:
    lines = _crowded(alerts).splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= LINE_CHARACTERS + 2
    assert "Rules still open (5 of 45)" in lines


def test_text_of_others_neither_moves_the_cursor_nor_marks_up() -> None:
    hostile = occurrence("\x1b[2J<img src=x>\n# [a](javascript:b) `c` **d** " + "long" * 99, severity="warn|ing")
    made = report(hostile, known=())
    assert "\x1b" not in text_of(made) + markdown_of(made)
    assert "\\u001b[2J<img src=x> # [a](javascript:b)" in text_of(made)
    assert "\\\\u001b\\[2J\\<img src=x\\> \\# \\[a\\](javascript:b)" in markdown_of(made)
