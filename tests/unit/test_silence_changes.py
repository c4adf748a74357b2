"""The history of a silence: what each version changed.

Holds: `domain.silence_changes`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.moment import SilenceVersion
from alert_history.domain.silence_changes import changes_of

MADE = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST = Silence(
    "s-1", [[{"name": "alertname", "op": "=", "value": "DiskFull"}]], MADE, MADE + 4 * HOUR, MADE, "ada", "a move"
)


def versions(*changes: dict[str, Any]) -> list[SilenceVersion]:
    """The first version, and one an hour later for each of these changes."""
    silences = [FIRST]
    for number, change in enumerate(changes, 1):
        silences.append(msgspec.structs.replace(silences[-1], updated_at=MADE + number * HOUR, **change))
    return [SilenceVersion(each, "main", each.updated_at) for each in silences]


@pytest.mark.parametrize(
    "change, kind, fields",
    [
        ({"comment": "a long move"}, "edited", ["comment"]),
        ({"ends_at": MADE + 9 * HOUR}, "prolonged", ["ends_at"]),
        ({"ends_at": MADE + 2 * HOUR}, "shortened", ["ends_at"]),
        ({"ends_at": MADE + HOUR}, "expired", ["ends_at"]),
        ({"ends_at": MADE + 9 * HOUR, "created_by": "grace"}, "edited", ["ends_at", "created_by"]),
        ({"matchers": [[{"name": "job", "op": "=~", "value": "a.*"}]]}, "edited", ["matchers"]),
    ],
)
def test_a_version_says_what_it_changed(change: dict[str, Any], kind: str, fields: list[str]) -> None:
    first, second = changes_of(versions(change))
    assert (first.kind, first.by, list(first.fields)) == ("created", "ada", [])
    assert (second.kind, [each.field for each in second.fields]) == (kind, fields)
    assert second.at == MADE + HOUR


def test_nobody_is_named_for_an_end_because_alertmanager_notes_nobody() -> None:
    (_, ended) = changes_of(versions({"ends_at": MADE + HOUR}))
    assert ended.by == ""


def test_a_first_version_that_is_younger_than_its_begin_is_not_the_first_there_was() -> None:
    late = msgspec.structs.replace(FIRST, updated_at=MADE + HOUR)
    (known,) = changes_of([SilenceVersion(late, "", late.updated_at)])
    assert known.kind == "known"
    assert changes_of([]) == []


@given(st.lists(st.fixed_dictionaries({"comment": st.text(max_size=3)}), max_size=6))
def test_the_changes_lead_from_the_first_version_to_the_last(edits: list[dict[str, Any]]) -> None:
    made = versions(*edits)
    comment = made[0].silence.comment
    for change in changes_of(made):
        for field in change.fields:
            assert field.before == comment
            comment = field.after
    assert comment == made[-1].silence.comment
