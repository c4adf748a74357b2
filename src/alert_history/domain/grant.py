"""What one caller may do, and which alerts exist for them. Pure."""

from collections.abc import Collection, Iterable
from typing import Literal, get_args

import msgspec

from alert_history.domain.permission import Permission
from alert_history.domain.query import Query, parse_query
from alert_history.errors import InvalidBody, InvalidQuery

Scope = Literal["ingest", "read", "operate", "admin"]
"""What a token, or the role of a person, allows. `admin` includes `operate`, which includes `read`."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

_PERMISSIONS: dict[Scope, frozenset[Permission]] = {
    "ingest": frozenset({Permission.INGEST}),
    "read": frozenset({Permission.READ}),
    "operate": frozenset({Permission.READ, Permission.OPERATE}),
    "admin": frozenset({Permission.READ, Permission.OPERATE, Permission.ADMIN}),
}


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One caller.

    `actor` is who that is, as the audit and acts show it; empty where nobody can tell. Without a `reach` all alerts
    exist for them, else those that it matches. What they send as ingest gets the `ingest_scope`, where there is one.
    `key` tells callers apart that have the same name: the id of a token, the subject of a person.
    """

    actor: str = ""
    permissions: frozenset[Permission] = frozenset({Permission.PUBLIC})
    reach: Query | None = None
    ingest_scope: str = ""
    key: str = ""

    def may(self, needs: Permission) -> bool:
        """Whether they may do what needs that."""
        return needs is Permission.PUBLIC or needs in self.permissions


NOBODY = Grant()
"""Who did not say who they are."""

EVERYBODY = Grant(permissions=frozenset(Permission))
"""Every caller where nobody has to say who they are."""


def permissions_of(scopes: Iterable[Scope]) -> frozenset[Permission]:
    """What these scopes allow together."""
    return frozenset({Permission.PUBLIC}).union(*(_PERMISSIONS[scope] for scope in scopes))


def reach_of(text: str) -> Query | None:
    """The reach that a text means; None for the empty text: all alerts. Raises InvalidQuery."""
    query = parse_query(text)
    return query if query.matchers or query.words else None


def check_scopes(scopes: Collection[str]) -> tuple[Scope, ...]:
    """The scopes without repeats, the least first. Raises InvalidBody for none and for unknown ones."""
    for scope in scopes:
        if scope not in SCOPES:
            raise InvalidBody(f"scopes: {scope!r} is none; there are {', '.join(SCOPES)}")
    if not scopes:
        raise InvalidBody(f"scopes: give at least one of {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in scopes)


def check_reach(text: str, scopes: Collection[Scope]) -> str:
    """The text of a reach that goes with these scopes. Raises InvalidBody saying why it does not."""
    try:
        reach = reach_of(text)
    except InvalidQuery as error:
        raise InvalidBody(f"match: {error}") from None
    if reach is not None and "ingest" in scopes:
        raise InvalidBody("match: it narrows what is seen, not what is sent; make the ingest token one of its own")
    if reach is not None and "admin" in scopes:
        raise InvalidBody("match: who may make tokens sees all; narrow a token with read or operate")
    return text.strip()
