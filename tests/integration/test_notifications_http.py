"""What was sent and what was not, over HTTP; and what was refused, by source and reason.

Holds: `web.api.notifications`, `web.api.quarantine`.
"""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import StartService
from tests.integration.test_publishing import _environment, _send, _write_target, receiver
from tests.payloads import alert, webhook
from tests.receiving import Receiver

__all__ = ["receiver"]

pytestmark = pytest.mark.migrated


async def _listed(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await client.get("/api/v1/notifications", params=wanted)
    assert answer.status_code == httpx.codes.OK, answer.text
    return dict(answer.json())


async def test_what_was_sent_and_what_was_not_is_listed_with_its_reason(
    database_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    _write_target(tmp_path, url=receiver.url, match='{severity="critical"}')
    server = service(_environment(database_url, tmp_path))
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        refused = {**alert(3), "labels": {"alertname": "Odd", "x": 3}}
        await _send(server.url, webhook(alert(1), alert(2, severity="info"), refused))
        await _send(server.url, webhook(alert(4)), path="/webhook")
        await receiver.requests.get()
        while (await _listed(client, outcome="delivered"))["notifications"] == []:
            await asyncio.sleep(0.05)
        whole = await _listed(client)
        first = await _listed(client, limit=2)
        second = await _listed(client, limit=2, cursor=first["next_cursor"])
        not_sent = await _listed(client, outcome="not_told", query='{severity="info"}', target="team-hook", since="-1h")
        quarantined = (await client.get("/api/v1/quarantine", params={"reason": "label 'x'"})).json()
        none = (await client.get("/api/v1/quarantine", params={"source": "grafana"})).json()
        faults = [
            (await client.get("/api/v1/notifications", params=wanted)).status_code
            for wanted in (
                {"outcome": "lost"},
                {"cursor": "x"},
                {"since": "soon"},
                {"query": "{"},
                {"target": "\0", "outcome": "dead"},
            )
        ]
    shown = [(each["alert"]["labels"]["instance"], each["target"], each["outcome"]) for each in whole["notifications"]]
    assert sorted(shown, key=str) == [
        ("db-1:9100", "team-hook", "delivered"),
        ("db-2:9100", "team-hook", "not_told"),
        ("db-4:9100", None, "not_told"),
    ]
    assert first["notifications"] + second["notifications"] == whole["notifications"]
    assert (whole["next_cursor"], whole["searched_until"]) == (None, None)
    (entry,) = not_sent["notifications"]
    assert (entry["event"], entry["reason"]) == ("fired", 'it does not match {severity="critical"}')
    assert [len(page["quarantine"]) for page in (quarantined, none)] == [1, 0]
    assert faults == [400, 400, 400, 400, 400]


async def test_a_form_of_the_targets_leads_back_to_their_page_which_says_once_what_came_of_it(
    sqlite_url: str, tmp_path: Path, receiver: Receiver, service: StartService
) -> None:
    _write_target(tmp_path, url=receiver.url)
    server = service(_environment(sqlite_url, tmp_path))
    own = {"sec-fetch-site": "same-origin"}
    cases = [
        ("targets/test", {"target": "team-hook"}, "targets#target-team-hook", "It took the test message"),
        ("targets/replay", {"target": "team-hook"}, "targets", "There was no dead letter of team-hook to try again."),
        ("targets/refresh", {}, "targets", "there is 1."),
        ("notifications/replay", {"of_target": "<b>"}, "notifications", "no dead letter of &lt;b&gt; to try again."),
    ]
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
        for path, form, back, words in cases:
            answer = await client.post(f"/dashboard/{path}", data=form, headers=own)
            assert (answer.status_code, answer.headers["location"]) == (303, f"../{back}")
            page = f"/dashboard/{back}"
            assert words in (await client.get(page)).text
            assert words not in (await client.get(page)).text, "the second time"
        crafted = (await client.get("/dashboard/targets?replayed=99&of=evil&found=7")).text
        assert 'class="done"' not in crafted
