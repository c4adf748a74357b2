"""Pages over HTTP, asked in odd ways: people get a page that says what to do next, and the service stays quick.

Holds: `web.application`, `web.http.parameters`, `web.pages.severity_chart`, `web.pages.saved_views`,
`web.pages.plain_fault`, `engine.rule_names`.
"""

import re
from uuid import uuid4

import httpx
import pytest

from tests.payloads import alert, webhook
from tests.processes import wait_until


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/",
        "/dashboard/foo",
        "/dashboard/alerts",
        "/dashboard/History",
        "/classifications/x",
        "/login/nothing",
    ],
)
def test_people_get_a_page_where_there_is_none(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]


def test_programs_get_a_problem(client: httpx.Client) -> None:
    assert client.get("/api/v1/nothing").headers["content-type"] == "application/problem+json"
    assert client.post("/dashboard").status_code == 405


@pytest.mark.parametrize(
    "path", ["/", "/dashboard/history", "/dashboard/rules", "/dashboard/settings", "/classifications"]
)
def test_a_page_passes_over_what_chats_add_to_its_address(client: httpx.Client, path: str) -> None:
    assert client.get(f"{path}?utm_source=chat&tz=Europe/Berlin").status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        "&".join(f"not_receiver=r{number}" for number in range(21)),
        f"facet={'a' * 501}",
        f"query={'a' * 4001}",
        "&".join(f"cols={'c' * 400}" for _ in range(16)),
    ],
)
def test_the_state_of_the_history_is_bounded_because_each_link_repeats_it(client: httpx.Client, asked: str) -> None:
    assert client.get(f"/dashboard/history?{asked}").status_code == 400


def test_the_histogram_colours_severities_as_all_charts_do(client: httpx.Client) -> None:
    namespace = f"ns-{uuid4().hex}"
    sent = [alert(number, namespace=namespace, severity=each) for number, each in enumerate(("page", "critical"))]
    body, headers = webhook(*sent), {"content-type": "application/json"}
    client.post("/webhook", content=body, headers=headers).raise_for_status()
    asked = {"query": f"namespace={namespace}", "since": "-1d", "part": "counts"}
    html = client.get("/dashboard/history", params=asked).text
    assert '<span class="key is-critical">critical</span>' in html
    assert '<span class="key is-critical is-also">page</span>' in html, "the same meaning in another shade"


@pytest.mark.parametrize("state", ["query=%7Bseverity", "since=soon", "since=-1h&until=-2h"])
def test_a_view_that_can_only_show_a_fault_is_not_saved(client: httpx.Client, state: str) -> None:
    name = f"view {uuid4().hex}"
    form = {"name": name, "state": state}
    answer = client.post("/dashboard/history/views", data=form, headers={"sec-fetch-site": "same-origin"})
    assert answer.status_code == 422
    assert "A view of this search would show nothing but its fault" in answer.text
    assert name not in client.get("/dashboard/history?part=views").text


@pytest.mark.parametrize(
    "asked, words",
    [
        ("dashboard/history/live?up=x", "up: write a number"),
        ("dashboard/history/live?up=9", "up: write a number of at most 8"),
        ("dashboard/history?view=pie", "view: &#39;pie&#39; is not possible here; write one of: table, lanes"),
        (f"dashboard/history?facet={'a' * 501}", "facet: write at most 500 letters"),
        ("dashboard/history?" + "&".join(f"cols={'c' * 10}" for _ in range(21)), "cols: give it at most 20 times"),
        ("dashboard/rules?all=perhaps", "all: write true or false"),
        ("dashboard/rules?sort=loud", "sort: &#39;loud&#39; is not possible here; write one of: "),
        ("dashboard/night?date=tomorrow", "date: write a date, like 2026-01-31"),
        ("dashboard/quarantine?cursor=x", "cursor: write an id"),
        ("classifications?corrected=x", "corrected: write 16 hexadecimal digits"),
        ("dashboard/notifications?outcome=lost", "outcome: &#39;lost&#39; is not possible here; write one of: "),
        ("dashboard/silences?id=" + "x" * 5000, "id: write at most "),
        ("dashboard/alerts/x?within=9m", "within: &#39;9m&#39; is not possible here; write one of: 5m"),
        ("dashboard/settings?switched=evil", "switched: &#39;evil&#39; is not possible here"),
    ],
)
def test_a_wrong_parameter_is_answered_by_what_may_be_written(client: httpx.Client, asked: str, words: str) -> None:
    answer = client.get(f"/{asked}")
    assert answer.status_code == 400
    assert words in answer.text
    assert "Expected `" not in answer.text


def test_an_unknown_rule_is_said_to_be_unknown_with_names_like_it(client: httpx.Client) -> None:
    name = f"Disk{uuid4().hex}"
    body, headers = webhook(alert(1, alertname=name)), {"content-type": "application/json"}
    client.post("/webhook", content=body, headers=headers).raise_for_status()
    asked = {"rule": name.upper(), "part": "always"}
    wait_until(lambda: name in client.get("/dashboard/rules", params=asked).text, "its label is counted")
    html = client.get("/dashboard/rules", params=asked).text
    assert "No alert of a rule with this name was ever received. Did you mean" in html
    assert f"rule={name}" in html
    quiet = client.get("/dashboard/rules", params={"rule": name, "part": "always", "until": "2020-01-01"}).text
    assert "It did not fire in" in quiet, "a known one that was quiet"


def test_lately_leads_to_the_hand_over_of_the_night_that_it_shows(client: httpx.Client) -> None:
    link = re.compile(r'href="\./(dashboard/night/[^"]+)">Hand-over of this night')
    assert link.search(client.get("/?since=-24h").text) is None
    way = link.search(client.get("/?since=last-night").text)
    assert way is not None
    assert "Last night: the night of" in client.get(f"/{way[1]}").text


def test_a_notification_names_the_namespace_first_of_its_labels(client: httpx.Client) -> None:
    name = f"Disk{uuid4().hex}"
    body = webhook(alert(1, alertname=name, cluster="a", namespace="shop", pod="p", zone="z"))
    client.post("/webhook", content=body, headers={"content-type": "application/json"}).raise_for_status()
    asked = {"query": f'{{alertname="{name}"}}', "part": "entries"}
    html = client.get("/dashboard/notifications", params=asked).text
    assert re.findall(r'class="label"><span>(\w+)', html)[0] == "namespace"
