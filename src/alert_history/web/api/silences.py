"""Silences and their history. Holds parameters and answers; `engine.silence_inventory` looks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.permission import Permission
from alert_history.domain.silence_changes import SilenceChange
from alert_history.domain.silence_matching import State
from alert_history.domain.times import parse_time
from alert_history.engine.firing_alerts import FiringAlert
from alert_history.engine.silence_inventory import Entry, SilenceInventory, View
from alert_history.engine.silence_mutings import MutedSpan
from alert_history.errors import InvalidQuery
from alert_history.ports import Clock, MutedAlert
from alert_history.web.api.span import TIME
from alert_history.web.http.operation import Operation

_TAG = "Silences"

At = Annotated[str, Meta(description=f"As of then instead of now: {TIME}")]


class SilencesParameters(msgspec.Struct, frozen=True):
    """Which silences."""

    state: Annotated[
        View,
        Meta(
            description="`active`, `pending` or `expired`. Of the active ones `soon` end within 24 hours, and `unused` "
            "muted nothing as far as is known; `again` are expired ones that would match what fires"
        ),
    ] = "active"
    at: At | None = None
    cursor: Annotated[str, Meta(description="`next_cursor` of the page before")] | None = None


class SilenceParameters(msgspec.Struct, frozen=True):
    """The id of a silence, as Alertmanager made it."""

    id: Annotated[str, Meta(description="`id` of a silence", max_length=1024)]
    at: At | None = None


class ListedSilence(msgspec.Struct, frozen=True, kw_only=True):
    """A silence. `matchers` is a list of sets: all of a set must match, any set suffices; `queries` says each set.

    `muted` occurrences were muted by it as events tell, a lower bound if not `is_muted_exact`. `matching` alerts fire
    and match it. `changes` are its versions, the oldest first.
    """

    id: str
    state: State
    matchers: Sequence[Sequence[dict[str, str]]]
    queries: Sequence[str]
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    created_by: str
    comment: str
    muted: int
    is_muted_exact: bool
    newest_muted: Sequence[MutedAlert]
    matching: int
    newest_matching: Sequence[FiringAlert]
    changes: Sequence[SilenceChange]


class SilencesAnswer(msgspec.Struct, frozen=True):
    """A page of silences as of `at`. `is_cut`: there are more than were looked at for `unused` or `again`.

    `compares_all` is false where more alerts fire than were compared with the silences.
    """

    at: datetime
    silences: Sequence[ListedSilence]
    next_cursor: str | None
    is_cut: bool
    compares_all: bool


class SilenceAnswer(ListedSilence, frozen=True, kw_only=True):
    """A silence as of `at`, with which alerts it muted, from when to when, the newest first.

    `left_out` says in sentences what was not looked at.
    """

    at: datetime
    mutings: Sequence[MutedSpan]
    left_out: Sequence[str]


class SilencesApi:
    """The handlers."""

    def __init__(self, inventory: SilenceInventory, *, clock: Clock) -> None:
        self._inventory = inventory
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/silences",
                summary="Which silences there are, and what each muted",
                handle=self.silences,
                answer=SilencesAnswer,
                tag=_TAG,
                needs=Permission.READ,
                parameters=SilencesParameters,
                failures=(400, 403, 503),
                description="What ends or begins next comes first, of the expired ones what ended last. `state=unused` "
                "and `state=again` name silences to look after: those that mute nothing, and those that ended while "
                "what they muted still fires.",
            ),
            Operation(
                path="/api/v1/silences/{id}",
                summary="The history of one silence",
                handle=self.silence,
                answer=SilenceAnswer,
                tag=_TAG,
                needs=Permission.READ,
                parameters=SilenceParameters,
                failures=(400, 403, 404, 503),
                description="Who made it, changed it and when, and which alerts it muted, from when to when: as an "
                "event recorder or a poll told, or else by what it matches.",
            ),
        ]

    async def silences(self, _: Request, asked: SilencesParameters) -> SilencesAnswer:
        """`GET /api/v1/silences`."""
        at, now = self._moment(asked.at)
        page = await self._inventory.page(asked.state, cursor=asked.cursor, at=at)
        silences = [ListedSilence(**_fields(entry)) for entry in page.entries]
        return SilencesAnswer(at or now, silences, page.next_cursor, page.is_cut, page.compares_all)

    async def silence(self, _: Request, asked: SilenceParameters) -> SilenceAnswer:
        """`GET /api/v1/silences/{id}`."""
        at, now = self._moment(asked.at)
        answer = await self._inventory.one(asked.id, at=at)
        mutings = answer.mutings
        return SilenceAnswer(**_fields(answer.entry), at=at or now, mutings=mutings.spans, left_out=mutings.left_out)

    def _moment(self, text: str | None) -> tuple[datetime | None, datetime]:
        """The moment, None for now, and the clock. Raises InvalidQuery."""
        now = self._clock()
        if text is None:
            return None, now
        try:
            at = parse_time(text, now)
        except InvalidQuery as error:
            raise InvalidQuery(f"at: {error}") from None
        if at > now:
            raise InvalidQuery("at: it has not come yet")
        return (None if at == now else at), now


def _fields(entry: Entry) -> dict[str, Any]:
    silence, muted = entry.silence, entry.muted
    return {
        "id": silence.id,
        "state": entry.state,
        "matchers": silence.matchers,
        "queries": [text for text, _ in entry.queries],
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "updated_at": silence.updated_at,
        "created_by": silence.created_by,
        "comment": silence.comment,
        "muted": 0 if muted is None else muted.number,
        "is_muted_exact": muted is None or muted.is_exact,
        "newest_muted": [] if muted is None else muted.newest,
        "matching": entry.firing.number,
        "newest_matching": entry.firing.newest,
        "changes": entry.changes,
    }
