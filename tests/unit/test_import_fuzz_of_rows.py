"""Rows of other programs with anything in any field: each is read or refused, and nothing else happens."""

from datetime import UTC
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.past_firing import PastFiring
from alert_history.origins.imports.alerta_firings import firings_of
from alert_history.origins.imports.alerta_wire import read_record, read_row
from alert_history.origins.imports.keep_firings import Audited, Event, Story, act_of
from alert_history.origins.imports.legacy_rows import firing_of
from tests.reading_past import NOW

TIMES = st.sampled_from(
    ["2026-02-14T10:00:00Z", "2026-02-14 11:00:00", "0001-01-01T00:00:00Z", "soon", "", None, 1e12, -5]
)
TEXTS = st.sampled_from(
    ["firing", "resolved", "open", "closed", "critical", "normal", "", "a=b", '{"a": "b"}', "\ud800", "\0"]
)
VALUES = st.one_of(
    TIMES,
    TEXTS,
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(),
    st.binary(max_size=4),
    st.lists(TEXTS, max_size=2),
    st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers()), max_size=2),
)


SOUND = {"starts_at": "2026-02-14T10:00:00Z", "status": "firing", "labels": '{"a": "b"}'}
CHANGED = {"updateTime": "2026-02-14T10:00:00Z", "status": "open", "severity": "major"}


def row(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """A row with some of these fields."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES))


def json(document: Any) -> str:
    return msgspec.json.encode(document, enc_hook=repr).decode()


def encodable(value: Any) -> Any:
    """The value without lone surrogates, which no JSON of a server holds."""
    if isinstance(value, str):
        return value.replace("\ud800", "?")
    if isinstance(value, dict):
        return {encodable(name): encodable(each) for name, each in value.items()}
    return [encodable(each) for each in value] if isinstance(value, list) else value


def check(firings: list[PastFiring]) -> None:
    for firing in firings:
        assert firing.labels
        assert all(firing.labels.values())
        assert firing.starts_at.tzinfo is UTC
        assert firing.ends_at is None or firing.ends_at >= firing.starts_at
        assert (firing.ends_at is None) == (firing.last_seen_at is not None)


@given(
    row(
        "id",
        "status",
        "labels",
        "annotations",
        "alertname",
        "startsat",
        "starts_at",
        "endsat",
        "raw_json",
        "updated_at",
    )
)
def test_a_row_of_the_earlier_service_is_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        firing = firing_of({**SOUND, **fields}, "alerts", now=NOW)
    except ValueError:
        return
    check([firing])


CHANGE = row("updateTime", "type", "id", "event", "severity", "status", "text", "user")
ROW = row(
    "severity", "status", "service", "tags", "attributes", "type", "createTime", "lastReceiveTime", "rawData", "value"
)


@given(ROW, st.lists(CHANGE, max_size=4))
def test_a_row_of_alerta_is_read_or_refused(fields: dict[str, Any], history: list[dict[str, Any]]) -> None:
    document = encodable(
        {"id": "1", "event": "e", "resource": "r", **fields, "history": [{**CHANGED, **change} for change in history]}
    )
    for read in (read_row, read_record):
        try:
            firings = firings_of(read(json(document)))
        except ValueError:
            continue
        check(firings)


EVENT = row(
    "status", "lastReceived", "fingerprint", "severity", "environment", "labels", "annotations", "startsAt", "endsAt"
)


@given(st.lists(EVENT, max_size=4), row("timestamp", "action", "description", "user_id"))
def test_events_of_keep_are_read_or_refused(events: list[dict[str, Any]], entry: dict[str, Any]) -> None:
    story, acts = Story(), []
    for event in events:
        document = {"name": "n", "status": "firing", "lastReceived": "2026-02-14T10:00:00Z", **event}
        try:
            story.tell(msgspec.json.decode(json(encodable(document)), type=Event))
        except ValueError:
            continue
    try:
        act = act_of(
            msgspec.json.decode(json(encodable({"id": "1", "timestamp": "2026-02-14T10:00:00", **entry})), type=Audited)
        )
        acts = [act] if act is not None else []
    except ValueError:
        pass
    check(story.firings(acts, place="alert n"))
