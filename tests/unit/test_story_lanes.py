"""The lanes and the words of an alert's story, from what a store keeps.

Holds: `web.pages.story_lanes`, `web.pages.story_words`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from alert_history.domain.acts import Act, ActKind
from alert_history.domain.alert import Silence
from alert_history.domain.delivery import Routing
from alert_history.domain.occurrence import EventKind
from alert_history.engine.history import Records
from alert_history.engine.story import Story
from alert_history.ports import StoredAlert, StoredDelivery, StoredEvent
from alert_history.web.pages.charts.lanes import Lanes
from alert_history.web.pages.story_lanes import story_lanes
from alert_history.web.pages.story_words import FIRST_SHOWN, LAST_SHOWN, acknowledged_by, entries_of

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BEGIN = NOW - 60 * MINUTE


def at(minute: float) -> datetime:
    return BEGIN + minute * MINUTE


def event(kind: EventKind, minute: float, **detail: Any) -> StoredEvent:
    return StoredEvent(kind, at(minute), f"receipt-{minute}", "alertmanager", "team-x", detail or None, number=None)


def act(kind: ActKind, minute: float, text: str = "") -> Act:
    return Act(f"{kind}-{minute}", "f", BEGIN, "DiskFull", "critical", "shop", at(minute), kind, "ada", text)


def story(*events: StoredEvent, ended: float | None = None, acts: tuple[Act, ...] = (), **more: Any) -> Story:
    """The story of an alert that began an hour ago and is open unless it ended in that minute."""
    alert = StoredAlert(
        id="0123456789abcdef-1",
        fingerprint="0123456789abcdef",
        alertname="DiskFull",
        namespace="shop",
        severity="critical",
        status="firing" if ended is None else "resolved",
        labels={},
        annotations={},
        starts_at=BEGIN,
        ends_at=None if ended is None else at(ended),
        expires_at=None,
        timestamp=BEGIN,
        last_received_at=BEGIN,
        repeat_count=0,
        generator_url="",
        source="alertmanager",
        receiver="team-x",
    )
    records = Records(alert, list(events), more.pop("deliveries", []), list(acts), None)
    return Story(records, records.ledger(NOW), **more)


def drawn(told: Story) -> Lanes:
    return story_lanes(told, now=NOW, zone=UTC, say_time=lambda time: f"{time:%H:%M}")


def spans(told: Story, name: str) -> list[tuple[float, float | None, str]]:
    """The rows of a lane: from which minute to which, and their words."""
    return [
        ((row.at - BEGIN) / MINUTE, None if row.end is None else (row.end - BEGIN) / MINUTE, row.text)
        for lane in drawn(told).lanes
        if lane.name == name
        for row in lane.rows
    ]


def test_an_open_alert_fires_until_now() -> None:
    chart = drawn(story(event("fired", 1)))
    assert [lane.name for lane in chart.lanes] == ["Firing"]
    assert chart.now is not None
    assert spans(story(event("fired", 1)), "Firing") == [(0, None, "fires")]


def test_the_end_is_the_one_that_the_sender_names() -> None:
    assert spans(story(event("fired", 1), event("resolved", 32), ended=30), "Firing") == [(0, 30, "fired")]


def test_an_end_that_was_none_parts_the_lane() -> None:
    told = story(event("fired", 1), event("resolved", 10), event("refired", 12), event("resolved", 31), ended=30)
    assert spans(told, "Firing") == [(0, 10, "fired"), (12, 31, "fired")]


def test_a_silence_lasts_until_it_is_lifted_or_ends_and_says_whose_it_is() -> None:
    ends_at = at(20).isoformat()
    lifted = story(
        event("silenced", 2, created_by="ada", comment="swap", ends_at=ends_at), event("unsilenced", 5), ended=30
    )
    assert spans(lifted, "Silenced") == [(2, 5, "by ada until 11:20: swap")]
    known = Silence("s-1", [], BEGIN, at(20), BEGIN, "bob", "window")
    ended = story(event("silenced", 2, silence_id="s-1", ends_at=ends_at), ended=30, silences={"s-1": known})
    assert spans(ended, "Silenced") == [(2, 20, "by bob until 11:20: window")]


def test_what_nobody_confirms_is_unconfirmed_until_somebody_does() -> None:
    told = story(event("unconfirmed", 9, reason="left its group"), event("confirmed", 15), event("unconfirmed", 40))
    assert spans(told, "Unconfirmed") == [(9, 15, "left its group"), (40, None, "there was no sign of it")]


def test_an_inhibited_alert_names_what_inhibits_it() -> None:
    assert spans(story(event("inhibited", 3, inhibited_by=["abc"])), "Inhibited") == [(3, None, "by abc")]


def test_an_acknowledgement_lasts_until_it_is_taken_back() -> None:
    acts = (act("acknowledged", 4, "on it"), act("noted", 5, "disk"), act("unacknowledged", 8), act("acknowledged", 9))
    told = story(acts=acts)
    assert spans(told, "Acknowledged") == [(4, 8, "acknowledged by ada: on it"), (9, None, "acknowledged by ada")]
    assert spans(told, "Notes") == [(5, None, "note by ada: disk")]
    taker, nobody = acknowledged_by(told.ledger), acknowledged_by(story(acts=acts[:3]).ledger)
    assert (taker is not None and taker.at, nobody) == (at(9), None)


def _delivery(target: str, minute: float, *outcomes: str) -> StoredDelivery:
    log = [
        {"at": at(minute + number).isoformat(), "outcome": outcome, "reason": "", "milliseconds": 1}
        for number, outcome in enumerate(outcomes)
    ]
    state: Any = "delivered" if outcomes[-1] == "delivered" else "pending"
    return StoredDelivery("d", "o", "f", target, "fired", state, at(minute), None, at(minute), len(log), log, 1)


def test_each_target_has_a_lane_with_its_attempts_and_those_left_out_have_none() -> None:
    routing = msgspec.to_builtins(Routing(("ops", "pager"), {"off": "the target is disabled"}).on_record())
    fired = msgspec.structs.replace(event("fired", 1, routing=routing), number=1)
    told = story(fired, deliveries=[_delivery("ops", 1, "retried", "delivered"), _delivery("pager", 1, "retried")])
    assert [lane.name for lane in drawn(told).lanes] == ["Firing", "→ ops", "→ pager"]
    assert spans(told, "→ ops") == [(1, None, "fired: retried"), (2, None, "fired: delivered")]
    assert [dot.mark for lane in drawn(told).lanes[1:] for dot in lane.dots] == [
        "is-pending",
        "is-delivered",
        "is-pending",
    ]


def test_a_note_of_next_week_does_not_squeeze_the_hour() -> None:
    told = story(event("fired", 0), event("resolved", 30), ended=30, acts=(act("noted", 9999),))
    assert "Notes" not in [lane.name for lane in drawn(told).lanes]


def test_events_and_acts_stand_in_one_order_and_say_what_changed() -> None:
    reworded = event("annotations_changed", 5, before={"summary": "91 %"}, after={"summary": "97 %"})
    entries = entries_of(story(event("fired", 1), reworded, acts=(act("noted", 3, "look"),))).first
    assert [(entry.title, entry.by, entry.text) for entry in entries] == [
        ("It fired", "", ""),
        ("Note", "ada", "look"),
        ("Its annotations changed", "", ""),
    ]
    assert [(each.now, each.before) for each in entries[2].changed] == [("97 %", "91 %")]


def test_the_middle_of_a_long_story_is_folded_away() -> None:
    entries = entries_of(story(*(event("annotations_changed", minute) for minute in range(150))))
    assert (len(entries.first), len(entries.last)) == (FIRST_SHOWN, LAST_SHOWN)
    assert len(entries.first) + len(entries.folded) + len(entries.last) == 100
    assert entries.last[-1].at == at(149)
