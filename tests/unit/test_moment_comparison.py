"""The comparison of an Alertmanager's answers with ours: what it must find, and what it lets pass on purpose."""

import copy
from typing import Any

import pytest

from tests.e2e.moment_comparison import Allowance, Answer, differences

ALERT: dict[str, Any] = {
    "annotations": {"summary": "full"},
    "endsAt": "2026-11-28T08:55:02.928Z",
    "fingerprint": "0813f5eb1bd64f79",
    "receivers": [{"name": "db"}, {"name": "pager"}],
    "startsAt": "2026-11-28T08:45:02.928Z",
    "status": {"inhibitedBy": [], "silencedBy": [], "state": "active"},
    "updatedAt": "2026-11-28T08:45:03.017Z",
    "labels": {"alertname": "DiskFull", "team": "db"},
}
OTHER: dict[str, Any] = ALERT | {"fingerprint": "98f5bee2366b42b9", "labels": {"alertname": "Other"}}
GROUP: dict[str, Any] = {"labels": {"alertname": "DiskFull"}, "receiver": {"name": "db"}, "alerts": [ALERT]}


def of(real: Any, ours: Any) -> list[str]:
    """The differences of two good answers."""
    return differences(Answer(200, real), Answer(200, ours))


def changed(alert: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A copy with other fields."""
    return {**copy.deepcopy(alert), **fields}


def test_equal_answers_do_not_differ() -> None:
    assert of([ALERT, OTHER], copy.deepcopy([ALERT, OTHER])) == []


@pytest.mark.parametrize(
    "field, value",
    [
        ("annotations", {"summary": "fuller"}),
        ("endsAt", "2026-11-28T08:55:02.929Z"),
        ("startsAt", "2026-11-28T09:45:02.928+01:00"),
        ("startsAt", "2026-11-28T08:45:02.92Z"),
        ("receivers", [{"name": "pager"}, {"name": "db"}]),
        ("receivers", [{"name": "db"}, {"name": "pager"}, {"name": "db"}]),
        ("status", {"inhibitedBy": ["98f5bee2366b42b9"], "silencedBy": [], "state": "suppressed"}),
        ("generatorURL", "http://prometheus"),
    ],
)
def test_each_field_that_a_client_sees_is_compared(field: str, value: object) -> None:
    lines = of([ALERT], [changed(ALERT, **{field: value})])
    assert lines
    assert all(field in line for line in lines)


def test_when_it_was_touched_is_not_compared() -> None:
    assert of([ALERT], [changed(ALERT, updatedAt="2026-11-28T08:59:59.000Z")]) == []


def test_an_alert_that_is_missing_or_too_many_is_one_line() -> None:
    assert of([ALERT, OTHER], [ALERT]) == ["[Other/98f5bee2366b42b9]: not there in ours"]
    assert of([ALERT], [ALERT, OTHER]) == ["[Other/98f5bee2366b42b9]: only in ours"]


def test_an_alert_listed_twice_is_one_too_many() -> None:
    assert of([ALERT], [ALERT, ALERT]) == ["[DiskFull/0813f5eb1bd64f79 #2]: only in ours"]


def test_the_order_is_compared() -> None:
    (line,) = of([ALERT, OTHER], [OTHER, ALERT])
    assert "in the order" in line


def test_an_alert_of_replicas_is_left_out_of_lists_and_groups() -> None:
    apart = changed(ALERT, labels={"alertname": "Pair", "apart": "yes"})
    assert of([ALERT], [apart, ALERT]) == []
    assert of([changed(GROUP, alerts=[ALERT, apart])], [GROUP]) == []
    assert of([GROUP], [GROUP, changed(GROUP, labels={"alertname": "Pair"}, alerts=[apart])]) == []


def test_times_that_no_sender_named_may_differ_by_a_second_and_no_more() -> None:
    timeless = changed(ALERT, labels={"alertname": "Timeless", "timeless": "yes"})
    assert of([timeless], [changed(timeless, endsAt="2026-11-28T08:55:03.500Z")]) == []
    assert len(of([timeless], [changed(timeless, endsAt="2026-11-28T08:55:04.500Z")])) == 1


def test_an_end_that_alertmanager_takes_for_a_start_is_no_start() -> None:
    timeless = changed(ALERT, labels={"alertname": "Timeless", "timeless": "start"}, startsAt=ALERT["endsAt"])
    assert of([timeless], [changed(timeless, startsAt="2026-11-28T08:45:00.000Z")]) == []
    assert len(of([timeless], [changed(timeless, endsAt="2026-11-28T08:45:00.000Z")])) == 1


def test_a_time_with_an_offset_is_compared_as_a_moment() -> None:
    abroad = changed(ALERT, startsAt="2026-11-28T14:15:02.928+05:30")
    assert of([abroad], [ALERT]) == []
    assert len(of([abroad], [changed(ALERT, startsAt="2026-11-28T08:45:02.929Z")])) == 1


def test_what_a_later_version_adds_may_stand_in_ours_while_it_says_nothing() -> None:
    newer = changed(ALERT, status={**ALERT["status"], "mutedBy": []})
    assert of([ALERT], [newer]) == []
    assert of([GROUP], [changed(GROUP, routeLabels={})]) == []
    assert of([{"name": "db"}], [{"name": "db", "labels": {"name": "db"}}]) == []
    assert differences(Answer(200, [ALERT]), Answer(200, [newer]), Allowance(newer=False)) != []


def test_what_a_later_version_calls_muted_by_time_an_earlier_one_calls_active() -> None:
    muted = {**ALERT["status"], "mutedBy": ["nights"], "state": "suppressed"}
    assert of([ALERT], [changed(ALERT, status=muted)]) == []
    assert of([ALERT], [changed(ALERT, status={**muted, "silencedBy": ["7c1f"]})]) != []
    assert of([changed(ALERT, status={**ALERT["status"], "mutedBy": []})], [changed(ALERT, status=muted)]) != []


def test_what_a_later_version_adds_and_says_is_a_difference() -> None:
    assert of([GROUP], [changed(GROUP, routeLabels={"team": "db"})]) != []
    assert of([{"name": "db"}], [{"name": "db", "labels": {"name": "db", "owner": "dba"}}]) != []


def test_what_ours_lacks_is_a_difference() -> None:
    newer = changed(ALERT, status={**ALERT["status"], "mutedBy": []})
    assert of([newer], [ALERT]) == ["[DiskFull/0813f5eb1bd64f79].status.mutedBy: [], not there in ours"]


def test_errors_are_alike_when_status_and_kind_are() -> None:
    error = Answer(400, "bad matcher format: {")
    assert differences(error, Answer(400, "unexpected open or close brace: {")) == []
    assert differences(error, Answer(400, {"detail": "bad matcher"})) != []
    assert differences(error, Answer(200, [])) != []


def test_an_error_as_a_string_is_as_good_as_one_in_an_object_that_says_the_same() -> None:
    library = Answer(422, {"code": 601, "message": "silenceID in path must be of type uuid"})
    assert differences(library, Answer(422, "silenceID in path must be of type uuid")) == []
    assert differences(library, Answer(422, "no such silence")) != []
