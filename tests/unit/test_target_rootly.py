"""What is particular to Rootly: the id that is kept, and which calls tell what."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from alert_history.domain.target import TargetSpec
from alert_history.errors import Rejected, Retryable
from alert_history.targets.rootly import DEFAULT_URL, RootlyTarget, make, new_alert
from tests.vendors.messages import ENDED, acknowledged, classification, classified, message, outgoing, resolved
from tests.vendors.rootly import API_KEY, SERVICE_ID, Rootly, fields
from tests.vendors.server import VendorServer, replies, serving


def spec(**keys: str) -> TargetSpec:
    return TargetSpec(name="t", format="rootly", fields={"api_key": API_KEY} | keys)


@pytest.fixture
async def rootly() -> AsyncIterator[VendorServer]:
    async with serving(Rootly()) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as opened:
        yield opened


@pytest.fixture
def target(rootly: VendorServer, client: httpx.AsyncClient) -> RootlyTarget:
    return make(spec(**fields(rootly.url)), client)


def organisation(rootly: VendorServer) -> Rootly:
    assert isinstance(rootly.vendor, Rootly)
    return rootly.vendor


def calls(rootly: VendorServer) -> list[str]:
    return [f"{request.method} {request.path}" for request in rootly.requests]


async def test_a_firing_keeps_the_id_it_was_given(rootly: VendorServer, target: RootlyTarget) -> None:
    sent = await target.send(message())
    assert [sent.external_id] == organisation(rootly).of_status("triggered")


async def test_a_resolve_goes_by_the_id_alone(rootly: VendorServer, target: RootlyTarget) -> None:
    alert_id = (await target.send(message())).external_id
    sent = await target.send(message(resolved(external_id=alert_id)))
    assert calls(rootly) == ["POST /v1/alerts", f"POST /v1/alerts/{alert_id}/resolve"]
    assert organisation(rootly).of_status("resolved") == [alert_id] == [sent.external_id]


async def test_a_resolve_finds_the_open_alert_whose_id_was_lost(rootly: VendorServer, target: RootlyTarget) -> None:
    alert_id = (await target.send(message())).external_id
    await target.send(message(resolved()))
    assert organisation(rootly).of_status("resolved") == [alert_id]
    assert len(organisation(rootly).alerts) == 1


async def test_a_resolve_never_told_of_is_kept_without_calling_anybody(
    rootly: VendorServer, target: RootlyTarget
) -> None:
    await target.send(message(resolved()))
    created = rootly.requests[0].json()["data"]["attributes"]
    assert (created["status"], created["ended_at"]) == ("open", ENDED.isoformat().replace("+00:00", "Z"))
    assert len(organisation(rootly).of_status("resolved")) == 1


async def test_the_same_firing_twice_is_one_alert(rootly: VendorServer, target: RootlyTarget) -> None:
    first, second = await target.send(message()), await target.send(message())
    assert first == second
    assert len(organisation(rootly).alerts) == 1


async def test_changed_annotations_update_the_open_alert(rootly: VendorServer, target: RootlyTarget) -> None:
    alert_id = (await target.send(message())).external_id
    changed = outgoing(event="annotations_changed", annotations={"summary": "99 %"}, external_id=alert_id)
    assert (await target.send(message(changed))).external_id == alert_id
    (alert,) = organisation(rootly).alerts.values()
    assert (alert["summary"], alert["status"]) == ("DiskFull: 99 %", "triggered")


async def test_an_alert_that_fires_again_is_a_new_one_with_its_own_id(
    rootly: VendorServer, target: RootlyTarget
) -> None:
    alert_id = (await target.send(message())).external_id
    await target.send(message(resolved(external_id=alert_id)))
    again = (await target.send(message(outgoing(event="refired", external_id=alert_id)))).external_id
    assert organisation(rootly).of_status("triggered") == [again]
    assert again != alert_id


async def test_a_resolve_of_an_alert_that_was_deleted_is_rejected(rootly: VendorServer, target: RootlyTarget) -> None:
    alert_id = (await target.send(message())).external_id
    organisation(rootly).alerts.clear()
    with pytest.raises(Rejected, match=r"answered 404: .*Not found"):
        await target.send(message(resolved(external_id=alert_id)))


@pytest.mark.parametrize("answer", [replies(201, "<html>"), replies(201, '{"data":{}}'), replies(200), replies(204)])
async def test_a_2xx_without_an_id_is_no_success(rootly: VendorServer, target: RootlyTarget, answer: Any) -> None:
    rootly.script(answer)
    with pytest.raises(Retryable, match="not as Rootly does"):
        await target.send(message())


async def test_a_failure_between_two_calls_is_made_good_by_the_next_attempt(
    rootly: VendorServer, target: RootlyTarget
) -> None:
    rootly.script(replies(201, '{"data":{"id":"5d5b7c1e-0000-4000-8000-0123456789ab"}}'), replies(503))
    with pytest.raises(Retryable):
        await target.send(message(resolved()))
    await target.send(message(resolved()))
    assert len(organisation(rootly).of_status("resolved")) == 1


def test_attributes_are_those_of_a_new_alert() -> None:
    alert = outgoing()
    assert new_alert(alert, service_ids=(SERVICE_ID,), organization_id="acme") == {
        "source": "alertmanager",
        "summary": "DiskFull: /var is 97 % full",
        "description": "It fills up at 2 GB an hour.",
        "deduplication_key": alert.occurrence_id,
        "external_id": alert.occurrence_id,
        "external_url": alert.generator_url,
        "started_at": alert.starts_at,
        "labels": [{"key": name, "value": value} for name, value in alert.labels.items()],
        "service_ids": [SERVICE_ID],
        "data": {
            "annotations": alert.annotations,
            "fingerprint": alert.fingerprint,
            "receiver": "team-db",
            "organization_id": "acme",
        },
    }


async def test_several_services_may_be_given(rootly: VendorServer, client: httpx.AsyncClient) -> None:
    await make(spec(url=rootly.url, service_id="a, b c"), client).send(message())
    assert rootly.requests[-1].json()["data"]["attributes"]["service_ids"] == ["a", "b", "c"]


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_a_url_may_hold_the_version_or_not(rootly: VendorServer, client: httpx.AsyncClient, ending: str) -> None:
    await make(spec(url=rootly.url + ending), client).send(message())
    assert calls(rootly) == ["POST /v1/alerts"]


def test_without_a_url_it_is_rootlys_own() -> None:
    assert make(spec(), httpx.AsyncClient()).url_shown() == f"{DEFAULT_URL}/…"


@pytest.mark.parametrize("key", ["a\r\nX-Injected: yes", "a b", "ä", "a\x00"])
def test_an_api_key_can_add_no_header(key: str) -> None:
    with pytest.raises(ValueError, match="key api_key holds a character that can't stand in a header"):
        make(spec(api_key=key), httpx.AsyncClient())


# --- What it means ----------------------------------------------------------------------------------------------------


def test_labels_and_description_say_what_the_alert_means() -> None:
    alert = outgoing(classification=classification(), annotations={"description": "It fills up."})
    body = new_alert(alert, service_ids=(), organization_id="")
    labels = {label["key"]: label["value"] for label in body["labels"]}
    assert (labels["classification_severity"], labels["classification_category"]) == ("critical", "capacity")
    assert body["description"] == (
        "It fills up.\n\nClassified: critical · capacity · 92 % sure · by gpt-4\nThe volume is full within an hour\n"
        "Probable cause: Logs of a crash loop are not rotated\nRecommended:\n• Rotate the logs\n• Grow the volume"
    )


def test_labels_that_show_nothing_are_left_out() -> None:
    alert = outgoing(labels={"alertname": " ", "severity": "warning", " ": "x", "empty": ""})
    assert new_alert(alert, service_ids=(), organization_id="")["labels"] == [{"key": "severity", "value": "warning"}]


def test_a_label_of_the_alert_itself_is_kept() -> None:
    alert = outgoing(labels={"classification_severity": "mine"}, classification=classification())
    labels = new_alert(alert, service_ids=(), organization_id="")["labels"]
    assert {"key": "classification_severity", "value": "mine"} in labels
    assert len(labels) == 2


def test_a_long_description_leaves_room_for_what_the_alert_means() -> None:
    alert = outgoing(classification=classification(), annotations={"description": "d" * 20_000})
    description = new_alert(alert, service_ids=(), organization_id="")["description"]
    assert len(description) == 10_000
    assert description.endswith("• Grow the volume")


async def test_a_classification_that_follows_changes_the_alert_it_knows(
    rootly: VendorServer, target: RootlyTarget
) -> None:
    sent = await target.send(message())
    await target.send(message(classified(external_id=sent.external_id), key="classified"))
    assert rootly.requests[-1].method == "PATCH"
    (alert,) = organisation(rootly).alerts.values()
    assert (alert["status"], "full within an hour" in alert["description"]) == ("triggered", True)


async def test_a_classification_of_an_alert_that_is_over_calls_nobody(
    rootly: VendorServer, target: RootlyTarget
) -> None:
    sent = await target.send(message())
    await target.send(message(resolved(external_id=sent.external_id), key="resolved"))
    await target.send(message(classified(status="resolved", external_id=sent.external_id), key="classified"))
    assert organisation(rootly).of_status("triggered") == []
    assert len(organisation(rootly).alerts) == 1


async def test_a_classification_of_an_alert_without_an_id_calls_nobody(
    rootly: VendorServer, target: RootlyTarget
) -> None:
    await target.send(message(classified(), key="classified"))
    assert organisation(rootly).of_status("triggered") == []


async def test_an_acknowledgement_is_called_for_and_its_words_stand_in_a_note(
    rootly: VendorServer, target: RootlyTarget
) -> None:
    sent = await target.send(message())
    sent_act = await target.send(message(acknowledged(external_id=sent.external_id)))
    assert sent_act == sent
    assert organisation(rootly).of_status("acknowledged") == [sent.external_id]
    assert organisation(rootly).notes == [(sent.external_id, "Acknowledged by ada: I look into it")]
    path = f"POST /v1/alerts/{sent.external_id}"
    assert calls(rootly)[1:] == [f"{path}/acknowledge", f"{path}/events"]


@pytest.mark.parametrize("kind, words", [("acknowledged", "Acknowledged by ada"), ("noted", "Note by ada")])
async def test_after_the_end_only_a_note_is_written(
    rootly: VendorServer, target: RootlyTarget, kind: str, words: str
) -> None:
    sent = await target.send(message())
    await target.send(message(resolved(external_id=sent.external_id)))
    await target.send(message(acknowledged(event=kind, status="resolved", external_id=sent.external_id)))
    assert organisation(rootly).of_status("resolved") == [sent.external_id]
    assert organisation(rootly).notes == [(sent.external_id, f"{words}: I look into it")]


async def test_an_acknowledgement_without_an_id_asks_for_it_and_calls_nobody(
    rootly: VendorServer, target: RootlyTarget
) -> None:
    sent = await target.send(message())
    await target.send(message(acknowledged()))
    assert organisation(rootly).of_status("acknowledged") == [sent.external_id]
    assert b'"triggered"' not in rootly.requests[1].body
    with pytest.raises(Rejected, match="not known"):
        await target.send(message(acknowledged(status="resolved")))
