"""`/dashboard/targets`: how each target fares, what waits for it, why it gets nothing; a test message, a replay.

How it looks is in `templates/targets/`.
"""

from datetime import timedelta
from http import HTTPStatus
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.permission import Permission
from alert_history.engine.analysis import Asked
from alert_history.engine.delivery_counts import DeliveryCounting, TargetCount
from alert_history.engine.targets import HealthStatus, Targets, TargetState
from alert_history.errors import AlertHistoryError
from alert_history.ports import HistoryFilter
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.done import done_of, note_done, said
from alert_history.web.pages.frame import Frame, Frames
from alert_history.web.pages.page import Link, Page, page_response
from alert_history.web.pages.posted import fields_of, refusal
from alert_history.web.pages.replayed import Replayed, replay_all

PATH = "/dashboard/targets"

_TEST = f"{PATH}/test"
_REPLAY = f"{PATH}/replay"
_REFRESH = f"{PATH}/refresh"
_BACK = Link(PATH.strip("/"), "Back to the targets")
_DAYS = 7
_MARKS: dict[HealthStatus, str] = {
    "healthy": "ok",
    "degraded": "pending",
    "unhealthy": "failed",
    "broken": "failed",
    "disabled": "none",
    "unknown": "none",
}
_HEALTH: dict[HealthStatus, str] = {
    "healthy": "healthy",
    "degraded": "its last attempt failed",
    "unhealthy": "failing",
    "broken": "broken",
    "disabled": "gets nothing",
    "unknown": "not tried yet",
}


class TargetPlaces(msgspec.Struct, frozen=True):
    """Where targets are looked for, as the settings have it; `namespace` is None for the one we run in."""

    is_publishing: bool
    looks_in_kubernetes: bool
    namespace: str | None
    folder: str | None


class PageParameters(msgspec.Struct, frozen=True):
    """What the page takes."""

    tz: str | None = None


class Tested(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of a test message; `fault` is empty where the target took it."""

    tested: str
    fault: str


class Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many targets were found."""

    found: int


class TargetsPage:
    """The page, and the forms on it."""

    def __init__(self, targets: Targets, places: TargetPlaces, *, counting: DeliveryCounting, frames: Frames) -> None:
        self._targets = targets
        self._places = places
        self._counting = counting
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [
            Page(path=PATH, handle=self.show, needs=Permission.READ),
            Page(path=_TEST, method="POST", handle=self.test, needs=Permission.OPERATE),
            Page(path=_REPLAY, method="POST", handle=self.replay, needs=Permission.OPERATE),
            Page(path=_REFRESH, method="POST", handle=self.refresh, needs=Permission.OPERATE),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/targets`."""
        read_page_parameters(request, PageParameters)
        tested, found, replayed = done_of(request, Tested), done_of(request, Found), done_of(request, Replayed)
        page = await self._page(request, tested=tested, found=found, replayed=replayed)
        return said(page) if tested or found or replayed else page

    async def test(self, request: Request) -> Response:
        """`POST /dashboard/targets/test`: the page says what the target answered."""
        refused = refusal(request, back=_BACK)
        if refused is not None:
            return refused
        name = (await fields_of(request)).get("target", "")
        return _back(Tested(name, await self._targets.test(name) or ""), anchor=f"#target-{quote(name)}")

    async def replay(self, request: Request) -> Response:
        """`POST /dashboard/targets/replay`: all dead letters of a target."""
        refused = refusal(request, back=_BACK)
        if refused is not None:
            return refused
        name = (await fields_of(request)).get("target", "")
        return _back(await replay_all(self._targets, name))

    async def refresh(self, request: Request) -> Response:
        """`POST /dashboard/targets/refresh`: look for targets now."""
        refused = refusal(request, back=_BACK)
        if refused is not None:
            return refused
        found, _ = await self._targets.refresh()
        return _back(Found(found))

    async def _page(
        self, request: Request, *, tested: Tested | None, found: Found | None, replayed: Replayed | None
    ) -> Response:
        frame = await self._frames.of(request, PATH.strip("/"))
        return page_response(
            frame,
            "targets/targets.html.jinja",
            overview=await self._targets.overview(),
            places=self._places,
            settled=await self._settled(frame),
            days=_DAYS,
            tested=tested,
            found=found,
            replayed=replayed,
            marks=_MARKS,
            health=_HEALTH,
            next_steps=_next_steps,
        )

    async def _settled(self, frame: Frame) -> dict[str, TargetCount]:
        """What became of deliveries lately, by target; nothing where it can't be counted: the rest is worth showing."""
        span = Asked(HistoryFilter(), frame.now - timedelta(days=_DAYS), frame.now, frame.now)
        try:
            counts = await self._counting.by_target(span)
        except AlertHistoryError:
            return {}
        return {each.target: each for each in counts.targets}


def _back(done: msgspec.Struct, *, anchor: str = "") -> Response:
    """Relative, as a proxy may serve us below a path of its own."""
    response = RedirectResponse(f"../targets{anchor}", status_code=HTTPStatus.SEE_OTHER)
    note_done(response, msgspec.structs.asdict(done))
    return response


def _next_steps(state: TargetState) -> str | None:
    """What to do about a target that gets nothing; None where there is nothing to do."""
    if state.spec.fault is not None:
        return "Mend its Secret or folder; the change takes effect within two seconds."
    if state.health.gone is not None:
        return "Change its Secret or folder, or remove it; until then its deliveries are dead letters."
    if not state.spec.is_enabled:
        return "Its annotation alert-history.io/enabled is false. Set it to true, or remove it."
    if state.pause is not None:
        return "Its deliveries wait meanwhile; none is lost."
    return None
