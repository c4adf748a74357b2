"""The report of a night over HTTP.

Holds: `web.api.night`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.payloads import alert, webhook
from tests.processes import Server

PATH = "/api/v1/report/night"
SECTIONS = {
    "look_first", "acts", "storms", "new", "open", "unconfirmed", "unnotified", "failed", "muted", "silences_ending",
    "healed", "known", "noise",
}  # fmt: skip
COVERS = {"since", "until", "fresh_as_of", "counted_by", "is_exact", "sampled_share", "left_out", "counted_from"}


def _report(client: httpx.Client, **parameters: str) -> Any:
    answer = client.get(PATH, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_without_parameters_it_is_last_night(client: httpx.Client) -> None:
    before = datetime.now(UTC)
    night = _report(client)
    evening = before.date() - timedelta(days=1)
    assert night["date"] in {str(evening), str(evening + timedelta(days=1))}  # the second at midnight
    assert (night["tz"], night["since"], night["until"][11:]) == ("UTC", f"{night['date']}T20:00:00Z", "08:00:00Z")


def test_a_night_has_all_its_lists_and_says_what_it_covers(client: httpx.Client) -> None:
    night = _report(client, date="2026-03-04", tz="Asia/Kathmandu")
    assert (night["since"], night["until"]) == ("2026-03-04T14:15:00Z", "2026-03-05T02:15:00Z")
    assert night.keys() >= SECTIONS
    assert all(night[name].keys() == {"lines", "total"} for name in SECTIONS)
    assert night["covers"].keys() == COVERS
    assert (night["covers"]["counted_by"], night["covers"]["since"]) == ("timestamp", night["since"])


def test_what_is_sent_is_in_the_report(client: httpx.Client, live: Server) -> None:
    before = _report(client, since="-1h")["counts"]
    sent = [alert(number, alertname="NightShift", status="firing", namespace="night") for number in range(3)]
    httpx.post(
        f"{live.url}/webhook",
        content=webhook(*sent),
        headers={"Content-Type": "application/json"},
        trust_env=False,
    ).raise_for_status()
    after = _report(client, since="-1h")["counts"]
    assert after["began"] - before["began"] == 3
    assert after["began"] + after["open_before"] == after["ended"] + after["open"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"date": "4 March"},
        {"date": "2999-01-01"},
        {"date": "0001-01-01"},
        {"tz": "Mars/Olympus"},
        {"date": "2026-03-04", "since": "-1h"},
        {"until": "-1h"},
        {"since": "2026-01-01", "until": "2026-02-01"},
        {"evening": "2026-03-04"},
    ],
)
def test_what_is_no_night_is_refused(client: httpx.Client, parameters: dict[str, str]) -> None:
    answer = client.get(PATH, params=parameters)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:alert-history:problem:invalid-query")
