"""Whatever comes in, the answer is a group or an InvalidRequest, nothing is lost, and all that is kept can be stored.

The two ways of decoding, quick and one by one, agree.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_history.domain.alert import AlertGroup
from alert_history.errors import InvalidRequest
from alert_history.sources import alertmanager, decode_prometheus, decode_webhook, prometheus
from alert_history.sources.json_document import read_document

DATA = Path(__file__).parents[1] / "data"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BODIES = [file.read_bytes() for file in sorted(DATA.glob("*-*/*.json"))]
DECODERS: list[Callable[..., AlertGroup]] = [decode_webhook, decode_prometheus]
MAX_ALERTS = 20

fuzz = settings(deadline=None, max_examples=300)

any_text = st.text(st.characters(exclude_categories=()), max_size=8)
any_time = st.sampled_from(
    ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z", "2026-11-24T07:39:06.241Z", "2026-11-24T07:39:06", ""]
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text | any_time,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["alerts", "labels", "data", "@timestamp", "startsAt", "annotations", "alertCreated", "alert"])
near_json = st.recursive(
    any_json,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)

pytestmark = pytest.mark.long


def decoded(body: bytes) -> list[AlertGroup]:
    groups = []
    for decode in DECODERS:
        with suppress(InvalidRequest):
            groups.append(decode(body, received_at=NOW, max_alerts=MAX_ALERTS))
    return groups


def check(body: bytes) -> None:
    for group in decoded(body):
        for alert in group.alerts:
            assert (alert.ends_at is None) == (alert.status == "firing")
            assert alert.starts_at.utcoffset() == timedelta(0)
            assert alert.ends_at is None or alert.ends_at >= alert.starts_at
        accepted = msgspec.structs.replace(group, refused=[])
        assert b"\\u0000" not in msgspec.json.encode(accepted).replace(b"\\\\", b"")
        assert all("\0" not in refused.reason and refused.reason.isascii() for refused in group.refused)
        assert all(refused.raw in body for refused in group.refused)


def mutated(draw: st.DrawFn, value: Any) -> Any:
    """The value with one part of it, at any depth, replaced, dropped or doubled."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 9)) == 0:
            return {other: part for other, part in value.items() if other != name}
        return value | {name: mutated(draw, value[name])}
    if isinstance(value, list) and value and draw(st.booleans()):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], mutated(draw, value[place]), *value[place + draw(st.integers(0, 1)) :]]
    return draw(near_json)


@st.composite
def mutated_values(draw: st.DrawFn) -> bytes:
    value = json.loads(draw(st.sampled_from(BODIES)))
    for _ in range(draw(st.integers(1, 3))):
        value = mutated(draw, value)
    return json.dumps(value).encode()


@st.composite
def mutated_bytes(draw: st.DrawFn) -> bytes:
    body = draw(st.sampled_from(BODIES))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(body)))
        length = draw(st.integers(0, 3))
        body = body[:place] + draw(st.binary(max_size=3)) + body[place + length :]
    return body


@fuzz
@given(st.binary(max_size=64))
def test_any_bytes_are_answered(body: bytes) -> None:
    check(body)


@fuzz
@given(near_json)
def test_any_json_is_answered(value: Any) -> None:
    check(json.dumps(value).encode())


@fuzz
@given(mutated_values())
def test_real_payload_with_odd_values_is_answered(body: bytes) -> None:
    check(body)


@fuzz
@given(mutated_bytes())
def test_real_payload_with_odd_bytes_is_answered(body: bytes) -> None:
    check(body)


@fuzz
@given(st.lists(near_json, max_size=6))
def test_every_alert_sent_is_kept_or_refused(alerts: list[Any]) -> None:
    body = json.dumps({"alerts": alerts}).encode()
    assert decode_webhook(body, received_at=NOW, max_alerts=MAX_ALERTS).received == len(alerts)


@fuzz
@given(st.lists(near_json, max_size=6))
def test_every_alert_posted_is_kept_or_refused(alerts: list[Any]) -> None:
    body = json.dumps(alerts).encode()
    assert decode_prometheus(body, received_at=NOW, max_alerts=MAX_ALERTS).received == len(alerts)


good_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
good_zone = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))
good_time = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=good_zone).map(datetime.isoformat)  # noqa: DTZ001 - hypothesis adds the zone
good_labels = st.dictionaries(good_text.filter(bool), good_text, min_size=1, max_size=5)
good_alert = st.fixed_dictionaries(
    {"labels": good_labels, "startsAt": good_time},
    optional={
        "status": st.sampled_from(["firing", "resolved", ""]),
        "endsAt": good_time | st.just("0001-01-01T00:00:00Z") | st.none(),
        "annotations": st.dictionaries(good_text, good_text, max_size=3) | st.none(),
        "generatorURL": good_text,
        "fingerprint": st.integers(0, 2**64 - 1).map("{:016X}".format) | good_text,
        "values": st.dictionaries(good_text, st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False)),
        "valueString": good_text,
        "silenceURL": good_text,
        "somethingNew": any_json.filter(lambda value: not isinstance(value, float)),
    },
)
good_frame = st.fixed_dictionaries(
    {},
    optional={
        "receiver": good_text,
        "groupKey": good_text,
        "externalURL": good_text,
        "version": st.sampled_from(["1", "4"]),
        "truncatedAlerts": st.integers(-5, 2**40),
        "groupLabels": st.dictionaries(good_text, good_text, max_size=2) | st.none(),
        "routeLabels": st.dictionaries(good_text, good_text, max_size=2),
        "notification_reason": good_text,
        "orgId": st.integers(0, 9) | good_text | st.none(),
        "title": good_text,
    },
)


@fuzz
@given(good_frame, st.lists(good_alert, max_size=4))
def test_both_ways_of_decoding_a_notification_agree(frame: dict[str, Any], alerts: list[Any]) -> None:
    body = json.dumps(frame | {"alerts": alerts}).encode()
    quick = alertmanager.decode_sound(body, received_at=NOW, max_alerts=MAX_ALERTS)
    one_by_one = alertmanager.decode_each(read_document(body, max_items=MAX_ALERTS), received_at=NOW)
    assert one_by_one == quick if quick else one_by_one.refused or b"\\ud" in body


@fuzz
@given(st.lists(good_alert, max_size=4))
def test_both_ways_of_decoding_posted_alerts_agree(alerts: list[Any]) -> None:
    body = json.dumps(alerts).encode()
    quick = prometheus.decode_sound(body, received_at=NOW, max_alerts=MAX_ALERTS)
    one_by_one = prometheus.decode_each(body, received_at=NOW, max_alerts=MAX_ALERTS)
    assert one_by_one == quick if quick else one_by_one.refused or b"\\ud" in body
