"""`/dashboard/imports`: what was brought in from elsewhere, what runs now, and the forms that start and take back.

`engine.import_jobs` does it. Looks are in `templates/imports/`.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.permission import Permission
from alert_history.engine.caller import signed_as
from alert_history.engine.import_jobs import AskedImport, ImportJobs
from alert_history.engine.import_wishes import offered_origin
from alert_history.errors import AlertHistoryError, Busy, InvalidBody, NotFound
from alert_history.origins.imports.registry import title_of
from alert_history.ports.imports import ImportRecord
from alert_history.web.api.imports import receive
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.frame import Frame, Frames, length_words
from alert_history.web.pages.import_forms import ImportForm, again, form_of, wish_of
from alert_history.web.pages.import_progress import Progress, are_the_same, progress_of
from alert_history.web.pages.page import Link, Page, apology, page_response
from alert_history.web.pages.posted import refusal

PATH = "dashboard/imports"

_ORIGIN = f"/{PATH}/{{origin}}"
_ONE = f"{_ORIGIN}/{{id}}"
_BACK = Link(PATH, "Back to the imports")
_SHOWN = 50


class ImportsParameters(msgspec.Struct, frozen=True):
    """`part=running` answers what runs alone; `seen` is how far each was when the page first looked."""

    REPEATS: ClassVar = frozenset({"seen"})

    part: str = ""
    seen: Annotated[Sequence[str], Meta(max_length=50)] = ()
    tz: str | None = None


class ImportsPages:
    """The list, the form of an origin, and the page of one import. `max_file_bytes` bounds a file that is sent."""

    def __init__(self, jobs: ImportJobs, *, max_file_bytes: int, frames: Frames) -> None:
        self._jobs = jobs
        self._max_file_bytes = max_file_bytes
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [
            Page(path=f"/{PATH}", handle=self.show, needs=Permission.ADMIN),
            Page(path=_ORIGIN, handle=self.show_form, needs=Permission.ADMIN),
            Page(path=_ORIGIN, method="POST", handle=self.start, needs=Permission.ADMIN),
            Page(path=_ONE, handle=self.show_one, needs=Permission.ADMIN),
            Page(path=f"{_ONE}/undo", method="POST", handle=self.undo, needs=Permission.ADMIN),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/imports`."""
        asked = read_page_parameters(request, ImportsParameters)
        frame = await self._frames.of(request, PATH)
        records = await self._jobs.newest(_SHOWN)
        running = [progress_of(each, asked.seen, now=frame.now) for each in records if each.is_at_work(frame.now)]
        if asked.part:
            return _running_part(frame, running, asked, names=True)
        return page_response(
            frame,
            "imports/imports.html.jinja",
            names=True,
            running=running,
            again=_again(running),
            records=[each for each in records if not each.is_at_work(frame.now)],
            origins=self._jobs.origins(),
            **_words(),
        )

    async def show_form(self, request: Request) -> Response:
        """`GET /dashboard/imports/{origin}`."""
        origin = offered_origin(request.path_params["origin"])
        return await self._form(request, form_of(origin))

    async def show_one(self, request: Request) -> Response:
        """`GET /dashboard/imports/{origin}/{id}`."""
        asked = read_page_parameters(request, _OneParameters)
        frame = await self._frames.of(request, PATH)
        record = await self._jobs.find(asked.id)
        running = [progress_of(record, asked.seen, now=frame.now)] if record.is_at_work(frame.now) else []
        if asked.part:
            return _running_part(frame, running, asked, names=False)
        return page_response(
            frame,
            "imports/one.html.jinja",
            names=False,
            record=record,
            running=running,
            again=_again(running),
            form=await self._form_of(record, frame),
            **_words(),
        )

    async def start(self, request: Request) -> Response:
        """`POST /dashboard/imports/{origin}`: the page of the import that was started."""
        if (refused := refusal(request, back=_BACK)) is not None:
            return refused
        origin = offered_origin(request.path_params["origin"])
        asked: AskedImport | None = None
        try:
            with self._jobs.claimed() as claim:
                form = await receive(request, claim, max_bytes=self._max_file_bytes)
                wish = wish_of(origin, form.fields)
                asked = again(wish, origin, has_file=form.file is not None)
                record = await self._jobs.start(claim, wish, by=signed_as("page"))
        except (InvalidBody, Busy) as error:
            return await self._form(request, form_of(origin, asked, fault=str(error)), error=error)
        except AlertHistoryError as error:
            return apology(request, error, back=Link(f"{PATH}/{origin.name}", "Back to the form"))
        place = f"{quote(origin.name)}/{quote(record.id)}"  # relative, as a proxy may serve us below a path of its own
        return RedirectResponse(place, status_code=HTTPStatus.SEE_OTHER)

    async def undo(self, request: Request) -> Response:
        """`POST /dashboard/imports/{origin}/{id}/undo`."""
        if (refused := refusal(request, back=_BACK)) is not None:
            return refused
        try:
            with self._jobs.claimed() as claim:
                record = await self._jobs.undo(claim, request.path_params["id"], by=signed_as("page"))
        except AlertHistoryError as error:
            return apology(request, error, back=_BACK)
        return RedirectResponse(f"../{quote(record.id)}", status_code=HTTPStatus.SEE_OTHER)

    async def _form(self, request: Request, form: ImportForm, *, error: AlertHistoryError | None = None) -> Response:
        status = HTTPStatus.OK
        if error is not None:
            status = HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, Busy) else HTTPStatus.UNPROCESSABLE_ENTITY
        frame = await self._frames.of(request, PATH)
        return page_response(frame, "imports/form.html.jinja", status=status, form=form, **_words())

    async def _form_of(self, record: ImportRecord, frame: Frame) -> ImportForm | None:
        """The form that goes on with an import, or does what was tried; None where nobody knows what was asked."""
        if record.state != "tried" and not record.is_broken_off(frame.now):
            return None
        asked = await self._jobs.asked(record.id)
        if asked is None:
            return None
        try:
            return form_of(offered_origin(record.origin), asked)
        except NotFound:  # another package offered it, and is gone
            return None


class _OneParameters(ImportsParameters, frozen=True):
    """The same of one import. The origin in its address is for people alone."""

    origin: str = ""
    id: str = ""


def _running_part(frame: Frame, running: Sequence[Progress], asked: ImportsParameters, *, names: bool) -> Response:
    """What runs, alone; where the page is not the right one any more, the browser is told to ask for it anew."""
    response = page_response(frame, "imports/progress.html.jinja", running=running, names=names, **_words())
    if not are_the_same(running, asked.seen):
        response.headers["hx-refresh"] = "true"
    return response


def _again(running: Sequence[Progress]) -> str:
    """The query that looks again at what runs."""
    return "&".join(f"seen={quote(each.first.text)}" for each in running)


def _words() -> dict[str, Any]:
    """What all templates of imports need."""
    return {"title_of": title_of, "length": length_words}
