"""What the page of the settings makes of checks and of what is configured."""

from datetime import UTC, datetime, timedelta

from alert_history.config import effective_settings, load_settings
from alert_history.engine.modes import ModeState
from alert_history.web.pages.settings import ADVICE, checks_of, grouped, was_just_switched


def test_a_check_that_is_not_ok_comes_first_with_what_to_do() -> None:
    checks = checks_of({"schema": "ok", "cache": "no answer", "database": "can't connect", "newer": "odd"})
    assert [(each.name, each.is_ok, each.is_needed) for each in checks] == [
        ("database", False, True),
        ("cache", False, False),
        ("newer", False, False),
        ("schema", True, True),
    ]
    assert checks[0].advice == ADVICE["database"].advice
    assert checks[2].advice, "also of a check that the page does not know"


def test_each_setting_stands_in_one_group_and_none_is_left_over() -> None:
    settings = effective_settings(load_settings({}), {})
    groups = grouped(settings)
    assert sorted(each.variable.name for _, some in groups for each in some) == sorted(
        each.variable.name for each in settings
    )
    assert "Other" not in [title for title, _ in groups]


def test_a_switch_is_told_soon_after_it_and_not_because_a_link_says_so() -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert not was_just_switched(ModeState("enriched"), now), "nobody ever switched it"
    for minutes, is_told in ((1, True), (60, False)):
        at = now - timedelta(minutes=minutes)
        assert was_just_switched(ModeState("enriched", "database", at, "ada"), now) == is_told
