"""How a URL is shown. Pure."""

import re
from urllib.parse import unquote_plus

MASK = "***"

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII)
_HOST = r"(?:[^:\[\]]*|\[[^\[\]]*\])(?::\d{1,5})?"
_HOSTS = re.compile(rf"{_HOST}(?:,{_HOST})*", re.ASCII)
_BETWEEN_URLS = re.compile(r",(?=\s*(?:[^,=:/?#@]*=)?\s*https?://)", re.IGNORECASE)
_NAME_OF_URL = re.compile(r"(?P<name>\s*(?:[^,=:/?#@]*=)?\s*)(?P<url>.*)", re.DOTALL)
_SECRET_NAME = re.compile(r"pass|secret|token|key", re.IGNORECASE)
_KNOWN_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg", "sqlite", "redis", "rediss", "unix", "http", "https")


def masked_url(url: str) -> str:
    """The URL without its password; what is no URL is not shown at all, because it may be one.

    A user alone, and a query, are often a key: of PostgreSQL alone they are shown.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        return MASK
    if scheme == "sqlite":
        return url
    authority, tail = _divided(rest)
    if "@" in tail:  # so it is not known where the password ends
        return f"{scheme}://{MASK}"
    login, at, hosts = authority.rpartition("@")
    is_postgres = scheme.startswith("postgres")
    path, mark, query = tail.partition("?")
    shown_login = _masked_login(login, shows_user_alone=is_postgres) if at else ""
    shown_hosts = hosts if _HOSTS.fullmatch(hosts) else MASK
    return f"{scheme}://{shown_login}{shown_hosts}{path}{mark}{_masked_query(query) if is_postgres else query and MASK}"


def masked_wrong_url(url: str) -> str:
    """A URL that can't be read: what in it is the password nobody knows, so only its scheme is shown."""
    scheme, separator, _ = url.partition("://")
    return f"{scheme}://{MASK}" if separator and scheme in _KNOWN_SCHEMES else MASK


def _divided(rest: str) -> tuple[str, str]:
    end = next((at for at, character in enumerate(rest) if character in "/?#"), len(rest))
    return rest[:end], rest[end:]


def _masked_login(login: str, *, shows_user_alone: bool) -> str:
    user, colon, password = login.partition(":")
    if "@" in user or not (password or shows_user_alone):
        return f"{MASK}@"
    return f"{user}:{MASK}@" if colon else f"{user}@"


def _masked_query(query: str) -> str:
    return "&".join(map(_masked_parameter, query.split("&")))


def _masked_parameter(item: str) -> str:
    name, equals, _ = item.partition("=")
    if not equals:
        return item and MASK
    return f"{name}={MASK}" if _SECRET_NAME.search(unquote_plus(name)) else item


def masked_urls(text: str) -> str:
    """A comma-separated list of URLs without passwords, `NAME=` kept; what is no URL is not shown at all."""
    return ",".join(map(_masked_item, _BETWEEN_URLS.split(text)))


def _masked_item(item: str) -> str:
    match = _NAME_OF_URL.fullmatch(item)
    shown = masked_url(match["url"]) if match else MASK
    return f"{match['name']}{shown}" if match and shown != MASK else MASK
