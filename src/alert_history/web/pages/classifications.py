"""`/classifications`: what alerts mean, written on the server; people read it and correct it.

How it looks is in `templates/classifications/`; its frame and its errors are those of all pages.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import get_args
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.classification import MAX_RECOMMENDATIONS, Classification, Mode
from alert_history.domain.permission import Permission
from alert_history.domain.severity import Severity
from alert_history.engine.caller import signed_as
from alert_history.engine.classify import Classifying, Correction, Entry, Figures
from alert_history.engine.modes import Modes
from alert_history.errors import AlertHistoryError, InvalidBody
from alert_history.ports import Clock
from alert_history.web.api.enrichment import CorrectionBody, EnrichmentState, Fingerprint
from alert_history.web.http.origin import is_same_origin
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.accuracy_chart import HEIGHT, WIDTH, Chart, chart_of
from alert_history.web.pages.done import done_of, note_done, said
from alert_history.web.pages.frame import Frame, Frames
from alert_history.web.pages.page import Link, Page, apology, message, page_response
from alert_history.web.pages.posted import fields_of
from alert_history.web.pages.story_acts import StoryDone, back_to_story

PATH = "/classifications"

_CORRECTION = f"{PATH}/{{fingerprint}}/correction"
_BACK = Link("classifications", "Back to the classifications")
_UNCHANGED = "Nothing was changed."
_DAYS = 30
_SHOWN = 20
_ALIKE_SHOWN = 12  # alerts of one classification
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_MODES: dict[Mode, str] = {
    "transparent": "alerts go out as they came",
    "enriched": "alerts wait shortly for their classification",
    "transparent_with_recommendations": "alerts go out at once, their classification follows",
}

# By the names on the form, as people read it.
_FAULTS = {
    "severity": f"It is: choose one of {', '.join(_SEVERITIES)}.",
    "by": "Your name: from 1 to 100 characters.",
    "summary": "Summary: at most 300 characters.",
    "recommendations": f"What to do: at most {MAX_RECOMMENDATIONS} lines, of at most 300 characters each.",
    "comment": "Why: at most 1000 characters.",
}


class PageParameters(msgspec.Struct, frozen=True):
    """Which classifications; `corrected` is the alert whose correction was just kept, if the browser says so, too."""

    severity: Severity | None = None
    corrected: Fingerprint | None = None


class Corrected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The alert whose correction was just kept."""

    corrected: str


class Overview(msgspec.Struct, frozen=True):
    """What stands above the classifications."""

    mode: Mode
    mode_words: str
    fault: str | None
    waiting: int
    figures: Figures
    chart: Chart


class ClassificationsPage:
    """The page, and the form on it."""

    def __init__(
        self, modes: Modes, classifying: Classifying, *, state: EnrichmentState, frames: Frames, clock: Clock
    ) -> None:
        self._modes = modes
        self._classifying = classifying
        self._state = state
        self._frames = frames
        self._clock = clock

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [
            Page(path=PATH, handle=self.show, needs=Permission.READ),
            Page(path=_CORRECTION, method="POST", handle=self.correct, needs=Permission.OPERATE, keeps_to_reach=True),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /classifications`."""
        try:
            asked = read_page_parameters(request, PageParameters)
            entries = await self._classifying.newest(limit=_SHOWN, severity=asked.severity)
            overview = await self._overview()
        except AlertHistoryError as error:
            return apology(request, error, back=_BACK)
        done = done_of(request, Corrected)
        is_done = done is not None and done.corrected == asked.corrected
        if not is_done:
            asked = msgspec.structs.replace(asked, corrected=None)
        page = _page(await self._frames.of(request, PATH.strip("/")), entries, overview, asked)
        return said(page) if is_done else page

    async def correct(self, request: Request) -> Response:
        """`POST /classifications/{fingerprint}/correction`: a form of our own page, and of no other."""
        if not is_same_origin(request.headers):
            text = "This form was sent by a page of another site."
            return message(request, HTTPStatus.FORBIDDEN, "Not from here", text, back=_BACK, tagline=_UNCHANGED)
        try:
            form = {name: text.strip() for name, text in (await fields_of(request)).items()}
            correction, shown = _correction(form)
            corrected = await self._classifying.correct(request.path_params["fingerprint"], correction)
        except InvalidBody as error:
            return message(
                request,
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "This can't be saved",
                str(error),
                back=_BACK,
                tagline=_UNCHANGED,
            )
        except AlertHistoryError as error:
            return apology(request, error, back=_BACK)
        if story := form.get("story"):
            return _back_to_story(story, by=correction.by)
        fingerprint = corrected.alert.fingerprint
        query = urlencode({"severity": shown, "corrected": fingerprint} if shown else {"corrected": fingerprint})
        # Relative, as a proxy may serve us below a path of its own.
        address = f"../../classifications?{query}#of-{fingerprint}"
        response = RedirectResponse(address, status_code=HTTPStatus.SEE_OTHER)
        note_done(response, msgspec.structs.asdict(Corrected(fingerprint)))
        return response

    async def _overview(self) -> Overview:
        now = self._clock()
        figures = await self._classifying.figures(since=now - timedelta(days=_DAYS), until=now + timedelta(minutes=1))
        mode = self._modes.state.mode
        chart = chart_of(figures.accuracy, last=now.date(), days=_DAYS)
        return Overview(mode, _MODES[mode], self._state.fault(), self._state.waiting(), figures, chart)


def _page(frame: Frame, entries: Sequence[Entry], overview: Overview, asked: PageParameters) -> Response:
    return page_response(
        frame,
        "classifications/classifications.html.jinja",
        entries=entries,
        overview=overview,
        asked=asked,
        severities=_SEVERITIES,
        most=_SHOWN,
        most_alike=_ALIKE_SHOWN,
        days=_DAYS,
        width=WIDTH,
        height=HEIGHT,
        by=_by_words,
        signer=signed_as(""),
    )


def _back_to_story(occurrence_id: str, *, by: str) -> Response:
    """Back to the story on which the form stood."""
    address = f"../../dashboard/alerts/{quote(occurrence_id, safe='')}?done=corrected#classification"
    return back_to_story(address, StoryDone("corrected", occurrence_id), by=by)


def _correction(given: Mapping[str, str]) -> tuple[Correction, str]:
    """The correction of a sent form, and the filter of the page it stood on. Raises InvalidBody naming the field."""
    shown = given.get("shown", "")
    lines = [line.strip() for line in given.get("recommendations", "").splitlines()]
    asked = {
        "severity": given.get("severity", ""),
        "by": signed_as(given.get("by", "")),
        "summary": given.get("summary") or None,
        "recommendations": [line for line in lines if line],
        "comment": given.get("comment", ""),
    }
    try:
        body = msgspec.convert(asked, CorrectionBody)
    except msgspec.ValidationError as error:
        wrong = re.search(r"`\$\.(\w+)", str(error))
        raise InvalidBody(_FAULTS[wrong[1]] if wrong else str(error)) from None
    correction = Correction(body.severity, body.by, body.summary, tuple(body.recommendations or ()), body.comment)
    return correction, shown if shown in _SEVERITIES else ""


def _by_words(classification: Classification) -> str:
    if classification.source == "person":
        return f"corrected by {classification.model}"
    return f"{classification.confidence:.0%} sure · by {classification.model}".replace("%", " %")
