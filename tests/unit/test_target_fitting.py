"""Text and pairs that fit."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.targets.fitting import LEFT_OUT, clipped, fitted, sound_url

TEXTS = st.text(alphabet=st.characters(codec="utf-8"))


@given(TEXTS, st.integers(1, 40))
def test_clipped_text_is_never_longer_than_it_may_be(text: str, limit: int) -> None:
    assert len(clipped(text, limit)) <= limit


def test_text_that_fits_stays_but_for_its_line_breaks() -> None:
    assert clipped("disk  is\nfull", 12) == "disk is full"


def test_text_is_cut_between_words_with_a_mark() -> None:
    assert clipped("the disk is filling up", 15) == "the disk is…"


def test_a_word_without_end_is_cut_anywhere() -> None:
    assert clipped("x" * 100, 10) == "x" * 9 + "…"


@given(st.dictionaries(TEXTS, TEXTS), st.integers(100, 2000))
def test_fitted_pairs_are_never_larger_than_they_may_be(pairs: dict[str, str], max_bytes: int) -> None:
    assert len(msgspec.json.encode(fitted(pairs, max_bytes=max_bytes))) <= max_bytes


def test_pairs_that_fit_stay_as_they_are() -> None:
    pairs = {"b": "2 \n", "a": "x" * 900}
    assert list(fitted(pairs, max_bytes=1000).items()) == list(pairs.items())


def test_long_values_are_cut_before_a_pair_is_left_out() -> None:
    pairs = fitted({"long": "x" * 100_000, "short": "y"}, max_bytes=1000)
    assert pairs == {"long": "x" * 255 + "…", "short": "y"}


def test_pairs_left_out_are_counted() -> None:
    pairs = fitted({f"label_{i:03}": "v" * 50 for i in range(100)}, max_bytes=1000)
    assert int(pairs[LEFT_OUT]) == 100 - (len(pairs) - 1)
    assert next(iter(pairs)) == "label_000"


@pytest.mark.parametrize(
    "url",
    ["", "x", "javascript:alert(1)", "http://", "http://[::1", "https://u:p@x/", "https://x/" + "a" * 2000, "\x00"],
)
def test_what_is_no_sound_link_is_none(url: str) -> None:
    assert sound_url(url) == ""


def test_a_sound_link_is_quoted_where_it_must_be() -> None:
    assert sound_url(' https://x.example/a?q=ä b"<> ') == "https://x.example/a?q=%C3%A4%20b%22%3C%3E"
