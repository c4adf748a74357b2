"""Labels over HTTP: their names and values, with counts.

Holds: `web.api.labels`.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.payloads import alert, webhook
from tests.processes import Server
from tests.servers import service

_JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def name(live: Server) -> str:
    """A label of the tests' own, with a name that is hard to spell: `eu` on two alerts, `eu/west` and `us` on one."""
    made = f"größe/{uuid4().hex} %2F"
    sent = [alert(n, **{made: value}) for n, value in enumerate(["eu", "eu", "eu/west", "us"])]
    answer = httpx.post(f"{live.url}/webhook", content=webhook(*sent), headers=_JSON, trust_env=False)
    assert answer.status_code == 200
    return made


def _values(client: httpx.Client, name: str, **parameters: Any) -> Any:
    answer = client.get(f"/api/v1/labels/{quote(name, safe='')}/values", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_names_have_their_counts(tmp_path: Path) -> None:
    """On a service of its own: the shared one may know more names than are counted."""
    with service({"DATABASE_URL": f"sqlite:///{tmp_path / 'labels.db'}"}) as server:
        sent = [alert(n, zone=value) for n, value in enumerate(["eu", "eu", "eu/west", "us"])]
        httpx.post(f"{server.url}/webhook", content=webhook(*sent), headers=_JSON, trust_env=False)
        document = httpx.get(f"{server.url}/api/v1/labels", trust_env=False).json()
    label = next(label for label in document["labels"] if label["name"] == "zone")
    assert label == {"name": "zone", "occurrences": 4, "value_count": 3, "other_occurrences": 0}
    assert (document["covers"]["is_exact"], document["covers"]["counted_from"]) == (True, "counts")


def test_values_have_their_counts_and_say_what_they_cover(client: httpx.Client, name: str) -> None:
    document = _values(client, name)
    assert document.pop("covers").keys() == {
        "fresh_as_of", "is_exact", "counted_from", "occurrences_read", "since", "left_out"
    }  # fmt: skip
    assert document == {
        "name": name,
        "occurrences": 4,
        "value_count": 3,
        "other_occurrences": 0,
        "values": [
            {"value": "eu", "occurrences": 2},
            {"value": "eu/west", "occurrences": 1},
            {"value": "us", "occurrences": 1},
        ],
        "is_complete": True,
    }


def test_prefix_limit_and_query_narrow(client: httpx.Client, name: str) -> None:
    assert [value["value"] for value in _values(client, name, prefix="eu")["values"]] == ["eu", "eu/west"]
    assert [value["value"] for value in _values(client, name, limit=1)["values"]] == ["eu"]
    instance_values = _values(client, name, query='instance="db-2:9100"')
    assert [value["value"] for value in instance_values["values"]] == ["eu/west"]
    assert instance_values["covers"]["counted_from"] == "occurrences"


def test_name_that_is_called_values_is_a_name(client: httpx.Client) -> None:
    assert _values(client, "values")["name"] == "values"
    assert _values(client, "a/values")["name"] == "a/values"


@pytest.mark.parametrize(
    "parameters", [{"limit": 0}, {"limit": 1001}, {"query": '{a="'}, {"prefix": "\0"}, {"by": "x"}]
)
def test_wrong_parameter_is_named(client: httpx.Client, parameters: dict[str, Any]) -> None:
    answer = client.get("/api/v1/labels/pod/values", params=parameters)
    assert (answer.status_code, next(iter(parameters)) in answer.json()["detail"]) == (400, True)
