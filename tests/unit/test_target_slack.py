"""What a Slack message says, and that no alert can make it say more, or say it to everybody."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alert_history.domain.target import Message, Outgoing, OutgoingAct, TargetSpec
from alert_history.errors import Rejected
from alert_history.targets.slack import make, slack_act, slack_message, slack_note
from tests.vendors.messages import HOSTILE, SHOUT, STARTED, acknowledged, classification, classified, outgoing, resolved
from tests.vendors.server import replies, serving
from tests.vendors.slack import MAX_BLOCKS_CHARACTERS, STATES, Slack, calls, faults, fields

RED, AMBER, BLUE, GREEN = "#d92d20", "#f2a60d", "#2e7de0", "#2eb67d"


def labelled(**labels: str) -> dict[str, str]:
    return {"alertname": "DiskFull", "severity": "critical", "namespace": "shop", "instance": "db-1:9100", **labels}


def group(count: int, **changes: Any) -> list[Outgoing]:
    return [outgoing(**({"labels": labelled(instance=f"db-{i}:9100")} | changes)) for i in range(count)]


def color(alerts: Sequence[Outgoing]) -> str:
    return str(slack_message(alerts)["attachments"][0]["color"])


def headline(alerts: Sequence[Outgoing]) -> str:
    return str(slack_message(alerts)["text"])


def texts(alerts: Sequence[Outgoing]) -> list[str]:
    """The blocks, each as text."""
    blocks = slack_message(alerts)["attachments"][0]["blocks"]
    return [block["text"]["text"] if "text" in block else block["elements"][0]["text"] for block in blocks]


def all_text(alerts: Sequence[Outgoing]) -> str:
    return "\n".join([headline(alerts), *texts(alerts)])


# --- Colour and headline ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "severity, expected",
    [("critical", RED), ("page", RED), ("", RED), ("Warning", AMBER), ("minor", AMBER), ("info", BLUE), ("none", BLUE)],
)
def test_bar_shows_how_urgent_a_firing_alert_is(severity: str, expected: str) -> None:
    assert color([outgoing(labels=labelled(severity=severity))]) == expected


def test_bar_is_green_when_all_are_resolved() -> None:
    assert color([resolved(labels=labelled()), resolved(labels=labelled(instance="db-2"))]) == GREEN


def test_bar_shows_the_most_urgent_of_those_that_fire() -> None:
    over, minor = resolved(labels=labelled()), outgoing(labels=labelled(severity="info"))
    assert color([over, minor, outgoing(labels=labelled(severity="warning"))]) == AMBER


def test_headline_says_what_fires_how_badly_where_and_what_is_wrong() -> None:
    assert (
        headline([outgoing(labels=labelled())])
        == "🔴 *FIRING* · *DiskFull* · critical · shop · db-1:9100\n/var is 97 % full"
    )


def test_headline_leaves_out_what_nobody_can_see() -> None:
    labels = {"alertname": " ", "severity": " ", "cluster": "\u200b", "namespace": " ", "job": "node"}
    assert headline([outgoing(labels=labels, annotations={})]) == "🔴 *FIRING* · *alert without a name* · node"


def test_headline_counts_what_fires_and_what_is_over() -> None:
    alerts = [*group(2), resolved(labels=labelled(instance="db-9"))]
    assert headline(alerts).startswith("🔴 *2 FIRING, 1 RESOLVED* · *DiskFull* · critical · shop\n")


def test_headline_names_some_of_many_alerts() -> None:
    alerts = [outgoing(labels={"alertname": f"Alert{i}"}) for i in range(5)]
    assert "*Alert0, Alert1, Alert2 and 2 more*" in headline(alerts)


def test_fallback_is_the_headline_without_markup() -> None:
    fallback = slack_message([resolved(labels=labelled())])["attachments"][0]["fallback"]
    assert fallback == "🟢 RESOLVED · DiskFull · critical · shop · db-1:9100"


# --- Alerts -----------------------------------------------------------------------------------------------------------


def test_firing_alert_says_since_when_in_the_readers_own_time_zone() -> None:
    seconds = int(STARTED.timestamp())
    assert texts([outgoing()])[0].startswith(
        f"Firing since <!date^{seconds}^{{date_short_pretty}} {{time}}|2026-11-24 12:00 UTC>"
    )


def test_alert_told_late_says_how_long_it_has_been_firing() -> None:
    assert "(2 h 5 min so far)" in texts([outgoing(at=STARTED + timedelta(minutes=125))])[0]


def test_resolved_alert_says_how_long_it_lasted() -> None:
    assert texts([resolved()])[0].startswith("Resolved after 6 min, <!date^")


def test_alert_that_nobody_refreshed_is_not_called_resolved() -> None:
    assert "Not heard of since" in texts([resolved(event="expired", confirmed_at=STARTED)])[0]


def test_alert_of_a_group_shows_the_labels_that_tell_it_from_the_others() -> None:
    first, second, *_ = texts(group(2))
    assert "`instance=db-0:9100`" in first
    assert "`instance=db-1:9100`" in second
    assert "shop" not in first + second


def test_labels_of_the_whole_group_are_said_once() -> None:
    assert all_text(group(3, annotations={})).count("`namespace=shop`") == 1


def test_own_summary_of_each_alert_is_shown() -> None:
    alerts = [outgoing(labels=labelled(instance=f"db-{i}"), annotations={"summary": f"disk {i}"}) for i in range(2)]
    assert ["*disk 0*" in texts(alerts)[0], "*disk 1*" in texts(alerts)[1]] == [True, True]


def test_what_the_whole_group_says_is_said_once() -> None:
    shown_text = all_text(group(4))
    assert [shown_text.count(text) for text in ("/var is 97 % full", "It fills up", "|Runbook>", "|Source>")] == [
        1,
        1,
        1,
        1,
    ]


def test_firing_alerts_come_before_resolved_ones() -> None:
    alerts = [resolved(labels=labelled(instance="over")), outgoing(labels=labelled(instance="burning"))]
    assert "burning" in texts(alerts)[0]


def test_alertmanager_is_linked_with_a_silence_filled_in() -> None:
    links = texts([outgoing(labels={"alertname": 'a"b'})])[-1]
    assert links == (
        "<https://alertmanager.example/#/alerts?receiver=team-db|Alertmanager> · "
        "<https://alertmanager.example/#/silences/new?filter=%7Balertname%3D%22a%5C%22b%22%7D|Silence>"
    )


def test_grafana_is_linked_as_grafana() -> None:
    shown_text = all_text([outgoing(external_url="https://grafana.example/", details={"orgId": 1})])
    assert "<https://grafana.example|Grafana>" in shown_text
    assert "Silence" not in shown_text


# --- What it means ----------------------------------------------------------------------------------------------------


def explained(**changes: Any) -> Outgoing:
    return outgoing(labels=labelled(), classification=classification(**changes))


def note_text(alert: Outgoing) -> str:
    message = slack_note([alert])
    blocks = message["attachments"][0]["blocks"]
    return "\n".join(
        [message["text"], *(b["text"]["text"] if "text" in b else b["elements"][0]["text"] for b in blocks)]
    )


def test_classification_is_said_with_how_sure_who_is() -> None:
    assert texts([explained()])[1] == (
        "💡 critical · capacity · 92 % sure · by gpt-4\n"
        "The volume is full within an hour\n"
        "*Probable cause:* Logs of a crash loop are not rotated\n"
        "• Rotate the logs\n"
        "• Grow the volume"
    )


def test_correction_by_a_person_says_who_it_was() -> None:
    assert "💡 warning · capacity · corrected by anna\n" in all_text(
        [explained(severity="warning", source="person", model="anna", confidence=1.0)]
    )


@pytest.mark.parametrize("severity, expected", [("critical", RED), ("warning", AMBER), ("info", BLUE), ("noise", BLUE)])
def test_bar_shows_how_urgent_the_classification_says_it_is(severity: str, expected: str) -> None:
    assert color([explained(severity=severity)]) == expected


@pytest.mark.parametrize("label", ["critical", "warning", "info", "", "unheard-of"])
def test_noise_is_never_louder_than_its_label(label: str) -> None:
    loudness = [BLUE, AMBER, RED]
    plain = outgoing(labels=labelled(severity=label))
    noise = outgoing(labels=labelled(severity=label), classification=classification(severity="noise"))
    assert loudness.index(color([noise])) <= loudness.index(color([plain]))


def test_why_it_is_not_classified_is_said_small() -> None:
    alert = outgoing(unenriched="no answer in time")
    blocks = slack_message([alert])["attachments"][0]["blocks"]
    small = [block["elements"][0]["text"] for block in blocks if block["type"] == "context"]
    assert "not classified: no answer in time" in small


def test_what_alerts_share_is_explained_once() -> None:
    assert all_text(group(6, classification=classification())).count("full within an hour") == 1


def test_alerts_that_mean_different_things_are_each_explained_by_name() -> None:
    other = outgoing(labels=labelled(alertname="Slow"), classification=classification(summary="It is slow"))
    shown_text = all_text([*group(2, classification=classification()), other])
    assert "💡 *DiskFull* · critical" in shown_text
    assert "💡 *Slow* · critical" in shown_text


def test_resolved_alert_is_not_explained_again() -> None:
    assert "full within an hour" not in all_text([resolved(classification=classification())])


def test_explanations_leave_room_for_the_alerts() -> None:
    alerts = [
        outgoing(
            labels=labelled(alertname=f"A{i}"),
            classification=classification(
                summary='"' * 5000 + str(i), probable_cause='"' * 5000, recommendations=('"' * 900,) * 5
            ),
        )
        for i in range(30)
    ]
    message = slack_message(alerts)
    assert list(faults(message)) == []
    assert sum("Firing since" in text for text in texts(alerts)) >= 3


def test_note_says_what_an_alert_means_that_was_told_before() -> None:
    note = note_text(classified())
    assert note.startswith("🔴 *CLASSIFIED* · *DiskFull* · warning")
    assert "• Grow the volume" in note
    assert "FIRING" not in note


def test_note_on_an_alert_that_is_over_is_not_alarming() -> None:
    alert = classified(status="resolved")
    assert note_text(alert).startswith("🟢 *CLASSIFIED*")
    assert "Resolved by now" in note_text(alert)
    assert slack_note([alert])["attachments"][0]["color"] == GREEN


@pytest.mark.parametrize("kind", HOSTILE)
def test_slack_takes_every_note_and_it_calls_nobody(kind: str) -> None:
    message = slack_note([HOSTILE[kind]])
    assert (list(faults(message)), calls(message)) == ([], [])


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_counted() -> None:
    alerts = [*group(60), *(resolved(labels=labelled(instance=f"x-{i}")) for i in range(10))]
    shown = sum("instance=" in text for text in texts(alerts))
    assert f"…and {70 - shown} more ({60 - shown} firing, 10 resolved)" in texts(alerts)
    assert shown >= 15


def test_long_alerts_of_a_group_leave_room_for_each_other() -> None:
    alerts = [outgoing(labels=labelled(instance=str(i)), annotations={"description": f"{i} " * 5000}) for i in range(8)]
    assert sum("instance=" in text for text in texts(alerts)) == 8


def test_cut_text_ends_between_words() -> None:
    text = texts([outgoing(annotations={"description": "word " * 1000})])[0].split("\n")[1]
    assert text.endswith(" word…")


def test_cut_breaks_no_escape() -> None:
    alert = outgoing(annotations={"description": "&" * 5000})
    assert list(faults(slack_message([alert]))) == []


pieces = st.one_of(st.text(max_size=40), st.sampled_from(["<!channel>", "@here ", "&", "<", ">", "`", "\n", "x" * 900]))
words = st.lists(pieces, max_size=12).map("".join)
names = st.sampled_from(["alertname", "severity", "summary", "description", "runbook_url", "dashboard", "x" * 200, "a"])
pairs = st.dictionaries(names, st.one_of(words, st.just("https://x.example/" + "y" * 300)), max_size=8)
states = st.sampled_from([outgoing(), resolved(), resolved(event="expired")])


@st.composite
def alerts(draw: st.DrawFn) -> Outgoing:
    usual = draw(states)
    return outgoing(
        status=usual.status,
        event=usual.event,
        ends_at=usual.ends_at,
        labels=draw(pairs),
        annotations=draw(pairs),
        generator_url=draw(words),
        external_url=draw(st.sampled_from(["https://am.example", "https://am.example/" + "z" * 3000, "x"])),
        receiver=draw(words),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(alerts(), min_size=1, max_size=30))
def test_slack_takes_every_group_and_calls_nobody(group: list[Outgoing]) -> None:
    message = slack_message(group)
    assert (list(faults(message)), calls(message)) == ([], [])


@pytest.mark.parametrize("kind", HOSTILE)
def test_slack_takes_many_hostile_alerts_in_one_message(kind: str) -> None:
    assert list(faults(slack_message([HOSTILE[kind]] * 300))) == []


def test_limit_on_all_blocks_is_one_that_is_reached() -> None:
    long = [
        outgoing(labels={f"l{j}": f"{i}" * 90 for j in range(8)}, annotations={"description": "d" * 900})
        for i in range(20)
    ]
    blocks = slack_message(long)["attachments"][0]["blocks"]
    size = sum(len(str(block)) for block in blocks)
    assert size > 0.8 * MAX_BLOCKS_CHARACTERS


# --- What has become of the webhook -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
async def test_a_webhook_that_is_removed_or_disabled_is_gone_and_one_that_may_come_back_is_not(state: str) -> None:
    async with serving(Slack(state=state)) as server, httpx.AsyncClient(trust_env=False) as client:
        target = make(TargetSpec("ops", "slack", fields(server.url)), client)
        with pytest.raises(Rejected, match=STATES[state][1]) as raised:
            await target.send(Message("1", (outgoing(),)))
    assert raised.value.is_gone is (state in {"webhook removed", "webhook disabled", "channel archived"})


@pytest.mark.parametrize("body", ["<html>no_service</html>", "not found", ""])
async def test_a_404_that_is_not_slacks_disables_nothing(body: str) -> None:
    async with serving(Slack()) as server, httpx.AsyncClient(trust_env=False) as client:
        server.script(replies(404, body))
        with pytest.raises(Rejected) as raised:
            await make(TargetSpec("ops", "slack", fields(server.url)), client).send(Message("1", (outgoing(),)))
    assert not raised.value.is_gone


# --- Untrusted text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_alert_calls_nobody(kind: str) -> None:
    assert calls(slack_message([HOSTILE[kind]])) == []


@pytest.mark.parametrize("call", ["<!channel>", "<!here|x>", "<@U123>", "@channel", "@HERE", "<!subteam^S1>"])
def test_alert_calls_nobody(call: str) -> None:
    alert = outgoing(labels=labelled(alertname=call, instance=call), annotations={"summary": call, "description": call})
    assert calls(slack_message([alert])) == []


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "ftp://x.example/",
        "//x.example/",
        "https://user:secret@x.example/",
        "https://",
        "http://[::1",
        "mailto:a@x.example",
    ],
)
def test_only_sound_http_links_are_made(url: str) -> None:
    assert "Runbook" not in all_text([outgoing(annotations={"runbook_url": url})])


def test_link_can_not_change_the_words_it_shows() -> None:
    shown_text = all_text([outgoing(annotations={"runbook_url": "https://x.example/a|Click> <https://evil.example"})])
    assert "<https://evil" not in shown_text
    assert shown_text.count("|Runbook>") == 1


def test_slack_is_told_to_look_for_no_names_or_links() -> None:
    message = slack_message([outgoing()])
    values = [message[name] for name in ("parse", "link_names", "unfurl_links", "unfurl_media")]
    assert values == ["none", False, False, False]
    assert message["attachments"][0]["blocks"][0]["text"]["verbatim"] is True


# --- What people did --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, word", [("acknowledged", "ACKNOWLEDGED"), ("noted", "NOTE")])
def test_an_act_is_a_short_message_of_its_own(kind: str, word: str) -> None:
    posted = slack_act(acknowledged(event=kind, labels=labelled()))
    assert f"*{word}* · *DiskFull*" in posted["text"]
    (attachment,) = posted["attachments"]
    assert [str(block) for block in attachment["blocks"]] == [
        "{'type': 'context', 'elements': [{'type': 'mrkdwn', 'text': 'By ada', 'verbatim': True}]}",
        "{'type': 'section', 'text': {'type': 'mrkdwn', 'text': 'I look into it', 'verbatim': True}}",
    ]


def test_an_act_after_the_end_says_so_and_is_green() -> None:
    (attachment,) = slack_act(acknowledged(status="resolved"))["attachments"]
    assert attachment["color"] == GREEN
    assert "Resolved by now" in str(attachment["blocks"][-1])


def test_an_act_calls_nobody() -> None:
    posted = slack_act(acknowledged(act=OutgoingAct(SHOUT, SHOUT * 300, STARTED)))
    assert not calls(posted)
    assert list(faults(posted)) == []
