"""Alertmanager's webhook, from 0.16 to 0.34."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import AlertGroup, fingerprint
from alert_history.sources import decode_webhook

DATA = Path(__file__).parents[1] / "data"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "DiskFull"},
    "annotations": {},
    "startsAt": "2026-11-24T07:39:06.241Z",
    "endsAt": "0001-01-01T00:00:00Z",
}


def read(name: str) -> AlertGroup:
    return decode_webhook((DATA / name).read_bytes(), received_at=NOW, max_alerts=10)


def decode(alert: dict[str, Any], **frame: Any) -> AlertGroup:
    body = msgspec.json.encode({"version": "4", "receiver": "default", **frame, "alerts": [ALERT | alert]})
    return decode_webhook(body, received_at=NOW, max_alerts=10)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("file", sorted(DATA.glob("alertmanager-*/*.json")), ids=str)
def test_every_alert_of_a_real_payload_is_kept(file: Path) -> None:
    body = file.read_bytes()
    group = decode_webhook(body, received_at=NOW, max_alerts=10)
    assert (len(group.alerts), group.refused) == (len(msgspec.json.decode(body)["alerts"]), [])


def test_frame_of_a_notification_is_kept() -> None:
    group = read("alertmanager-0.25/firing-group-of-three.json")
    assert (group.source, group.receiver, group.group_key, group.external_url, group.details) == (
        "alertmanager",
        "default",
        '{}:{alertname="HighLatency"}',
        "http://alertmanager.example.com:9093",
        {"version": "4", "groupLabels": {"alertname": "HighLatency"}},
    )


def test_firing_alert_has_no_end() -> None:
    alert = read("alertmanager-0.25/firing-group-of-three.json").alerts[0]
    assert (alert.status, alert.starts_at, alert.ends_at, alert.expires_at) == (
        "firing",
        at("2026-11-24T07:39:06.241Z"),
        None,
        None,
    )


def test_resolved_alert_may_end_when_it_starts() -> None:
    alert = read("alertmanager-0.25/partly-resolved.json").alerts[0]
    assert (alert.status, alert.ends_at) == ("resolved", alert.starts_at)


def test_unicode_and_markup_stay_as_sent() -> None:
    alert = read("alertmanager-0.25/firing-unicode-and-markup.json").alerts[0]
    assert (alert.labels["alertname"], alert.labels["html"]) == ("Ünïcode 告警 🔥", "<script>alert(1)</script>")


def test_truncated_alerts_are_counted() -> None:
    assert read("alertmanager-0.25/firing-truncated.json").truncated_alerts == 5


def test_nanoseconds_are_rounded_to_microseconds() -> None:
    assert read("alertmanager-0.34/first-notification.json").alerts[0].starts_at == at("2026-08-20T14:03:11.123457Z")


def test_reason_and_route_labels_of_new_versions_are_kept() -> None:
    details = read("alertmanager-0.34/first-notification.json").details
    assert (details["notification_reason"], details["routeLabels"]) == (
        "first notification",
        {"team": "checkout", "tier": "1"},
    )


def test_old_versions_get_the_fingerprint_they_do_not_send() -> None:
    alerts = read("alertmanager-0.16/firing-and-resolved.json").alerts
    assert [alert.fingerprint for alert in alerts] == [fingerprint(alert.labels) for alert in alerts]


def test_numeric_group_key_becomes_text() -> None:
    assert read("alertmanager-0.16/numeric-group-key.json").group_key == "5423687312374612345"


@pytest.mark.parametrize(
    "sent, name",
    [
        (r"on\.call \(primary\)", "on.call (primary)"),
        (r"team\-x", "team-x"),
        (r"a\\b", r"a\b"),
        ("team-x", "team-x"),
    ],
)
def test_receiver_is_unescaped(sent: str, name: str) -> None:
    assert decode({}, receiver=sent).receiver == name


@pytest.mark.parametrize(
    "frame",
    [
        {"version": 4},
        {"version": None},
        {"groupKey": 17},
        {"groupKey": None},
        {"receiver": None},
        {"receiver": ["x"]},
        {"groupLabels": None},
        {"groupLabels": {"a": 1}},
        {"commonLabels": "text"},
        {"truncatedAlerts": "many"},
        {"truncatedAlerts": 2**70},
        {"truncatedAlerts": -1},
        {"externalURL": {}},
        {"routeLabels": []},
        {"notification_reason": 5},
        {"somethingNew": {"deep": [1, 2, {"x": None}]}},
    ],
    ids=str,
)
def test_odd_field_of_the_frame_loses_no_alert(frame: dict[str, Any]) -> None:
    assert len(decode({}, **frame).alerts) == 1


@pytest.mark.parametrize(
    "sent, count",
    [(2**70, 2**31 - 1), (-5, 0), ("3", 0), (None, 0)],
)
def test_count_of_truncated_alerts_stays_within_what_is_stored(sent: Any, count: int) -> None:
    assert decode({}, truncatedAlerts=sent).truncated_alerts == count


@pytest.mark.parametrize(
    "odd",
    [
        {"annotations": None},
        {"generatorURL": None},
        {"generatorURL": 7},
        {"fingerprint": None},
        {"fingerprint": 12},
        {"status": None},
        {"endsAt": None},
        {"endsAt": ""},
        {"somethingNew": [[]]},
        {"values": "none"},
    ],
    ids=str,
)
def test_odd_field_of_an_alert_does_not_lose_it(odd: dict[str, Any]) -> None:
    assert len(decode(odd).alerts) == 1


@pytest.mark.parametrize("sent", ["CBF29CE484222325", "cbf29ce484222325"])
def test_fingerprint_is_taken_as_sent_in_lower_case(sent: str) -> None:
    assert decode({"fingerprint": sent}).alerts[0].fingerprint == "cbf29ce484222325"


@pytest.mark.parametrize("sent", ["", "12", "cbf29ce48422232g", " bf29ce484222325", "cbf29ce4842223255", "０" * 16])
def test_fingerprint_that_is_none_is_computed(sent: str) -> None:
    assert decode({"fingerprint": sent}).alerts[0].fingerprint == fingerprint(ALERT["labels"])


@pytest.mark.parametrize(
    "ends_at, status",
    [
        ("0001-01-01T00:00:00Z", "firing"),
        ("2026-11-24T11:59:59Z", "resolved"),
        ("2026-11-24T12:00:00Z", "resolved"),
        ("2026-11-24T12:00:01Z", "firing"),
    ],
)
def test_missing_status_follows_from_the_end(ends_at: str, status: str) -> None:
    assert decode({"status": "", "endsAt": ends_at}).alerts[0].status == status


def test_firing_alert_with_an_end_ahead_has_no_end() -> None:
    assert decode({"endsAt": "2026-11-24T13:00:00Z"}).alerts[0].ends_at is None


def test_resolved_alert_without_an_end_ends_when_received() -> None:
    assert decode({"status": "resolved"}).alerts[0].ends_at == NOW


def test_resolved_alert_of_a_clock_ahead_never_ends_before_its_start() -> None:
    alert = decode({"status": "resolved", "startsAt": "2026-11-24T12:00:05Z"}).alerts[0]
    assert alert.ends_at == alert.starts_at


def test_empty_label_values_of_a_notification_stay() -> None:
    assert decode({"labels": {"alertname": "X", "pod": ""}}).alerts[0].labels == {"alertname": "X", "pod": ""}


def test_alert_without_a_name_is_kept() -> None:
    assert decode({"labels": {"job": "node"}}).alerts[0].labels == {"job": "node"}


def test_notification_without_alerts_is_an_empty_group() -> None:
    group = decode_webhook(b'{"version":"4","alerts":[]}', received_at=NOW, max_alerts=10)
    assert (group.source, group.received) == ("alertmanager", 0)


def test_byte_order_mark_is_passed_over() -> None:
    body = b"\xef\xbb\xbf" + (DATA / "alertmanager-0.25/resolved.json").read_bytes()
    assert len(decode_webhook(body, received_at=NOW, max_alerts=10).alerts) == 2
