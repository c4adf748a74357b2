"""The dashboard is the one that its program makes, can be read, and asks for what exists."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from monitoring import dashboard

from tests.monitoring.test_rules import OURS, RECORDS, exposed

HELD: dict[str, Any] = json.loads(dashboard.PATH.read_text(encoding="utf-8"))
PANELS = [panel for panel in HELD["panels"] if panel["type"] != "row"]
BY_TITLE = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
SUBJECTS = {"At a glance", "Traffic", "Recording", "What fires", "Publishing", "Enrichment", "Noise", "Resources"}
BUILT_IN = {"__rate_interval", "__all"}


def queries() -> Iterator[tuple[str, str]]:
    """Every query with where it stands: of panels, variables and notes."""
    for panel in PANELS:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])
    for variable in HELD["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"]["query"]
    for note in HELD["annotations"]["list"]:
        yield f"note {note['name']}", note["target"]["expr"]


def fields(node: Any, name: str) -> Iterator[Any]:
    """Every value under that name, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == name:
                yield value
            yield from fields(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from fields(value, name)


def test_the_file_is_what_the_program_makes() -> None:
    assert dashboard.PATH.read_text(encoding="utf-8") == dashboard.text(), "run `make dashboard`"


def test_every_subject_has_its_row() -> None:
    assert {panel["title"] for panel in HELD["panels"] if panel["type"] == "row"} == SUBJECTS


def test_it_asks_the_data_source_that_the_reader_chooses_and_no_other() -> None:
    assert {source["uid"] for source in fields(HELD, "datasource")} == {"${datasource}"}
    assert set(fields(HELD, "uid")) == {"${datasource}"}
    assert "id" not in HELD


def test_every_variable_that_is_used_exists_and_the_other_way_round() -> None:
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(HELD)))
    assert used - BUILT_IN == {variable["name"] for variable in HELD["templating"]["list"]}


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    numbers = [panel["id"] for panel in HELD["panels"]]
    assert len(set(numbers)) == len(numbers)
    places = [panel["gridPos"] for panel in HELD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert not [(a, b) for a, b in combinations(places, 2) if _overlap(a, b)]


@BY_TITLE
def test_a_panel_says_what_it_shows_in_which_unit(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 5
    assert panel["targets"]
    assert panel["type"] == "state-timeline" or panel["fieldConfig"]["defaults"]["unit"]
    assert panel["gridPos"]["w"] >= 3


@BY_TITLE
def test_lines_of_a_panel_can_be_told_apart(panel: dict[str, Any]) -> None:
    if panel["type"] in {"timeseries", "state-timeline"}:
        legends = [target["legendFormat"] for target in panel["targets"]]
        assert "__auto" not in legends
        assert len(set(legends)) == len(legends)


def test_every_metric_that_is_asked_for_exists() -> None:
    unknown = {(where, name) for where, query in queries() for name in OURS.findall(query)}
    assert {(where, name) for where, name in unknown if name not in exposed() | set(RECORDS)} == set()


def test_every_metric_of_ours_is_shown_somewhere() -> None:
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for _, query in queries() for name in OURS.findall(query)}
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed() if name.startswith("alert_history_")}
    # They count since the process started; the panels show the same over a time of the reader's choice.
    since_the_start = {"alert_history_publishing_success_rate", "alert_history_enrichment_efficiency"}
    assert ours - asked == since_the_start


def _overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    is_beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    is_above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    return not (is_beside or is_above)
