"""The benchmark measures what it says: its load is real notifications, its history is found, its table tells no lies."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from alert_history.domain.matching import parse_query
from alert_history.ports import HistoryFilter, PageRequest
from alert_history.sources import decode_webhook
from alert_history.storage import open_store
from bench.databases import Sqlite
from bench.fill import fill
from bench.load import full_load, percentile
from bench.notifications import Notifications
from bench.pages import questions
from bench.past import occurrences
from bench.report import Measured, at_least, at_most, markdown
from tests.processes import Server

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def test_every_alert_of_the_paced_load_is_sound_and_new() -> None:
    notifications = Notifications("/webhook", alerts=10, seed=1)
    groups = [decode_webhook(notifications.body().encode(), received_at=NOW) for _ in range(20)]
    assert not [refused for group in groups for refused in group.refused]
    assert len({alert.key for group in groups for alert in group.alerts}) == 200


def test_a_request_of_the_paced_load_says_how_long_it_is() -> None:
    head, _, body = Notifications("/webhook", alerts=3, seed=1).render().partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
