"""Faults of parameters in plain words: msgspec says which type it expected, people read what they may write."""

import re
from collections.abc import Callable

_WORDS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"Expected `(?:int|float)\b[^`]*`, got `\w+`"), lambda _: "write a number"),
    (re.compile(r"Expected `(?:int|float)` >= (\S+)"), lambda match: f"write a number of at least {match[1]}"),
    (re.compile(r"Expected `(?:int|float)` <= (\S+)"), lambda match: f"write a number of at most {match[1]}"),
    (re.compile(r"Expected `bool\b[^`]*`, got `\w+`"), lambda _: "write true or false"),
    (re.compile(r"Expected `str` of length <= (\d+)"), lambda match: f"write at most {match[1]} letters"),
    (re.compile(r"Expected `array` of length <= (\d+)"), lambda match: f"give it at most {match[1]} times"),
    (re.compile(r"Expected `str` matching regex '\^\[0-9a-f\]\{16\}\$'"), lambda _: "write 16 hexadecimal digits"),
    (re.compile(r"Expected `str` matching regex .*", re.DOTALL), lambda _: "it is written in another way here"),
    (
        re.compile(r"Invalid enum value (.*); allowed: (.*)", re.DOTALL),
        lambda match: f"{match[1]} is not possible here; write one of: {match[2]}",
    ),
    (re.compile(r"Invalid enum value (.*)", re.DOTALL), lambda match: f"{match[1]} is not possible here"),
    (re.compile(r"Invalid UUID"), lambda _: "write an id, as the links of this page have it"),
    (re.compile(r"Invalid RFC3339 encoded date"), lambda _: "write a date, like 2026-01-31"),
)
_NAMED = re.compile(r"(\w+)(?:\[[^\]]*\])*: (.*)", re.DOTALL)


def plain_fault(text: str) -> str:
    """The fault of a parameter, `name: what is allowed`; any other text stays as it is."""
    named = _NAMED.fullmatch(text)
    if named is None:
        return text
    for pattern, words in _WORDS:
        if match := pattern.fullmatch(named[2]):
            return f"{named[1]}: {words(match)}"
    return text
