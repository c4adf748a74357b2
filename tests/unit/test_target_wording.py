"""What every message to people says of how an end is known."""

from datetime import datetime, timedelta

import pytest

from alert_history.targets.wording import lasting_words, status_words
from tests.vendors.messages import ENDED, STARTED, outgoing, resolved

HEARD = ENDED - timedelta(minutes=4)


def clock(time: datetime) -> str:
    return f"{time:%H:%M}"


def test_end_by_word_is_resolved() -> None:
    assert lasting_words(resolved(), clock) == "Resolved after 6 min, 12:07"


def test_expired_end_says_since_when_nobody_was_heard_of() -> None:
    words = lasting_words(resolved(event="expired", confirmed_at=HEARD), clock)
    assert words == "Not heard of since 12:03; ended, as its sender fell silent (after 6 min)"


@pytest.mark.parametrize(
    "kind, reason, expected",
    [
        ("inferred", "there was no sign of it for 2 h 0 min", "as there was no sign of it for 2 h 0 min"),
        ("inferred", "", "as a sender names a later start, and nobody spoke of it between"),
        ("reconciled", "prod does not list it any more", "as prod does not list it any more"),
    ],
)
def test_end_that_no_sender_said_gives_its_reason(kind: str, reason: str, expected: str) -> None:
    words = lasting_words(resolved(event=kind, reason=reason, confirmed_at=HEARD), clock)
    assert words == f"Not heard of since 12:03; ended, {expected} (after 6 min)"


def test_end_without_any_sign_is_not_heard_of_since_it_ended() -> None:
    assert lasting_words(resolved(event="inferred"), clock).startswith("Not heard of since 12:07; ")


def test_published_alert_fires_as_any_other() -> None:
    words = lasting_words(outgoing(event="published", at=STARTED + timedelta(minutes=5)), clock)
    assert (status_words([outgoing(event="published")]), words) == ("FIRING", "Firing since 12:00 (5 min so far)")


def test_headline_tells_what_senders_ended_from_what_they_did_not() -> None:
    ends = [resolved(), resolved(event="inferred"), resolved(event="expired"), outgoing()]
    assert status_words(ends) == "1 FIRING, 1 RESOLVED, 2 ENDED"
    assert status_words([resolved(event="reconciled")]) == "ENDED"
