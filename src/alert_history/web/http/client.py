"""Who sent a request: the address behind the proxies that are trusted, and the scope that the URL names."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from urllib.parse import parse_qs

from alert_history.domain.speaker import MAX_SCOPE_CHARACTERS, is_scope
from alert_history.errors import InvalidQuery, MalformedPayload

Network = IPv4Network | IPv6Network

_FORWARDED = b"x-forwarded-for"
_FORWARDED_SCHEME = b"x-forwarded-proto"


def client_address(scope: Mapping[str, Any], trusted: Sequence[Network]) -> str:
    """The address of whoever is in front of the proxies that are trusted; empty where it is not known.

    Each proxy adds the address it was called from at the end of `X-Forwarded-For`, so the last one that is no trusted
    proxy counts. What stands before it may be made up.
    """
    client = scope.get("client")
    address = client[0] if client else ""
    if not trusted or not is_within(address, trusted):
        return address
    forwarded = b",".join(value for name, value in scope["headers"] if name == _FORWARDED)
    for hop in reversed(forwarded.decode("latin-1").split(",")):
        hop = hop.strip()  # noqa: PLW2901
        if not is_address(hop):
            return address
        address = hop
        if not is_within(hop, trusted):
            return address
    return address


def came_over_tls(scope: Mapping[str, Any], trusted: tuple[Network, ...]) -> bool:
    """Whether the caller speaks TLS: with us, or with the proxies that are trusted, by `X-Forwarded-Proto`.

    Where several proxies told a scheme, the first is the one that the caller sees. Anybody else's word is not taken.
    """
    if scope.get("scheme") == "https":
        return True
    client = scope.get("client")
    if not trusted or not client or not is_within(client[0], trusted):
        return False
    forwarded = next((value for name, value in scope["headers"] if name == _FORWARDED_SCHEME), b"")
    scheme: bytes = forwarded.split(b",", 1)[0]
    return scheme.strip().lower() == b"https"


@lru_cache(maxsize=4096)
def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def is_within(text: str, networks: tuple[Network, ...]) -> bool:
    """Whether it is an address of one of these networks."""
    if not is_address(text):
        return False
    address = ip_address(text)
    return any(address in network for network in networks)


def scope_of(query: bytes) -> str:
    """The scope that the query of an ingest URL names; empty for none. Raises MalformedPayload."""
    if not query:
        return ""
    names = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("scope", [""])
    if len(names) > 1 or (names[0] and not is_scope(names[0])):
        raise MalformedPayload(
            f"scope: one name of up to {MAX_SCOPE_CHARACTERS} letters, digits, '.', '_' and '-' in the URL"
        )
    return names[0]


def check_is_now(query: bytes) -> None:
    """Raises InvalidQuery where the query of an ingest URL names a time: the past can't be changed."""
    if b"at=" in query and "at" in parse_qs(query.decode("latin-1"), keep_blank_values=True):
        raise InvalidQuery("at: alerts are kept as they come; what was so in the past can only be asked")
