"""The parts of a URL, for all kinds of URLs alike. Pure.

Strict, because programs differ on what they take for a host, a password or nothing at all: whatever could be read in
two ways is a fault, and so is whatever a library could refuse later, at every call and by an error that shows the URL.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import unquote

_MAX_CHARACTERS = 8192
_MAX_HOST_CHARACTERS = 253
_MAX_SOCKET_BYTES = 107  # of the path of a Unix socket; Linux takes no more
_LONGEST_SOCKET = ".s.PGSQL.65535"
_MAX_PORT = 65535

_PARTS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?]*)(?P<path>/[^?]*)?(?:\?(?P<query>.*))?", re.ASCII
)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NAME_AND_PORT = re.compile(r"([^:\[\]]*)(?::(\d{1,5}))?", re.ASCII)
_IPV6_AND_PORT = re.compile(r"\[([^\[\]]*)\](?::(\d{1,5}))?", re.ASCII)
_IPV6 = re.compile(r"[0-9a-f:.]+(?:%[\w.-]+)?", re.ASCII | re.IGNORECASE)
_LABEL = re.compile(r"[\w-]{1,63}", re.ASCII)

_NO_HOST = "a host or a port can't be read; give host, host:port or [IPv6]:port, and percent-encode the password"
_BRACKET = "a [ or ] stands for itself only around an IPv6 address; in a password they are written %5B and %5D"
_TOO_MANY = "it has a /, ? or @ too many; in a password they are written %2F, %3F and %40"


class UrlFault(ValueError):
    """What is wrong with a URL, in words that follow "is not allowed:". It holds no text of the URL."""


class Host(NamedTuple):
    """A host name or an address, or the path of a Unix socket or of its folder."""

    name: str
    port: int | None


@dataclass(frozen=True, repr=False)
class Url:
    """A URL in parts, percent-decoded; what is empty is None. Without a text form: it would hold the password."""

    scheme: str
    user: str | None
    password: str | None
    hosts: tuple[Host, ...]
    path: str
    parameters: Mapping[str, str]


def read_url(text: str, schemes: Sequence[str]) -> Url:
    """A URL of one of these schemes. Raises: UrlFault."""
    _check_characters(text)
    parts = _PARTS.fullmatch(text)
    if parts is None or parts["scheme"] not in schemes:
        raise UrlFault(f"it begins with none of {', '.join(f'{scheme}://' for scheme in schemes)}")
    authority, path, query = parts["authority"], parts["path"] or "", parts["query"] or ""
    login, _, places = authority.rpartition("@")
    if "@" in login + path + query:
        raise UrlFault(_TOO_MANY)
    if any(bracket in login + path + query for bracket in "[]"):
        raise UrlFault(_BRACKET)
    user, _, password = login.partition(":")
    return Url(
        scheme=parts["scheme"],
        user=_decoded(user) or None,
        password=_decoded(password) or None,
        hosts=tuple(map(_written_host, places.split(","))) if places else (),
        path=_decoded(path),
        parameters=dict(_parameters(query)),
    )


def read_host(name: str) -> str:
    """What may be connected to, without its port: a host name, an address, or an absolute path. Raises: UrlFault."""
    if name.startswith("/"):
        return check_socket(name, longest=_LONGEST_SOCKET)
    if ":" in name:
        return _ipv6(name)
    labels = name.removesuffix(".").split(".")
    if len(name) > _MAX_HOST_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
        raise UrlFault(_NO_HOST)
    if labels[-1].isdigit():
        _check_ipv4(name)
    return name


def read_port(text: str) -> int:
    """Raises: UrlFault."""
    return read_whole(text, "a port", lowest=1, highest=_MAX_PORT)


def read_whole(text: str, name: str, *, lowest: int, highest: int) -> int:
    """Raises: UrlFault."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(highest)) and lowest <= int(text) <= highest:
        return int(text)
    raise UrlFault(f"{name} is a whole number from {lowest} to {highest}")


def check_socket(path: str, *, longest: str = "") -> str:
    """The path, of a socket, or of a folder in which that has at most this name. Raises: UrlFault."""
    if len(f"{path}/{longest}".encode()) > _MAX_SOCKET_BYTES:
        raise UrlFault(f"the path of a socket is longer than {_MAX_SOCKET_BYTES} bytes")
    return path


def only_host(url: Url) -> Host:
    """The host, where there must be one. Raises: UrlFault."""
    if len(url.hosts) != 1 or url.hosts[0].name.startswith("/"):
        raise UrlFault("give one host")
    return url.hosts[0]


def _check_characters(text: str) -> None:
    if len(text) > _MAX_CHARACTERS:
        raise UrlFault(f"it is longer than {_MAX_CHARACTERS} characters")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UrlFault("it is not UTF-8 text")
    if " " in text or not text.isprintable():
        raise UrlFault("it holds a space or a character that can't be seen; percent-encode it (a space: %20)")
    if "#" in text:
        raise UrlFault("it holds a #; percent-encode it (%23)")
    if _BAD_ESCAPE.search(text):
        raise UrlFault("it holds a % that no two hexadecimal digits follow; for a % write %25")


def _written_host(text: str) -> Host:
    match = _IPV6_AND_PORT.fullmatch(text) or _NAME_AND_PORT.fullmatch(text)
    if match is None:
        raise UrlFault(_BRACKET if {"[", "]"} & set(text) else _NO_HOST)
    name = _decoded(match[1])
    host = _ipv6(name) if text.startswith("[") else read_host(name)
    return Host(host, None if match[2] is None else read_port(match[2]))


def _ipv6(text: str) -> str:
    try:
        IPv6Address(text)
    except AddressValueError:
        raise UrlFault("what stands for an IPv6 address is none") from None
    if not _IPV6.fullmatch(text):
        raise UrlFault("what stands for an IPv6 address is none")
    return text


def _check_ipv4(text: str) -> None:
    try:
        IPv4Address(text)
    except AddressValueError:
        raise UrlFault("what stands for an IPv4 address is none") from None


def _parameters(query: str) -> Iterator[tuple[str, str]]:
    """Names and values. Faults go by position: a name may be a piece of a password that holds a `&`."""
    names = set()
    for number, item in enumerate(query.split("&") if query else [], start=1):
        name, value = map(_decoded, item.split("=", 1) if "=" in item else (item, ""))
        if not name or not value:
            raise UrlFault(f"its parameter number {number} is not name=value; in a value, & is written %26")
        if "+" in item:
            raise UrlFault(f"its parameter number {number} holds a +; write %2B, or %20 for a space")
        if name in names:
            raise UrlFault(f"its parameter number {number} was there before")
        names.add(name)
        yield name, value


def _decoded(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise UrlFault("what it holds percent-encoded is not UTF-8 text") from None
    if "\0" in decoded:
        raise UrlFault("it holds a %00")
    return decoded
