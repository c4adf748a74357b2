"""Grams: the short pieces that texts are made of, and a bitmap that says which of them many texts lack.

A text that holds a word holds each gram of the word. So a bitmap that lacks one gram of a word says for all its texts
that none holds the word. The other way round nothing is sure: two grams may share a bit. Pure.
"""

from collections.abc import Iterable
from zlib import crc32

GRAM = 4
"""The most characters of a gram. A text of fewer characters is looked for as it is, so shorter grams are kept too."""

_MOST_BITS_A_GRAM = 16
_FEWEST_BITS = 1 << 10
_MOST_BITS = 1 << 20
_MIXER = 0x9E3779B1  # of neighbours, as texts of digits are, crc32 alone makes neighbours


def folded(text: str) -> str:
    """A text without the difference of letter case, as coarse as any database is.

    A final sigma is a sigma to a database that looks at one letter at a time, and the dot that Python puts above an `i`
    for `İ` is nothing to it.
    """
    text = text.lower()
    return text if text.isascii() else text.replace("ς", "σ").replace("\u0307", "")


class Grams:
    """The grams of texts."""

    def __init__(self) -> None:
        self._longest: set[str] = set()
        self._shorter: set[str] = set()

    def add(self, texts: Iterable[str]) -> None:
        """Take texts apart; a text that was added before costs as much again."""
        for text in map(folded, texts):
            if len(text) < GRAM:
                self._shorter |= {text[at : at + size] for size in range(1, GRAM) for at in range(len(text) - size + 1)}
            else:
                self._longest.update([text[at : at + GRAM] for at in range(len(text) - GRAM + 1)])

    def bitmap(self) -> bytes:
        """A power of two of bits: 8 to 16 a gram, at most 2**20, at least 2**10. Bit n is in byte n // 8."""
        grams = self._all()
        enough = min(max(len(grams) * _MOST_BITS_A_GRAM, _FEWEST_BITS), _MOST_BITS)
        bits = 1 << enough.bit_length() - 1
        bitmap = bytearray(bits // 8)
        for gram in grams:
            for place in places_of(gram):
                bit = place & (bits - 1)
                bitmap[bit >> 3] |= 1 << (bit & 7)
        return bytes(bitmap)

    def _all(self) -> set[str]:
        """The grams of each length: a text's shorter grams are parts of its longest grams."""
        grams = self._longest | self._shorter
        of_this_size = self._longest
        for size in range(GRAM - 1, 0, -1):
            of_this_size = {part for gram in of_this_size for part in (gram[:size], gram[1:])}
            grams |= of_this_size
        return grams


def needed_grams(text: str) -> list[str]:
    """The grams that each text has that holds this text, in any letter case; no gram for an empty text."""
    text = folded(text)
    if len(text) <= GRAM:
        return [text] if text else []
    return list(dict.fromkeys(text[at : at + GRAM] for at in range(len(text) - GRAM + 1)))


def places_of(gram: str) -> tuple[int, int]:
    """Two numbers below 2**20 for a gram; its bits in a bitmap are these numbers modulo the bits of the bitmap."""
    mixed = crc32(gram.encode("utf-8", "surrogatepass")) * _MIXER
    return mixed >> 12 & (_MOST_BITS - 1), mixed >> 36 & (_MOST_BITS - 1)


def plain_part(word: str) -> str:
    """The longest part of a word that JSON holds as it is, in lower case: printable ASCII without quotes, or `""`."""
    parts = [""]
    for char in word.lower():
        if " " <= char <= "~" and char not in '"\\':
            parts[-1] += char
        elif parts[-1]:
            parts.append("")
    return max(parts, key=len)


def foreign_lower(part: str) -> list[str]:
    """The letters outside ASCII whose lower case holds an ASCII letter of this part."""
    return [char for letter, char in (("i", "İ"), ("k", "\u212a")) if letter in part]
