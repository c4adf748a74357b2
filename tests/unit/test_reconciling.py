"""What the answer of who was asked what fires changes in the standing of a label set."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import Alert, fingerprint
from alert_history.domain.claim import MINUTE_US, SECOND_US, Claim, Ended, Word
from alert_history.domain.hearing import hear
from alert_history.domain.lapsing import leave_group, pass_time
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Sighting
from alert_history.domain.reconciling import Asked, Lacked, Listed, reconcile
from alert_history.domain.standing import DEFAULT_RULES, Firing, Muted, Past, Standing, Witnesses
from alert_history.domain.step import Step

T0 = to_us(datetime(2026, 3, 4, 12, 0, tzinfo=UTC))
HOUR_US = 60 * MINUTE_US
WEBHOOK, API, OTHER = "webhook", "api", "other"
CLUSTER = Witnesses().joined(WEBHOOK, API)
LABELS = {"alertname": "DiskFull"}
PROMETHEUS = "prometheus-0"
BY_SILENCE = Muted("silenced", "s-1", T0 + HOUR_US)


def asked(at_us: int, **fields: Any) -> Asked:
    return Asked("alertmanager/eu", "Alertmanager eu", "witness", API, at_us, began_us=T0 - HOUR_US, **fields)


def asked_prometheus(at_us: int, **fields: Any) -> Asked:
    senders = frozenset({PROMETHEUS})
    return Asked(
        "prometheus/eu", "Prometheus eu", "first_hand", PROMETHEUS, at_us, senders, began_us=T0 - HOUR_US, **fields
    )


def listed(by: Asked, *, start_us: int = T0, muted: Muted | None = None) -> Listed:
    until_us = by.asked_us + 4 * MINUTE_US if by.kind == "first_hand" else None
    word = Word(by.sender, by.kind, is_firing=True, start_us=start_us, at_us=by.asked_us, content=7, until_us=until_us)
    alert = Alert(fingerprint(LABELS), "firing", LABELS, {}, from_us(start_us))
    sighting = Sighting(alert, 7, b"{}", "alertmanager", "", "", from_us(by.asked_us), word, 1)
    return Listed(by, sighting, muted)


def answer(standing: Standing, finding: Listed | Lacked, witnesses: Witnesses = CLUSTER) -> list[Step]:
    return reconcile(standing, finding, rules=DEFAULT_RULES, witnesses=witnesses)


def say(standing: Standing, sender: str, *, at_us: int = T0, start_us: int = T0, **fields: Any) -> list[Step]:
    word = Word(sender, "witness", is_firing=True, start_us=start_us, at_us=at_us, content=7, **fields)
    return hear(standing, word, rules=DEFAULT_RULES, witnesses=CLUSTER)


def post(standing: Standing, *, sender: str = PROMETHEUS, at_us: int = T0, start_us: int = T0) -> list[Step]:
    until_us = at_us + 4 * MINUTE_US
    word = Word(sender, "first_hand", is_firing=True, start_us=start_us, at_us=at_us, content=7, until_us=until_us)
    return hear(standing, word, rules=DEFAULT_RULES, witnesses=CLUSTER)


def end(standing: Standing, sender: str, *, at_us: int, start_us: int = T0) -> list[Step]:
    word = Word(sender, "witness", is_firing=False, start_us=start_us, at_us=at_us, content=7, end_us=at_us)
    return hear(standing, word, rules=DEFAULT_RULES, witnesses=CLUSTER)


def firing_of(standing: Standing) -> Firing:
    assert standing.firing is not None
    return standing.firing


def kinds(steps: list[Step]) -> list[str]:
    return [step.kind for step in steps]


@pytest.fixture
def claimed() -> Standing:
    """The cluster's webhook says that it fires."""
    standing = Standing()
    say(standing, WEBHOOK)
    return standing


@pytest.fixture
def posted() -> Standing:
    """A Prometheus says that it fires."""
    standing = Standing()
    post(standing)
    return standing


# --- Nothing is listed ------------------------------------------------------------------------------------------------


def test_what_is_lacked_once_stays_open(claimed: Standing) -> None:
    assert answer(claimed, Lacked(asked(T0 + MINUTE_US))) == []
    assert claimed.firing is not None


def test_what_is_lacked_twice_in_a_row_ends_as_reconciled_at_its_last_sign(claimed: Standing) -> None:
    answer(claimed, Lacked(asked(T0 + MINUTE_US)))
    (ended,) = answer(claimed, Lacked(asked(T0 + 2 * MINUTE_US)))
    assert (ended.kind, ended.ended_by, ended.end_us) == ("ended", "reconciled", T0)
    assert ended.bounds_us == (T0, T0 + MINUTE_US)
    assert ended.reason == "Alertmanager eu does not list it any more"
    assert ended.details == {"sender": "Alertmanager eu", "asked": "alertmanager/eu"}


def test_when_it_was_listed_last_bounds_its_end(claimed: Standing) -> None:
    answer(claimed, Lacked(asked(T0 + 9 * MINUTE_US), seen_us=T0 + 8 * MINUTE_US))
    (ended,) = answer(claimed, Lacked(asked(T0 + 10 * MINUTE_US)))
    assert ended.bounds_us == (T0 + 8 * MINUTE_US, T0 + 9 * MINUTE_US)


def test_two_answers_at_the_same_time_are_one(claimed: Standing) -> None:
    """Two replicas of ours may ask at once."""
    answer(claimed, Lacked(asked(T0 + MINUTE_US)))
    assert answer(claimed, Lacked(asked(T0 + MINUTE_US + 5_000))) == []
    assert claimed.firing is not None


def test_how_long_an_alertmanager_has_to_lack_it_may_be_set(claimed: Standing) -> None:
    """Of a pair of Prometheus it drops what the first one resolves, until the second sends it again."""
    times = [T0 + MINUTE_US + n * 30 * SECOND_US for n in range(3)]
    steps = [kinds(answer(claimed, Lacked(asked(at_us, apart_us=MINUTE_US)))) for at_us in times]
    assert steps == [[], [], ["ended"]]


@pytest.mark.parametrize("by", ["webhook", "api"])
def test_a_sign_between_two_answers_makes_the_second_one_the_first(claimed: Standing, by: str) -> None:
    answer(claimed, Lacked(asked(T0 + MINUTE_US)))
    if by == "webhook":
        say(claimed, WEBHOOK, at_us=T0 + 2 * MINUTE_US)
    else:
        answer(claimed, listed(asked(T0 + 2 * MINUTE_US)))
    assert answer(claimed, Lacked(asked(T0 + 3 * MINUTE_US))) == []
    assert kinds(answer(claimed, Lacked(asked(T0 + 4 * MINUTE_US)))) == ["ended"]


def test_an_answer_changes_nothing_that_had_a_sign_since_it_was_asked_for(claimed: Standing) -> None:
    answer(claimed, Lacked(asked(T0 + MINUTE_US)))
    say(claimed, WEBHOOK, at_us=T0 + 3 * MINUTE_US)
    before = msgspec.json.encode(claimed)
    assert answer(claimed, Lacked(asked(T0 + 2 * MINUTE_US))) == []
    assert msgspec.json.encode(claimed) == before


def test_a_restart_between_two_answers_makes_the_second_one_the_first(claimed: Standing) -> None:
    answer(claimed, Lacked(asked(T0 + MINUTE_US)))
    anew = msgspec.structs.replace(asked(T0 + 9 * MINUTE_US), began_us=T0 + 2 * MINUTE_US)
    assert answer(claimed, Lacked(anew)) == []
    assert claimed.firing is not None


def test_who_must_not_end_anything_ends_nothing_and_leaves_no_trace(claimed: Standing) -> None:
    before = msgspec.json.encode(claimed)
    for minute in (1, 2, 3):
        assert answer(claimed, Lacked(asked(T0 + minute * MINUTE_US, no_end="it started 20 s ago"))) == []
    assert msgspec.json.encode(claimed) == before


def test_what_another_witness_holds_stays_open(claimed: Standing) -> None:
    say(claimed, OTHER, start_us=T0 + SECOND_US)
    for minute in (1, 2):
        assert answer(claimed, Lacked(asked(T0 + minute * MINUTE_US))) == []
    assert [claim.sender for claim in firing_of(claimed).claims] == [OTHER]


def test_what_a_first_hand_sender_holds_stays_open(claimed: Standing) -> None:
    post(claimed)
    for minute in (1, 2):
        assert answer(claimed, Lacked(asked(T0 + minute * MINUTE_US))) == []
    assert [claim.sender for claim in firing_of(claimed).claims] == [PROMETHEUS]


def test_what_lapsed_holds_nothing_open(claimed: Standing) -> None:
    post(claimed)
    answer(claimed, Lacked(asked(T0 + 6 * MINUTE_US)))
    assert kinds(answer(claimed, Lacked(asked(T0 + 7 * MINUTE_US)))) == ["ended"]


def test_what_somebody_else_claims_is_not_ended() -> None:
    standing = Standing()
    say(standing, OTHER)
    for minute in (1, 2, 3):
        assert answer(standing, Lacked(asked(T0 + minute * MINUTE_US))) == []
    assert standing.firing is not None


def test_what_has_left_its_group_is_over_when_it_is_not_listed(claimed: Standing) -> None:
    sender = CLUSTER.of(WEBHOOK)
    leave_group(claimed, sender, missed_us=T0 + MINUTE_US, at_us=T0 + 2 * MINUTE_US)
    answer(claimed, Lacked(asked(T0 + 3 * MINUTE_US)))
    (ended,) = answer(claimed, Lacked(asked(T0 + 4 * MINUTE_US)))
    assert ended.ended_by == "reconciled"


# --- It is listed -----------------------------------------------------------------------------------------------------


def test_what_is_listed_is_a_sign_and_no_news(claimed: Standing) -> None:
    assert answer(claimed, listed(asked(T0 + MINUTE_US))) == []
    assert firing_of(claimed).last_sign_us == T0 + MINUTE_US
    assert len(firing_of(claimed).claims) == 1


def test_what_is_listed_is_confirmed(claimed: Standing) -> None:
    pass_time(claimed, T0 + 30 * HOUR_US, rules=DEFAULT_RULES, stale_after_us=None)
    assert firing_of(claimed).unconfirmed
    (step,) = answer(claimed, listed(asked(T0 + 31 * HOUR_US)))
    assert (step.kind, step.reason) == ("confirmed", "Alertmanager eu lists it")
    assert firing_of(claimed).unconfirmed is None


def test_what_has_left_its_group_and_is_listed_has_not(claimed: Standing) -> None:
    leave_group(claimed, CLUSTER.of(WEBHOOK), missed_us=T0 + MINUTE_US, at_us=T0 + 2 * MINUTE_US)
    assert kinds(answer(claimed, listed(asked(T0 + 3 * MINUTE_US)))) == ["confirmed"]
    assert not firing_of(claimed).claims[0].has_left


def test_an_earlier_start_moves_the_start(claimed: Standing) -> None:
    (step,) = answer(claimed, listed(asked(T0 + MINUTE_US), start_us=T0 - 5 * MINUTE_US))
    assert (step.kind, step.start_us) == ("start_moved", T0 - 5 * MINUTE_US)


def test_the_api_and_the_webhook_of_a_cluster_are_peers_once_they_name_one_start() -> None:
    standing = Standing()
    say(standing, OTHER)
    (step,) = answer(standing, listed(asked(T0 + MINUTE_US)), Witnesses())
    assert (step.kind, {step.sender, step.peer}) == ("peers", {OTHER, API})


def test_the_api_of_another_cluster_is_another_witness() -> None:
    standing = Standing()
    say(standing, OTHER)
    assert "peers" not in kinds(answer(standing, listed(asked(T0 + MINUTE_US), start_us=T0 + 7_000_000)))
    assert len(firing_of(standing).claims) == 2


def test_what_nobody_sent_is_opened() -> None:
    standing = Standing()
    (step,) = answer(standing, listed(asked(T0 + MINUTE_US)))
    assert (step.kind, step.start_us, step.reason) == ("opened", T0, "Alertmanager eu lists it")
    assert not firing_of(standing).is_published


def test_what_nobody_sent_is_published_where_that_is_set() -> None:
    standing = Standing()
    answer(standing, listed(asked(T0 + MINUTE_US, is_publishing=True)))
    assert firing_of(standing).is_published


def test_what_was_recorded_only_is_not_published_by_being_listed(claimed: Standing) -> None:
    answer(claimed, listed(asked(T0 + MINUTE_US, is_publishing=True)))
    assert not firing_of(claimed).is_published


def test_who_must_not_open_anything_opens_nothing() -> None:
    standing = Standing()
    assert answer(standing, listed(asked(T0 + MINUTE_US, no_opening="it started 20 s ago"))) == []
    assert standing.firing is None


def test_what_was_resolved_after_it_was_asked_for_is_not_opened_again(claimed: Standing) -> None:
    end(claimed, WEBHOOK, at_us=T0 + 2 * MINUTE_US)
    assert answer(claimed, listed(asked(T0 + MINUTE_US))) == []
    assert claimed.firing is None


def test_what_its_cluster_has_just_resolved_is_not_opened_again(claimed: Standing) -> None:
    """A peer may not know of it yet."""
    end(claimed, WEBHOOK, at_us=T0 + 2 * MINUTE_US)
    assert answer(claimed, listed(asked(T0 + 3 * MINUTE_US))) == []
    assert kinds(answer(claimed, listed(asked(T0 + 8 * MINUTE_US)))) == ["reopened"]


@pytest.mark.parametrize("ended_by", ["expired", "inferred", "reconciled"])
def test_what_ended_without_a_word_and_is_listed_is_open_again(ended_by: Any) -> None:
    standing = Standing(past=(Past(T0, T0, T0 + MINUTE_US, ended_by, notified=("pager",)),))
    assert kinds(answer(standing, listed(asked(T0 + 2 * MINUTE_US)))) == ["reopened"]
    assert (firing_of(standing).key_us, firing_of(standing).is_published) == (T0, True)


def test_what_nobody_was_told_of_is_open_again_in_silence() -> None:
    standing = Standing(past=(Past(T0, T0, T0 + MINUTE_US, "reconciled"),))
    answer(standing, listed(asked(T0 + 2 * MINUTE_US)))
    assert not firing_of(standing).is_published


def test_what_first_hand_senders_ended_by_word_stays_over() -> None:
    words = (Ended(PROMETHEUS, T0, T0 + MINUTE_US, T0 + MINUTE_US, T0 + 4 * MINUTE_US),)
    standing = Standing(past=(Past(T0, T0, T0 + MINUTE_US, "resolved", words),))
    assert answer(standing, listed(asked(T0 + 9 * MINUTE_US))) == []


# --- It is another firing ---------------------------------------------------------------------------------------------


def test_a_start_after_the_last_sign_is_a_second_firing(claimed: Standing) -> None:
    answer(claimed, listed(asked(T0 + MINUTE_US)))
    ended, opened = answer(claimed, listed(asked(T0 + 2 * MINUTE_US), start_us=T0 + 90 * SECOND_US))
    assert (ended.ended_by, ended.bounds_us) == ("reconciled", (T0 + MINUTE_US, T0 + 90 * SECOND_US))
    assert (opened.kind, opened.key_us) == ("opened", T0 + 90 * SECOND_US)


def test_a_start_after_an_answer_that_lacked_it_is_a_second_firing(claimed: Standing) -> None:
    say(claimed, WEBHOOK, at_us=T0 + MINUTE_US)
    answer(claimed, Lacked(asked(T0 + 2 * MINUTE_US)))
    steps = answer(claimed, listed(asked(T0 + 4 * MINUTE_US), start_us=T0 + 3 * MINUTE_US))
    assert kinds(steps) == ["ended", "opened"]


def test_a_single_alertmanager_keeps_the_earliest_start_so_a_later_one_is_a_second_firing(claimed: Standing) -> None:
    """Whatever the clock of its sender says: this one is behind."""
    answer(claimed, listed(asked(T0 + MINUTE_US)))
    later = listed(asked(T0 + 2 * MINUTE_US, is_alone=True), start_us=T0 + 30 * SECOND_US)
    assert kinds(answer(claimed, later)) == ["ended", "opened"]


def test_a_later_start_of_another_peer_is_the_same_firing(claimed: Standing) -> None:
    answer(claimed, listed(asked(T0 + MINUTE_US)))
    assert "opened" not in kinds(answer(claimed, listed(asked(T0 + 2 * MINUTE_US), start_us=T0 + 30 * SECOND_US)))


def test_when_it_was_listed_last_counts_as_a_sign(claimed: Standing) -> None:
    """Signs are written down only now and then, and a peer that was restarted knows a later start."""
    later = listed(asked(T0 + 2 * MINUTE_US), start_us=T0 + 30 * SECOND_US)
    assert "opened" not in kinds(answer(claimed, msgspec.structs.replace(later, seen_us=T0 + MINUTE_US)))


def test_a_later_start_after_a_restart_is_the_same_firing(claimed: Standing) -> None:
    at_us = T0 + 10 * MINUTE_US
    anew = msgspec.structs.replace(asked(at_us, is_alone=True), began_us=T0 + 2 * MINUTE_US)
    witnesses = CLUSTER.restarted(API, T0 + 2 * MINUTE_US)
    assert "opened" not in kinds(answer(claimed, listed(anew, start_us=T0 + 3 * MINUTE_US), witnesses))


def test_who_must_not_open_anything_opens_no_second_firing(claimed: Standing) -> None:
    by = asked(T0 + 60 * MINUTE_US, no_opening="its cluster is settling")
    steps = answer(claimed, listed(by, start_us=T0 + 50 * MINUTE_US))
    assert "opened" not in kinds(steps)


def test_who_must_not_open_anything_opens_no_second_firing_of_what_another_claims() -> None:
    standing = Standing()
    say(standing, OTHER)
    by = asked(T0 + 60 * MINUTE_US, no_opening="its cluster is settling")
    assert kinds(answer(standing, listed(by, start_us=T0 + 50 * MINUTE_US))) == ["start_moved"]


# --- Who mutes it -----------------------------------------------------------------------------------------------------


def test_what_is_muted_is_marked_once(claimed: Standing) -> None:
    (step,) = answer(claimed, listed(asked(T0 + MINUTE_US), muted=BY_SILENCE))
    assert (step.kind, firing_of(claimed).muted) == ("silenced", BY_SILENCE)
    assert answer(claimed, listed(asked(T0 + 2 * MINUTE_US), muted=BY_SILENCE)) == []


def test_what_is_inhibited_is_marked_as_such(claimed: Standing) -> None:
    steps = answer(claimed, listed(asked(T0 + MINUTE_US), muted=Muted("inhibited", "a" * 16)))
    assert kinds(steps) == ["inhibited"]


def test_a_silence_that_was_prolonged_is_no_news(claimed: Standing) -> None:
    answer(claimed, listed(asked(T0 + MINUTE_US), muted=BY_SILENCE))
    longer = msgspec.structs.replace(BY_SILENCE, until_us=T0 + 5 * HOUR_US)
    assert answer(claimed, listed(asked(T0 + 2 * MINUTE_US), muted=longer)) == []
    assert firing_of(claimed).muted == longer


def test_what_is_active_again_is_marked_no_more(claimed: Standing) -> None:
    answer(claimed, listed(asked(T0 + MINUTE_US), muted=BY_SILENCE))
    (step,) = answer(claimed, listed(asked(T0 + 2 * MINUTE_US)))
    assert (step.kind, firing_of(claimed).muted) == ("unsilenced", None)
    assert step.reason == "Alertmanager eu shows it as active: it is no longer silenced"


def test_one_that_has_just_started_takes_no_mark_away(claimed: Standing) -> None:
    """It may not know the alert yet that inhibits this one."""
    answer(claimed, listed(asked(T0 + MINUTE_US), muted=BY_SILENCE))
    assert answer(claimed, listed(asked(T0 + 2 * MINUTE_US, no_end="it started 20 s ago"))) == []
    assert firing_of(claimed).muted == BY_SILENCE


def test_two_clusters_do_not_take_turns_in_marking(claimed: Standing) -> None:
    say(claimed, OTHER, start_us=T0 + SECOND_US)
    answer(claimed, listed(asked(T0 + MINUTE_US), muted=BY_SILENCE))
    other = msgspec.structs.replace(asked(T0 + 2 * MINUTE_US), sender=OTHER)
    assert answer(claimed, listed(other, start_us=T0 + SECOND_US)) == []


def test_what_nobody_sent_is_told_when_it_is_no_longer_muted() -> None:
    standing = Standing()
    steps = answer(standing, listed(asked(T0 + MINUTE_US, is_publishing=True), muted=BY_SILENCE))
    assert kinds(steps) == ["opened", "silenced"]
    assert not firing_of(standing).is_published
    steps = answer(standing, listed(asked(T0 + 2 * MINUTE_US, is_publishing=True)))
    assert kinds(steps) == ["published", "unsilenced"]


def test_what_is_silenced_and_resolves_unsaid_ends_after_two_answers(claimed: Standing) -> None:
    answer(claimed, listed(asked(T0 + MINUTE_US), muted=BY_SILENCE))
    answer(claimed, Lacked(asked(T0 + 2 * MINUTE_US)))
    assert kinds(answer(claimed, Lacked(asked(T0 + 3 * MINUTE_US)))) == ["ended"]


# --- Prometheus -------------------------------------------------------------------------------------------------------


def test_a_prometheus_ends_what_it_claims_after_two_answers(posted: Standing) -> None:
    answer(posted, Lacked(asked_prometheus(T0 + MINUTE_US)))
    (ended,) = answer(posted, Lacked(asked_prometheus(T0 + 2 * MINUTE_US)))
    assert (ended.ended_by, ended.reason) == ("reconciled", "Prometheus eu does not list it any more")


def test_a_prometheus_ends_nothing_of_another_one() -> None:
    standing = Standing()
    post(standing, sender="prometheus-1")
    for minute in (1, 2):
        assert answer(standing, Lacked(asked_prometheus(T0 + minute * MINUTE_US))) == []
    assert standing.firing is not None


def test_a_post_between_two_answers_makes_the_second_one_the_first(posted: Standing) -> None:
    answer(posted, Lacked(asked_prometheus(T0 + MINUTE_US)))
    post(posted, at_us=T0 + 90 * SECOND_US)
    assert answer(posted, Lacked(asked_prometheus(T0 + 2 * MINUTE_US))) == []
    assert posted.firing is not None


def test_its_replica_holds_what_a_prometheus_ends(posted: Standing) -> None:
    post(posted, sender="prometheus-1", start_us=T0 + 5_000_000)
    for minute in (1, 2):
        assert answer(posted, Lacked(asked_prometheus(T0 + minute * MINUTE_US))) == []
    assert [claim.sender for claim in firing_of(posted).claims] == ["prometheus-1"]


@pytest.mark.parametrize("servers", [1, 2])
def test_of_two_senders_that_look_alike_both_have_to_be_asked(posted: Standing, servers: int) -> None:
    firing_of(posted).claims[0].is_doubled = True
    for minute in (1, 2):
        answer(posted, Lacked(asked_prometheus(T0 + minute * MINUTE_US, servers=servers)))
    assert (posted.firing is None) == (servers == 2)


def test_what_a_prometheus_lists_is_as_good_as_a_post(posted: Standing) -> None:
    assert answer(posted, listed(asked_prometheus(T0 + 3 * MINUTE_US))) == []
    (claim,) = firing_of(posted).claims
    assert (claim.last_us, claim.until_us) == (T0 + 3 * MINUTE_US, T0 + 7 * MINUTE_US)


def test_what_a_prometheus_lists_is_confirmed(posted: Standing) -> None:
    pass_time(posted, T0 + 5 * MINUTE_US, rules=DEFAULT_RULES, stale_after_us=None)
    assert kinds(answer(posted, listed(asked_prometheus(T0 + 6 * MINUTE_US)))) == ["confirmed"]


def test_one_that_can_not_be_named_still_confirms(posted: Standing) -> None:
    pass_time(posted, T0 + 5 * MINUTE_US, rules=DEFAULT_RULES, stale_after_us=None)
    by = asked_prometheus(T0 + 6 * MINUTE_US, no_end="no configuration", no_opening="no configuration")
    assert kinds(answer(posted, listed(by))) == ["confirmed"]


def test_a_prometheus_adds_no_claim_to_what_others_claim(claimed: Standing) -> None:
    before = msgspec.json.encode(claimed)
    assert answer(claimed, listed(asked_prometheus(T0 + MINUTE_US))) == []
    assert msgspec.json.encode(claimed) == before


def test_what_fires_in_a_prometheus_and_did_not_arrive_is_opened_as_its_claim() -> None:
    standing = Standing()
    assert kinds(answer(standing, listed(asked_prometheus(T0 + MINUTE_US)))) == ["opened"]
    assert firing_of(standing).claims == [Claim(PROMETHEUS, T0, T0 + 5 * MINUTE_US, T0 + MINUTE_US, T0 + MINUTE_US, 7)]


def test_a_prometheus_that_never_posted_opens_nothing() -> None:
    standing = Standing()
    by = msgspec.structs.replace(asked_prometheus(T0 + MINUTE_US), sender="", senders=frozenset())
    assert answer(standing, listed(by)) == []


def test_a_start_of_a_prometheus_before_an_end_by_word_opens_nothing(posted: Standing) -> None:
    word = Word(PROMETHEUS, "first_hand", is_firing=False, start_us=T0, at_us=T0 + MINUTE_US, content=7, end_us=T0)
    hear(posted, word, rules=DEFAULT_RULES, witnesses=CLUSTER)
    assert answer(posted, listed(asked_prometheus(T0 + 2 * MINUTE_US), start_us=T0 - SECOND_US)) == []
