"""What the timeline of an occurrence says of an Alertmanager."""

from datetime import UTC, datetime, timedelta
from typing import Any

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.route_simulation import Fired
from alert_history.domain.occurrence import EventKind
from alert_history.engine.alertmanager_evidence import completed, evidence_of
from alert_history.ports import StoredEvent

AT = datetime(2026, 3, 4, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def _event(kind: EventKind, minutes: int = 0, *, receiver: str | None = None, **detail: Any) -> StoredEvent:
    receipt, source = ("r", "alertmanager") if receiver else (None, None)
    return StoredEvent(kind, AT + minutes * MINUTE, receipt, source, receiver, detail)


def test_a_webhook_shows_that_its_receiver_was_notified() -> None:
    evidence = evidence_of([_event("fired", receiver="team-hook"), _event("resolved", 5, receiver="team-hook")])
    fired, resolved = evidence.of("team-hook"), evidence.of("team-hook", "resolved")
    assert fired is not None
    assert resolved is not None
    assert (fired.at, fired.is_ours, resolved.at) == (AT, True, AT + 5 * MINUTE)
    assert not evidence.is_recorded


def test_the_event_recorder_says_who_was_notified_and_who_was_not_because_it_was_muted() -> None:
    evidence = evidence_of(
        [
            _event("grouped", receiver=None, instance="am-0"),
            _event("notified", 1, instance="am-0", role="muted"),
            _event("notified", 2, instance="am-0", role="firing", integration="slack"),
        ]
    )
    assert [(notice.role, notice.integration) for notice in evidence.notices] == [("muted", ""), ("firing", "slack")]
    assert evidence.is_recorded


def test_a_silence_mutes_until_it_ends_or_is_lifted() -> None:
    until = (AT + 30 * MINUTE).isoformat()
    evidence = evidence_of(
        [
            _event("silenced", silence_id="s-1", created_by="ada", ends_at=until, asked="alertmanager/eu"),
            _event("unsilenced", 10),
        ]
    )
    said = evidence.muting_at(AT + MINUTE)
    assert said is not None
    assert (said.cluster, said.muting.silences[0].id, said.muting.silences[0].created_by) == ("eu", "s-1", "ada")
    assert evidence.muting_at(AT + 10 * MINUTE) is None


def test_inhibiting_alerts_and_their_rule_are_named() -> None:
    (said,) = evidence_of([_event("inhibited", inhibited_by=["00", "11"], rules=["by-node"])]).mutings
    assert [(each.fingerprint, each.rule) for each in said.muting.inhibitors] == [("00", "by-node"), ("11", "by-node")]


def test_a_time_interval_that_a_poll_shows_is_one() -> None:
    (said,) = evidence_of([_event("silenced", silence_id="of the time interval nights, weekends")]).mutings
    assert (said.muting.kind, list(said.muting.intervals)) == ("time_muted", ["nights", "weekends"])


def test_a_silence_that_was_ended_early_and_an_inhibiting_alert_that_is_over_mute_no_longer() -> None:
    until = (AT + 30 * MINUTE).isoformat()
    said = evidence_of(
        [_event("silenced", silence_id="s-1", ends_at=until), _event("inhibited", 10, inhibited_by=["00"])]
    )
    ended = Silence("s-1", [], AT, AT + 3 * MINUTE, AT + 3 * MINUTE, "ada", "")
    cause = Fired("00", {"alertname": "NodeDown"}, AT, AT, AT + 15 * MINUTE)
    evidence = completed(said, [cause], [ended], is_narrowed=False)
    assert evidence.muting_at(AT + 4 * MINUTE) is None
    inhibited = evidence.muting_at(AT + 12 * MINUTE)
    assert inhibited is not None
    assert inhibited.muting.inhibitors[0].labels == {"alertname": "NodeDown"}
    assert evidence.muting_at(AT + 16 * MINUTE) is None
    (_, hidden) = completed(said, [], [], is_narrowed=True).mutings
    assert not hidden.muting.inhibitors[0].is_named
