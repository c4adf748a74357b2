"""What people did at PagerDuty and Rootly comes in by their own signed webhooks, onto the timeline of its alert.

Holds: `web.ingest.vendors`, `web.ingest.signature`, `engine.vendor_acts`, `sources.pagerduty`, `sources.rootly`,
`domain.vendor_event`.
"""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.conftest import StartService
from tests.payloads import alert, webhook
from tests.vendors.webhooks import (
    INCIDENT,
    OUR_INTEGRATION,
    PAGERDUTY_KEY,
    ROOTLY_ALERT,
    incident,
    incident_note,
    pagerduty_event,
    pagerduty_signature,
    ping,
    rootly_event,
    rootly_signature,
)

_JSON = {"Content-Type": "application/json"}


@pytest.fixture
def occurrence(client: httpx.Client) -> str:
    """The id of an alert that fires, and that no other test knows."""
    return _occurrence(client, f"ns-{uuid4().hex}")


def _occurrence(client: httpx.Client, namespace: str, *, status: str = "firing") -> str:
    answer = client.post("/webhook/proxy", content=webhook(alert(1, namespace=namespace, status=status)), headers=_JSON)
    assert answer.status_code == httpx.codes.OK
    (stored,) = client.get("/history", params={"namespace": namespace}).json()["alerts"]
    return str(stored["id"])


def _from_pagerduty(client: httpx.Client, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    signed = pagerduty_signature(body) if headers is None else headers
    return client.post("/webhook/pagerduty", content=body, headers=_JSON | signed)


def _from_rootly(client: httpx.Client, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    signed = rootly_signature(body) if headers is None else headers
    return client.post("/webhook/rootly", content=body, headers=_JSON | signed)


def _counts(answer: httpx.Response) -> dict[str, int]:
    assert answer.status_code == httpx.codes.OK, answer.text
    counts = {name: answer.json()[name] for name in ("stored", "repeated", "ignored", "quarantined")}
    assert answer.json()["received"] == sum(counts.values()) == 1
    return {name: count for name, count in counts.items() if count}


def _acts(client: httpx.Client, occurrence: str) -> list[dict[str, Any]]:
    return list(client.get(f"/api/v1/alerts/{occurrence}/timeline").json()["acts"])


def _quarantined(client: httpx.Client) -> list[dict[str, Any]]:
    return list(client.get("/api/v1/quarantine", params={"limit": 1000}).json()["quarantine"])


def test_what_people_did_at_pagerduty_stands_on_the_timeline_with_who_and_when(
    client: httpx.Client, occurrence: str
) -> None:
    its = f"P{uuid4().hex[:12].upper()}"
    data = incident(occurrence, incident_id=its)
    bodies = [
        pagerduty_event("incident.acknowledged", data=data),
        pagerduty_event("incident.annotated", data=incident_note("On my way ✓", incident_id=its)),
        pagerduty_event("incident.unacknowledged", data=data, agent=None, at="2026-11-24T03:50:00Z"),
        pagerduty_event("incident.resolved", data=data, at="2026-11-24T05:00:00+01:00"),
    ]
    assert [_counts(_from_pagerduty(client, body)) for body in bodies] == [{"stored": 1}] * 4
    acts = _acts(client, occurrence)
    shown = {(act["kind"], act["by"], act["text"], act["source"], act["at"]) for act in acts}
    assert shown == {
        ("acknowledged", "Ada Lovelace", "", "pagerduty", "2026-11-24T03:20:00.169000Z"),
        ("noted", "Ada Lovelace", "On my way ✓", "pagerduty", "2026-11-24T03:20:00.169000Z"),
        ("unacknowledged", "PagerDuty", "", "pagerduty", "2026-11-24T03:50:00Z"),
        ("resolved", "Ada Lovelace", "", "pagerduty", "2026-11-24T04:00:00Z"),
    }
    traced = client.get(f"/api/v1/alerts/{occurrence}").json()
    assert (traced["status"], traced["ends_at"]) == ("firing", None), "a resolve at a vendor ends nothing here"
    assert len(traced["ledger"]["acts"]) == len(acts)


def test_a_webhook_that_is_sent_twice_is_stored_once(client: httpx.Client, occurrence: str) -> None:
    body = pagerduty_event("incident.acknowledged", data=incident(occurrence))
    assert [_counts(_from_pagerduty(client, body)) for _ in range(2)] == [{"stored": 1}, {"repeated": 1}]
    assert len(_acts(client, occurrence)) == 1


@pytest.mark.parametrize("event_type", ["incident.triggered", "incident.escalated", "incident.reassigned"])
def test_an_event_that_is_no_act_says_of_which_alert_its_incident_is(
    client: httpx.Client, occurrence: str, event_type: str
) -> None:
    its = f"P{uuid4().hex[:12].upper()}"
    answer = _from_pagerduty(client, pagerduty_event(event_type, data=incident(occurrence, incident_id=its)))
    assert _counts(answer) == {"ignored": 1}
    noted = pagerduty_event("incident.annotated", data=incident_note("known since then", incident_id=its))
    assert _counts(_from_pagerduty(client, noted)) == {"stored": 1}
    assert [act["text"] for act in _acts(client, occurrence)] == ["known since then"]


@pytest.mark.parametrize("event_type", ["incident.acknowledged", "incident.resolved"])
def test_what_our_own_events_did_at_pagerduty_is_no_act_of_a_person(
    client: httpx.Client, occurrence: str, event_type: str
) -> None:
    echo = pagerduty_event(event_type, data=incident(occurrence), agent=OUR_INTEGRATION)
    assert _counts(_from_pagerduty(client, echo)) == {"ignored": 1}
    assert _acts(client, occurrence) == []


def test_the_test_event_of_pagerduty_is_taken(client: httpx.Client) -> None:
    before = len(_quarantined(client))
    assert _counts(_from_pagerduty(client, ping())) == {"ignored": 1}
    assert len(_quarantined(client)) == before


@pytest.mark.parametrize(
    "data, words",
    [
        (incident("0123456789abcdef-1", incident_id="POTHER1"), "no such occurrence is known"),
        (incident("d3640fbd41094207a1c11e58e46b1662", incident_id="POTHER2"), "no such occurrence is known"),
        (incident(None, incident_id="PNOBODY"), "which alert incident PNOBODY is about"),
        (incident_note("about what?", incident_id="PNOBODY2"), "which alert incident PNOBODY2 is about"),
    ],
)
def test_an_act_on_what_we_do_not_know_is_quarantined_once_with_its_reason(
    client: httpx.Client, data: dict[str, Any], words: str
) -> None:
    body = pagerduty_event("incident.annotated" if "content" in data else "incident.acknowledged", data=data)
    for _ in range(2):
        assert _counts(_from_pagerduty(client, body)) == {"quarantined": 1}
    (refused,) = [each for each in _quarantined(client) if each["raw"] == body.decode()]
    assert words in refused["reason"]
    assert refused["source"] == "pagerduty"


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"event": {"id": 7}}', b'{"event": "\xff"}'])
def test_a_signed_body_that_can_not_be_read_is_quarantined(client: httpx.Client, body: bytes) -> None:
    before = len(_quarantined(client))
    assert _counts(_from_pagerduty(client, body)) == {"quarantined": 1}
    assert _counts(_from_rootly(client, body)) == {"quarantined": 1}
    assert len(_quarantined(client)) == before + 2


def test_text_that_no_database_can_hold_is_replaced_and_a_long_text_is_cut(
    client: httpx.Client, occurrence: str
) -> None:
    its = f"P{uuid4().hex[:12].upper()}"
    _from_pagerduty(client, pagerduty_event("incident.triggered", data=incident(occurrence, incident_id=its)))
    note = incident_note("a\0b" + "x" * 9000, incident_id=its)
    assert _counts(_from_pagerduty(client, pagerduty_event("incident.annotated", data=note))) == {"stored": 1}
    (act,) = _acts(client, occurrence)
    assert act["text"].startswith("a\ufffdb")
    assert (len(act["text"]), act["text"][-1]) == (4000, "…")


def test_while_the_secret_is_replaced_one_right_signature_of_several_is_enough(
    client: httpx.Client, occurrence: str
) -> None:
    for secrets in (("an-older-one",), ("unknown", PAGERDUTY_KEY), (PAGERDUTY_KEY, "unknown")):
        body = pagerduty_event("incident.acknowledged", data=incident(occurrence))
        assert _counts(_from_pagerduty(client, body, pagerduty_signature(body, *secrets))) == {"stored": 1}


_BODY = pagerduty_event("incident.acknowledged", data=incident("0123456789abcdef-1"))
_RIGHT = pagerduty_signature(_BODY)["X-PagerDuty-Signature"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-PagerDuty-Signature": ""},
        {"X-PagerDuty-Signature": "v1="},
        {"X-PagerDuty-Signature": _RIGHT.removeprefix("v1=")},
        {"X-PagerDuty-Signature": _RIGHT.replace("v1=", "v0=")},
        {"X-PagerDuty-Signature": _RIGHT[:-1] + ("0" if _RIGHT[-1] != "0" else "1")},
        {"X-PagerDuty-Signature": "v1=é"},
        pagerduty_signature(_BODY, "another"),
        pagerduty_signature(_BODY + b" "),
    ],
)
def test_a_webhook_without_a_right_signature_is_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    sent_headers = {name.encode(): value.encode("latin-1") for name, value in (_JSON | headers).items()}
    before = len(_quarantined(client))
    answer = client.post("/webhook/pagerduty", content=_BODY, headers=sent_headers)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:alert-history:problem:wrong-signature")
    assert "PAGERDUTY_WEBHOOK_SECRET" in answer.json()["detail"]
    assert PAGERDUTY_KEY not in answer.text
    assert len(_quarantined(client)) == before


def test_what_people_did_at_rootly_stands_on_the_timeline(client: httpx.Client, occurrence: str) -> None:
    acknowledged = rootly_event(
        "alert.acknowledged", external_id=occurrence, acknowledged_by={"full_name": "Bob", "email": "bob@acme.test"}
    )
    resolved = rootly_event("alert.resolved", deduplication_key=occurrence, at="2026-11-24T04:00:00Z")
    for body in (acknowledged, resolved):
        assert _counts(_from_rootly(client, body)) == {"stored": 1}
        assert _counts(_from_rootly(client, body)) == {"repeated": 1}
    acts = _acts(client, occurrence)
    assert [(act["kind"], act["by"], act["source"], act["at"]) for act in acts] == [
        ("acknowledged", "Bob", "rootly", "2026-11-24T03:20:00.546000Z"),
        ("resolved", "Rootly", "rootly", "2026-11-24T04:00:00Z"),
    ]
    assert client.get(f"/api/v1/alerts/{occurrence}").json()["status"] == "firing"


def test_what_we_told_rootly_is_no_act_when_it_comes_back_without_a_name(client: httpx.Client) -> None:
    namespace = f"ns-{uuid4().hex}"
    occurrence = _occurrence(client, namespace)
    client.post(f"/api/v1/alerts/{occurrence}/acknowledge", json={"by": "ada"})
    echo = _from_rootly(client, rootly_event("alert.acknowledged", external_id=occurrence))
    assert _counts(echo) == {"ignored": 1}
    _occurrence(client, namespace, status="resolved")
    echo = _from_rootly(client, rootly_event("alert.resolved", external_id=occurrence))
    assert _counts(echo) == {"ignored": 1}
    assert [act["by"] for act in _acts(client, occurrence)] == ["ada"]


def test_other_events_of_rootly_are_taken_and_kept_nowhere(client: httpx.Client, occurrence: str) -> None:
    for body in (rootly_event("alert.created", external_id=occurrence), rootly_event("incident.created")):
        assert _counts(_from_rootly(client, body)) == {"ignored": 1}
    unknown = rootly_event("alert.acknowledged", external_id="of-somebody-else", id=ROOTLY_ALERT[::-1])
    assert _counts(_from_rootly(client, unknown)) == {"quarantined": 1}
    assert _acts(client, occurrence) == []


def test_a_webhook_of_rootly_without_a_right_signature_is_refused(client: httpx.Client) -> None:
    body = rootly_event("alert.acknowledged", external_id="0123456789abcdef-1")
    right = rootly_signature(body)["X-Rootly-Signature"]
    wrong: list[dict[str, str]] = [
        {},
        {"X-Rootly-Signature": right.partition(",")[2]},
        {"X-Rootly-Signature": right.replace("t=1", "t=2")},
        {"X-Rootly-Signature": f"t=1,{right}"},
        rootly_signature(body, key="another"),
        rootly_signature(body + b" "),
    ]
    for headers in wrong:
        answer = _from_rootly(client, body, headers)
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:alert-history:problem:wrong-signature")


@pytest.mark.parametrize(
    "path, setting", [("/webhook/pagerduty", "PAGERDUTY_WEBHOOK_SECRET"), ("/webhook/rootly", "ROOTLY_WEBHOOK_SECRET")]
)
def test_without_a_secret_the_answer_names_the_setting_and_asks_to_come_again(
    sqlite_url: str, service: StartService, path: str, setting: str
) -> None:
    url = service({"DATABASE_URL": sqlite_url}).url
    body = pagerduty_event("incident.acknowledged", data=incident("0123456789abcdef-1", incident_id=INCIDENT))
    answer = httpx.post(f"{url}{path}", content=body, headers=_JSON | pagerduty_signature(body), trust_env=False)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert setting in answer.json()["detail"]


def test_a_body_that_no_vendor_sends_is_too_large(client: httpx.Client) -> None:
    assert _from_pagerduty(client, b"x" * (256 * 1024 + 1)).status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
