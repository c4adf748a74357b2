"""A real Alertmanager's groups: who drops out, silenced, inhibited, unsaid or cut off, and who is named again."""

import pytest

from tests.e2e.history import ONCE, Tell
from tests.e2e.senders import Rule
from tests.e2e.stage import Stage, scene

pytestmark = pytest.mark.timeout(300)

PLAIN = {"way": "plain"}
MEMBERS = ("db-1", "db-2")
LEFT = ["fired", "left", "unconfirmed"]


def begin(stage: Stage, alertname: str, *members: str) -> None:
    """Let it fire for these members, and be known to us."""
    stage.conditions.begin(alertname, *members)
    for member in members:
        stage.until_state(alertname, "firing", member=member)


def silence(stage: Stage, alertname: str) -> str:
    """Silence `db-1` as people do; the silence's id."""
    words = ["silence", "add", f"alertname={alertname}", "member=db-1", "--duration=1h", "--author=test"]
    return stage.amtool(stage.senders["alertmanager"].url, *words, "--comment=upgrade")


@scene(prometheus_c=[Rule("Silenced", PLAIN)])
def resolves_while_silenced(stage: Stage) -> None:
    """One of two is silenced while it fires, and resolves unsaid; the other fires on."""
    begin(stage, "Silenced", *MEMBERS)
    silence(stage, "Silenced")
    stage.until_state("Silenced", "unconfirmed", member="db-1")
    stage.conditions.end("Silenced", "db-1")
    stage.until_state("Silenced", "resolved", member="db-1")
    stage.conditions.end("Silenced", "db-2")
    stage.until_state("Silenced", "resolved", member="db-2")


def test_what_resolves_while_silenced_leaves_its_group_and_ends_as_inferred(story: Tell) -> None:
    silenced = story(resolves_while_silenced, "Silenced", member="db-1")
    assert silenced.kinds == [*LEFT, "inferred"]
    assert (silenced.only["ended_by"], silenced.event_kinds) == ("inferred", ["fired", "inferred"])
    assert silenced.actions == ["trigger", "resolve"]


def test_nothing_is_told_of_an_alert_that_left_its_group_until_it_is_given_up(story: Tell) -> None:
    silenced = story(resolves_while_silenced, "Silenced", member="db-1")
    (events,) = silenced.events
    given_up_at = events[-1]["at"]
    assert [message["received_at"] for message in silenced.messages] == [events[0]["at"], given_up_at]


def test_who_stays_in_the_group_of_a_silenced_alert_resolves_by_word(story: Tell) -> None:
    other = story(resolves_while_silenced, "Silenced", member="db-2")
    assert (other.only["ended_by"], other.event_kinds, other.actions) == ("resolved", *ONCE)


@scene(prometheus_c=[Rule("SilenceEnds", PLAIN)])
def silence_ends_while_it_fires(stage: Stage) -> None:
    """A silence is taken back: the alert comes back into its group."""
    begin(stage, "SilenceEnds", *MEMBERS)
    id_ = silence(stage, "SilenceEnds")
    stage.until_state("SilenceEnds", "unconfirmed", member="db-1")
    stage.amtool(stage.senders["alertmanager"].url, "silence", "expire", id_)
    stage.until_state("SilenceEnds", "firing", member="db-1")
    stage.conditions.end("SilenceEnds", *MEMBERS)
    stage.until_state("SilenceEnds", "resolved", member="db-1")


def test_an_alert_whose_silence_ends_is_no_second_page(story: Tell) -> None:
    back = story(silence_ends_while_it_fires, "SilenceEnds", member="db-1")
    assert back.kinds == [*LEFT, "confirmed", "resolved"]
    assert (back.only["ended_by"], back.event_kinds, back.actions) == ("resolved", *ONCE)


@scene(prometheus_c=[Rule("Inhibited", PLAIN), Rule("ClusterDown", PLAIN)])
def resolves_while_inhibited(stage: Stage) -> None:
    """Another alert inhibits it; it resolves unsaid."""
    begin(stage, "Inhibited", *MEMBERS)
    begin(stage, "ClusterDown", "db-1")
    stage.until_state("Inhibited", "unconfirmed", member="db-1")
    stage.conditions.end("Inhibited", "db-1")
    stage.until_state("Inhibited", "resolved", member="db-1")
    stage.conditions.end("ClusterDown")
    stage.conditions.end("Inhibited", "db-2")
    stage.until_state("Inhibited", "resolved", member="db-2")


def test_what_resolves_while_inhibited_leaves_its_group_and_ends_as_inferred(story: Tell) -> None:
    inhibited = story(resolves_while_inhibited, "Inhibited", member="db-1")
    assert inhibited.kinds == [*LEFT, "inferred"]
    assert (inhibited.event_kinds, inhibited.actions) == (["fired", "inferred"], ["trigger", "resolve"])


@scene(prometheus_c=[Rule("Unresolved", {"way": "unresolved"})])
def resolves_are_not_sent(stage: Stage) -> None:
    """`send_resolved: false`: one of two resolves."""
    begin(stage, "Unresolved", *MEMBERS)
    stage.conditions.end("Unresolved", "db-1")
    stage.until_state("Unresolved", "resolved", member="db-1")


def test_without_send_resolved_an_end_is_inferred_from_the_group(story: Tell) -> None:
    ended = story(resolves_are_not_sent, "Unresolved", member="db-1")
    assert ended.kinds == [*LEFT, "inferred"]
    assert (ended.event_kinds, ended.actions) == (["fired", "inferred"], ["trigger", "resolve"])


def test_without_send_resolved_what_fires_stays_open(story: Tell) -> None:
    assert story(resolves_are_not_sent, "Unresolved", member="db-2").kinds == ["fired"]


@scene(prometheus_c=[Rule("Truncated", {"way": "truncated"})])
def group_is_truncated(stage: Stage) -> None:
    """`max_alerts: 2`: two are named, one is cut off by another before it, and three were never named."""
    begin(stage, "Truncated", "db-2", "db-3")
    stage.conditions.begin("Truncated", "db-1", "db-4", "db-5", "db-6")
    stage.until_state("Truncated", "firing", member="db-1")
    stage.until_repeated("Truncated", 4, member="db-1")
    stage.conditions.end("Truncated", "db-1", "db-2")
    for member in ("db-1", "db-2"):
        stage.until_state("Truncated", "resolved", member=member)
    stage.until_repeated("Truncated", 2, member="db-1")


def test_an_alert_that_max_alerts_cuts_off_has_not_left_its_group(story: Tell) -> None:
    cut = story(group_is_truncated, "Truncated", member="db-3")
    assert cut.kinds == ["fired", "unconfirmed", "inferred"][: len(cut.kinds)]


@pytest.mark.parametrize("member", ["db-1", "db-2"])
def test_what_a_truncated_payload_resolves_is_over_once(story: Tell, member: str) -> None:
    named = story(group_is_truncated, "Truncated", member=member)
    assert (named.only["ended_by"], named.event_kinds, named.actions) == ("resolved", *ONCE)


def test_of_what_no_payload_names_nothing_is_known(story: Tell) -> None:
    assert story(group_is_truncated, "Truncated", member="db-4").occurrences == []


@scene(prometheus_c=[Rule("NamedAgain", PLAIN)])
def end_is_named_again(stage: Stage) -> None:
    """One of two resolves; as long as Prometheus sends that again, the group's payloads name it again."""
    begin(stage, "NamedAgain", *MEMBERS)
    stage.conditions.end("NamedAgain", "db-1")
    stage.until_state("NamedAgain", "resolved", member="db-1")
    stage.until_repeated("NamedAgain", 3, member="db-1")
    stage.conditions.end("NamedAgain", "db-2")
    stage.until_state("NamedAgain", "resolved", member="db-2")


@pytest.mark.parametrize("member", MEMBERS)
def test_an_end_that_payloads_name_again_and_again_is_one_end(story: Tell, member: str) -> None:
    named = story(end_is_named_again, "NamedAgain", member=member)
    assert named.kinds == ["fired", "resolved"]
    assert (named.event_kinds, named.actions) == ONCE


SCENES = [
    resolves_while_silenced,
    silence_ends_while_it_fires,
    resolves_while_inhibited,
    resolves_are_not_sent,
    group_is_truncated,
    end_is_named_again,
]
