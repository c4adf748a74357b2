"""The stream over HTTP: what it tells, where it goes on, and when it ends.

Holds: `web.api.stream`, `web.pages.live`, `web.http.event_stream`, `engine.live`.
"""

import threading
from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from tests.conftest import StartService
from tests.payloads import alert, webhook
from tests.processes import Server
from tests.streams import StreamEvent, read_stream, read_until

_JSON = {"Content-Type": "application/json"}
_PATH = "/api/v1/stream"
_PAGE = "/dashboard/history/live"


@pytest.fixture
def namespace() -> str:
    """Where the alerts of one test are."""
    return f"ns-{uuid4().hex}"


def post(server: Server, *numbers: int, status: str = "firing", **labels: str) -> None:
    body = webhook(*(alert(number, status=status, **labels) for number in numbers))
    httpx.post(f"{server.url}/webhook", content=body, headers=_JSON, trust_env=False).raise_for_status()


def many(number: int) -> Callable[[list[StreamEvent]], bool]:
    return lambda events: len(events) >= number


def hosts(events: list[StreamEvent]) -> list[str]:
    return [event.json["labels"]["instance"] for event in events]


def newest(server: Server) -> int:
    """The number from which on a stream without an id follows."""
    return next(read_stream(f"{server.url}{_PATH}")).id


def test_stream_tells_what_matches_in_order(live: Server, namespace: str) -> None:
    begin = newest(live)
    post(live, 1, 2, namespace=namespace)
    post(live, 3, namespace=namespace, severity="info")
    post(live, 1, status="resolved", namespace=namespace)
    query = f'{{namespace="{namespace}",severity!="info"}}'
    events = read_until(f"{live.url}{_PATH}", many(3), last=begin, query=query)
    assert [event.kind for event in events] == ["fired", "fired", "resolved"]
    assert [event.id for event in events] == sorted({event.id for event in events})
    assert events[2].json["state"] == "resolved"
    assert events[2].json["id"] == next(e.json["id"] for e in events if e.json["labels"] == events[2].json["labels"])


def test_stream_goes_on_behind_each_id(live: Server, namespace: str) -> None:
    begin = newest(live)
    for number in range(4):
        post(live, number, namespace=namespace)
    query = f"namespace={namespace}"
    events = read_until(f"{live.url}{_PATH}", many(4), last=begin, query=query)
    for place, event in enumerate(events[:-1]):
        rest = read_until(f"{live.url}{_PATH}", many(len(events) - place - 1), last=event.id, query=query)
        assert rest == events[place + 1 :]
    again = read_until(f"{live.url}{_PATH}", many(4), query=query, after=str(begin))
    assert again == events


@pytest.mark.parametrize("last", ["999999999999", "-5", "not a number", "9" * 40])
def test_unknown_id_is_a_gap(live: Server, namespace: str, last: str) -> None:
    stream = read_stream(f"{live.url}{_PATH}", query=f"namespace={namespace}", after=last)
    gap = next(stream)
    assert gap.kind == "gap"
    assert gap.json["continues_after"] == gap.id
    post(live, 1, namespace=namespace)
    assert next(each for each in stream if each.data is not None).kind == "fired"


def test_wrong_query_is_refused(live: Server) -> None:
    answer = httpx.get(f"{live.url}{_PATH}", params={"query": "{a="}, trust_env=False)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_page_gets_rows(live: Server, namespace: str) -> None:
    begin = newest(live)
    query = f"namespace={namespace}"
    post(live, 1, namespace=namespace, pod="<b onclick=x>")
    events = read_until(f"{live.url}{_PAGE}", many(1), last=begin, accept="text/event-stream", query=query)
    assert events[0].kind == ""
    html = events[0].data or ""
    assert html.startswith("<tr data-row data-alert=")
    assert "&lt;b onclick=x&gt;" in html
    assert "<b onclick" not in html


def test_page_groups_a_storm_by_rule(live: Server, namespace: str) -> None:
    begin = newest(live)
    post(live, *range(300), namespace=namespace)
    rows = read_until(
        f"{live.url}{_PAGE}", many(1), last=begin, accept="text/event-stream", query=f"namespace={namespace}"
    )
    assert (rows[0].data or "").count("<tr") < 40


def test_stream_is_no_slow_request(live: Server, namespace: str) -> None:
    stream = read_stream(f"{live.url}{_PATH}", query=f"namespace={namespace}")
    next(stream)
    post(live, 1, namespace=namespace)
    next(each for each in stream if each.data is not None)
    stream.close()
    metrics = httpx.get(f"{live.url}/metrics", trust_env=False).text
    seconds = [line for line in metrics.splitlines() if f'latency_seconds_bucket{{endpoint="{_PATH}"' in line]
    assert seconds
    assert {line.rpartition(" ")[2] for line in seconds[-3:]} == {seconds[-1].rpartition(" ")[2]}


def test_stop_ends_streams_at_once(service: StartService, sqlite_url: str) -> None:
    server = service({"DATABASE_URL": sqlite_url, "SHUTDOWN_GRACE_SECONDS": "300"})
    messages: list[StreamEvent] = []
    has_begun = threading.Event()

    def follow() -> None:
        for message in read_stream(f"{server.url}{_PATH}"):
            messages.append(message)
            has_begun.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert has_begun.wait(10)
    assert server.terminate(timeout_seconds=60) == 0  # and not after the time of grace
    thread.join(10)
    assert not thread.is_alive()


def test_nothing_is_missing_or_twice_across_replicas_and_kill_9(service: StartService, database_url: str) -> None:
    """The client goes on with its last id at whoever lives. A replica is killed right after it acknowledged."""
    is_postgres = database_url.startswith("postgres")
    servers = [service({"DATABASE_URL": database_url}) for _ in range(2 if is_postgres else 1)]
    kinds: list[tuple[str, str]] = []
    last = newest(servers[0])
    for turn in range(3):
        victim, reader = servers[turn % len(servers)], servers[(turn + 1) % len(servers)]
        post(victim, *range(turn * 10, turn * 10 + 10))
        if turn == 1:
            victim.kill()
            if victim is reader:
                victim.start()
        events = read_until(f"{reader.url}{_PATH}", many(4), last=last)  # and leaves in the middle
        kinds += [(event.kind, event.json["labels"]["instance"]) for event in events]
        last = events[-1].id
        if not victim.is_running:
            victim.start()
    events = read_until(f"{servers[0].url}{_PATH}", many(30 - len(kinds)), last=last)
    kinds += [(event.kind, event.json["labels"]["instance"]) for event in events]
    assert sorted(kinds) == sorted(("fired", f"db-{number}:9100") for number in range(30))
