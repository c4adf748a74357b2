"""Why receivers of an Alertmanager were notified or not: cases made by hand, and the sentences for them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alert_history.domain.alertmanager.configuration import Configuration, Integration, Receiver, Route
from alert_history.domain.alertmanager.evidence import Evidence, Notice, SaidMuting
from alert_history.domain.alertmanager.explanation import Gap, Scene, Subject, explain
from alert_history.domain.alertmanager.outcome import (
    Counterfactual,
    InhibitingAlert,
    Look,
    Muting,
    MutingSilence,
    ReceiverOutcome,
)
from alert_history.domain.alertmanager.outcome_sentence import (
    counterfactual_sentence,
    length_text,
    outcome_sentence,
    rule_text,
)
from alert_history.domain.alertmanager.route_outcome import RouteOutcome

START = datetime(2026, 3, 4, 3, 12, tzinfo=UTC)
DUE = START + timedelta(seconds=30)
LATER = START + timedelta(hours=1)
MINUTE = timedelta(minutes=1)
FIRES = Subject(START, None)
OVER = Subject(START, LATER)
ROUTE = Route("pager", '{}/{severity="critical"}', '{}/{severity="critical"}/0')
PAGER = Receiver("pager", (Integration("pagerduty", 0, sends_resolved=True),))
CONFIGURATION = Configuration(Route("pager", "{}", "{}"), (PAGER, Receiver("chat", (Integration("slack", 0, True),))))
SILENCE = MutingSilence("7c1f0a2e-1111", "ada", "disk swap", START - MINUTE, START + 48 * MINUTE)
SILENCED = Muting(silences=[SILENCE], until=SILENCE.ends_at)
NODE = InhibitingAlert("0" * 16, {"alertname": "NodeDown", "node": "a"}, 'a="1" mutes b="2"', START - MINUTE)


def _scene(on_route: RouteOutcome | None, **more: Any) -> Scene:
    return Scene("eu", CONFIGURATION, [] if on_route is None else [on_route], **more)


def _explained(
    subject: Subject, on_route: RouteOutcome | None = None, evidence: Evidence | None = None, **more: Any
) -> ReceiverOutcome:
    outcomes = explain(subject, evidence or Evidence(), [_scene(on_route, **more)], now=LATER)
    return next(outcome for outcome in outcomes if outcome.receiver == "pager")


def _say(time: datetime) -> str:
    return f"{time:%H:%M:%S}" if time.second else f"{time:%H:%M}"


def _sentence(outcome: ReceiverOutcome) -> str:
    return outcome_sentence(outcome, say_time=_say)


CASES = {
    "notified": (
        FIRES,
        RouteOutcome(ROUTE, due_at=DUE, sent_at=DUE, looks=[Look(DUE)]),
        "notified",
        (
            "By the configuration of Alertmanager eu "
            "pager was notified (pagerduty) at about 03:12:30, 30 s after it began "
            "to fire."
        ),
    ),
    "in a group that was there": (
        FIRES,
        RouteOutcome(ROUTE, due_at=DUE, sent_at=DUE, is_at_latest=True),
        "notified",
        (
            "By the configuration of Alertmanager eu "
            "pager was notified (pagerduty) by 03:12:30, 30 s after it began to "
            "fire."
        ),
    ),
    "silenced": (
        OVER,
        RouteOutcome(ROUTE, due_at=DUE, looks=[Look(DUE, SILENCED)]),
        "silenced",
        (
            "By the configuration of Alertmanager eu "
            "pager was not notified: silence 7c1f0a2e by ada until 04:00 "
            "(“disk swap”) muted it."
        ),
    ),
    "silenced first": (
        FIRES,
        RouteOutcome(ROUTE, due_at=DUE, sent_at=START + 50 * MINUTE, looks=[Look(DUE, SILENCED)]),
        "notified",
        (
            "By the configuration of Alertmanager eu "
            "pager was notified (pagerduty) at about 04:02, 50 min after it began "
            "to fire; until then silence 7c1f0a2e by ada until 04:00 (“disk swap”) muted it."
        ),
    ),
    "inhibited": (
        OVER,
        RouteOutcome(ROUTE, due_at=DUE, looks=[Look(DUE, Muting(inhibitors=[NODE]))]),
        "inhibited",
        (
            'By the configuration of Alertmanager eu pager was not notified: NodeDown{node="a"} (by the rule: '
            'a="1" mutes b="2"), which fired from 03:11, inhibited it.'
        ),
    ),
    "muted by a time interval": (
        OVER,
        RouteOutcome(ROUTE, due_at=DUE, looks=[Look(DUE, Muting(intervals=["nights"], until=START + 48 * MINUTE))]),
        "time_muted",
        (
            "By the configuration of Alertmanager eu "
            "pager was not notified: the time interval nights of its route muted "
            "it until 04:00."
        ),
    ),
    "waiting": (
        FIRES,
        RouteOutcome(ROUTE, due_at=LATER + MINUTE),
        "waiting",
        (
            "By the configuration of Alertmanager eu "
            "pager has not been notified yet: the alert waits for its group until "
            "04:13."
        ),
    ),
    "over before its group was due": (
        Subject(START, START + timedelta(seconds=10)),
        RouteOutcome(ROUTE, due_at=DUE),
        "resolved_early",
        (
            "By the configuration of Alertmanager eu "
            "pager was not notified: the alert was over at 03:12:10, before its "
            "group was due at 03:12:30 (group_wait is 30 s)."
        ),
    ),
    "notified of the same before": (
        FIRES,
        RouteOutcome(ROUTE, due_at=DUE, repeat_at=LATER + 3 * MINUTE),
        "repeated",
        (
            "By the configuration of Alertmanager eu "
            "pager was not notified anew: its group had been notified of the same "
            "labels before and not of their end, and repeats that at 04:15 at the earliest."
        ),
    ),
    "cut off": (
        FIRES,
        RouteOutcome(ROUTE, due_at=DUE, cut_at=DUE),
        "cut_off",
        (
            "By the configuration of Alertmanager eu "
            "pager was not notified of this alert, although it was of its group at 03:12:30: the receiver takes no "
            "more alerts (max_alerts), and others come first."
        ),
    ),
    "silenced after it was sent": (
        OVER,
        RouteOutcome(ROUTE, due_at=DUE, sent_at=DUE, end_look=Look(DUE, SILENCED)),
        "notified",
        (
            "By the configuration of Alertmanager eu "
            "pager was notified (pagerduty) at about 03:12:30, 30 s after it began to fire; not of its end, because "
            "silence 7c1f0a2e by ada until 04:00 (“disk swap”) muted it."
        ),
    ),
    "no route": (
        FIRES,
        None,
        "not_routed",
        "By the configuration of Alertmanager eu no route leads to pager with these labels.",
    ),
}


@pytest.mark.parametrize("subject, on_route, kind, sentence", CASES.values(), ids=CASES)
def test_what_follows_from_a_configuration_says_so(
    subject: Subject, on_route: RouteOutcome | None, kind: str, sentence: str
) -> None:
    outcome = _explained(subject, on_route)
    assert (outcome.kind, outcome.basis, _sentence(outcome)) == (kind, "follows", sentence)


def test_a_receiver_without_integrations_notifies_nobody() -> None:
    configuration = Configuration(Route("null", "{}", "{}"), (Receiver("null"),))
    on_route = RouteOutcome(Route("null", "{}", "{}"), due_at=DUE, sent_at=DUE)
    (outcome,) = explain(FIRES, Evidence(), [Scene("eu", configuration, [on_route])], now=LATER)
    assert outcome.kind == "no_integration"
    assert "its route leads to null, which notifies nobody" in _sentence(outcome)


def test_what_an_alertmanager_said_is_known_and_goes_before_what_follows() -> None:
    notices = [
        Notice(DUE, "pager", integration="pagerduty", instance="am-0"),
        Notice(LATER, "pager", "resolved", integration="pagerduty", instance="am-0"),
    ]
    on_route = RouteOutcome(ROUTE, due_at=LATER, looks=[Look(LATER, SILENCED)])
    outcome = _explained(OVER, on_route, Evidence(notices, is_recorded=True))
    assert (outcome.kind, outcome.basis, outcome.at, outcome.cluster) == ("notified", "known", DUE, "eu")
    assert outcome.connect == ""
    assert _sentence(outcome) == (
        "Alertmanager am-0 notified pager (pagerduty) at 03:12:30, 30 s after it began to fire; of its end at 04:12."
    )


def test_a_notification_that_only_follows_says_what_to_connect_to_know() -> None:
    outcome = _explained(FIRES, RouteOutcome(ROUTE, due_at=DUE, sent_at=DUE))
    assert "event recorder" in outcome.connect
    recorded = _explained(FIRES, RouteOutcome(ROUTE, due_at=DUE, sent_at=DUE), Evidence(is_recorded=True))
    assert recorded.connect == ""


def test_a_silence_that_an_alertmanager_named_when_its_group_was_due_is_known() -> None:
    said = SaidMuting(START + MINUTE, SILENCED, cluster="eu")
    outcome = _explained(OVER, RouteOutcome(ROUTE, due_at=DUE, sent_at=DUE), Evidence(mutings=[said]))
    assert outcome.kind == "notified", "it was due before anybody said so"
    said = SaidMuting(START, SILENCED, cluster="eu")
    outcome = _explained(OVER, RouteOutcome(ROUTE, due_at=DUE, sent_at=DUE), Evidence(mutings=[said]))
    assert (outcome.kind, outcome.basis) == ("silenced", "known")
    assert _sentence(outcome) == (
        "pager was not notified: silence 7c1f0a2e by ada until 04:00 (“disk swap”) muted it, as Alertmanager eu says."
    )


def test_a_notification_without_the_alert_because_it_was_muted_is_known() -> None:
    evidence = Evidence([Notice(DUE, "pager", "muted", instance="am-0")], [SaidMuting(START, SILENCED)])
    outcome = _explained(OVER, RouteOutcome(ROUTE, due_at=DUE, sent_at=None), evidence)
    assert (outcome.kind, outcome.basis, outcome.source) == ("silenced", "known", "Alertmanager am-0")


def test_while_an_alertmanager_did_not_answer_nothing_follows() -> None:
    gap = Gap(START - MINUTE, LATER, "connection refused")
    outcome = _explained(OVER, RouteOutcome(ROUTE, due_at=DUE, sent_at=DUE), gap=gap)
    assert (outcome.kind, outcome.basis) == ("unreachable", "unknown")
    assert _sentence(outcome) == (
        "Whether pager was notified is not known, because Alertmanager eu did not answer after 03:11 until 04:12 "
        "(connection refused)."
    )


def test_without_a_configuration_what_is_on_record_is_said_and_the_rest_is_not_known() -> None:
    evidence = Evidence([Notice(DUE, "team-hook", integration="webhook", is_ours=True)])
    hook, rest = explain(FIRES, evidence, [], now=LATER)
    assert (hook.receiver, hook.kind, hook.basis) == ("team-hook", "notified", "known")
    assert (rest.receiver, rest.kind, rest.basis) == ("", "unknown", "unknown")
    assert _sentence(rest) == (
        "Whom else Alertmanager notified is not known, because Alert History does not know the configuration that "
        "it had then."
    )
    assert "ALERTMANAGER_URLS" in rest.connect


def test_a_configuration_that_cannot_be_read_is_the_reason() -> None:
    (rest,) = explain(FIRES, Evidence(), [Scene("eu", None, fault="no route")], now=LATER)
    assert _sentence(rest) == (
        "Whom Alertmanager eu notified is not known, because its configuration can't be read (no route)."
    )


def test_of_several_alertmanagers_a_notice_belongs_to_the_one_with_that_receiver() -> None:
    other = Scene("us", Configuration(Route("ops", "{}", "{}"), (Receiver("ops", PAGER.integrations),)))
    evidence = Evidence([Notice(DUE, "pager")])
    outcomes = explain(FIRES, evidence, [_scene(None), other], now=LATER)
    assert [(each.cluster, each.receiver, each.kind) for each in outcomes] == [
        ("eu", "pager", "notified"),
        ("eu", "chat", "not_routed"),
        ("us", "ops", "not_routed"),
    ]


def test_an_alertmanager_that_is_not_known_to_have_it_is_assumed_to() -> None:
    outcome = _explained(FIRES, RouteOutcome(ROUTE, due_at=DUE, sent_at=DUE), is_assumed=True)
    assert _sentence(outcome).endswith("after it began to fire, if it received the alert.")


def test_what_would_have_been_names_what_it_leaves_out() -> None:
    on_route = RouteOutcome(
        ROUTE,
        due_at=DUE,
        looks=[Look(DUE, SILENCED)],
        counterfactuals=[Counterfactual(SILENCED, DUE), Counterfactual(Muting(inhibitors=[NODE]), None)],
    )
    assert counterfactual_sentence(_explained(OVER, on_route), say_time=_say) == (
        "Without silence 7c1f0a2e it would have gone to pager at 03:12:30. "
        'Without NodeDown{node="a"} it would not have gone to pager either.'
    )
    assert counterfactual_sentence(_explained(FIRES, None), say_time=_say) is None


def test_what_a_reader_may_not_see_is_not_named() -> None:
    hidden = Muting(
        inhibitors=[InhibitingAlert("0" * 16, {"alertname": "Secret"}, "secret", START, is_named=False)],
    )
    on_route = RouteOutcome(ROUTE, due_at=DUE, looks=[Look(DUE, hidden)], counterfactuals=[Counterfactual(hidden, DUE)])
    outcome = _explained(OVER, on_route)
    text = _sentence(outcome) + str(counterfactual_sentence(outcome, say_time=_say))
    assert "another alert that you may not see" in text
    assert not any(word in text.lower() for word in ("secret", "rule"))


def test_a_rule_is_written_as_its_matchers() -> None:
    assert rule_text('a="1"', 'b="2"', ("cluster", "node")) == 'a="1" mutes b="2" where cluster and node are equal'
    assert rule_text("", 'b="2"', ("node",)) == 'any alert mutes b="2" where node is equal'


@pytest.mark.parametrize("seconds, text", [(0, "0 s"), (0.2, "less than 1 s"), (31, "31 s"), (90, "1 min 30 s")])
def test_lengths_are_short(seconds: float, text: str) -> None:
    assert length_text(timedelta(seconds=seconds)) == text
