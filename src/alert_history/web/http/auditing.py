"""Which requests are entries of the audit: every one that changes something or exports, and every refused one.

Ingest that was accepted is none: it is the history itself. An entry is kept before the answer goes out. Whoever
did not say who they are can't fill the audit: that they signed in or out is noted where it is done, and each other
request of theirs that fails counts as a refused one.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from alert_history.domain.audit import Outcome
from alert_history.domain.grant import NOBODY
from alert_history.domain.token import without_secrets
from alert_history.engine.auditing import Asked, Auditing, set_asked
from alert_history.engine.caller import caller
from alert_history.web.http.client import Network, client_address

EXPORTS = frozenset({"/dashboard/history/export"})
"""The paths that give out much at once, as a file."""

UNCHANGING = frozenset({"POST /dashboard/zone", "POST /mcp", "POST /webhook/pagerduty", "POST /webhook/rootly"})
"""They change nothing but a cookie of their caller, or only read, or are ingest: the history has what they brought."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
_SHOWN_PATH = 200


class AuditedCalls:
    """Notes requests. `trusted` are the proxies that tell who sent a request."""

    def __init__(self, auditing: Auditing, *, trusted: tuple[Network, ...] = ()) -> None:
        self._auditing = auditing
        self._trusted = trusted

    def begin(self, scope: dict[str, Any]) -> None:
        """Say which request this task answers, so that entries made meanwhile know from where it came."""
        set_asked(Asked(lambda: client_address(scope, self._trusted), lambda: request_text(scope)))

    async def answered(self, scope: Mapping[str, Any], status: int) -> None:
        """Note a request that is about to be answered so, if it is one to be noted."""
        if status in _REFUSED:
            self._auditing.refuse(request_text(scope), status=status)
        elif is_audited(scope):
            await self._note(scope, status)

    def refused_ingest(self, scope: dict[str, Any], status: int) -> None:
        """Note alerts that were refused because of who sent them."""
        if status in _REFUSED:
            self.begin(scope)
            self._auditing.refuse(request_text(scope), status=status)

    async def _note(self, scope: Mapping[str, Any], status: int) -> None:
        text = request_text(scope)
        is_nobody = caller() == NOBODY
        if status >= HTTPStatus.BAD_REQUEST and (is_nobody or status < HTTPStatus.INTERNAL_SERVER_ERROR):
            self._auditing.refuse(text, status=status)
            return
        if is_nobody:
            return
        detail = {"status": status, **_parameters(scope)}
        outcome: Outcome = "failed" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "done"
        await self._auditing.note_call(text, outcome=outcome, detail=detail)


def is_audited(scope: Mapping[str, Any]) -> bool:
    """Whether a request that was let in is an entry: it changes something, or exports."""
    path = _template(scope)
    if scope["method"] in _READING:
        return path in EXPORTS
    return f"{scope['method']} {path}" not in UNCHANGING


def request_text(scope: Mapping[str, Any]) -> str:
    """The method and the template of the path; the path itself where nothing is served, without a token in it."""
    return f"{scope['method']} {_template(scope) or without_secrets(scope['path'])[:_SHOWN_PATH]}"


def _template(scope: Mapping[str, Any]) -> str:
    template: str = scope.get("state", {}).get("endpoint", "")
    return template


def _parameters(scope: Mapping[str, Any]) -> dict[str, Any]:
    """What the path names, and for an export its query."""
    query = scope.get("query_string", b"").decode("latin-1")
    exported = {"query": without_secrets(query)} if query and scope["method"] in _READING else {}
    return {**scope.get("path_params", {}), **exported}
