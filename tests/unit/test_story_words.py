"""What an alert's story says in a word: whether more is known of it than its label says.

Holds: `web.pages.story_words`.
"""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from alert_history.domain.classification import Case, Past
from alert_history.enrichers.rules import classify_by_rules
from alert_history.web.pages.story_words import is_by_label_alone

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
BRIEF = Past(month=9, brief=9)


@pytest.mark.parametrize(
    "alertname, past, is_alone",
    [
        ("AcmeThing", Past(month=1), True),
        ("AcmeThing", BRIEF, False),
        ("NodeRebootRequired", Past(month=1), False),
    ],
)
def test_only_a_label_is_known_where_rules_found_no_more(alertname: str, past: Past, *, is_alone: bool) -> None:
    labels = {"alertname": alertname, "severity": "warning"}
    word = classify_by_rules(Case("shape", "0" * 16, labels, {}, NOW, past=past), now=NOW)
    assert is_by_label_alone(word) == is_alone
    assert not is_by_label_alone(replace(word, source="person"))
    assert is_by_label_alone(None)
