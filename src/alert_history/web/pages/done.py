"""What a form has just done, said once on the page that it leads back to.

The answer to a form sets a cookie, and the page that follows says what it holds and takes it away. No address can say
it: whoever crafts a link to one of our pages can't have it report something that never happened.
"""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

DONE_COOKIE = "alert-history-done"

_SECONDS = 60
_LONGEST = 300
"""Characters of one fact: a browser keeps four thousand bytes of a cookie."""

T = TypeVar("T", bound=msgspec.Struct)


def note_done(response: Response, facts: Mapping[str, object]) -> None:
    """Have the next page say what was done."""
    text = urlencode({name: str(value)[:_LONGEST] for name, value in facts.items()}, errors="replace")
    response.set_cookie(DONE_COOKIE, quote(text), max_age=_SECONDS, httponly=True, samesite="strict")


def done_of(request: Request, kind: type[T]) -> T | None:
    """What was just done, if it is of that kind: its struct has all the facts and forbids others."""
    facts = dict(parse_qsl(unquote(request.cookies.get(DONE_COOKIE, "")), keep_blank_values=True))
    try:
        return msgspec.convert(facts, kind, strict=False) if facts else None
    except msgspec.ValidationError:
        return None


def said(response: Response) -> Response:
    """The answer that says it: nobody says it again."""
    response.delete_cookie(DONE_COOKIE, httponly=True, samesite="strict")
    return response
