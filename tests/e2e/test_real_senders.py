"""Other senders: a real vmalert, people with amtool and curl, Grafana 12; and set-ups as our own pages write them."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e import senders
from tests.e2e.history import ONCE, Tell
from tests.e2e.senders import Rule
from tests.e2e.stage import Stage, scene, seconds_ago

pytestmark = pytest.mark.timeout(300)


def post(stage: Stage, path: str, body: Any) -> None:
    """Send this to each of our services, as curl would."""
    for url in stage.urls(path):
        answer = httpx.post(url, json=body, trust_env=False, timeout=10)
        assert answer.status_code == httpx.codes.OK, answer.text


# --- vmalert ----------------------------------------------------------------------------------------------------------


@scene(vmalert=[Rule("Evaluated", {"empty": "''"}), Rule("EvaluatedToo")])
def vmalert_fires(stage: Stage) -> None:
    """The rule's name stands twice in its labels, one label is empty, times have nanoseconds."""
    stage.conditions.begin("Evaluated")
    stage.conditions.begin("EvaluatedToo")
    stage.until_repeated("Evaluated", 3)
    stage.until_repeated("EvaluatedToo", 3)
    stage.conditions.end("Evaluated")
    stage.until_state("Evaluated", "resolved")
    stage.until_repeated("Evaluated", 3)


def test_what_vmalert_fires_and_resolves_is_one_page_and_one_resolve(story: Tell) -> None:
    evaluated = story(vmalert_fires, "Evaluated")
    assert evaluated.kinds == ["fired", "resolved"]
    assert (evaluated.only["ended_by"], evaluated.event_kinds, evaluated.actions) == ("resolved", *ONCE)


def test_an_empty_label_of_vmalert_is_a_missing_one(story: Tell) -> None:
    assert "empty" not in story(vmalert_fires, "Evaluated").only["labels"]


def test_vmalert_takes_our_answer_for_a_success(story: Tell, vmalert_errors: list[str]) -> None:
    assert story(vmalert_fires, "EvaluatedToo").only["repeat_count"] > 1
    assert [line.rpartition(" ")[2] for line in vmalert_errors] == ["0", "0"]


# --- People -----------------------------------------------------------------------------------------------------------


@scene()
def amtool_adds_here(stage: Stage) -> None:
    """Somebody adds an alert with amtool at our own API, which has no time at all, and resolves it without a start."""
    for url in stage.urls(""):
        stage.amtool(url, "alert", "add", "AddedHere", "member=db-1")
    stage.until_state("AddedHere", "firing")
    for url in stage.urls(""):
        stage.amtool(url, "alert", "add", "AddedHere", "member=db-1", f"--end={seconds_ago(5)}")
    stage.until_state("AddedHere", "resolved")


def test_what_amtool_adds_and_resolves_here_is_one_occurrence(story: Tell) -> None:
    added = story(amtool_adds_here, "AddedHere")
    assert (added.only["ended_by"], added.event_kinds, added.actions) == ("resolved", *ONCE)


@scene(prometheus_a=[Rule("ClearedByHand")])
def somebody_clears_what_fires_on(stage: Stage) -> None:
    """Somebody resolves by curl, without a start, what Prometheus fires and goes on to fire."""
    stage.conditions.begin("ClearedByHand")
    stage.until_state("ClearedByHand", "firing")
    labels = stage.histories[0].of("ClearedByHand")[0]["labels"]
    post(stage, "/api/v2/alerts", [{"labels": labels, "endsAt": seconds_ago(0)}])
    stage.until_repeated("ClearedByHand", 2)
    stage.conditions.end("ClearedByHand")
    stage.until_state("ClearedByHand", "resolved")


def test_what_somebody_clears_and_prometheus_still_fires_is_told_anew(story: Tell) -> None:
    cleared = story(somebody_clears_what_fires_on, "ClearedByHand")
    assert cleared.event_kinds == ["fired", "resolved", "refired", "resolved"]
    assert cleared.actions == ["trigger", "resolve", "trigger", "resolve"]


def test_a_clear_without_annotations_keeps_what_the_firing_said(story: Tell) -> None:
    cleared = story(somebody_clears_what_fires_on, "ClearedByHand")
    assert [message["annotations"] for message in cleared.messages] == 4 * [{"summary": "db-1 has it"}]


# --- Grafana ----------------------------------------------------------------------------------------------------------


def grafana(alertname: str, status: str, *, starts_at: str, ends_at: str) -> dict[str, Any]:
    """A webhook of Grafana's about one alert."""
    labels = {"alertname": alertname, "grafana_folder": "Infrastructure"}
    alert = {"status": status, "labels": labels, "annotations": {}, "startsAt": starts_at, "endsAt": ends_at}
    return {
        "receiver": "history",
        "status": status,
        "alerts": [{**alert, "values": {"B": 1.0}, "valueString": "", "silenceURL": "https://grafana.example.com/s"}],
        "groupLabels": {"alertname": alertname},
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "https://grafana.example.com/",
        "version": "1",
        "groupKey": f'{{}}:{{alertname="{alertname}"}}',
        "truncatedAlerts": 0,
        "orgId": 1,
        "title": alertname,
        "state": "alerting",
        "message": "",
    }


@scene()
def grafana_overwrites_the_start(stage: Stage) -> None:
    """Grafana 12 resolves with the start overwritten by the end."""
    firing = grafana("OverwrittenStart", "firing", starts_at=seconds_ago(60), ends_at="0001-01-01T00:00:00Z")
    post(stage, "/webhook/proxy", firing)
    stage.until_state("OverwrittenStart", "firing")
    end = seconds_ago(0)
    post(stage, "/webhook/proxy", grafana("OverwrittenStart", "resolved", starts_at=end, ends_at=end))
    stage.until_state("OverwrittenStart", "resolved")


def test_a_resolve_of_grafana_12_closes_the_page_that_its_firing_opened(story: Tell) -> None:
    overwritten = story(grafana_overwrites_the_start, "OverwrittenStart")
    assert (overwritten.only["ended_by"], overwritten.event_kinds, overwritten.actions) == ("resolved", *ONCE)


def test_what_a_grafana_says_stays_in_a_scope_of_its_own(story: Tell) -> None:
    assert story(grafana_overwrites_the_start, "OverwrittenStart").only["scope"].startswith("grafana-")


# --- As our pages have it ---------------------------------------------------------------------------------------------


def documented(sender: str, alertname: str) -> Callable[[Stage], None]:
    """An alert fires and resolves at an Alertmanager that is set up as a page says."""

    def play(stage: Stage) -> None:
        alert = {"labels": {"alertname": alertname, "member": "db-1"}, "startsAt": seconds_ago(1)}
        stage.post(sender, alert)
        stage.until_state(alertname, "firing")
        stage.post(sender, {**alert, "endsAt": seconds_ago(0)})
        stage.until_state(alertname, "resolved")

    return play


def test_every_page_sets_up_alertmanager_beside_others_alike() -> None:
    pages = [("connect-alertmanager.md", 1), ("connect-sources.md", 0), ("../../README.md", 0)]
    configs = [senders.documented(page, "route", nth=nth) for page, nth in pages]
    for config in configs:
        for hook in config["receivers"][0]["webhook_configs"]:
            hook["url"] = urlsplit(hook["url"]).path
    assert configs[1:] == 2 * [configs[0]]


all_through_us = scene()(documented("through", "AllThrough"))
recorded_beside = scene()(documented("beside", "RecordedBeside"))


def test_all_alerts_through_us_page_once_and_resolve_once(story: Tell) -> None:
    through = story(all_through_us, "AllThrough")
    assert (through.only["ended_by"], through.event_kinds, through.actions) == ("resolved", *ONCE)


def test_what_is_only_recorded_is_told_to_nobody(story: Tell) -> None:
    beside = story(recorded_beside, "RecordedBeside")
    assert (beside.kinds, beside.event_kinds, beside.actions) == (["fired", "resolved"], [], [])


SCENES = [
    vmalert_fires,
    amtool_adds_here,
    somebody_clears_what_fires_on,
    grafana_overwrites_the_start,
    all_through_us,
    recorded_beside,
]
