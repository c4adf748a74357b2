"""What Opsgenie saved becomes past firings: labels, times, acts; and files of every shape.

Holds: `origins.imports.opsgenie`, `origins.imports.opsgenie_files`, `origins.imports.opsgenie_firings`,
`origins.imports.opsgenie_labels`, `origins.imports.opsgenie_wire`.
"""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alert_history.domain.alert import fingerprint
from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.errors import ConfigurationError, ImportFault
from alert_history.origins.imports import opsgenie, opsgenie_files
from alert_history.origins.imports.opsgenie_firings import firings_of
from alert_history.origins.imports.opsgenie_labels import label_sets, receiver_of
from alert_history.origins.imports.opsgenie_wire import BadAlert, read_alert
from alert_history.origins.imports.registry import find_origin
from alert_history.ports.past_origins import ImportRequest
from tests.vendors.opsgenie import alert, at

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CREATED_MS = 1_790_000_000_000
CREATED = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=CREATED_MS)

OF_ALERTMANAGER = """The disk is full

Alerts Firing:
Labels:
 - alertname = DiskFull
 - device = a = b
 - instance = n1:9100
 - note = one
two
Annotations:
 - summary = The disk is full
Source: http://prometheus:9090/graph?g0.expr=up
Labels:
 - alertname = DiskFull
 - instance = n2:9100
Annotations:
Source:
Alerts Resolved:
Labels:
 - alertname = DiskFull
 - instance = n3:9100
Annotations:
Source: x
"""
OF_GRAFANA = """**Firing**

Value: B=22, C=1
Labels:
 - alertname = High
 - grafana_folder = Web
Annotations:
 - runbook = r
Source: http://grafana/alerting/grafana/u1/view
Silence: http://grafana/alerting/silence/new
"""


def read(**fields: Any) -> list[PastFiring]:
    return firings_of(read_alert(alert(7, created_ms=CREATED_MS, **fields)), place="p")


async def imported(file: Path, **options: str) -> tuple[list[PastFiring], list[RefusedRow]]:
    given = {"file": (str(file),)} | {name.replace("_", "-"): (text,) for name, text in options.items()}
    batches = [batch async for batch in find_origin("opsgenie").read(ImportRequest(given, NOW))]
    assert batches[-1].done == 1.0
    return [f for batch in batches for f in batch.firings], [r for batch in batches for r in batch.refused]


# --- Labels -----------------------------------------------------------------------------------------------------------


def test_each_alert_that_alertmanager_listed_as_firing_is_a_firing_with_its_labels() -> None:
    found_by, sets = label_sets(read_alert(alert(1, created_ms=1, description=OF_ALERTMANAGER)))
    assert found_by == "description"
    assert [each.labels for each in sets] == [
        {"alertname": "DiskFull", "device": "a = b", "instance": "n1:9100", "note": "one\ntwo"},
        {"alertname": "DiskFull", "instance": "n2:9100"},
    ]
    assert sets[0].annotations == {"summary": "The disk is full"}
    assert [each.generator_url for each in sets] == ["http://prometheus:9090/graph?g0.expr=up", ""]


def test_a_label_set_that_is_cut_off_is_left_out() -> None:
    cut = OF_ALERTMANAGER[: OF_ALERTMANAGER.index(" - instance = n2")]
    assert len(read(description=cut)) == 1


def test_the_labels_that_grafana_lists_are_taken_too() -> None:
    (firing,) = read(description=OF_GRAFANA)
    assert firing.labels == {"alertname": "High", "grafana_folder": "Web"}
    assert firing.generator_url == "http://grafana/alerting/grafana/u1/view"


def test_details_are_the_labels_where_alertmanager_sent_the_alert_with_a_description_of_its_own() -> None:
    details = {"alertname": "Down", "severity": "page", "empty": ""}
    source = "http://alertmanager:9093/#/alerts?receiver=team%2Fweb"
    (firing,) = read(details=details, source=source, description="see the wiki", priority="P1", tags=["a:b"])
    assert firing.labels == {"alertname": "Down", "severity": "page"}
    assert firing.fingerprint == fingerprint({"alertname": "Down", "severity": "page"})
    assert firing.receiver == "team/web"
    assert firing.annotations["description"] == "see the wiki"


def test_other_alerts_have_labels_of_their_fields() -> None:
    fields = {"tags": ["team:web", "night", "http://x/y", "env = live"], "entity": "EC2", "priority": "P1"}
    (firing,) = read(details={"Server Name": "zion", "team": "db"}, **fields)
    assert firing.labels == {
        "alertname": "Message 7",
        "alias": "event_7",
        "entity": "EC2",
        "env": "live",
        "integration": "Nebuchadnezzar",
        "severity": "critical",
        "Server_Name": "zion",
        "tags": "http://x/y,night",
        "team": "db",
    }


@pytest.mark.parametrize("priority, severity", [("P2", "critical"), ("P3", "warning"), ("P5", "info")])
def test_a_priority_is_a_severity(priority: str, severity: str) -> None:
    assert read(priority=priority)[0].labels["severity"] == severity


def test_an_alias_that_opsgenie_made_up_is_no_label() -> None:
    own = alert(7, created_ms=CREATED_MS)
    own["alias"] = own["id"]
    assert "alias" not in firings_of(read_alert(own), place="p")[0].labels


def test_no_receiver_where_alertmanager_did_not_send_it() -> None:
    assert receiver_of(read_alert(alert(1, created_ms=1))) == ""


# --- Times and acts ---------------------------------------------------------------------------------------------------


def test_the_times_of_the_report_count_from_the_creation() -> None:
    report = {"ackTime": 15_702, "closeTime": 60_503, "acknowledgedBy": "a@x.io", "closedBy": "b@x.io"}
    (firing,) = read(report=report, count=79)
    assert (firing.starts_at, firing.ends_at) == (CREATED, CREATED + timedelta(milliseconds=60_503))
    assert (firing.ended_by, firing.repeats) == ("resolved", 78)
    assert [(act.kind, act.by, act.at) for act in firing.acts] == [
        ("acknowledged", "a@x.io", CREATED + timedelta(milliseconds=15_702)),
        ("resolved", "b@x.io", CREATED + timedelta(milliseconds=60_503)),
    ]


def test_an_alert_that_only_its_status_calls_closed_ended_when_it_last_changed() -> None:
    (firing,) = read(report=None)
    assert (firing.ends_at, firing.ended_by) == (CREATED + timedelta(minutes=1), "inferred")


def test_an_open_alert_was_last_known_to_fire_when_it_last_occurred() -> None:
    (firing,) = read(status="open", report=None, lastOccurredAt=at(CREATED_MS + 5000))
    assert (firing.ends_at, firing.last_seen_at) == (None, CREATED + timedelta(seconds=5))


def test_the_log_says_who_did_what_and_an_integration_that_closes_is_nobody() -> None:
    logs = [
        {"log": "Alert created via API [Nebuchadnezzar]", "type": "system", "owner": "System", "createdAt": at(1)},
        {"log": "Alert acknowledged via web", "type": "system", "owner": "neo@x.io", "createdAt": at(2)},
        {"log": "Alert unacknowledged via web", "type": "system", "owner": "neo@x.io", "createdAt": at(3)},
        {"log": "Viewed on [web]", "type": "alertRecipient", "owner": "trinity@x.io", "createdAt": at(4)},
        {"log": "Alert closed via API [Prometheus]", "type": "system", "owner": "Prometheus", "createdAt": at(5)},
    ]
    notes = [{"note": "restarted", "owner": "neo@x.io", "createdAt": at(6)}]
    report = {"ackTime": 1, "acknowledgedBy": "neo@x.io", "closeTime": 9}
    (firing,) = read(logs=logs, notes=notes, report=report)
    assert [(act.kind, act.by, act.text) for act in firing.acts] == [
        ("acknowledged", "neo@x.io", ""),
        ("unacknowledged", "neo@x.io", ""),
        ("noted", "neo@x.io", "restarted"),
    ]


def test_acts_have_the_same_ids_each_time_and_others_at_each_firing() -> None:
    fields = {"description": OF_ALERTMANAGER, "report": {"ackTime": 1, "acknowledgedBy": "a@x.io", "closeTime": 9}}
    ids = [[act.id for firing in read(**fields) for act in firing.acts] for _ in range(2)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"createdAt": None},
        {"createdAt": "yesterday"},
        {"createdAt": "2026-01-01T00:00:00"},
        {"createdAt": 1e300},
        {"report": {"closeTime": 10**30}},
        {"details": "text"},
        {"count": "many"},
        {"id": None},
    ],
)
def test_an_alert_that_makes_no_sense_is_bad(fields: dict[str, Any]) -> None:
    with pytest.raises(BadAlert):
        read(**fields)


# --- Files ------------------------------------------------------------------------------------------------------------


def shapes(alerts: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    page = {"data": alerts, "paging": {"next": "https://x"}, "took": 0.1}
    yield "array.json", json.dumps(alerts)
    yield "page.json", json.dumps(page, indent=2)
    yield "pages.json", json.dumps({"data": alerts[:1], "took": 1}) + json.dumps({"data": alerts[1:]})
    yield "late.json", json.dumps({"took": 0.1, "data": alerts})
    yield "objects.json", "\n".join(json.dumps(each, indent=2) for each in alerts)
    yield "answers.json", "".join(json.dumps({"data": each}) for each in alerts)
    yield "lines.json", "\n".join(json.dumps(each) for each in alerts)
    yield "lines.jsonl", "\n\n".join(json.dumps(each) for each in alerts) + "\n"
    yield "no_ending", "\ufeff" + json.dumps(alerts)


ALERTS = [alert(number, created_ms=CREATED_MS + number, details={"n": str(number)}) for number in range(3)]


@pytest.mark.parametrize("name, text", [pytest.param(*shape, id=shape[0]) for shape in shapes(ALERTS)])
@pytest.mark.parametrize("piece", [1, 1 << 20])
async def test_a_file_of_each_shape_gives_the_same(
    name: str, text: str, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    if name in {"array.json", "page.json", "pages.json", "late.json", "objects.json", "answers.json"}:
        monkeypatch.setattr(opsgenie_files, "_PIECE_CHARACTERS", piece)
    firings, refused = await imported(tmp_path / name)
    assert not refused
    assert [firing.labels["n"] for firing in firings] == ["0", "1", "2"]


@pytest.mark.parametrize("header", ["as the API", "as people"])
async def test_a_table_gives_what_the_api_gave(header: str, tmp_path: Path) -> None:
    own = alert(1, created_ms=CREATED_MS, tags=["night", "team:web"], details={"zone": "a", "x": 1}, count=4)
    own["report"] = {"closeTime": 60_503, "ackTime": 1, "acknowledgedBy": "a@x.io"}
    row = {name: value for name, value in own.items() if name not in {"report", "integration", "responders"}}
    row |= {"tags": str(own["tags"]), "details": str(own["details"]), "count": "4.0", "owner": "nan"}
    row |= {"report.closeTime": "60503.0", "report.ackTime": "1.0", "report.acknowledgedBy": "a@x.io"}
    row |= {"integration.name": "Nebuchadnezzar", "integration.type": "API"}
    if header == "as people":
        shown = {
            "createdAt": "Created At",
            "id": "Alert ID",
            "lastOccurredAt": "last_occurred_at",
            "details": "Details",
        }
        row = {shown.get(name, name): value for name, value in row.items()}
    with (tmp_path / "alerts.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    firings, refused = await imported(tmp_path / "alerts.csv")
    assert not refused
    expected = firings_of(read_alert(own), place="alerts.csv, line 2")
    assert firings == expected


async def test_tags_and_details_of_a_table_may_be_columns_and_lists(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "id,createdAt,tags,details.Zone,integration,status\n"
        f'i1,{CREATED_MS},"night, team:web",a,Prometheus,open\n'
        f"i2,{CREATED_MS},,,,closed,1,2\n"
        "i3,soon,,,,open\n"
        f"i4,{CREATED_MS},[broken,,,open\n"
    )
    firings, refused = await imported(tmp_path / "a.csv")
    assert [firing.labels for firing in firings] == [
        {"alertname": "i1", "integration": "Prometheus", "tags": "night", "team": "web", "Zone": "a"}
    ]
    assert [row.place for row in refused] == ["a.csv, line 3", "a.csv, line 4", "a.csv, line 5"]


async def test_bad_rows_are_refused_with_their_place_and_the_neighbours_go_on(tmp_path: Path) -> None:
    good = json.dumps(ALERTS[0])
    (tmp_path / "a.jsonl").write_text(f'{good}\n{{"id": \n[{good}, 7]\n')
    firings, refused = await imported(tmp_path / "a.jsonl")
    assert len(firings) == 2
    assert [row.place for row in refused] == ["a.jsonl, line 2", "a.jsonl, line 3"]
    assert refused[0].raw == b'{"id": \n'


@pytest.mark.parametrize("text", ["", "[{}", '{"data": [{"id": "1"}', "[1,", '[{"id": nope}]', "[" * 100_000])
async def test_a_document_that_can_t_be_read_names_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text(text)
    if not text:
        assert await imported(tmp_path / "broken.json") == ([], [])
        return
    with pytest.raises(ImportFault, match=r"broken\.json"):
        await imported(tmp_path / "broken.json")


async def test_a_table_without_ids_and_bytes_that_are_no_text_are_faults(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,value\n1,2\n")
    (tmp_path / "b.json").write_bytes(b'["\xff\xfe"]')
    for name in ("a.csv", "b.json", "missing.json"):
        with pytest.raises(ImportFault, match=name):
            await imported(tmp_path / name)


async def test_all_files_of_a_folder_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name, own in zip(("b.json", "a.jsonl", "sub/c.json"), ALERTS, strict=True):
        (tmp_path / name).write_text(json.dumps(own))
    (tmp_path / "readme.txt").write_text("not read")
    firings, _ = await imported(tmp_path)
    assert [firing.labels["n"] for firing in firings] == ["1", "0", "2"]
    assert firings[2].place == "sub/c.json, alert 1"
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImportFault, match="no file"):
        await imported(tmp_path / "empty")


async def test_only_the_asked_span_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(ALERTS))
    given = {"file": (str(tmp_path / "a.json"),)}
    start = CREATED + timedelta(milliseconds=1)
    request = ImportRequest(given, NOW, start=start, end=start + timedelta(milliseconds=1))
    firings = [firing async for batch in opsgenie.read(request) for firing in batch.firings]
    assert [firing.labels["n"] for firing in firings] == ["1"]


@pytest.mark.parametrize("given", [{}, {"file": ("a",), "api-key": ("k",)}])
async def test_a_file_or_a_key_must_be_named_and_not_both(given: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ConfigurationError):
        [batch async for batch in opsgenie.read(ImportRequest(given, NOW))]
