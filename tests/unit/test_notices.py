"""The rows of the page of notifications: one an event, and one for all that fared alike."""

from datetime import UTC, datetime, timedelta
from typing import Any

from alert_history.engine.notified_entries import Notification
from alert_history.ports import NotifiedAlert
from alert_history.web.pages.notices import groups_of

NOW = datetime(2026, 11, 27, 3, 0, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def entry(number: int, target: str | None, outcome: Any = "delivered", reason: str = "", **more: Any) -> Notification:
    alert = NotifiedAlert(str(number), str(number), more.pop("alertname", "NodeDown"), "critical")
    values: dict[str, Any] = {"at": NOW, "event": "fired"} | more
    return Notification(alert=alert, target=target, outcome=outcome, reason=reason, **values)


def test_what_became_of_one_event_is_one_row_with_each_reason_once() -> None:
    (group,) = groups_of(
        [
            entry(1, "slack"),
            entry(1, "pager", "dead", "answered 403"),
            entry(1, "mail", "not_told", "the target is disabled"),
            entry(1, "chat", "not_told", "the target is disabled"),
            entry(1, None, "not_told", "Alertmanager did not notify: silence s-1"),
        ]
    )
    notice = group.first
    assert [each.target for each in notice.sent] == ["pager", "slack"]
    assert [(left.reason, list(left.targets)) for left in notice.left] == [
        ("the target is disabled", ["mail", "chat"]),
        ("Alertmanager did not notify: silence s-1", []),
    ]
    assert (notice.left_out, notice.words, group.others) == (2, "fired", [])


def test_a_storm_that_fared_alike_is_one_row() -> None:
    alerts = [entry(number, "slack", at=NOW - number % 30 * SECOND) for number in range(1000)]
    between = [entry(-number, "slack", alertname="Other", at=NOW - number * SECOND) for number in range(1, 30, 3)]
    storm, other = groups_of([*alerts[:500], *between, *alerts[500:]])
    assert (storm.first.alert.alertname, len(storm.others)) == ("NodeDown", 999)
    assert (other.first.alert.alertname, len(other.others)) == ("Other", 9)


def test_what_fared_otherwise_has_a_row_of_its_own() -> None:
    groups = groups_of(
        [entry(1, "slack"), entry(2, "slack", "dead", "answered 403: a"), entry(3, "slack", "dead", "answered 500: b")]
    )
    assert [len(group.others) for group in groups] == [0, 0, 0]


def test_answers_that_name_their_request_are_alike_all_the_same() -> None:
    reasons = [f'answered 405: {{"type": "about:blank", "request": {number}}}' for number in range(3)]
    (group,) = groups_of([entry(number, "slack", "dead", reason) for number, reason in enumerate(reasons)])
    assert len(group.others) == 2


def test_that_there_are_no_targets_is_told_from_other_reasons() -> None:
    (group,) = groups_of(
        [
            entry(1, None, "not_told", "no targets are looked for: neither TARGETS_DIR nor B is set"),
            entry(1, None, "not_told", "Alertmanager did not notify: silence s-1"),
        ]
    )
    assert [left.is_without_targets for left in group.first.left] == [True, False]
