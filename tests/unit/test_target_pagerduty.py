"""What is particular to PagerDuty: what opens, renews and closes an alert, and the words it is told."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from alert_history.domain.target import TargetSpec
from alert_history.errors import Rejected, Retryable
from alert_history.targets.pagerduty import DEFAULT_URL, PagerDutyTarget, dedup_key, event, make, severity
from tests.vendors.messages import acknowledged, classification, classified, message, outgoing, resolved
from tests.vendors.pagerduty import ROUTING_KEY, PagerDuty, fields
from tests.vendors.server import VendorServer, replies, serving


def spec(**changed: str) -> TargetSpec:
    return TargetSpec(name="t", format="pagerduty", fields=changed)


@pytest.fixture
async def pagerduty() -> AsyncIterator[VendorServer]:
    async with serving(PagerDuty()) as running:
        yield running


@pytest.fixture
async def target(pagerduty: VendorServer) -> AsyncIterator[PagerDutyTarget]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield make(spec(**fields(pagerduty.url)), client)


def service(pagerduty: VendorServer) -> PagerDuty:
    assert isinstance(pagerduty.vendor, PagerDuty)
    return pagerduty.vendor


async def test_a_resolve_closes_what_its_firing_opened(pagerduty: VendorServer, target: PagerDutyTarget) -> None:
    await target.send(message())
    assert list(service(pagerduty).open_alerts) == [dedup_key(outgoing())]
    await target.send(message(resolved()))
    assert (service(pagerduty).open_alerts, service(pagerduty).resolved) == ({}, [dedup_key(outgoing())])


async def test_the_same_firing_twice_is_one_alert(pagerduty: VendorServer, target: PagerDutyTarget) -> None:
    await target.send(message())
    await target.send(message())
    assert len(service(pagerduty).open_alerts) == 1


async def test_changed_annotations_renew_the_open_alert(pagerduty: VendorServer, target: PagerDutyTarget) -> None:
    await target.send(message())
    await target.send(message(outgoing(event="annotations_changed", annotations={"summary": "99 %"})))
    (alert,) = service(pagerduty).open_alerts.values()
    assert alert["payload"]["summary"] == "DiskFull: 99 %"


async def test_a_resolve_of_what_is_not_open_opens_nothing(pagerduty: VendorServer, target: PagerDutyTarget) -> None:
    await target.send(message(resolved()))
    assert (service(pagerduty).open_alerts, service(pagerduty).resolved) == ({}, [])


async def test_a_resolved_alert_that_fires_again_opens_again(pagerduty: VendorServer, target: PagerDutyTarget) -> None:
    for alert in (outgoing(), resolved(), outgoing(event="refired")):
        await target.send(message(alert))
    assert len(service(pagerduty).open_alerts) == 1


async def test_the_dedup_key_is_the_name_that_is_kept(target: PagerDutyTarget) -> None:
    assert (await target.send(message())).external_id == dedup_key(outgoing())


@pytest.mark.parametrize(
    "answer", [replies(200, "<html>log in</html>"), replies(202, "[]"), replies(200, '{"status":"success"}')]
)
async def test_a_2xx_that_is_not_pagerdutys_is_no_success(
    pagerduty: VendorServer, target: PagerDutyTarget, answer: Any
) -> None:
    pagerduty.script(answer)
    with pytest.raises(Retryable, match="not as PagerDuty does"):
        await target.send(message())


async def test_an_integration_that_was_removed_is_a_dead_letter_and_no_end_to_trying(pagerduty: VendorServer) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        target = make(spec(routing_key="f" * 32, url=pagerduty.url), client)
        with pytest.raises(Rejected, match="Invalid routing key") as raised:
            await target.send(message())
    assert not raised.value.is_gone


def test_two_firings_have_two_dedup_keys() -> None:
    later = outgoing(occurrence_id="507a62d79ee76c9a-1795521600999999")
    assert dedup_key(later) != dedup_key(outgoing())


def test_a_dedup_key_is_never_longer_than_255() -> None:
    assert len(dedup_key(outgoing(occurrence_id="x" * 300))) <= 255


@pytest.mark.parametrize(
    "word, level",
    [
        ("critical", "critical"),
        ("CRIT", "critical"),
        ("page", "critical"),
        ("P1", "critical"),
        ("error", "error"),
        ("major", "error"),
        ("high", "error"),
        ("p2", "error"),
        ("warning", "warning"),
        ("Warn", "warning"),
        ("minor", "warning"),
        ("info", "info"),
        ("none", "info"),
        ("low", "info"),
        ("", "error"),
        ("banana", "error"),
    ],
)
def test_severity_is_told_in_pagerdutys_words(word: str, level: str) -> None:
    assert severity(outgoing(labels={"severity": word})) == level


def test_a_missing_severity_is_an_error() -> None:
    assert severity(outgoing(labels={})) == "error"


def test_an_event_says_where_it_is_and_holds_all_labels_and_annotations() -> None:
    alert = outgoing()
    payload = event(alert)["payload"]
    where = {name: payload[name] for name in ("source", "component", "group", "class", "summary")}
    assert where == {
        "source": "db-1:9100",
        "component": "node",
        "group": "shop",
        "class": "DiskFull",
        "summary": "DiskFull: /var is 97 % full",
    }
    assert payload["custom_details"]["labels"] == alert.labels
    assert payload["custom_details"]["annotations"] == alert.annotations


def test_an_alert_without_a_summary_says_what_and_where_it_is() -> None:
    summary = event(outgoing(annotations={}))["payload"]["summary"]
    assert summary.startswith("DiskFull · warning · ")
    assert "db-1:9100" in summary


def test_what_nobody_can_see_is_passed_over() -> None:
    blank = outgoing(
        labels={"alertname": " ", "instance": "\t", "node": "n1", "namespace": " ", "team": "db"},
        annotations={
            "summary": " ",
            "message": "it burns",
            "runbook_url": " ",
            "runbook": "https://runbooks.example/x",
        },
    )
    payload = event(blank)["payload"]
    where = {name: payload.get(name) for name in ("source", "group", "class", "summary")}
    assert where == {"source": "n1", "group": "db", "class": None, "summary": "alert without a name: it burns"}
    assert event(blank)["links"][0] == {"href": "https://runbooks.example/x", "text": "Runbook"}


def test_links_lead_to_the_runbook_and_the_source() -> None:
    body = event(outgoing())
    assert [link["text"] for link in body["links"]] == ["Runbook", "Source"]
    assert body["client_url"] == "https://alertmanager.example"


def test_an_event_is_never_larger_than_512_kb() -> None:
    text = "\x01" * 2_000_000  # six bytes each as JSON
    labels = {f"{i}{'l' * 5000}": text[:5000] for i in range(500)}
    huge = outgoing(labels=labels | {"alertname": text}, annotations={"summary": text, "a": text}, receiver=text)
    assert len(msgspec.json.encode(event(huge))) < 512 * 1024 - 1024


@pytest.mark.parametrize("keys", [{"integration_key": ROUTING_KEY}, {"routing_key": ROUTING_KEY}], ids=str)
async def test_either_key_will_do(pagerduty: VendorServer, keys: dict[str, str]) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await make(spec(url=pagerduty.url, **keys), client).send(message())
    assert pagerduty.requests[-1].json()["routing_key"] == ROUTING_KEY


async def test_routing_key_counts_where_both_are_given(pagerduty: VendorServer) -> None:
    keys = {"integration_key": "x" * 32, "routing_key": ROUTING_KEY}
    async with httpx.AsyncClient(trust_env=False) as client:
        await make(spec(url=pagerduty.url, **keys), client).send(message())
    assert pagerduty.requests[-1].json()["routing_key"] == ROUTING_KEY


def test_without_a_url_it_is_pagerdutys_own() -> None:
    assert make(spec(routing_key=ROUTING_KEY), httpx.AsyncClient()).url_shown() == f"{DEFAULT_URL}/…"


@pytest.mark.parametrize("ending", ["", "/", "/v2/enqueue", "/v2/enqueue/"])
async def test_a_url_may_hold_the_path_or_not(pagerduty: VendorServer, ending: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await make(spec(routing_key=ROUTING_KEY, url=pagerduty.url + ending), client).send(message())
    assert pagerduty.requests[-1].path == "/v2/enqueue"


# --- What it means ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "classified_as, expected", [("critical", "critical"), ("warning", "warning"), ("info", "info"), ("noise", "info")]
)
def test_severity_is_that_of_the_classification(classified_as: str, expected: str) -> None:
    assert severity(outgoing(classification=classification(severity=classified_as))) == expected


def test_details_say_what_the_alert_means() -> None:
    details = event(outgoing(classification=classification()))["payload"]["custom_details"]["classification"]
    assert (details["severity"], details["confidence"], details["by"]) == ("critical", 0.92, "by gpt-4")
    assert details["recommendations"] == ["Rotate the logs", "Grow the volume"]


def test_details_say_why_the_alert_is_not_classified() -> None:
    details = event(outgoing(unenriched="no answer in time"))["payload"]["custom_details"]
    assert details["classification"] == "not classified: no answer in time"
    assert "classification" not in event(outgoing())["payload"]["custom_details"]


async def test_a_classification_that_follows_renews_the_open_alert(
    pagerduty: VendorServer, target: PagerDutyTarget
) -> None:
    await target.send(message())
    await target.send(message(classified(), key="classified"))
    (alert,) = service(pagerduty).open_alerts.values()
    assert alert["payload"]["custom_details"]["classification"]["summary"] == "The volume is full within an hour"


async def test_a_classification_that_follows_too_late_opens_no_alert(
    pagerduty: VendorServer, target: PagerDutyTarget
) -> None:
    await target.send(message())
    await target.send(message(resolved(), key="resolved"))
    await target.send(message(classified(status="resolved"), key="classified"))
    assert service(pagerduty).open_alerts == {}


async def test_an_acknowledgement_is_that_of_the_open_alert(pagerduty: VendorServer, target: PagerDutyTarget) -> None:
    await target.send(message())
    await target.send(message(acknowledged()))
    assert service(pagerduty).acknowledged == [dedup_key(outgoing())]
    assert event(acknowledged()) == {
        "event_action": "acknowledge",
        "dedup_key": dedup_key(outgoing()),
        "payload": {
            "summary": "DiskFull: acknowledged by ada: I look into it",
            "severity": "warning",
            "source": "db-1:9100",
        },
    }


async def test_an_acknowledgement_after_the_end_opens_nothing(pagerduty: VendorServer, target: PagerDutyTarget) -> None:
    await target.send(message())
    await target.send(message(resolved()))
    await target.send(message(acknowledged(status="resolved")))
    assert (service(pagerduty).open_alerts, service(pagerduty).acknowledged) == ({}, [])
