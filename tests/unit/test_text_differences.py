"""What is different to last time."""

from alert_history.domain.text_differences import ComparedText, compared


def test_texts_are_added_removed_changed_or_the_same() -> None:
    now = {"summary": "disk 95 %", "runbook": "r", "new": ""}
    before = {"runbook": "r", "summary": "disk 91 %", "gone": "x"}
    assert compared(now, before) == [
        ComparedText("summary", "disk 95 %", "disk 91 %", "changed"),
        ComparedText("runbook", "r", "r", "same"),
        ComparedText("new", "", None, "added"),
        ComparedText("gone", None, "x", "removed"),
    ]


def test_the_first_time_nothing_is_different() -> None:
    assert [each.difference for each in compared({"a": "1"}, None)] == ["same"]


def test_texts_that_were_there_before_but_none_is_now_are_all_removed() -> None:
    assert [each.difference for each in compared({}, {"a": "", "b": "2"})] == ["removed", "removed"]
