"""What the facts of a night come to, counted by hand."""

from datetime import timedelta
from random import Random

import pytest

from alert_history.domain.night import FirstLook, RuleLine, Section
from alert_history.domain.night_facts import Muting
from alert_history.domain.night_rules import MOST_LINES
from tests.nights import HANDED_OVER, MINUTE, SPAN, at, failure, occurrence, report, silence


def _names(section: Section[RuleLine] | Section[FirstLook]) -> list[str]:
    return [line.alertname for line in section.lines]


def _kinds(look: FirstLook) -> list[str]:
    return [reason.kind for reason in look.reasons]


def test_a_night_without_alerts_has_empty_lists() -> None:
    empty = report()
    assert (empty.counts.began, empty.counts.open, empty.look_first.lines) == (0, 0, [])
    assert (empty.is_over, empty.covers.since, empty.covers.until) == (True, SPAN.since, SPAN.until)


def test_what_began_and_what_was_open_before_adds_up_to_what_ended_and_what_is_open() -> None:
    counts = report(
        occurrence(minutes=10),
        occurrence("NodeDown", "23:00"),
        before=[
            occurrence("Old", SPAN.since - 60 * MINUTE, minutes=90),
            occurrence("Older", SPAN.since - 90 * MINUTE),
            occurrence("Oldest", SPAN.since - timedelta(days=3)),
        ],
    ).counts
    assert (counts.began, counts.open_before, counts.ended, counts.open) == (2, 3, 2, 3)
    assert (counts.ended_by, counts.rules, counts.new_rules) == ({"resolved": 2}, 2, 1)


def test_what_ended_after_the_night_was_open_at_its_end() -> None:
    late = occurrence(began="07:00", minutes=63)
    assert report(late).counts.open == 1
    assert report(late, now=SPAN.until - MINUTE).counts.open == 0


def test_while_the_night_goes_on_the_span_ends_now() -> None:
    running = report(occurrence(), now=at("23:30"))
    assert (running.is_over, running.covers.until, running.covers.fresh_as_of) == (False, at("23:30"), at("23:30"))
    assert (running.until, running.counts.open) == (SPAN.until, 1)


def test_a_rule_is_new_where_it_was_never_seen_before_and_known_otherwise() -> None:
    made = report(occurrence(minutes=10), occurrence("NodeDown", minutes=10), occurrence("", minutes=10))
    assert (_names(made.new), sorted(_names(made.known))) == (["NodeDown"], ["", "DiskFull"])
    assert made.new.lines[0].last_seen_at is None
    assert made.known.lines[-1].last_seen_at == SPAN.since - timedelta(days=1)


def test_a_known_rule_says_how_many_label_sets_are_new() -> None:
    pods = [occurrence(minutes=10, pod=pod) for pod in (1, 2, 3)]
    made = report(*pods, new_fingerprints=frozenset({"DiskFull-2", "DiskFull-3"}))
    assert made.known.lines[0].new_label_sets == 2


def test_a_line_has_the_gravest_severity_the_namespaces_and_the_newest_examples() -> None:
    pods = [
        occurrence(began="22:00", minutes=10, pod=1, namespace="bank"),
        occurrence(began="22:20", minutes=70, pod=2, severity="critical"),
        occurrence(began="22:10", minutes=4, pod=3, severity="info"),
        occurrence(began="23:00", pod=4),
    ]
    (line,) = report(*pods).known.lines
    assert (line.severity, line.namespaces, line.namespace_count) == ("critical", ["shop", "bank"], 2)
    assert (line.occurrences, line.open, line.brief) == (4, 1, 1)
    assert (line.first_at, line.last_at) == (at("22:00"), at("23:00"))
    assert line.longest_seconds == (HANDED_OVER - at("23:00")).total_seconds()
    assert line.examples == [pods[3].episode.id, pods[1].episode.id, pods[2].episode.id]


def test_lines_come_by_severity_then_by_number_then_by_name() -> None:
    made = report(
        occurrence("A", minutes=10, severity="info"),
        occurrence("C", minutes=10, severity="odd"),
        occurrence("B", minutes=10),
        occurrence("D", minutes=10),
        *(occurrence("E", minutes=10, pod=pod) for pod in range(2)),
        known=("A", "B", "C", "D", "E"),
    )
    assert _names(made.known) == ["E", "B", "D", "C", "A"]


def test_a_list_is_cut_and_says_how_many_there_are() -> None:
    made = report(*(occurrence(f"Rule{n:02}", minutes=10) for n in range(24)))
    assert (len(made.new.lines), made.new.total, made.counts.new_rules) == (MOST_LINES, 24, 24)


def test_the_order_of_the_facts_does_not_matter() -> None:
    facts = [
        occurrence(f"Rule{n % 7}", at("22:00") + (n % 5) * MINUTE, minutes=n % 9 or None, pod=n) for n in range(60)
    ]
    shuffled = facts.copy()
    Random(13).shuffle(shuffled)
    failures = [failure("Rule1"), failure("Rule2", reason="HTTP 500", is_dead=False)]
    assert report(*facts, failures=failures) == report(*shuffled, failures=failures[::-1])


# --- Storms -----------------------------------------------------------------------------------------------------------


def test_a_storm_is_one_line_and_not_in_the_lists_of_what_is_usual() -> None:
    storm = [occurrence(f"Pod{n % 6}", at("02:00") + n * timedelta(seconds=7), minutes=2, pod=n) for n in range(30)]
    known = ("DiskFull", *(f"Pod{n}" for n in range(6)))
    made = report(occurrence(minutes=10), *storm, known=known)
    (line,) = made.storms.lines
    assert (line.occurrences, line.first, line.rule_count, line.rules) == (30, "Pod0", 6, ["Pod0", "Pod1", "Pod2"])
    assert (line.since, line.until) == (at("02:00"), at("02:00") + 29 * timedelta(seconds=7))
    assert (_names(made.known), _names(made.healed), _names(made.noise)) == (["DiskFull"], ["DiskFull"], [])
    assert _names(made.look_first) == ["Pod0"]
    assert made.counts.began == 31


def test_too_few_within_five_minutes_are_no_storm() -> None:
    few = [occurrence(f"Pod{n}", at("02:00") + n * timedelta(seconds=15), minutes=2) for n in range(19)]
    assert report(*few, occurrence("Late", "02:05", minutes=2)).storms.total == 0
    assert report(*few, occurrence("Late", "02:04", minutes=2)).storms.total == 1


def test_where_thousands_are_usual_the_night_is_no_storm_but_a_storm_in_it_is() -> None:
    usual = [occurrence(f"Pod{n % 9}", SPAN.since + n * timedelta(seconds=6), minutes=2, pod=n) for n in range(7_200)]
    assert report(*usual).storms.total == 0
    storm = [occurrence("NodeDown", at("03:00") + n * timedelta(seconds=1), minutes=2, pod=n) for n in range(200)]
    (line,) = report(*usual, *storm).storms.lines
    assert (line.since, line.first, line.rules[0]) == (at("03:00"), "NodeDown", "NodeDown")
    assert line.occurrences == 200 + 34  # and what is usual in 199 s


def test_two_storms_hours_apart_are_two() -> None:
    first, second = ([occurrence(f"Pod{n}", clock, minutes=2) for n in range(25)] for clock in ("21:00", "03:00"))
    assert [line.since for line in report(*second, *first).storms.lines] == [at("21:00"), at("03:00")]


# --- Silences, notifications, noise -----------------------------------------------------------------------------------


def test_what_was_muted_is_told_with_who_muted_it() -> None:
    muted = (Muting("silenced", "s-1", "ada", "disk swap", at("23:00")),)
    inhibited = (Muting("inhibited", "NodeDown"),)
    made = report(
        occurrence(mutings=muted, pod=1),
        occurrence(minutes=20, mutings=muted * 2, pod=2),
        occurrence("PodDown", minutes=10, mutings=inhibited),
    )
    first, second = made.muted.lines
    assert (first.by, first.created_by, first.comment, first.ends_at) == ("s-1", "ada", "disk swap", at("23:00"))
    assert (first.occurrences, first.open, first.rules) == (2, 1, ["DiskFull"])
    assert (second.kind, second.by, second.occurrences) == ("inhibited", "NodeDown", 1)
    assert (made.counts.silenced, made.counts.inhibited) == (2, 1)


def test_a_silence_that_was_changed_since_is_told_as_it_stands() -> None:
    muted = (Muting("silenced", "s-1", "ada", "disk swap", at("23:00")),)
    made = report(occurrence(mutings=muted), silences={"s-1": silence(ends=at("23:45"))})
    assert made.muted.lines[0].ends_at == at("23:45")


def test_silences_that_end_before_the_next_night_are_listed_those_that_hide_something_open_first() -> None:
    ends = SPAN.until + 60 * MINUTE
    ahead = [
        silence("early", ends=ends),
        silence("hiding", ends=ends + MINUTE),
        silence("at the next night", ends=SPAN.next_night_at),
    ]
    made = report(occurrence(mutings=(Muting("silenced", "hiding"),)), silences_ahead=ahead)
    assert [(line.id, line.open) for line in made.silences_ending.lines] == [("hiding", 1), ("early", 0)]
    assert made.silences_ending.lines[0].matchers == '{alertname="DiskFull"}'


def test_those_of_whom_nobody_was_notified_are_told_by_reason() -> None:
    made = report(
        occurrence(unnotified="there are no targets", pod=1, minutes=10),
        occurrence(unnotified="there are no targets", pod=2, minutes=10),
        occurrence("NodeDown", unnotified="no route takes the alert", severity="page", minutes=10),
        occurrence(pod=3, minutes=10),
    )
    lines = [(line.reason, line.occurrences, line.critical) for line in made.unnotified.lines]
    assert lines == [("no route takes the alert", 1, 1), ("there are no targets", 2, 0)]
    assert made.counts.unnotified == 3


def test_failed_deliveries_are_told_by_target_with_the_newest_reason() -> None:
    made = report(
        failures=[
            failure(severity="critical", at=at("22:00"), reason="HTTP 500"),
            failure("NodeDown", at=at("23:30"), reason="HTTP 404"),
            failure(target="slack", is_dead=False, reason="timeout"),
        ]
    )
    pager, slack = made.failed.lines
    assert (pager.target, pager.given_up, pager.tried_again, pager.critical) == ("pager", 2, 0, 1)
    assert (pager.reason, pager.last_at, pager.rules) == ("HTTP 404", at("23:30"), ["DiskFull", "NodeDown"])
    assert (slack.target, slack.given_up, slack.tried_again) == ("slack", 0, 1)
    assert made.counts.failed_deliveries == 3


@pytest.mark.parametrize("minutes, noise", [([1, 2, 4], ["DiskFull"]), ([1, 2, 5], []), ([1, 4], [])])
def test_a_rule_with_three_that_were_over_within_five_minutes_is_noise(minutes: list[float], noise: list[str]) -> None:
    made = report(*(occurrence(began=at("22:00") + 30 * n * MINUTE, minutes=m) for n, m in enumerate(minutes)))
    assert _names(made.noise) == noise


def test_what_is_open_is_no_noise_however_new() -> None:
    assert report(*(occurrence(began="07:58", pod=pod) for pod in range(3))).noise.total == 0


# --- What to look at first --------------------------------------------------------------------------------------------


def test_what_to_look_at_first_comes_in_the_order_of_its_gravest_reason() -> None:
    ends = SPAN.until + 60 * MINUTE
    made = report(
        occurrence("Failed", minutes=10),
        occurrence("Open"),
        occurrence("New", minutes=10),
        occurrence("Hidden", mutings=(Muting("silenced", "s-1", ends_at=ends),)),
        occurrence("Unsure", unconfirmed="its sender is silent"),
        occurrence("Unheard", minutes=10, severity="critical", unnotified="there are no targets"),
        occurrence("Undelivered", minutes=10, severity="critical"),
        occurrence("Burning", severity="critical"),
        occurrence("Usual", minutes=10),
        failures=[failure("Failed"), failure("Undelivered", severity="critical")],
        known=("Failed", "Open", "Hidden", "Unsure", "Unheard", "Undelivered", "Burning", "Usual"),
    )
    order = ["Burning", "Undelivered", "Unheard", "Unsure", "Hidden", "New", "Open", "Failed"]
    assert _names(made.look_first) == order


def test_a_rule_is_looked_at_once_with_all_its_reasons() -> None:
    made = report(
        occurrence("NodeDown", "22:00", severity="critical", unnotified="there are no targets"),
        occurrence("NodeDown", "23:00", severity="critical", pod=2, unconfirmed="its sender is silent"),
    )
    (look,) = made.look_first.lines
    assert _kinds(look) == ["open_critical", "unnotified_critical", "unconfirmed", "new"]
    assert (look.occurrences, look.reasons[0].at) == (2, at("22:00"))


def test_what_was_sent_to_be_recorded_only_is_no_reason_to_look() -> None:
    made = report(occurrence(minutes=10, severity="critical", unnotified="recorded only", is_published=False))
    assert (made.look_first.total, made.counts.unnotified) == (0, 1)


def test_a_failed_delivery_of_an_alert_from_before_the_night_is_a_reason_too() -> None:
    (look,) = report(failures=[failure("Older", severity="critical")]).look_first.lines
    assert (look.alertname, look.severity, look.occurrences, look.examples) == ("Older", "critical", 0, ["d-1"])
