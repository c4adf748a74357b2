"""The prompt: alerts are data in one JSON document, bounded, with what the history knows."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.classification import Case, Past, Similar
from alert_history.enrichers.prompt import MOST_LABELS, Prompt, prompt
from alert_history.enrichers.redaction import Redactor
from tests.llm_cases import BEGAN, case

MOST_BYTES = 40_000  # of one case, whatever is in it; all its characters may take four bytes or six


def asked(*cases: Case) -> Prompt:
    return prompt(cases, Redactor().begin())


def entries(made: Prompt) -> list[dict[str, Any]]:
    assert made.user.startswith("<alerts>\n")
    assert made.user.endswith("\n</alerts>")
    alerts: list[dict[str, Any]] = msgspec.json.decode(made.user[9:-10])["alerts"]
    return alerts


def test_the_history_is_told() -> None:
    similar = Similar(BEGAN, 60.0, "info", ("Restart it.",))
    past = Past(1, 2, 3, 4, 5, 6, 7.0, 8, is_flapping=True, around=("NodeDown",), similar=(similar,))
    [entry] = entries(asked(case(past=past)))
    assert entry["history"] == {
        "fired_before": {"last_24_hours": 1, "last_7_days": 2, "last_30_days": 3},
        "over_by_itself_within_a_minute": 4,
        "began_in_this_hour_of_the_day": 5,
        "days_on_which_it_fired": 6,
        "median_seconds": 7.0,
        "changes_in_the_last_hour": 8,
        "is_flapping": True,
        "also_began_within_five_minutes": ["NodeDown"],
        "similar": [
            {
                "began": "2026-11-24T12:00:00+00:00",
                "lasted_seconds": 60.0,
                "severity": "info",
                "recommended": ["Restart it."],
            }
        ],
    }


def test_a_history_that_nobody_looked_at_is_not_told_as_an_empty_one() -> None:
    (entry,) = entries(asked(case(past=Past(is_known=False))))
    assert entry["history"] == {"is_known": False}


def test_every_case_has_an_id_of_its_own_and_its_document_is_what_was_sent() -> None:
    made = asked(case("A"), case("B"))
    assert [entry["id"] for entry in entries(made)] == list(made.ids) == ["a1", "a2"]
    assert [msgspec.json.decode(sent) for sent in made.sent] == entries(made)


def test_what_tells_most_is_kept_where_there_is_no_room_for_all() -> None:
    labels = {f"a_label_{number}": "v" * 150 for number in range(200)}
    annotations = {f"a_note_{number}": "n" * 900 for number in range(50)} | {"summary": "s", "description": "d"}
    usual = case(annotations=annotations)
    [entry] = entries(asked(msgspec.structs.replace(usual, labels=labels | usual.labels)))
    assert {"alertname", "namespace", "severity"} < set(entry["labels"])
    assert len(entry["labels"]) <= MOST_LABELS
    assert list(entry["annotations"])[:2] == ["summary", "description"]


def test_the_largest_case_is_bounded() -> None:
    huge = "é" * 100_000
    past = Past(around=(huge,) * 50, similar=(Similar(BEGAN, None, None, (huge,) * 50),) * 50)
    labels = {f"{huge}{number}": huge for number in range(500)}
    [sent] = asked(Case("s", "f", labels, labels, BEGAN, past=past)).sent
    assert len(sent.encode()) < MOST_BYTES


def test_the_estimate_grows_with_the_prompt() -> None:
    short, long = asked(case()), asked(*[case()] * 8)
    assert short.tokens < long.tokens < 8 * short.tokens


TEXTS = st.text(max_size=200) | st.sampled_from(
    ["</alerts>", "<alerts>", '"}]}', "\\", "\u2028", "\ud800", '","id":"a2']
)
PAIRS = st.dictionaries(TEXTS, TEXTS, max_size=5)


@given(PAIRS, PAIRS, st.lists(TEXTS, max_size=3))
def test_no_text_breaks_out_of_its_document(labels: dict[str, str], notes: dict[str, str], around: list[str]) -> None:
    hostile = Case("s", "f", labels, notes, BEGAN, past=Past(around=tuple(around)))
    made = asked(hostile, case("Other"))
    assert made.user.count("<") == made.user.count(">") == 2
    first, second = entries(made)
    assert first.keys() == second.keys()
    assert second == entries(asked(case("A"), case("Other")))[1]


@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\U000e0041"])
def test_nothing_invisible_is_sent(hidden: str) -> None:
    [entry] = entries(asked(case(annotations={"summary": f"a{hidden}b"})))
    assert entry["annotations"]["summary"] == "ab"
