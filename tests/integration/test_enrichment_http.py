"""Enrichment as a whole: a real service, a local target, and a proxy with bad days.

Holds: `web.api.enrichment`.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import StartService
from tests.integration.test_publishing import _environment, _send, _write_target, receiver
from tests.llm_proxy import ALWAYS, DAYS, KEY, LlmProxy, llm_proxy
from tests.llm_proxy import Server as Proxy
from tests.payloads import alert, webhook
from tests.processes import HOST, Server
from tests.receiving import Receiver
from tests.vendors.server import hangs, replies

__all__ = ["receiver"]

DEADLINE_SECONDS = 3
LONG_SECONDS = 60  # for what a busy machine does in time, too
IS_SLOW = "no answer within 2 s"

pytestmark = pytest.mark.migrated


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async with llm_proxy() as running:
        yield running


def environment(database_url: str, folder: Path, receiver: Receiver, proxy: Proxy | None = None) -> dict[str, str]:
    _write_target(folder, url=f"http://{HOST}:{receiver.port}/hook")
    env = {**_environment(database_url, folder), "ENRICHMENT_MODE": "enriched"}
    env["ENRICHMENT_DEADLINE_SECONDS"] = str(LONG_SECONDS)
    return env if proxy is None else {**env, "LLM_PROXY_URL": proxy.url, "LLM_API_KEY": KEY}


async def next_message(receiver: Receiver) -> dict[str, Any]:
    async with asyncio.timeout(LONG_SECONDS):
        return (await receiver.requests.get())[1]


def client(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=LONG_SECONDS)


async def until_measured(asked: httpx.AsyncClient, **wanted: float) -> None:
    """Wait for what the metrics say of alerts that targets took: they are counted after the target's answer."""
    names = {"enriched": "enriched_alerts_total", "transparent": "transparent_alerts_total", "efficiency": "efficiency"}
    lines = {f"alert_history_enrichment_{names[name]} {value:.1f}" for name, value in wanted.items()}
    async with asyncio.timeout(LONG_SECONDS):
        while not lines <= set((await asked.get("/metrics")).text.splitlines()):
            await asyncio.sleep(0.02)


async def test_an_alert_reaches_the_target_with_its_classification(
    database_url: str, tmp_path: Path, receiver: Receiver, proxy: Proxy, service: StartService
) -> None:
    server = service(environment(database_url, tmp_path, receiver, proxy))
    await _send(server.url, webhook(alert(1)))
    summary = (await next_message(receiver))["data"]["classification"]["summary"]
    async with client(server) as asked:
        fingerprint = (await asked.get("/history")).json()["alerts"][0]["fingerprint"]
        answer = (await asked.get(f"/classification/{fingerprint}")).json()
        assert answer["classification"]["summary"] == summary
        assert answer["history"][0]["sent"] is not None
        stats = (await asked.get("/classification/stats")).json()
        assert (stats["total"], len(proxy.requests)) == (1, 1)
        assert stats["spent"]["tokens"] > 0
        models = (await asked.get("/classification/models")).json()["models"]
        assert [(model["name"], model["is_used"]) for model in models] == [("gpt-4", True), ("rules", False)]
        metrics = (await asked.get("/metrics")).text
        await until_measured(asked, enriched=1, transparent=0, efficiency=1)
    assert 'alert_history_classification_total{model="gpt-4",severity="' in metrics
    assert 'alert_history_llm_tokens_total{kind="prompt"}' in metrics


async def test_a_follow_up_is_given_although_the_process_was_killed_that_owed_it(
    database_url: str, tmp_path: Path, receiver: Receiver, proxy: Proxy, service: StartService
) -> None:
    env = environment(database_url, tmp_path, receiver, proxy) | {"LLM_TIMEOUT_SECONDS": "1"}
    env["ENRICHMENT_MODE"] = "transparent_with_recommendations"
    server = service(env)
    proxy.script(hangs)
    await _send(server.url, webhook(alert(1)))
    assert (await next_message(receiver))["data"]["event"] == "fired"
    async with client(server) as asked, asyncio.timeout(LONG_SECONDS):
        while (await asked.get("/api/v1/deliveries")).json()["deliveries"][0]["state"] != "delivered":
            await asyncio.sleep(0.01)
    await asyncio.to_thread(server.kill)
    service(env)
    followed = (await next_message(receiver))["data"]
    assert (followed["event"], followed["classification"]["model"]) == ("classified", "gpt-4")


async def models_of(server: Server, *, may_hang: bool = False) -> Any:
    """What is said of the models; asked again where a busy machine took longer than the service waits."""
    async with client(server) as asked, asyncio.timeout(LONG_SECONDS):
        while True:
            answer = await asked.get("/classification/models")
            assert answer.status_code == httpx.codes.OK
            if may_hang or IS_SLOW not in (answer.json()["offered_fault"] or ""):
                return answer.json()


async def test_the_models_that_the_proxy_offers_are_named(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    names = ["gpt-4", "llama-3", *(f"m{number}-{'x' * 200}" for number in range(1_500))]
    async with llm_proxy(LlmProxy(models=names)) as proxy:
        answer = await models_of(service(environment(sqlite_url, tmp_path, receiver, proxy)))
    assert (answer["offered"][:2], answer["offered_fault"]) == (["gpt-4", "llama-3"], None)
    assert (len(answer["offered"]), max(map(len, answer["offered"]))) == (1_000, 128)
    assert [model["name"] for model in answer["models"]] == ["gpt-4", "rules"]


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_proxy_without_a_list_of_models_is_no_error(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, proxy: Proxy, service: StartService, status: int
) -> None:
    proxy.script(*[replies(status, "no such page")] * ALWAYS)
    answer = await models_of(service(environment(sqlite_url, tmp_path, receiver, proxy)))
    assert (answer["offered"], answer["offered_fault"], answer["models"][0]["fault"]) == (None, None, None)


@pytest.mark.parametrize(
    "day, reason", [("hangs", IS_SLOW), ("wrong-key", "LLM_API_KEY"), ("html", "no list of models")]
)
async def test_a_list_that_does_not_come_is_a_fault_within_seconds(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, proxy: Proxy, service: StartService, day: str, reason: str
) -> None:
    proxy.script(*[DAYS[day]] * ALWAYS)
    begin = time.monotonic()
    answer = await models_of(service(environment(sqlite_url, tmp_path, receiver, proxy)), may_hang=day == "hangs")
    assert answer["offered"] is None
    assert reason in answer["offered_fault"]
    assert KEY not in answer["offered_fault"]
    assert time.monotonic() - begin < LONG_SECONDS


async def test_without_a_proxy_no_models_are_offered(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    answer = await models_of(service(environment(sqlite_url, tmp_path, receiver)))
    assert (answer["offered"], answer["offered_fault"]) == (None, None)
    assert [model["name"] for model in answer["models"]] == ["rules"]


async def test_a_hanging_proxy_holds_an_alert_to_the_deadline_and_no_longer(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, proxy: Proxy, service: StartService
) -> None:
    env = environment(sqlite_url, tmp_path, receiver, proxy) | {"ENRICHMENT_DEADLINE_SECONDS": str(DEADLINE_SECONDS)}
    server = service(env)
    proxy.script(*[hangs] * ALWAYS)
    begin = time.monotonic()
    await _send(server.url, webhook(alert(1)))
    assert "no classification came in time" in str(await next_message(receiver))
    assert time.monotonic() - begin >= DEADLINE_SECONDS - 0.5
    async with client(server) as asked:
        await until_measured(asked, enriched=0, transparent=1, efficiency=0)


async def test_without_a_proxy_the_rules_say_what_it_means(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    server = service(environment(sqlite_url, tmp_path, receiver))
    await _send(server.url, webhook(alert(1)))
    assert "rules" in str(await next_message(receiver))


async def test_a_switch_of_the_mode_outlives_a_restart_and_is_counted(
    database_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    env = environment(database_url, tmp_path, receiver)
    server = service(env)
    async with client(server) as asked:
        assert (await asked.get("/enrichment/mode")).json()["source"] == "default"
        switched = await asked.post("/enrichment/mode", json={"mode": "transparent"})
        assert (switched.status_code, switched.json()["mode"]) == (200, "transparent")
        wrong = await asked.post("/enrichment/mode", json={"mode": "loud"})
        assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")
        assert "allowed: transparent, enriched, transparent_with_recommendations" in wrong.json()["detail"]
        metrics = (await asked.get("/metrics")).text
    assert "alert_history_enrichment_mode_status 0.0" in metrics
    switch = 'alert_history_enrichment_mode_switches_total{from_mode="enriched",to_mode="transparent"} 1.0'
    assert switch in metrics
    server.terminate()
    async with client(service(env)) as asked:
        async with asyncio.timeout(10):
            while (await asked.get("/enrichment/mode")).json()["source"] != "database":
                await asyncio.sleep(0.05)
        assert (await asked.get("/enrichment/mode")).json()["mode"] == "transparent"


async def test_a_correction_is_what_the_next_alert_of_the_shape_says(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    server = service(environment(sqlite_url, tmp_path, receiver))
    await _send(server.url, webhook(alert(1)))
    await next_message(receiver)
    async with client(server) as asked:
        fingerprint = (await asked.get("/history")).json()["alerts"][0]["fingerprint"]
        body = {"severity": "noise", "by": "ada", "summary": "A cron job."}
        assert (await asked.post(f"/classification/{fingerprint}/correction", json=body)).status_code == 200
        unknown = await asked.post("/classification/classify", json={"fingerprint": "0" * 16})
        assert unknown.status_code == 404
        forced = await asked.post("/classification/classify", json={"fingerprint": fingerprint})
        assert forced.json()["classification"]["model"] == "ada"
    await _send(server.url, webhook(alert(2)))
    assert "A cron job." in str(await next_message(receiver))
