"""Names of hosts: in a list with commas between, in a `Host` header, in a URL."""

import re
from urllib.parse import urlsplit

ANY = "*"
"""In a list: every host."""

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?", re.ASCII)
_LONGEST = 253


def read_host_names(text: str | None) -> list[str]:
    """The names in a list, in lower case, without a dot at their end. Raises: ValueError naming the one that is wrong.

    None: no names.
    """
    return [_read(part.strip().lower()) for part in text.split(",")] if text is not None else []


def host_name(text: str) -> str:
    """The name or the address in `name:port`, as `Host` has it; empty where it can't be read."""
    try:
        return (urlsplit(f"//{text}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def host_of_url(url: str) -> str:
    """The name or the address that a URL, or an `Origin`, names; empty where it can't be read."""
    return host_name(url.partition("://")[2].partition("/")[0].rpartition("@")[2])


def _read(name: str) -> str:
    if name != ANY and (len(name) > _LONGEST or not _NAME.fullmatch(name)):
        raise ValueError(f"{name[:80]!r} is no name of a host")
    return name.rstrip(".")
