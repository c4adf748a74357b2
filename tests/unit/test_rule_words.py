"""What the first sentence of a rule's page says of those that ended.

Holds: `web.pages.rule`.
"""

from datetime import UTC, datetime

import pytest

from alert_history.domain.noise import Evidence, NoisePart
from alert_history.web.pages.rule import healed_words


@pytest.mark.parametrize(
    "short, ended, words",
    [
        (0, 0, "none has ended"),
        (1, 1, "it healed by itself within five minutes"),
        (0, 1, "it did not heal by itself within five minutes"),
        (0, 3, "none of 3 that ended healed by themselves within five minutes"),
        (1, 3, "1 of 3 that ended healed by itself within five minutes"),
        (3, 3, "all of 3 that ended healed by themselves within five minutes"),
        (1_200, 4_100, "1 200 of 4 100 that ended healed by themselves within five minutes"),
    ],
)
def test_how_many_healed_by_themselves_is_said_in_words(short: int, ended: int, words: str) -> None:
    evidence = Evidence("", None, datetime(2026, 3, 4, tzinfo=UTC))
    part = NoisePart("ends_by_itself", "occurrences", short, ended, 0, 0, 1, 25, 1, 0, 0, 25, evidence)
    assert healed_words(part) == words
    assert healed_words(None) == "none has ended"
