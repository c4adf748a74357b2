"""What people do about an occurrence, over HTTP: acknowledge it, write a note.

Holds parameters, bodies and answers; `engine.acts` takes the acts.
"""

from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.acts import MAX_BY_CHARACTERS, MAX_TEXT_CHARACTERS, is_storable
from alert_history.domain.permission import Permission
from alert_history.domain.visible import visible
from alert_history.engine.acts import Acting, ActTaken
from alert_history.engine.caller import signed_as
from alert_history.engine.history import Moved, ShownAct, shown
from alert_history.errors import InvalidBody
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import read_body

_TAG = "History"
_MOVED = "The id is of a double that was joined to another occurrence; the same call there is answered"

By = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_BY_CHARACTERS,
        description="Who does it. Whoever signed in, or has a token, does it under that name",
    ),
]
Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARACTERS)]


class ActedOnParameters(msgspec.Struct, frozen=True):
    """The id of an occurrence."""

    id: Annotated[str, Meta(description="`id` of an alert in `/history`")]


class AcknowledgeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes care of it, and what they say."""

    by: By | UnsetType = UNSET
    text: Text = ""


class NoteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who writes it, and what."""

    by: By | UnsetType = UNSET
    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARACTERS)]


class ActAnswer(msgspec.Struct, frozen=True):
    """The act as it is kept. `is_repeated`: it was kept before, by the same person, and stays as it was.

    `targets` are the targets that are told of it now, each by a delivery.
    """

    act: ShownAct
    is_repeated: bool
    targets: tuple[str, ...]


class ActsApi:
    """The handlers."""

    def __init__(self, acting: Acting) -> None:
        self._acting = acting

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                method="POST",
                path="/api/v1/alerts/{id}/acknowledge",
                summary="Acknowledge an occurrence",
                handle=self.acknowledge,
                parameters=ActedOnParameters,
                body=AcknowledgeBody,
                answer=ActAnswer,
                tag=_TAG,
                needs=Permission.OPERATE,
                keeps_to_reach=True,
                failures=(400, 404, 413, 415, 422, 503),
                description="Somebody takes care of it. Targets that know the alert and can show it are told, "
                "PagerDuty and Rootly among them. The same person again changes nothing, and the answer says so.",
                moved=_MOVED,
            ),
            Operation(
                method="POST",
                path="/api/v1/alerts/{id}/notes",
                summary="Write a note about an occurrence",
                handle=self.note,
                parameters=ActedOnParameters,
                body=NoteBody,
                answer=ActAnswer,
                tag=_TAG,
                needs=Permission.OPERATE,
                keeps_to_reach=True,
                failures=(400, 404, 413, 415, 422, 503),
                description="It stands in the timeline and the ledger. Targets that know the alert and can show it "
                "are told.",
                moved=_MOVED,
            ),
        ]

    async def acknowledge(self, request: Request, asked: ActedOnParameters) -> ActAnswer | Response:
        """`POST /api/v1/alerts/{id}/acknowledge`."""
        body = await read_body(request, AcknowledgeBody)
        by, text = _signer(body.by), _storable("text", body.text)
        return _answer(await self._acting.acknowledge(asked.id, by=by, text=text), call="acknowledge")

    async def note(self, request: Request, asked: ActedOnParameters) -> ActAnswer | Response:
        """`POST /api/v1/alerts/{id}/notes`."""
        body = await read_body(request, NoteBody)
        by, text = _signer(body.by), _sound("text", body.text)
        return _answer(await self._acting.note(asked.id, by=by, text=text), call="notes")


def _answer(taken: ActTaken | Moved, *, call: str) -> ActAnswer | Response:
    if isinstance(taken, Moved):
        return RedirectResponse(f"../{taken.id}/{call}", HTTPStatus.PERMANENT_REDIRECT)
    return ActAnswer(shown(taken.act), taken.is_repeated, taken.targets)


def _signer(given: str | UnsetType) -> str:
    """Who does it: who signed in, else who is named. Raises InvalidBody where nobody is."""
    by = signed_as("" if given is UNSET else given)[:MAX_BY_CHARACTERS]
    if not by:
        raise InvalidBody("by: say who does it")
    return _sound("by", by)


def _sound(name: str, text: str) -> str:
    """A text that says something, without the space around it. Raises InvalidBody naming the field."""
    sound = visible(_storable(name, text))
    if not sound:
        raise InvalidBody(f"{name}: it shows nothing")
    return sound


def _storable(name: str, text: str) -> str:
    """Raises InvalidBody naming the field."""
    if not is_storable(text):
        raise InvalidBody(f"{name}: NUL characters and lone surrogates can't be stored")
    return text.strip()
