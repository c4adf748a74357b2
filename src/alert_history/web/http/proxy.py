"""Who calls, as a proxy in front says it: `AUTH_MODE=proxy`. Headers of anybody else are not read."""

from collections.abc import Mapping
from typing import Any

from alert_history.domain.grant import Grant
from alert_history.domain.roles import RoleMap
from alert_history.errors import NotSignedIn
from alert_history.web.http.client import Network, is_within


class ProxyHeaders:
    """The headers of trusted proxies, as a way through the gate. The caller itself must be such a proxy."""

    def __init__(self, roles: RoleMap, *, user_header: str, groups_header: str, trusted: tuple[Network, ...]) -> None:
        self._roles = roles
        self._user_header = user_header.lower().encode()
        self._groups_header = groups_header.lower().encode()
        self._trusted = trusted

    async def caller(self, scope: Mapping[str, Any]) -> Grant | None:
        """See `gate.SignIn`."""
        client = scope.get("client")
        if not client or not is_within(client[0], self._trusted):
            return None
        users = [value for name, value in scope["headers"] if name == self._user_header]
        if not any(users):
            return None
        if len(users) > 1:
            raise NotSignedIn("the proxy names several users: it must replace the header that a client sent")
        user = _text(users[0])
        listed = [_text(value) for name, value in scope["headers"] if name == self._groups_header]
        groups = [group.strip() for line in listed for group in line.split(",") if group.strip()]
        return self._roles.grant(user, groups, key=f"proxy:{user}")


def _text(value: bytes) -> str:
    """The text of a header. Raises NotSignedIn where it can't be a name."""
    try:
        text = value.decode().strip()
    except UnicodeDecodeError:
        text = value.decode("latin-1").strip()
    if not text.isprintable():
        raise NotSignedIn("the proxy names a user or a group that is no text")
    return text
