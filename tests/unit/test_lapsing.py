"""What the passing of time makes of what nobody repeats. Seconds of one story, as in test_hearing."""

from alert_history.domain.claim import SECOND_US
from alert_history.domain.standing import Muted, Rules
from tests.saying import AM_0, PROM_A, PROM_B, Story, fires, resolved, second, us

HOUR, DAY = 3_600.0, 86_400.0


# --- First-hand claims lapse ------------------------------------------------------------------------------------------


def test_claim_that_lapses_is_unconfirmed_and_nothing_ends_yet() -> None:
    story = Story(fires(PROM_A, 0))
    assert story.waits(239) == []
    assert story.waits(240) == ["unconfirmed"]
    assert story.firing.unconfirmed == "its sender fell silent"


def test_next_look_is_when_the_claim_lapses() -> None:
    assert Story(fires(PROM_A, 0)).looks_again(10) == 240


def test_firing_again_before_it_expires_confirms_it() -> None:
    story = Story(fires(PROM_A, 0))
    story.waits(300)
    assert story.hears(fires(PROM_A, 1_100, since=0)) == ["confirmed"]


def test_what_nobody_repeats_expires_fifteen_minutes_after_the_lapse_and_ended_there() -> None:
    story = Story(fires(PROM_A, 0))
    story.waits(240)
    assert story.waits(1_139) == []
    assert story.waits(1_140) == ["ended"]
    assert story.ends == [(240, "expired")]


def test_time_to_come_back_is_as_it_is_set() -> None:
    story = Story(fires(PROM_A, 0), rules=Rules(expire_after_us=60 * SECOND_US))
    assert story.waits(300) == ["unconfirmed", "ended"]


def test_another_claim_that_is_live_holds_it() -> None:
    story = Story(fires(PROM_A, 0), fires(PROM_B, 100, since=5))
    assert story.waits(300) == []
    assert story.waits(340) == ["unconfirmed"]


def test_witness_holds_it_when_all_first_hand_claims_lapse() -> None:
    story = Story(fires(PROM_A, 0), fires(AM_0, 30, since=0))
    assert story.waits(HOUR) == []


def test_end_by_word_of_what_is_unconfirmed_is_an_end_by_word() -> None:
    story = Story(fires(PROM_A, 0))
    story.waits(300)
    assert story.hears(resolved(PROM_A, 400, since=0, end=390)) == ["ended"]
    assert story.ends == [(390, "resolved")]


# --- A witness's word goes stale --------------------------------------------------------------------------------------


def test_witness_whose_repeats_were_never_seen_may_be_silent_for_25_hours() -> None:
    story = Story(fires(AM_0, 10, since=0))
    assert story.waits(25 * HOUR + 9) == []
    assert story.waits(25 * HOUR + 10) == ["unconfirmed"]


def test_witness_may_be_silent_for_as_long_as_was_learnt() -> None:
    story = Story(fires(AM_0, 10, since=0))
    assert story.waits(2 * HOUR + 9, stale_after=2 * HOUR) == []
    assert story.waits(2 * HOUR + 10, stale_after=2 * HOUR) == ["unconfirmed"]


def test_what_is_set_counts_in_place_of_what_was_learnt() -> None:
    story = Story(fires(AM_0, 10, since=0), rules=Rules(stale_after_us=100 * SECOND_US))
    assert story.waits(110, stale_after=2 * HOUR) == ["unconfirmed"]


def test_what_a_witness_leaves_unconfirmed_ends_after_a_week_as_inferred_at_its_last_sign() -> None:
    story = Story(fires(AM_0, 10, since=0))
    story.waits(HOUR + 10, stale_after=HOUR)
    assert story.waits(HOUR + 9 + 7 * DAY, stale_after=HOUR) == []
    assert story.waits(HOUR + 10 + 7 * DAY, stale_after=HOUR) == ["ended"]
    assert story.ends == [(10, "inferred")]


def test_nothing_that_a_witness_claims_ends_by_itself_if_it_is_set_so() -> None:
    story = Story(fires(AM_0, 10, since=0), rules=Rules(stale_ends_after_us=0))
    assert story.waits(365 * DAY) == ["unconfirmed"]
    assert story.looks_again(366 * DAY) is None


def test_first_hand_sender_that_fell_silent_long_ago_does_not_end_what_a_witness_listed_since() -> None:
    story = Story(fires(PROM_A, 0), fires(AM_0, 30, since=0), fires(AM_0, 2 * HOUR, since=0))
    assert story.waits(4 * HOUR, stale_after=2 * HOUR) == ["unconfirmed"]
    assert story.waits(7 * DAY + 4 * HOUR, stale_after=2 * HOUR) == ["ended"]
    assert story.ends == [(2 * HOUR, "inferred")]


def test_sender_has_its_time_to_come_back_once_a_witness_is_stale() -> None:
    story = Story(fires(PROM_A, 0), fires(AM_0, 30, since=0))
    assert story.waits(HOUR + 30, stale_after=HOUR) == ["unconfirmed"]
    assert story.waits(HOUR + 930, stale_after=HOUR) == ["ended"]
    assert story.ends == [(240, "expired")]


# --- A group goes on without it ---------------------------------------------------------------------------------------


def test_what_left_its_group_is_unconfirmed_with_its_reason() -> None:
    story = Story(fires(AM_0, 10, since=0))
    assert story.leaves(AM_0, 620, missed=310) == ["left", "unconfirmed"]
    assert story.firing.unconfirmed == "its Alertmanager lists its group without it"


def test_what_left_its_group_is_held_by_whoever_else_claims_it() -> None:
    story = Story(fires(AM_0, 10, since=0), fires(PROM_A, 600, since=0))
    assert story.leaves(AM_0, 620, missed=310) == ["left"]
    assert story.waits(840) == ["unconfirmed"]


def test_leaving_is_told_once() -> None:
    story = Story(fires(AM_0, 10, since=0))
    story.leaves(AM_0, 620, missed=310)
    assert story.leaves(AM_0, 920, missed=310) == []


def test_what_was_listed_since_it_was_missed_has_not_left() -> None:
    story = Story(fires(AM_0, 10, since=0), fires(AM_0, 400, since=0))
    assert story.leaves(AM_0, 620, missed=310) == []


def test_what_is_listed_again_is_confirmed() -> None:
    story = Story(fires(AM_0, 10, since=0))
    story.leaves(AM_0, 620, missed=310)
    assert story.hears(fires(AM_0, 920, since=0)) == ["confirmed"]


def test_what_left_ends_after_a_week_as_inferred() -> None:
    story = Story(fires(AM_0, 10, since=0))
    story.leaves(AM_0, 620, missed=310)
    assert story.waits(620 + 7 * DAY - 1) == []
    assert story.waits(620 + 7 * DAY) == ["ended"]
    assert story.ends == [(10, "inferred")]


def test_what_is_known_to_be_silenced_has_not_left() -> None:
    story = Story(fires(AM_0, 10, since=0))
    story.firing.muted = Muted("silenced", "s-1", us(HOUR))
    assert story.leaves(AM_0, 620, missed=310) == []


def test_what_is_known_to_be_silenced_is_not_stale_before_its_silence_ends() -> None:
    story = Story(fires(AM_0, 10, since=0))
    story.firing.muted = Muted("silenced", "s-1", us(10 * HOUR))
    assert story.waits(9 * HOUR, stale_after=HOUR) == []


def test_witness_has_its_time_to_repeat_itself_once_a_silence_ends() -> None:
    """A firing that was silenced is told again after `repeat_interval`."""
    story = Story(fires(AM_0, 10, since=0))
    story.firing.muted = Muted("silenced", "s-1", us(10 * HOUR))
    assert story.waits(11 * HOUR - 1, stale_after=HOUR) == []
    assert story.waits(11 * HOUR, stale_after=HOUR) == ["unconfirmed"]


def test_listing_shows_that_nothing_mutes_it_any_more() -> None:
    story = Story(fires(AM_0, 10, since=0))
    story.firing.muted = Muted("silenced", "s-1", us(10 * HOUR))
    story.hears(fires(AM_0, 400, since=0))
    assert story.firing.muted is None


def test_unconfirmed_since_is_when_its_sign_reached_no_further() -> None:
    story = Story(fires(PROM_A, 0))
    story.waits(700)
    assert second(story.firing.unconfirmed_us or 0) == 240
