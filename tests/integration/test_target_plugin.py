"""The example of a target plug-in: installed beside the service, it is found by its entry point and delivers."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.commands import SOURCE_FOLDER
from tests.conftest import StartService
from tests.payloads import alert, webhook
from tests.vendors.server import Reply, Request, serving

EXAMPLE = Path(__file__).parents[2] / "examples" / "target-plugin"
UV = Path(sys.executable).parent / "uv"

pytestmark = pytest.mark.migrated


class Ntfy:
    """A ntfy server with one reader."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[tuple[str | None, dict[str, object]]] = asyncio.Queue()

    def answer(self, request: Request) -> Reply:
        self.messages.put_nowait((request.headers.get("authorization"), request.json()))
        return Reply(200, b'{"id":"x"}')


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example's package and its metadata, as pip leaves them."""
    folder = tmp_path_factory.mktemp("plugin")
    command = [str(UV), "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "--target", str(folder), str(EXAMPLE)], check=True, capture_output=True, timeout=120)
    return folder


def _target(folder: Path, **keys: str) -> Path:
    target = folder / "phone"
    target.mkdir()
    (target / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=ntfy\n")
    for key, value in keys.items():
        (target / key).write_text(value)
    return folder


async def test_the_example_is_installed_and_delivers(
    sqlite_url: str, tmp_path: Path, installed: Path, service: StartService
) -> None:
    ntfy = Ntfy()
    async with serving(ntfy) as running, httpx.AsyncClient(trust_env=False) as client:
        targets = _target(tmp_path, url=running.url, topic="alerts", token="tk_s3cret")  # noqa: S106  # made up
        server = service(
            {
                "DATABASE_URL": sqlite_url,
                "TARGETS_DIR": str(targets),
                "ALLOW_PRIVATE_TARGETS": "true",
                "PYTHONPATH": os.pathsep.join([str(SOURCE_FOLDER), str(installed)]),
            }
        )
        for status, priority in (("firing", 5), ("resolved", 2)):
            await client.post(
                f"{server.url}/webhook/proxy",
                content=webhook(alert(1, status=status)),
                headers={"Content-Type": "application/json"},
            )
            async with asyncio.timeout(60):
                login, message = await ntfy.messages.get()
            assert (login, message["topic"], message["priority"]) == ("Bearer tk_s3cret", "alerts", priority)
            assert message["message"] == "The disk of db-1 is full"
        shown = (await client.get(f"{server.url}/publishing/targets")).text
    assert json.loads(shown)[0]["format"] == "ntfy"
    assert "s3cret" not in shown


async def test_without_the_package_the_format_is_a_fault(
    sqlite_url: str, tmp_path: Path, service: StartService
) -> None:
    targets = _target(tmp_path, url="http://127.0.0.1:9", topic="alerts")
    server = service({"DATABASE_URL": sqlite_url, "TARGETS_DIR": str(targets)})
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
        while not (listed := (await client.get(f"{server.url}/publishing/targets")).json()):
            await asyncio.sleep(0.05)
    assert "ntfy" in listed[0]["fault"]
