"""The fingerprint is the one that Prometheus and Alertmanager compute."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import fingerprint

DATA = Path(__file__).parents[1] / "data" / "alertmanager-0.25"
SENT: list[dict[str, Any]] = [
    alert for file in sorted(DATA.glob("*.json")) for alert in msgspec.json.decode(file.read_bytes())["alerts"]
]


@pytest.mark.parametrize(
    "labels, expected",
    [
        ({}, "cbf29ce484222325"),
        ({"name": "garland, briggs", "fear": "love is not enough"}, "507a62d79ee76c9a"),
    ],
)
def test_vectors_of_prometheus_are_met(labels: dict[str, str], expected: str) -> None:
    assert fingerprint(labels) == expected


@pytest.mark.parametrize("alert", SENT)
def test_labels_give_the_fingerprint_that_a_real_alertmanager_sent(alert: dict[str, Any]) -> None:
    assert fingerprint(alert["labels"]) == alert["fingerprint"]


def test_order_of_labels_does_not_matter() -> None:
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})


def test_labels_are_sorted_by_their_bytes() -> None:
    # As UTF-16, which JavaScript and Java sort by, the two come the other way round.
    hashed = "ﬀ".encode() + b"\xff2\xff" + "🔥".encode() + b"\xff1\xff"
    assert fingerprint({"🔥": "1", "ﬀ": "2"}) == f"{fnv1a(hashed):016x}"


def fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value
