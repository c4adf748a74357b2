"""Pages of `/history`: what is asked, how often, and how long the answers take."""

import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from tests.processes import HOST, Server

from bench.load import percentile
from bench.notifications import ALERT_NAMES
from bench.past import DEPLOYMENTS, INSTANCES, NAMESPACES

REQUESTS = 200
_BUDGET_SECONDS = 20
"""After so long a question is not asked again, however few answers there are."""

_WARM_REQUESTS = 3


class Question(NamedTuple):
    """A kind of page; `parameters` gives those of the n-th request. Only label filters have a promise."""

    name: str
    parameters: Callable[[int], Mapping[str, str]]
    is_label_filter: bool


class Answers(NamedTuple):
    """The delays of one question, in ms; `failed` counts answers other than 200."""

    milliseconds: list[float]
    failed: int

    @property
    def p50(self) -> float:
        return percentile(self.milliseconds, 0.5)

    @property
    def p95(self) -> float:
        return percentile(self.milliseconds, 0.95)

    @property
    def p99(self) -> float:
        return percentile(self.milliseconds, 0.99)


class _Page(msgspec.Struct):
    next_cursor: str | None


def questions(number: int) -> list[Question]:
    """All of them, for a history of so many occurrences."""
    return [
        Question("newest page", lambda _: {}, False),
        Question("alertname, 5 %", _query(lambda n: f'{{alertname="{ALERT_NAMES[n % len(ALERT_NAMES)]}"}}'), True),
        Question("namespace, 2.5 %", _query(lambda n: f'{{namespace="shop-{n % NAMESPACES}"}}'), True),
        Question("a label of 40 %", _query(lambda n: f'{{region="{("eu-west-1", "us-east-1")[n % 2]}"}}'), True),
        Question("a label of 0.5 %", _query(lambda n: f'{{deployment="deploy-{n % DEPLOYMENTS}"}}'), True),
        Question("a label of 1/50 000", _query(lambda n: f'{{instance="node-{n * 7 % INSTANCES}:9100"}}'), True),
        Question("a label of one alert", _query(lambda n: f'{{pod="{_pod(n * 7919 % number)}"}}'), True),
        Question("a label last seen 11 months ago", _query(lambda _: '{cluster="retired"}'), True),
        Question("a label nobody has", _query(lambda n: f'{{team="nobody-{n}"}}'), True),
        Question("two common labels that exclude each other", _query(_excluding), True),
        Question("a common and a rare label", _query(_common_and_rare), True),
        Question("a label other than", _query(lambda n: f'{{region!="{("eu-west-1", "us-east-1")[n % 2]}"}}'), True),
        Question("a regex of 5 %", _query(lambda n: f'{{deployment=~"deploy-{n % 10}[0-9]"}}'), True),
        Question("a label, one day half a year ago", _a_day, True),
        Question("status=firing", lambda _: {"status": "firing"}, False),
        Question("a common word", lambda n: {"query": ALERT_NAMES[n % len(ALERT_NAMES)].lower()}, False),
        Question("a word nobody wrote", lambda n: {"query": f"unheard{n}"}, False),
        Question("a rare word", lambda n: {"query": _pod(n * 7919 % number)}, False),
        Question("a word nobody wrote, of digits that are there", lambda n: {"query": _unknown_pod(n, number)}, False),
        Question(
            "a rare word and a label of 40 %",
            _query(lambda n: f'{{region="eu-west-1"}} {_pod(n * 7919 % number)}'),
            False,
        ),
        Question("a regex nobody matches, of 5 values", _query(lambda n: f'{{region=~"(eu|us)-north-{n}.*"}}'), False),
        Question(
            "a regex nobody matches, of a value an alert", _query(lambda n: f'{{pod=~"depl.y-[0-9]+-{n}x.*"}}'), False
        ),
        Question(
            "a regex that all but nobody match", _query(lambda _: '{region!~"(eu-west|us-east|ap-south)-1"}'), False
        ),
        Question("a label of 5 %, all counted", _counted, False),
    ]


def _query(render: Callable[[int], str]) -> Callable[[int], Mapping[str, str]]:
    return lambda turn: {"query": render(turn)}


def _unknown_pod(turn: int, number: int) -> str:
    """The pod of an alert that there is, with the number of another."""
    return f"{_pod(turn * 7919 % number).rpartition('-')[0]}-{turn * 104_729 % number:x}"


def _counted(turn: int) -> Mapping[str, str]:
    return {"query": f'{{alertname="{ALERT_NAMES[turn % len(ALERT_NAMES)]}"}}', "total": "exact"}


def _pod(place: int) -> str:
    chance = (place * 0x9E3779B97F4A7C15) & (2**64 - 1)
    return f"deploy-{(chance >> 8) % DEPLOYMENTS}-{place:x}"


def _excluding(turn: int) -> str:
    zone = ("us-east-1a", "us-east-1b", "us-east-1c")[turn % 3]
    return f'{{region="eu-west-1",zone="{zone}"}}'


def _common_and_rare(turn: int) -> str:
    return f'{{region="eu-west-1",instance="node-{turn * 11 % INSTANCES}:9100"}}'


def _a_day(turn: int) -> Mapping[str, str]:
    days = 150 + turn % 60
    query = f'{{deployment="deploy-{turn % DEPLOYMENTS}"}}'
    return {"query": query, "since": f"-{days}d", "until": f"-{days - 1}d"}


def ask(server: Server, question: Question) -> Answers:
    """One after the other on one connection, `REQUESTS` times or as long as the budget lasts."""
    paths = (f"/history?{urlencode(question.parameters(turn))}" for turn in range(_WARM_REQUESTS + REQUESTS))
    return _timed(server, paths)


def walk(server: Server) -> Answers:
    """Page after page of the newest by cursor, as somebody scrolls into the past."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
    answers = Answers([], 0)
    cursor: str | None = None
    for _ in range(REQUESTS):
        words = {"limit": "50", **({"cursor": cursor} if cursor else {})}
        begin = time.perf_counter()
        _, body = _get(connection, f"/history?{urlencode(words)}")
        answers.milliseconds.append((time.perf_counter() - begin) * 1000)
        cursor = msgspec.json.decode(body, type=_Page).next_cursor
        if cursor is None:
            break
    connection.close()
    return answers


def _timed(server: Server, paths: Iterator[str]) -> Answers:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
    milliseconds, failed = [], 0
    end = time.monotonic() + _BUDGET_SECONDS
    for turn, path in enumerate(paths):
        begin = time.perf_counter()
        status, _ = _get(connection, path)
        if turn >= _WARM_REQUESTS:
            milliseconds.append((time.perf_counter() - begin) * 1000)
        failed += status != http.client.OK
        if time.monotonic() > end:
            break
    connection.close()
    return Answers(milliseconds, failed)


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()
