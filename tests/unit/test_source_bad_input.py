"""Bad input: what is useless as a whole is malformed; what is wrong with one alert loses no other."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import AlertGroup
from alert_history.errors import MalformedPayload, PayloadTooLarge
from alert_history.sources import decode_webhook

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ALERT: dict[str, Any] = {"status": "firing", "labels": {"alertname": "A"}, "startsAt": "2026-11-24T07:39:06.241Z"}
GOOD = msgspec.json.encode(ALERT)
DEEP = 100_000


def decode(body: bytes, *, max_alerts: int = 10) -> AlertGroup:
    return decode_webhook(body, received_at=NOW, max_alerts=max_alerts)


def between_good_ones(alert: bytes) -> AlertGroup:
    return decode(b'{"alerts":[' + GOOD + b", " + alert + b" ," + GOOD + b"]}")


def with_fields(**fields: Any) -> AlertGroup:
    return between_good_ones(msgspec.json.encode(ALERT | fields))


@pytest.mark.parametrize(
    "body, message",
    [
        (b"", "not JSON: expected an object or an array at byte 0"),
        (b"  \n", "not JSON: expected an object or an array at byte 3"),
        (b"hello", "not JSON: expected an object or an array at byte 0"),
        (b"\xff\xfe{\x00", "not JSON: expected an object or an array at byte 0"),
        (b"null", "not JSON: expected an object or an array at byte 0"),
        (b'{"alerts":[', "not JSON: Expecting value at byte 11"),
        (b'{"alerts":[{}', "not JSON: expected a comma or ] at byte 13"),
        (b'{"alerts":[]', "not JSON: expected a comma or } at byte 12"),
        (b'{"alerts":[]} x', "not JSON: expected the end at byte 14"),
        (b"{alerts:[]}", "not JSON: expected a field name at byte 1"),
        (b'{"alerts" []}', "not JSON: expected a colon at byte 10"),
        ('{"é":[tru]}'.encode(), "not JSON: Expecting value at byte 7"),
        (b'{"alerts":[{"labels":{"a":"b\x01"}}]}', "not JSON: Invalid control character at at byte 28"),
        (b"{}", "$ is an object of no known shape"),
        (b'{"alert":[]}', "$ is an object of no known shape"),
        (b'{"alerts":{}}', "$.alerts is not an array"),
        (b'{"alerts":null}', "$.alerts is not an array"),
        (b"[1,2]", "$ is an array without an event"),
        (b'[{"labels":{"a":"b"}}]', "$ is an array without an event"),
        (b"[" * DEEP, "not JSON: nested too deeply and never closed, from byte 1"),
        (b'{"":' * DEEP, "not JSON: nested too deeply and never closed, from byte 4"),
        (b"[" * DEEP + b'"\\"\\"', "not JSON: nested too deeply and never closed, from byte 1"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_body_that_is_useless_as_a_whole_is_malformed(body: bytes, message: str) -> None:
    with pytest.raises(MalformedPayload) as caught:
        decode(body)
    assert str(caught.value).startswith(message)


def test_object_of_a_thousand_odd_fields_is_malformed() -> None:
    fields = b",".join(b'"%d":1' % number for number in range(2000))
    with pytest.raises(MalformedPayload, match="more than 1000 fields"):
        decode(b"{" + fields + b"}")


@pytest.mark.parametrize("alert", [GOOD, b"1"])
def test_more_alerts_than_allowed_are_too_large(alert: bytes) -> None:
    with pytest.raises(PayloadTooLarge, match="more alerts than MAX_ALERTS_PER_REQUEST, 2"):
        decode(b'{"alerts":[' + b",".join([alert] * 3) + b"]}", max_alerts=2)


@pytest.mark.parametrize(
    "alert, reason",
    [
        (b"5", "an alert is an object; this is a number"),
        (b"null", "an alert is an object; this is null"),
        (b'"text"', "an alert is an object; this is a string"),
        (b"[]", "an alert is an object; this is an array"),
        (b"true", "an alert is an object; this is a boolean"),
        (b"{}", "labels are null, not an object"),
        (b"[" * DEEP + b"]" * DEEP, "it is nested too deeply"),
        (b'{"]":[' * DEEP + b'"]}\\"]"' + b"]}" * DEEP, "it is nested too deeply"),
        (b"1" * 5000, "an alert is an object; this is a number"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_alert_that_is_no_object_is_refused_alone(alert: bytes, reason: str) -> None:
    group = between_good_ones(alert)
    assert (len(group.alerts), [(r.position, r.reason, r.raw) for r in group.refused]) == (2, [(1, reason, alert)])


@pytest.mark.parametrize(
    "fields, reason",
    [
        ({"labels": {}}, "it has no labels"),
        ({"labels": None}, "labels are null, not an object"),
        ({"labels": [["a", "b"]]}, "labels are an array, not an object"),
        ({"labels": {"a": 1}}, "the value of label 'a' is a number, not a string"),
        ({"labels": {"a": None}}, "the value of label 'a' is null, not a string"),
        ({"labels": {"a": ["b"]}}, "the value of label 'a' is an array, not a string"),
        ({"labels": {"": "b"}}, "a label has an empty name"),
        ({"labels": {"a": "b\0"}}, "the value of label 'a' holds a NUL character"),
        ({"labels": {"a\0": "b"}}, r"the name of label 'a\x00' holds a NUL character"),
        ({"labels": {"a" * 1025: "b"}}, f"the name of label '{'a' * 60}...' has 1025 bytes, more than 1024"),
        ({"labels": {"a": "é" * 32769}}, "the value of label 'a' has 65538 bytes, more than 65536"),
        ({"labels": {"alertname": "é" * 513}}, "the value of label 'alertname' has 1026 bytes, more than 1024"),
        ({"labels": {"namespace": "x" * 1025}}, "the value of label 'namespace' has 1025 bytes, more than 1024"),
        ({"labels": {"severity": "x" * 1025}}, "the value of label 'severity' has 1025 bytes, more than 1024"),
        ({"annotations": {"a": ["b"]}}, "an annotation is an array, not a string"),
        ({"annotations": "text"}, "annotations are a string, not an object"),
        ({"startsAt": None}, "startsAt is not set"),
        ({"startsAt": "0001-01-01T00:00:00Z"}, "startsAt is not set"),
        ({"startsAt": "0001-01-01T00:00:00+05:00"}, "startsAt is not set"),
        ({"startsAt": "0000-12-31T19:03:58-04:56"}, "startsAt is not set"),
        ({"startsAt": "2026-11-24T07:39:06"}, "startsAt has no time zone"),
        ({"startsAt": "yesterday"}, "startsAt is 'yesterday', not an RFC 3339 time"),
        ({"startsAt": "2026-11-24T07:39:60Z"}, "startsAt is '2026-11-24T07:39:60Z', not an RFC 3339 time"),
        ({"startsAt": 1764000000}, "startsAt is a number, not an RFC 3339 time"),
        ({"startsAt": "soon\0"}, r"startsAt is 'soon\x00', not an RFC 3339 time"),
        ({"endsAt": "2026-11-24T08:39:06"}, "endsAt has no time zone"),
        ({"endsAt": {}}, "endsAt is an object, not an RFC 3339 time"),
        ({"status": "resolved", "endsAt": "2026-11-24T07:39:06.240Z"}, "endsAt is before startsAt"),
        ({"status": "pending"}, "its status is 'pending', neither firing nor resolved"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_alert_that_can_not_be_kept_is_refused_alone(fields: dict[str, Any], reason: str) -> None:
    group = with_fields(**fields)
    assert (len(group.alerts), [(r.position, r.reason) for r in group.refused]) == (2, [(1, reason)])


def test_refused_alert_is_kept_as_it_came() -> None:
    alert = b'{ "labels" : {"a": 1.50, "b": "\\u00e9\xff"} }'
    assert between_good_ones(alert).refused[0].raw == alert


@pytest.mark.parametrize(
    "labels",
    [
        {"a" * 1024: "b"},
        {"a": "x" * 65536},
        {"a": "é" * 32768},
        {"alertname": "é" * 512},
        {"a": "x" * 300, "b": "y" * 300},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_label_at_the_bound_is_kept(labels: dict[str, str]) -> None:
    assert len(with_fields(labels=labels).alerts) == 3


@pytest.mark.parametrize("text", [rb"\ud800", rb"x\udc00y", rb"\ud83d\ud83d", b"\xff", b"\xed\xa0\x80"], ids=repr)
def test_label_that_is_no_unicode_is_refused_alone(text: bytes) -> None:
    alert = b'{"labels":{"a":"' + text + b'"},"startsAt":"2026-11-24T07:39:06.241Z"}'
    group = between_good_ones(alert)
    assert (len(group.alerts), [r.reason for r in group.refused]) == (
        2,
        ["the value of label 'a' is no Unicode text: it holds a lone surrogate or bytes that are not UTF-8"],
    )


@pytest.mark.parametrize("text", [rb"\u0000", rb"\ud800", b"\xff"], ids=repr)
def test_annotation_that_can_not_be_stored_gets_a_replacement_character(text: bytes) -> None:
    alert = GOOD[:-1] + b',"annotations":{"summary":"a' + text + b'b"}}'
    assert between_good_ones(alert).alerts[1].annotations == {"summary": "a�b"}


@pytest.mark.parametrize("text", [rb"\u0000", rb"\ud800", b"\xff"], ids=repr)
def test_generator_url_that_can_not_be_stored_gets_a_replacement_character(text: bytes) -> None:
    alert = GOOD[:-1] + b',"generatorURL":"http://a' + text + b'"}'
    assert between_good_ones(alert).alerts[1].generator_url == "http://a�"


@pytest.mark.parametrize("text", [rb"\u0000", rb"\ud800", b"\xff"], ids=repr)
def test_frame_that_can_not_be_stored_gets_replacement_characters(text: bytes) -> None:
    group = decode(b'{"receiver":"a' + text + b'","groupLabels":{"b' + text + b'":"c"},"alerts":[' + GOOD + b"]}")
    assert (group.receiver, group.details, len(group.alerts)) == ("a�", {"groupLabels": {"b�": "c"}}, 1)


def test_escaped_backslash_before_u0000_is_no_nul() -> None:
    group = decode(b'{"alerts":[{"labels":{"path":"C:\\\\u0000"},"startsAt":"2026-11-24T07:39:06.241Z"}]}')
    assert group.alerts[0].labels == {"path": r"C:\u0000"}


@pytest.mark.parametrize("depth, is_read", [(128, True), (129, False)])
def test_nesting_is_read_to_a_depth_that_no_sender_comes_near(depth: int, *, is_read: bool) -> None:
    group = between_good_ones(b"[" * depth + b"]" * depth)
    reason = "an alert is an object; this is an array" if is_read else "it is nested too deeply"
    assert [refused.reason for refused in group.refused] == [reason]


def test_bomb_of_nesting_in_an_unknown_field_loses_no_alert() -> None:
    group = decode(b'{"x":' + b"[" * DEEP + b"]" * DEEP + b',"alerts":[' + GOOD + b"]}")
    assert len(group.alerts) == 1


@pytest.mark.parametrize("value", [5, 2.5, True, None], ids=repr)
def test_annotation_that_is_a_plain_value_becomes_text(value: Any) -> None:
    annotations = with_fields(annotations={"a": value}).alerts[1].annotations
    assert annotations == {"a": "" if value is None else msgspec.json.encode(value).decode()}


@pytest.mark.parametrize(
    "sent, text",
    [
        ("2026-11-24T07:39:06.241999999Z", "2026-11-24T07:39:06.242000+00:00"),
        ("2026-11-24T07:39:06.12345678901234Z", "2026-11-24T07:39:06.123457+00:00"),
        ("2026-11-24T07:39:06+05:30", "2026-11-24T02:09:06+00:00"),
        ("2026-11-24T07:39:06-08:00", "2026-11-24T15:39:06+00:00"),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999+00:00"),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59.999999+00:00"),
    ],
)
def test_time_is_utc_to_the_microsecond(sent: str, text: str) -> None:
    assert with_fields(startsAt=sent).alerts[1].starts_at.isoformat() == text
