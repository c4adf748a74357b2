"""The tools of one history, and one call of a tool: who may, which arguments, how long, how large.

Knows nothing of the SDK, so what is promised here holds on every transport.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog

from alert_history.domain.grant import NOBODY
from alert_history.domain.permission import Permission
from alert_history.domain.printable import printable
from alert_history.engine.caller import caller
from alert_history.errors import (
    AlertHistoryError,
    Forbidden,
    InvalidQuery,
    InvalidRequest,
    NotFound,
    NotSignedIn,
    QueryTimeout,
    Unavailable,
)
from alert_history.mcp.bounds import Fitted, fit
from alert_history.mcp.tool import Parameters, Tool, schema_of

CALL_SECONDS = 30.0
"""How long a call may take; each read of the database has its own, shorter deadline."""

_LONGEST_FAULT = 1_000
_MOST_TURNS = 3
_OURS = "The service made a mistake; its log says more."
_OPERATORS = "The operator must mend something first; the log of the service says what."

_log = structlog.get_logger()


class Called(NamedTuple):
    """What a call came to: its text, and as data unless it failed."""

    text: str
    data: dict[str, Any] | None = None

    @property
    def is_error(self) -> bool:
        """Whether it failed."""
        return self.data is None


class Toolbox:
    """All tools, by name."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    @property
    def tools(self) -> list[Tool]:
        """All of them, in the order in which they are listed."""
        return list(self._tools.values())

    def find(self, name: str) -> Tool:
        """The tool of that name. Raises NotFound, naming those that there are."""
        if name not in self._tools:
            names = ", ".join(self._tools)
            raise NotFound(f"there is no tool {printable(name)[:80]!r}; there are {names}")
        return self._tools[name]

    async def call(self, tool: Tool, arguments: Mapping[str, Any]) -> Called:
        """Call a tool. Whatever goes wrong becomes words for the caller; only cancellation is passed on."""
        try:
            _check_reader()
            parameters = _parameters(tool, arguments)
            async with asyncio.timeout(CALL_SECONDS):
                fitted = await _answered(tool, parameters)
        except TimeoutError:
            return Called(f"It took more than {CALL_SECONDS:g} s; ask for less, such as a shorter time.")
        except Exception as error:  # noqa: BLE001  # a caller gets words, never a traceback
            return Called(_fault(error, tool))
        return Called(fitted.text, fitted.data)


def _check_reader() -> None:
    """The gate has let them in; this is for a call that lost whose it is. Raises NotSignedIn, Forbidden."""
    grant = caller()
    if grant == NOBODY:
        raise NotSignedIn("say who you are: send a token as Authorization: Bearer")
    if not grant.may(Permission.READ):
        raise Forbidden(f"this needs the permission {Permission.READ}")


def _parameters(tool: Tool, arguments: Mapping[str, Any]) -> Parameters:
    """The arguments as the tool takes them. Raises InvalidQuery naming the one that is wrong."""
    names = tool.parameters.__struct_fields__
    strange = [name for name in arguments if name not in names]
    if strange:
        raise InvalidQuery(f"{strange[0]!r} is no argument of {tool.name}; there are {', '.join(names)}")
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return msgspec.convert(given, tool.parameters, strict=False)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$.")
        name = path.rstrip("`")
        words = _words(tool.parameters, name) if text.startswith("Invalid enum value") else []
        text += f"; allowed: {', '.join(words)}" if words else ""
        raise InvalidQuery(f"{name}: {text}" if name else text) from None


def _words(parameters: type[Parameters], name: str) -> list[str]:
    """The words that an argument may be; none where there is no list of them."""
    schema = schema_of(parameters)["properties"].get(name, {})
    return [word for part in (schema, *schema.get("anyOf", ())) for word in part.get("enum", ())]


async def _answered(tool: Tool, parameters: Parameters) -> Fitted:
    """An answer that fits. A page of which rows were cut off is asked for anew, with as many as there is room for."""
    answer = await tool.handle(parameters)
    fitted = await asyncio.to_thread(fit, answer, tool, max_bytes=parameters.max_bytes)
    for _ in range(_MOST_TURNS):
        rows = len(getattr(fitted.answer, tool.pages)) if tool.again is not None else 0
        if tool.again is None or not rows or rows == len(getattr(answer, tool.pages)):
            break
        answer = await tool.again(parameters, rows)
        fitted = await asyncio.to_thread(fit, answer, tool, max_bytes=parameters.max_bytes)
    return fitted


def _fault(error: Exception, tool: Tool) -> str:
    """What is wrong, in words for the caller."""
    if isinstance(error, InvalidRequest):
        text = str(error)
    elif isinstance(error, QueryTimeout):
        text = f"{error}; ask for less, such as a shorter time"
    elif isinstance(error, Unavailable):
        text = f"{error}; it may work in {error.after_seconds} s"
    elif isinstance(error, AlertHistoryError):
        _log.warning("tool_failed", tool=tool.name, reason=str(error))
        return _OPERATORS
    else:
        _log.error("tool_failed", tool=tool.name, exc_info=error)
        return _OURS
    return f"{tool.name}: {printable(text)[:_LONGEST_FAULT]}"
