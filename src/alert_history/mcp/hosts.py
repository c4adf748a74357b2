"""Under which names the service may be asked: what keeps a page of another site from reading it by DNS rebinding.

Such a page has a name of its own lead to our address, so that the browser takes us for that page's server. The browser
still says the name, in `Host`. A page can't do so with an address, or with `localhost`, which nobody else's name is.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from alert_history.errors import WrongHost
from alert_history.urls.hosts import ANY, host_name, host_of_url

_LONGEST = 255


class AllowedHosts:
    """The names; `*` among them allows all. Addresses, `localhost` and names below it are always allowed."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Check `Host`, and `Origin` where a browser says it. Raises WrongHost, saying what to set."""
        if ANY in self._names:
            return
        header_of = dict(headers)
        host = host_name(header_of.get(b"host", b"").decode("latin-1"))
        if not (self._is_known(host) or _is_address(host)):
            raise _wrong("Host", host)
        origin = header_of.get(b"origin")
        if origin is not None:
            page = host_of_url(origin.decode("latin-1"))
            if not (self._is_known(page) or page == host or _is_loopback(page)):
                raise _wrong("Origin", page)

    def _is_known(self, name: str) -> bool:
        return name in self._names or name == "localhost" or name.endswith(".localhost")


def _wrong(header: str, name: str) -> WrongHost:
    shown = name[:_LONGEST] or "nothing"
    return WrongHost(f"{header} says {shown!r}, which is no name of this service; add it to MCP_ALLOWED_HOSTS")


def _is_address(name: str) -> bool:
    return _address(name) is not None


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return address is not None and address.is_loopback


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None
