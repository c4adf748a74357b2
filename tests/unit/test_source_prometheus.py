"""`POST /api/v2/alerts`, as Prometheus and amtool use it; missing times are filled in as Alertmanager does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import Alert, AlertGroup, fingerprint
from alert_history.errors import MalformedPayload, PayloadTooLarge
from alert_history.sources import decode_prometheus

BODY = (Path(__file__).parents[1] / "data" / "prometheus-2.42" / "one-firing.json").read_bytes()
NOW = datetime(2026, 11, 24, 11, 35, 30, tzinfo=UTC)
EARLIER, LATER = "2026-11-24T11:00:00Z", "2026-11-24T12:00:00Z"
LABELS = {"alertname": "DiskFull", "instance": "db-0"}


def decode(*alerts: Any, max_alerts: int = 10) -> AlertGroup:
    return decode_prometheus(msgspec.json.encode(alerts), received_at=NOW, max_alerts=max_alerts)


def alert_with(**fields: Any) -> Alert:
    (alert,) = decode({"labels": LABELS, **fields}).alerts
    return alert


def reason(**fields: Any) -> str:
    (refused,) = decode({"labels": LABELS, **fields}).refused
    return refused.reason


def test_real_batch_is_firing_until_it_is_no_longer_sent() -> None:
    group = decode_prometheus(BODY, received_at=NOW, max_alerts=10)
    (alert,) = group.alerts
    assert (group.source, alert.status, alert.ends_at, alert.expires_at) == (
        "prometheus",
        "firing",
        None,
        datetime(2026, 11, 24, 11, 36, 30, 169000, tzinfo=UTC),
    )


def test_labels_alone_fire_from_now_for_five_minutes() -> None:
    alert = alert_with()
    assert (alert.status, alert.starts_at, alert.expires_at) == ("firing", NOW, NOW + timedelta(minutes=5))


def test_end_ahead_is_when_it_expires() -> None:
    alert = alert_with(startsAt=EARLIER, endsAt=LATER)
    assert (alert.status, alert.ends_at, alert.expires_at) == ("firing", None, datetime.fromisoformat(LATER))


def test_end_passed_means_resolved() -> None:
    alert = alert_with(startsAt=EARLIER, endsAt="2026-11-24T11:30:00Z")
    assert (alert.status, alert.ends_at, alert.expires_at) == (
        "resolved",
        datetime.fromisoformat("2026-11-24T11:30:00Z"),
        None,
    )


def test_end_at_this_moment_means_resolved() -> None:
    assert alert_with(startsAt=EARLIER, endsAt=NOW.isoformat()).status == "resolved"


def test_missing_start_is_the_end() -> None:
    assert alert_with(endsAt=LATER).starts_at == datetime.fromisoformat(LATER)


def test_zero_time_means_not_set() -> None:
    alert = alert_with(startsAt="0001-01-01T00:00:00Z", endsAt="0001-01-01T00:00:00.000Z")
    assert (alert.starts_at, alert.expires_at) == (NOW, NOW + timedelta(minutes=5))


def test_labels_without_a_value_are_removed_before_the_fingerprint() -> None:
    (alert,) = decode({"labels": LABELS | {"pod": ""}}).alerts
    assert (alert.labels, alert.fingerprint) == (LABELS, fingerprint(LABELS))


def test_fingerprint_and_status_that_are_sent_do_not_count() -> None:
    alert = alert_with(fingerprint="cbf29ce484222325", status="resolved")
    assert (alert.fingerprint, alert.status) == (fingerprint(LABELS), "firing")


def test_only_empty_labels_are_refused() -> None:
    assert decode({"labels": {"pod": ""}}).refused[0].reason == "it has no labels with a value"


def test_end_before_start_is_refused() -> None:
    assert reason(startsAt=LATER, endsAt=EARLIER) == "endsAt is before startsAt"


def test_start_beyond_the_timeout_is_refused_as_by_alertmanager() -> None:
    assert reason(startsAt=LATER) == "endsAt is before startsAt"


def test_last_possible_time_is_taken() -> None:
    assert alert_with(endsAt="9999-12-31T23:59:59.9999999Z").expires_at == datetime.max.replace(tzinfo=UTC)


def test_valid_alerts_are_kept_beside_invalid_ones() -> None:
    group = decode({"labels": LABELS}, {"labels": {}}, 5, {"labels": LABELS | {"a": "b"}})
    assert (len(group.alerts), [refused.position for refused in group.refused]) == (2, [1, 2])


def test_empty_array_is_an_empty_group() -> None:
    assert decode().received == 0


@pytest.mark.parametrize("sound", [True, False])
def test_more_alerts_than_allowed_are_too_large(sound: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    alert = {"labels": LABELS if sound else {"a": 1}}
    with pytest.raises(PayloadTooLarge, match="MAX_ALERTS_PER_REQUEST, 2"):
        decode(alert, alert, alert, max_alerts=2)


def test_object_is_malformed() -> None:
    with pytest.raises(MalformedPayload, match="expected an array of alerts"):
        decode_prometheus(b'{"alerts":[]}', received_at=NOW, max_alerts=10)
