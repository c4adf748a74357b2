"""The forms that save, rename and delete a view of the history, on its page; each leads back to it."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.permission import Permission
from alert_history.engine.saved_views import SavedViews
from alert_history.errors import InvalidBody, InvalidQuery
from alert_history.web.pages.frame import bare_frame
from alert_history.web.pages.history_state import PATH, asked_of, parse_state
from alert_history.web.pages.page import Link, Page, message
from alert_history.web.pages.posted import fields_of, refusal

_VIEWS = f"/{PATH}/views"
_BACK = Link(PATH, "Back to the history")
_UNCHANGED = "Nothing was changed."


class SavedViewForms:
    """The handlers."""

    def __init__(self, views: SavedViews) -> None:
        self._views = views

    def pages(self) -> list[Page]:
        """All of them."""
        return [
            _form(_VIEWS, self.save),
            _form(f"{_VIEWS}/{{id}}/rename", self.rename),
            _form(f"{_VIEWS}/{{id}}/delete", self.delete),
        ]

    async def save(self, request: Request) -> Response:
        """`POST /dashboard/history/views`: `name`, and the `state` of the page."""
        return await _checked(request, self._save, back="../history")

    async def rename(self, request: Request) -> Response:
        """`POST /dashboard/history/views/{id}/rename`: the new `name`."""
        return await _checked(request, self._rename, back="../../../history")

    async def delete(self, request: Request) -> Response:
        """`POST /dashboard/history/views/{id}/delete`."""
        return await _checked(request, self._delete, back="../../../history")

    async def _save(self, request: Request, fields: dict[str, str]) -> None:
        state = parse_state(fields.get("state", ""))
        try:
            asked_of(state, bare_frame(request))
        except InvalidQuery as error:
            raise InvalidBody(f"A view of this search would show nothing but its fault: {error}") from None
        await self._views.save(fields.get("name", ""), state.kept)

    async def _rename(self, request: Request, fields: dict[str, str]) -> None:
        await self._views.rename(request.path_params["id"], fields.get("name", ""))

    async def _delete(self, request: Request, _: dict[str, str]) -> None:
        await self._views.delete(request.path_params["id"])


def _form(path: str, handle: Callable[[Request], Awaitable[Response]]) -> Page:
    return Page(path=path, method="POST", handle=handle, needs=Permission.OPERATE)


async def _checked(
    request: Request, act: Callable[[Request, dict[str, str]], Awaitable[None]], *, back: str
) -> Response:
    """Do it for a form of our own page, and of no other; then back to the state that the page had."""
    refused = refusal(request, back=_BACK)
    if refused is not None:
        return refused
    try:
        fields = await fields_of(request)
        await act(request, fields)
    except InvalidBody as error:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return message(request, status, "This can't be saved", str(error), back=_BACK, tagline=_UNCHANGED)
    state = parse_state(fields.get("state", "")).kept
    # Relative, as a proxy may serve us below a path of its own.
    return RedirectResponse(f"{back}?{state}" if state else back, status_code=HTTPStatus.SEE_OTHER)
