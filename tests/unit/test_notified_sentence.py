"""The sentence of an alert's story: one line of the table for each way in which a target may fare."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from alert_history.bootstrap import reason_for_nobody
from alert_history.config import load_settings
from alert_history.domain.delivery import Fate
from alert_history.domain.notified_sentence import (
    NewsFate,
    NotifiedFacts,
    ReceiverNotice,
    TargetFate,
    is_for_settings,
    notified_sentence,
)
from alert_history.domain.notifying import NO_TARGETS
from alert_history.errors import Retryable
from alert_history.targets.answers import post

BEGIN = datetime(2026, 3, 4, 3, 12, tzinfo=UTC)
END = BEGIN + timedelta(minutes=48)


def _news(fate: Fate = "delivered", reason: str = "it matches", **fields: Any) -> NewsFate:
    return NewsFate(fate, reason, **({"at": BEGIN} | fields))


def _left_out(reason: str) -> NewsFate:
    return _news("not_told", reason, at=None)


def _sentence(*targets: TargetFate, **more: Any) -> str:
    facts = NotifiedFacts(targets, **more)
    return notified_sentence(facts, say_time=lambda time: f"{time:%H:%M}")


ENDED = _news(at=END)
TRIED: dict[str, Any] = {"at": None, "attempts": 3, "answer": "HTTP 503", "next_try_at": END}
CASES = {
    "delivered": (TargetFate("ops", _news()), "ops was notified at 03:12."),
    "delivered after attempts": (TargetFate("ops", _news(attempts=3)), "ops was notified at 03:12 after 3 attempts."),
    "its end too": (TargetFate("ops", _news(), ENDED), "ops was notified at 03:12, and of its end at 04:00."),
    "end pending": (
        TargetFate("ops", _news(), _news("pending", **TRIED)),
        (
            "ops was notified at 03:12, but not of its end yet: 3 attempts failed (the last: HTTP 503), "
            "its next turn is at 04:00."
        ),
    ),
    "end dead": (
        TargetFate("ops", _news(), _news("dead", attempts=30, answer="HTTP 404")),
        ("ops was notified at 03:12, but not of its end: not delivered in 30 attempts (the last: HTTP 404)."),
    ),
    "end superseded by a new firing": (
        TargetFate("ops", _news(), _news("superseded", "newer news went out instead: refired")),
        "ops was notified at 03:12.",
    ),
    "end alone": (
        TargetFate("ops", _news("superseded"), ENDED),
        "ops was notified of its end only at 04:00, because it was over before its turn came.",
    ),
    "end alone, the beginning dead": (
        TargetFate("ops", _news("dead", attempts=30, answer="HTTP 500"), ENDED),
        (
            "ops was notified of its end only at 04:00, because its beginning was not delivered in 30 attempts "
            "(the last: HTTP 500)."
        ),
    ),
    "disabled": (
        TargetFate("ops", _left_out("the target is disabled")),
        "Nobody was notified: ops was left out, because the target is disabled.",
    ),
    "route left out": (
        TargetFate("ops", _left_out("no route takes the alert"), _left_out("it was not told of the alert before")),
        "Nobody was notified: ops was left out, because no route takes the alert.",
    ),
    "quiet hours drop it": (
        TargetFate("ops", _left_out("quiet hours of route night (22:00-06:00) drop it")),
        "Nobody was notified: ops was left out, because quiet hours of route night (22:00-06:00) drop it.",
    ),
    "quiet hours hold it": (
        TargetFate("ops", _news("held", at=None, next_try_at=END)),
        "Nobody has been notified yet: ops waits: quiet hours hold it until 04:00.",
    ),
    "waits": (
        TargetFate("ops", _news("pending", at=None)),
        "Nobody has been notified yet: ops waits: its turn has not come.",
    ),
    "tried once": (
        TargetFate("ops", _news("pending", **TRIED | {"attempts": 1, "next_try_at": None})),
        "Nobody has been notified yet: ops waits: 1 attempt failed (HTTP 503).",
    ),
    "being sent": (
        TargetFate("ops", _news("leased", at=None)),
        "Nobody has been notified yet: ops waits: it is being sent now.",
    ),
    "refused": (
        TargetFate("slack", _news("dead", attempts=1, answer="answered 403: action_prohibited")),
        "Nobody was notified: slack refused it (403 action_prohibited).",
    ),
    "refused without a word, in the end": (
        TargetFate("ops", _news("dead", attempts=3, answer="answered 404")),
        "Nobody was notified: ops refused it in 3 attempts (the last: 404).",
    ),
    "failed at the other side": (
        TargetFate("ops", _news("dead", attempts=30, answer="answered 503: busy")),
        "Nobody was notified: ops did not get it in 30 attempts (the last: answered 503: busy).",
    ),
    "never answered": (
        TargetFate("ops", _news("dead", attempts=1, answer="its certificate is not accepted: it has expired")),
        "Nobody was notified: ops could not be reached in 1 attempt (its certificate is not accepted: it has expired).",
    ),
    "withheld": (
        TargetFate("ops", _news("withheld", "classified as noise with a confidence of 0.90 by rules")),
        "Nobody was notified: ops was held back, because it is classified as noise with a confidence of 0.90 by rules.",
    ),
    "superseded": (
        TargetFate("ops", _news("superseded", "newer news went out instead: of a later occurrence")),
        "Nobody was notified: ops was passed over, because newer news went out instead: of a later occurrence.",
    ),
    "superseded, and the end waits": (
        TargetFate("ops", _news("superseded"), _news("pending", at=None)),
        "Nobody has been notified yet: ops waits: its turn has not come.",
    ),
    "record gone": (
        TargetFate("ops", _news("unknown")),
        "Nobody was notified: ops was to be notified, and what became of that is no longer on record.",
    ),
}


@pytest.mark.parametrize("case", CASES, ids=list(CASES))
def test_of_one_target_it_says(case: str) -> None:
    target, sentence = CASES[case]
    assert _sentence(target) == sentence


@pytest.mark.parametrize(
    "nobody",
    [
        "the alert was over already",
        "it was sent to be recorded only",
    ],
)
def test_without_a_target_it_says_why(nobody: str) -> None:
    assert _sentence(nobody=nobody) == f"Nobody was notified, because {nobody}."
    assert not is_for_settings(NotifiedFacts(nobody=nobody))


@pytest.mark.parametrize(
    "nobody, words",
    [
        (NO_TARGETS, "Alert History has no targets"),
        (reason_for_nobody(load_settings({})), "Alert History has no targets"),
        (reason_for_nobody(load_settings({"PUBLISHING_ENABLED": "false"})), "publishing is off in Alert History"),
    ],
)
def test_a_reason_in_the_settings_is_said_without_their_names(nobody: str, words: str) -> None:
    assert _sentence(nobody=nobody) == f"Nobody was notified: {words}."
    assert is_for_settings(NotifiedFacts(nobody=nobody))
    assert not is_for_settings(NotifiedFacts([TargetFate("ops", _news())], nobody=nobody))


@pytest.mark.parametrize(
    "error", [httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ReadTimeout, httpx.ConnectError, httpx.ReadError]
)
async def test_of_a_target_that_gave_no_answer_it_says_so(error: type[httpx.TransportError]) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise error("")

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as client:
        with pytest.raises(Retryable) as unreached:
            await post(client, "https://ops.test/", body=b"{}")
    sentence = _sentence(TargetFate("ops", _news("dead", attempts=1, answer=str(unreached.value))))
    assert sentence.startswith("Nobody was notified: ops could not be reached in 1 attempt (")


def test_without_any_record_it_still_is_a_sentence() -> None:
    assert _sentence() == "Nobody was notified, because no target was to be."


def test_who_was_notified_comes_first_then_who_waits_then_who_failed_then_who_was_left_out() -> None:
    sentence = _sentence(
        TargetFate("a", _left_out("the target is disabled")),
        TargetFate("b", _news("dead", attempts=2)),
        TargetFate("c", _news("leased", at=None)),
        TargetFate("d", _news()),
    )
    assert sentence == (
        "d was notified at 03:12; c waits: it is being sent now; b did not get it in 2 attempts; "
        "a was left out, because the target is disabled."
    )


def test_targets_that_fare_alike_share_a_clause() -> None:
    assert _sentence(TargetFate("a", _news()), TargetFate("b", _news())) == "a and b were notified at 03:12."


def test_of_many_targets_some_are_named_and_the_others_counted() -> None:
    many = _sentence(*(TargetFate(f"t{number}", _news()) for number in range(9)))
    assert many == "t0, t1, t2 and 6 more were notified at 03:12."
    each = _sentence(*(TargetFate(f"t{number}", _left_out(f"reason {number}")) for number in range(6)))
    assert each.endswith("t3 was left out, because reason 3; 2 more were not.")


def test_what_muted_it_and_whom_alertmanager_notified_stands_behind() -> None:
    sentence = _sentence(
        nobody="it was sent to be recorded only",
        mutings=["in Alertmanager it was silenced by ada until 05:00 (“disk swap”)"],
        receivers=[ReceiverNotice("am-0", "team-x", "pagerduty", BEGIN)],
    )
    assert sentence == (
        "No target of this service was notified, because it was sent to be recorded only; in Alertmanager it was "
        "silenced by ada until 05:00 (“disk swap”); Alertmanager am-0 notified its receiver team-x (pagerduty) at "
        "03:12."
    )


def test_a_long_reason_of_many_lines_stays_within_the_sentence() -> None:
    sentence = _sentence(TargetFate("ops", _left_out("the target is broken:\n" + "x" * 900 + ".")))
    assert "\n" not in sentence
    assert len(sentence) < 260
    assert sentence.endswith("…."), sentence
