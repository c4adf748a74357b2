"""What people do about an alert reaches the targets that were told of the alert: ours, and PagerDuty as it behaves.

Holds: `engine.acts`, `engine.publish`, `engine.worker`.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import StartService
from tests.integration.test_publishing import _environment, _send, _write_target, receiver
from tests.payloads import alert, webhook
from tests.receiving import Receiver
from tests.vendors import pagerduty
from tests.vendors.server import VendorServer, serving

__all__ = ["receiver"]

pytestmark = pytest.mark.migrated


@pytest.fixture
async def pager() -> AsyncIterator[VendorServer]:
    async with serving(pagerduty.PagerDuty()) as running:
        yield running


async def _act(client: httpx.AsyncClient, occurrence: str, call: str, text: str) -> dict[str, Any]:
    answer = await client.post(f"/api/v1/alerts/{occurrence}/{call}", json={"by": "ada", "text": text})
    assert answer.status_code == httpx.codes.OK, answer.text
    return dict(answer.json())


async def _next_body(receiver: Receiver) -> Any:
    """What the target is told next."""
    return (await receiver.requests.get())[1]


async def test_who_was_told_of_an_alert_is_told_who_takes_care_of_it(
    database_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    _write_target(tmp_path, url=receiver.url)
    server = service(_environment(database_url, tmp_path))
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        await _send(server.url, webhook(alert(1)))
        fired = (await _next_body(receiver))["data"]
        acknowledged = await _act(client, fired["occurrence_id"], "acknowledge", "on it")
        repeated = await _act(client, fired["occurrence_id"], "acknowledge", "on it")
        body = await _next_body(receiver)
        noted = await _act(client, fired["occurrence_id"], "notes", "it grows")
        note = await _next_body(receiver)
        while (ledger := (await client.get(f"/api/v1/alerts/{fired['occurrence_id']}")).json()["ledger"]) and (
            any(line["fate"] != "delivered" for act in ledger["acts"] for line in act["targets"])
        ):
            await asyncio.sleep(0.05)
    assert (acknowledged["targets"], repeated["targets"], noted["targets"]) == (["team-hook"], [], ["team-hook"])
    assert (body["type"], body["data"]["event"], body["data"]["status"]) == (
        "alert.acknowledged",
        "acknowledged",
        "firing",
    )
    assert body["data"]["act"] == {"by": "ada", "text": "on it", "at": acknowledged["act"]["at"]}
    assert body["data"]["labels"] == fired["labels"]
    assert (note["type"], note["data"]["act"]["text"]) == ("alert.noted", "it grows")
    assert receiver.requests.empty()
    assert [[line["target"] for line in act["targets"]] for act in ledger["acts"]] == [["team-hook"]] * 2


async def test_pagerduty_is_told_to_call_nobody_any_more_and_is_told_of_no_note(
    sqlite_url: str, tmp_path: Path, pager: VendorServer, service: StartService
) -> None:
    target = tmp_path / "pager"
    target.mkdir()
    for key, value in pagerduty.fields(pager.url).items():
        (target / key).write_text(value)
    (target / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=pagerduty\n")
    server = service(_environment(sqlite_url, tmp_path))
    vendor = pager.vendor
    assert isinstance(vendor, pagerduty.PagerDuty)
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        await _send(server.url, webhook(alert(1)))
        while not vendor.open_alerts:
            await asyncio.sleep(0.05)
        (key,) = vendor.open_alerts
        assert (await _act(client, key, "notes", "it grows"))["targets"] == []
        assert (await _act(client, key, "acknowledge", "on it"))["targets"] == ["pager"]
        while not vendor.acknowledged:
            await asyncio.sleep(0.05)
        await _send(server.url, webhook(alert(1, status="resolved")))
        while not vendor.resolved:
            await asyncio.sleep(0.05)
    assert (vendor.acknowledged, vendor.resolved, vendor.refusals) == ([key], [key], [])
    assert vendor.taken == 3
