"""Servers that are asked and have a bad day: the poll fails whole, in time, with a reason and without a password.

Holds: `origins.wire`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from alert_history.domain.poll import may_correct
from alert_history.errors import OriginUnavailable
from alert_history.origins.asking import MAX_ANSWER_BYTES
from tests.asking import ask_alertmanager, ask_prometheus, now
from tests.processes import HOST, free_port
from tests.vendors.server import (
    Day,
    Reply,
    Request,
    VendorServer,
    babbles,
    drips_body,
    drips_headers,
    hangs,
    json_reply,
    replies,
    resets,
    serving,
    tears,
)

SECRET = "s3cr3t"  # noqa: S105  # of nothing
SHORT_SECONDS = 1
LONG_SECONDS = 30
PIECE = b"[" + b" " * 1_000_000
ALERT = {
    "fingerprint": "a" * 16,
    "labels": {"alertname": "A"},
    "annotations": {},
    "receivers": [{"name": "all"}],
    "startsAt": "2026-01-31T10:00:00.123456789+02:00",
    "updatedAt": "2026-01-31T10:00:00.000Z",
    "endsAt": "9999-12-31T23:59:59.999999999-01:00",
    "status": {"state": "active", "silencedBy": ["s1"], "inhibitedBy": [], "mutedBy": ["nights"]},
}
ALERTMANAGER: Mapping[str, Any] = {
    "/api/v2/alerts": [ALERT],
    "/api/v2/silences": [],
    "/api/v2/status": {
        "uptime": "2026-01-01T00:00:00Z",
        "cluster": {"status": "ready", "name": "01A", "peers": [{"name": "01A", "address": "10.0.0.1:9094"}]},
        "versionInfo": {"version": "0.34.0"},
    },
}
PROMETHEUS: Mapping[str, Any] = {
    path: {"status": "success", "data": data}
    for path, data in {
        "/api/v1/status/runtimeinfo": {"startTime": "2026-01-01T00:00:00Z", "lastConfigTime": "2026-01-01T00:00:00Z"},
        "/api/v1/status/buildinfo": {"version": "3.1.0"},
        "/api/v1/status/config": {"yaml": "global:\n  external_labels:\n    a: b\n"},
        "/api/v1/status/flags": {"rules.alert.resend-delay": "1h30m"},
        "/api/v1/rules": {"groups": [{"name": "g", "interval": 15, "rules": None}]},
        "/api/v1/alerts": {"alerts": []},
    }.items()
}


class Asked:
    """A server that answers with these documents, and may want a password."""

    def __init__(self, documents: Mapping[str, Any]) -> None:
        self.documents = dict(documents)
        self.headers: dict[str, str] = {}
        self.authorization: str | None = None

    def answer(self, request: Request) -> Reply:
        assert request.method == "GET"
        if self.authorization and request.headers.get("authorization") != self.authorization:
            return Reply(401)
        document = self.documents[request.path.partition("?")[0]]
        if isinstance(document, Reply):
            return document
        reply = json_reply(200, document)
        return Reply(200, reply.body, {**reply.headers, **self.headers})


@pytest.fixture
async def alertmanager() -> AsyncIterator[VendorServer]:
    async with serving(Asked(ALERTMANAGER)) as server:
        yield server


@pytest.fixture
async def prometheus() -> AsyncIterator[VendorServer]:
    async with serving(Asked(PROMETHEUS)) as server:
        yield server


def asked(server: VendorServer) -> Asked:
    assert isinstance(server.vendor, Asked)
    return server.vendor


async def reason(asking: Awaitable[object]) -> str:
    """Why it failed."""
    with pytest.raises(OriginUnavailable) as caught:
        await asking
    return str(caught.value)


async def test_a_server_on_a_good_day_is_read(alertmanager: VendorServer, prometheus: VendorServer) -> None:
    poll = await ask_alertmanager(alertmanager.url)
    (only,) = await ask_prometheus(prometheus.url)
    assert [alert.muted_by for alert in poll.alerts] == [["nights"]]
    assert (only.external_labels, only.resend_delay) == ({"a": "b"}, timedelta(hours=1.5))
    assert (may_correct(poll, now()), may_correct(only, now())) == (None, None)


async def test_times_are_utc_to_the_microsecond(alertmanager: VendorServer) -> None:
    (alert,) = (await ask_alertmanager(alertmanager.url)).alerts
    assert alert.starts_at == datetime(2026, 1, 31, 8, 0, 0, 123456, tzinfo=UTC)
    assert alert.ends_at.year == 9999


BAD_DAYS: list[tuple[Day, str]] = [
    (replies(500, "panic"), "it answers 500"),
    (replies(503), "it answers 503"),
    (replies(404, "page not found"), "it answers 404"),
    (replies(200, "<!doctype html><html>sign in</html>", content_type="text/html"), "is not what"),
    (replies(200, b'[{"fingerprint":"aaaaaaaaaaaaaaaa","labels":{"alert'), "is not what"),
    (replies(200, b"[]garbage"), "is not what"),
    (replies(200, b"[" * 100_000), "is not what"),
    (replies(200, b"null"), "is not what"),
    (replies(200, b'{"status":"success"}'), ""),
    (replies(200, b'"\xff"'), "is not what"),
    (replies(200, b""), "is not what"),
    (replies(200, b"\x1f\x8b", content_encoding="gzip"), "packs its answer"),
    (replies(302, location="http://169.254.169.254/latest"), "a redirect"),
    (replies(308, location="/api/v2/alerts/"), "a redirect"),
    (tears, "broke off"),
    (resets, "the connection broke"),
    (babbles, "no HTTP"),
    (hangs, "no answer within 1 s"),
    (drips_headers, "no answer within 1 s"),
    (drips_body, "it answers 500"),
]


def _seconds(day: Day) -> float:
    """How long to wait: not long for an answer that never comes, and long for one that does."""
    return SHORT_SECONDS if day in {hangs, drips_headers, drips_body} else LONG_SECONDS


@pytest.mark.parametrize("day,why", BAD_DAYS)
@pytest.mark.parametrize("position", [0, 1, 2])
async def test_an_alertmanager_that_answers_in_part_says_nothing(
    alertmanager: VendorServer, day: Day, why: str, position: int
) -> None:
    alertmanager.script(*[_as_always(alertmanager)] * position, day)
    message = await reason(ask_alertmanager(alertmanager.url, seconds=_seconds(day)))
    assert message.startswith(f"{alertmanager.url}: ")
    assert why in message


@pytest.mark.parametrize("day,why", BAD_DAYS)
@pytest.mark.parametrize("path", ["/api/v1/alerts", "/api/v1/rules"])
async def test_a_prometheus_that_answers_in_part_says_nothing(
    prometheus: VendorServer, day: Day, why: str, path: str
) -> None:
    position = list(PROMETHEUS).index(path)
    prometheus.script(*[_as_always(prometheus)] * position, day)
    message = await reason(ask_prometheus(prometheus.url, seconds=_seconds(day)))
    assert message.startswith(f"{prometheus.url}: ")
    assert why in message


def _as_always(server: VendorServer) -> Day:
    """A day like any other, but the connection ends with it."""

    async def day(request: Request, writer: asyncio.StreamWriter) -> None:
        reply = server.vendor.answer(request)
        await replies(reply.status, reply.body, connection="close")(request, writer)

    return day


@pytest.mark.parametrize("ask", [ask_alertmanager, ask_prometheus])
async def test_who_is_not_there_says_nothing(ask: Callable[..., Awaitable[object]]) -> None:
    url = f"http://{HOST}:{free_port()}"
    assert await reason(ask(url)) == f"{url}: can't connect"


@pytest.mark.parametrize(
    "change",
    [
        {"startsAt": "yesterday"},
        {"startsAt": "2026-01-31T10:00:00"},
        {"startsAt": 0},
        {"labels": {"a": 1}},
        {"labels": None},
        {"status": {"state": "resting"}},
        {"fingerprint": None},
    ],
)
async def test_one_alert_that_can_not_be_read_makes_an_answer_in_part(
    alertmanager: VendorServer, change: dict[str, Any]
) -> None:
    asked(alertmanager).documents["/api/v2/alerts"] = [ALERT, {**ALERT, **change}]
    assert "is not what an Alertmanager answers" in await reason(ask_alertmanager(alertmanager.url))


async def test_an_endless_answer_is_not_read_to_its_end(alertmanager: VendorServer) -> None:
    pieces: list[int] = []

    async def pours(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        for number in range(100):
            writer.write(PIECE[:1_000_000])
            await writer.drain()
            pieces.append(number)

    alertmanager.script(pours)
    assert f"more than {MAX_ANSWER_BYTES} bytes" in await reason(ask_alertmanager(alertmanager.url))
    assert len(pieces) < 50


@pytest.mark.parametrize(
    "answer",
    [{"status": "error", "error": "storage"}, {"status": "success", "data": None}, {"status": "success", "data": {}}],
)
async def test_an_error_of_prometheus_is_no_answer(prometheus: VendorServer, answer: dict[str, Any]) -> None:
    asked(prometheus).documents["/api/v1/alerts"] = answer
    assert "answer" in await reason(ask_prometheus(prometheus.url))


async def test_warnings_make_an_answer_in_part(prometheus: VendorServer) -> None:
    asked(prometheus).documents["/api/v1/alerts"] = {**PROMETHEUS["/api/v1/alerts"], "warnings": ["store is down"]}
    assert "in part" in await reason(ask_prometheus(prometheus.url))


@pytest.mark.parametrize("field", ["startTime", "lastConfigTime"])
async def test_a_prometheus_that_starts_or_reloads_while_it_is_asked_says_nothing(
    prometheus: VendorServer, field: str
) -> None:
    runtime = PROMETHEUS["/api/v1/status/runtimeinfo"]
    before = {**runtime, "data": {**runtime["data"], field: "2025-01-01T00:00:00Z"}}
    prometheus.script(replies(200, json_reply(200, before).body))
    assert "restarted or reloaded while it was asked" in await reason(ask_prometheus(prometheus.url))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
@pytest.mark.parametrize("path", ["config", "runtimeinfo"])
async def test_a_prometheus_that_does_not_show_its_status_only_confirms(
    prometheus: VendorServer, status: int, path: str
) -> None:
    asked(prometheus).documents[f"/api/v1/status/{path}"] = Reply(status)
    (poll,) = await ask_prometheus(prometheus.url)
    assert (may_correct(poll, now()) or "").startswith("it does not s")


async def test_a_replica_that_is_down_is_left_out(prometheus: VendorServer) -> None:
    polls = await ask_prometheus(f"http://{HOST}:{free_port()}", prometheus.url)
    assert [poll.server for poll in polls] == [prometheus.url]


async def test_a_peer_that_hangs_does_not_silence_the_others(alertmanager: VendorServer) -> None:
    async with serving(Asked(ALERTMANAGER)) as other:
        other.script(hangs)
        poll = await ask_alertmanager(other.url, alertmanager.url, seconds=5)
    assert poll.answered == [alertmanager.url]
    assert list(poll.silent) == [other.url]


@pytest.mark.parametrize("hours", [-3, 3])
async def test_a_clock_that_is_wrong_does_not_change_when_it_started(alertmanager: VendorServer, hours: int) -> None:
    wrong = timedelta(hours=hours)
    started_at = now() - timedelta(minutes=1)
    asked(alertmanager).headers["date"] = format_datetime((now() + wrong).replace(microsecond=0), usegmt=True)
    status = {**ALERTMANAGER["/api/v2/status"], "uptime": (started_at + wrong).isoformat()}
    asked(alertmanager).documents["/api/v2/status"] = status
    poll = await ask_alertmanager(alertmanager.url)
    assert abs(poll.started_at - started_at) < timedelta(seconds=10)
    assert "it started" in (may_correct(poll, now()) or "")


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 01 Jan 99999 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -0100"])
async def test_a_date_that_can_not_be_read_is_as_good_as_none(alertmanager: VendorServer, date: str) -> None:
    asked(alertmanager).headers["date"] = date
    assert (await ask_alertmanager(alertmanager.url)).started_at.year == 2026


async def test_what_was_asked_is_what_the_moment_of_the_poll_is_before(alertmanager: VendorServer) -> None:
    before = now()
    poll = await ask_alertmanager(alertmanager.url)
    assert before <= poll.asked_at <= now()
    assert [request.path.partition("?")[0] for request in alertmanager.requests] == list(ALERTMANAGER)


@pytest.mark.parametrize("ask", [ask_alertmanager, ask_prometheus])
async def test_a_password_is_sent_and_shown_nowhere(
    alertmanager: VendorServer,
    prometheus: VendorServer,
    ask: Callable[..., Awaitable[object]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server = alertmanager if ask is ask_alertmanager else prometheus
    asked(server).authorization = "Basic YWRhOnMzY3IzdCE="  # ada:s3cr3t!
    url = server.url.replace("://", f"://ada:{SECRET}%21@")
    answer = await ask(url)
    server.script(replies(500, SECRET))
    message = await reason(ask(url))
    wrong = await reason(ask(server.url.replace("://", f"://ada:{SECRET}@")))
    assert SECRET not in f"{answer}{message}{wrong}{caplog.text}"
    assert "YWRh" not in caplog.text
