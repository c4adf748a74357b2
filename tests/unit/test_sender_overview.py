"""Who sends, by the requests of each hour and by the groups that were seen."""

from datetime import UTC, datetime, timedelta

import msgspec

from alert_history.domain.group import SeenGroup
from alert_history.domain.microseconds import to_us
from alert_history.domain.speaker import witness_id
from alert_history.domain.standing import Witnesses
from alert_history.engine.sender_overview import A_HOUR, MOST_SENDERS, report_of
from alert_history.ports import AcceptedRequest

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
URL = "http://am-0"
REQUEST = AcceptedRequest(NOW, "alertmanager", "team-x", URL, "/webhook", 2, 0, 0)


def at(minutes: int, **changed: object) -> AcceptedRequest:
    """A request so many minutes ago."""
    return msgspec.structs.replace(REQUEST, received_at=NOW - minutes * MINUTE, **changed)


def group(name: str, *, minutes: int, firing: int = 1, receiver: str = "team-x") -> SeenGroup:
    prints = frozenset(f"{number:016x}" for number in range(firing))
    return SeenGroup(name, receiver, witness_id(URL), to_us(NOW - minutes * MINUTE), prints)


def test_requests_of_one_sender_are_added_up_by_hour() -> None:
    hours = [[at(70, quarantined=1, path="/webhook/proxy"), at(90)], [at(5), at(15, truncated=3), at(25)]]
    report = report_of(hours, [], Witnesses(), now=NOW)
    [sender] = report.senders
    assert (sender.requests, sender.alerts, sender.quarantined, sender.truncated) == (5, 10, 1, 3)
    assert (list(sender.hours), sender.last_at, sender.paths) == (
        [2, 3],
        NOW - 5 * MINUTE,
        ["/webhook", "/webhook/proxy"],
    )
    assert (sender.usual, sender.longest, sender.freshness) == (15 * MINUTE, 45 * MINUTE, "fresh")
    assert report.is_exact


def test_senders_are_told_apart_by_source_receiver_and_name_and_the_late_come_first() -> None:
    fresh = [at(minutes, receiver="fresh") for minutes in range(1, 6)]
    late = [at(minutes, receiver="late") for minutes in range(50, 55)]
    other = [at(minutes, external_url="http://am-1") for minutes in range(1, 6)]
    report = report_of([[*fresh, *other, *late]], [], Witnesses(), now=NOW)
    named = [(each.key.receiver, each.key.external_url, each.freshness) for each in report.senders]
    assert named == [("late", URL, "late"), ("fresh", URL, "fresh"), ("team-x", "http://am-1", "fresh")]


def test_an_hour_that_was_read_in_part_makes_the_numbers_bounds() -> None:
    busy = [msgspec.structs.replace(REQUEST, received_at=NOW - timedelta(seconds=second)) for second in range(A_HOUR)]
    report = report_of([[at(100)], busy], [], Witnesses(), now=NOW)
    assert not report.is_exact
    assert report.senders[0].longest == timedelta(seconds=1), "the pause before the busy hour is not known"


def test_a_sender_knows_its_groups_whichever_peer_sent_them() -> None:
    peers = Witnesses().joined(witness_id(URL), witness_id("http://am-1"))
    groups = [group("a", minutes=3, firing=2), group("b", minutes=9), group("c", minutes=9, receiver="other")]
    report = report_of([[at(1, external_url="http://am-1")]], groups, peers, now=NOW)
    assert (report.senders[0].groups, report.senders[0].firing) == (2, 3)


def test_a_receiver_whose_groups_are_older_than_a_day_is_silent_and_firing_ones_come_first() -> None:
    groups = [
        group("a", minutes=60 * 30, firing=0, receiver="idle"),
        group("b", minutes=60 * 40, receiver="gone"),
        group("c", minutes=60 * 50, receiver="gone"),
        group("d", minutes=60 * 50, receiver="here"),
        group("e", minutes=60, receiver="here"),
    ]
    silent = report_of([[]], groups, Witnesses(), now=NOW).silent
    assert [(each.receiver, each.groups, each.firing) for each in silent] == [("gone", 2, 2), ("idle", 1, 0)]
    assert silent[0].last_at == NOW - 40 * 60 * MINUTE


def test_so_many_senders_are_shown_and_the_rest_is_counted() -> None:
    hour = [at(1, receiver=f"team-{number}") for number in range(MOST_SENDERS + 7)]
    report = report_of([[*hour, at(2, receiver="team-106")]], [], Witnesses(), now=NOW)
    assert (len(report.senders), report.left_out) == (MOST_SENDERS, 7)
    assert "team-106" in {each.key.receiver for each in report.senders}


def test_a_first_hand_sender_has_no_groups_and_no_scope_and_posters_are_named() -> None:
    witnesses = Witnesses().posted("p-1", "http://prom").posted("p-2", "http://prom").scoped(witness_id(""), "eu")
    report = report_of([[at(1, source="prometheus", receiver="", external_url="")]], [], witnesses, now=NOW)
    assert (report.senders[0].groups, report.senders[0].scope, report.posters) == (0, None, ["http://prom"])
