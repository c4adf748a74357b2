"""Alertmanager's event recorder: each type of event, singly and in batches.

Holds: `sources.event_recorder`.
"""

from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import AlertGroup, Note, fingerprint
from alert_history.errors import PayloadTooLarge
from alert_history.sources import decode_webhook

DATA = Path(__file__).parents[1] / "data" / "event-recorder-0.33"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LABELS = {
    "alertname": "DiskFull",
    "instance": "db-0.example.com:9100",
    "namespace": "shop",
    "severity": "critical",
}
STARTED_AT = datetime(2026, 8, 20, 14, 3, 11, 123457, tzinfo=UTC)


def event(name: str) -> Any:
    return msgspec.json.decode((DATA / f"{name}.json").read_bytes())


def decode(*events: Any, max_alerts: int = 20) -> AlertGroup:
    body = msgspec.json.encode(events[0] if len(events) == 1 else events)
    return decode_webhook(body, received_at=NOW, max_alerts=max_alerts)


def in_schema_v2(document: Any, details: dict[str, Any]) -> Any:
    """The same in Alertmanager's schema `events/v2`. `details` are of alerts that come as a hash alone."""
    if isinstance(document, list):
        return [in_schema_v2(item, details) for item in document]
    if not isinstance(document, dict):
        return document
    if "hash" in document:
        return in_schema_v2(
            document.get("details") or details.get(document["hash"], {"fingerprint": document["hash"]}), details
        )
    if isinstance(document.get("labels"), list):
        return {pair["key"]: pair["value"] for pair in document["labels"]}
    return {name: in_schema_v2(value, details) for name, value in document.items()}


def hashed(notification: dict[str, Any]) -> dict[str, Any]:
    """The alerts that a notification names by a hash, in one list or another."""
    lists = [notification.get(name, []) for name in ("alerts", "firingAlerts", "resolvedAlerts", "mutedAlerts")]
    return {alert["hash"]: alert["details"] for alert in chain(*lists) if "details" in alert}


def note(name: str) -> Note:
    (only_note,) = decode(event(name)).notes
    return only_note


def reason(*events: Any) -> str:
    (refused,) = decode(*events).refused
    return refused.reason


def test_created_alert_is_firing_until_alertmanager_says_otherwise() -> None:
    (alert,) = decode(event("alert-created")).alerts
    assert (alert.status, alert.starts_at, alert.ends_at, alert.expires_at) == ("firing", STARTED_AT, None, None)


def test_created_alert_has_its_labels_annotations_and_hexadecimal_fingerprint() -> None:
    (alert,) = decode(event("alert-created")).alerts
    assert (alert.labels, alert.annotations, alert.fingerprint) == (
        LABELS,
        {"summary": "disk is full"},
        fingerprint(LABELS),
    )


@pytest.mark.parametrize("over", [{"resolved": True}, {"endsAt": "2026-08-20T14:03:11.4Z"}], ids=str)
def test_created_alert_may_be_over_already(over: dict[str, Any]) -> None:
    created = event("alert-created")
    created["data"]["alertCreated"]["alert"] |= over
    assert decode(created).alerts[0].status == "resolved"


def test_resolved_alert_has_its_end() -> None:
    (alert,) = decode(event("alert-resolved")).alerts
    assert (alert.status, alert.starts_at, alert.ends_at) == (
        "resolved",
        STARTED_AT,
        datetime(2026, 8, 20, 14, 3, 55, 250000, tzinfo=UTC),
    )


def test_grouped_alert_says_into_which_group() -> None:
    grouping = note("alert-grouped")
    assert (grouping.kind, grouping.fingerprint, grouping.starts_at, grouping.instance, grouping.detail) == (
        "grouped",
        fingerprint(LABELS),
        STARTED_AT,
        "alertmanager-0",
        {"receiver": "on-call", "group_key": '{}:{alertname="DiskFull"}'},
    )


def test_notification_is_a_note_for_each_of_its_alerts() -> None:
    notes = decode(event("notification")).notes
    assert [(each.kind, each.detail["role"]) for each in notes] == [("notified", "firing"), ("notified", "resolved")]


def test_notification_says_who_was_told_and_why() -> None:
    detail = decode(event("notification")).notes[0].detail
    assert detail == {
        "receiver": "on-call",
        "group_key": '{}:{alertname="DiskFull"}',
        "integration": "pagerduty",
        "integration_index": 1,
        "reason": "first_notification",
        "flush_id": "17",
        "muted_alerts": 1,
        "role": "firing",
    }


@pytest.mark.parametrize(
    "sent, word",
    [
        ("NOTIFY_REASON_REPEAT_INTERVAL_ELAPSED", "repeat_interval_elapsed"),
        (4, "all_alerts_resolved"),
        (None, "unspecified"),
        ("NOTIFY_REASON_OF_TOMORROW", "of_tomorrow"),
        (99, "99"),
    ],
)
def test_reason_may_be_a_name_or_a_number(sent: Any, word: str) -> None:
    notification = event("notification")
    notification["data"]["notification"]["reason"] = sent
    assert decode(notification).notes[0].detail["reason"] == word


def test_alert_of_a_notification_without_details_is_refused_and_the_others_kept() -> None:
    notification = event("notification")
    del notification["data"]["notification"]["alerts"][0]["details"]
    group = decode(notification)
    assert (len(group.notes), [refused.reason for refused in group.refused]) == (
        1,
        ["1 alerts of the notification: 'details' is missing"],
    )


def test_notification_of_no_alert_is_refused() -> None:
    assert reason({"@timestamp": "2026-08-20T14:03:41Z", "data": {"notification": {}}}) == (
        "the notification names no alert"
    )


def test_silence_is_copied_with_all_its_matchers() -> None:
    (silence,) = decode(event("silence-created")).silences
    assert silence.matchers == [
        [
            {"name": "alertname", "op": "=", "value": "DiskFull"},
            {"name": "instance", "op": "=~", "value": "db-.*"},
        ],
        [{"name": "namespace", "op": "!=", "value": "shop"}],
    ]


def test_silence_of_one_matcher_set_is_copied() -> None:
    created = event("silence-created")
    del created["data"]["silenceCreated"]["silence"]["matcherSets"]
    (silence,) = decode(created).silences
    assert [len(matchers) for matchers in silence.matchers] == [2]


@pytest.mark.parametrize("type_, op", [(1, "="), (2, "=~"), (3, "!="), (4, "!~"), ("TYPE_NOT_REGEXP", "!~")])
def test_type_of_a_matcher_may_be_a_name_or_a_number(type_: Any, op: str) -> None:
    created = event("silence-created")
    matchers = [{"type": type_, "name": "a", "pattern": "b"}]
    created["data"]["silenceCreated"]["silence"] |= {"matcherSets": [{"matchers": matchers}]}
    assert decode(created).silences[0].matchers == [[{"name": "a", "op": op, "value": "b"}]]


def test_updated_silence_says_who_why_and_until_when() -> None:
    (silence,) = decode(event("silence-updated")).silences
    assert (silence.created_by, silence.comment, silence.ends_at, silence.updated_at) == (
        "ada",
        "takes longer",
        datetime(2026, 8, 20, 18, tzinfo=UTC),
        datetime(2026, 8, 20, 14, 3, 50, tzinfo=UTC),
    )


def test_silenced_alert_says_by_what() -> None:
    muting = note("silence-muted-alert")
    assert (muting.kind, muting.fingerprint, muting.starts_at, muting.detail) == (
        "silenced",
        fingerprint(LABELS),
        None,
        {
            "silence_id": "6f2b9c1e-3f0e-4f62-9a3a-0c1d2e3f4a5b",
            "created_by": "ada",
            "comment": "disks are being replaced",
            "ends_at": "2026-08-20T16:00:00+00:00",
        },
    )


def test_inhibited_alert_says_by_what() -> None:
    muting = note("inhibition-muted-alert")
    assert (muting.kind, muting.fingerprint, muting.detail) == (
        "inhibited",
        fingerprint(LABELS),
        {"inhibited_by": [fingerprint({"alertname": "ClusterDown"})], "rules": ["cluster-down-mutes-disks"]},
    )


def test_inhibition_rule_without_a_name_is_told_by_its_matchers() -> None:
    muted = event("inhibition-muted-alert")
    del muted["data"]["inhibitionMutedAlert"]["inhibitRules"][0]["name"]
    assert decode(muted).notes[0].detail["rules"] == ['{alertname="ClusterDown"} → {severity="critical"}']


@pytest.mark.parametrize(
    "sent, digits",
    [
        ("18446744073709551615", "f" * 16),
        (18446744073709551615, "f" * 16),
        ("1", "0000000000000001"),
        (None, fingerprint(LABELS)),
        ("0", fingerprint(LABELS)),
    ],
)
def test_fingerprint_is_a_decimal_string_or_number_and_computed_if_left_out(sent: Any, digits: str) -> None:
    created = event("alert-created")
    created["data"]["alertCreated"]["alert"]["fingerprint"] = sent
    assert decode(created).alerts[0].fingerprint == digits


@pytest.mark.parametrize("sent", ["18446744073709551616", -1, "-1", 1.5, "x", True, [], "٣"], ids=str)
def test_fingerprint_that_is_no_uint64_is_refused(sent: Any) -> None:
    created = event("alert-created")
    created["data"]["alertCreated"]["alert"]["fingerprint"] = sent
    assert "uint64" in reason(created)


def test_label_value_left_out_is_empty() -> None:
    created = event("alert-created")
    created["data"]["alertCreated"]["alert"]["labels"]["labels"].append({"key": "pod"})
    assert decode(created).alerts[0].labels["pod"] == ""


def test_batch_keeps_everything_it_says() -> None:
    group = decode(*event("batch"))
    kinds = [each.kind for each in group.notes]
    assert (group.source, len(group.alerts), kinds, len(group.silences), group.refused) == (
        "event_recorder",
        2,
        ["grouped", "notified", "notified", "silenced", "inhibited"],
        2,
        [],
    )


def test_batch_says_when_alertmanager_started_and_stopped() -> None:
    assert decode(*event("batch")).details == {
        "lifecycle": [
            {
                "event": "alertmanagerStartupEvent",
                "at": "2026-08-20T14:03:01+00:00",
                "instance": "alertmanager-0",
                "version": "0.33.0",
            },
            {
                "event": "alertmanagerShutdownEvent",
                "at": "2026-08-20T14:03:59.900000+00:00",
                "instance": "alertmanager-0",
            },
        ]
    }


def test_notes_know_their_place_in_the_batch() -> None:
    assert [each.position for each in decode(*event("batch")).notes] == [3, 4, 4, 5, 6]


@pytest.mark.parametrize(
    "broken, why",
    [
        (5, "an event is an object; this is a number"),
        ({"data": {"alertCreated": {}}}, "@timestamp is not set"),
        ({"@timestamp": "2026-08-20T14:03:41Z"}, "'data' is missing"),
        ({"@timestamp": "2026-08-20T14:03:41Z", "data": {}}, "the event holds no data"),
        ({"@timestamp": "2026-08-20T14:03:41Z", "data": {"alertMoved": {}}}, "unknown event type 'alertMoved'"),
        ({"@timestamp": "2026-08-20T14:03:41Z", "data": {"alertCreated": {}}}, "'alert' is missing"),
        ({"@timestamp": "2026-08-20T14:03:41", "data": {"alertCreated": {}}}, "@timestamp has no time zone"),
        (
            {"@timestamp": "2026-08-20T14:03:41Z", "data": {"alertResolved": {"alert": {"hash": "17"}}}},
            "'details' is missing",
        ),
        (
            {"@timestamp": "2026-08-20T14:03:41Z", "data": {"silenceCreated": {"silence": {"id": "a"}}}},
            "the silence's endsAt is not set",
        ),
    ],
    ids=str,
)
def test_broken_event_is_refused_and_the_others_kept(broken: Any, why: str) -> None:
    group = decode(event("alert-created"), broken, event("silence-created"))
    assert (len(group.alerts), len(group.silences), [(r.position, r.reason) for r in group.refused]) == (
        1,
        1,
        [(1, why)],
    )


def test_refused_event_is_kept_as_it_came() -> None:
    body = b'[ {"@timestamp": "2026-08-20T14:03:41Z", "data": {"new\\u0041" : [1.50]}} ]'
    group = decode_webhook(body, received_at=NOW, max_alerts=10)
    assert group.refused[0].raw == body[2:-2]


def test_more_notes_than_allowed_are_too_large() -> None:
    with pytest.raises(PayloadTooLarge):
        decode(event("notification"), max_alerts=1)


@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.glob("*.json")))
def test_both_schemas_say_the_same(name: str) -> None:
    sent = event(name)
    events = sent if isinstance(sent, list) else [sent]
    in_v2 = [in_schema_v2(item, hashed(item["data"].get("notification", {}))) for item in events]
    assert decode(*in_v2) == decode(*events)


def test_alert_may_have_a_label_named_labels() -> None:
    created = in_schema_v2(event("alert-created"), {})
    created["data"]["alertCreated"]["alert"]["labels"] = {"alertname": "A", "labels": "B"}
    assert decode(created).alerts[0].labels == {"alertname": "A", "labels": "B"}
