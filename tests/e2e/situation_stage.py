"""Plays all situations at once on one Alertmanager, and notes what its receivers are sent.

Holds the Alertmanager's configuration, the receivers' server and the clock. `listeners` are posted the same alerts:
what ours answers can be compared afterwards. Must not know which outcome is right.
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.e2e.situations import (
    ASKED,
    GROUP_INTERVAL_SECONDS,
    GROUP_WAIT_SECONDS,
    REPEAT_INTERVAL_SECONDS,
    TIME_INTERVALS,
    Post,
    Receiver,
    Silenced,
    Situation,
    Telling,
)
from tests.processes import HOST, Server

LEAD_SECONDS = 1.5
"""What happens before the beginning has so much time."""

_FAR_SECONDS = 3600
_ASKED_SECONDS = 10.0
_client = httpx.Client(trust_env=False, timeout=_ASKED_SECONDS)  # one: to make a client takes longer than to ask


def receiver_name(situation: Situation, receiver: str) -> str:
    """The name of a receiver in the Alertmanager's configuration."""
    return f"{situation.name}-{receiver}"


def labels_of(situation: Situation, member: str = ASKED, role: str = "") -> dict[str, str]:
    """The labels of an alert of that situation."""
    labels = {"alertname": "Situation", "situation": situation.name, "member": member}
    return labels | ({"role": role} if role else {})


def role_asked(situation: Situation) -> str:
    """The role of the alert that is asked about."""
    return next(each.role for each in situation.happens if isinstance(each, Post) and each.member == ASKED)


# --- configuration ----------------------------------------------------------------------------------------------------


def configuration(situations: Sequence[Situation], hook: str) -> str:
    """The Alertmanager's configuration; JSON is YAML. `hook` is the URL of the receivers' server."""
    receivers = [
        _receiver(each, receiver_name(situation, each.name), hook)
        for situation in situations
        for each in situation.receivers
    ]
    intervals = [{"name": name, "time_intervals": [{"years": [years]}]} for name, years in TIME_INTERVALS.items()]
    lines = [
        "route:",
        "  receiver: nobody",
        "  group_by: [alertname, situation]",
        "  routes:",
        *(line for situation in situations for line in _routes(situation)),
        f"receivers: {json.dumps([{'name': 'nobody'}, *receivers])}",
        f"time_intervals: {json.dumps(intervals)}",
        "inhibit_rules:",
        "  - {source_matchers: ['role=source'], target_matchers: ['role=target'], equal: [situation]}",
    ]
    return "\n".join(lines) + "\n"


def _receiver(receiver: Receiver, name: str, hook: str) -> dict[str, Any]:
    if not receiver.answers:
        return {"name": name}
    webhook = {
        "url": f"{hook}/{name}",
        "send_resolved": receiver.sends_resolved,
        "max_alerts": receiver.max_alerts,
    }
    return {"name": name, "webhook_configs": [webhook]}


def _routes(situation: Situation) -> Iterator[str]:
    timers = {
        "group_wait": GROUP_WAIT_SECONDS,
        "group_interval": GROUP_INTERVAL_SECONDS,
        "repeat_interval": REPEAT_INTERVAL_SECONDS,
    }
    set_here = {line.partition(":")[0] for line in situation.settings}
    for receiver in situation.receivers:
        yield f"    - matchers: ['situation=\"{situation.name}\"']"
        yield f"      receiver: {receiver_name(situation, receiver.name)}"
        yield f"      continue: {json.dumps(receiver != situation.receivers[-1])}"
        yield from (f"      {name}: {seconds}s" for name, seconds in timers.items() if name not in set_here)
        yield from (f"      {line}" for line in situation.settings)


# --- the receivers ----------------------------------------------------------------------------------------------------


@dataclass
class Hooks:
    """What came to each receiver: when, what, and what was answered. `answers` are theirs, by name."""

    answers: dict[str, tuple[int, ...]]
    url: str = ""
    requests: dict[str, list[tuple[datetime, dict[str, Any], int]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, name: str, body: dict[str, Any]) -> int:
        """The answer to a webhook."""
        answers = self.answers[name]
        answer = answers[min(len(self.requests[name]), len(answers) - 1)]
        self.requests[name].append((datetime.now(UTC), body, answer))
        return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hooks: Hooks, *args: Any) -> None:
        self._hooks = hooks
        super().__init__(*args)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self._hooks.take(self.path.rpartition("/")[2], body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def hooks(situations: Sequence[Situation]) -> Iterator[Hooks]:
    """The server of all receivers."""
    answers = {
        receiver_name(each, receiver.name): receiver.answers for each in situations for receiver in each.receivers
    }
    made = Hooks(answers)
    with ThreadingHTTPServer((HOST, 0), partial(_Handler, made)) as server:
        made.url = f"http://{HOST}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


# --- the play ---------------------------------------------------------------------------------------------------------


@dataclass
class Play:
    """All situations, from `began` on. `silences` are their ids, by situation."""

    situations: Sequence[Situation]
    alertmanager: Server
    hooks: Hooks
    listeners: Sequence[Server] = ()
    began: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(seconds=LEAD_SECONDS))
    silences: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Let everything happen, until the last question.

        Each listener is told in a thread of its own: it delays neither the Alertmanager nor the clock.
        """
        with ExitStack() as stack:
            tellers = [(stack.enter_context(ThreadPoolExecutor(max_workers=1)), each) for each in self.listeners]
            told = []
            for at, happening, situation in sorted(self._happenings(), key=lambda step: step[0]):
                self._wait_until(at)
                if isinstance(happening, Post):
                    alert = self._alert(situation, happening)
                    if situation.is_known_to_alertmanager:
                        _post(self.alertmanager, alert)
                    told += [teller.submit(_post, listener, alert) for teller, listener in tellers]
                elif at == happening.at:
                    self._silence(situation, happening)
                else:
                    self._expire(situation)
            self._wait_until(max(situation.asked_at for situation in self.situations))
            for post in told:
                post.result()

    def _happenings(self) -> Iterator[tuple[float, Post | Silenced, Situation]]:
        """What happens, and when; a silence that is ended by hand comes twice."""
        for situation in self.situations:
            for happening in situation.happens:
                yield happening.at, happening, situation
                if isinstance(happening, Silenced) and happening.until is not None:
                    yield happening.until, happening, situation

    def at(self, seconds: float) -> datetime:
        """When so many seconds have gone by."""
        return self.began + timedelta(seconds=seconds)

    def tellings(self, situation: Situation, receiver: str) -> list[Telling]:
        """What that receiver was sent of the alert that is asked about, until it is asked."""
        asked = labels_of(situation, role=role_asked(situation))
        found = []
        for at, body, answer in self.hooks.requests[receiver_name(situation, receiver)]:
            seconds = (at - self.began).total_seconds()
            statuses = [alert["status"] for alert in body["alerts"] if alert["labels"] == asked]
            if seconds <= situation.asked_at:
                found += [Telling(round(seconds, 3), status, answer) for status in statuses]
        return found

    def _wait_until(self, seconds: float) -> None:
        time.sleep(max(0.0, (self.at(seconds) - datetime.now(UTC)).total_seconds()))

    def _alert(self, situation: Situation, post: Post) -> dict[str, Any]:
        return {
            "labels": labels_of(situation, post.member, post.role),
            "annotations": {"summary": situation.story},
            "startsAt": self.at(post.at if post.starts is None else post.starts).isoformat(),
            "endsAt": self.at(_FAR_SECONDS if post.ends is None else post.ends).isoformat(),
        }

    def _silence(self, situation: Situation, silenced: Silenced) -> None:
        matched = {"situation": situation.name, "member": silenced.member}
        silence = {
            "matchers": [{"name": name, "value": value, "isRegex": False} for name, value in matched.items()],
            "startsAt": self.at(silenced.at).isoformat(),
            "endsAt": self.at(_FAR_SECONDS).isoformat(),
            "createdBy": "maria",
            "comment": situation.story,
        }
        url = f"{self.alertmanager.url}/api/v2/silences"
        answer = _client.post(url, json=silence)
        assert answer.status_code == httpx.codes.OK, answer.text
        self.silences[situation.name] = answer.json()["silenceID"]

    def _expire(self, situation: Situation) -> None:
        url = f"{self.alertmanager.url}/api/v2/silence/{self.silences[situation.name]}"
        assert _client.delete(url).status_code == httpx.codes.OK


def _post(server: Server, alert: dict[str, Any]) -> None:
    answer = _client.post(f"{server.url}/api/v2/alerts", json=[alert])
    assert answer.status_code == httpx.codes.OK, f"{server.name}: {answer.text}"
