"""Tools about a moment, now or past: the alerts that fired then, with what muted them, and the silences there were."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Protocol, TypeVar

import msgspec
from msgspec import Meta

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.moment import AlertStatus, MomentAlert, SilenceVersion
from alert_history.domain.poll import AlertState
from alert_history.domain.query import parse_query
from alert_history.domain.silence_matching import State, queries_of, state_of
from alert_history.engine.moment_state import NOT_KNOWN
from alert_history.mcp.tool import Answer, LeftOut, Parameters, Tool
from alert_history.mcp.tools.asking import TIME, Query, time_of
from alert_history.mcp.tools.rows import Texts
from alert_history.mcp.writing import counted, named, quoted, selector, time_text, written
from alert_history.ports import Clock

T = TypeVar("T")

_MOST_IDS = 20
_ORDER: Sequence[State] = ("active", "pending", "expired")

Offset = Annotated[int, Meta(ge=0, le=1_000_000, description="next_offset of the answer before")]
Limit = Annotated[int, Meta(ge=1, le=1_000, description="So many at most")]
At = Annotated[str, Meta(description=f"The moment: {TIME}. Without it: now")]
Cluster = Annotated[str, Meta(max_length=300, description="One Alertmanager cluster by its name. Without it: all")]


class Moment(Protocol):
    """What was held at `at`. `unknown` says in sentences what can't be known for the moment."""

    @property
    def at(self) -> datetime:
        """The moment."""
        ...

    @property
    def alerts(self) -> Sequence[tuple[MomentAlert, AlertStatus]]:
        """The alerts that fired, each with what became of it."""
        ...

    @property
    def silences(self) -> Sequence[SilenceVersion]:
        """The silences, as they stood."""
        ...

    @property
    def unknown(self) -> Sequence[str]:
        """What can't be known."""
        ...


class Moments(Protocol):
    """Says what was held at a moment, as far as it exists for who calls."""

    async def state(self, at: datetime | None, *, cluster: str | None = None) -> Moment:
        """What was held at a time, None: now. Raises InvalidQuery, NotFound, StorageUnavailable, QueryTimeout."""
        ...


class MomentParameters(Parameters, frozen=True, kw_only=True):
    """Which moment, and where."""

    at: At | None = None
    cluster: Cluster | None = None
    limit: Limit = 100
    offset: Offset = 0


class AlertsAtParameters(MomentParameters, frozen=True, kw_only=True):
    """Which moment, and which alerts."""

    query: Query = ""
    state: Annotated[AlertState, Meta(description="Only alerts in that state: suppressed is muted")] | None = None


class AlertThen(msgspec.Struct, frozen=True):
    """An alert that fired at the moment.

    `suppressed` is muted: by silences, named by id, by alerts, named by fingerprint, or by time intervals. `receivers`
    are those that its routes lead to, none where that is not known. `is_unconfirmed`: nobody confirmed it any more.
    `unknown` names what of this row can't be known for the moment.
    """

    id: str
    fingerprint: str
    state: AlertState
    starts_at: datetime
    labels: Texts
    annotations: Texts
    receivers: tuple[str, ...]
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    muted_by: tuple[str, ...] = ()
    is_unconfirmed: bool = False
    unknown: tuple[str, ...] = ()


class AlertsAtAnswer(Answer, frozen=True, kw_only=True):
    """The alerts that fired at a moment, those that began last first. `total` counts all that match."""

    at: datetime
    total: int
    alerts: tuple[AlertThen, ...]
    next_offset: int | None
    unknown: Annotated[tuple[str, ...], Meta(description="What can't be known for that moment")]


class SilenceThen(msgspec.Struct, frozen=True):
    """A silence as it stood at the moment. Its comment is as a person wrote it.

    `muted` are ids of alerts that it muted at that moment, of `muted_count`.
    """

    id: str
    state: State
    matchers: tuple[str, ...]
    created_by: str
    comment: str
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    cluster: str
    muted_count: int
    muted: tuple[str, ...]


class SilencesAtParameters(MomentParameters, frozen=True, kw_only=True):
    """Which moment, and which silences."""

    state: Annotated[State, Meta(description="Only silences in that state")] | None = None


class SilencesAtAnswer(Answer, frozen=True, kw_only=True):
    """The silences that there were at a moment: the active first, then the pending, then those that had ended."""

    at: datetime
    total: int
    silences: tuple[SilenceThen, ...]
    next_offset: int | None
    unknown: Annotated[tuple[str, ...], Meta(description="What can't be known for that moment")]


class MomentTools:
    """The tools, on those who say what was held at a moment."""

    def __init__(self, moments: Moments, *, clock: Clock) -> None:
        self._moments = moments
        self._clock = clock

    def tools(self) -> list[Tool]:
        """All of them."""
        further = "with the same arguments and offset = next_offset, or a narrower query"
        return [
            Tool(
                name="alerts_at",
                title="List what fired at a moment",
                description="The alerts that fired at a moment, now or past, as Alertmanager would have listed them: "
                "each with its state, the receivers that its routes lead to, and what silenced or inhibited it.",
                parameters=AlertsAtParameters,
                answer=AlertsAtAnswer,
                handle=lambda asked: self.alerts(asked, asked.limit),
                write=_alerts_text,
                pages="alerts",
                again=self.alerts,
                ask_for={"alerts": f"alerts_at {further}"},
            ),
            Tool(
                name="silences_at",
                title="List the silences of a moment",
                description="The silences that there were at a moment, now or past, as they stood then: who made each, "
                "with which comment, until when, and which alerts it muted then.",
                parameters=SilencesAtParameters,
                answer=SilencesAtAnswer,
                handle=lambda asked: self.silences(asked, asked.limit),
                write=_silences_text,
                pages="silences",
                again=self.silences,
                ask_for={"silences": f"silences_at {further}"},
            ),
        ]

    async def alerts(self, asked: AlertsAtParameters, limit: int) -> AlertsAtAnswer:
        """`alerts_at`."""
        query = parse_query(asked.query)
        state = await self._state(asked)
        rows = [
            (alert, status)
            for alert, status in state.alerts
            if query.matches(alert.labels, alert.annotations) and asked.state in {None, status.state}
        ]
        rows.sort(key=lambda row: (-row[0].starts_at.timestamp(), row[0].occurrence_id))
        shown, following = _page(rows, asked.offset, limit)
        fired = f"fire at {time_text(state.at)}" if asked.at is None else f"fired at {time_text(state.at)}"
        return AlertsAtAnswer(
            summary=f"Alerts that match and {fired}: {len(rows)}, of which {len(shown)} are here, the newest first.",
            left_out=_further(following, "alerts_at"),
            at=state.at,
            total=len(rows),
            alerts=tuple(_alert(alert, status) for alert, status in shown),
            next_offset=following,
            unknown=tuple(state.unknown),
        )

    async def silences(self, asked: SilencesAtParameters, limit: int) -> SilencesAtAnswer:
        """`silences_at`."""
        state = await self._state(asked)
        rows = [(state_of(each.silence, state.at), each) for each in state.silences]
        rows = [(name, each) for name, each in rows if asked.state in {None, name}]
        rows.sort(key=lambda row: (_ORDER.index(row[0]), _nearest(row[1].silence, state.at), row[1].silence.id))
        shown, following = _page(rows, asked.offset, limit)
        return SilencesAtAnswer(
            summary=f"Silences at {time_text(state.at)}: {len(rows)}, of which {len(shown)} are here.",
            left_out=_further(following, "silences_at"),
            at=state.at,
            total=len(rows),
            silences=tuple(_silence(name, version, state) for name, version in shown),
            next_offset=following,
            unknown=tuple(state.unknown),
        )

    async def _state(self, asked: MomentParameters) -> Moment:
        at = time_of("at", asked.at, self._clock())
        return await self._moments.state(at, cluster=asked.cluster)


def _page(rows: Sequence[T], offset: int, limit: int) -> tuple[Sequence[T], int | None]:
    """The rows of a page, and where the next one begins."""
    end = offset + limit
    return rows[offset:end], end if end < len(rows) else None


def _further(following: int | None, tool: str) -> tuple[LeftOut, ...]:
    how = f"{tool} with the same arguments and offset = {following}"
    return () if following is None else (LeftOut("the rest of the list", how),)


def _nearest(silence: Silence, at: datetime) -> float:
    """How far from the moment it ends."""
    return abs((silence.ends_at - at).total_seconds())


def _alert(alert: MomentAlert, status: AlertStatus) -> AlertThen:
    return AlertThen(
        id=alert.occurrence_id,
        fingerprint=alert.fingerprint,
        state=status.state,
        starts_at=alert.starts_at,
        labels=alert.labels,
        annotations=alert.annotations,
        receivers=tuple(name for name in status.receivers if name != NOT_KNOWN),
        silenced_by=status.silenced_by,
        inhibited_by=status.inhibited_by,
        muted_by=status.muted_by,
        is_unconfirmed=alert.is_unconfirmed,
        unknown=alert.unknown,
    )


def _silence(name: State, version: SilenceVersion, state: Moment) -> SilenceThen:
    silence = version.silence
    muted = [alert.occurrence_id for alert, status in state.alerts if silence.id in status.silenced_by]
    return SilenceThen(
        id=silence.id,
        state=name,
        matchers=tuple(text for text, _ in queries_of(silence)),
        created_by=silence.created_by,
        comment=silence.comment,
        starts_at=silence.starts_at,
        ends_at=silence.ends_at,
        updated_at=silence.updated_at,
        cluster=version.cluster,
        muted_count=len(muted),
        muted=tuple(muted[:_MOST_IDS]),
    )


def _alerts_text(answer: AlertsAtAnswer) -> Iterator[str]:
    return written(answer, [*map(_alert_line, answer.alerts), *_unknown(answer.unknown)])


def _alert_line(alert: AlertThen) -> str:
    by = [
        f"silenced by {', '.join(map(named, alert.silenced_by))}" if alert.silenced_by else "",
        f"inhibited by {', '.join(map(named, alert.inhibited_by))}" if alert.inhibited_by else "",
        f"muted by {', '.join(map(quoted, alert.muted_by))}" if alert.muted_by else "",
        f"to {', '.join(map(quoted, alert.receivers))}" if alert.receivers else "",
        "unconfirmed" if alert.is_unconfirmed else "",
    ]
    more = "".join(f", {each}" for each in by if each)
    return f"- {named(alert.id)}: {alert.state} since {time_text(alert.starts_at)} {selector(alert.labels)}{more}"


def _silences_text(answer: SilencesAtAnswer) -> Iterator[str]:
    return written(answer, [*map(_silence_line, answer.silences), *_unknown(answer.unknown)])


def _silence_line(silence: SilenceThen) -> str:
    matchers = " or ".join(map(quoted, silence.matchers))
    span = f"{time_text(silence.starts_at)} to {time_text(silence.ends_at)}"
    by = f"by {quoted(silence.created_by)}: {quoted(silence.comment)}"
    muted = counted(silence.muted_count, "alert")
    return f"- {named(silence.id)}: {silence.state}, {span}, {matchers} {by}, mutes {muted}"


def _unknown(sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield "Not known for that moment:"
        yield from (f"- {quoted(each)}" for each in sentences)
