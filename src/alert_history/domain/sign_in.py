"""Sign-ins: what is kept of a browser that said who its user is, and of one that has just begun to. Pure.

The browser holds 256 random bits in a cookie, and only their SHA-256 is kept: whoever reads the database signs in as
nobody.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from alert_history.domain.grant import Grant, Scope, permissions_of, reach_of

Method = Literal["token", "oidc", "oidc-begun"]
"""How somebody signed in; `oidc-begun`: they were sent to the provider, and are not back yet."""

_RANDOM_BYTES = 32


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in as it is kept; what the browser holds is not.

    `key` is the id of the token, or the subject of the person. `scopes` and `match` are what the user might do when
    they signed in. `detail` is what its method needs besides.
    """

    digest: bytes
    actor: str
    key: str
    scopes: tuple[Scope, ...]
    match: str = ""
    method: Method
    detail: Mapping[str, object] = {}
    created_at: datetime
    expires_at: datetime

    def is_good(self, now: datetime) -> bool:
        """Whether it opens anything now, as far as it says itself."""
        return self.method != "oidc-begun" and now < self.expires_at

    def grant(self) -> Grant:
        """What the user might do when they signed in. Raises InvalidQuery."""
        return Grant(
            actor=self.actor, permissions=permissions_of(self.scopes), reach=reach_of(self.match), key=self.key
        )


def new_cookie() -> str:
    """What a browser holds: 256 random bits."""
    return secrets.token_urlsafe(_RANDOM_BYTES)
