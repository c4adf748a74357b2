"""The name that a reader gave in a form, which the browser remembers for the next one."""

from collections.abc import Mapping
from urllib.parse import quote, unquote

from alert_history.domain.acts import MAX_BY_CHARACTERS

NAME_COOKIE = "alert-history-by"

_NAME_SECONDS = 365 * 86_400


def remembered_name(cookies: Mapping[str, str]) -> str:
    """The name that a reader gave the last time; empty where there is none."""
    return unquote(cookies.get(NAME_COOKIE, ""))[:MAX_BY_CHARACTERS]


def name_cookie(name: str) -> str:
    """The header that remembers a name."""
    return f"{NAME_COOKIE}={quote(name, safe='')}; Path=/; Max-Age={_NAME_SECONDS}; SameSite=Lax; HttpOnly"
