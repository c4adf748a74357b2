"""Silences, sources and settings as a browser without script gets them: over HTTP, on a real service.

Holds: `web.pages.silences`, `web.pages.sources`, `web.pages.settings`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests import servers
from tests.payloads import alert, webhook
from tests.processes import Server, wait_until

SECRET = "s3cret"  # noqa: S105  # of nothing
_JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all of them: none minds what the others send."""
    database = tmp_path_factory.mktemp("inventory") / "alert_history.db"
    urls = f"http://ada:{SECRET}@127.0.0.1:9"
    settings = {"DATABASE_URL": f"sqlite:///{database}", "ALERTMANAGER_URLS": urls, "LLM_API_KEY": SECRET}
    with servers.service(settings) as running:
        yield running


def _get(server: Server, path: str, **asked: str) -> httpx.Response:
    return httpx.get(f"{server.url}/dashboard/{path}", params=asked, trust_env=False, timeout=20)


def _post(server: Server, path: str, **options: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", trust_env=False, timeout=20, **options)


def _switch(server: Server, form: dict[str, str], *, origin: str) -> httpx.Response:
    return _post(server, "/dashboard/settings/mode", data=form, headers={"Origin": origin})


def _mode(server: Server) -> dict[str, Any]:
    mode: dict[str, Any] = httpx.get(f"{server.url}/enrichment/mode", trust_env=False).json()
    return mode


def _silence(name: str, *, begins: timedelta, ends: timedelta, comment: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "id": name,
        "matchers": [{"type": "TYPE_EQUAL", "name": "alertname", "pattern": "DiskFull"}],
        "startsAt": (now + begins).isoformat(),
        "endsAt": (now + ends).isoformat(),
        "createdBy": "ada",
        "comment": comment,
    }


def _tell(server: Server, kind: str, payload: dict[str, Any]) -> None:
    event = {"@timestamp": datetime.now(UTC).isoformat(), "instance": "am-0", "data": {kind: payload}}
    assert _post(server, "/webhook", json=event).json()["quarantined"] == 0


def test_the_form_switches_the_mode_and_says_by_whom(server: Server) -> None:
    answer = _switch(server, {"mode": "enriched", "by": " <b>ada "}, origin=server.url)
    assert (answer.status_code, answer.headers["location"]) == (303, "../settings?switched=yes#mode")
    assert _mode(server)["mode"] == "enriched"
    page = _get(server, "settings", switched="yes").text
    assert 'value="enriched" required checked' in page
    assert "by &lt;b&gt;ada" in page
    assert "The mode is enriched now." in page


@pytest.mark.parametrize(
    "form, origin, status, words",
    [
        ({"mode": "enriched"}, "http://evil.example", 403, "page of another site"),
        ({"mode": "loud"}, "", 422, "choose one of transparent, enriched"),
        ({}, "", 422, "choose one of transparent, enriched"),
        ({"mode": "enriched", "by": "x" * 101}, "", 422, "from 1 to 100 characters"),
    ],
)
def test_a_form_that_is_wrong_or_of_another_site_changes_nothing(
    server: Server, form: dict[str, str], origin: str, status: int, words: str
) -> None:
    before = _mode(server)
    answer = _switch(server, form, origin=origin or server.url)
    assert answer.status_code == status
    assert words in answer.text
    assert "Nothing was changed." in answer.text
    assert _mode(server) == before


def test_the_settings_show_what_is_set_from_where_and_no_secret(server: Server) -> None:
    page = _get(server, "settings").text
    assert SECRET not in page
    for words in ("http://ada:***@127.0.0.1:9", "LLM_API_KEY", "environment", "SQLite", "alert-history doctor"):
        assert words in page


def test_silences_are_chosen_by_chips_and_show_what_they_muted(server: Server) -> None:
    _post(server, "/webhook", content=webhook(alert(1, alertname="DiskFull")), headers=_JSON).raise_for_status()
    hour = timedelta(hours=1)
    active = _silence("s-active", begins=-hour, ends=hour, comment="<i>moving</i>")
    _tell(server, "silenceCreated", {"silence": active})
    _tell(server, "silenceCreated", {"silence": _silence("s-over", begins=-9 * hour, ends=-hour, comment="past")})
    asked = {"alertname": "DiskFull"}
    [fired] = httpx.get(f"{server.url}/history", params=asked, trust_env=False).json()["alerts"]
    labels = {"labels": [{"key": name, "value": value} for name, value in fired["labels"].items()]}
    named = {"labels": labels, "fingerprint": str(int(fired["fingerprint"], 16))}
    _tell(server, "silenceMutedAlert", {"silence": active, "mutedAlert": named})
    page = _get(server, "silences").text
    for words in ("Active 1", "End soon 1", "Expired 1", "Pending 0", "Muted 1 alert", "ends soon"):
        assert words in page
    assert "&lt;i&gt;moving" in page
    assert f'href="../dashboard/alerts/{fired["id"]}"' in page
    assert 'href="../dashboard/history?query=%7Balertname%3D%22DiskFull%22%7D"' in page
    assert 'href="../../dashboard/silences?id=s-active"' in _get(server, f"alerts/{fired['id']}").text, "and back"
    assert "s-over" in _get(server, "silences", show="again").text
    assert "s-active" not in _get(server, "silences", show="unused").text
    alone = _get(server, "silences", id="s-over").text
    assert ("past" in alone, "moving" in alone) == (True, False)
    assert "No silence with the id <code>s-&lt;x&gt;" in _get(server, "silences", id="s-<x>").text
    assert _get(server, "silences", show="loud").status_code == 400
    assert "it is of no page of these silences" in _get(server, "silences", cursor="x").text


def test_sources_show_who_sent_and_what_was_refused(server: Server) -> None:
    refused = {"status": "firing", "labels": {}, "startsAt": "never"}
    sent = webhook(alert(1), refused, receiver="team-<x>")
    _post(server, "/webhook", content=sent, headers=_JSON).raise_for_status()
    wait_until(lambda: "Last heard" in _get(server, "sources").text, "the page knows that somebody sent")
    page = _get(server, "sources").text
    assert "team-&lt;x&gt;" in page
    assert "1 refused" in page
    assert "Refused or cut alerts, 24 h" in page
    assert f"url: {server.url}/webhook" in page
    assert "alertmanager/127.0.0.1:9" in page
