"""The headers that tell browsers what an answer may not do. Every answer has them, whoever asked and whatever it says.

An answer that brings a header of these names itself keeps its own: pages have a Content-Security-Policy of their own.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from alert_history.web.http.client import Network, came_over_tls

Header = tuple[bytes, bytes]

SECURITY_HEADERS: tuple[Header, ...] = (
    # What is no page loads nothing, and nobody shows it in a frame of theirs.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),  # the same for browsers that know no frame-ancestors
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),  # an address holds a query, and a query may hold names of customers
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),  # what one reader is shown is not kept for the next, nor on a disk
    (b"permissions-policy", b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
"""In this order; names in small letters."""

TLS_HEADERS: tuple[Header, ...] = (
    # For a year, and for this host alone: other hosts of the domain may have no TLS.
    (b"strict-transport-security", b"max-age=31536000"),
    # Chromium complains of it on each page of an address that has no TLS.
    (b"cross-origin-opener-policy", b"same-origin"),
)
"""What is added where the caller came over TLS."""

SECURITY_LINES = b"".join(name + b": " + value + b"\r\n" for name, value in SECURITY_HEADERS)
"""The same as they stand in an HTTP/1.1 answer, for one that is written by hand."""


def missing_headers(
    given: Iterable[Header], scope: Mapping[str, Any], *, trusted: tuple[Network, ...] = ()
) -> list[Header]:
    """What an answer with the `given` headers lacks; those of TLS are among it only where the caller came over it.

    `trusted` are the proxies whose word is taken for that.
    """
    names = {name for name, _ in given}
    wanted = (*SECURITY_HEADERS, *TLS_HEADERS) if came_over_tls(scope, trusted) else SECURITY_HEADERS
    return [header for header in wanted if header[0] not in names]
