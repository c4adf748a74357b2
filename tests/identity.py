"""An identity provider and a browser that signs in there, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from tests import servers
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET
from tests.processes import Server

PUBLIC_URL = "http://alerts.example/history"
"""Where a proxy that strips its own path would serve us: browsers are sent back there."""


class Provider:
    """The provider of `oidc_provider.py`, as tests see it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.issuer = server.url

    def settings(self) -> dict[str, str]:
        """Those of a service that trusts it."""
        return {
            "AUTH_MODE": "oidc",
            "OIDC_ISSUER": self.issuer,
            "OIDC_CLIENT_ID": CLIENT_ID,
            "OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "PUBLIC_URL": PUBLIC_URL,
        }

    def add_person(self, sub: str, **claims: Any) -> None:
        self._hand("PUT", f"/users/{sub}", json=claims)

    def rotate(self) -> None:
        self._hand("POST", "/hand/rotate")

    def make_wrong(self, flaw: str) -> None:
        """What is wrong with each further ID token; empty: nothing."""
        self._hand("PUT", "/hand/flaw", json={"flaw": flaw})

    def seen(self) -> dict[str, int]:
        """How often each path was asked."""
        counts: dict[str, int] = self._hand("GET", "/hand/seen").json()
        return counts

    def _hand(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(method, self.issuer + path, trust_env=False, timeout=20, **options).raise_for_status()


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider, ready."""
    with servers.oidc_provider() as server:
        yield Provider(server)


class Browser:
    """A browser with cookies of its own, which follows no redirect. It reaches the service past the proxy."""

    def __init__(self, server: Server) -> None:
        self.client = httpx.Client(base_url=server.url, headers={"accept": "text/html"}, trust_env=False, timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def begin(self, back: str = "") -> str:
        """Where the service sends it: to the provider."""
        led = self.client.get("/login/oidc", params={"back": back} if back else None)
        assert led.status_code == 303, led.text
        return led.headers["location"]

    @staticmethod
    def consent(place: str, sub: str) -> str:
        """What a person does at the provider; where the provider sends the browser back to, below our root."""
        answer = httpx.post(place, data={"sub": sub}, trust_env=False, timeout=20)
        back = answer.headers["location"]
        assert back.startswith(f"{PUBLIC_URL}/login/oidc/callback?"), back
        return f"/login/oidc/callback?{urlsplit(back).query}"

    def sign_in(self, sub: str, back: str = "") -> httpx.Response:
        """The whole way."""
        return self.client.get(self.consent(self.begin(back), sub))

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.client.post(path, data=fields, headers={"sec-fetch-site": "same-origin"})
