"""Whether a browser sends a form from our own page, or from another site's on a visitor's behalf."""

from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

_OURS = frozenset({"same-origin", "none"})
"""Of Sec-Fetch-Site: our own page, or the reader's own doing."""


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """By `Sec-Fetch-Site`, which browsers send to trustworthy addresses, else by `Origin`, which they always send.

    Without either it is no browser, or one too old to be protected: no. Behind a proxy `Origin` has the proxy's scheme,
    so host and port alone are compared. Source: the OWASP cheat sheet on cross-site request forgery.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in _OURS
    origin, host = headers.get("origin", ""), headers.get("host", "")
    with suppress(ValueError):  # "http://[" is no address
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    return False


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Whether a browser sends it for a page that is not ours. Programs, which send neither header, are not browsers."""
    is_of_a_browser = "sec-fetch-site" in headers or "origin" in headers
    return is_of_a_browser and not is_same_origin(headers)
