"""What changes of an occurrence say, in words."""

from typing import Any

import pytest

from alert_history.domain.change_text import change_text
from alert_history.domain.occurrence import EventKind

BEGAN = "2026-03-04T11:55:00+00:00"
ENDED = "2026-03-04T12:00:00+00:00"
UNHEARD = "a sender names a later start, and nobody spoke of it between"


@pytest.mark.parametrize(
    "kind,detail,text",
    [
        ("fired", {}, ""),
        ("published", {}, "the first request that is to be published says that it fires"),
        (
            "start_moved",
            {"claimed": BEGAN, "starts_at": BEGAN, "sender": "http://am:9093"},
            "http://am:9093 says that it began 2026-03-04T11:55:00Z; it is shown from 2026-03-04T11:55:00Z",
        ),
        ("left", {"reason": "its group goes on"}, "its group goes on"),
        (
            "unconfirmed",
            {"reason": "its sender fell silent"},
            "nobody confirms any more that it fires: its sender fell silent",
        ),
        ("confirmed", {}, "a sender says again that it fires"),
        ("expired", {"ends_at": ENDED}, "ended at 2026-03-04T12:00:00Z, because its sender fell silent"),
        (
            "inferred",
            {"between": [BEGAN, ENDED]},
            f"taken as over, between {BEGAN} and {ENDED}, because {UNHEARD}",
        ),
        ("reconciled", {}, "ended, because a poll shows that it is over"),
        ("conflict", {"reason": "two senders"}, "two senders"),
    ],
)
def test_a_change_says_what_it_is(kind: EventKind, detail: dict[str, Any], text: str) -> None:
    assert change_text(kind, detail) == text
