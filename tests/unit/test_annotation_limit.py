"""Annotations over the limit: they are cut to fit, always alike, and the whole alert goes to quarantine."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alert import AlertGroup
from alert_history.domain.occurrence import sight
from alert_history.domain.speaker import Speaker
from alert_history.sources import decode_prometheus, decode_webhook
from alert_history.sources.annotation_limit import ANNOTATIONS_BYTES, LEFT_OUT, cut

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LABELS = {"alertname": "DiskFull"}
LIMIT = 1000
MARK = re.compile(r"… \(cut: (\d+) bytes\)")

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=600)
annotations_of_any_size = st.dictionaries(text, text, max_size=30)


def size(annotations: dict[str, str]) -> int:
    return sum(len(text.encode()) for pair in annotations.items() for text in pair)


def sent(**annotations: str) -> dict[str, Any]:
    return {"labels": LABELS, "annotations": annotations, "startsAt": "2026-11-24T07:39:06.241Z"}


def as_webhook(alert: dict[str, Any], **frame: Any) -> AlertGroup:
    body = msgspec.json.encode({"alerts": [{"status": "firing", **alert}], **frame})
    return decode_webhook(body, received_at=NOW, max_alerts=10)


def as_grafana(alert: dict[str, Any]) -> AlertGroup:
    return as_webhook(alert, orgId=1)


def as_prometheus(alert: dict[str, Any]) -> AlertGroup:
    return decode_prometheus(msgspec.json.encode([alert]), received_at=NOW, max_alerts=10)


def as_event(alert: dict[str, Any]) -> AlertGroup:
    event = {"@timestamp": "2026-11-24T07:39:06Z", "data": {"alertCreated": {"alert": alert}}}
    return decode_webhook(msgspec.json.encode(event), received_at=NOW, max_alerts=10)


every_source = pytest.mark.parametrize("decode", [as_webhook, as_grafana, as_prometheus, as_event])


@every_source
def test_alert_with_annotations_over_the_limit_is_kept_and_none_is_refused(decode: Any) -> None:
    group = decode(sent(summary="no space", description="d" * ANNOTATIONS_BYTES))
    assert (group.received, len(group.alerts), group.refused) == (1, 1, [])
    assert group.alerts[0].annotations["summary"] == "no space"
    assert size(group.alerts[0].annotations) <= ANNOTATIONS_BYTES


@every_source
def test_alert_that_is_cut_comes_whole_with_the_reason(decode: Any) -> None:
    alert = sent(summary="s", description="d" * ANNOTATIONS_BYTES)
    (made,) = decode(alert).cut
    assert made.whole.reason == "its annotations have 262163 bytes together, more than 262144: cut"
    assert (made.whole.position, made.whole.cause) == (0, "annotations_cut")
    assert msgspec.json.encode(alert["annotations"]) in made.whole.raw


@every_source
def test_annotations_at_the_limit_are_left_alone(decode: Any) -> None:
    group = decode(sent(a="é" * ((ANNOTATIONS_BYTES - 2) // 2), b=""))
    assert (group.cut, group.alerts[0].annotations["a"][-1]) == ([], "é")


@every_source
def test_the_neighbours_of_a_cut_alert_are_as_they_came(decode: Any) -> None:
    untouched = decode(sent(summary="s")).alerts[0].annotations
    assert untouched == {"summary": "s"}


def test_position_of_a_cut_alert_is_that_in_its_request() -> None:
    bodies = [sent(summary="s"), sent(summary="s" * ANNOTATIONS_BYTES)]
    group = decode_prometheus(msgspec.json.encode(bodies), received_at=NOW, max_alerts=10)
    assert [made.whole.position for made in group.cut] == [1]


def test_longest_values_are_cut_to_one_length_and_the_others_are_left_alone() -> None:
    made = cut({"a": "x" * 200, "b": "y" * 600, "c": "z" * 5000}, max_bytes=LIMIT)
    assert made["a"] == "x" * 200
    assert {len(made[name].encode()) for name in ("b", "c")} <= set(range(390, 400))


def test_mark_says_how_much_is_missing() -> None:
    made = cut({"a": "x" * 5000}, max_bytes=LIMIT)["a"]
    head, mark = made[: made.index("…")], made[made.index("…") :]
    assert mark == f"… (cut: {5000 - len(head)} bytes)"


@pytest.mark.parametrize("character", ["x", "é", "満", "🔥"])
@pytest.mark.parametrize("shift", range(4))
def test_no_character_is_torn(character: str, shift: int) -> None:
    made = cut({"a": "." * shift + character * 2000}, max_bytes=LIMIT)["a"]
    assert set(made[shift : made.index("…")]) == {character}


def test_too_many_annotations_are_counted() -> None:
    many = {f"name_{number:03d}": "v" * 100 for number in range(500)} | {"summary": "no space"}
    made = cut(many, max_bytes=LIMIT)
    assert made["summary"] == "no space"
    assert made[LEFT_OUT] == f"{len(many) - len(made) + 1} of {len(many)} annotations"


def test_a_name_over_the_limit_loses_no_other_annotation() -> None:
    made = cut({"n" * 5000: "v", "summary": "no space"}, max_bytes=LIMIT)
    assert made == {"summary": "no space", LEFT_OUT: "1 of 2 annotations"}


@given(annotations_of_any_size)
def test_cut_annotations_fit_and_each_says_the_truth(annotations: dict[str, str]) -> None:
    made = cut(annotations, max_bytes=LIMIT)
    assert size(made) <= LIMIT
    for name, value in made.items():
        if name != LEFT_OUT and value != annotations[name]:
            mark = list(MARK.finditer(value))[-1]
            assert annotations[name].startswith(value[: mark.start()])
            assert len(annotations[name].encode()) - len(value[: mark.start()].encode()) == int(mark[1])


@given(annotations_of_any_size)
def test_annotations_that_fit_are_left_alone(annotations: dict[str, str]) -> None:
    assert cut(annotations, max_bytes=size(annotations) + 64 * len(annotations)) == annotations


@given(annotations_of_any_size, st.randoms(use_true_random=False))
def test_same_annotations_in_any_order_are_the_same_content(annotations: dict[str, str], random: Any) -> None:
    pairs = list(annotations.items())
    random.shuffle(pairs)
    first, second = (_content_hash(cut(each, max_bytes=LIMIT)) for each in (annotations, dict(pairs)))
    assert first == second


def _content_hash(annotations: dict[str, str]) -> int:
    alert = msgspec.structs.replace(as_prometheus(sent()).alerts[0], annotations=annotations)
    return sight(
        alert, source="prometheus", receiver="", receipt_id="1", received_at=NOW, speaker=Speaker("witness", "")
    ).content_hash
