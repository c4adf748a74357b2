"""What somebody asks of an import over HTTP: checked as strictly as nobody at the machine would need it.

Files of the machine are no options here, the file to import is one that was sent, and where an origin connects to is
guarded. Must not start anything.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from alert_history.domain.times import parse_time
from alert_history.engine.import_checks import check_scope
from alert_history.engine.import_words import what_of
from alert_history.engine.importing import ImportPlan
from alert_history.errors import (
    AlertHistoryError,
    ConfigurationError,
    ImportFault,
    InvalidBody,
    InvalidRequest,
    NotFound,
    OriginUnavailable,
)
from alert_history.origins.imports.guard import check_url
from alert_history.origins.imports.registry import find_origin, origin_names
from alert_history.ports.past_origins import ImportRequest, Option, PastBatch, PastOrigin

_SET = "yes"
_MAX_DAYS = 36_500
_MOST_VALUES = 100
_MOST_CHARACTERS = 16_384
_MOST_WORDS = 4_096


class SentFile(msgspec.Struct, frozen=True):
    """A file that was sent to be imported, and lies in `path` as long as it is needed. `name` is what it was called."""

    path: Path
    name: str


class ImportWish(msgspec.Struct, frozen=True, kw_only=True):
    """One import that is asked for. Times are texts, as `-90d`; an empty text is none. A flag that is set is `yes`."""

    origin: str
    options: Mapping[str, Sequence[str]] = {}
    start: str = ""
    end: str = ""
    scope: str = ""
    keep_days: int | None = None
    is_dry_run: bool = False


def offered_origins() -> list[PastOrigin]:
    """The origins that work over HTTP, in their order; one of another package that can't be loaded is left out."""
    origins = []
    for name in origin_names():
        try:
            origin = find_origin(name)
        except ConfigurationError:
            continue
        if not any(option.is_required and option.kind == "path" for option in origin.options):
            origins.append(origin)
    return origins


def offered_origin(name: str) -> PastOrigin:
    """One of them. Raises: NotFound."""
    for origin in offered_origins():
        if origin.name == name:
            return origin
    raise NotFound(f"{name!r} is no origin of imports; there are {', '.join(each.name for each in offered_origins())}")


def file_option(origin: PastOrigin) -> Option | None:
    """The option for which a file is sent."""
    return next((option for option in origin.options if option.kind == "file"), None)


async def plan_of(wish: ImportWish, sent: SentFile | None, *, now: datetime, by: str) -> ImportPlan:
    """The import that is asked for. Raises: InvalidBody, with all faults."""
    try:
        origin = offered_origin(wish.origin)
    except NotFound as error:
        raise InvalidBody(f"origin: {error}") from None
    faults = [fault for name, texts in wish.options.items() for fault in _faults(origin, name, texts)]
    given = {name: tuple(texts) for name, texts in wish.options.items() if texts}
    faults += _lacking(origin, given, sent)
    faults += _faults_of_span(wish, now)
    request = ImportRequest(
        given,
        now,
        start=_time(wish.start, now),
        end=_time(wish.end, now),
        is_guarded=True,
    )
    faults += await _unreachable(origin, request)
    if faults:
        raise InvalidBody("; ".join(faults))
    others = {"start": wish.start, "end": wish.end, "scope": wish.scope}
    file = file_option(origin)
    shown = given if sent is None or file is None else {**given, file.name: (sent.name,)}
    what = what_of(origin, shown, others, is_dry_run=wish.is_dry_run)
    if len(what) > _MOST_WORDS:
        raise InvalidBody(f"options: all values together have more than {_MOST_WORDS} characters")
    if sent is not None and file is not None:
        request = msgspec.structs.replace(request, given={**given, file.name: (str(sent.path),)})
        origin = msgspec.structs.replace(origin, read=_Renaming(origin, sent).read)
    return ImportPlan(
        origin,
        request,
        what,
        by=by,
        scope=wish.scope,
        is_dry_run=wish.is_dry_run,
        keep=None if wish.keep_days is None else timedelta(days=wish.keep_days),
        is_noted=True,
    )


# --- what is wrong with it --------------------------------------------------------------------------------------------


def _faults(origin: PastOrigin, name: str, texts: Sequence[str]) -> list[str]:
    """What is wrong with the values of one option."""
    option = next((each for each in origin.options if each.name == name), None)
    if option is None:
        offered = [each.name for each in origin.options if each.kind not in {"path", "file"}]
        return [f"{name[:80]}: {origin.name} has no such option; there are {', '.join(offered)}"]
    if option.kind == "path":
        return [f"{name}: it names a file of the machine that imports, so it is for the command line alone"]
    if option.kind == "file":
        return [f"{name}: send the file itself, as multipart/form-data"]
    if len(texts) > _MOST_VALUES or sum(map(len, texts)) > _MOST_CHARACTERS:
        return [f"{name}: it is too much; at most {_MOST_VALUES} values and {_MOST_CHARACTERS} characters"]
    return [f"{name}: {fault}" for fault in _faults_of_values(option, texts)]


def _faults_of_values(option: Option, texts: Sequence[str]) -> list[str]:
    faults = []
    if len(texts) > 1 and not (option.is_repeated or option.kind == "pairs"):
        faults.append("it is given more than once")
    is_plain = all(text.isprintable() for text in texts)
    if not (is_plain or (option.kind == "secret" and not any(char in text for char in "\0\r\n" for text in texts))):
        faults.append("it holds a character that can't be shown")
    if option.kind == "flag" and any(text != _SET for text in texts):
        faults.append(f"it is a flag: {_SET}, or leave it out")
    if option.kind == "pairs":
        faults += ["it is not NAME=VALUE" for text in texts if "=" not in text][:1]
    if option.choices and not set(texts) <= set(option.choices):
        faults.append(f"one of {', '.join(option.choices)}")
    return faults


def _lacking(origin: PastOrigin, given: Mapping[str, Sequence[str]], sent: SentFile | None) -> list[str]:
    """What is needed and was not given, and a file that nobody needs."""
    needed = [each.name for each in origin.options if each.is_required and each.kind != "file"]
    faults = [f"{name}: it is needed" for name in needed if not given.get(name)]
    file = file_option(origin)
    if file is None and sent is not None:
        faults.append(f"{origin.name} takes no file")
    if file is not None and file.is_required and sent is None:
        faults.append(f"{file.name}: send the file to import, as multipart/form-data")
    return faults


def _faults_of_span(wish: ImportWish, now: datetime) -> list[str]:
    faults = []
    for name in ("start", "end"):
        try:
            text = getattr(wish, name)
            _ = text and parse_time(text, now)
        except InvalidRequest as error:
            faults.append(f"{name}: {error}")
    try:
        check_scope(wish.scope)
    except InvalidRequest as error:
        faults.append(f"scope: {error}")
    if wish.keep_days is not None and not 1 <= wish.keep_days <= _MAX_DAYS:
        faults.append(f"keep_days: a whole number from 1 to {_MAX_DAYS}")
    return faults


def _time(text: str, now: datetime) -> datetime | None:
    try:
        return parse_time(text, now) if text else None
    except InvalidRequest:
        return None


async def _unreachable(origin: PastOrigin, request: ImportRequest) -> list[str]:
    """URLs that no import over HTTP may reach."""
    faults = []
    for option in origin.options:
        for text in request.texts(option.name) if option.kind == "url" else ():
            try:
                await check_url(request, text)
            except OriginUnavailable as error:
                faults.append(f"{option.name}: {error}")
    return faults


# --- a file that was sent ---------------------------------------------------------------------------------------------


class _Renaming:
    """Reads an origin, and calls the file that was sent as its sender did, wherever the origin names it."""

    def __init__(self, origin: PastOrigin, sent: SentFile) -> None:
        self._read = origin.read
        self._path = str(sent.path)
        self._name = sent.name

    async def read(self, request: ImportRequest) -> AsyncIterator[PastBatch]:
        """See `ports.past_origins.ReadPast`."""
        try:
            async with aclosing(self._read(request)) as batches:  # type: ignore[type-var]  # a generator
                async for batch in batches:
                    yield self._renamed(batch)
        except ConfigurationError as error:
            raise ConfigurationError([self._words(fault) for fault in error.faults]) from None
        except (ImportFault, OriginUnavailable) as error:
            kind: type[AlertHistoryError] = ImportFault if isinstance(error, ImportFault) else OriginUnavailable
            raise kind(self._words(str(error))) from None

    def _renamed(self, batch: PastBatch) -> PastBatch:
        replace = msgspec.structs.replace
        return replace(
            batch,
            firings=[replace(each, place=self._words(each.place)) for each in batch.firings],
            refused=[
                replace(each, place=self._words(each.place), reason=self._words(each.reason)) for each in batch.refused
            ],
        )

    def _words(self, text: str) -> str:
        return text.replace(self._path, self._name)
