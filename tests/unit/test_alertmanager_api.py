"""Alertmanager's API v2 as its clients see it, over the ports of moments in memory.

What is expected was seen at Alertmanager 0.25 and 0.34, unless a test says otherwise.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import msgspec
import pytest
import yaml
from prometheus_client import CollectorRegistry

from alert_history.domain.alertmanager.moment import MomentAlert, SilenceVersion
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import Intake
from alert_history.engine.switchboard import Switchboard
from alert_history.engine.tokens import TokenBook
from alert_history.errors import StorageUnavailable
from alert_history.ports import Recorder
from alert_history.web.alertmanager.api import AlertmanagerApi
from alert_history.web.application import Application
from alert_history.web.http.gate import Gate
from alert_history.web.ingest.webhook import Webhook
from alert_history.web.telemetry import RequestMetrics
from tests.held import CONFIGURATION, NOW, HeldThen, held, silence
from tests.trust import MemoryTokens, open_gate

CRITICAL = held("A", severity="critical", instance="i1", team="db")
WARNING = held("A", severity="warning", instance="i1")
SILENCED = held("B", severity="info", instance="i2", job="j")
QUIET = SilenceVersion(silence(1, ("alertname", "=~", "B|C")), "main", NOW)
MAIN = {"main": CONFIGURATION}
WHOLE = HeldThen([CRITICAL, WARNING, SILENCED], MAIN, [QUIET])


async def _nothing() -> None:
    return


@asynccontextmanager
async def _client(
    then: HeldThen, *, names: tuple[str, ...] = ("main",), gate: Gate | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    metrics = RequestMetrics(CollectorRegistry())
    webhook = Webhook(
        Ingest(cast("Recorder", None), max_pending_bytes=1000, switchboard=Switchboard()),
        intake=Intake(max_alerts=1),
        gate=open_gate(),
        clock=lambda: datetime.now(UTC),
        metrics=metrics,
        max_body_bytes=1000,
    )
    operations = AlertmanagerApi(then.states(names=names), clock=lambda: NOW).operations()
    application = Application(
        webhook, operations, gate=gate or open_gate(), metrics=metrics, start=_nothing, stop=_nothing
    )
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]  # it is one, its messages are dicts
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


async def _get(path: str, then: HeldThen = WHOLE, *, names: tuple[str, ...] = ("main",)) -> httpx.Response:
    async with _client(then, names=names) as client:
        return await client.get(path)


def _names(answer: httpx.Response) -> list[str]:
    return sorted(f"{alert['labels']['alertname']} {alert['labels']['severity']}" for alert in answer.json())


# --- alerts -----------------------------------------------------------------------------------------------------------


async def test_alert_has_the_form_of_alertmanager() -> None:
    (alert,) = (await _get("/api/v2/alerts?filter=team%3Ddb")).json()
    assert alert == {
        "annotations": {"summary": "It is broken"},
        "endsAt": "2026-11-27T03:04:00.000Z",
        "fingerprint": CRITICAL.fingerprint,
        "receivers": [{"name": "db"}, {"name": "pager"}],
        "startsAt": "2026-11-27T02:00:00.000Z",
        "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"},
        "updatedAt": "2026-11-27T02:59:00.000Z",
        "labels": {"alertname": "A", "instance": "i1", "severity": "critical", "team": "db"},
    }


async def test_generator_url_is_there_where_the_sender_gave_one() -> None:
    linked = msgspec.structs.replace(CRITICAL, generator_url="http://p/graph?x=1")
    (alert,) = (await _get("/api/v2/alerts", HeldThen([linked], MAIN))).json()
    assert alert["generatorURL"] == "http://p/graph?x=1"


async def test_times_are_cut_to_the_millisecond() -> None:
    exact = msgspec.structs.replace(CRITICAL, starts_at=datetime(2026, 11, 27, 2, 0, 0, 123_999, tzinfo=UTC))
    (alert,) = (await _get("/api/v2/alerts", HeldThen([exact], MAIN))).json()
    assert alert["startsAt"] == "2026-11-27T02:00:00.123Z"


@pytest.mark.parametrize(
    "query, names",
    [
        ("", ["A critical", "A warning", "B info"]),
        ("?active=true", ["A critical", "A warning", "B info"]),
        ("?active=false", ["A warning", "B info"]),
        ("?silenced=false", ["A critical", "A warning"]),
        ("?inhibited=false", ["A critical", "B info"]),
        ("?active=true&inhibited=false&silenced=false&unprocessed=false", ["A critical"]),
        ("?active=false&inhibited=false&silenced=false&unprocessed=false", []),
        ("?active=True&filter=alertname%3DA", ["A critical", "A warning"]),
        ("?filter=alertname%3DA&filter=severity!%3Dwarning", ["A critical"]),
        ("?filter=team%3D", ["A warning", "B info"]),
        ("?filter=+alertname+%3D+%22A%22+", ["A critical", "A warning"]),
        ("?filter=severity%3D~warn", []),
        ("?filter=severity%3D~warn.*", ["A warning"]),
        ("?receiver=db", ["A critical"]),
        ("?receiver=d", []),
        ("?receiver=d.*", ["A critical", "A warning", "B info"]),
        ("?receiver_matchers=name%3Dpager", ["A critical"]),
        ("?nosuch=1", ["A critical", "A warning", "B info"]),
    ],
)
async def test_flags_leave_out_and_filters_choose(query: str, names: list[str]) -> None:
    assert _names(await _get(f"/api/v2/alerts{query}")) == names


async def test_order_stays_by_fingerprint() -> None:
    fingerprints = [alert["fingerprint"] for alert in (await _get("/api/v2/alerts")).json()]
    assert fingerprints == sorted(fingerprints)


async def test_receiver_that_two_routes_name_is_there_twice() -> None:
    twice = CONFIGURATION.replace(
        "inhibit_rules:", '  - matchers: [team="db"]\n    receiver: db\ninhibit_rules:'
    ).replace("receiver: pager", "receiver: pager\n    continue: true", 1)
    (alert,) = (await _get("/api/v2/alerts?filter=team%3Ddb", HeldThen([CRITICAL], {"main": twice}))).json()
    assert [receiver["name"] for receiver in alert["receivers"]] == ["db", "pager", "db"]


# --- groups -----------------------------------------------------------------------------------------------------------


def _groups(answer: httpx.Response) -> list[tuple[dict[str, str], str, list[str]]]:
    return [
        (group["labels"], group["receiver"]["name"], [alert["labels"]["severity"] for alert in group["alerts"]])
        for group in answer.json()
    ]


async def test_groups_stand_by_labels_then_receiver() -> None:
    assert _groups(await _get("/api/v2/alerts/groups")) == [
        ({"alertname": "A"}, "db", ["critical"]),
        ({"alertname": "A"}, "default", ["warning"]),
        ({"alertname": "A"}, "pager", ["critical"]),
        ({"alertname": "B"}, "default", ["info"]),
    ]


async def test_group_has_route_labels_as_0_34_requires() -> None:
    assert [group["routeLabels"] for group in (await _get("/api/v2/alerts/groups?receiver=db")).json()] == [{}]


async def test_group_names_the_receivers_that_were_asked_for_alone() -> None:
    (group,) = (await _get("/api/v2/alerts/groups?receiver=db")).json()
    assert group["alerts"][0]["receivers"] == [{"name": "db"}]
    (group,) = (await _get("/api/v2/alerts/groups?filter=team%3Ddb&receiver=pager%7Cdb")).json()[:1]
    assert group["alerts"][0]["receivers"] == [{"name": "db"}, {"name": "pager"}]


async def test_alert_without_a_configuration_is_in_a_group_all_the_same() -> None:
    then = HeldThen([CRITICAL])
    assert _groups(await _get("/api/v2/alerts/groups", then, names=())) == [({}, "not-known", ["critical"])]
    assert (await _get("/api/v2/receivers", then, names=())).json()[0]["name"] == "not-known"


async def test_alerts_of_groups_are_left_out_by_flags_and_empty_groups_with_them() -> None:
    answer = await _get("/api/v2/alerts/groups?active=true&silenced=false&inhibited=false")
    assert [(labels, receiver) for labels, receiver, _ in _groups(answer)] == [
        ({"alertname": "A"}, "db"),
        ({"alertname": "A"}, "pager"),
    ]


async def test_time_interval_mutes_groups_and_not_the_list_of_alerts() -> None:
    muted = CONFIGURATION.replace("group_by: [alertname]", "group_by: [alertname]").replace(
        "    receiver: db\n", "    receiver: db\n    mute_time_intervals: [always]\n", 1
    )
    muted += "time_intervals:\n- name: always\n  time_intervals:\n  - months: ['1:12']\n"
    then = HeldThen([CRITICAL], {"main": muted})
    (alert,) = (await _get("/api/v2/alerts", then)).json()
    assert alert["status"]["state"] == "active"
    groups = {group["receiver"]["name"]: group for group in (await _get("/api/v2/alerts/groups", then)).json()}
    status = groups["db"]["alerts"][0]["status"]
    assert (status["state"], status["mutedBy"]) == ("suppressed", ["always"])
    assert groups["pager"]["alerts"][0]["status"]["state"] == "active"
    assert [each[1] for each in _groups(await _get("/api/v2/alerts/groups?muted=false", then))] == ["pager"]


# --- silences ---------------------------------------------------------------------------------------------------------


async def test_silence_has_the_form_of_alertmanager() -> None:
    assert (await _get("/api/v2/silences")).json() == [
        {
            "id": "00000001-0000-4000-8000-000000000000",
            "status": {"state": "active"},
            "updatedAt": "2026-11-27T01:00:00.000Z",
            "comment": "maintenance",
            "createdBy": "ann",
            "endsAt": "2026-11-27T04:00:00.000Z",
            "matchers": [{"isEqual": True, "isRegex": True, "name": "alertname", "value": "B|C"}],
            "startsAt": "2026-11-27T02:00:00.000Z",
        }
    ]


async def test_silences_stand_active_then_pending_then_expired() -> None:
    spans = [(-3, -1), (-3, -2), (1, 2), (0.5, 3), (-1, 5), (-1, 4)]
    versions = [
        SilenceVersion(silence(n, ("a", "=", "b"), begins=begins, hours=end), "main", NOW)
        for n, (begins, end) in enumerate(spans)
    ]
    answer = await _get("/api/v2/silences", HeldThen([], MAIN, versions))
    assert [int(each["id"][:8]) for each in answer.json()] == [5, 4, 3, 2, 0, 1]


@pytest.mark.parametrize(
    "query, count",
    [
        ("", 1),
        ("?filter=alertname%3D~%22B%7CC%22", 1),
        ("?filter=alertname%3DB", 0),
        ("?active=false", 0),
        ("?expired=false&pending=false", 1),
    ],
)
async def test_filter_of_silences_is_a_matcher_that_they_have(query: str, count: int) -> None:
    assert len((await _get(f"/api/v2/silences{query}")).json()) == count


async def test_silence_is_found_by_its_id() -> None:
    assert (await _get(f"/api/v2/silence/{QUIET.silence.id}")).json()["id"] == QUIET.silence.id


# --- receivers and status ---------------------------------------------------------------------------------------------


async def test_receivers_stand_in_the_order_of_the_configuration() -> None:
    answer = await _get("/api/v2/receivers")
    assert answer.json()[:2] == [
        {"name": "default", "labels": {"name": "default"}},
        {"name": "db", "labels": {"name": "db"}},
    ]


async def test_receivers_are_chosen_by_their_labels() -> None:
    labelled = CONFIGURATION.replace("- name: db\n", "- name: db\n  labels:\n    owner: data\n", 1)
    answer = await _get("/api/v2/receivers?receiver_matchers=owner%3Ddata", HeldThen([], {"main": labelled}))
    assert answer.json() == [{"name": "db", "labels": {"name": "db", "owner": "data"}}]


async def test_status_is_that_of_the_alertmanager_as_it_was_kept() -> None:
    facts = {
        "versionInfo": {"version": "0.25.0", "goVersion": "go1.19.8"},
        "uptime": "2026-11-26T08:43:20.488Z",
        "cluster": {"status": "ready", "name": "01ABC", "peers": [{"name": "01ABC", "address": "10.0.0.1:9094"}]},
    }
    status = (await _get("/api/v2/status", HeldThen([], MAIN, facts=facts))).json()
    assert status["config"]["original"] == CONFIGURATION
    assert status["cluster"] == facts["cluster"]
    assert status["uptime"] == "2026-11-26T08:43:20.488Z"
    assert (status["versionInfo"]["version"], status["versionInfo"]["branch"]) == ("0.25.0", "")


def _comments(status: Any) -> tuple[str, Any]:
    original = status["config"]["original"]
    comments = " ".join(line.removeprefix("# ") for line in original.splitlines() if line.startswith("#"))
    return comments, yaml.safe_load(original)


async def test_status_without_an_alertmanager_is_ours_and_says_so() -> None:
    status = (await _get("/api/v2/status", HeldThen(), names=())).json()
    comments, document = _comments(status)
    assert "knows no Alertmanager" in comments
    assert document == {"route": {"receiver": "not-known"}, "receivers": [{"name": "not-known"}]}
    assert status["versionInfo"]["version"].startswith("alert-history ")
    assert status["cluster"] == {"status": "disabled", "peers": []}


async def test_status_of_several_names_them_and_how_to_choose() -> None:
    then = HeldThen([], {"eu": CONFIGURATION, "us": CONFIGURATION})
    comments, _ = _comments((await _get("/api/v2/status", then, names=("eu", "us"))).json())
    assert "knows 2 Alertmanagers: eu, us." in comments
    assert "--alertmanager.url=http://HOST/am/eu" in comments
    assert (await _get("/am/us/api/v2/status", then, names=("eu", "us"))).json()["config"]["original"] == CONFIGURATION


@pytest.mark.parametrize("path", ["status", "silences", f"silence/{QUIET.silence.id}"])
async def test_no_alerts_are_read_for_what_does_not_need_them(path: str) -> None:
    then = HeldThen([CRITICAL], MAIN, [QUIET])
    then.asked = []
    assert (await _get(f"/api/v2/{path}", then)).status_code == 200
    assert then.asked == []


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, status, text",
    [
        ("/api/v2/alerts?filter=abc", 400, "abc"),
        ("/api/v2/alerts?filter=", 400, ""),
        ("/api/v2/alerts?filter=%7Ba%3Db%7D", 400, "{a=b}"),
        ("/api/v2/alerts?receiver=(", 400, "failed to parse receiver param: "),
        ("/api/v2/alerts/groups?receiver=(", 400, "failed to parse receiver param: "),
        ("/api/v2/receivers?receiver_matchers=a", 400, "failed to parse receiver_matchers param: "),
        ("/api/v2/silences?filter=x", 400, "x"),
        ("/api/v2/silence/x", 422, 'silenceID in path must be of type uuid: "x"'),
        ("/api/v2/silence/7b1f3a30-0000-4000-8000-000000000000", 404, "there is no silence"),
        ("/api/v2/nosuch", 404, "path /api/v2/nosuch was not found"),
        ("/am/nosuch/api/v2/alerts", 404, "no Alertmanager is called 'nosuch'; there are main"),
        ("/api/v2/alerts?at=yesterday", 400, "at: 'yesterday' is no time"),
        ("/api/v2/alerts?at=2026-12-27", 400, "at: 2026-12-27T00:00:00+00:00 is still to come"),
        ("/at/yesterday/api/v2/alerts", 400, "at: 'yesterday' is no time"),
    ],
)
async def test_error_is_a_json_string(path: str, status: int, text: str) -> None:
    answer = await _get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert isinstance(answer.json(), str)
    assert text in answer.json()


async def test_who_does_not_say_who_they_are_is_told_so_in_a_json_string() -> None:
    closed = Gate(TokenBook(MemoryTokens(), clock=lambda: NOW, known=[]), is_open=False)
    async with _client(WHOLE, gate=closed) as client:
        answers = [await client.get(path) for path in ("/api/v2/status", "/at/-6h/api/v2/alerts", "/am/x/nosuch")]
    assert {answer.status_code for answer in answers} == {401}
    assert all(isinstance(answer.json(), str) for answer in answers)
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Bearer realm="Alert History"'}


class _Away(HeldThen):
    """A store whose database is away."""

    async def alerts(self, *_: Any, **__: Any) -> Sequence[MomentAlert]:
        raise StorageUnavailable("no connection", after_seconds=7)


async def test_database_that_is_away_is_told_in_a_json_string() -> None:
    answer = await _get("/api/v2/alerts", _Away())
    assert (answer.status_code, answer.headers["retry-after"], answer.json()) == (503, "7", "no connection")


@pytest.mark.parametrize(
    "method, path, allowed, text",
    [
        ("PUT", "/api/v2/alerts", "GET, HEAD, POST", "method PUT is not allowed"),
        ("POST", "/api/v2/status", "GET, HEAD", "method POST is not allowed"),
        ("POST", "/at/-6h/api/v2/alerts", "GET, HEAD", "the past can't be changed"),
        ("DELETE", "/at/-6h/am/main/api/v2/silence/x", "GET, HEAD", "the past can't be changed"),
        ("POST", "/am/main/api/v2/alerts", "GET, HEAD", "alerts are posted to /api/v2/alerts"),
    ],
)
async def test_method_that_is_not_served_is_told_what_is(method: str, path: str, allowed: str, text: str) -> None:
    async with _client(WHOLE) as client:
        answer = await client.request(method, path, json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert text in answer.json()


async def test_alerts_are_not_posted_into_the_past() -> None:
    headers = {"accept": "application/json"}
    async with _client(WHOLE) as client:
        answer = await client.post("/api/v2/alerts?at=-6h", json=[], headers=headers)
    assert answer.status_code == 400
    assert answer.json() == "at: alerts are kept as they come; what was so in the past can only be asked"


# --- at ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/api/v2/alerts?at=-6h", "/at/now-6h/api/v2/alerts", "/at/2026-11-26T21:00:00Z/am/main/api/v2/alerts"],
)
async def test_moment_is_asked_by_parameter_and_by_path(path: str) -> None:
    then = HeldThen([CRITICAL], MAIN)
    then.asked = []
    answer = await _get(path, then)
    assert answer.headers["x-alert-history-at"] == "2026-11-26T21:00:00.000Z"
    assert then.asked == [NOW - timedelta(hours=6)]


async def test_slashes_too_many_change_nothing() -> None:
    assert (await _get("/api//v2/alerts/")).json() == (await _get("/api/v2/alerts")).json()


async def test_what_can_not_be_known_stands_in_a_header() -> None:
    answer = await _get("/api/v2/alerts?at=-48h")
    assert answer.headers["x-alert-history-unknown"].startswith("the configuration of main is not known for then")


async def test_header_is_ascii_and_short() -> None:
    odd = {"main": "route: [\u00fc" + "x" * 5000}
    header = (await _get("/api/v2/alerts", HeldThen([], odd))).headers["x-alert-history-unknown"]
    assert header.isascii()
    assert len(header) <= 2003
