"""amtool reads our Alertmanager's API as it reads an Alertmanager that holds the same: both print the same.

The Alertmanager is the one of the system (0.25). Holds: `web.alertmanager`, `engine.silence_writes`,
`origins.alertmanager_silences`.
"""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from tests import servers
from tests.processes import HOST, Server, find_program, free_port, wait_until

CONFIG = """
route:
  receiver: all
  group_by: [alertname]
  group_wait: 1s
  routes:
  - matchers: [team="db"]
    receiver: db
    continue: true
  - matchers: [severity="critical"]
    receiver: pager
  - matchers: [severity="critical"]
    receiver: db
    group_by: ['...']
inhibit_rules:
- source_matchers: [severity="critical"]
  target_matchers: [severity="warning"]
  equal: [node]
receivers:
- name: all
- name: db
- name: pager
"""
_DISTANT = "2126-01-01T00:00:00Z"
"""As an end it is far ahead; it must be the same on both sides, and an Alertmanager makes up one that is not given."""
_LABELS: tuple[dict[str, str], ...] = (
    {"alertname": "NodeDown", "node": "a", "severity": "critical", "team": "db"},
    {"alertname": "NodeSlow", "node": "a", "severity": "warning"},
    {"alertname": "NodeSlow", "node": "b", "severity": "warning", "job": "node", "instance": "b:1"},
    {"alertname": "Disk full", "severity": "info", "path": 'C:\\"x"', "job": "node"},
    {"alertname": "Старый", "severity": "info"},
)


class Pair(NamedTuple):
    """An Alertmanager, and ours, which has been sent the same and has polled it."""

    theirs: Server
    ours: Server
    posted_at: datetime
    silences: dict[str, str]


def amtool(*words: str, url: str) -> str:
    """What amtool prints, or why it can't. That its version is not that of the other side it says beside."""
    program = find_program("amtool", package="prometheus-alertmanager")
    command = [program, f"--alertmanager.url={url}", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, env={"TZ": "UTC", "HOME": "/nonexistent"}
    )
    return done.stdout or done.stderr


def _alerts() -> list[dict[str, Any]]:
    begin = datetime(2026, 1, 31, 10, tzinfo=UTC)
    return [
        {
            "labels": labels,
            "annotations": {"summary": f'"{labels["alertname"]}" <b>满</b>'},
            "startsAt": (begin + timedelta(minutes=n, milliseconds=250)).isoformat(),
            "endsAt": _DISTANT,
            "generatorURL": "http://prometheus/graph?a=b&c=d" if n else "",
        }
        for n, labels in enumerate(_LABELS)
    ]


def _silences(theirs: Server) -> dict[str, str]:
    def add(*words: str) -> str:
        return amtool("silence", "add", *words, url=theirs.url).strip()

    made = {
        "long": add("alertname=~Disk.*|None", "--author=ann", "--comment=to be mended & <b>", "--duration=2d"),
        "short": add("alertname=Старый", "job=", "--author=bob", "--comment=known", "--duration=30m"),
        "pending": add("team!=db", "--author=bob", "--comment=later", f"--start={_in(60)}", f"--end={_in(90)}"),
        "over": add("severity=critical", "--author=ann", "--comment=was wrong", "--duration=1h"),
    }
    amtool("silence", "expire", made["over"], url=theirs.url)
    return made


def _in(minutes: int) -> str:
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with servers.alertmanager_server(CONFIG) as theirs:
        silences = _silences(theirs)
        settings = {
            "ALERTMANAGER_URLS": f"main=http://{HOST}:{free_port()},main={theirs.url}",  # its first peer is away
            "RECONCILE_INTERVAL_SECONDS": "5",
            "SILENCE_WRITES": "true",
        }
        posted_at = datetime.now(UTC)
        for_theirs = httpx.post(f"{theirs.url}/api/v2/alerts", json=_alerts(), trust_env=False)
        with servers.service(settings) as ours:
            for_ours = httpx.post(f"{ours.url}/api/v2/alerts", json=_alerts(), trust_env=False)
            assert (for_theirs.status_code, for_ours.status_code) == (200, 200)
            made = Pair(theirs, ours, posted_at, silences)
            wait_until(lambda: _is_polled(made), "ours has polled theirs")
            yield made


def _is_polled(pair: Pair) -> bool:
    return (
        len(_get(pair.ours, "silences")) == len(pair.silences)
        and "inhibit" in _get(pair.ours, "status")["config"]["original"]
    )


def _get(server: Server, path: str) -> Any:
    return httpx.get(f"{server.url}/api/v2/{path}", trust_env=False, timeout=30).raise_for_status().json()


def _without_updates(text: str) -> Any:
    """JSON without `updatedAt`, which is when each got it, and `mutedBy`, which 0.25 does not say."""
    return _cleaned(msgspec.json.decode(text))


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _cleaned(v) for k, v in value.items() if k not in {"updatedAt", "mutedBy", "routeLabels"}}
    return [_cleaned(each) for each in value] if isinstance(value, list) else value


ALERT_QUERIES: tuple[tuple[str, ...], ...] = (
    (),
    ("-a",),
    ("-s",),
    ("-i",),
    ("-u",),
    ("-a", "-s", "-i", "-u"),
    ("-s", "-i"),
    ("NodeDown",),
    ("alertname=NodeSlow", "-i"),
    ("-a", "-i", "alertname=~Node.*", "node!=b"),
    ("-a", "team="),
    ("-s", 'path="C:\\\\\\"x\\""'),
    ("-a", "severity=~crit"),
    ("-a", "--receiver=db"),
    ("-a", "-i", "--receiver=a.*"),
    ("-a", "--receiver=("),
    ("-a", "severity=critical", "{team=db}"),
    ("severity=critical", "alertname=~("),
)


@pytest.mark.parametrize("words", ALERT_QUERIES, ids=" ".join)
@pytest.mark.parametrize("output", ["simple", "extended", "json"])
def test_amtool_prints_the_same_alerts(pair: Pair, words: tuple[str, ...], output: str) -> None:
    query = ("alert", "query", f"--output={output}", *words)
    expected, shown = amtool(*query, url=pair.theirs.url), amtool(*query, url=pair.ours.url)
    if "error" in expected:
        assert shown.startswith("amtool: error: ")
    elif output == "json":
        assert _without_updates(shown) == _without_updates(expected)
    else:
        assert shown == expected


SILENCE_QUERIES: tuple[tuple[str, ...], ...] = (
    (),
    ("--expired",),
    ("--within=1h",),
    ("--within=1h", "--expired"),
    ("--created-by=bob",),
    ("-q",),
    ("team!=db",),
    ("alertname=~Disk.*|None",),
    ("alertname=Старый", "job="),
    ("Старый",),
)


@pytest.mark.parametrize("words", SILENCE_QUERIES, ids=" ".join)
@pytest.mark.parametrize("output", ["simple", "extended", "json"])
def test_amtool_prints_the_same_silences(pair: Pair, words: tuple[str, ...], output: str) -> None:
    query = ("silence", "query", f"--output={output}", *words)
    assert amtool(*query, url=pair.ours.url) == amtool(*query, url=pair.theirs.url)


def test_amtool_prints_the_same_silence_by_its_id(pair: Pair) -> None:
    query = ("silence", "query", f"--id={pair.silences['short']}", "--output=json")
    assert amtool(*query, url=pair.ours.url) == amtool(*query, url=pair.theirs.url)


@pytest.mark.parametrize("words", [("config", "show"), ("cluster", "show"), ("config", "routes", "show")], ids=" ".join)
@pytest.mark.parametrize("output", ["simple", "json"])
def test_amtool_prints_the_same_status(pair: Pair, words: tuple[str, ...], output: str) -> None:
    query = (*words, f"--output={output}")
    assert amtool(*query, url=pair.ours.url) == amtool(*query, url=pair.theirs.url)


def test_amtool_tests_routes_by_what_we_show(pair: Pair) -> None:
    query = ("config", "routes", "test", "severity=critical", "team=db")
    assert amtool(*query, url=pair.ours.url) == amtool(*query, url=pair.theirs.url) == "db,pager\n"


@pytest.mark.parametrize("path", ["status", "receivers", "alerts", "alerts/groups", "silences"])
def test_answers_are_the_same_for_who_reads_the_json(pair: Pair, path: str) -> None:
    expected, shown = _cleaned(_get(pair.theirs, path)), _cleaned(_get(pair.ours, path))
    if path == "receivers":  # labels came with 0.33
        shown = [{"name": receiver["name"]} for receiver in shown]
    if path == "status":
        shown["cluster"] = {name: shown["cluster"][name] for name in expected["cluster"]}
    assert shown == expected


# --- at ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/at/{now}", "/at/{now}/am/main", "/am/main", "/at/now/"])
def test_amtool_asks_by_the_url_that_it_is_given(pair: Pair, prefix: str) -> None:
    url = pair.ours.url + prefix.replace("{now}", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}")
    query = ("alert", "query", "-a", "-s", "-i")
    assert amtool(*query, url=url) == amtool(*query, url=pair.theirs.url)


def test_amtool_finds_nothing_before_anything_was_posted(pair: Pair) -> None:
    before = f"{pair.ours.url}/at/{pair.posted_at - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    assert amtool("alert", "query", "-a", "-s", "-i", url=before).split() == [
        "Alertname",
        "Starts",
        "At",
        "Summary",
        "State",
    ]
    assert "is not known for" in amtool("config", "show", url=before)


# --- changes ----------------------------------------------------------------------------------------------------------


def test_amtool_makes_and_ends_a_silence_through_us(pair: Pair) -> None:
    made = amtool("silence", "add", "alertname=Unheard", "--author=eve", "--comment=x", url=pair.ours.url).strip()
    query = ("silence", "query", "--created-by=eve", "-q")
    assert amtool(*query, url=pair.ours.url) == amtool(*query, url=pair.theirs.url) == f"{made}\n"
    assert amtool("silence", "expire", made, url=f"{pair.ours.url}/am/main") == ""
    assert amtool(*query, url=pair.ours.url) == amtool(*query, url=pair.theirs.url) == ""


def test_what_an_alertmanager_refuses_is_refused_in_its_words(pair: Pair) -> None:
    expected, shown = (
        httpx.post(f"{server.url}/api/v2/silences", json={"id": "x"}, trust_env=False)
        for server in (pair.theirs, pair.ours)
    )
    assert (shown.status_code, shown.content) == (expected.status_code, expected.content)


def test_silences_of_the_past_are_not_changed(pair: Pair) -> None:
    answer = httpx.post(f"{pair.ours.url}/at/-1h/api/v2/silences", json={}, trust_env=False)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    answer = httpx.post(f"{pair.ours.url}/api/v2/silences?at=-1h", json={}, trust_env=False)
    assert answer.json() == "at: silences are changed now; what was so in the past can only be asked"


def test_silences_are_changed_only_where_the_operator_says_so(live: Server) -> None:
    answer = httpx.post(f"{live.url}/api/v2/silences", json={}, trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/json")
    assert "SILENCE_WRITES is false" in answer.json()


def test_amtool_takes_the_configuration_that_stands_for_none(live: Server, tmp_path: Any) -> None:
    shown = amtool("config", "show", url=live.url)
    assert "# Alert History knows no Alertmanager" in shown
    path = tmp_path / "shown.yml"
    path.write_text(shown)
    assert "SUCCESS" in amtool("check-config", str(path), url=live.url)
