"""Hundreds of live pages on one process: what they cost, how late they are told, and how often in a storm."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from itertools import count

import httpx
from tests.payloads import alert, webhook
from tests.processes import HOST, Server
from tests.servers import service

from bench.cpu import cpu_seconds
from bench.databases import Database
from bench.load import percentile
from bench.plan import Plan
from bench.report import Measured, at_most
from bench.watch import memory_mib, memory_peak

PAGES = 500
_PATH = "/dashboard/history/live?query=%7Bseverity%3D%22critical%22%7D"
_JSON = {"Content-Type": "application/json"}
_PROMISED_SHARE = 0.15
_PROMISED_MIB = 60
_PROMISED_SECONDS = 2.0
_STORM_BATCH = 500
_SETTLE_SECONDS = 3.0


class LivePage:
    """One connection that is told rows. `rows_at` are the times at which rows came."""

    def __init__(self) -> None:
        self.rows_at: list[float] = []
        self._writer: asyncio.StreamWriter | None = None

    async def follow(self, port: int) -> None:
        """Read until cancelled."""
        reader, self._writer = await asyncio.open_connection(HOST, port)
        head = f"GET {_PATH} HTTP/1.1\r\nhost: {HOST}\r\naccept: text/event-stream\r\n\r\n"
        self._writer.write(head.encode())
        with closing(self._writer):
            while chunk := await reader.read(65_536):
                if b"data: <tr" in chunk:
                    self.rows_at.append(time.monotonic())


class Cost:
    """Processor time and memory of a server between two moments."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._begin, self._cpu = time.monotonic(), cpu_seconds(server.pid)

    @property
    def share(self) -> float:
        """The share of one core since then."""
        return (cpu_seconds(self._server.pid) - self._cpu) / (time.monotonic() - self._begin)


def measure(database: Database, plan: Plan) -> list[Measured]:
    """The same second by second, without pages and with them; then a storm."""
    url = database.fresh()
    with service({"DATABASE_URL": url, "LOG_LEVEL": "warning"}) as server:
        lines = asyncio.run(_measure(database.name, server, plan))
    database.drop(url)
    return lines


async def _measure(name: str, server: Server, plan: Plan) -> list[Measured]:
    numbers = count()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:
        await _change_each_second(client, numbers, seconds=3)
        plan.say(f"{name}: one change a second, without pages")
        cost = Cost(server)
        await _change_each_second(client, numbers, seconds=plan.seconds)
        share_before, mib_before = cost.share, memory_mib(server)
        pages = [LivePage() for _ in range(PAGES)]
        followers = [asyncio.create_task(page.follow(server.port)) for page in pages]
        await asyncio.sleep(_SETTLE_SECONDS)
        plan.say(f"{name}: one change a second, {PAGES} pages")
        cost = Cost(server)
        with memory_peak(server) as peak:
            changes = await _change_each_second(client, numbers, seconds=plan.seconds)
            share = cost.share - share_before
        delays = _delays(pages, changes)
        plan.say(f"{name}: a storm")
        begin = time.monotonic()
        sent = await _storm(client, numbers, seconds=plan.seconds)
        seconds = time.monotonic() - begin
        most = max(sum(at >= begin for at in page.rows_at) for page in pages) / seconds
        for follower in followers:
            follower.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*followers)
    what = f"{PAGES} live pages, one change a second"
    return [
        Measured(name, f"{what}: processor", share, "cores", at_most(_PROMISED_SHARE), _note(share_before)),
        Measured(name, f"{what}: memory", peak.mib - mib_before, "MiB", at_most(_PROMISED_MIB)),
        Measured(name, f"{what}: told after, p50", percentile(delays, 0.5), "s"),
        Measured(name, f"{what}: told after, p99", percentile(delays, 0.99), "s", at_most(_PROMISED_SECONDS)),
        Measured(
            name, "frames to a page in a storm", most, "a second", at_most(1.1), f"{sent / seconds:.0f} alerts a second"
        ),
    ]


def _note(share: float) -> str:
    return f"beyond {share:.3f} cores without a page"


async def _change_each_second(client: httpx.AsyncClient, numbers: "count[int]", *, seconds: float) -> list[float]:
    """Let one alert fire each second; the times at which the service had recorded it."""
    changes: list[float] = []
    for second in range(round(seconds)):
        begin = time.monotonic()
        body = webhook(alert(next(numbers), alertname=f"Change{second % 5}"))
        (await client.post("/webhook", content=body, headers=_JSON)).raise_for_status()
        changes.append(time.monotonic())
        await asyncio.sleep(max(begin + 1 - time.monotonic(), 0))
    await asyncio.sleep(_SETTLE_SECONDS)
    return changes


async def _storm(client: httpx.AsyncClient, numbers: "count[int]", *, seconds: float) -> int:
    """Send new alerts without pause; how many."""
    sent, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        body = webhook(*(alert(next(numbers), alertname="Storm") for _ in range(_STORM_BATCH)))
        (await client.post("/webhook", content=body, headers=_JSON)).raise_for_status()
        sent += _STORM_BATCH
    return sent


def _delays(pages: Sequence[LivePage], changes: Sequence[float]) -> list[float]:
    """How long after its commit each page was told of each change: by the first rows that came behind it."""
    delays = []
    for page in pages:
        for change in changes:
            rows = [at for at in page.rows_at if at >= change]
            delays += [rows[0] - change] if rows else [float("inf")]
    return delays
