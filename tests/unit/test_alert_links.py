"""The links of an alert: only addresses of the web are links, and a silence has its matchers filled in."""

from typing import Any
from urllib.parse import unquote

import pytest

from alert_history.domain.alert_links import alert_links, is_link, silence_url


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example/x",
        "/relative",
        "http://",
        "https:///path",
        "http://[",
        "ftp://host/file",
        "http://host/a b",
        "see http://host/",
        "http://host/\n",
        'http://host/"onclick=x',
        "http://host/<b>",
        "https://host/" + "x" * 5000,
        "",
    ],
)
def test_this_is_no_link(text: str) -> None:
    assert not is_link(text)


@pytest.mark.parametrize(
    "text", ["http://host", "HTTPS://wiki.example/a?b=c#d", "http://10.0.0.1:9090/graph?g0.expr=up"]
)
def test_this_is_a_link(text: str) -> None:
    assert is_link(text)


def _links(**given: Any) -> list[tuple[str, str, str]]:
    return [tuple(link) for link in alert_links(**{"labels": {}, "annotations": {}} | given)]  # type: ignore[misc]


def test_the_runbook_comes_first_and_each_address_once() -> None:
    annotations = {
        "ticket": "https://tickets.example/1",
        "dashboard_url": "https://grafana.example/d/1",
        "runbook_url": " https://wiki.example/disk ",
        "again": "https://wiki.example/disk",
        "summary": "disk is full",
        "trick": "javascript:alert(1)",
    }
    assert _links(annotations=annotations, generator_url="http://prometheus:9090/graph") == [
        ("runbook", "Runbook", "https://wiki.example/disk"),
        ("dashboard", "Dashboard", "https://grafana.example/d/1"),
        ("source", "What sends it", "http://prometheus:9090/graph"),
        ("other", "ticket", "https://tickets.example/1"),
    ]


def test_grafana_brings_its_own_links_and_its_own_silence() -> None:
    details = {
        "dashboardURL": "https://g/d/1",
        "panelURL": "javascript:x",
        "silenceURL": "https://g/silence",
        "values": {},
    }
    assert [(kind, url) for kind, _, url in _links(details=details, external_url="https://g/")] == [
        ("dashboard", "https://g/d/1"),
        ("silence", "https://g/silence"),
    ]


def test_an_alertmanager_is_asked_with_all_labels_as_matchers() -> None:
    labels = {"alertname": "DiskFull", "k8s.pod": 'a"b\\c', "path": "C:/x y&z#ü", "two": "lines\nhere"}
    (link,) = alert_links(labels=labels, annotations={}, external_url="https://am.example/base/")
    start, _, matchers = link.url.partition("filter=")
    assert (link.kind, start) == ("silence", "https://am.example/base/#/silences/new?")
    assert not set(matchers) & set(' "{}&#=,\\\n')
    assert unquote(matchers) == (r"""{alertname="DiskFull","k8s.pod"="a\"b\\c",path="C:/x y&z#ü",two="lines\nhere"}""")


def test_an_alertmanager_without_an_address_of_the_web_is_not_asked() -> None:
    assert _links(labels={"a": "b"}, external_url="javascript:alert(1)//") == []


def test_what_stands_behind_a_hash_of_the_external_url_is_dropped() -> None:
    assert silence_url("http://am:9093/#/alerts", {"a": "b"}).startswith("http://am:9093/#/silences/new?filter=")
