"""Publishing as a whole: files name the targets, alerts reach them, and the answers say so.

Holds: `web.api.publishing`.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import StartService
from tests.payloads import alert, webhook
from tests.processes import HOST
from tests.receiving import Receiver, receiving

_JSON = {"Content-Type": "application/json"}

pytestmark = pytest.mark.migrated


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


def _write_target(folder: Path, *, url: str, match: str = "") -> None:
    target = folder / "team-hook"
    target.mkdir()
    (target / "url").write_text(url)
    (target / "labels").write_text('alert-history.io/target="true"\nalert-history.io/format="webhook"\n')
    if match:
        (target / "annotations").write_text(f"alert-history.io/match={json.dumps(match)}\n")


def _environment(database_url: str, folder: Path) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "TARGETS_DIR": str(folder), "ALLOW_PRIVATE_TARGETS": "true"}


async def _send(url: str, body: bytes, *, path: str = "/webhook/proxy") -> dict[str, object]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        answer = await client.post(path, content=body, headers=_JSON)
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())


async def test_an_alert_reaches_the_target_and_its_resolve_follows(
    database_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    _write_target(tmp_path, url=receiver.url)
    server = service(_environment(database_url, tmp_path))
    messages = []
    async with asyncio.timeout(20):
        for status in ("firing", "resolved"):
            sent = await _send(server.url, webhook(alert(1, status=status)))
            assert sent["deliveries"] == 1
            messages.append((await receiver.requests.get())[1]["data"])
    assert [data["status"] for data in messages] == ["firing", "resolved"]  # type: ignore[index]


async def test_a_target_that_appears_later_is_told_without_a_restart(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    server = service(_environment(sqlite_url, tmp_path))
    assert (await _send(server.url, webhook(alert(1))))["deliveries"] == 0
    _write_target(tmp_path, url=receiver.url)
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        while (await client.get("/publishing/mode")).json()["mode"] != "intelligent":
            await asyncio.sleep(0.05)
        assert (await _send(server.url, webhook(alert(2))))["deliveries"] == 1
        await receiver.requests.get()


async def test_what_is_only_recorded_or_does_not_match_is_told_to_nobody(
    sqlite_url: str, tmp_path: Path, service: StartService
) -> None:
    _write_target(tmp_path, url=f"http://{HOST}:9/hook", match='{severity="none"}')
    server = service(_environment(sqlite_url, tmp_path))
    only_recorded = await _send(server.url, webhook(alert(1)), path="/webhook")
    unmatched = await _send(server.url, webhook(alert(2)))
    assert (only_recorded["deliveries"], unmatched["deliveries"]) == (0, 0)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        (occurrence,) = (await client.get("/history", params={"query": '{instance="db-2:9100"}'})).json()["alerts"]
        timeline = (await client.get(f"/api/v1/alerts/{occurrence['id']}/timeline")).json()
    reason = timeline["events"][0]["detail"]["routing"]["not_told"]["team-hook"]
    assert reason == 'it does not match {severity="none"}'


async def test_a_loopback_target_is_refused_unless_private_targets_are_allowed(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    _write_target(tmp_path, url=receiver.url)
    server = service({"DATABASE_URL": sqlite_url, "TARGETS_DIR": str(tmp_path)})
    await _send(server.url, webhook(alert(1)))
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        while not (dead := (await client.get("/api/v1/deliveries", params={"state": "dead"})).json()["deliveries"]):
            await asyncio.sleep(0.05)
    assert "loopback" in dead[0]["log"][-1]["reason"]
    assert receiver.requests.empty()


async def test_a_broken_target_is_listed_with_its_fault_and_stops_no_other(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    _write_target(tmp_path, url=receiver.url)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=slack\n")
    server = service(_environment(sqlite_url, tmp_path))
    await _send(server.url, webhook(alert(1)))
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        await receiver.requests.get()
        targets = {target["name"]: target for target in (await client.get("/publishing/targets")).json()}
    assert "webhook_url" in targets["broken"]["fault"]
    assert targets["team-hook"]["fault"] is None


async def _ledger(url: str, instance: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        (occurrence,) = (await client.get("/history", params={"query": f'{{instance="{instance}"}}'})).json()["alerts"]
        answer = (await client.get(f"/api/v1/alerts/{occurrence['id']}")).json()
    assert answer["ledger"]["is_complete"]
    assert {name: answer[name] for name in occurrence} == occurrence
    return dict(answer["ledger"])


async def test_an_alert_says_who_was_told_of_it(
    database_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    _write_target(tmp_path, url=receiver.url)
    server = service(_environment(database_url, tmp_path))
    async with asyncio.timeout(20):
        await _send(server.url, webhook(alert(1)))
        await receiver.requests.get()
        while not (ledger := await _ledger(server.url, "db-1:9100"))["targets"][0]["is_told"]:
            await asyncio.sleep(0.02)
    (fired,) = ledger["events"]
    assert [step["step"] for step in fired["steps"]] == ["received", "recorded", "routed", "delivered"]
    assert [(line["target"], line["fate"]) for line in fired["targets"]] == [("team-hook", "delivered")]


async def test_an_alert_says_why_nobody_was_told_of_it(sqlite_url: str, tmp_path: Path, service: StartService) -> None:
    _write_target(tmp_path, url=f"http://{HOST}:9/hook", match='{severity="none"}')
    server = service(_environment(sqlite_url, tmp_path))
    await _send(server.url, webhook(alert(1)), path="/webhook")
    await _send(server.url, webhook(alert(2)))
    only_recorded, unmatched = await _ledger(server.url, "db-1:9100"), await _ledger(server.url, "db-2:9100")
    reason = only_recorded["events"][0]["steps"][-1]["reason"]
    assert reason == "it was sent to be recorded only, so nobody is told"
    (line,) = unmatched["events"][0]["targets"]
    assert (line["fate"], line["target"]) == ("not_told", "team-hook")
    assert line["reason"] == 'it does not match {severity="none"}'


async def test_where_targets_cannot_be_looked_for_is_listed_while_the_known_ones_stay(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    folder = tmp_path / "targets"
    folder.mkdir()
    _write_target(folder, url=receiver.url)
    server = service(_environment(sqlite_url, folder))
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=server.url, trust_env=False) as client:

        async def listed() -> dict[str, str | None]:
            return {target["name"]: target["fault"] for target in (await client.get("/publishing/targets")).json()}

        while await listed() != {"team-hook": None}:
            await asyncio.sleep(0.05)
        folder.rename(tmp_path / "away")
        while "(discovery)" not in (faults := await listed()):
            await asyncio.sleep(0.05)
        assert faults == {"team-hook": None, "(discovery)": "TARGETS_DIR can't be read: No such file or directory"}
        assert (await client.get("/publishing/mode")).json()["targets_count"] == 1
        (tmp_path / "away").rename(folder)
        while await listed() != {"team-hook": None}:
            await asyncio.sleep(0.05)


async def test_no_page_of_another_site_makes_a_browser_tell_somebody(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    _write_target(tmp_path, url=receiver.url)
    server = service(_environment(sqlite_url, tmp_path))
    paths = ["/publishing/test/team-hook", "/publishing/targets/refresh", "/api/v1/deliveries/1/replay"]
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        answers = [await client.post(path, headers={"Origin": "https://evil.example"}) for path in paths]
        asked = await client.post(paths[0])
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert answers[0].json()["type"] == "urn:alert-history:problem:cross-site"
    assert asked.status_code == httpx.codes.OK
    assert receiver.requests.qsize() == 1
