"""What begins together, and storms. Holds the parameters; `engine.companions` answers."""

from datetime import timedelta
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.permission import Permission
from alert_history.domain.times import parse_duration
from alert_history.domain.together import TogetherRules
from alert_history.engine.companions import Companions, TogetherAnswer
from alert_history.errors import InvalidQuery
from alert_history.ports import Clock
from alert_history.web.api.span import FAILURES, TAG, Compare, Query, Since, Until, Zone, asked_of
from alert_history.web.http.operation import Operation

_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(hours=1)
_MOST_LABELS = 5
_SAME = "Labels, separated by commas, that both alerts must have alike: `namespace`"


class TogetherParameters(msgspec.Struct, frozen=True):
    """What the call takes. `tz` changes nothing here; all statistics take it."""

    query: Query = ""
    since: Since | None = None
    until: Until | None = None
    tz: Zone = "UTC"
    compare: Compare | None = None
    rule: Annotated[str, Meta(description="An alertname; without it: the strongest pairs of all rules")] | None = None
    within: Annotated[str, Meta(description="At most so long apart, up to an hour: `5m`")] = "5m"
    same: Annotated[str, Meta(description=_SAME)] = ""
    top: Annotated[int, Meta(ge=1, le=100, description="So many pairs are shown")] = 20


class TogetherApi:
    """The handler."""

    def __init__(self, companions: Companions, *, clock: Clock) -> None:
        self._companions = companions
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/stats/together",
                summary="Which rules begin together",
                handle=self.together,
                answer=TogetherAnswer,
                tag=TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=TogetherParameters,
                failures=FAILURES,
                description="How often an alert of one rule begins near one of another, beside how often it would by "
                "chance; which rule explains the other, with an inhibit rule for Alertmanager where labels show which "
                "alerts belong together; and the storms of the span.",
            )
        ]

    async def together(self, _: Request, asked: TogetherParameters) -> TogetherAnswer:
        """`GET /api/v1/stats/together`."""
        span = asked_of(asked, self._clock())
        rules = TogetherRules(
            within=duration_of("within", asked.within, _LONGEST), same=_labels(asked.same), top=asked.top
        )
        return await self._companions.together(span, rules, rule=asked.rule, is_compared=asked.compare is not None)


def duration_of(name: str, text: str, longest: timedelta) -> timedelta:
    """The duration in a parameter, a second or longer. Raises InvalidQuery naming it."""
    try:
        duration = parse_duration(text)
    except (ValueError, OverflowError):
        duration = timedelta()
    if not _SHORTEST <= duration <= longest:
        raise InvalidQuery(
            f"{name}: {text!r} is no duration from 1s to {longest.total_seconds() / 3600:g}h, such as 5m"
        )
    return duration


def _labels(text: str) -> tuple[str, ...]:
    """Each label once, in order. Raises InvalidQuery where they are too many."""
    labels = tuple(dict.fromkeys(label for part in text.split(",") if (label := part.strip())))
    if len(labels) > _MOST_LABELS:
        raise InvalidQuery(f"same: {len(labels)} labels are too many, {_MOST_LABELS} are the most")
    return labels
