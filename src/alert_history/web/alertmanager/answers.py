"""How an answer goes out: as JSON, with headers that say for which moment it is and what can't be known of that."""

from typing import Any

import msgspec
from starlette.responses import Response

from alert_history.engine.moment_state import MomentState
from alert_history.web.alertmanager.forms import time_text

AT_HEADER = "x-alert-history-at"
UNKNOWN_HEADER = "x-alert-history-unknown"
JSON = "application/json"

_MOST_CHARACTERS = 2_000
_encode = msgspec.json.Encoder().encode


def answer(content: Any, state: MomentState) -> Response:
    """What was held at a moment."""
    return Response(_encode(content), media_type=JSON, headers=moment_headers(state))


def moment_headers(state: MomentState) -> dict[str, str]:
    """For which moment an answer is, and the sentences on what can't be known of it."""
    headers = {AT_HEADER: time_text(state.at)}
    if state.unknown:
        headers[UNKNOWN_HEADER] = _bounded("; ".join(state.unknown))
    return headers


def error_text(text: str, *, status: int, headers: dict[str, str] | None = None) -> Response:
    """An error as clients of Alertmanager read it: a JSON string."""
    return Response(_encode(text), status_code=status, media_type=JSON, headers=headers)


def _bounded(text: str) -> str:
    """What a header can hold: printable ASCII, not too long."""
    plain = "".join(each if each.isascii() and each.isprintable() else "?" for each in text)
    return plain if len(plain) <= _MOST_CHARACTERS else f"{plain[:_MOST_CHARACTERS]}..."
