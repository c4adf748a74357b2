"""A stage: real senders and our service on both databases, on which scenes play at the same time.

A scene is a script: it lets conditions begin and end, kills servers, and waits for what should come of it. When all are
played, the stories of their alerts are there to be checked. Must not know any scene.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests import servers
from tests.e2e import senders
from tests.e2e.audience import audiences
from tests.e2e.exporter import exporter
from tests.e2e.history import History, Story, watched
from tests.e2e.senders import Rule, rules_file
from tests.processes import Server, find_program, wait_until

SETTINGS = {
    "ALLOW_PRIVATE_TARGETS": "true",
    "EXPIRE_AFTER_SECONDS": "20",
    "STALE_AFTER_SECONDS": "30",
    "STALE_ENDS_AFTER_SECONDS": "12",
}
"""How long is waited for who fell silent: seconds, for minutes and days."""

SCENE_SECONDS = 120.0
_ASKED_SECONDS = 10.0
_UNTIL_ALL_RUN_SECONDS = 12.0


class Conditions:
    """What the exporter of the stage says: which condition holds, for which member. Each scrapes a path of its own."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], float] = {}
        self._held: set[str] = set()
        self._behind: dict[tuple[str, str], dict[tuple[str, str], float]] = {}

    def begin(self, name: str, *members: str, value: float = 1.0) -> None:
        """Let it hold, for each of these members."""
        self._values |= {(name, member): value for member in members or ("db-1",)}

    def end(self, name: str, *members: str) -> None:
        """Let it not hold any more."""
        self._values |= {(name, member): 0.0 for member in members or ("db-1",)}

    def refuse(self, path: str) -> None:
        """Let who scrapes that path be refused."""
        self._held.add(path)

    def release(self, path: str) -> None:
        """Let it scrape again."""
        self._held.discard(path)

    def leave_behind(self, path: str, name: str) -> None:
        """Let who scrapes that path see of this condition what it is now, until it is to catch up."""
        self._behind[path, name] = {key: value for key, value in self._values.items() if key[0] == name}

    def catch_up(self, path: str, name: str) -> None:
        """Let it see what there is."""
        del self._behind[path, name]

    def render(self, path: str) -> str | None:
        """The text of a scrape; None where it is refused."""
        if path in self._held:
            return None
        values = dict(self._values)
        for (behind, name), old in list(self._behind.items()):
            if behind == path:
                values = {key: value for key, value in values.items() if key[0] != name} | old
        return "".join(f'condition{{name="{n}",member="{m}"}} {value}\n' for (n, m), value in values.items())


@dataclass
class Stage:
    """What scenes play on."""

    conditions: Conditions
    histories: list[History]
    senders: dict[str, Server] = field(default_factory=dict)

    def urls(self, path: str) -> list[str]:
        """That path at each of our services."""
        return [history.server.url + path for history in self.histories]

    def until(self, alertname: str, claim: Callable[[list[dict[str, Any]]], Any], what: str, **labels: str) -> None:
        """Returns once every service shows occurrences of the alert for which `claim` holds."""
        wait_until(
            lambda: all(claim(history.of(alertname, **labels)) for history in self.histories),
            f"{alertname} {what}",
            timeout_seconds=SCENE_SECONDS,
        )

    def until_state(self, alertname: str, state: str, **labels: str) -> None:
        """Returns once the newest occurrence of the alert is in that state, everywhere."""
        self.until(
            alertname, lambda occurrences: occurrences and occurrences[-1]["state"] == state, f"is {state}", **labels
        )

    def until_repeated(self, alertname: str, times: int, **labels: str) -> None:
        """Returns once it was repeated so often from now on."""
        before = {history.name: _repeats(history.of(alertname, **labels)) for history in self.histories}
        wait_until(
            lambda: all(_repeats(h.of(alertname, **labels)) >= before[h.name] + times for h in self.histories),
            f"{alertname} is repeated {times} times",
            timeout_seconds=SCENE_SECONDS,
        )

    def post(self, sender: str, *alerts: dict[str, Any]) -> None:
        """Send alerts to the API of a sender, as a script would."""
        answer = httpx.post(
            self.senders[sender].url + "/api/v2/alerts", json=alerts, trust_env=False, timeout=_ASKED_SECONDS
        )
        assert answer.status_code == httpx.codes.OK, answer.text

    def ask(self, sender: str, path: str) -> Any:
        """What a sender's API answers."""
        answer = httpx.get(self.senders[sender].url + path, trust_env=False, timeout=_ASKED_SECONDS)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    def amtool(self, url: str, *words: str) -> str:
        """What amtool prints."""
        program = find_program("amtool", package="prometheus-alertmanager")
        command = [program, *words, f"--alertmanager.url={url}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@dataclass(frozen=True, eq=False)
class Scene:
    """A script, and by the name of its sender the rules that it needs."""

    script: Callable[[Stage], None]
    rules: Mapping[str, Sequence[Rule]]


def scene(**rules: Sequence[Rule]) -> Callable[[Callable[[Stage], None]], Scene]:
    """Makes a scene of a script; rules are given by sender, `_` written for `-`."""
    return lambda script: Scene(script, {name.replace("_", "-"): sender_rules for name, sender_rules in rules.items()})


@dataclass(frozen=True)
class Played:
    """What came of each scene, on each service."""

    stage: Stage
    faults: dict[Scene, BaseException | None]

    def story(self, database: str, of: Scene, alertname: str, **labels: str) -> Story:
        """The story of an alert in a scene. Raises: AssertionError where the scene was not played to its end."""
        fault = self.faults[of]
        if fault is not None:
            raise AssertionError(f"{of.script.__name__}: {fault}") from fault
        history = next(history for history in self.stage.histories if history.name == database)
        return history.story(alertname, **labels)


def seconds_ago(seconds: float) -> str:
    """A time of the past, as senders write it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


@contextmanager
def played(scenes: Sequence[Scene], databases: Mapping[str, str], folder: Path) -> Iterator[Played]:
    """Starts all servers, plays all scenes at once, and waits for the last of them and for all deliveries.

    The kernel ends a server with the thread that started it: so the pool's threads outlive the servers.
    """
    with ThreadPoolExecutor(max_workers=64) as pool, ExitStack() as stack:
        stage = _stage(stack, pool, _rules(scenes), databases=databases, folder=folder)
        futures = {scene: pool.submit(scene.script, stage) for scene in scenes}
        faults = {scene: future.exception() for scene, future in futures.items()}
        for history in stage.histories:
            history.settle()
        yield Played(stage, faults)


def _rules(scenes: Sequence[Scene]) -> dict[str, list[Rule]]:
    rules: dict[str, list[Rule]] = {}
    for scene in scenes:
        for name, scene_rules in scene.rules.items():
            rules.setdefault(name, []).extend(scene_rules)
    return rules


def _stage(
    stack: ExitStack,
    pool: ThreadPoolExecutor,
    rules: Mapping[str, Sequence[Rule]],
    *,
    databases: Mapping[str, str],
    folder: Path,
) -> Stage:
    conditions = Conditions()
    scraped = stack.enter_context(exporter(conditions.render))
    listeners = stack.enter_context(audiences(len(databases)))
    services = {}
    for (name, url), audience in zip(databases.items(), listeners, strict=True):
        targets = audience.write_targets(folder / name)
        services[name] = servers.service({"DATABASE_URL": url, "TARGETS_DIR": str(targets), **SETTINGS})
    started = _started(stack, pool, services)
    histories = [History(name, started[name], audience) for name, audience in zip(databases, listeners, strict=True)]
    stack.enter_context(watched(histories))
    stage = Stage(conditions, histories)
    stage.senders |= _started(stack, pool, senders.alertmanagers(stage.urls))
    am_0, am_1 = stack.enter_context(senders.cluster(stage.urls))
    stage.senders |= {"am-0": am_0, "am-1": am_1}
    ours = [history.server for history in histories]
    files = _rules_files(rules, folder)
    makers = {
        name: senders.prometheus(name, files[name], scraped=scraped, alerted=_alerted(stage, names))
        for name, names in senders.SENDS_TO.items()
    }
    stage.senders |= _started(stack, pool, makers)
    asked = stage.senders["prometheus-c"]
    maker = senders.vmalert(rules.get("vmalert", []), asked=asked, alerted=ours)
    stage.senders["vmalert"] = stack.enter_context(maker)
    return stage


def _rules_files(rules: Mapping[str, Sequence[Rule]], folder: Path) -> dict[str, Path]:
    """The file of each Prometheus; twins have one."""
    begins_at = time.time() + _UNTIL_ALL_RUN_SECONDS
    files = {}
    for name in senders.SENDS_TO:
        files[name] = folder / f"{senders.TWINS[0] if name in senders.TWINS else name}.yml"
        files[name].write_text(rules_file(rules.get(name, []), begins_at=begins_at))
    return files


def _alerted(stage: Stage, names: Sequence[str]) -> list[Server]:
    """The servers that a Prometheus tells."""
    ours = [history.server for history in stage.histories] if senders.OURS in names else []
    return [*ours, *(stage.senders[name] for name in names if name != senders.OURS)]


def _started(
    stack: ExitStack, pool: ThreadPoolExecutor, makers: Mapping[str, AbstractContextManager[Server]]
) -> dict[str, Server]:
    """Starts them side by side."""
    futures = {name: pool.submit(maker.__enter__) for name, maker in makers.items()}
    for name, future in futures.items():
        if future.exception() is None:
            stack.push(makers[name])
    return {name: future.result() for name, future in futures.items()}


def _repeats(occurrences: Sequence[Mapping[str, Any]]) -> int:
    return sum(occurrence["repeat_count"] for occurrence in occurrences)
