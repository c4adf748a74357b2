"""Text of others for a terminal or a log: shown, never obeyed."""

import re

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, ESC and the 8-bit CSI among them
    "\u2028\u2029"  # ends of lines to some readers
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # they turn the order of what follows round
)


def printable(text: str) -> str:
    r"""It with what moves a cursor, colours, ends a line or reverses it written as in JSON: `\u001b`."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
