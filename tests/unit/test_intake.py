"""Bytes become a receipt by the way they came in, without HTTP."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest

from alert_history.engine.intake import Intake
from alert_history.errors import MalformedPayload, PayloadTooLarge
from tests.payloads import alert, webhook

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
BODY = webhook(alert(1))


def test_the_way_in_says_whether_alerts_are_passed_on() -> None:
    intake = Intake(max_alerts=1)
    receipts = [intake.receipt(path, BODY, received_at=NOW) for path in ("/webhook/proxy", "/webhook")]
    assert [(receipt.path, receipt.publish) for receipt in receipts] == [("/webhook/proxy", True), ("/webhook", False)]


def test_a_receipt_keeps_the_bytes_and_where_they_came_from() -> None:
    receipt = Intake(max_alerts=1).receipt(
        "/webhook", BODY, received_at=NOW, id_="r-1", client="192.0.2.1", scope="staging"
    )
    assert (receipt.id, receipt.client, receipt.scope, receipt.received_at) == ("r-1", "192.0.2.1", "staging", NOW)
    assert (receipt.body, receipt.body_sha256) == (BODY, sha256(BODY).digest())


def test_ids_that_nobody_gave_sort_by_time() -> None:
    intake = Intake(max_alerts=1)
    ids = [intake.receipt("/webhook", BODY, received_at=NOW.replace(minute=minute)).id for minute in range(3)]
    assert ids == sorted(set(ids))


def test_a_receipt_knows_how_often_its_group_is_looked_at() -> None:
    intake = Intake(max_alerts=1, interval_of=lambda receipt: receipt.group.received * 60)
    assert intake.receipt("/webhook", BODY, received_at=NOW).group_interval_us == 60


def test_more_alerts_than_allowed_are_refused() -> None:
    with pytest.raises(PayloadTooLarge):
        Intake(max_alerts=1).receipt("/webhook", webhook(alert(1), alert(2)), received_at=NOW)


def test_bytes_that_are_no_payload_are_refused() -> None:
    with pytest.raises(MalformedPayload):
        Intake(max_alerts=1).receipt("/webhook", b"{", received_at=NOW)
