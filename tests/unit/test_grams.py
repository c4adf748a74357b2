"""What a bitmap lacks, no text has: whatever the letters, and whatever part of a text is looked for."""

from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from alert_history.domain.grams import Grams, foreign_lower, needed_grams, places_of, plain_part
from alert_history.domain.query import Query

TEXTS = st.text(
    st.one_of(st.sampled_from('aAkKiIsSσςΣİı\u212aſß\u0307é"\\ %'), st.characters(codec="utf-8")), max_size=12
)


def may_hold(bitmap: bytes, word: str) -> bool:
    bits = len(bitmap) * 8
    places = [place & (bits - 1) for gram in needed_grams(word) for place in places_of(gram)]
    return all(bitmap[place >> 3] >> (place & 7) & 1 for place in places)


@given(TEXTS, st.integers(0, 12), st.integers(0, 12), st.sampled_from([str, str.lower, str.upper, str.swapcase]))
@example("ΟΔΟΣΑ", 0, 4, str)
def test_a_bitmap_has_each_word_that_is_in_a_text(
    text: str, start: int, length: int, write: Callable[[str], str]
) -> None:
    word = write(text[start : start + length])
    grams = Grams()
    grams.add([text])
    assert may_hold(grams.bitmap(), word) or not Query((), (word,)).matches({"a": text}, {})


@given(TEXTS, TEXTS)
def test_what_matches_has_the_plain_part_of_the_word(text: str, word: str) -> None:
    part = plain_part(word)
    if Query((), (word,)).matches({"a": text}, {}) and part:
        lowered = "".join(char.lower() if char.isascii() else char for char in text)
        assert part in lowered or any(letter in text for letter in foreign_lower(part))


def test_a_bitmap_of_other_texts_lacks_a_word() -> None:
    grams = Grams()
    grams.add([f"deploy-{number}-{number * 77:x}" for number in range(2000)])
    assert [may_hold(grams.bitmap(), word) for word in ("deploy-7-", "unheard", "deploy-x")] == [True, False, False]


def test_a_bitmap_has_at_most_a_quarter_of_its_bits_set() -> None:
    grams = Grams()
    grams.add([f"{number:x}" for number in range(3000)])
    bitmap = grams.bitmap()
    assert sum(byte.bit_count() for byte in bitmap) * 4 <= len(bitmap) * 8
