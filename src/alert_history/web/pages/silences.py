"""`/dashboard/silences`: who silenced what, why and until when, and which alerts each silence muted.

How it looks is in `templates/silences/`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, NamedTuple, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.permission import Permission
from alert_history.domain.silence_changes import ChangeKind, FieldName
from alert_history.engine.origins import OriginState
from alert_history.engine.silence_inventory import (
    FIRING,
    LOOKED_AT,
    SHOWN,
    Inventory,
    OneSilence,
    SilenceInventory,
    View,
)
from alert_history.errors import NotFound
from alert_history.ports import SilenceCounts
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.frame import Frame, Frames
from alert_history.web.pages.page import Page, rendered
from alert_history.web.pages.streaming import streamed

PATH = "dashboard/silences"
_RECORDER = "event_recorder"
_ALERTMANAGER = "alertmanager/"
_LONGEST_ID = 1024
_MUTINGS = 100


CHANGE_WORDS: Mapping[ChangeKind, str] = {
    "created": "Created",
    "known": "First known here",
    "edited": "Edited",
    "prolonged": "Made longer",
    "shortened": "Made shorter",
    "expired": "Ended early",
}
FIELD_WORDS: Mapping[FieldName, str] = {
    "matchers": "Matchers",
    "starts_at": "Begin",
    "ends_at": "End",
    "created_by": "Author",
    "comment": "Reason",
}


class SilencesParameters(msgspec.Struct, frozen=True):
    """Which silences, and the page of them; with `id` that silence alone."""

    show: View = "active"
    cursor: str | None = None
    id: Annotated[str, msgspec.Meta(max_length=_LONGEST_ID)] | None = None
    tz: str | None = None
    part: str | None = None


class Heard(Protocol):
    """Knows when each source was last heard: `engine.watchdog.Watchdog`."""

    def times(self) -> Mapping[str, datetime]:
        """By the name of the source."""
        ...


class Polled(Protocol):
    """Knows when each origin last answered: `engine.reconcile.Reconcile`."""

    state: Mapping[str, OriginState]


class Choice(NamedTuple):
    """A chip: which silences it shows, in words, how many there are (None: not counted), and what it means."""

    view: View
    words: str
    number: int | None
    meaning: str


class Knowledge(NamedTuple):
    """How silences come to be known here: the event recorder was last heard, and these Alertmanagers are polled."""

    recorder_at: datetime | None
    polled: Mapping[str, OriginState]


class SilencesPage:
    """The page. `polled` is None where no Alertmanager is polled."""

    def __init__(self, inventory: SilenceInventory, *, heard: Heard, polled: Polled | None, frames: Frames) -> None:
        self._inventory = inventory
        self._heard = heard
        self._polled = polled
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [Page(path=f"/{PATH}", handle=self.show, needs=Permission.READ)]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/silences`."""
        asked = read_page_parameters(request, SilencesParameters)
        frame = await self._frames.of(request, PATH)

        async def listed() -> str:
            return await self._listed(frame, asked)

        return await streamed(
            request, frame, "silences/silences.html.jinja", {"listed": listed}, knowledge=self._knowledge()
        )

    async def _listed(self, frame: Frame, asked: SilencesParameters) -> str:
        counts = await self._inventory.counts(at=frame.then)
        one = None
        if asked.id is None:
            page = await self._inventory.page(asked.show, cursor=asked.cursor, at=frame.then)
        else:
            one = await self._one(asked.id, frame)
            page = Inventory([one.entry] if one else [], None, is_cut=False, compares_all=not one or one.compares_all)
        return rendered(
            "silences/listed.html.jinja",
            frame=frame,
            asked=asked,
            choices=choices_of(counts, is_past=frame.then is not None),
            page=page,
            one=one,
            change_words=CHANGE_WORDS,
            field_words=FIELD_WORDS,
            spell_time=lambda text: frame.short(datetime.fromisoformat(text)),
            is_empty=not (counts.active or counts.pending or counts.expired),
            knowledge=self._knowledge(),
            bounds={"firing": FIRING, "looked_at": LOOKED_AT, "shown": SHOWN, "mutings": _MUTINGS},
        )

    async def _one(self, silence_id: str, frame: Frame) -> OneSilence | None:
        try:
            return await self._inventory.one(silence_id, at=frame.then)
        except NotFound:
            return None

    def _knowledge(self) -> Knowledge:
        states = self._polled.state if self._polled is not None else {}
        polled = {name.removeprefix(_ALERTMANAGER): state for name, state in states.items() if _ALERTMANAGER in name}
        return Knowledge(self._heard.times().get(_RECORDER), polled)


def choices_of(counts: SilenceCounts, *, is_past: bool = False) -> list[Choice]:
    """The chips, in order."""
    now, fires = ("then", "fired then") if is_past else ("now", "fires now")
    return [
        Choice("active", "Active", counts.active, f"in force {now}"),
        Choice("soon", "End soon", counts.soon, f"in force {now}, and over within 24 hours"),
        Choice("unused", "Muted nothing", None, f"in force {now}, and nobody told of an alert that they muted"),
        Choice("pending", "Pending", counts.pending, "begin later"),
        Choice("expired", "Expired", counts.expired, "over"),
        Choice("again", f"Would match {now}", None, f"over, and what {fires} matches them"),
    ]
