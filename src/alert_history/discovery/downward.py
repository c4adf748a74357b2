"""Lines `key=value` as the downward API writes labels and annotations into a file: the value quoted as Go does (%q).

A value that does not begin with a double quote is taken as it stands, which is how people write them. Pure.
"""

import re

_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34, "'": 39}
_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\\"'])|x(?P<byte>[\da-fA-F]{2})|(?P<octal>[0-3][0-7]{2})"
    r"|u(?P<short>[\da-fA-F]{4})|U(?P<long>[\da-fA-F]{8}))"
)
_QUOTED = re.compile(rf'"(?:[^"\\]|{re.sub("[?]P<[a-z]+>", "?:", _ESCAPE.pattern)})*"')


def read_pairs(text: str) -> dict[str, str]:
    """The pairs; empty lines are passed over, the last of several with one key counts.

    Raises: ValueError with the number of the first line that is no pair; it does not say what the line holds.
    """
    pairs = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"line {number} is not key=value")
        try:
            pairs[key.strip()] = _value(value.strip())
        except ValueError:
            raise ValueError(f"line {number} has quotes or escapes that don't end well") from None
    return pairs


def _value(text: str) -> str:
    if not text.startswith('"'):
        return text
    if not _QUOTED.fullmatch(text):
        raise ValueError("not quoted as Go quotes")
    parts, at = [], 1
    for escape in _ESCAPE.finditer(text, 1, len(text) - 1):
        parts += [text[at : escape.start()].encode(), _unescaped(escape)]
        at = escape.end()
    parts.append(text[at:-1].encode())
    return b"".join(parts).decode()  # only when joined: %q may have split a character into \x bytes


def _unescaped(escape: re.Match[str]) -> bytes:
    if simple := escape["simple"]:
        return bytes([_SIMPLE[simple]])
    if byte := escape["byte"]:
        return bytes([int(byte, 16)])
    if octal := escape["octal"]:
        return bytes([int(octal, 8)])
    return chr(int(escape["short"] or escape["long"], 16)).encode()
