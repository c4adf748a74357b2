"""The forms of an alert's story: acknowledge it, write a note. A form of our own page, and of no other."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Literal, TypeAlias
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.acts import MAX_BY_CHARACTERS, MAX_TEXT_CHARACTERS, is_storable
from alert_history.domain.permission import Permission
from alert_history.domain.visible import visible
from alert_history.engine.acts import Acting, ActTaken
from alert_history.engine.caller import signed_as
from alert_history.engine.history import Moved
from alert_history.errors import AlertHistoryError, InvalidBody
from alert_history.web.pages.done import note_done
from alert_history.web.pages.page import Link, Page, apology, message
from alert_history.web.pages.posted import fields_of, refusal
from alert_history.web.pages.reader_name import name_cookie

Done: TypeAlias = Literal["acknowledged", "repeated", "noted", "corrected"]
"""What was just done, as the address of the story says it."""


class StoryDone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was just done about the alert of that id."""

    done: Done
    id: str


_Call: TypeAlias = Literal["acknowledge", "notes"]
_UNCHANGED = "Nothing was changed."


class StoryActs:
    """What people do about an alert, by forms."""

    def __init__(self, acting: Acting, *, path: str) -> None:
        self._acting = acting
        self._path = path

    def pages(self) -> list[Page]:
        """Where the forms are sent to."""
        return [
            Page(
                path=f"{self._path}/acknowledge",
                method="POST",
                handle=self.acknowledge,
                needs=Permission.OPERATE,
                keeps_to_reach=True,
            ),
            Page(
                path=f"{self._path}/notes",
                method="POST",
                handle=self.note,
                needs=Permission.OPERATE,
                keeps_to_reach=True,
            ),
        ]

    async def acknowledge(self, request: Request) -> Response:
        """`POST /dashboard/alerts/{id}/acknowledge`: the words may be empty."""
        return await self._take(request, "acknowledge", self._acting.acknowledge)

    async def note(self, request: Request) -> Response:
        """`POST /dashboard/alerts/{id}/notes`."""
        return await self._take(request, "notes", self._acting.note)

    async def _take(self, request: Request, call: _Call, act: Callable[..., Awaitable[ActTaken | Moved]]) -> Response:
        occurrence_id: str = request.path_params["id"]
        back = Link(f"dashboard/alerts/{quote(occurrence_id)}", "Back to the alert")
        if (refused := refusal(request, back=back)) is not None:
            return refused
        try:
            by, text = _fields(await fields_of(request), needs_text=call == "notes")
            taken = await act(occurrence_id, by=by, text=text)
        except InvalidBody as error:
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            return message(request, status, "This can't be saved", str(error), back=back, tagline=_UNCHANGED)
        except AlertHistoryError as error:
            return apology(request, error, back=back)
        return _answer(taken, call, occurrence_id=occurrence_id, by=by)


def _fields(given: dict[str, str], *, needs_text: bool) -> tuple[str, str]:
    """Who, and in which words. Raises InvalidBody naming the field as people read it."""
    by, text = signed_as(given.get("by", "").strip()), given.get("text", "").strip()
    if not visible(by) or len(by) > MAX_BY_CHARACTERS:
        raise InvalidBody(f"Your name: from 1 to {MAX_BY_CHARACTERS} characters.")
    if len(text) > MAX_TEXT_CHARACTERS or (needs_text and not visible(text)):
        raise InvalidBody(f"Note: {'from 1 to' if needs_text else 'at most'} {MAX_TEXT_CHARACTERS} characters.")
    if not is_storable(by) or not is_storable(text):
        raise InvalidBody("NUL characters can't be kept.")
    return by, text


def _answer(taken: ActTaken | Moved, call: _Call, *, occurrence_id: str, by: str) -> Response:
    """Back to the story, relative, as a proxy may serve us below a path of its own."""
    if isinstance(taken, Moved):
        return RedirectResponse(f"../{quote(taken.id)}/{call}", status_code=HTTPStatus.PERMANENT_REDIRECT)
    done: Done = "noted" if call == "notes" else "repeated" if taken.is_repeated else "acknowledged"
    address = f"../{quote(occurrence_id)}?done={done}#people"
    return back_to_story(address, StoryDone(done, occurrence_id), by=by)


def back_to_story(address: str, done: StoryDone, *, by: str) -> Response:
    """The answer to a form of a story: its page says what was done, and the browser remembers by whom."""
    headers = {"set-cookie": name_cookie(by)}
    response = RedirectResponse(address, status_code=HTTPStatus.SEE_OTHER, headers=headers)
    note_done(response, msgspec.structs.asdict(done))
    return response
