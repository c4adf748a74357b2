"""Who is asked what fires now: Prometheus servers and Alertmanager clusters, as an operator names them.

Holds the reading of `ALERTMANAGER_URLS` and `PROMETHEUS_URLS`. Must not connect to anything. Nothing here shows a
password: not the text forms of its values, not its messages.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

import msgspec

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", re.ASCII)
_URL = re.compile(
    r"(?P<scheme>https?)://(?:(?P<user>[^\s/?#@:]*)(?::(?P<password>[^\s/?#@]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(?P<port>\d{1,5}))?(?P<path>(?:/[^\s?#]*)?)",
    re.ASCII,
)
_PORTS = {"http": "80", "https": "443"}
_HIGHEST_PORT = 65535


class Server(msgspec.Struct, frozen=True):
    """One server. `url` has neither a user nor a password nor a slash at its end, so it may be shown."""

    url: str
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Server({self.url!r})"


class Origin(msgspec.Struct, frozen=True):
    """One witness: an Alertmanager cluster with its peers, or a Prometheus with its replicas."""

    name: str
    servers: tuple[Server, ...]


def parse_origins(text: str) -> list[Origin]:
    """The origins of a comma-separated list of URLs, in its order. `NAME=URL` names one.

    URLs of one name are one origin. A URL without a name is an origin of its own, named by its host and port.

    Raises: ValueError, which says what is wrong.
    """
    servers: dict[str, list[Server]] = {}
    unnamed: set[str] = set()
    for position, item in enumerate(text.split(","), start=1):
        name, url = _parts(item.strip())
        server, place = _server(url, position=position)
        if name and not _NAME.fullmatch(name):
            raise ValueError(
                f"the name of URL {position} is not allowed: letters, digits, `_`, `.` and `-`, at most 63"
            )
        if any(server.url == other.url for known in servers.values() for other in known):
            raise ValueError(f"URL {position} ({server.url}) is there twice")
        if not name and place in unnamed:
            raise ValueError(f"URL {position} is at {place}, as another one is; name both, as in NAME=URL")
        unnamed |= set() if name else {place}
        servers.setdefault(name or place, []).append(server)
    return [Origin(name, tuple(peers)) for name, peers in servers.items()]


def _parts(item: str) -> tuple[str, str]:
    """Its name, empty if it has none, and its URL."""
    name, sign, url = item.partition("=")
    return (name.strip(), url.strip()) if sign and "://" not in name else ("", item)


def _server(url: str, *, position: int) -> tuple[Server, str]:
    """The server, and its host and port."""
    match = _URL.fullmatch(url)
    port = match and (match["port"] or _PORTS[match["scheme"]])
    if match is None or not port or not 0 < int(port) <= _HIGHEST_PORT:
        raise ValueError(f"URL {position} is no http or https URL, or has a query, or a special character not encoded")
    shown = "".join(_without_credentials(match))
    server = Server(shown.rstrip("/"), unquote(match["user"] or ""), unquote(match["password"] or ""))
    return server, f"{match['host'].lower()}:{port}"


def _without_credentials(match: re.Match[str]) -> Iterator[str]:
    yield f"{match['scheme']}://{match['host'].lower()}"
    if match["port"]:
        yield f":{match['port']}"
    yield match["path"]
