"""Grafana's webhook."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import AlertGroup
from alert_history.sources import decode_webhook

BODY = (Path(__file__).parents[1] / "data" / "grafana-11" / "firing-and-resolved.json").read_bytes()
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def decode(**frame: Any) -> AlertGroup:
    body = msgspec.json.encode(msgspec.json.decode(BODY) | frame)
    return decode_webhook(body, received_at=NOW, max_alerts=10)


def decode_alert(**fields: Any) -> AlertGroup:
    return decode(alerts=[msgspec.json.decode(BODY)["alerts"][0] | fields])


def test_grafana_is_told_apart_from_alertmanager() -> None:
    assert decode().source == "grafana"


@pytest.mark.parametrize("frame", [{"orgId": "1"}, {"orgId": None}, {"orgId": {}}, {"version": "2"}], ids=str)
def test_grafana_is_known_by_its_org_or_its_version(frame: dict[str, Any]) -> None:
    assert decode(**frame).source == "grafana"


def test_frame_says_who_sent_it() -> None:
    details = decode().details
    assert (details["orgId"], details["title"], details["state"], details["version"]) == (
        1,
        "[FIRING:1, RESOLVED:1] High memory usage Infrastructure (blue)",
        "alerting",
        "1",
    )


def test_firing_and_resolved_are_kept_with_their_times_in_utc() -> None:
    group = decode()
    assert [(alert.status, alert.starts_at, alert.ends_at) for alert in group.alerts] == [
        ("firing", datetime(2024, 10, 12, 7, 51, tzinfo=UTC), None),
        ("resolved", datetime(2024, 10, 12, 7, 51, tzinfo=UTC), datetime(2024, 10, 12, 8, 2, 30, tzinfo=UTC)),
    ]


def test_values_and_links_of_an_alert_are_kept() -> None:
    details = decode().alerts[0].details
    assert details is not None
    assert (details["values"], sorted(details)) == (
        {"B": 44.23943737541908, "C": 1},
        ["dashboardURL", "panelURL", "silenceURL", "valueString", "values"],
    )


def test_alert_without_extras_has_no_details() -> None:
    extras = dict.fromkeys(("silenceURL", "dashboardURL", "panelURL", "valueString", "imageURL"), "")
    assert decode_alert(**extras, values=None).alerts[0].details is None


@pytest.mark.parametrize("values", [{"B": [1]}, {"B": {"C": 1}}, [], 5, {"B": "text"}], ids=str)
def test_values_that_are_no_numbers_do_not_lose_the_alert(values: Any) -> None:
    details = decode_alert(values=values).alerts[0].details
    assert details is not None
    assert details.get("values", {}) == {}


def test_long_message_is_shortened() -> None:
    assert len(decode(message="x" * 100_000).details["message"]) < 5000
