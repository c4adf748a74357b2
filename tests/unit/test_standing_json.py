"""A standing is kept as JSON without what says nothing, and read back whole."""

import msgspec
import pytest

from alert_history.domain.standing import Muted, Standing
from alert_history.storage.shared.standing_text import read_standing, standing_json
from tests.saying import AM_0, PROM_A, PROM_B, Story, fires, resolved


def _muted() -> Standing:
    story = Story(fires(AM_0, 0))
    story.firing.muted = Muted("silenced", "s-1")
    return story.standing


def _found() -> Standing:
    story = Story(fires(AM_0, 0))
    story.firing.is_found = True
    return story.standing


def _notified() -> Standing:
    story = Story(fires(AM_0, 0))
    story.firing.notified = ("pager",)
    return story.standing


STANDINGS = {
    "nothing": Standing(),
    "a witness": Story(fires(AM_0, 0)).standing,
    "first hand": Story(fires(PROM_A, 0)).standing,
    "recorded only": Story(fires(AM_0, 0, is_to_publish=False)).standing,
    "a pair": Story(fires(PROM_A, 0), fires(PROM_B, 9)).standing,
    "an end of one": Story(fires(PROM_A, 0), fires(PROM_B, 9), resolved(PROM_A, 60, since=0)).standing,
    "over": Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0)).standing,
    "over and open": Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0), fires(PROM_A, 90)).standing,
    "muted": _muted(),
    "found": _found(),
    "notified": _notified(),
    "in conflict": Standing(conflict_us=1, splits=(1,)),
}


@pytest.mark.parametrize("standing", STANDINGS.values(), ids=STANDINGS)
def test_a_standing_is_read_as_it_was_kept(standing: Standing) -> None:
    copy = read_standing(standing_json(standing).encode())
    assert msgspec.json.encode(copy) == msgspec.json.encode(standing)


@pytest.mark.parametrize("name", ["a witness", "first hand", "recorded only"])
def test_what_most_standings_are_is_kept_short(name: str) -> None:
    standing = STANDINGS[name]
    assert len(standing_json(standing)) < len(msgspec.json.encode(standing)) - 30
