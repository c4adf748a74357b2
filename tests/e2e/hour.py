"""An hour of a real Alertmanager's life, compressed: the clock, the posts, and what it answered then.

Each post goes to the Alertmanager and to all others who listen; silences and reloads only to the Alertmanager, of whom
the others have to ask. What happens is `hour_script`. Must not know what is checked.
"""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.e2e.moment_comparison import Answer
from tests.processes import Server, find_program

SECONDS_A_MINUTE = float(os.environ.get("HOUR_SECONDS", "33")) / 60
"""How long a minute of the script lasts; `HOUR_SECONDS=3600` plays it in full."""

_ASKED_SECONDS = 10.0
_UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"

FLAGS = "active=true&inhibited=false&silenced=false&unprocessed=false"
PATHS = (
    "/status",
    "/receivers",
    "/alerts",
    f"/alerts?{FLAGS}",
    "/alerts?active=false",
    "/alerts?silenced=false",
    "/alerts?inhibited=false&active=True",
    "/alerts?active=false&silenced=false&inhibited=false",
    '/alerts?filter=team="db"',
    '/alerts?filter=alertname=~"Disk.*"&filter=severity!="warning"',
    "/alerts?filter=cluster=",
    '/alerts?filter=quoted="a\\"b"',
    "/alerts?receiver=db.*",
    f"/alerts?receiver=audit|ledger&{FLAGS}",
    "/alerts?filter=alertname",
    "/alerts?filter=",
    "/alerts?receiver=(",
    "/alerts/groups",
    "/alerts/groups?receiver=db",
    "/alerts/groups?receiver=db.*&active=false",
    "/alerts/groups?silenced=false&inhibited=false",
    '/alerts/groups?filter=severity=~"critical|warning"',
    "/silences",
    '/silences?filter=team="web"',
    '/silences?filter=alertname=~"Disk.*"',
    f"/silence/{_UNKNOWN_ID}",
    "/silence/none",
)
"""What is asked at each sample."""

EACH_SILENCE = (12, 24, 59)
"""The minutes at which each silence is asked for by its id, too: the list shows the same."""

SAMPLED = (2, 7, 12, 17, 20.3, 21.5, 24, 28, 32, 36, 41, 46, 51, 55, 59)
"""The minutes at which answers are saved."""

AMTOOL = (
    "alert query",
    "alert query -o extended",
    "alert query -o json alertname!=Bare",
    "alert query --silenced",
    "alert query --inhibited",
    "alert query --active --unprocessed",
    "alert query --silenced --inhibited --active --receiver=db.*",
    "alert query DiskFull severity=~warn.*",
    "alert query alertname=~Slow|Odd.* -o extended --silenced",
    "silence query",
    "silence query -o extended",
    "silence query -o json",
    "silence query -q --expired",
    "silence query --created-by=amir",
    "silence query team=web --expired -o extended",
    "config show",
    "config routes show",
    "config routes test team=db severity=critical",
    "cluster show",
)
"""Each flag and form of what amtool reads. By its own clock it leaves out silences that have ended since."""

PRINTED = (36, 59)
"""The minutes after whose sample amtool is run: for a second nothing happens then."""


class Sample(NamedTuple):
    """What the Alertmanager answered on `path`, between two moments."""

    minute: float
    asked: datetime
    answered: datetime
    path: str
    answer: Answer


class Printed(NamedTuple):
    """What amtool printed."""

    minute: float
    at: datetime
    words: str
    text: str


@dataclass
class Hour:
    """One hour as it goes by. `silences` are the ids by the names that the script gives them."""

    alertmanager: Server
    listeners: Sequence[Server]
    configuration: Path
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    silences: dict[str, str] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    printed: list[Printed] = field(default_factory=list)

    def at(self, minute: float) -> datetime:
        """When that minute of the script is."""
        return self.began + timedelta(seconds=minute * SECONDS_A_MINUTE)

    def minute_now(self) -> float:
        """Which minute of the script it is."""
        return (datetime.now(UTC) - self.began).total_seconds() / SECONDS_A_MINUTE

    def text(self, minute: float) -> str:
        """The same as senders write it."""
        return self.at(minute).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def post(self, *alerts: Mapping[str, Any]) -> None:
        """Tell everybody."""
        for server in (self.alertmanager, *self.listeners):
            answer = _client.post(f"{server.url}/api/v2/alerts", json=alerts)
            assert answer.status_code == httpx.codes.OK, f"{server.name}: {answer.text}"

    def silence(self, name: str, matchers: Sequence[Mapping[str, Any]], **fields: Any) -> None:
        """Make a silence, or edit the one of that name."""
        document = {
            "matchers": [{"isRegex": False, "isEqual": True, **matcher} for matcher in matchers],
            "startsAt": self.text(0),
            "endsAt": self.text(1200),
            "createdBy": "maria",
            "comment": "planned",
            **({"id": self.silences[name]} if name in self.silences else {}),
            **fields,
        }
        answer = _client.post(f"{self.alertmanager.url}/api/v2/silences", json=document)
        assert answer.status_code == httpx.codes.OK, answer.text
        made = answer.json()["silenceID"]
        if name in self.silences and made != self.silences[name]:
            self.silences[f"{name}, before"] = self.silences[name]
        self.silences[name] = made

    def edit(self, name: str, **fields: Any) -> None:
        """Edit a silence as the UI does: as it stands, with other fields."""
        known = _client.get(f"{self.alertmanager.url}/api/v2/silence/{self.silences[name]}").json()
        same = {key: known[key] for key in ("startsAt", "endsAt", "createdBy", "comment")}
        self.silence(name, **{"matchers": known["matchers"], **same, **fields})

    def expire(self, name: str) -> None:
        """End a silence by hand."""
        answer = _client.delete(f"{self.alertmanager.url}/api/v2/silence/{self.silences[name]}")
        assert answer.status_code == httpx.codes.OK, answer.text

    def reload(self, text: str) -> None:
        """Give it another configuration."""
        self.configuration.write_text(text)
        assert _client.post(f"{self.alertmanager.url}/-/reload").status_code == httpx.codes.OK

    def sample(self, minute: float) -> None:
        """Save what it answers."""
        silences = self.silences.values() if minute in EACH_SILENCE else ()
        for path in (*PATHS, *(f"/silence/{silence}" for silence in silences)):
            asked = datetime.now(UTC)
            answer = ask(self.alertmanager, "/api/v2" + path)
            self.samples.append(Sample(minute, asked, datetime.now(UTC), path, answer))
        for words in AMTOOL if minute in PRINTED else ():
            self.printed.append(Printed(minute, datetime.now(UTC), words, amtool(self.alertmanager.url, words)))

    def play(self, script: Sequence["Step"]) -> None:
        """From its first minute to its last."""
        samples = [(minute, self._sampled(minute)) for minute in SAMPLED]
        for minute, step in sorted([*script, *samples], key=lambda step: step[0]):
            time.sleep(max(0.0, (self.at(minute) - datetime.now(UTC)).total_seconds()))
            step(self)

    @staticmethod
    def _sampled(minute: float) -> Callable[["Hour"], None]:
        return lambda hour: hour.sample(minute)


Step = tuple[float, Callable[[Hour], None]]
"""What happens at a minute."""

_client = httpx.Client(trust_env=False, timeout=_ASKED_SECONDS)


def ask(server: Server, path: str) -> Answer:
    """What a server answers."""
    answer = _client.get(server.url + path)
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    return Answer(answer.status_code, answer.json() if is_json and answer.content else answer.text)


def amtool(url: str, words: str) -> str:
    """What amtool prints, or complains of."""
    program = find_program("amtool", package="prometheus-alertmanager")
    command = [program, *words.split(), f"--alertmanager.url={url}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_ASKED_SECONDS, check=False)
    return done.stdout + done.stderr
