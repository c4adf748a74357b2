"""What a request says: parameters of its path and query, and small JSON bodies, read into structs and checked.

msgspec reads them; a fault names the parameter or field, in words for whoever called.
"""

import asyncio
from typing import Annotated, TypeVar, get_args, get_type_hints
from urllib.parse import urlencode

import msgspec
from msgspec import Meta
from starlette.requests import ClientDisconnect, Request

from alert_history import errors
from alert_history.web.http.slow_body import READ_SECONDS, slow_body

Limit = Annotated[int, Meta(ge=1, le=1000)]
"""The most entries of one page, as a parameter of each list."""

T = TypeVar("T", bound=msgspec.Struct)

_MAX_BODY_BYTES = 64 * 1024


def read_parameters(request: Request, kind: type[T]) -> T:
    """Path and query parameters as that struct. Raises InvalidQuery naming the parameter.

    A query parameter without a value counts as not given, unless the struct names it in `EMPTY_MEANS_EMPTY`: forms
    and some HTTP clients send all that they know. Those that the struct names in `REPEATS` are lists, and may be given
    more than once.
    """
    repeats: frozenset[str] = getattr(kind, "REPEATS", frozenset())
    given = dict(request.query_params) | request.path_params
    allowed = kind.__struct_fields__
    for name in given:
        if name not in allowed:
            raise errors.InvalidQuery(f"{name!r} is no parameter here; there are {', '.join(allowed)}")
    names = [*request.path_params, *(name for name, _ in request.query_params.multi_items())]
    for name in given:
        if names.count(name) > 1 and name not in repeats:
            raise errors.InvalidQuery(f"{name}: it is given more than once")
    may_be_empty = {*request.path_params, *getattr(kind, "EMPTY_MEANS_EMPTY", ())}
    values: dict[str, object] = {name: text for name, text in given.items() if text or name in may_be_empty}
    values |= {name: list(filter(None, request.query_params.getlist(name))) for name in repeats if name in given}
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise errors.InvalidQuery(_named(str(error), kind)) from None


def read_page_parameters(request: Request, kind: type[T]) -> T:
    """The same for a page: what it does not know is passed over, because chats and mails add to addresses."""
    known = [pair for pair in request.query_params.multi_items() if pair[0] in kind.__struct_fields__]
    return read_parameters(Request({**request.scope, "query_string": urlencode(known).encode()}), kind)


async def read_body(request: Request, kind: type[T]) -> T:
    """A small JSON body as that struct. Raises InvalidBody naming the field and what is allowed.

    It must be called JSON: that a page of another site can't send without being asked whether it may.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise errors.UnsupportedMedia("the body must be application/json")
    content = await read_small(request)
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise errors.InvalidBody(_named(str(error), kind)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.MalformedPayload(f"not JSON: {error}") from None


async def read_small(request: Request, *, name: str = "body", max_bytes: int = _MAX_BODY_BYTES) -> bytes:
    """A body of at most `max_bytes`. Raises PayloadTooLarge, SlowBody, or MalformedPayload where the caller hung up."""
    content = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > max_bytes:
                    raise errors.PayloadTooLarge(f"the {name} has more than {max_bytes} bytes")
    except TimeoutError:
        raise slow_body(name, seconds=READ_SECONDS) from None
    except ClientDisconnect:
        raise errors.MalformedPayload(f"the {name} ended early") from None
    return bytes(content)


def _named(message: str, kind: type) -> str:
    """The message `… - at `$.limit`` as `limit: …`, with the words that are allowed where there is a list of them."""
    text, _, path = message.partition(" - at `$.")
    name = path.rstrip("`")
    if text.startswith("Invalid enum value"):
        hint = get_type_hints(kind).get(name)
        words = [word for part in (hint, *get_args(hint)) for word in get_args(part) if isinstance(word, str)]
        text += f"; allowed: {', '.join(words)}" if words else ""
    return f"{name}: {text}" if name else text
