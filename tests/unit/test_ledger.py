"""The ledger: every step with its reason, whatever became of the news, and never too much of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from alert_history.domain.classification import Classification, Usage, Verdict
from alert_history.domain.delivery import Routing
from alert_history.domain.note_text import note_text
from alert_history.domain.occurrence import EventKind
from alert_history.engine.ledger import MOST_DELIVERIES, MOST_EVENTS, Ledger, LedgerLine, ledger
from alert_history.ports import KeptVerdict, StoredDelivery, StoredEvent

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROUTED = Routing(("ops",), {"boss": "no route takes the alert"}, routes={"ops": "r"})


def event(number: int | None = 1, kind: EventKind = "fired", *, routing: Routing | None = ROUTED) -> StoredEvent:
    """An event in the minute of its number, as it is read back."""
    detail = None if routing is None else msgspec.to_builtins({"routing": routing.on_record()})
    at = NOW + (number or 0) * MINUTE
    return StoredEvent(kind, at, f"receipt-{number}", "alertmanager", "team-x", detail, number, is_published=True)


def delivery(
    number: int = 1, state: str = "pending", *, reasons: tuple[str, ...] = (), **fields: Any
) -> StoredDelivery:
    """The delivery of that event to ops, one attempt a reason."""
    log = [{"at": NOW.isoformat(), "outcome": "retried", "reason": each, "milliseconds": 3} for each in reasons]
    values: dict[str, Any] = {
        "id": f"delivery-{number}",
        "occurrence_id": "o",
        "fingerprint": "f",
        "target": "ops",
        "event": "fired",
        "state": state,
        "created_at": NOW + number * MINUTE,
        "due_at": NOW + 9 * MINUTE if state == "pending" else None,
        "settled_at": None if state in {"pending", "leased"} else NOW + 9 * MINUTE,
        "attempts": len(reasons),
        "log": log,
        "event_number": number,
    }
    return StoredDelivery(**values | fields)


def made(*events: StoredEvent, deliveries: tuple[StoredDelivery, ...] = (), now: datetime = NOW) -> Ledger:
    return ledger(events, deliveries, classified=None, now=now)


def line_of(stored: StoredDelivery, *, routing: Routing = ROUTED, now: datetime = NOW) -> LedgerLine:
    """What the ledger says of ops."""
    return made(event(stored.event_number, routing=routing), deliveries=(stored,), now=now).events[0].targets[0]


def test_an_event_is_received_recorded_routed_and_delivered() -> None:
    (entry,) = made(event(), deliveries=(delivery(1, "delivered"),)).events
    assert [(step.step, step.at, step.reason) for step in entry.steps] == [
        ("received", NOW + MINUTE, "from alertmanager (receiver team-x)"),
        ("recorded", NOW + MINUTE, "as change 1 of the occurrence, with its receipt"),
        ("routed", NOW + MINUTE, "to be told: ops; not told: boss"),
        ("delivered", NOW + 9 * MINUTE, "1 delivered"),
    ]


def test_an_alert_that_is_passed_on_later_than_it_was_recorded_says_so() -> None:
    (entry,) = made(event(2, "published")).events
    assert entry.steps[1].reason.endswith(
        "with its receipt: the first request that is to be published says that it fires"
    )
    assert entry.steps[2].step == "routed"


def test_an_end_in_other_words_was_told_to_nobody_because_the_alert_was_over() -> None:
    reworded = msgspec.structs.replace(
        event(3, "annotations_changed", routing=None), detail={"ends_at": NOW.isoformat()}
    )
    (entry,) = made(reworded).events
    assert (entry.steps[-1].step, entry.steps[-1].reason) == ("routed", "the alert was over already, so nobody is told")


def test_a_target_that_was_not_told_has_the_reason_it_had_then() -> None:
    (entry,) = made(event()).events
    assert LedgerLine("boss", "not_told", "no route takes the alert") in entry.targets


def test_a_target_that_was_told_has_its_route_and_its_time() -> None:
    line = line_of(delivery(1, "delivered"))
    assert (line.fate, line.route, line.at, line.reason) == ("delivered", "r", NOW + 9 * MINUTE, "route r sends to it")


def test_what_is_tried_again_says_when_and_why() -> None:
    line = line_of(delivery(1, reasons=("503", "no answer within 10 s")))
    assert (line.fate, line.next_try_at, line.attempts) == ("pending", NOW + 9 * MINUTE, 2)
    assert line.reason == "route r sends to it; the last of 2 attempts: no answer within 10 s"
    assert [attempt.reason for attempt in line.log] == ["503", "no answer within 10 s"]


@pytest.mark.parametrize("minutes, fate", [(0, "held"), (9, "pending")])
def test_what_quiet_hours_hold_is_held_until_they_end(minutes: int, fate: str) -> None:
    routing = msgspec.structs.replace(ROUTED, due_at={"ops": NOW + 9 * MINUTE})
    line = line_of(delivery(1), routing=routing, now=NOW + minutes * MINUTE)
    assert (line.fate, line.next_try_at) == (fate, NOW + 9 * MINUTE)
    assert line.reason == "route r sends to it; its quiet hours hold it until 2026-03-04T12:09:00Z"


def test_a_dead_letter_says_what_killed_it() -> None:
    assert line_of(delivery(1, "dead", reasons=("404 Not Found",))).reason == "404 Not Found"


def test_what_was_withheld_says_what_the_classification_had_against_it() -> None:
    log = [{"at": NOW.isoformat(), "outcome": "withheld", "reason": "it is noise", "milliseconds": 0}]
    line = line_of(delivery(1, "superseded", log=log))
    assert (line.fate, line.reason, line.superseded_by) == ("withheld", "it is noise", None)


def test_what_was_superseded_names_the_delivery_that_went_out_instead() -> None:
    deliveries = (delivery(1, "superseded"), delivery(2, "superseded"), delivery(3, "leased", event="resolved"))
    answer = made(event(1), event(2), event(3), deliveries=deliveries)
    assert [each.targets[0].superseded_by for each in answer.events] == ["delivery-3", "delivery-3", None]
    assert answer.events[0].targets[0].reason == "newer news went out instead: resolved"


def test_what_a_later_occurrence_superseded_says_so() -> None:
    line = line_of(delivery(1, "superseded"))
    assert (line.superseded_by, line.reason) == (None, "newer news went out instead: of a later occurrence")


def test_a_delivery_that_is_no_longer_on_record_is_unknown() -> None:
    (line, _) = made(event()).events[0].targets
    assert (line.target, line.fate) == ("ops", "unknown")


def test_a_target_in_short_is_what_the_newest_news_came_to() -> None:
    events = (event(1), event(2, "resolved"))
    answer = made(*events, deliveries=(delivery(1, "delivered"), delivery(2, reasons=("503",))))
    boss, ops = answer.targets
    assert (boss.target, boss.is_told, boss.told_at) == ("boss", False, None)
    assert (ops.is_told, ops.told_at, ops.newest_event, ops.fate) == (True, NOW + 9 * MINUTE, "resolved", "pending")


@pytest.mark.parametrize(
    "routing, is_published, reason",
    [
        (Routing((), {}, reason="there are no targets"), True, "there are no targets"),
        (None, False, "it was sent to be recorded only, so nobody is told"),
        (None, None, "no decision is on record"),
    ],
)
def test_where_nobody_was_told_that_is_said(routing: Routing | None, reason: str, *, is_published: bool | None) -> None:
    stored_event = msgspec.structs.replace(event(routing=routing), is_published=is_published)
    assert made(stored_event).events[0].steps[-1].reason == reason


@pytest.mark.parametrize(
    "enrichment, state, reason",
    [
        (None, "pending", "goes with what is known of its shape"),
        ("awaited", "pending", "waits for a classification"),
        ("awaited", "delivered", "no classification came in time"),
        ("the proxy is down", "pending", "goes without a classification: the proxy is down"),
    ],
)
def test_a_step_tells_of_the_classification(enrichment: str | None, state: str, reason: str) -> None:
    stored_delivery = delivery(1, state, shape="s", enrichment=enrichment)
    steps = {step.step: step.reason for step in made(event(), deliveries=(stored_delivery,)).events[0].steps}
    assert steps["enriched"] == reason


def test_a_classification_that_follows_up_is_at_its_event() -> None:
    at = NOW + 5 * MINUTE
    note = StoredEvent("classified", at, None, None, None, {"severity": "noise", "confidence": 0.9, "model": "rules"})
    follow_up = delivery(0, "delivered", id="follow-up", event="classified", created_at=at)
    answer = made(event(), note, deliveries=(delivery(1, "delivered"), follow_up))
    assert answer.events[1].steps[0].reason == "classified as noise with a confidence of 0.9 by rules"
    assert [line.delivery_id for line in answer.events[1].targets] == ["follow-up"]


@pytest.mark.parametrize(
    "kind, detail, text",
    [
        (
            "silenced",
            {"silence_id": "s-1", "created_by": "ada", "comment": "maintenance", "ends_at": "2026-03-05T00:00:00Z"},
            "Alertmanager am-0 did not notify: silence s-1 by ada until 2026-03-05T00:00:00Z: maintenance",
        ),
        ("silenced", {"comment": ""}, "Alertmanager am-0 did not notify: silence ?"),
        (
            "inhibited",
            {"inhibited_by": ["00ff", "01ff"], "rules": ["node-down"]},
            "Alertmanager am-0 did not notify: inhibited by 00ff, 01ff under rule node-down",
        ),
        ("inhibited", {}, "Alertmanager am-0 did not notify: inhibited by another alert"),
        (
            "notified",
            {"receiver": "pager", "integration": "webhook", "reason": "new_alerts_in_group", "role": "firing"},
            "Alertmanager am-0 notified receiver pager (webhook) that it is firing: new alerts in group",
        ),
        (
            "notified",
            {"receiver": "pager", "integration": "webhook", "role": "muted"},
            "Alertmanager am-0 did not tell receiver pager (webhook) of it: it was muted",
        ),
        ("grouped", {"receiver": "a", "group_key": "{}"}, "Alertmanager am-0 put it into group {} of receiver a"),
        ("unsilenced", {}, "Alertmanager am-0 holds no silence against it any more"),
    ],
)
def test_a_note_says_in_words_what_alertmanager_did(kind: EventKind, detail: dict[str, Any], text: str) -> None:
    assert note_text(kind, {"instance": "am-0", **detail}) == text


def test_ten_thousand_events_are_the_newest_hundred_and_there_are_more() -> None:
    events = [event(number) for number in range(1, 10_001)]
    deliveries = [delivery(number, "delivered", id=f"{number:05}") for number in range(1, 10_001)]
    answer = ledger(events[-MOST_EVENTS - 1 :], deliveries[-MOST_DELIVERIES - 1 :], classified=None, now=NOW)
    assert not answer.is_complete
    assert [answer.events[0].at, answer.events[-1].at] == [NOW + 9_901 * MINUTE, NOW + 10_000 * MINUTE]


def test_a_ledger_stays_small_however_long_its_texts_are() -> None:
    routing = Routing(("ops",), {f"target-{number}": "x" * 100_000 for number in range(2_000)})
    attempts = tuple("y" * 100_000 for _ in range(20))
    events = [event(number, routing=routing) for number in range(1, 50)]
    answer = ledger(events, [delivery(number, reasons=attempts) for number in range(1, 50)], classified=None, now=NOW)
    assert not answer.is_complete
    assert len(msgspec.json.encode(answer)) < 2_000_000


def test_a_ledger_of_everything_says_that_it_is_complete() -> None:
    assert made(event(), deliveries=(delivery(),)).is_complete


def test_the_newest_word_on_what_such_alerts_mean_is_there() -> None:
    classification = Classification("noise", 0.75, "", "It mends itself.", "", (), "", (), "rules", "rules", NOW)
    verdict = KeptVerdict("k", "shape", "f", Verdict(classification, Usage(), ""))
    step = ledger([event()], [], classified=verdict, now=NOW).classification
    assert step is not None
    assert (step.at, step.reason) == (NOW, "noise with a confidence of 0.75, by rules: It mends itself.")
