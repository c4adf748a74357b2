"""When a delivery is given up."""

from datetime import UTC, datetime, timedelta

import pytest

from alert_history.domain.delivery import FEWEST_ATTEMPTS, GIVES_UP_AFTER, is_given_up

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    "age, attempt, is_over",
    [
        (GIVES_UP_AFTER, FEWEST_ATTEMPTS, True),
        (GIVES_UP_AFTER - SECOND, FEWEST_ATTEMPTS, False),
        (GIVES_UP_AFTER, FEWEST_ATTEMPTS - 1, False),
        (3 * GIVES_UP_AFTER, 1, False),
    ],
    ids=["long and often", "not long", "not often", "held over a weekend"],
)
def test_a_delivery_is_given_up_after_a_day_of_attempts(age: timedelta, attempt: int, *, is_over: bool) -> None:
    assert is_given_up(NOW, created_at=NOW - age, attempt=attempt) == is_over
