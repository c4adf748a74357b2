"""The parameters that all statistics take: which occurrences, of what span, in which time zone, compared with what."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Protocol

from msgspec import Meta

from alert_history.domain.calendar import parse_zone
from alert_history.engine.analysis import Asked, asked
from alert_history.ports import HistoryFilter

TAG = "Statistics"

TIME = "RFC 3339, a date, unix seconds, or relative to now: `-24h`"

Query = Annotated[
    str, Meta(description='Which occurrences: Prometheus matchers and free words, `{severity="critical"} disk`')
]
Since = Annotated[str, Meta(description=f"First received at or after: {TIME}. Without it: 7 days before `until`")]
Until = Annotated[str, Meta(description=f"First received before: {TIME}. Without it: now")]
Zone = Annotated[str, Meta(description="The time zone whose clocks count, by its IANA name: `Europe/Berlin`")]
Compare = Annotated[
    Literal["previous"], Meta(description="`previous`: also the span before, which is as long, and the change since")
]
Top = Annotated[int, Meta(ge=1, le=100, description="So many values are shown; all others are counted together")]

FAILURES = (400, 503)


class SpanParameters(Protocol):
    """What the parameters of each of these calls have."""

    @property
    def query(self) -> str:
        """The condition."""
        ...

    @property
    def since(self) -> str | None:
        """The begin of the span."""
        ...

    @property
    def until(self) -> str | None:
        """The end of the span."""
        ...

    @property
    def tz(self) -> str:
        """The name of the time zone."""
        ...


def asked_of(
    parameters: SpanParameters,
    now: datetime,
    *,
    wanted: HistoryFilter | None = None,
    default_span: timedelta = timedelta(days=7),
) -> Asked:
    """What these parameters ask for, with other conditions of a filter. Raises InvalidQuery naming the parameter."""
    parse_zone(parameters.tz)
    return asked(
        parameters.query, parameters.since, parameters.until, now=now, wanted=wanted, default_span=default_span
    )
