"""Routes in a running service: they decide, are shown, explain themselves and change; and the ledger says why.

Holds: `web.api.routing`.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import commands
from tests.conftest import StartService
from tests.payloads import alert, webhook
from tests.processes import HOST
from tests.receiving import Receiver, receiving

_JSON = {"Content-Type": "application/json"}
RECORDED = Path(__file__).parents[1] / "data" / "event-recorder-0.33"
ROUTES = """
routes:
  - name: databases
    match: '{instance=~"db-.*"}'
    targets: [team-hook, gone]
  - name: rest
    targets: [other]
"""
QUIET = """
routes:
  - name: databases
    targets: [team-hook]
    quiet_hours: [{from: "%02d:00", to: "%02d:00", time_zone: UTC}]
"""

pytestmark = pytest.mark.migrated


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
def environment(tmp_path: Path, sqlite_url: str, receiver: Receiver) -> dict[str, str]:
    """Two targets, team-hook and other, at the receiver; and a routes file."""
    for name in ("team-hook", "other"):
        folder = tmp_path / "targets" / name
        folder.mkdir(parents=True)
        (folder / "url").write_text(receiver.url)
        (folder / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=webhook\n")
    (tmp_path / "routes.yml").write_text(ROUTES)
    return {
        "DATABASE_URL": sqlite_url,
        "TARGETS_DIR": str(tmp_path / "targets"),
        "ROUTES_FILE": str(tmp_path / "routes.yml"),
        "ALLOW_PRIVATE_TARGETS": "true",
    }


def _write(environment: dict[str, str], routes: str) -> None:
    Path(environment["ROUTES_FILE"]).write_text(routes)


async def _send(client: httpx.AsyncClient, body: bytes, *, path: str = "/webhook/proxy") -> None:
    answer = await client.post(path, content=body, headers=_JSON)
    assert answer.status_code == httpx.codes.OK, answer.text


async def _traced(client: httpx.AsyncClient) -> dict[str, Any]:
    """The only alert there is, with its ledger."""
    (occurrence,) = (await client.get("/history")).json()["alerts"]
    return dict((await client.get(f"/api/v1/alerts/{occurrence['id']}")).json())


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, trust_env=False)


async def _targets(client: httpx.AsyncClient, **asked: str) -> dict[str, dict[str, Any]]:
    answer = await client.get("/publishing/explain", params=asked)
    assert answer.status_code == httpx.codes.OK, answer.text
    return {target["target"]: target for target in answer.json()["targets"]}


async def test_the_route_decides_and_the_ledger_says_why_whoever_was_told_or_not(
    environment: dict[str, str], receiver: Receiver, service: StartService
) -> None:
    server = service(environment)
    async with asyncio.timeout(20), _client(server.url) as client:
        await _send(client, webhook(alert(1)))
        await receiver.requests.get()
        while (traced := await _traced(client))["ledger"]["targets"][2]["fate"] != "delivered":
            await asyncio.sleep(0.05)
    gone, other, team = traced["ledger"]["targets"]
    assert (gone["is_told"], gone["reason"]) == (False, "route databases sends to it, but there is no such target")
    assert (other["is_told"], other["reason"]) == (False, "route databases takes the alert and does not send to it")
    assert (team["is_told"], team["reason"]) == (True, "route databases sends to it")
    (fired,) = traced["ledger"]["events"]
    assert [step["step"] for step in fired["steps"]] == ["received", "recorded", "routed", "delivered"]
    assert traced["labels"]["instance"] == "db-1:9100"
    assert receiver.requests.empty()


async def test_explain_says_who_would_be_told_without_telling_anybody(
    environment: dict[str, str], receiver: Receiver, service: StartService
) -> None:
    server = service(environment)
    async with asyncio.timeout(60), _client(server.url) as client:
        database = await _targets(client, labels="alertname=DiskFull instance=db-7")
        rest = await _targets(client, labels='{alertname="DiskFull",instance="web 7"}')
        wrong = await client.get("/publishing/explain", params={"labels": "severity!=critical"})
        total = (await client.get("/history")).json()["total"]
    assert (database["team-hook"]["is_told"], database["team-hook"]["route"]) == (True, "databases")
    assert (rest["other"]["is_told"], rest["team-hook"]["is_told"]) == (True, False)
    assert (wrong.status_code, wrong.json()["detail"].split(":")[0]) == (400, "labels")
    assert (total, receiver.requests.empty()) == (0, True)


async def test_the_routes_in_force_are_shown_with_names_that_no_target_has(
    environment: dict[str, str], service: StartService
) -> None:
    server = service(environment)
    async with asyncio.timeout(60), _client(server.url) as client:
        shown = (await client.get("/publishing/routes")).json()
        ready = (await client.get("/readyz")).json()
    assert [(route["name"], route["targets"], route["continue"]) for route in shown["routes"]] == [
        ("databases", ["team-hook", "gone"], False),
        ("rest", ["other"], False),
    ]
    assert (shown["unknown_targets"], shown["faults"], ready["checks"]["routes"]) == (["gone"], [], "ok")


async def test_a_changed_file_is_taken_up_and_a_faulty_one_is_reported_and_changes_nothing(
    environment: dict[str, str], service: StartService
) -> None:
    server = service(environment)
    async with asyncio.timeout(20), _client(server.url) as client:
        _write(environment, ROUTES.replace("[other]", "[team-hook]"))
        while not (await _targets(client, labels="instance=web-1"))["team-hook"]["is_told"]:
            await asyncio.sleep(0.05)
        _write(environment, ROUTES.replace("targets", "target"))
        while (ready := (await client.get("/readyz")).json())["status"] != "degraded":
            await asyncio.sleep(0.05)
        shown = (await client.get("/publishing/routes")).json()
        targets = await _targets(client, labels="instance=web-1")
    assert "line 5: routes[0].target means nothing here; targets is meant?" in ready["checks"]["routes"]
    assert shown["faults"][0] == "line 3: routes[0] targets is missing; list whom to tell, or [] to tell nobody"
    assert targets["team-hook"]["is_told"]


async def test_quiet_hours_hold_a_delivery_over_a_restart_of_the_service(
    environment: dict[str, str], receiver: Receiver, service: StartService
) -> None:
    now = datetime.now(UTC)
    _write(environment, QUIET % ((now - timedelta(hours=1)).hour, (now + timedelta(hours=2)).hour))
    server = service(environment)
    async with asyncio.timeout(20), _client(server.url) as client:
        await _send(client, webhook(alert(1)))
        assert server.terminate() == 0
        server.start()
        await client.get("/readyz")
        (team,) = [target for target in (await _traced(client))["ledger"]["targets"] if target["target"] == "team-hook"]
    assert team["fate"] == "held"
    assert "its quiet hours hold it until" in team["reason"]
    assert receiver.requests.empty()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_faulty_file_stops_the_start_with_every_fault_at_once(environment: dict[str, str], workers: str) -> None:
    _write(environment, "routes:\n- {target: [a]}\n- {targets: [], match: '{'}\n")
    ended = commands.run("serve", env={**environment, "HOST": HOST, "WORKERS": workers})
    errors = ended.stderr.decode()
    assert ended.returncode == 2
    for fault in (
        "line 2: routes[0] targets is missing",
        "line 2: routes[0].target means nothing here; targets is meant?",
        "line 3: routes[1].match query, character 2",
    ):
        assert fault in " ".join(errors.split())


def test_doctor_examines_the_routes(environment: dict[str, str]) -> None:
    well = commands.run("doctor", env=environment).stdout.decode()
    _write(environment, "routes: 1")
    wrong = commands.run("doctor", env=environment)
    assert "2 in" in " ".join(well.split())
    assert wrong.returncode == 1
    assert "routes" in wrong.stdout.decode()


async def test_where_publishing_is_off_the_ledger_says_so(sqlite_url: str, service: StartService) -> None:
    server = service({"DATABASE_URL": sqlite_url, "PUBLISHING_ENABLED": "false"})
    async with asyncio.timeout(60), _client(server.url) as client:
        await _send(client, webhook(alert(1)))
        traced = await _traced(client)
        explained = (await client.get("/publishing/explain", params={"labels": "a=b"})).json()
    reason = "publishing is off: PUBLISHING_ENABLED is false"
    assert traced["ledger"]["events"][0]["steps"][-1]["reason"] == reason
    assert (explained["targets"], explained["reason"]) == ([], reason)


async def test_what_alertmanager_muted_is_in_the_ledger_in_words(sqlite_url: str, service: StartService) -> None:
    server = service({"DATABASE_URL": sqlite_url})
    async with asyncio.timeout(60), _client(server.url) as client:
        for name in ("alert-created", "silence-muted-alert", "inhibition-muted-alert", "notification"):
            await _send(client, (RECORDED / f"{name}.json").read_bytes())
        ledger = (await _traced(client))["ledger"]
    reasons = {event["event"]: event["steps"][0]["reason"] for event in ledger["events"]}
    until = "2026-08-20T16:00:00+00:00"
    silence = f"silence 6f2b9c1e-3f0e-4f62-9a3a-0c1d2e3f4a5b by ada until {until}: disks are being replaced"
    rule = "inhibited by 7517c9b2d5148764 under rule cluster-down-mutes-disks"
    notification = "receiver on-call (pagerduty) that it is firing: first notification"
    assert reasons["silenced"] == f"Alertmanager alertmanager-0 did not notify: {silence}"
    assert reasons["inhibited"] == f"Alertmanager alertmanager-0 did not notify: {rule}"
    assert reasons["notified"] == f"Alertmanager alertmanager-0 notified {notification}"
