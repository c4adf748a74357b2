"""The statistics over HTTP: every parameter, wrong ones by name, and sums that add up on a running service.

Holds: `web.api.series`, `web.api.facets`, `web.api.heatmap`, `web.api.durations`, `web.api.report`, `web.api.span`.
"""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.payloads import alert, webhook

_JSON = {"Content-Type": "application/json"}
_STATS = "/api/v1/stats"
_CALLS = [f"{_STATS}/series", f"{_STATS}/facets", f"{_STATS}/heatmap", f"{_STATS}/durations", "/report"]


@pytest.fixture(scope="module")
def namespace(client: httpx.Client) -> str:
    """Where the tests' alerts are: three critical ones and two warnings, of which one resolved; two receivers."""
    name = f"ns-{uuid4().hex}"
    for number in range(5):
        severity = "critical" if number < 3 else "warning"
        sent = alert(number, namespace=name, severity=severity, status="firing" if number < 4 else "resolved")
        body = webhook(sent, receiver="team-a" if number % 2 else "team-b")
        assert client.post("/webhook", content=body, headers=_JSON).status_code == 200
    return name


def _ask(client: httpx.Client, path: str, namespace: str, **parameters: Any) -> Any:
    parameters = {"query": f'{{namespace="{namespace}"}}', "since": "-1h", **parameters}
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("by", ["severity", "receiver", "namespace", "instance"])
@pytest.mark.parametrize("count", ["begun", "open"])
def test_series_adds_up(client: httpx.Client, namespace: str, by: str, count: str) -> None:
    series = _ask(client, f"{_STATS}/series", namespace, by=by, count=count, top=1, tz="Asia/Kathmandu")
    rows = [*(each["counts"] for each in series["series"]), series["other"]["counts"]]
    assert [sum(row) for row in zip(*rows, strict=True)] == [bucket["total"] for bucket in series["buckets"]]
    assert series["buckets"][-1]["total"] <= 5
    if count == "begun":
        assert series["total"] == sum(bucket["total"] for bucket in series["buckets"]) == 5
        assert "peak" not in series["buckets"][0]
    else:
        assert series["total"] is None
        assert series["buckets"][-1]["total"] == 4
    assert (series["count"], series["by"], series["tz"]) == (count, by, "Asia/Kathmandu")


def test_facets_take_labels_in_a_list_or_one_by_one(client: httpx.Client, namespace: str) -> None:
    facets = _ask(client, f"{_STATS}/facets", namespace, by="severity,receiver")
    assert [facet["by"] for facet in facets["facets"]] == ["severity", "receiver"]
    again = _ask(client, f"{_STATS}/facets", namespace, by=["severity", "receiver"])
    assert [facet["values"] for facet in again["facets"]] == [facet["values"] for facet in facets["facets"]]
    severities = {value["value"]: value["begun"] for value in facets["facets"][0]["values"]}
    assert (facets["total"], severities) == (5, {"critical": 3, "warning": 2})
    labels = [facet["by"] for facet in _ask(client, f"{_STATS}/facets", namespace)["facets"]]
    assert labels == ["alertname", "severity", "namespace", "receiver", "source"]


def test_heatmap_and_durations_and_report_count_the_same(client: httpx.Client, namespace: str) -> None:
    heatmap = _ask(client, f"{_STATS}/heatmap", namespace, tz="Europe/Berlin")
    durations = _ask(client, f"{_STATS}/durations", namespace, by="severity")
    report = _ask(client, "/report", namespace)
    assert heatmap["total"] == durations["all"]["count"] == report["summary"]["total_alerts"] == 5
    assert (durations["all"]["firing"], report["summary"]["unique_alerts"]) == (4, 5)
    assert {value["value"]: value["durations"]["count"] for value in durations["values"]} == {
        "critical": 3,
        "warning": 2,
    }


def test_report_has_the_shape_that_is_promised(client: httpx.Client, namespace: str) -> None:
    answer = client.get("/report", params={"namespace": namespace, "alertname": "DiskFull", "top": 3, "min_flap": 3})
    report = answer.json()
    assert answer.status_code == 200
    assert report.keys() >= {"summary", "top_alerts", "flapping_alerts"}
    assert report["summary"].keys() >= {
        "total_alerts",
        "unique_alerts",
        "flapping_alerts",
        "avg_duration_minutes",
        "period",
    }
    assert report["summary"]["period"].keys() == {"since", "until"}
    (top,) = report["top_alerts"]
    assert (top["alertname"], top["namespace"], top["event_count"]) == ("DiskFull", namespace, 5)
    assert top["last_seen"]
    assert client.get("/report", params={"namespace": ""}).json()["top_alerts"] == [
        each for each in client.get("/report", params={"namespace": ""}).json()["top_alerts"] if not each["namespace"]
    ]


@pytest.mark.parametrize("path", _CALLS)
def test_every_answer_says_what_it_covers_and_is_compared(client: httpx.Client, namespace: str, path: str) -> None:
    answer = _ask(client, path, namespace, compare="previous", tz="Asia/Kathmandu", until="now")
    for covers in (answer["covers"], answer["compared"]["covers"]):
        assert covers.keys() == {
            "since",
            "until",
            "counted_by",
            "is_exact",
            "counted_from",
            "fresh_as_of",
            "sampled_share",
            "left_out",
        }
    assert answer["compared"]["covers"]["until"] == answer["covers"]["since"]
    assert _ask(client, path, namespace)["compared"] is None


@pytest.mark.parametrize("path", _CALLS)
def test_no_alert_matches(client: httpx.Client, path: str) -> None:
    answer = _ask(client, path, f"none-{uuid4().hex}", compare="previous")
    assert answer.get("total") in {0, None}


@pytest.mark.parametrize("path", _CALLS)
@pytest.mark.parametrize(
    "query, named",
    [
        ("tz=Mars/Olympus", "tz"),
        ("tz=../../etc/passwd", "tz"),
        ("tz=Europe", "tz"),
        ("tz=%00", "tz"),
        ("since=yesterday", "since"),
        ("since=now&until=-1h", "since"),
        ("until=2026-13-01", "until"),
        ("compare=next", "compare"),
        ("query=%7Ba=", "query"),
        ("query=%00", "query"),
        ("until=-1h&until=-2h", "until"),
        ("colour=red", "colour"),
    ],
)
def test_wrong_parameter_is_named(client: httpx.Client, path: str, query: str, named: str) -> None:
    _refused(client, f"{path}?{query}", named)


@pytest.mark.parametrize(
    "call, named",
    [
        ("series?count=all", "count"),
        ("series?step=2m", "step"),
        ("series?step=1m&since=-30d", "step"),
        ("series?step=1m&count=open", "step"),
        ("series?top=0", "top"),
        ("series?top=101", "top"),
        ("series?by=a&by=b", "by"),
        ("facets?top=x", "top"),
        ("facets?by=" + ",".join(f"l{number}" for number in range(21)), "by"),
        ("heatmap?by=severity", "by"),
        ("durations?by=pod", "by"),
    ],
)
def test_wrong_parameter_of_one_call_is_named(client: httpx.Client, call: str, named: str) -> None:
    _refused(client, f"{_STATS}/{call}", named)


@pytest.mark.parametrize("query", ["min_flap=1", "min_flap=1001", "top=0", "top=1001", "namespace=%00"])
def test_wrong_parameter_of_the_report_is_named(client: httpx.Client, query: str) -> None:
    _refused(client, f"/report?{query}", query.partition("=")[0])


def _refused(client: httpx.Client, url: str, named: str) -> None:
    answer = client.get(url)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (400, "urn:alert-history:problem:invalid-query"), url
    assert named in problem["detail"]


@pytest.mark.parametrize("path", _CALLS)
@pytest.mark.parametrize(
    "query",
    [
        "since=0",
        "since=0001-01-01&until=9999-12-31T23:59:59Z&compare=previous",
        "since=9990-01-01&until=9999-12-31&compare=previous",
        "since=&until=&tz=&compare=&query=",
        "tz=Pacific/Apia&since=2011-12-28&until=2012-01-02",
        "query=%7Bpod=~%22(x%2Bx%2B)%2By%22%7D",
        "query=%FF",
    ],
)
def test_odd_query_is_answered(client: httpx.Client, path: str, query: str) -> None:
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == (400 if "since=9990" in query else 200), answer.text
