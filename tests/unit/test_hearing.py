"""What one more word makes of what is known: each row of the table of rules, by its promise.

Seconds of one story; first-hand senders promise four minutes ahead, as Prometheus does.
"""

import pytest

from alert_history.domain.standing import Witnesses
from tests.saying import AM_0, AM_1, BASE_US, OTHER_AM, PROM_A, PROM_B, Story, fires, resolved, second, us

DAY = 86_400.0


# --- It fires; nothing is open ----------------------------------------------------------------------------------------


def test_first_firing_is_a_new_one() -> None:
    assert Story().hears(fires(PROM_A, 0)) == ["opened"]


def test_firing_after_every_known_end_is_a_new_one_with_a_key_of_its_own() -> None:
    story = Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0))
    assert story.hears(fires(PROM_A, 90)) == ["opened"]
    assert story.firing.key_us != story.standing.past[0].key_us


def test_firing_that_its_sender_sent_before_its_own_resolve_is_late_and_changes_nothing() -> None:
    story = Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0))
    assert story.hears(fires(PROM_A, 61, since=0, promise=200)) == []


def test_another_first_hand_sender_that_still_fires_opens_it_again() -> None:
    story = Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0))
    assert story.hears(fires(PROM_B, 61, since=3)) == ["reopened"]


def test_end_by_a_clock_that_is_ahead_does_not_open_again_what_another_ended() -> None:
    """A replica that was restarted names a start of its own, and says only that it is over, in seven seconds."""
    story = Story(fires(PROM_A, 0), resolved(PROM_A, 100, since=0))
    assert story.hears(fires(PROM_B, 106, since=98, promise=7)) == []
    assert story.hears(fires(PROM_B, 121, since=98)) == ["reopened"]


def test_what_is_opened_again_keeps_its_key() -> None:
    story = Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0), fires(PROM_B, 61, since=3))
    assert second(story.firing.key_us) == 0


def test_first_hand_sender_that_fires_again_with_its_old_start_opens_it_again() -> None:
    """A script that always names the same start: it promises more than it had promised by its resolve."""
    story = Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0))
    assert story.hears(fires(PROM_A, 400, since=0)) == ["reopened"]


def test_witness_that_fires_a_group_interval_after_its_own_resolve_opens_it_again() -> None:
    story = Story(fires(AM_0, 10, since=0), resolved(AM_0, 310, since=0, end=200))
    assert story.hears(fires(AM_0, 610, since=0, group_interval_us=us(300) - BASE_US)) == ["reopened"]


def test_witness_opens_again_what_its_peer_ended_when_it_waited_for_its_turn() -> None:
    """Of a pair the second waits 15 s for the first, so the first looks again sooner than a group interval."""
    story = Story(fires(AM_0, 121, since=90), resolved(AM_1, 135, since=90, end=120))
    assert story.hears(fires(AM_0, 421, since=90)) == ["reopened"]


def test_peer_that_fires_sooner_after_the_resolve_of_another_is_late_and_changes_nothing() -> None:
    story = Story(fires(AM_0, 10, since=0), fires(AM_1, 20, since=0), resolved(AM_0, 310, since=0, end=200))
    assert story.hears(fires(AM_1, 325, since=0)) == []


def test_peer_that_fires_again_after_its_own_resolve_opens_it_again() -> None:
    """Of a pair of Prometheus one resolves, and the next post of the other makes a new group, which is told at once."""
    story = Story(fires(AM_0, 10, since=0), resolved(AM_0, 310, since=0, end=200))
    assert story.hears(fires(AM_0, 325, since=0)) == ["reopened"]


def test_firing_that_the_resolve_of_the_same_peer_overtook_is_late_and_changes_nothing() -> None:
    story = Story(fires(AM_0, 10, since=0), resolved(AM_0, 310, since=0, end=200))
    assert story.hears(fires(AM_0, 315, since=0)) == []


def test_firing_that_comes_after_the_resolve_that_was_heard_first_is_late_and_changes_nothing() -> None:
    story = Story(resolved(AM_0, 310, since=0, end=200))
    assert story.hears(fires(AM_0, 370, since=0)) == []


def test_payload_that_comes_a_little_early_opens_it_again_too() -> None:
    story = Story(fires(AM_0, 10, since=0), resolved(AM_0, 20, since=0, end=18))
    assert story.hears(fires(AM_0, 29.9, since=0, group_interval_us=us(10) - BASE_US)) == ["reopened"]


def test_witness_does_not_open_again_what_a_first_hand_sender_ended() -> None:
    story = Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0))
    assert story.hears(fires(AM_0, 900, since=0)) == []


def test_another_witness_opens_again_what_one_ended() -> None:
    story = Story(fires(AM_0, 10, since=0), resolved(AM_0, 310, since=0, end=200))
    assert story.hears(fires(OTHER_AM, 320, since=50)) == ["reopened"]


# --- It fires; something is open --------------------------------------------------------------------------------------


def test_firing_of_a_replica_joins_and_says_that_the_start_differs() -> None:
    story = Story(fires(PROM_A, 0))
    assert story.hears(fires(PROM_B, 8)) == ["start_moved"]
    assert second(story.firing.start_us) == 0


def test_earliest_start_that_was_claimed_is_shown_under_the_key_of_the_first() -> None:
    story = Story(fires(PROM_A, 8), fires(PROM_B, 9, since=5))
    assert (second(story.firing.start_us), second(story.firing.key_us)) == (5, 8)


def test_start_in_the_future_is_shown_no_later_than_its_receipt() -> None:
    story = Story(fires(PROM_A, 0, since=30))
    assert second(story.firing.start_us) == 0


def test_starts_of_one_millisecond_are_one() -> None:
    story = Story(fires(PROM_A, 0.0004))
    assert story.hears(fires(AM_0, 1, since=0.0)) == []


def test_start_never_reaches_back_into_a_firing_that_is_over() -> None:
    story = Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0), fires(PROM_A, 90), fires(PROM_B, 91, since=30))
    assert second(story.firing.start_us) == 60


def test_restarted_prometheus_with_a_new_start_joins_what_it_promised() -> None:
    story = Story(fires(PROM_A, 0), fires(PROM_A, 60, since=0))
    assert story.hears(fires(PROM_A, 150, since=120)) == ["start_moved"]


def test_new_start_within_the_time_to_come_back_after_a_lapse_joins() -> None:
    story = Story(fires(PROM_A, 0))
    assert story.waits(300) == ["unconfirmed"]
    assert story.hears(fires(PROM_A, 1_000, since=900)) == ["confirmed", "start_moved"]


def test_start_after_what_is_open_has_expired_ends_it_as_inferred_and_is_a_new_one() -> None:
    story = Story(fires(PROM_A, 0))
    assert story.hears(fires(PROM_A, 2_000)) == ["ended", "opened"]
    assert story.ends == [(0, "inferred")]
    assert story.firing.key_us != story.standing.past[0].key_us


def test_inferred_end_has_the_bounds_between_which_it_lies() -> None:
    story = Story(fires(PROM_A, 0), fires(PROM_A, 60, since=0), fires(PROM_A, 2_000))
    ended = next(step for step in story.steps if step.kind == "ended")
    assert ended.bounds_us is not None
    assert tuple(map(second, ended.bounds_us)) == (60, 2_000)


def test_witness_that_names_a_start_long_after_the_last_sign_ends_the_old_one_and_opens_a_new() -> None:
    story = Story(fires(AM_0, 10, since=0))
    assert story.hears(fires(AM_0, 900, since=800)) == ["ended", "opened"]


def test_witness_that_names_a_later_start_within_its_group_interval_joins() -> None:
    story = Story(fires(AM_0, 10, since=0))
    assert story.hears(fires(AM_0, 310, since=280)) == ["start_moved"]


def test_known_group_interval_counts_in_place_of_five_minutes() -> None:
    story = Story(fires(AM_0, 10, since=0))
    assert story.hears(fires(AM_0, 40, since=30, group_interval_us=us(10) - BASE_US)) == ["ended", "opened"]


def test_start_that_was_in_the_future_when_it_was_claimed_is_no_later_one() -> None:
    story = Story(fires(AM_0, 0, since=20, group_interval_us=us(10) - us(0)))
    assert story.hears(fires(AM_1, 60, since=20, group_interval_us=us(10) - us(0))) == ["peers"]


def test_later_start_of_a_witness_that_is_known_to_have_restarted_joins() -> None:
    story = Story(fires(AM_0, 10, since=0), witnesses=Witnesses(restarted_us={AM_0: us(700)}))
    assert story.hears(fires(AM_0, 900, since=800)) == ["start_moved"]


def test_witness_joins_what_a_first_hand_sender_repeats() -> None:
    story = Story(fires(AM_0, 10, since=0), *(fires(PROM_A, at, since=0) for at in range(60, 900, 60)))
    assert story.hears(fires(AM_0, 900, since=850)) == ["start_moved"]


def test_changed_annotations_of_a_sender_are_news() -> None:
    story = Story(fires(PROM_A, 0))
    assert story.hears(fires(PROM_A, 60, since=0, content=1)) == ["reworded"]


def test_other_annotations_of_a_replica_are_no_news() -> None:
    story = Story(fires(PROM_A, 0), fires(PROM_B, 1, since=0, content=1))
    assert story.hears(fires(PROM_A, 60, since=0)) == []
    assert story.hears(fires(PROM_B, 61, since=0, content=1)) == []


def test_firing_is_published_at_its_first_claim_that_is_to_be_published() -> None:
    story = Story(fires(AM_0, 10, since=0, is_to_publish=False))
    assert story.hears(fires(AM_0, 11, since=0)) == ["published"]
    assert story.hears(fires(AM_0, 12, since=0)) == []


# --- It is over -------------------------------------------------------------------------------------------------------


def test_resolve_with_the_start_of_the_only_claim_ends_it_there() -> None:
    story = Story(fires(PROM_A, 0))
    assert story.hears(resolved(PROM_A, 60, since=0, end=58)) == ["ended"]
    assert story.ends == [(58, "resolved")]


@pytest.mark.parametrize("again_at", [61, 900, DAY])
def test_same_resolve_again_changes_nothing_at_any_time(again_at: float) -> None:
    story = Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0, end=58))
    assert story.hears(resolved(PROM_A, again_at, since=0, end=58)) == []


def test_same_resolve_again_does_not_end_the_next_firing() -> None:
    story = Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0, end=58), fires(PROM_A, 90))
    assert story.hears(resolved(PROM_A, 120, since=0, end=58)) == []


def test_pair_is_over_when_its_last_claim_has_ended_by_word() -> None:
    story = Story(fires(PROM_A, 0), fires(PROM_B, 5))
    assert story.hears(resolved(PROM_A, 60, since=0)) == []
    assert story.hears(resolved(PROM_B, 65, since=5)) == ["ended"]
    assert story.ends == [(65, "resolved")]


def test_replica_that_dies_lapses_while_the_other_holds_it() -> None:
    story = Story(fires(PROM_A, 0), fires(PROM_B, 5), *(fires(PROM_B, at, since=5) for at in range(60, 1_200, 60)))
    assert story.waits(1_200) == []
    assert story.hears(resolved(PROM_B, 1_205, since=5)) == ["ended"]


def test_start_that_its_sender_has_not_repeated_since_a_later_one_holds_nothing() -> None:
    story = Story(fires(PROM_A, 0), fires(PROM_A, 60, since=0), fires(PROM_A, 90))
    assert story.hears(resolved(PROM_A, 150, since=90)) == ["ended"]


def test_resolve_without_a_start_means_the_open_one_whoever_claims_it() -> None:
    story = Story(fires(PROM_A, 0))
    assert story.hears(resolved(PROM_B, 60, since=60, is_start_given=False)) == ["ended"]


def test_resolve_without_a_start_that_comes_again_does_not_end_the_next_firing() -> None:
    clear = {"since": 60, "end": 60, "is_start_given": False}
    story = Story(fires(PROM_A, 0), resolved(PROM_B, 60, **clear), fires(PROM_A, 90))
    assert story.hears(resolved(PROM_B, 100, **clear)) == []


def test_resolve_without_a_start_may_be_of_a_clock_five_minutes_slow() -> None:
    story = Story(fires(PROM_A, 0))
    assert story.hears(resolved(PROM_B, 60, since=-290, end=-290, is_start_given=False)) == ["ended"]
    assert story.ends == [(0, "resolved")]


def test_resolve_by_a_clock_that_is_ahead_ends_it_when_it_was_received() -> None:
    story = Story(fires(PROM_A, 0))
    story.hears(resolved(PROM_B, 60, since=100, end=100, is_start_given=False))
    assert story.ends == [(60, "resolved")]


def test_resolve_whose_start_is_its_end_ends_the_open_one_of_that_sender() -> None:
    """So does Grafana 12."""
    story = Story(fires(AM_0, 10, since=0))
    assert story.hears(resolved(AM_0, 100, since=90, end=90)) == ["ended"]
    assert story.ends == [(90, "resolved")]


def test_resolve_with_a_start_that_nobody_named_ends_the_open_one_that_it_overlaps() -> None:
    story = Story(fires(AM_0, 10, since=0))
    assert story.hears(resolved(AM_0, 100, since=50, end=90)) == ["ended"]


def test_resolve_with_an_unknown_start_ends_only_the_claims_of_its_sender_while_another_is_live() -> None:
    story = Story(fires(PROM_A, 0), fires(PROM_B, 5))
    assert story.hears(resolved(PROM_A, 60, since=50)) == []
    assert [claim.sender for claim in story.firing.claims] == [PROM_B]


def test_resolve_with_an_unknown_start_of_one_who_claims_nothing_does_not_end_what_another_claims_live() -> None:
    story = Story(fires(PROM_A, 0))
    assert story.hears(resolved(PROM_B, 60, since=50)) == []
    assert [claim.sender for claim in story.firing.claims] == [PROM_A]


def test_repeat_of_a_resolve_whose_start_is_its_end_does_not_end_the_next_firing() -> None:
    story = Story(fires(AM_0, 10, since=0), resolved(AM_0, 100, since=90, end=90), fires(AM_0, 200, since=90))
    assert story.hears(resolved(AM_0, 210, since=90, end=90)) == []


def test_resolve_that_names_an_earlier_start_moves_it_before_it_ends() -> None:
    story = Story(fires(AM_0, 100, since=90))
    assert story.hears(resolved(AM_0, 200, since=30, end=180)) == ["start_moved", "ended"]
    assert second(story.over[0].start_us) == 30


def test_end_of_what_nobody_knew_is_recorded_as_over() -> None:
    story = Story()
    assert story.hears(resolved(PROM_A, 60, since=0)) == ["recorded_over"]
    assert not story.over[0].notified


def test_end_wholly_before_what_is_open_is_a_firing_of_its_own_that_is_over() -> None:
    story = Story(fires(PROM_A, 100))
    assert story.hears(resolved(PROM_B, 110, since=20, end=50)) == ["recorded_over"]
    assert second(story.firing.key_us) == 100


def test_end_that_overlaps_what_is_over_changes_nothing() -> None:
    story = Story(fires(PROM_A, 0), resolved(PROM_A, 60, since=0))
    assert story.hears(resolved(PROM_B, 65, since=5, end=63)) == []


def test_witness_that_resolves_ends_what_no_first_hand_sender_claims_any_more() -> None:
    story = Story(fires(PROM_A, 0, promise=240), fires(AM_0, 30, since=0))
    assert story.hears(resolved(AM_0, 300, since=0, end=240)) == ["ended"]


def test_witness_that_resolves_does_not_end_what_a_first_hand_sender_claims() -> None:
    story = Story(fires(PROM_A, 0), fires(AM_0, 30, since=0))
    assert story.hears(resolved(AM_0, 60, since=0, end=50)) == []


def test_witness_that_fired_again_in_between_ends_it_with_the_resolve_of_before() -> None:
    """One replica behind Alertmanager sends its old end again, the other has opened the alert there in between."""
    story = Story(fires(AM_0, 10, since=0), resolved(AM_0, 310, since=0, end=200), fires(AM_0, 610, since=0))
    assert story.hears(resolved(AM_0, 910, since=0, end=200)) == ["ended"]


def test_witness_that_joined_again_in_between_holds_nothing_after_the_resolve_of_before() -> None:
    story = Story(fires(PROM_A, 0), fires(AM_0, 10, since=0), resolved(AM_0, 60, since=0, end=50))
    story.hears(fires(AM_0, 120, since=0))
    assert story.hears(resolved(AM_0, 180, since=0, end=50)) == []
    assert [claim.sender for claim in story.firing.claims] == [PROM_A]


def test_witness_does_not_hold_open_what_all_first_hand_senders_ended_by_word() -> None:
    story = Story(fires(PROM_A, 0), fires(AM_0, 30, since=0))
    assert story.hears(resolved(PROM_A, 60, since=0)) == ["ended"]


def test_peer_that_names_the_same_start_is_the_same_witness() -> None:
    story = Story(fires(AM_0, 10, since=0))
    assert story.hears(resolved(AM_1, 310, since=0, end=200)) == ["peers", "ended"]


def test_witness_that_lists_it_as_over_with_an_end_of_before_claims_it_no_more() -> None:
    """A Prometheus that missed a short firing sends the end of the one before again, and Alertmanager takes that."""
    story = Story(fires(AM_0, 100, since=90), resolved(AM_0, 460, since=90, end=450), fires(AM_0, 771, since=761))
    assert story.hears(resolved(AM_0, 1_071, since=90, end=450)) == ["ended"]
    assert story.ends[-1] == (771, "inferred")


def test_witness_that_lists_it_as_over_a_moment_later_may_be_a_peer_that_waited_for_its_turn() -> None:
    story = Story(fires(AM_0, 100, since=90), resolved(AM_0, 460, since=90, end=450), fires(AM_0, 771, since=761))
    assert story.hears(resolved(AM_0, 786, since=90, end=450)) == []


# --- Senders that can't be told apart ---------------------------------------------------------------------------------


def doubled(*, until: int = 120) -> Story:
    """Two replicas behind one proxy, with one external URL, that fire each minute, four seconds apart."""
    story = Story()
    for at in range(0, until + 1, 60):
        story.hears(fires(PROM_A, at, since=0))
        story.hears(fires(PROM_A, at + 4, since=0))
    return story


def test_resolve_of_a_pair_that_cant_be_told_apart_is_held_until_the_other_must_have_sent_again() -> None:
    story = doubled()
    assert story.hears(resolved(PROM_A, 150, since=0)) == []
    assert story.waits(280) == []
    assert story.waits(286) == ["ended"]
    assert story.ends == [(150, "resolved")]


def test_replica_that_sends_again_after_two_minutes_withdraws_the_resolve_of_the_other() -> None:
    """With a rule interval of a minute Prometheus sends every other: it waits for more than the delay of a minute."""
    story = Story()
    for at in (0, 0.2, 120, 120.2):
        story.hears(fires(PROM_A, at, since=0))
    story.hears(resolved(PROM_A, 120.3, since=0, end=120))
    assert story.waits(240.1) == []
    assert story.hears(fires(PROM_A, 240.2, since=0)) == []
    assert story.waits(400) == []


def test_firing_of_the_same_start_withdraws_a_resolve_that_is_held() -> None:
    story = doubled()
    story.hears(resolved(PROM_A, 150, since=0))
    assert story.hears(fires(PROM_A, 184, since=0)) == []
    assert story.waits(300) == []
    assert story.firing.hold is None


def test_later_start_waits_for_the_outcome_of_a_resolve_that_is_held() -> None:
    story = doubled()
    story.hears(resolved(PROM_A, 150, since=0))
    assert story.hears(fires(PROM_A, 160)) == []
    assert story.waits(286) == ["ended", "opened"]
    assert second(story.firing.start_us) == 160


def test_later_start_of_another_sender_waits_too() -> None:
    story = doubled()
    story.hears(resolved(PROM_A, 150, since=0))
    assert story.hears(fires(PROM_B, 160)) == []
    assert story.waits(290) == ["ended", "opened"]


def test_two_pairs_that_cant_be_told_apart_are_over_when_both_have_ended() -> None:
    story = doubled()
    for at in range(0, 121, 60):
        story.hears(fires(PROM_B, at + 10, since=2))
        story.hears(fires(PROM_B, at + 12, since=2))
    story.hears(resolved(PROM_A, 150, since=0))
    story.hears(resolved(PROM_B, 152, since=2))
    assert story.hears(fires(PROM_A, 165)) == []
    assert story.waits(295) == ["ended", "opened"]


def test_end_of_a_later_start_that_waits_shows_that_the_one_before_it_has_ended() -> None:
    story = doubled()
    story.hears(resolved(PROM_A, 150, since=0))
    story.hears(fires(PROM_A, 160))
    assert story.hears(resolved(PROM_A, 175, since=160)) == ["ended", "opened", "ended"]
    assert story.ends == [(150, "resolved"), (175, "resolved")]


def test_hold_ends_in_time_though_nobody_confirms_what_it_holds_any_more() -> None:
    story = doubled()
    story.hears(resolved(PROM_A, 355, since=0))
    assert story.looks_again(370) == 490


def test_end_by_a_clock_that_is_ahead_is_no_second_sender() -> None:
    """It ends in the future, so it reads as firing until then; it comes sooner than a repeat would."""
    story = Story(fires(PROM_A, 0, promise=270), fires(PROM_A, 60, since=0, promise=270))
    story.hears(fires(PROM_A, 75, since=0, promise=30))
    assert not story.firing.claims[0].is_doubled
    assert story.hears(resolved(PROM_A, 135, since=0, end=105)) == ["ended"]


def test_later_start_joins_if_the_resolve_before_it_is_withdrawn() -> None:
    story = doubled()
    story.hears(resolved(PROM_A, 150, since=0))
    story.hears(fires(PROM_A, 160))
    story.hears(fires(PROM_A, 184, since=0))
    assert len(story.firing.claims) == 2


# --- Senders that contradict each other -------------------------------------------------------------------------------


def test_claim_that_goes_on_for_ten_minutes_after_another_ended_is_a_conflict() -> None:
    story = Story(fires(PROM_A, 0), fires(PROM_B, 1), resolved(PROM_A, 60, since=0))
    kinds = [kind for at in range(61, 800, 60) for kind in story.hears(fires(PROM_B, at, since=1))]
    assert kinds == ["conflict"]


def test_claims_that_end_apart_three_times_in_an_hour_are_a_conflict() -> None:
    story = Story(fires(PROM_B, 0))
    for begin in range(100, 1_000, 300):
        story.hears(fires(PROM_A, begin))
        story.hears(resolved(PROM_A, begin + 60, since=begin))
        for at in range(begin + 61, begin + 300, 60):
            story.hears(fires(PROM_B, at, since=0))
    assert [step.kind for step in story.steps].count("conflict") == 1


def test_pair_whose_ends_are_a_resend_delay_apart_is_no_conflict_however_often_it_fires() -> None:
    story = Story()
    for begin in range(0, 3_000, 300):
        story.hears(fires(PROM_A, begin))
        story.hears(fires(PROM_B, begin + 1))
        story.hears(resolved(PROM_A, begin + 60, since=begin))
        story.hears(fires(PROM_B, begin + 61, since=begin + 1))
        story.hears(resolved(PROM_B, begin + 121, since=begin + 1))
    assert "conflict" not in [step.kind for step in story.steps]


def test_sender_that_ended_and_claims_again_does_not_contradict() -> None:
    story = Story(fires(PROM_A, 0), fires(PROM_B, 1), resolved(PROM_A, 60, since=0), fires(PROM_A, 90))
    kinds = [kind for at in range(91, 900, 60) for kind in story.hears(fires(PROM_B, at, since=1))]
    assert kinds == []
