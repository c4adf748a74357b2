"""Changes of state of Grafana's alerts become firings.

Holds: `origins.imports.grafana_states`, `origins.imports.grafana_pairing`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.origins.imports.grafana_pairing import Pairing
from alert_history.origins.imports.grafana_rules import Rules
from alert_history.origins.imports.grafana_states import (
    Annotation,
    BadState,
    Frame,
    change_of_annotation,
    change_of_line,
    labels_of,
    sent_labels,
)
from alert_history.ports.past_origins import ImportRequest
from tests.vendors.grafana import text_of

NOW = datetime(2026, 11, 1, tzinfo=UTC)
AT_MS = 1_790_000_000_000
LABELS = {"alertname": "High", "grafana_folder": "Web", "zone": "eu"}


def at(minute: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=AT_MS, minutes=minute)


def annotation(minute: int, states: str, **fields: Any) -> Annotation:
    before, now = states.split(" > ")
    return Annotation(
        **{
            "id": minute,
            "alert_id": 7,
            "time": AT_MS + minute * 60_000,
            "prev_state": before,
            "new_state": now,
            "text": text_of("High", LABELS),
            **fields,
        }
    )


def paired(*annotations: Annotation, start: datetime | None = None) -> tuple[list[PastFiring], list[RefusedRow]]:
    pairing = Pairing(ImportRequest({}, NOW, start=start), Rules(), scope="s", external_url="http://g/")
    found = [each for one in annotations for each in pairing.take(change_of_annotation(one))]
    firings = [each for each in found if isinstance(each, PastFiring)] + list(pairing.rest())
    return firings, [each for each in found if isinstance(each, RefusedRow)]


def spans(firings: list[PastFiring]) -> list[tuple[str, datetime, datetime | None, str]]:
    return [(each.labels["alertname"], each.starts_at, each.ends_at, each.ended_by) for each in firings]


# --- What an annotation says ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, labels",
    [
        ("a=1, b=2", {"a": "1", "b": "2"}),
        ("a=x=y, b=", {"a": "x=y"}),
        ("a=one, two, b=3", {"a": "one, two", "b": "3"}),
        ("b=1, a=2", {"b": "1, a=2"}),
        ("a=1, z=2, b=3", {"a": "1", "z": "2, b=3"}),
        ("", {}),
        ("no labels", {}),
    ],
)
def test_labels_are_read_as_grafana_writes_them(text: str, labels: dict[str, str]) -> None:
    assert labels_of(text) == labels


@pytest.mark.parametrize(
    "title, labels",
    [
        ("High", LABELS),
        ("High {of} - all", LABELS | {"note": "} - {x"}),
        ("Ärger", {"alertname": "Ärger", "url": "http://x/?a=b&c=d"}),
    ],
)
def test_a_text_gives_its_labels(title: str, labels: dict[str, str]) -> None:
    assert change_of_annotation(annotation(0, "Normal > Alerting", text=text_of(title, labels))).labels == labels


def test_a_text_without_an_alertname_gives_its_title() -> None:
    assert change_of_annotation(annotation(0, "Normal > Alerting", text="High {} - B=1")).labels == {
        "alertname": "High"
    }


@pytest.mark.parametrize(
    "fields", [{"text": "High - no labels"}, {"text": None}, {"new_state": "Burning"}, {"time": 10**18}]
)
def test_an_annotation_that_makes_no_sense_is_bad(fields: dict[str, Any]) -> None:
    with pytest.raises(BadState):
        change_of_annotation(annotation(0, "Normal > Alerting", **fields))


def test_an_alert_of_the_alerting_before_grafana_9_has_its_name_and_its_graph() -> None:
    data = {"evalMatches": [{"metric": "load", "tags": None, "value": 3.5}]}
    fields = {"alert_name": "Load", "text": "", "dashboard_uid": "d1", "panel_id": 2, "data": data}
    change = change_of_annotation(annotation(0, "ok > alerting", **fields))
    assert change.labels == {"alertname": "Load", "dashboard_uid": "d1", "panel_id": "2"}
    assert (change.values, change.rule_id) == ({"load": 3.5}, 0)


def test_without_data_and_on_errors_grafana_notifies_of_another_alert() -> None:
    assert sent_labels(LABELS, "NoData") == LABELS | {"alertname": "DatasourceNoData", "rulename": "High"}
    assert sent_labels(LABELS, "Error")["alertname"] == "DatasourceError"
    assert sent_labels(LABELS, "Alerting") == LABELS


# --- What a line of Loki's says ---------------------------------------------------------------------------------------


def test_a_frame_gives_times_to_the_microsecond_and_lines() -> None:
    columns = {"values": [[AT_MS], [{"current": "Alerting"}], [{}]], "nanos": [[1500], None, None]}
    frame = {"schema": {"fields": [{"name": "time"}, {"name": "line"}, {"name": "labels"}]}, "data": columns}
    (row,) = msgspec.convert(frame, Frame).rows()
    assert row == (at(0) + timedelta(microseconds=1), {"current": "Alerting"})


def test_a_frame_without_rows_gives_none() -> None:
    assert list(Frame().rows()) == []


def test_a_frame_of_other_columns_is_bad() -> None:
    other = {"schema": {"fields": [{"name": "time"}, {"name": "text"}]}, "data": {"values": [[1], ["x"]]}}
    with pytest.raises(BadState, match="time, text"):
        list(msgspec.convert(other, Frame).rows())


@pytest.mark.parametrize("line", ["{", 7, {"labels": {"a": 1}}, {"current": "Burning"}])
def test_a_line_that_makes_no_sense_is_bad(line: Any) -> None:
    with pytest.raises(BadState):
        change_of_line(at(0), line)


# --- Firings ----------------------------------------------------------------------------------------------------------


def test_a_firing_begins_when_it_alerts_and_ends_when_it_is_normal() -> None:
    firings, refused = paired(
        annotation(0, "Normal > Pending"),
        annotation(1, "Pending > Alerting", data={"values": {"B": 22}}),
        annotation(2, "Alerting > Alerting (NoData)"),
        annotation(3, "Alerting (NoData) > Recovering"),
        annotation(5, "Recovering > Normal (MissingSeries)"),
    )
    assert spans(firings) == [("High", at(1), at(5), "resolved")]
    assert (firings[0].labels, firings[0].details) == (LABELS, {"values": {"B": 22}})
    assert not refused


def test_without_data_another_alert_fires() -> None:
    firings, _ = paired(
        annotation(0, "Normal > Alerting"),
        annotation(1, "Alerting > NoData"),
        annotation(2, "NoData > Error (Error)"),
        annotation(3, "Error > Normal"),
    )
    assert spans(firings) == [
        ("High", at(0), at(1), "resolved"),
        ("DatasourceNoData", at(1), at(2), "resolved"),
        ("DatasourceError", at(2), at(3), "resolved"),
    ]


def test_alerts_of_other_labels_or_rules_are_others() -> None:
    firings, _ = paired(
        annotation(0, "Normal > Alerting"),
        annotation(1, "Normal > Alerting", alert_id=8),
        annotation(2, "Normal > Alerting", text=text_of("High", LABELS | {"zone": "us"})),
        annotation(3, "Alerting > Normal", alert_id=8),
    )
    assert [each.ends_at for each in firings] == [at(3), None, None]


def test_what_fires_still_was_last_seen_when_the_history_was_read() -> None:
    ((firing,), _) = paired(annotation(0, "Normal > Alerting"))
    assert (firing.ends_at, firing.last_seen_at) == (None, NOW)


def test_an_end_whose_beginning_is_not_there_is_refused_unless_it_was_left_out() -> None:
    changes = annotation(0, "Alerting > Alerting (NoData)"), annotation(1, "Alerting (NoData) > Normal")
    firings, refused = paired(*changes)
    assert not firings
    assert [row.place for row in refused] == ["annotation 1"]
    assert paired(*changes, start=at(0)) == ([], [])


def test_a_firing_whose_end_is_not_there_is_known_for_its_beginning_only() -> None:
    firings, _ = paired(
        annotation(0, "Normal > Alerting"),
        annotation(5, "Normal > Alerting"),
        annotation(6, "Alerting > Normal"),
    )
    assert spans(firings) == [("High", at(0), at(0), "inferred"), ("High", at(5), at(6), "resolved")]


def test_old_states_pair_too() -> None:
    old = {"alert_name": "Load", "text": ""}
    firings, _ = paired(
        annotation(0, "unknown > ok", **old),
        annotation(1, "ok > pending", **old),
        annotation(2, "pending > alerting", **old),
        annotation(3, "alerting > no_data", **old),
        annotation(4, "no_data > paused", **old),
    )
    assert spans(firings) == [("Load", at(2), at(3), "resolved"), ("DatasourceNoData", at(3), at(4), "resolved")]
