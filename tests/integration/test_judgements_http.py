"""The judgements over HTTP: every call with its parameters, wrong ones by name, on a running service.

Holds: `web.api.flapping`, `web.api.noise`, `web.api.rules`, `web.api.response`, `web.api.together`,
`web.api.neighbours`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from tests.payloads import webhook

_JSON = {"Content-Type": "application/json"}
_STATS = "/api/v1/stats"
_CALLS = [f"{_STATS}/{name}" for name in ("flapping", "noise", "rules", "response", "together")]
_MINUTE = timedelta(minutes=1)


class History(msgspec.Struct, frozen=True):
    """The history of this module: a namespace in which one alert flapped, and the id of its last occurrence."""

    namespace: str
    last_id: str


def _alert(namespace: str, rule: str, begins: datetime, ends: datetime | None = None) -> dict[str, Any]:
    return {
        "status": "firing" if ends is None else "resolved",
        "labels": {"alertname": rule, "namespace": namespace, "severity": "critical"},
        "annotations": {},
        "startsAt": begins.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z" if ends is None else ends.isoformat(),
        "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=up",
        "fingerprint": "",
    }


@pytest.fixture(scope="module")
def history(client: httpx.Client) -> History:
    """Four firings of ten minutes, ten minutes apart, as in docs/explanation/flapping.md; all received just now."""
    namespace, now = f"ns-{uuid4().hex}", datetime.now(UTC)
    begin = now - 100 * _MINUTE
    for number in range(4):
        at = begin + 20 * number * _MINUTE
        for sent in (_alert(namespace, "Flaps", at), _alert(namespace, "Flaps", at, at + 10 * _MINUTE)):
            assert client.post("/webhook", content=webhook(sent), headers=_JSON).status_code == 200
    nearby = _alert(namespace, "Nearby", begin + 61 * _MINUTE)
    assert client.post("/webhook", content=webhook(nearby), headers=_JSON).status_code == 200
    parameters = {"namespace": namespace, "alertname": "Flaps", "sort": "-starts_at"}
    alerts = client.get("/history", params=parameters).json()["alerts"]
    return History(namespace, alerts[0]["id"])


def _ask(client: httpx.Client, path: str, history: History, **parameters: Any) -> Any:
    query = f'{{namespace="{history.namespace}"}}'
    answer = client.get(path, params={"query": query, "since": "-3h", **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "parameters, flapping",
    [
        ({}, 1),
        ({"limit": 7}, 0),
        ({"window_seconds": 600}, 0),
        ({"definition": "nagios"}, 1),
        ({"definition": "nagios", "high_share": 0.9}, 0),
        ({"definition": "icinga"}, 1),
        ({"definition": "icinga", "check_interval_seconds": 60}, 0),
        ({"definition": "kibana", "status_change_threshold": 9}, 0),
        ({"definition": "newrelic"}, 0),
        ({"definition": "newrelic", "seconds": 600, "restart_seconds": 0}, 1),
    ],
    ids=str,
)
def test_flapping_is_judged_as_the_call_says(
    client: httpx.Client, history: History, parameters: dict[str, Any], flapping: int
) -> None:
    answer = _ask(client, f"{_STATS}/flapping", history, **parameters)
    assert answer["flapping"] == len(answer["alerts"]) == flapping
    assert answer["rule"]["definition"] == parameters.get("definition", "ours")
    given = {name: value for name, value in parameters.items() if name != "definition"}
    assert given.items() <= answer["rule"].items()
    assert [each["last_id"] for each in answer["alerts"]] == [history.last_id] * flapping


@pytest.mark.parametrize(
    "parameters, reason",
    [
        ({"definition": "zabbix"}, "definition"),
        ({"high_share": 0.5}, "'high_share' is no parameter of flapping as ours defines it"),
        ({"limit": 0}, "limit: Expected `int` >= 1"),
        ({"definition": "icinga", "low_share": 0.9}, "low_share must not be above high_share"),
        ({"top": 0}, "top"),
    ],
)
def test_wrong_parameter_of_flapping_is_named(client: httpx.Client, parameters: dict[str, Any], reason: str) -> None:
    answer = client.get(f"{_STATS}/flapping", params=parameters)
    assert answer.status_code == 400
    assert reason in answer.json()["detail"]


def test_noise_adds_up(client: httpx.Client, history: History) -> None:
    answer = _ask(client, f"{_STATS}/noise", history, tz="Asia/Kathmandu", compare="previous", top=1)
    [flaps] = answer["rules"]
    assert flaps["score"] == sum(part["points"] for part in flaps["parts"])
    assert (flaps["rule"], flaps["begun"], answer["seen"], answer["tz"]) == ("Flaps", 4, 2, "Asia/Kathmandu")
    assert [was["rule"] for was in answer["compared"]["rules"]] == ["Flaps"]
    evidence = flaps["parts"][0]["evidence"]
    shown = client.get("/history", params={name: value for name, value in evidence.items() if value}).json()
    assert shown["total"] == 4


def test_rules_come_with_their_totals(client: httpx.Client, history: History) -> None:
    answer = _ask(client, f"{_STATS}/rules", history, sort="rule", compare="previous")
    assert [(row["rule"], row["begun"], row["open"]) for row in answer["rules"]] == [("Flaps", 4, 0), ("Nearby", 1, 1)]
    assert answer["totals"]["begun"] == answer["compared"]["change"]["begun"] == 5
    assert answer["never_fired"] is None


def test_response_counts_those_that_nobody_acknowledged(client: httpx.Client, history: History) -> None:
    answer = _ask(client, f"{_STATS}/response", history, compare="previous")
    assert (answer["times"]["begun"], answer["times"]["censored"]) == (5, 5)
    assert answer["compared"]["times"]["begun"] == 0


def test_pairs_are_named_with_what_was_asked(client: httpx.Client, history: History) -> None:
    answer = _ask(client, f"{_STATS}/together", history, rule="Flaps", within="10m", same="namespace,severity")
    assert (answer["rule"], answer["within_seconds"], answer["same"]) == ("Flaps", 600, ["namespace", "severity"])
    assert (answer["begins"], answer["pairs"], answer["storms"]) == (5, [], [])


@pytest.mark.parametrize("within", ["0s", "2h", "soon", "99999999999y"])
def test_time_that_is_not_allowed_is_named(client: httpx.Client, within: str) -> None:
    answer = client.get(f"{_STATS}/together", params={"within": within})
    assert (answer.status_code, "within: " in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("path", _CALLS)
def test_every_judgement_takes_the_span_and_says_what_it_covers(client: httpx.Client, path: str) -> None:
    parameters = {"query": '{severity="none"}', "since": "-9d", "until": "-1d", "tz": "Europe/Berlin"}
    covers = client.get(path, params={**parameters, "compare": "previous"}).json()["covers"]
    assert covers.keys() == {
        *("since", "until", "counted_by", "is_exact", "counted_from", "fresh_as_of", "sampled_share", "left_out")
    }
    assert client.get(path, params={"since": "-1d", "until": "-2d"}).status_code == 400
    wrong = client.get(path, params={"tz": "Nowhere"})
    assert (wrong.status_code, "tz: " in wrong.json()["detail"]) == (400, True)


def test_occurrence_has_those_before_it_and_those_around_it(client: httpx.Client, history: History) -> None:
    similar = client.get(f"/api/v1/alerts/{history.last_id}/similar", params={"limit": 2}).json()
    assert [each["seconds"] for each in similar["same_alert"]] == [600, 600]
    assert (similar["sums"]["episodes"], similar["sums"]["ended_by"]) == (3, {"resolved": 3})
    around = client.get(f"/api/v1/alerts/{history.last_id}/around", params={"within": "5m"}).json()
    rules = {rule["alertname"]: rule for rule in around["rules"]}
    assert rules["Nearby"]["lag_seconds"] == 60
    assert {name for name in rules if rules[name]["alerts"][0]["namespace"] == history.namespace} == {"Nearby"}


@pytest.mark.parametrize("call", ["similar", "around"])
def test_occurrence_that_nobody_knows_is_not_found(client: httpx.Client, call: str) -> None:
    assert client.get(f"/api/v1/alerts/cbf29ce484222325-0/{call}").status_code == 404
    assert client.get(f"/api/v1/alerts/nonsense/{call}").status_code == 404


def test_what_people_do_is_in_every_judgement(client: httpx.Client) -> None:
    namespace, now = f"ns-{uuid4().hex}", datetime.now(UTC)
    for minutes in (40, 20):
        begins = now - minutes * _MINUTE
        for sent in (_alert(namespace, "Acted", begins), _alert(namespace, "Acted", begins, begins + 5 * _MINUTE)):
            assert client.post("/webhook", content=webhook(sent), headers=_JSON).status_code == 200
    parameters = {"namespace": namespace, "sort": "starts_at"}
    first, last = client.get("/history", params=parameters).json()["alerts"]
    body = {"by": "ada", "text": "looking"}
    assert client.post(f"/api/v1/alerts/{first['id']}/acknowledge", json=body).status_code == 200
    acted_history = History(namespace, last["id"])
    [similar] = client.get(f"/api/v1/alerts/{last['id']}/similar").json()["same_alert"]
    assert [(act["kind"], act["by"], act["text"]) for act in similar["acts"]] == [("acknowledged", "ada", "looking")]
    response = _ask(client, f"{_STATS}/response", acted_history)
    assert (response["times"]["begun"], response["times"]["acknowledged"], response["people"][0]["by"]) == (2, 1, "ada")
    parts = {part["name"]: part for part in _ask(client, f"{_STATS}/noise", acted_history)["rules"][0]["parts"]}
    assert (parts["nobody_acted"]["count"], parts["nobody_acted"]["of"]) == (1, 2)
