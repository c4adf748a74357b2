"""An alert's story over HTTP: why, the page at its address, its forms, and what is said of an alert in an archive.

Holds: `web.api.why`, `web.pages.story`, `web.pages.story_acts`, `web.pages.done`, `web.pages.reader_name`, `cli.why`.
"""

import asyncio
import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from alert_history.storage import open_store
from tests.commands import lines, run
from tests.conformance.samples import MINUTE, NOW, alert, id_of, receipt
from tests.conftest import StartService
from tests.payloads import STARTED_AT, webhook
from tests.payloads import alert as sent_alert

_JSON = {"Content-Type": "application/json"}
_OWN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def occurrence(client: httpx.Client) -> str:
    """The id of an alert that fires, and that no other test knows."""
    namespace = f"ns-{uuid4().hex}"
    client.post("/webhook/proxy", content=webhook(sent_alert(1, namespace=namespace)), headers=_JSON).raise_for_status()
    (stored,) = client.get("/history", params={"namespace": namespace}).json()["alerts"]
    return str(stored["id"])


def _send(client: httpx.Client, occurrence: str, call: str, **form: str) -> httpx.Response:
    return client.post(f"/dashboard/alerts/{occurrence}/{call}", data=form, headers=_OWN)


def test_why_is_one_sentence_and_its_steps(client: httpx.Client, occurrence: str) -> None:
    answer = client.get(f"/api/v1/alerts/{occurrence}/why")
    assert answer.status_code == httpx.codes.OK
    why: dict[str, Any] = answer.json()
    assert why["id"] == occurrence
    assert why["sentence"] == "Nobody was notified: Alert History has no targets."
    assert "neither TARGETS_DIR nor TARGET_DISCOVERY_ENABLED is set" in why["steps"][-1]["text"], "for operators"
    assert [step["step"] for step in why["steps"]] == ["received", "recorded", "routed"]
    assert why["steps"][0]["text"].startswith("from alertmanager")
    assert (
        client.get(f"/api/v1/alerts/{occurrence}/why", params={"target": "ops"}).json()["sentence"] == why["sentence"]
    )


def test_why_says_of_each_receiver_what_is_known_and_what_to_connect_to_know_the_rest(
    client: httpx.Client, occurrence: str
) -> None:
    receivers = client.get(f"/api/v1/alerts/{occurrence}/why").json()["receivers"]
    assert [(each["outcome"], each["basis"]) for each in receivers] == [("notified", "known"), ("unknown", "unknown")]
    ours, rest = receivers
    assert ours["sentence"].startswith(f"Alertmanager notified {ours['receiver']} (webhook) at ")
    assert "ALERTMANAGER_URLS" in rest["connect"]
    alone = client.get(f"/api/v1/alerts/{occurrence}/why", params={"target": ours["receiver"]}).json()
    assert alone["receivers"] == [ours]


@pytest.mark.parametrize("unknown", ["0123456789abcdef-1", "no-such-thing"])
def test_of_an_unknown_alert_nothing_is_said(client: httpx.Client, unknown: str) -> None:
    assert client.get(f"/api/v1/alerts/{unknown}/why").status_code == httpx.codes.NOT_FOUND


def test_the_page_says_the_same_sentence(client: httpx.Client, occurrence: str) -> None:
    page = client.get(f"/dashboard/alerts/{occurrence}")
    assert page.status_code == httpx.codes.OK
    sentence = re.search(r'id="sentence">([^<]+)<', page.text)
    assert sentence is not None
    assert sentence[1] == client.get(f"/api/v1/alerts/{occurrence}/why").json()["sentence"]
    assert '<a href="../../dashboard/targets">Targets</a>' in page.text
    alone = client.get(f"/dashboard/alerts/{occurrence}", params={"part": "state"}).text
    assert sentence[1] in alone
    assert "<html" not in alone


def test_of_many_rules_around_it_critical_ones_come_first_and_all_are_a_click_away(
    sqlite_url: str, service: StartService
) -> None:
    """On a service of its own: what other tests send lies around it, too."""
    with httpx.Client(base_url=service({"DATABASE_URL": sqlite_url}).url, trust_env=False, timeout=20) as client:
        _check_around(client)


def _check_around(client: httpx.Client) -> None:
    client.post("/webhook", content=webhook(sent_alert(1, alertname="Middle")), headers=_JSON).raise_for_status()
    (stored,) = client.get("/history", params={"alertname": "Middle"}).json()["alerts"]
    occurrence = stored["id"]
    others = [sent_alert(each, alertname=f"Around{each:02}", severity="warning") for each in range(13)]
    later = sent_alert(14, alertname="ZenithDown") | {"startsAt": (STARTED_AT + timedelta(minutes=5)).isoformat()}
    client.post("/webhook/proxy", content=webhook(*others, later), headers=_JSON).raise_for_status()
    first = client.get(f"/dashboard/alerts/{occurrence}?part=around").text
    counted = re.search(r"12 of (\d+) rules, critical ones first\. <a href=\"([^\"]+)\">Show all \1 rules</a>", first)
    assert counted is not None
    assert "Zenith<wbr>Down" in first, "further away, and critical"
    assert first.count("<tr data-row>") == 12
    assert counted[2] == f"{occurrence}?within=15m&amp;around=all#around"
    everything = client.get(f"/dashboard/alerts/{occurrence}?within=15m&around=all&part=around").text
    assert everything.count("<tr data-row>") == int(counted[1]) > 13
    assert "Show all" not in everything


def test_of_an_alert_that_is_over_people_took_care(client: httpx.Client) -> None:
    namespace = f"ns-{uuid4().hex}"
    for status in ("firing", "resolved"):
        sent = webhook(sent_alert(1, namespace=namespace, status=status))
        client.post("/webhook/proxy", content=sent, headers=_JSON).raise_for_status()
    (stored,) = client.get("/history", params={"namespace": namespace}).json()["alerts"]
    assert stored["status"] == "resolved"
    answer = _send(client, stored["id"], "acknowledge", by="Ada", text="")
    page = client.get(f"/dashboard/alerts/{stored['id']}?done=acknowledged").text
    assert answer.status_code == httpx.codes.SEE_OTHER
    assert "Ada took care of it, at" in page
    assert "It is kept that you took care of it." in page
    assert "takes care" not in page


def test_a_form_is_kept_leads_back_and_the_name_is_remembered(client: httpx.Client, occurrence: str) -> None:
    answer = _send(client, occurrence, "acknowledge", by=" Ada Ünal; ", text="")
    assert answer.status_code == httpx.codes.SEE_OTHER
    assert answer.headers["location"] == f"../{occurrence}?done=acknowledged#people"
    assert answer.headers["set-cookie"].startswith("alert-history-by=Ada%20%C3%9Cnal%3B; Path=/;")
    page = client.get(f"/dashboard/alerts/{occurrence}?done=acknowledged")
    assert 'value="Ada Ünal;"' in page.text
    assert "Ada Ünal; takes care of it" in page.text
    assert _send(client, occurrence, "acknowledge", by="Ada Ünal;").headers["location"].endswith("done=repeated#people")
    assert (
        _send(client, occurrence, "notes", by="Bob", text="disk\r\nswap")
        .headers["location"]
        .endswith("done=noted#people")
    )
    acts = client.get(f"/api/v1/alerts/{occurrence}/timeline").json()["acts"]
    assert [(act["kind"], act["by"]) for act in acts] == [("acknowledged", "Ada Ünal;"), ("noted", "Bob")]
    client.cookies.clear()


@pytest.mark.parametrize("done", ["acknowledged", "repeated", "noted", "corrected"])
def test_what_was_done_is_said_once_and_never_because_of_a_link(
    client: httpx.Client, occurrence: str, done: str
) -> None:
    link = f"/dashboard/alerts/{occurrence}?done={done}"
    assert 'class="kept"' not in client.get(link).text, "somebody crafted it"
    _send(client, occurrence, "notes", by="Bob", text="disk")
    assert "Your note is kept." in client.get(link).text, "what was done, whatever the link says"
    assert 'class="kept"' not in client.get(link).text, "the second time"
    client.cookies.clear()


@pytest.mark.parametrize(
    "call, form, fault",
    [
        ("acknowledge", {"by": " "}, "Your name"),
        ("acknowledge", {"by": "x" * 101}, "Your name"),
        ("notes", {"by": "ada", "text": "\u200b"}, "Note"),
        ("notes", {"by": "ada", "text": "x" * 4001}, "Note"),
        ("notes", {"by": "ada", "text": "a\0b"}, "NUL"),
    ],
)
def test_a_wrong_form_changes_nothing_and_says_why(
    client: httpx.Client, occurrence: str, call: str, form: dict[str, str], fault: str
) -> None:
    answer = _send(client, occurrence, call, **form)
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert fault in answer.text
    assert client.get(f"/api/v1/alerts/{occurrence}/timeline").json()["acts"] == []


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}])
def test_a_form_of_another_site_is_refused(client: httpx.Client, occurrence: str, headers: dict[str, str]) -> None:
    url, form = f"/dashboard/alerts/{occurrence}", {"by": "eve", "text": "x"}
    for call in ("acknowledge", "notes"):
        assert client.post(f"{url}/{call}", data=form, headers=headers).status_code == httpx.codes.FORBIDDEN
    assert client.get(f"/api/v1/alerts/{occurrence}/timeline").json()["acts"] == []


def test_a_correction_from_the_story_leads_back_to_it(client: httpx.Client, occurrence: str) -> None:
    url = f"/classifications/{occurrence.partition('-')[0]}/correction"
    answer = client.post(url, data={"severity": "warning", "by": "ada", "story": occurrence}, headers=_OWN)
    assert answer.status_code == httpx.codes.SEE_OTHER
    assert answer.headers["location"] == f"../../dashboard/alerts/{occurrence}?done=corrected#classification"
    assert "corrected by ada" in client.get(f"/dashboard/alerts/{occurrence}").text
    client.cookies.clear()


@pytest.mark.parametrize("unknown", ["none", "0123456789abcdef-1", "../../etc/passwd", "<b>"])
def test_an_address_of_nothing_is_a_page_that_says_so(client: httpx.Client, unknown: str) -> None:
    answer = client.get(f"/dashboard/alerts/{httpx.QueryParams({'': unknown})}".replace("/=", "/"))
    assert answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.GONE}
    assert "<b>" not in answer.text.split("<main")[-1]


# --- Archived, and on the command line --------------------------------------------------------------------------------


@pytest.fixture
def recorded(database_url: str) -> str:
    """The URL of a database with one alert of March 2026, which is over."""

    async def work() -> None:
        store = open_store(database_url)
        await store.lifecycle.open()
        await store.upkeep.prepare(NOW)
        await store.recorder.commit([receipt(alert())])
        await store.recorder.commit([receipt(alert(status="resolved"), at=NOW + MINUTE)])
        await store.lifecycle.close()

    asyncio.run(work())
    return database_url


def _run(url: str, *args: str | Path) -> list[str]:
    done = run(*args, env={"DATABASE_URL": url})
    assert done.returncode == 0, done.stderr.decode()
    return lines(done.stdout)


@pytest.mark.migrated
def test_why_is_told_on_a_terminal(recorded: str) -> None:
    printed = _run(recorded, "why", id_of(alert()))
    assert printed[0] == "Nobody was notified, because it was sent to be recorded only."
    assert printed[1].startswith("2026-03-04 12:00:00 UTC  fired, received: from alertmanager")
    unknown = run("why", "0123456789abcdef-1", env={"DATABASE_URL": recorded})
    assert unknown.returncode == 2
    assert b"0123456789abcdef-1" in unknown.stderr


@pytest.mark.migrated
def test_an_archived_alert_says_where_it_is_and_what_brings_it_back(
    recorded: str, service: StartService, tmp_path: Path
) -> None:
    place = tmp_path / "old history"
    _run(recorded, "archive", "--before", "-1d", "--to", place)
    place.rename(tmp_path / "elsewhere")  # the service does not see it
    url = f"{service({'DATABASE_URL': recorded}).url}/dashboard/alerts/{id_of(alert())}"
    gone = httpx.get(url, trust_env=False)
    assert gone.status_code == httpx.codes.GONE
    (tmp_path / "elsewhere").rename(place)
    command = re.search(r"<pre><code>alert-history ([^<]+)</code>", gone.text)
    assert command is not None
    _run(recorded, *shlex.split(command[1].replace("&#39;", "'")))
    assert "From the archive" not in httpx.get(url, trust_env=False).raise_for_status().text


@pytest.mark.migrated
def test_an_archived_alert_answers_at_its_address_from_the_archive(
    recorded: str, service: StartService, tmp_path: Path
) -> None:
    _run(recorded, "archive", "--before", "-1d", "--to", tmp_path / "old history")
    base, id_ = service({"DATABASE_URL": recorded}).url, id_of(alert())
    with httpx.Client(base_url=base, trust_env=False, timeout=30) as client:
        page = client.get(f"/dashboard/alerts/{id_}").raise_for_status().text
        assert "From the archive" in page
        assert "Write a note" not in page
        assert "<textarea" not in page
        assert client.get(f"/dashboard/alerts/{id_}", params={"part": "earlier"}).is_success
        assert client.get(f"/api/v1/alerts/{id_}").json()["is_archived"] is True
        assert [each["kind"] for each in client.get(f"/api/v1/alerts/{id_}/timeline").json()["events"]] == [
            "fired",
            "resolved",
        ]
        assert client.get(f"/api/v1/alerts/{id_}/why").json()["steps"][0]["text"].startswith("from alertmanager")
        note = client.post(f"/api/v1/alerts/{id_}/notes", json={"text": "x", "by": "Ada"})
        assert (note.status_code, "restore" in note.json()["detail"]) == (httpx.codes.NOT_FOUND, True)


@pytest.mark.migrated
def test_history_searches_the_archive_where_it_is_asked_to(
    recorded: str, service: StartService, tmp_path: Path
) -> None:
    _run(recorded, "archive", "--before", "-1d", "--to", tmp_path / "old history")
    all_time = {"since": "2026-01-01"}
    with httpx.Client(base_url=service({"DATABASE_URL": recorded}).url, trust_env=False, timeout=30) as client:
        alone, both = (client.get("/history", params={"archive": each}).json() for each in ("false", "true"))
        assert ([each["total"] for each in (alone, both)], both["alerts"][0]["is_archived"]) == ([0, 1], True)
        page = client.get("/dashboard/history", params={"archive": "true", **all_time}).text
        assert '<input type="checkbox" name="archive" value="true" checked>' in page
        assert id_of(alert()) in page
        assert 'href="?since=2026-01-01&amp;status=resolved&amp;archive=true"' in page
        without = client.get("/dashboard/history", params=all_time).text
        assert '<input type="checkbox" name="archive" value="true">' in without
        assert id_of(alert()) not in without
        file = client.get("/dashboard/history/export", params={"archive": "true", "format": "jsonl", **all_time})
        assert file.json()["is_archived"] is True
        wrong = client.get("/history", params={"archive": "true", "offset": 3})
        assert wrong.status_code == httpx.codes.BAD_REQUEST
