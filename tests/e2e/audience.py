"""Targets that are watched: the servers of a webhook and of PagerDuty in a thread of their own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import START_TIMEOUT_SECONDS
from tests.vendors import pagerduty, webhook
from tests.vendors.server import VendorServer, serving


@dataclass
class Audience:
    """What was said to the two targets, in the order in which it came."""

    hook: VendorServer
    pager: VendorServer
    pagerduty: pagerduty.PagerDuty

    def write_targets(self, folder: Path) -> Path:
        """A folder for `TARGETS_DIR` that names both."""
        for name, vendor, url in [("hook", webhook, self.hook.url), ("pager", pagerduty, self.pager.url)]:
            target = folder / name
            target.mkdir(parents=True)
            for key, value in vendor.fields(url).items():
                (target / key).write_text(value)
            labels = f"alert-history.io/target=true\nalert-history.io/format={vendor.FORMAT}\n"
            (target / "labels").write_text(labels)
            (target / "annotations").write_text("alert-history.io/rate-limit=60000\n")  # so nothing is superseded
        return folder

    def messages(self) -> list[dict[str, Any]]:
        """`data` of each message that the webhook took, oldest first."""
        return [request.json()["data"] for request in list(self.hook.requests)]

    def pages(self) -> list[tuple[str, str]]:
        """What PagerDuty was asked for: action and key, oldest first."""
        events = [request.json() for request in list(self.pager.requests)]
        return [(event["event_action"], event["dedup_key"]) for event in events]


@contextmanager
def audiences(count: int) -> Iterator[list[Audience]]:
    """So many of them, each with servers of its own."""
    made: list[Audience] = []
    is_ready = threading.Event()
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        is_over = asyncio.Event()
        async with AsyncExitStack() as stack:
            for _ in range(count):
                service = pagerduty.PagerDuty()
                hook = await stack.enter_async_context(serving(webhook.Webhook()))
                pager = await stack.enter_async_context(serving(service))
                made.append(Audience(hook, pager, service))
            stop.append((asyncio.get_running_loop(), is_over))
            is_ready.set()
            await is_over.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert is_ready.wait(START_TIMEOUT_SECONDS)
    try:
        yield made
    finally:
        loop, is_over = stop[0]
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
