"""Texts in double quotes as Go's `strconv` reads and writes them, and what Go takes for a space.

Alertmanager prints labels so in group keys. Must not know what the texts mean.
"""

import re

SPACES = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | frozenset(
    map(chr, range(0x2000, 0x200B))
)
"""What `unicode.IsSpace` says yes to. Python's `isspace` says yes to four more."""

_PLAIN_ASCII = re.compile(r"[ !#-\[\]-~]*")
_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}
_WRITTEN = {chr(code): f"\\{letter}" for letter, code in _ESCAPES.items()}
_ESCAPE = re.compile(
    r"\\(?:(?P<char>[abfnrtv\\\"])|(?P<octal>[0-3][0-7]{2})|x(?P<byte>[0-9a-fA-F]{2})"
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))|(?P<plain>[^\\\n]++)"
)
_DELETE = "\x7f"
_LAST_SHORT = 0xFFFF


def go_quoted(text: str) -> str:
    """The text as `%q` prints it: what can't be printed is escaped, other characters stand as they are."""
    if _PLAIN_ASCII.fullmatch(text):
        return f'"{text}"'
    return '"' + "".join(map(_written, text)) + '"'


def go_unquoted(inner: str) -> str:
    """What stands between double quotes, with its escapes read. Raises: ValueError, with the reason."""
    pieces: list[bytes] = []
    at = 0
    while at < len(inner):
        match = _ESCAPE.match(inner, at)
        if match is None:
            what = "a line break" if inner[at] == "\n" else f"the escape {inner[at : at + 2]}"
            raise ValueError(f"{what} is not allowed in quotes")
        pieces.append(_bytes_of(match))
        at = match.end()
    try:
        return b"".join(pieces).decode()
    except UnicodeDecodeError:
        raise ValueError("the escapes are no UTF-8") from None


def _bytes_of(match: re.Match[str]) -> bytes:
    if plain := match["plain"]:
        return str(plain).encode("utf-8", "replace")
    if char := match["char"]:
        return bytes([_ESCAPES[char]])
    if match["octal"] or match["byte"]:
        return bytes([int(match["octal"], 8) if match["octal"] else int(match["byte"], 16)])
    try:
        return chr(int(match["short"] or match["long"], 16)).encode()
    except (ValueError, OverflowError):
        raise ValueError(f"{match[0]} is no character") from None


def _written(char: str) -> str:
    if char in _WRITTEN:
        return _WRITTEN[char]
    if char.isprintable():
        return char
    if char < " " or char == _DELETE:
        return f"\\x{ord(char):02x}"
    return f"\\u{ord(char):04x}" if ord(char) <= _LAST_SHORT else f"\\U{ord(char):08x}"
