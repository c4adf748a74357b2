"""The service runs as the chart has it run: its user, its file system, its environment, its probes, its grace period.

On a real PostgreSQL that the chart's script prepared, and a real Redis.
"""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests import servers
from tests.chart.pods import Cluster, ConfigFolder, Pod
from tests.chart.rendering import Rendered, guide_values, render
from tests.chart.test_database_scripts import PASSWORD, USER
from tests.chart.test_database_scripts import Pod as Database
from tests.e2e import image
from tests.payloads import alert, webhook
from tests.processes import HOST, Server, wait_until

_JSON = {"Content-Type": "application/json"}
_ALERTS_A_REQUEST = 5
_REPLICAS = 3
_SENDERS = 6
_ENOUGH = 50

pytestmark = pytest.mark.timeout(3 * image.STEP_TIMEOUT_SECONDS)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with servers.postgres_server(servers.QUICK) as server:
        folder = tmp_path / "database"
        folder.mkdir()
        made = Database(server, folder)
        assert made.run("create-user.sh").returncode == 0
        rules = Path(server.execute("SHOW hba_file"))
        rules.write_text(f"host all postgres {HOST}/32 trust\nhost all all {HOST}/32 scram-sha-256\n", encoding="utf-8")
        server.execute("SELECT pg_reload_conf()")
        yield made


@pytest.fixture
def redis() -> Iterator[Server]:
    with servers.redis_server() as server:
        yield server


@pytest.fixture(params=["guide", "own-passwords"])
def cluster(request: pytest.FixtureRequest, built: image.Stage, database: Database, redis: Server) -> Cluster:
    """The guide's Secrets and values, or a basic installation, whose password is in no URL.

    Without the guide's targets: they need an API server.
    """
    port = database.server.port
    addresses = {
        "alert-history-postgresql:5432": f"{HOST}:{port}",
        "alert-history-redis-master:6379": f"{HOST}:{redis.port}",
    }
    own = {"alert-history-postgresql": {"password": PASSWORD, "postgres-password": "not-used"}}
    if request.param == "own-passwords":
        return Cluster(render({"shutdown": {"delaySeconds": 1}}), built, addresses, own)
    values = {**guide_values(), "shutdown": {"delaySeconds": 1}}
    values["env"] = [entry for entry in values["env"] if entry["name"] != "TARGET_DISCOVERY_ENABLED"]
    database.server.execute(f"ALTER ROLE {USER} PASSWORD 'your-secure-password'")
    url = "postgresql://alerthistory:your-secure-password@alert-history-postgresql:5432/alerthistory"
    return Cluster(render(values), built, addresses, {"alert-history-db": {"DATABASE_URL": url}})


@pytest.fixture
def pods(cluster: Cluster, tmp_path: Path) -> Iterator[list[Pod]]:
    """Pods of the Deployment, not started. Ended with the test."""
    made = [cluster.pod(tmp_path / f"pod-{number}") for number in range(2 * _REPLICAS)]
    yield made
    for pod in made:
        pod.server.close()


async def test_a_pod_starts_answers_and_stops_in_time(pods: list[Pod]) -> None:
    pod = pods[0]
    pod.start()
    assert all(pod.holds(probe) for probe in ("startupProbe", "livenessProbe", "readinessProbe"))
    async with httpx.AsyncClient(base_url=pod.url, trust_env=False, timeout=30) as client:
        answer = await client.post("/webhook/proxy", content=webhook(alert(1)), headers=_JSON)
    wait_until(
        lambda: httpx.get(f"{pod.url}/readyz", trust_env=False, timeout=30).json()["status"] == "ok",
        "the cache is there too",
    )
    assert answer.status_code == httpx.codes.OK
    assert pod.open_for_writing() in ([], [str(pod.server.folder / "server.log")] * 2)
    code, seconds = pod.stop()  # which raises where the grace period is over
    assert code == 0
    assert seconds >= 1, "the hook's delay came first"


async def test_pods_that_start_together_migrate_once_and_all_serve(pods: list[Pod]) -> None:
    starting = [asyncio.to_thread(pod.initialise) for pod in pods[:_REPLICAS]]
    await asyncio.gather(*starting)
    for pod in pods[:_REPLICAS]:
        pod.server.start()
    assert all(pod.holds("readinessProbe") for pod in pods[:_REPLICAS])


def routes_of(team: str) -> Rendered:
    return render(
        {"shutdown": {"delaySeconds": 1}, "routes": {"routes": [{"name": team, "targets": [f"{team}-slack"]}]}}
    )


def test_changed_routes_of_the_chart_reach_a_running_pod(
    built: image.Stage, database: Database, tmp_path: Path
) -> None:
    rendered = routes_of("ops")
    (name,) = [each["metadata"]["name"] for each in rendered.of("ConfigMap") if "routes.yml" in each["data"]]
    config = ConfigFolder(tmp_path / "routes", rendered.named("ConfigMap", name)["data"])
    addresses = {"alert-history-postgresql:5432": f"{HOST}:{database.server.port}"}
    own = {"alert-history-postgresql": {"password": PASSWORD, "postgres-password": "not-used"}}
    pod = Cluster(rendered, built, addresses, own, {name: config.folder}).pod(tmp_path / "pod")

    def names() -> list[str]:
        answer = httpx.get(f"{pod.url}/publishing/routes", headers=pod.headers, trust_env=False, timeout=30)
        return [route["name"] for route in answer.json()["routes"]]

    try:
        pod.start()
        assert names() == ["ops"]
        config.write(routes_of("payments").named("ConfigMap", name)["data"])
        wait_until(lambda: names() == ["payments"], "the routes are those of the changed ConfigMap")
    finally:
        pod.server.close()


class Senders:
    """Send new alerts to the pods in the Service, one after another, and remember what was acknowledged.

    A request that fails is sent to another pod, as Alertmanager does with 5xx and broken connections.
    """

    def __init__(self) -> None:
        self.endpoints: list[str] = []
        self.acknowledged: set[int] = set()
        self.refused: list[int] = []
        self.is_done = False
        self.progress = asyncio.Condition()
        self._numbers = count()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_SENDERS):
                tasks.create_task(self._send())

    async def until_more(self) -> None:
        """Until `_ENOUGH` more requests have been acknowledged."""
        wanted = len(self.acknowledged) + _ENOUGH * _ALERTS_A_REQUEST
        async with self.progress:
            await self.progress.wait_for(lambda: len(self.acknowledged) >= wanted)

    async def _send(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            while not self.is_done:
                number = next(self._numbers)
                alerts = range(number * _ALERTS_A_REQUEST, (number + 1) * _ALERTS_A_REQUEST)
                body = webhook(*map(alert, alerts))
                await self._deliver(client, number, body)
                self.acknowledged.update(alerts)
                async with self.progress:
                    self.progress.notify_all()

    async def _deliver(self, client: httpx.AsyncClient, number: int, body: bytes) -> None:
        while True:
            endpoint = self.endpoints[number % len(self.endpoints)]
            try:
                answer = await client.post(f"{endpoint}/webhook", content=body, headers=_JSON)
            except httpx.TransportError:
                number += 1
                continue
            if answer.status_code == httpx.codes.OK:
                return
            self.refused.append(answer.status_code)
            number += 1


async def _replace(old: Pod, new: Pod, senders: Senders) -> int:
    """As a rolling update with one pod more: the new one is ready first. The old one's exit code."""
    await asyncio.to_thread(new.initialise)
    new.server.launch()  # in this thread: the server dies with the thread that started it
    await asyncio.to_thread(wait_until, new.server.is_ready, "the new pod is ready")
    senders.endpoints = [*senders.endpoints, new.url]
    senders.endpoints = [url for url in senders.endpoints if url != old.url]
    code, _ = await asyncio.to_thread(old.stop)
    return code


async def test_replacing_three_replicas_under_load_loses_nothing(pods: list[Pod]) -> None:
    olds, news = pods[:_REPLICAS], pods[_REPLICAS:]
    for pod in olds:
        pod.start()
    senders, codes = Senders(), []
    senders.endpoints = [pod.url for pod in olds]
    async with asyncio.timeout(300), asyncio.TaskGroup() as tasks:
        tasks.create_task(senders.run())
        for old, new in zip(olds, news, strict=True):
            await senders.until_more()
            codes.append(await _replace(old, new, senders))
        await senders.until_more()
        senders.is_done = True
    stored = await _stored(news[0])
    assert (codes, set(senders.refused) - {503}) == ([0] * _REPLICAS, set())
    assert senders.acknowledged == stored


async def _stored(pod: Pod) -> set[int]:
    """The numbers of all alerts in the history."""
    numbers: set[int] = set()
    params = {"limit": "1000"}
    async with httpx.AsyncClient(base_url=pod.url, headers=pod.headers, trust_env=False, timeout=30) as client:
        while True:
            page = (await client.get("/history", params=params)).json()
            labels = [each["labels"]["instance"] for each in page["alerts"]]
            numbers.update(int(each.removeprefix("db-").removesuffix(":9100")) for each in labels)
            if page["next_cursor"] is None:
                return numbers
            params["cursor"] = page["next_cursor"]
