"""What counts as text that people can see."""

import pytest

from alert_history.domain.visible import NAMELESS, alert_name, first_visible, visible
from tests.vendors.messages import BLANK


@pytest.mark.parametrize("text", [*BLANK, "\u00a0", "\u3000", "\ufeff", "\u2800", "\ud800", "\U000e0041"])
def test_text_that_nobody_can_see_is_blank(text: str) -> None:
    assert visible(text) == ""


@pytest.mark.parametrize("text", ["0", "-", "\u26a0\ufe0f", "満杯", "\u05d0", "\u200b1"])
def test_text_that_somebody_can_see_is_not_blank(text: str) -> None:
    assert visible(text) == text


def test_space_around_it_is_no_part_of_it() -> None:
    assert visible(" DiskFull\n") == "DiskFull"


def test_a_value_that_shows_nothing_gives_way_to_the_next() -> None:
    assert first_visible({"a": " ", "c": "x", "d": "y"}, "a", "b", "c", "d") == "x"


@pytest.mark.parametrize("name", BLANK)
def test_a_blank_name_is_none(name: str) -> None:
    assert alert_name({"alertname": name}) == alert_name({}) == NAMELESS
