"""Pages and silences of a past moment, over HTTP, on a real service that lived through it.

Holds: `web.pages.travel`, `web.api.silences`.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any, NamedTuple

import httpx
import pytest

from tests import servers
from tests.payloads import alert, webhook
from tests.processes import Server

_HOUR = timedelta(hours=1)
_LONG: dict[str, Any] = {"trust_env": False, "timeout": 20}


class Lived(NamedTuple):
    """A service on which DiskFull fired and was silenced at `then`, and both are over."""

    server: Server
    then: str
    alert_id: str

    def page(self, path: str, **asked: str) -> str:
        """A page of then."""
        answer = httpx.get(f"{self.server.url}/at/{self.then}/{path}", params=asked, **_LONG)
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    def call(self, path: str, **asked: str) -> dict[str, Any]:
        """What a call answers."""
        answer: dict[str, Any] = httpx.get(f"{self.server.url}/api/v1/{path}", params=asked, **_LONG).json()
        return answer


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    database = tmp_path_factory.mktemp("travel") / "alert_history.db"
    with servers.service({"DATABASE_URL": f"sqlite:///{database}"}) as server:
        begin = datetime.now(UTC)
        firing = {**alert(1), "startsAt": (begin - _HOUR).isoformat()}
        _post(server, webhook(firing))
        _tell(server, "silenceCreated", {"silence": _silence(begin, begin + _HOUR, begin, "a move")})
        then = datetime.now(UTC)
        over = {**firing, "status": "resolved", "endsAt": (then + timedelta(milliseconds=1)).isoformat()}
        _post(server, webhook(over))
        ended = datetime.now(UTC)
        _tell(server, "silenceUpdated", {"silence": _silence(begin, ended, ended, "a move")})
        found = httpx.get(f"{server.url}/history", **_LONG).json()["alerts"]
        yield Lived(server, f"{then:%Y-%m-%dT%H:%M:%S.%fZ}", found[0]["id"])


def _post(server: Server, body: bytes) -> None:
    answer = httpx.post(f"{server.url}/webhook", content=body, headers={"content-type": "application/json"}, **_LONG)
    assert answer.status_code == 200


def _tell(server: Server, kind: str, payload: dict[str, Any]) -> None:
    event = {"@timestamp": datetime.now(UTC).isoformat(), "instance": "am-0", "data": {kind: payload}}
    assert httpx.post(f"{server.url}/webhook", json=event, **_LONG).json()["quarantined"] == 0


def _silence(begin: datetime, end: datetime, updated: datetime, comment: str) -> dict[str, Any]:
    return {
        "id": "s-1",
        "matchers": [{"type": "TYPE_EQUAL", "name": "alertname", "pattern": "DiskFull"}],
        "startsAt": begin.isoformat(),
        "endsAt": end.isoformat(),
        "updatedAt": updated.isoformat(),
        "createdBy": "ada",
        "comment": comment,
    }


def test_a_moment_in_the_address_leads_to_what_fired_then(lived: Lived) -> None:
    answer = httpx.get(f"{lived.server.url}/dashboard", params={"at": lived.then}, follow_redirects=True, **_LONG)
    assert f"/at/{lived.then}/dashboard" in str(answer.url)
    part = lived.page("dashboard", part="firing")
    assert lived.alert_id in part
    assert "Fired at" in part
    assert "Nothing fires now" in httpx.get(f"{lived.server.url}/dashboard", params={"part": "firing"}, **_LONG).text


def test_the_history_and_the_story_are_told_as_far_as_they_had_gone(lived: Lived) -> None:
    rows = lived.page("dashboard/history", status="firing")
    assert 'class="state is-firing"' in rows
    assert lived.alert_id in rows
    story = lived.page(f"dashboard/alerts/{lived.alert_id}")
    assert "left out: " in story
    assert "It resolved" not in story
    assert "It resolved" in httpx.get(f"{lived.server.url}/dashboard/alerts/{lived.alert_id}", **_LONG).text


def test_an_alert_that_came_later_is_not_known(lived: Lived) -> None:
    earlier = "2026-01-01T00:00:00Z"
    answer = httpx.get(f"{lived.server.url}/at/{earlier}/dashboard/alerts/{lived.alert_id}", **_LONG)
    assert answer.status_code == 404
    assert "was not known then" in answer.text


def test_words_of_a_past_page_do_not_speak_of_now(lived: Lived) -> None:
    url = f"{lived.server.url}/at/2025-02-03T03:00:00Z/dashboard"
    firing, silences, night = (
        httpx.get(f"{url}{path}", params={"tz": "UTC"}, follow_redirects=True, **_LONG).text
        for path in ("", "/silences", "/night")
    )
    assert "Fired at 03:00, 03 Feb 2025" in firing
    assert "What fired then is not known" in firing
    assert "Nothing fired then" not in firing
    assert "Heard after that moment" in silences
    assert "Last heard" not in silences
    assert "Ask again" not in night
    assert "Nothing is known of this night" in night
    assert "A quiet night" not in night
    assert "to then, on the clocks of" in lived.page("dashboard/rules", rule="DiskFull")


def test_nothing_is_acknowledged_in_the_past(lived: Lived) -> None:
    assert "/acknowledge" not in lived.page(f"dashboard/alerts/{lived.alert_id}")
    url = f"{lived.server.url}/at/{lived.then}/dashboard/alerts/{lived.alert_id}/acknowledge"
    assert httpx.post(url, data={"by": "ada"}, **_LONG).status_code == 409
    assert not lived.call(f"alerts/{lived.alert_id}")["ledger"]["acts"]


@pytest.mark.parametrize(
    "path", ["night/2026-01-01", "rules", "notifications", "quarantine", "audit", "targets", "tokens"]
)
def test_each_page_says_that_it_is_not_now_or_that_it_shows_now(lived: Lived, path: str) -> None:
    page = lived.page(f"dashboard/{path}", tz="UTC")
    assert "You look at" in page
    assert ("it shows what is so now" in page) == (path in {"targets", "tokens"})
    assert "The service made a mistake" not in page


def test_the_live_page_follows_nothing_in_the_past(lived: Lived) -> None:
    url = f"{lived.server.url}/at/{lived.then}/dashboard/history/live"
    for accepts in ("text/html", "text/event-stream"):
        assert httpx.get(url, headers={"accept": accepts}, **_LONG).status_code == 409


def test_a_silence_has_its_versions_and_what_it_muted(lived: Lived) -> None:
    now = lived.call("silences/s-1")
    assert ([each["kind"] for each in now["changes"]], now["state"]) == (["created", "expired"], "expired")
    assert [(each["alertname"], each["way"]) for each in now["mutings"]] == [("DiskFull", "matched")]
    assert [each["id"] for each in lived.call("silences", state="expired")["silences"]] == ["s-1"]
    then = lived.call("silences/s-1", at=lived.then)
    assert (then["state"], then["matching"], then["mutings"][0]["end"]) == ("active", 1, None)
    assert [each["id"] for each in lived.call("silences", at=lived.then)["silences"]] == ["s-1"]


def test_the_page_of_a_silence_shows_its_history(lived: Lived) -> None:
    alone = unescape(httpx.get(f"{lived.server.url}/dashboard/silences", params={"id": "s-1"}, **_LONG).text)
    assert re.search(r"Ended early.*Created</b> by <span>ada</span>", alone, re.DOTALL)
    assert "What it muted" in alone
    assert "Ended early" not in lived.page("dashboard/silences", id="s-1")


@pytest.mark.parametrize(
    "path, status",
    [("silences?at=soon", 400), ("silences?at=2999-01-01", 400), ("silences/none", 404), ("silences?state=loud", 400)],
)
def test_what_is_asked_wrongly_is_said(lived: Lived, path: str, status: int) -> None:
    assert httpx.get(f"{lived.server.url}/api/v1/{path}", **_LONG).status_code == status
