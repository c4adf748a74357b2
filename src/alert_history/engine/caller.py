"""Who calls now: the grant of the request that this task answers. What a service does by itself has none.

A context variable, because whom a reader may see concerns each read of the history, however deep below the request it
is made. It is set in one place, `web.application`, and asked by `engine.reach` and where somebody's name is kept.
"""

from contextvars import ContextVar

from alert_history.domain.grant import EVERYBODY, Grant
from alert_history.domain.query import Query

_caller: ContextVar[Grant] = ContextVar("caller", default=EVERYBODY)


def set_caller(grant: Grant) -> None:
    """Say who calls, for the rest of this task and for those that it starts."""
    _caller.set(grant)


def caller() -> Grant:
    """Who calls."""
    return _caller.get()


def reach() -> Query | None:
    """Which alerts exist for who calls; None: all."""
    return _caller.get().reach


def signed_as(given: str) -> str:
    """The name under which an act is kept: of who signed in, else the one that the caller gave."""
    return _caller.get().actor or given
