"""The set-up of docs/how-to/connect-alertmanager.md, followed to the letter: the event recorder beside the receiver."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
import yaml

from tests.conftest import StartService
from tests.payloads import webhook
from tests.receiving import Receiver, receiving

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "connect-alertmanager.md"
EVENTS = Path(__file__).parents[1] / "data" / "event-recorder-0.33"
PROMETHEUS = "http://prometheus.example.com:9090/graph?g0.expr=disk"

pytestmark = pytest.mark.migrated


def _documented_paths() -> tuple[str, str]:
    """Where the how-to has Alertmanager send its events, and where its notifications."""
    blocks = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    written = {name: value for block in reversed(blocks) for name, value in yaml.safe_load(block).items()}
    (events,) = written["event_recorder"]["webhook_outputs"]
    (notifications,) = written["receivers"][0]["webhook_configs"]
    return urlsplit(events["url"]).path, urlsplit(notifications["url"]).path


RECORDER, RECEIVER = _documented_paths()
CREATED = (EVENTS / "alert-created.json").read_bytes()
RESOLVED = (EVENTS / "alert-resolved.json").read_bytes()


def _notification(status: str) -> bytes:
    """What the receiver sends of the alert that the recorder's events are about."""
    data = json.loads(RESOLVED)["data"]["alertResolved"]
    details = data["alert"]["details"]
    alert: dict[str, Any] = {
        "status": status,
        "labels": {pair["key"]: pair["value"] for pair in details["labels"]["labels"]},
        "annotations": {pair["key"]: pair["value"] for pair in details["annotations"]["labels"]},
        "startsAt": details["startsAt"],
        "endsAt": details["endsAt"] if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": PROMETHEUS,
        "fingerprint": f"{int(details['fingerprint']):016x}",
    }
    return webhook(alert, receiver=data["groupInfo"]["receiverName"])


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    """What the target's URL leads to."""
    async with receiving() as made:
        yield made


@pytest.fixture
def targets_folder(tmp_path: Path, hook: Receiver) -> Path:
    """A folder that names one webhook target."""
    target = tmp_path / "targets" / "team-hook"
    target.mkdir(parents=True)
    (target / "url").write_text(hook.url)
    (target / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=webhook\n")
    return target.parent


@pytest.fixture
async def client(database_url: str, targets_folder: Path, service: StartService) -> AsyncIterator[httpx.AsyncClient]:
    environment = {"TARGETS_DIR": str(targets_folder), "ALLOW_PRIVATE_TARGETS": "true"}
    server = service({"DATABASE_URL": database_url, **environment})
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as made:
        yield made


async def _post(client: httpx.AsyncClient, path: str, body: bytes) -> int:
    """How many deliveries it made."""
    answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == httpx.codes.OK, answer.text
    return int(answer.json()["deliveries"])


async def _next(hook: Receiver) -> dict[str, Any]:
    async with asyncio.timeout(60):
        return msgspec.convert((await hook.requests.get())[1]["data"], dict[str, Any])


async def test_the_target_is_paged_although_the_recorder_was_first(client: httpx.AsyncClient, hook: Receiver) -> None:
    assert await _post(client, RECORDER, CREATED) == 0
    assert await _post(client, RECEIVER, _notification("firing")) == 1
    page = await _next(hook)
    assert (page["status"], page["event"], page["receiver"]) == ("firing", "published", "on-call")
    assert (page["group_key"], page["generator_url"]) == ('{}:{alertname="DiskFull"}', PROMETHEUS)


@pytest.mark.parametrize("is_recorder_first", [True, False])
async def test_the_target_hears_of_the_end_once_whoever_says_it_first(
    client: httpx.AsyncClient, hook: Receiver, *, is_recorder_first: bool
) -> None:
    await _post(client, RECORDER, CREATED)
    await _post(client, RECEIVER, _notification("firing"))
    assert (await _next(hook))["status"] == "firing"
    ends = [(RECORDER, RESOLVED), (RECEIVER, _notification("resolved"))]
    counts = [await _post(client, *end) for end in (ends if is_recorder_first else reversed(ends))]
    assert ((await _next(hook))["status"], counts) == ("resolved", [1, 0])
    assert hook.requests.empty()


async def test_the_alert_says_why_its_target_was_told(client: httpx.AsyncClient) -> None:
    for path, body in [(RECORDER, CREATED), (RECEIVER, _notification("firing")), (RECORDER, RESOLVED)]:
        await _post(client, path, body)
    (occurrence,) = (await client.get("/history")).json()["alerts"]
    ledger = (await client.get(f"/api/v1/alerts/{occurrence['id']}")).json()["ledger"]
    reasons = {
        event["event"]: {step["step"]: step["reason"] for step in event["steps"]}["routed"]
        for event in ledger["events"]
    }
    assert reasons == {
        "fired": "it was sent to be recorded only, so nobody is told",
        "published": "to be told: team-hook",
        "resolved": "to be told: team-hook",
    }
