"""Whether who follows a stream may still do so: a token may be revoked, and a sign-in may end, while it goes on."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from alert_history.domain.grant import Grant
from alert_history.errors import Forbidden, NotSignedIn, StorageUnavailable
from alert_history.web.http.event_stream import END
from alert_history.web.http.gate import Gate

LOOKS_EVERY_SECONDS = 0.5


async def end_when_unwelcome(scope: MutableMapping[str, Any], gate: Gate, grant: Grant) -> None:
    """End the stream of a request as soon as its caller has not the very grant any more with which it began.

    Returns when the stream is over. While the database is away, what is known counts.
    """
    while (end := scope.get(END)) is not None:
        if not await _is_welcome(scope, gate, grant):
            end()
            return
        await asyncio.sleep(LOOKS_EVERY_SECONDS)


async def _is_welcome(scope: MutableMapping[str, Any], gate: Gate, grant: Grant) -> bool:
    try:
        return await gate.caller(scope) == grant
    except StorageUnavailable:
        return True
    except (Forbidden, NotSignedIn):
        return False
