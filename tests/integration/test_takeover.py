"""A pod that is killed in mid-delivery: another takes over what it held, under the same idempotency key (promise 4)."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.conftest import StartService
from tests.payloads import alert, webhook
from tests.vendors import server as vendors
from tests.vendors.server import Reply, Request

_JSON = {"Content-Type": "application/json"}
_PROMISED_SECONDS = 30


class Taking:
    """Takes everything."""

    def answer(self, request: Request) -> Reply:
        del request
        return Reply(204)


def _target(folder: Path, url: str) -> dict[str, str]:
    target = folder / "hook"
    target.mkdir()
    (target / "url").write_text(f"{url}/hook")
    (target / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=webhook\n")
    return {"TARGETS_DIR": str(folder), "ALLOW_PRIVATE_TARGETS": "true"}


async def _until(is_so: Callable[[], bool], *, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():
            await asyncio.sleep(0.02)


async def test_what_a_killed_pod_was_delivering_another_delivers_within_thirty_seconds(
    postgres_url: str, tmp_path: Path, service: StartService
) -> None:
    async with vendors.serving(Taking()) as target:
        environment = {"DATABASE_URL": postgres_url, **_target(tmp_path, target.url)}
        target.script(vendors.hangs)
        first = service(environment)
        async with httpx.AsyncClient(trust_env=False) as client:
            sent = await client.post(f"{first.url}/webhook/proxy", content=webhook(alert(1)), headers=_JSON)
            assert sent.json()["deliveries"] == 1
            await _until(lambda: len(target.requests) == 1, seconds=10)
            second = service(environment)
            first.kill()
            await _until(lambda: len(target.requests) == 2, seconds=_PROMISED_SECONDS)
            (delivery,) = await _settled(client, second.url)
    first_id, second_id = (request.headers["webhook-id"] for request in target.requests)
    assert first_id == second_id == delivery["id"]
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 2)


async def _settled(client: httpx.AsyncClient, url: str) -> list[dict[str, object]]:
    """The deliveries, once none is under way."""
    async with asyncio.timeout(60):
        while True:
            deliveries: list[dict[str, object]] = (await client.get(f"{url}/api/v1/deliveries")).json()["deliveries"]
            if all(delivery["state"] not in {"pending", "leased"} for delivery in deliveries):
                return deliveries
            await asyncio.sleep(0.05)
