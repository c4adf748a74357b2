"""What a row of Alerta tells of its firings, and of what people did. Holds: `origins.imports.alerta_firings`."""

from typing import Any

import msgspec
import pytest

from alert_history.domain.past_firing import PastFiring
from alert_history.origins.imports.alerta_firings import firings_of
from alert_history.origins.imports.alerta_wire import read_record, read_row
from tests.reading_past import at


def change(
    clock: str, status: str = "open", severity: str = "major", *, kind: str = "severity", **more: Any
) -> dict[str, Any]:
    """One entry of a history, of 14 February."""
    entry = {"updateTime": f"2026-02-14T{clock}.000Z", "status": status, "severity": severity, "type": kind}
    return {"event": "DiskFull", "id": f"message of {clock}", "text": f"text of {clock}", "user": None, **entry, **more}


def row(*history: dict[str, Any], **more: Any) -> str:
    """A row as the API gives it."""
    fields = {"id": "7", "event": "DiskFull", "resource": "db-1", "environment": "Production", "severity": "major"}
    times = {"createTime": "2026-02-14T09:00:00.000Z", "lastReceiveTime": "2026-02-14T23:00:00.000Z"}
    document = {**fields, **times, "status": "open", "type": "exceptionAlert", "history": list(history), **more}
    return msgspec.json.encode(document).decode()


def sent(*, starts: str, ends: str = "0001-01-01T00:00:00Z", **labels: str) -> dict[str, Any]:
    """What Alertmanager's webhook leaves in a row."""
    alert = {
        "status": "firing" if ends.startswith("0001") else "resolved",
        "labels": {"alertname": "DiskFull", "instance": "db-1", **labels},
        "annotations": {"summary": "full"},
        "startsAt": starts,
        "endsAt": ends,
        "generatorURL": "http://g",
    }
    return {"type": "prometheusAlert", "rawData": msgspec.json.encode(alert).decode()}


def spans(firings: list[PastFiring]) -> list[tuple[str, str | None]]:
    """The clocks of starts and ends."""
    return [(f"{each.starts_at:%H:%M}", f"{each.ends_at:%H:%M}" if each.ends_at else None) for each in firings]


def test_each_opening_and_closing_is_a_firing() -> None:
    firings = firings_of(
        read_row(
            row(
                change("10:00:00", kind="new"),
                change("10:05:00", kind="value"),
                change("10:10:00", "closed", "normal"),
                change("11:00:00"),
                change("11:20:00", "expired", kind="expired"),
                change("12:00:00"),
                duplicateCount=3,
            )
        )
    )
    assert spans(firings) == [("10:00", "10:10"), ("11:00", "11:20"), ("12:00", None)]
    assert [firing.ended_by for firing in firings] == ["resolved", "expired", "resolved"]
    assert [firing.repeats for firing in firings] == [0, 0, 3]
    assert firings[-1].last_seen_at == at("14 23:00:00")
    assert len({firing.fingerprint for firing in firings}) == 1


def test_the_newest_message_corrects_the_newest_firing_alone() -> None:
    history = (
        change("10:00:30", kind="new"),
        change("10:10:30", "closed", "normal"),
        change("11:00:30"),
        change("11:20:30", "closed", "normal"),
    )
    newest = sent(starts="2026-02-14T10:58:00Z", ends="2026-02-14T11:19:00Z", severity="major", pod="p")
    first, last = firings_of(read_row(row(*history, **newest, severity="normal", status="closed")))
    assert first.starts_at == at("14 10:00:30")
    assert (last.starts_at, last.ends_at) == (at("14 10:58:00"), at("14 11:19:00"))
    assert first.labels == last.labels == {"alertname": "DiskFull", "instance": "db-1", "severity": "major", "pod": "p"}
    assert (first.annotations, last.annotations) == ({"description": "text of 10:00:30"}, {"summary": "full"})


def test_a_message_without_a_severity_gives_none() -> None:
    history = change("10:00:00", severity="warning", kind="new")
    (firing,) = firings_of(read_row(row(history, **sent(starts="2026-02-14T09:59:00Z"), severity="warning")))
    assert firing.labels == {"alertname": "DiskFull", "instance": "db-1"}


def test_the_end_of_one_severity_does_not_end_another() -> None:
    history = (change("10:00:00", severity="warning", kind="new"), change("11:00:00", severity="critical"))
    closed = change("11:30:00", "closed", "normal")
    newest = sent(starts="2026-02-14T09:59:00Z", ends="2026-02-14T11:29:00Z", severity="warning")
    firings = firings_of(read_row(row(*history, closed, **newest, severity="normal", status="closed")))
    assert [(each.labels["severity"], *span) for each, span in zip(firings, spans(firings), strict=True)] == [
        ("warning", "09:59", "11:29"),
        ("critical", "11:00", "11:30"),
    ]
    assert [firing.ended_by for firing in firings] == ["resolved", "inferred"]


def test_a_message_that_can_not_be_read_leaves_what_the_row_says() -> None:
    for raw in ("no json", "{}", '{"labels": {"a": 1}, "startsAt": "x"}', '{"labels": {"a": "b"}, "startsAt": "soon"}'):
        more = {
            "type": "prometheusAlert",
            "rawData": raw,
            "tags": ["pod=p", "zone=a", "zone=b", "plain"],
            "group": "node",
        }
        (firing,) = firings_of(read_row(row(change("10:00:00", kind="new"), **more)))
        assert firing.labels == {
            "alertname": "DiskFull",
            "instance": "db-1",
            "severity": "major",
            "pod": "p",
            "job": "node",
        }


def test_an_event_that_stands_for_another_is_an_alert_of_its_own() -> None:
    history = (change("10:00:00", kind="new", event="DiskSlow"), change("10:30:00", severity="critical"))
    slow, full = firings_of(read_row(row(*history, correlate=["DiskSlow", "DiskFull"])))
    assert (slow.labels["alertname"], full.labels["alertname"]) == ("DiskSlow", "DiskFull")
    assert spans([slow, full]) == [("10:00", "10:30"), ("10:30", None)]


def test_acts_belong_to_the_firing_in_which_they_were_done() -> None:
    firings = firings_of(
        read_row(
            row(
                change("10:00:00", kind="new"),
                change("10:01:00", "ack", kind="status", user="eve", text="by hand"),
                change("10:02:00", "ack", kind="note", user="ada", id="note-1", text="seen"),
                change("10:03:00", "ack", kind="note", user="ada", id="note-2", text="wrong"),
                change("10:04:00", "ack", kind="dismiss", user="ada", id="note-2"),
                change("10:05:00", "open", kind="timeout", user=None),
                change("10:10:00", "closed", "normal", kind="close", user="ada", text="done"),
                change("10:15:00", "closed", "normal", kind="note", user="bob", id="note-3", text="after it"),
                change("11:00:00"),
                change("11:10:00", kind="assign", user="ada", text="to bob"),
            )
        )
    )
    assert [[(act.kind, act.by, act.text) for act in firing.acts] for firing in firings] == [
        [
            ("acknowledged", "eve", "by hand"),
            ("noted", "ada", "seen"),
            ("unacknowledged", "unknown", "text of 10:05:00"),
            ("resolved", "ada", "done"),
            ("noted", "bob", "after it"),
        ],
        [("noted", "ada", "assign: to bob")],
    ]
    assert [act.id for act in firings[0].acts][1] == "note-1"


def test_a_row_without_a_history_is_known_by_itself() -> None:
    assert spans(firings_of(read_row(row()))) == [("09:00", None)]
    assert firings_of(read_row(row(status="closed", severity="normal"))) == []
    with pytest.raises(ValueError, match="neither a history nor a time"):
        firings_of(read_row(row(createTime="")))


def test_the_database_and_the_api_lead_to_the_same_row() -> None:
    columns = {
        "id": "7",
        "event": "DiskFull",
        "resource": "db-1",
        "create_time": "2026-02-14T10:00:00.123456",
        "last_receive_time": "2026-02-14T10:00:00.1239",
        "raw_data": None,
        "history": [
            {"update_time": "2026-02-14T11:00:00.987654", "type": "severity", "status": "closed", "severity": "normal"},
            {"update_time": "2026-02-14T10:00:00.123456", "type": "new", "status": "open", "severity": "major"},
        ],
    }
    record = read_record(msgspec.json.encode(columns).decode())
    (firing,) = firings_of(record)
    assert (firing.starts_at, firing.ends_at) == (at("14 10:00:00.123"), at("14 11:00:00.987"))
