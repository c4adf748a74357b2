"""Text that people can see. Blank text is as good as missing: vendors refuse it, and it says nothing."""

import re
from collections.abc import Mapping

NAMELESS = "alert without a name"

_SEEN = re.compile(
    r"[^\s\x00-\x1f\x7f-\x9f\xad"  # space of every kind, control characters, the soft hyphen
    r"\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"  # format characters
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"  # fillers, the empty Braille pattern, variation selectors
    r"\ud800-\udfff\U000e0000-\U000e0fff]"  # lone surrogates, tags
)


def visible(text: str) -> str:
    """A text without space around it; empty for a text without visible characters."""
    return text.strip() if _SEEN.search(text) else ""


def first_visible(pairs: Mapping[str, str], *names: str) -> str:
    """The first visible value of `names`, without space around it; empty without any."""
    return next(filter(None, (visible(pairs.get(name, "")) for name in names)), "")


def alert_name(labels: Mapping[str, str]) -> str:
    """What people call an alert with these labels: its `alertname`, or NAMELESS where that shows nothing."""
    return first_visible(labels, "alertname") or NAMELESS
