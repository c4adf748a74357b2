"""Untrusted text in Slack's mrkdwn: escaped, cut to length without breaking an escape, unable to call anybody.

Must not know what a message says. Source: Slack's "Formatting text": `&`, `<` and `>` are the only control
characters, and `<!channel>` and links begin with `<`.
"""

import re

from alert_history.targets.fitting import sound_url
from alert_history.targets.wording import calling_nobody

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\s*\n\s*\n\s*")
_WORD_CHARACTERS = 20  # a cut goes back at most so far to end between words
_URL_CHARACTERS = 600


def clip(text: str, limit: int) -> str:
    """`text` escaped, at most `limit` characters after that, ending in `…` where something was cut off."""
    clean = _clean(text)
    length = cut = 0
    for position, character in enumerate(clean):
        length += len(_ESCAPES.get(character, character))
        if length > limit:
            return _escape(_back_to_word(clean[:cut])) + "…"
        if length < limit:
            cut = position + 1
    return _escape(clean)


def clip_line(text: str, limit: int) -> str:
    """As `clip`, on one line."""
    return clip(" ".join(text.split()), limit)


def code(text: str, limit: int) -> str:
    """`text` as code on one line, at most `limit` characters of it."""
    return f"`{clip_line(text.replace('`', 'ˋ'), limit)}`"


def link(url: str, words: str) -> str:
    """A link that shows `words` (trusted); empty where `url` is no sound http(s) URL or too long."""
    escaped = _escape(sound_url(url)).replace("|", "%7C")
    return f"<{escaped}|{words}>" if 0 < len(escaped) <= _URL_CHARACTERS else ""


def _clean(text: str) -> str:
    """The text without invisible characters, with at most one newline in a row, and unable to call anybody."""
    return calling_nobody(_BLANK_LINES.sub("\n", _INVISIBLE.sub("", text).strip()))


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def _back_to_word(text: str) -> str:
    space = max(text.rfind(" "), text.rfind("\n"))
    return text[:space] if len(text) - space <= _WORD_CHARACTERS and space > 0 else text.rstrip()
