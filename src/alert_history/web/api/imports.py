"""Imports over HTTP: what was brought in from elsewhere, starting one, and taking it back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.permission import Permission
from alert_history.engine.caller import signed_as
from alert_history.engine.import_jobs import Claim, ImportJobs
from alert_history.engine.import_wishes import ImportWish, SentFile
from alert_history.errors import CrossSite, InvalidBody
from alert_history.ports.imports import ImportCounts, ImportRecord, ImportState
from alert_history.web.http.operation import Operation, json_response
from alert_history.web.http.origin import is_cross_site
from alert_history.web.http.parameters import read_body
from alert_history.web.http.upload import SentForm, UploadFolder, read_form

_TAG = "Imports"
_PATH = "/api/v1/imports"
_OPTION = "option."
_FIELDS = {"origin", "start", "end", "scope", "keep_days", "dry_run"}
_TRUE, _FALSE = {"yes", "true", "1", "on"}, {"", "no", "false", "0", "off"}
_DESCRIPTION = (
    "It runs in the background, one at a time in each process; `Location` says where it is seen. Options are those of "
    "`alert-history import ORIGIN`, without its files of the machine. An origin that reads a file gets it as "
    "`multipart/form-data`: the fields `origin`, `start`, `end`, `scope`, `keep_days`, `dry_run`, `option.NAME`, and "
    "the file. Asked again in the same words, an import that was broken off goes on."
)


class ImportBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The import that is wanted."""

    origin: Annotated[str, Meta(max_length=64, description="Where from, as `alert-history import --help` lists them")]
    options: Annotated[
        dict[str, str | bool | list[str]], Meta(description="What the origin is told; a flag is true, pairs are `a=b`")
    ] = {}
    start: Annotated[str, Meta(max_length=64, description="Began at or after; RFC 3339, a date, or as `-90d`")] = ""
    end: Annotated[str, Meta(max_length=64, description="Began before")] = ""
    scope: Annotated[str, Meta(max_length=96, description="Keeps label sets apart that only look alike")] = ""
    keep_days: Annotated[int, Meta(ge=1, le=36_500, description="How long retention spares what is older")] | None = (
        None
    )
    dry_run: Annotated[bool, Meta(description="Read and count; write nothing")] = False


class ImportParameters(msgspec.Struct, frozen=True):
    """Which import."""

    id: Annotated[str, Meta(max_length=64)]


class ImportsParameters(msgspec.Struct, frozen=True):
    """How many."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class Reason(msgspec.Struct, frozen=True):
    """Why rows were refused, and how many."""

    reason: str
    rows: int


class ImportAnswer(msgspec.Struct, frozen=True):
    """One import. `what` says what was asked, without secrets; `share` which part of its `phase` is done, from 0 to 1.

    `tried` is a dry run, of which nothing was written. `beat_at` is when its process last said that it is at it.
    Of one that was taken back the counts say what went: `taken` occurrences removed, `joined` ones that stay.
    """

    id: str
    origin: str
    what: str
    state: ImportState
    phase: str
    share: float | None
    started_at: datetime
    finished_at: datetime | None
    beat_at: datetime | None
    by: str
    fault: str | None
    counts: ImportCounts
    oldest: datetime | None
    newest: datetime | None
    reasons: list[Reason]


class ImportList(msgspec.Struct, frozen=True):
    """The newest imports, the newest first."""

    imports: list[ImportAnswer]


class ImportsApi:
    """The handlers. `max_file_bytes` bounds a file that is sent."""

    def __init__(self, jobs: ImportJobs, *, max_file_bytes: int) -> None:
        self._jobs = jobs
        self._max_file_bytes = max_file_bytes

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path=_PATH,
                summary="What was brought in from elsewhere",
                handle=self.list,
                parameters=ImportsParameters,
                answer=ImportList,
                tag=_TAG,
                needs=Permission.ADMIN,
                failures=(400, 503),
                description="The newest imports, of the command line, too.",
            ),
            Operation(
                path=f"{_PATH}/{{id}}",
                summary="One import, and how far it is",
                handle=self.find,
                parameters=ImportParameters,
                answer=ImportAnswer,
                tag=_TAG,
                needs=Permission.ADMIN,
                failures=(400, 404, 503),
            ),
            Operation(
                method="POST",
                path=_PATH,
                summary="Bring a past in",
                handle=self.start,
                body=ImportBody,
                answer=ImportAnswer,
                tag=_TAG,
                needs=Permission.ADMIN,
                same_answers=(202,),
                failures=(400, 403, 413, 422, 503, 507),
                description=_DESCRIPTION,
            ),
            Operation(
                method="POST",
                path=f"{_PATH}/{{id}}/undo",
                summary="Take an import back",
                handle=self.undo,
                parameters=ImportParameters,
                answer=ImportAnswer,
                tag=_TAG,
                needs=Permission.ADMIN,
                same_answers=(202,),
                failures=(400, 404, 503),
                description="In the background, as an import. What a sender has spoken of since, or a person acted on, "
                "stays.",
            ),
        ]

    async def list(self, _: Request, asked: ImportsParameters) -> ImportList:
        """`GET /api/v1/imports`."""
        return ImportList([import_answer(each) for each in await self._jobs.newest(asked.limit)])

    async def find(self, _: Request, asked: ImportParameters) -> ImportAnswer:
        """`GET /api/v1/imports/{id}`."""
        return import_answer(await self._jobs.find(asked.id))

    async def start(self, request: Request, _: None) -> Response:
        """`POST /api/v1/imports`."""
        if is_cross_site(request.headers):
            raise CrossSite("a page of another site may not ask for this on a visitor's behalf")
        if not _is_form(request):
            wish = _wish_of_body(await read_body(request, ImportBody))
            with self._jobs.claimed() as claim:
                return _started(await self._jobs.start(claim, wish, by=signed_as("api")))
        with self._jobs.claimed() as claim:
            form = await receive(request, claim, max_bytes=self._max_file_bytes)
            return _started(await self._jobs.start(claim, _wish_of_form(form), by=signed_as("api")))

    async def undo(self, _: Request, asked: ImportParameters) -> Response:
        """`POST /api/v1/imports/{id}/undo`."""
        with self._jobs.claimed() as claim:
            return _started(await self._jobs.undo(claim, asked.id, by=signed_as("api")), path="../" + asked.id)


async def receive(request: Request, claim: Claim, *, max_bytes: int) -> SentForm:
    """A form, whose file belongs to the job that is claimed. Raises: as `read_form`."""
    folder = UploadFolder(max_bytes=max_bytes)
    claim.discard = folder.remove
    form = await read_form(request, folder)
    claim.sent = None if form.file is None else SentFile(form.file, form.file.name)
    return form


def import_answer(record: ImportRecord) -> ImportAnswer:
    """An import as calls show it."""
    return ImportAnswer(
        id=record.id,
        origin=record.origin,
        what=record.what,
        state=record.state,
        phase=record.phase,
        share=record.share,
        started_at=record.started_at,
        finished_at=record.finished_at,
        beat_at=record.beat_at,
        by=record.by,
        fault=record.fault,
        counts=record.counts,
        oldest=record.oldest,
        newest=record.newest,
        reasons=[Reason(*pair) for pair in record.reasons],
    )


def _started(record: ImportRecord, *, path: str = "") -> Response:
    """Accepted, and where to look; relative, as a proxy may serve us below a path of its own."""
    response = json_response(import_answer(record), status=HTTPStatus.ACCEPTED)
    response.headers["location"] = path or f"imports/{record.id}"
    return response


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def _wish_of_body(body: ImportBody) -> ImportWish:
    options = {name: values for name in body.options if (values := _values_of(body, name))}
    return ImportWish(
        origin=body.origin,
        options=options,
        start=body.start,
        end=body.end,
        scope=body.scope,
        keep_days=body.keep_days,
        is_dry_run=body.dry_run,
    )


def _values_of(body: ImportBody, name: str) -> Sequence[str]:
    value = body.options[name]
    if isinstance(value, bool):
        return ["yes"] if value else []
    return [value] if isinstance(value, str) else value


def _wish_of_form(form: SentForm) -> ImportWish:
    """Raises: InvalidBody."""
    unknown = sorted(name for name in form.fields if name not in _FIELDS and not name.startswith(_OPTION))
    if unknown:
        raise InvalidBody(f"{unknown[0][:80]!r} is no field here; there are {', '.join(sorted(_FIELDS))}, option.NAME")
    options = {name.removeprefix(_OPTION): texts for name, texts in form.fields.items() if name.startswith(_OPTION)}
    return wish_of_fields(form.fields, {name: texts for name, texts in options.items() if any(texts)})


def wish_of_fields(fields: Mapping[str, Sequence[str]], options: Mapping[str, Sequence[str]]) -> ImportWish:
    """What a form asks for, of all origins alike, with these options. Raises: InvalidBody."""
    texts = {name: (fields.get(name) or [""])[-1].strip() for name in _FIELDS}
    keep_days, dry_run = texts["keep_days"], texts["dry_run"].lower()
    if keep_days and not (keep_days.isascii() and keep_days.isdigit() and len(keep_days) < len("1000000")):
        raise InvalidBody("keep_days: a whole number of days")
    if dry_run not in _TRUE | _FALSE:
        raise InvalidBody("dry_run: yes or no")
    return ImportWish(
        origin=texts["origin"],
        options=options,
        start=texts["start"],
        end=texts["end"],
        scope=texts["scope"],
        keep_days=int(keep_days) if keep_days else None,
        is_dry_run=dry_run in _TRUE,
    )
