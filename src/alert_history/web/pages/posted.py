"""Forms that buttons of our pages send: what their fields hold, and that no page of another site sent them."""

from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from alert_history.errors import InvalidBody
from alert_history.web.http.origin import is_same_origin
from alert_history.web.http.parameters import read_small
from alert_history.web.pages.page import Link, message

_MOST_FIELDS = 20


def refusal(request: Request, *, back: Link) -> Response | None:
    """The answer to a form that a page of another site sent; None for a form of ours."""
    if is_same_origin(request.headers):
        return None
    text = "This form was sent by a page of another site."
    return message(request, HTTPStatus.FORBIDDEN, "Not from here", text, back=back, tagline="Nothing was changed.")


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form that are not empty. Raises InvalidBody, PayloadTooLarge or SlowBody."""
    return {name: values[-1] for name, values in (await lists_of(request)).items()}


async def lists_of(request: Request) -> dict[str, list[str]]:
    """The same, of fields that may be given several times."""
    content = await read_small(request, name="form")
    try:
        return parse_qs(content.decode(), max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:  # UnicodeDecodeError is one
        raise InvalidBody("the form can't be read") from None
