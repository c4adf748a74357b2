"""The tools over standard input and output, asked by the SDK's own client.

Holds: `cli.mcp`, `mcp.stdio`, `mcp.server`.
"""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tests import two_teams
from tests.commands import command, environment, run
from tests.mcp_clients import Era, data_of, text_of
from tests.two_teams import Place

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('stdio')}/alert_history.db"


@pytest.fixture(scope="module")
def place(url: str) -> Place:
    return two_teams.fill(url, now=datetime.now(UTC).replace(second=0, microsecond=0))


def server(url: str) -> StdioServerParameters:
    program, *args = command("mcp")
    return StdioServerParameters(
        command=program, args=args, env=environment({"DATABASE_URL": url, "LOG_LEVEL": "debug"})
    )


@pytest.mark.parametrize("era", ["2026-07-28", "legacy"])
async def test_a_client_that_starts_the_command_is_answered(url: str, place: Place, era: Era) -> None:
    async with Client(server(url), mode=era) as client:
        assert len((await client.list_tools()).tools) > 7
        page = await data_of(client, "search_alerts", {"query": '{alertname="SharedDown"}', "limit": 2})
        assert (len(page["alerts"]), page["total"]) == (2, 9)
        why = await data_of(client, "why_notified", {"id": place.alerts["other"]})
        assert "zqx-pager was notified" in why["sentence"]
        wrong = await client.call_tool("search_alerts", {"query": "{"})
        assert wrong.is_error
        assert "search_alerts: query, character" in text_of(wrong)


@pytest.mark.usefixtures("place")
def test_nothing_but_the_protocol_is_on_standard_output(url: str) -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    asked: list[dict[str, Any]] = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "night_report", "arguments": {}}},
    ]
    with subprocess.Popen(
        command("mcp"),
        env=environment({"DATABASE_URL": url, "LOG_LEVEL": "debug"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = []
        for message in asked:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            if "id" in message:
                answers.append(json.loads(process.stdout.readline()))
        rest, _ = process.communicate(timeout=30)
    assert [answer["id"] for answer in answers] == [1, 2]
    assert answers[1]["result"]["structuredContent"]["night"]["tz"] == "UTC"
    assert rest == b""
    assert process.returncode == 0


def test_a_database_that_is_not_there_is_said_before_any_answer(tmp_path: Path) -> None:
    done = run("mcp", env={"DATABASE_URL": f"sqlite:///{tmp_path}/none.db"})
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"none.db" in done.stderr
