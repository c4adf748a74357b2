"""Text and pairs made to fit a vendor's limits, with a mark where something was left out.

Nothing is escaped: markup is each target's own. Must not know any vendor.
"""

from collections.abc import Mapping

import httpx
import msgspec

MAX_URL_CHARACTERS = 2000
LEFT_OUT = "alert_history_left_out"

_ELLIPSIS = "…"
_WORD_CHARACTERS = 20  # a cut goes back at most so far to end between words
_NAME_CHARACTERS = 255
_CUTS = (16_384, 4096, 1024, 256)


def clipped(text: str, limit: int) -> str:
    """At most `limit` characters on one line, ending in `…` between words where something was cut off."""
    line = " ".join(text[: limit * 4].split()) if text else ""
    if len(line) <= limit and len(text) <= limit * 4:
        return line
    cut = line[: limit - 1]
    space = cut.rfind(" ")
    return (cut[:space] if len(cut) - space <= _WORD_CHARACTERS and space > 0 else cut.rstrip()) + _ELLIPSIS


def fitted(pairs: Mapping[str, str], *, max_bytes: int) -> dict[str, str]:
    """The pairs in their order, at most `max_bytes` long as JSON.

    Long values are cut first, all to the same length; pairs that even then don't fit are counted under LEFT_OUT.
    """
    candidate = dict(pairs)
    for longest in (None, *_CUTS):
        if longest is not None:
            candidate = {_cut(name, _NAME_CHARACTERS): _cut(value, longest) for name, value in pairs.items()}
        if _json_bytes(candidate) <= max_bytes:
            return candidate
    return _first_that_fit(candidate, of=len(pairs), max_bytes=max_bytes)


def sound_url(text: str) -> str:
    """The http(s) URL, or nothing where it is none, is too long to be a link, or holds a password."""
    stripped = text.strip()
    try:
        url = httpx.URL(stripped)
    except (httpx.InvalidURL, ValueError):
        return ""
    is_sound = url.scheme in {"http", "https"} and bool(url.host) and not url.userinfo
    return str(url) if is_sound and len(str(url)) <= MAX_URL_CHARACTERS else ""


def _first_that_fit(pairs: Mapping[str, str], *, of: int, max_bytes: int) -> dict[str, str]:
    subset: dict[str, str] = {}
    room = max_bytes - _json_bytes({LEFT_OUT: str(of)})
    for name, value in pairs.items():
        room -= _json_bytes({name: value})
        if room < 0:
            break
        subset[name] = value
    return subset | {LEFT_OUT: str(of - len(subset))}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + _ELLIPSIS


def _json_bytes(pairs: Mapping[str, str]) -> int:
    return len(msgspec.json.encode(pairs))
