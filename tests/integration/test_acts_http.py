"""Acknowledging and noting over HTTP: who, when and in which words, on the timeline and in the ledger.

Holds: `web.api.acts`, `engine.acts`.
"""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.payloads import alert, webhook

_JSON = {"Content-Type": "application/json"}


@pytest.fixture
def occurrence(client: httpx.Client) -> str:
    """The id of an alert that fires, and that no other test knows."""
    namespace = f"ns-{uuid4().hex}"
    answer = client.post("/webhook/proxy", content=webhook(alert(1, namespace=namespace)), headers=_JSON)
    assert answer.status_code == httpx.codes.OK
    (stored,) = client.get("/history", params={"namespace": namespace}).json()["alerts"]
    return str(stored["id"])


def _post(client: httpx.Client, occurrence: str, call: str, body: Any) -> httpx.Response:
    return client.post(f"/api/v1/alerts/{occurrence}/{call}", json=body)


def test_an_acknowledgement_and_a_note_stand_on_the_timeline_and_in_the_ledger(
    client: httpx.Client, occurrence: str
) -> None:
    acknowledged = _post(client, occurrence, "acknowledge", {"by": " ada "})
    noted = _post(client, occurrence, "notes", {"by": "bob", "text": "The disk is being grown"})
    assert (acknowledged.status_code, noted.status_code) == (200, 200), noted.text
    first, second = acknowledged.json()["act"], noted.json()["act"]
    assert {**first, "id": "", "at": ""} == {
        "id": "",
        "at": "",
        "kind": "acknowledged",
        "by": "ada",
        "text": "",
        "source": "person",
    }
    assert (second["kind"], second["by"], second["text"]) == ("noted", "bob", "The disk is being grown")
    timeline = client.get(f"/api/v1/alerts/{occurrence}/timeline").json()
    assert timeline["acts"] == [first, second]
    assert [event["kind"] for event in timeline["events"]] == ["fired"]
    traced = client.get(f"/api/v1/alerts/{occurrence}").json()
    assert [(act["at"], act["kind"], act["by"], act["text"], act["targets"]) for act in traced["ledger"]["acts"]] == [
        (act["at"], act["kind"], act["by"], act["text"], []) for act in (first, second)
    ]
    assert traced["status"] == "firing"


def test_the_same_person_acknowledges_once_and_the_answer_says_so(client: httpx.Client, occurrence: str) -> None:
    first = _post(client, occurrence, "acknowledge", {"by": "ada", "text": "on it"}).json()
    again = _post(client, occurrence, "acknowledge", {"by": "ada", "text": "still on it"}).json()
    other = _post(client, occurrence, "acknowledge", {"by": "bob"}).json()
    assert (first["is_repeated"], again["is_repeated"], other["is_repeated"]) == (False, True, False)
    assert again["act"] == first["act"]
    acts = client.get(f"/api/v1/alerts/{occurrence}/timeline").json()["acts"]
    assert [act["by"] for act in acts] == ["ada", "bob"]


def test_the_same_note_twice_is_two_notes(client: httpx.Client, occurrence: str) -> None:
    for _ in range(2):
        assert not _post(client, occurrence, "notes", {"by": "ada", "text": "again"}).json()["is_repeated"]
    assert len(client.get(f"/api/v1/alerts/{occurrence}/timeline").json()["acts"]) == 2


@pytest.mark.parametrize("call", ["acknowledge", "notes"])
@pytest.mark.parametrize("unknown", ["0123456789abcdef-1", "no-such-thing"])
def test_an_unknown_id_is_not_found(client: httpx.Client, call: str, unknown: str) -> None:
    answer = _post(client, unknown, call, {"by": "ada", "text": "hello"})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:alert-history:problem:not-found")


@pytest.mark.parametrize(
    "call, body, status, words",
    [
        ("acknowledge", {}, 422, "by"),
        ("acknowledge", {"by": ""}, 422, "by:"),
        ("acknowledge", {"by": " \u200b "}, 422, "by: it shows nothing"),
        ("acknowledge", {"by": "a\0da"}, 422, "by: NUL characters"),
        ("acknowledge", {"by": "a" * 101}, 422, "by:"),
        ("acknowledge", {"by": "ada", "text": "\0"}, 422, "text: NUL characters"),
        ("acknowledge", {"by": "ada", "text": "x" * 4001}, 422, "text:"),
        ("acknowledge", {"by": "ada", "note": "x"}, 422, "note"),
        ("notes", {"by": "ada"}, 422, "text"),
        ("notes", {"by": "ada", "text": ""}, 422, "text:"),
        ("notes", {"by": "ada", "text": "  "}, 422, "text: it shows nothing"),
        ("notes", {"by": 7, "text": "x"}, 422, "by:"),
        ("notes", ["ada"], 422, "object"),
    ],
)
def test_a_body_that_is_not_allowed_is_refused_with_its_field(
    client: httpx.Client, occurrence: str, call: str, body: Any, status: int, words: str
) -> None:
    answer = _post(client, occurrence, call, body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert words in answer.json()["detail"]
    assert client.get(f"/api/v1/alerts/{occurrence}/timeline").json()["acts"] == []


def test_a_lone_surrogate_is_refused(client: httpx.Client, occurrence: str) -> None:
    content = b'{"by": "ada", "text": "\\ud800"}'
    answer = client.post(f"/api/v1/alerts/{occurrence}/notes", content=content, headers=_JSON)
    assert answer.status_code in {400, 422}
    assert answer.json()["detail"]


def test_a_body_that_is_not_called_json_is_refused(client: httpx.Client, occurrence: str) -> None:
    headers = {"Content-Type": "text/plain"}
    answer = client.post(f"/api/v1/alerts/{occurrence}/acknowledge", content=b'{"by": "ada"}', headers=headers)
    assert answer.status_code == 415
