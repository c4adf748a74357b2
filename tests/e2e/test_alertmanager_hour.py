"""A real Alertmanager lives through an hour, compressed; what it answered then, ours answers of then.

The same posts go to both. Ours learns of silences and of the configuration by asking the Alertmanager.
"""

from collections.abc import Iterator

import pytest

from tests import servers
from tests.e2e.hour import CONFIGURATION, Hour

pytestmark = [pytest.mark.long, pytest.mark.timeout(4000)]


@pytest.fixture(scope="module")
def hour() -> Iterator[Hour]:
    """The hour, when it is over."""
    with servers.alertmanager_server(CONFIGURATION) as alertmanager:
        hour = Hour(alertmanager, [], alertmanager.folder / "alertmanager.yml")
        hour.play()
        yield hour


def test_the_hour_holds_what_it_is_to_show(hour: Hour) -> None:
    alerts = [alert for sample in hour.samples if sample.path == "/alerts" for alert in sample.answer.body]
    assert any(alert["status"]["inhibitedBy"] for alert in alerts)
    assert any(len(alert["status"]["silencedBy"]) > 1 for alert in alerts)
    assert any(alert["status"]["inhibitedBy"] and alert["status"]["silencedBy"] for alert in alerts)
    silences = [silence for sample in hour.samples if sample.path == "/silences" for silence in sample.answer.body]
    assert {silence["status"]["state"] for silence in silences} == {"active", "pending", "expired"}
    assert {sample.answer.status for sample in hour.samples} == {200, 400, 404, 422}
