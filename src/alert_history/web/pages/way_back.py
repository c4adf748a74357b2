"""The page to go back to after a form: always one of ours, because what a form or a link names is anybody's."""

from urllib.parse import unquote

from alert_history.web.pages.page import HOME

_MAX_CHARACTERS = 2048
_UP = ".."
"""A part of a path that leads out of a folder: a proxy may serve others on the same host, beside us."""


def page_of(back: str) -> str:
    """The page that `back` names, below the root of the service; the first one where it is no such page.

    Never an empty text: Chromium follows no redirect to one.
    """
    path = back.partition("?")[0].partition("#")[0]
    is_ours = back.isprintable() and ":" not in path and "\\" not in path and len(back) <= _MAX_CHARACTERS
    is_ours = is_ours and _UP not in unquote(path).split("/")
    return (back.lstrip("/") if is_ours else "") or HOME.href
